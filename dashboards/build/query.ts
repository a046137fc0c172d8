/** PromQL for the panels. A metric, its labels and their values that the gate does not have are errors of the compiler or a throw. */

import { type LabelValues, type MetricInfo, metrics } from '../../src/observe/metric-definitions.ts'
import { processMetrics } from '../../src/observe/process-metrics.ts'

const table = { ...metrics, ...processMetrics }

export type Key = keyof typeof table
export type LabelOf<K extends Key> = keyof (typeof table)[K]['labels'] & string
/** A value; several values; or what it is not. */
export type Wanted = string | readonly string[] | { readonly not: string }
export type Matchers<K extends Key> = Readonly<Partial<Record<LabelOf<K>, Wanted>>>
type By<K extends Key> = readonly (LabelOf<K> | 'instance')[]

/** The choices at the top of a dashboard: each is a label, and every query of a metric that has the label obeys it. */
export const choices = ['job', 'instance', 'route', 'upstream'] as const

/** Labels that every series has: Prometheus puts them there. */
const scraped: readonly string[] = ['job', 'instance']
/** What fails before a domain was asked for has no route: it belongs to every choice of one. */
const withoutRoute: readonly Key[] = ['negotiation']

/** `stanzagate_…{…}`, of what is chosen. Throws when a label cannot have such a value. */
export function series<K extends Key>(key: K, wanted?: Matchers<K>, suffix = ''): string {
  const { name, labels }: MetricInfo = table[key]
  const own = Object.entries<Wanted | undefined>(wanted ?? {}).map(([label, value]) => {
    if (value === undefined) throw new Error(`${name}: no value of ${label}`)
    const words = typeof value === 'string' ? [value] : 'not' in value ? [value.not] : value
    for (const word of words) if (!allows(labels[label], word)) throw new Error(`${name}: ${label} is never ${word}`)
    return `${label}${typeof value === 'string' ? '=' : 'not' in value ? '!=' : '=~'}"${words.join('|')}"`
  })
  return `${name}${suffix}{${[...own, ...chosen(Object.keys(labels), withoutRoute.includes(key))].join(',')}}`
}

/** What a recording rule has recorded, with these labels besides job and instance. */
export function recorded(name: string, labels: readonly string[] = []): string {
  return `${name}{${chosen(labels).join(',')}}`
}

/** Events per second. */
export function rate<K extends Key>(key: K, wanted?: Matchers<K>, by: By<K> = []): string {
  return `${sum(by)}(rate(${series(key, wanted)}[$__rate_interval]))`
}

export function perMinute<K extends Key>(key: K, wanted?: Matchers<K>, by: By<K> = []): string {
  return `60 * ${rate(key, wanted, by)}`
}

/** Events in the time range of the dashboard. */
export function inRange<K extends Key>(key: K, wanted?: Matchers<K>, by: By<K> = []): string {
  return `${sum(by)}(increase(${series(key, wanted)}[$__range]))`
}

/** A gauge's value at this moment. */
export function now<K extends Key>(key: K, wanted?: Matchers<K>, by: By<K> = []): string {
  return `${sum(by)}(${series(key, wanted)})`
}

/** Of a histogram. What happens seldom is better asked for over the whole `$__range`. */
export function quantile<K extends Key>(share: number, key: K, by: By<K> = [], over = '$__rate_interval'): string {
  const bucket = `rate(${series(key, undefined, '_bucket')}[${over}])`
  return `histogram_quantile(${share}, sum by (${['le', ...by].join(', ')}) (${bucket}))`
}

function sum(by: readonly string[]): string {
  return by.length === 0 ? 'sum' : `sum by (${by.join(', ')}) `
}

function chosen(labels: readonly string[], mayLackRoute = false): string[] {
  return choices
    .filter(choice => scraped.includes(choice) || labels.includes(choice))
    .map(choice => `${choice}=~"$${choice}${choice === 'route' && mayLackRoute ? '|' : ''}"`)
}

function allows(values: LabelValues | undefined, value: string): boolean {
  return values !== undefined && ('configured' in values || values.includes(value))
}
