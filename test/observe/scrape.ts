import { spawnSync } from 'node:child_process'
import { type LabelValues, type MetricInfo, metrics } from '../../src/observe/metric-definitions.ts'
import type { Metrics } from '../../src/observe/metrics.ts'
import { processMetrics } from '../../src/observe/process-metrics.ts'

/** All metrics by name: the gate's and the process'. */
export const byName: ReadonlyMap<string, MetricInfo> = new Map(
  [...Object.values(metrics), ...Object.values(processMetrics)].map(info => [info.name, info]),
)

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A scrape, line by line. */
export class Scrape {
  readonly text: string
  readonly samples: readonly Sample[]

  static async of(gate: Metrics): Promise<Scrape> {
    return new Scrape(await gate.registry.metrics())
  }

  constructor(text: string) {
    this.text = text
    this.samples = text.split('\n').flatMap(line => {
      const [, name = '', labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      if (name === '') return []
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, word]) => [key, word] as const)
      return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }]
    })
  }

  /** What the gate has counted, without what is 0 or says nothing of traffic: `name value1 value2: 3`, without its prefix. */
  get counted(): string[] {
    return this.samples
      .filter(({ name, value }) => value !== 0 && !/^stanzagate_(process|nodejs|build)_/.test(name))
      .map(({ name, labels, value }) => `${[name.slice(11), ...Object.values(labels)].join(' ')}: ${value}`)
  }

  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.samples
      .filter(sample => sample.name === `stanzagate_${name}`)
      .filter(sample => Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
      .reduce((total, { value }) => total + value, 0)
  }

  /** What is outside the table: unknown names, unknown labels, labels left out, values that no closed set has. */
  get strays(): string[] {
    return this.samples.flatMap(({ name, labels }) => {
      const info = infoOf(name)
      if (info === undefined) return [name]
      const { le: _le, ...own } = labels
      if (Object.keys(own).join() !== Object.keys(info.labels).join()) return [`${name} ${Object.keys(own)}`]
      return Object.entries(own)
        .filter(([label, value]) => !allows(info.labels[label], value))
        .map(([label, value]) => `${name} ${label}=${value}`)
    })
  }
}

/** The metric that a series belongs to; a histogram has three kinds of series. */
export function infoOf(series: string): MetricInfo | undefined {
  const histogram = byName.get(series.replace(/_(bucket|sum|count)$/, ''))
  return histogram?.kind === 'histogram' ? histogram : byName.get(series)
}

export function allows(values: LabelValues | undefined, value: string): boolean {
  if (values === undefined) return false
  return 'configured' in values || values.includes(value)
}

/** Runs promtool (Debian package prometheus); what it had to say against its input, and its exit status. */
export function promtool(args: readonly string[], input = ''): { status: number | null; said: string } {
  const { error, status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' })
  if (error) throw new Error('promtool is missing: install the Debian package prometheus', { cause: error })
  return { status, said: `${stdout}${stderr}`.trim() }
}
