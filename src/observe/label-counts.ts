/**
 * Counts by label values. A labelled prom-client counter hashes its labels at each increment (half a microsecond for seven
 * labels). Here a stanza goes through a tree of maps to a number (60 nanoseconds), and prom-client gets the numbers at each
 * scrape.
 */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { MetricInfo } from './metric-definitions.ts'

export interface Series {
  readonly values: readonly string[]
  count: number
  /** The last event of the series that has a name. */
  exemplar?: Exemplar
}

/** An exemplar: leads from a count to one of its events; only in OpenMetrics. */
export interface Exemplar {
  readonly labelSet: Readonly<Record<string, string>>
  readonly value: number
  /** Seconds since 1970. */
  readonly timestamp: number
}

interface Branch {
  readonly next: Map<string, Branch>
  series: Series | undefined
}

/** One metric's numbers. */
export class LabelCounts {
  private readonly root = newBranch()
  private readonly all: Series[] = []

  /** `values` in the order of the metric's labels. Adding 0 lets a series be there before anything has happened. */
  add(values: readonly string[], amount: number, exemplar?: Exemplar): void {
    const series = this.of(values)
    series.count += amount
    if (exemplar !== undefined) series.exemplar = exemplar
  }

  /** The series of these values, which exists from now on. */
  of(values: readonly string[]): Series {
    let branch = this.root
    for (const value of values) {
      let next = branch.next.get(value)
      if (next === undefined) {
        next = newBranch()
        branch.next.set(value, next)
      }
      branch = next
    }
    if (branch.series === undefined) {
      branch.series = { values, count: 0 }
      this.all.push(branch.series)
    }
    return branch.series
  }

  /** For what is no count of events. */
  set(values: readonly string[], count: number): void {
    this.add(values, 0)
    const series = this.all.find(each => each.values.every((value, i) => value === values[i]))
    if (series !== undefined) series.count = count
  }

  get series(): readonly Series[] {
    return this.all
  }
}

type AnyRegistry = Registry | Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>

/** Lets the registries ask for a metric's series, once for each scrape. */
export function expose(registries: readonly AnyRegistry[], info: MetricInfo, read: () => Iterable<Series>): void {
  const labelNames = Object.keys(info.labels)
  const values = () =>
    [...read()].map(({ values, count: value, exemplar }) => {
      const labels = Object.fromEntries(labelNames.map((label, i) => [label, values[i] as string]))
      return exemplar === undefined ? { labels, value } : { labels, value, exemplar }
    })
  // A registry of OpenMetrics takes `_total` off the names of its counters: each has its own.
  for (const registry of registries) {
    const shape = { name: info.name, help: info.help, labelNames, registers: [registry] }
    if (info.kind === 'counter') new ReadCounter(shape, values)
    else new ReadGauge(shape, values)
  }
}

type Shape = ConstructorParameters<typeof Counter>[0]
type Value = Awaited<ReturnType<Counter['get']>>['values'][number] & { readonly exemplar?: Exemplar }

class ReadCounter extends Counter {
  private readonly values: () => Value[]

  constructor(shape: Shape, values: () => Value[]) {
    super(shape)
    this.values = values
  }

  override async get() {
    return { ...(await super.get()), values: this.values() }
  }
}

class ReadGauge extends Gauge {
  private readonly values: () => Value[]

  constructor(shape: Shape, values: () => Value[]) {
    super(shape)
    this.values = values
  }

  override async get() {
    return { ...(await super.get()), values: this.values() }
  }
}

function newBranch(): Branch {
  return { next: new Map(), series: undefined }
}
