/** An overview of the gate: what is configured, and what has happened so far. */
import type { Config } from '../config/types.ts'
import { metrics, verdicts } from '../observe/metric-definitions.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { SessionView } from '../relay/watcher.ts'
import { modeIn, rulesOf as rulesIn } from '../rules/all-rules.ts'
import type { Mode } from '../rules/mode.ts'
import type { RuleOutcome } from '../rules/outcome.ts'
import type { MemberView } from '../upstream/pool.ts'
import type { PoolView } from '../upstream/upstreams.ts'
import { version } from '../version.ts'
import type { Reached, UpstreamReachability } from './upstream-reachability.ts'

type Counts = Record<RuleOutcome['verdict'], number>

export interface Overview {
  readonly version: string
  readonly node: string
  /** ISO 8601, UTC. */
  readonly since: string
  readonly uptimeSeconds: number
  /** A token was asked for, and a login can be ended. */
  readonly guarded: boolean
  readonly listeners: readonly {
    readonly name: string
    readonly kind: string
    readonly address: string
    readonly port: number
    readonly tls: string
    readonly sessions: number
  }[]
  readonly routes: Config['routes']
  readonly upstreams: readonly ({
    readonly name: string
    readonly address: string
    readonly port: number
    readonly tls: string
    readonly sessions: number
    /** Where it is; several serve the same accounts. */
    readonly members: readonly MemberView[]
  } & Reached)[]
  readonly rules: readonly {
    readonly rule: string
    readonly clause: string
    readonly about: string
    readonly mode: Mode
    /** What it has said so far. */
    readonly decisions: Counts
  }[]
  readonly counts: {
    /** Clients with a bound resource. */
    readonly sessions: number
    /** Clients' streams, with those that are not so far yet. */
    readonly streams: number
    /** What became of stanzas. */
    readonly stanzas: Counts
    /** Stanzas that a rule which only observes had something against. */
    readonly observed: number
    readonly subscriptions: Readonly<Record<string, number>>
  }
}

export interface OverviewSource {
  readonly config: Pick<Config, 'listeners' | 'upstreams' | 'routes' | 'rules'>
  readonly metrics: Pick<Metrics, 'registry'>
  readonly reach: UpstreamReachability
  /** Milliseconds since 1970. */
  readonly since: number
  readonly guarded: boolean
  time(): number
  sessions(): Iterable<SessionView>
  pools(): Iterable<PoolView>
  /** Where they listen. */
  bound(): readonly { readonly name: string; readonly address: string; readonly port: number }[]
}

export async function overviewOf(source: OverviewSource): Promise<Overview> {
  const { config, since, guarded, reach } = source
  const streams = [...source.sessions()]
  const pools = new Map([...source.pools()].map(({ upstream, members }) => [upstream, members]))
  const bound = streams.filter(({ phase }) => phase === 'bound')
  const countOf = (isOne: (session: SessionView) => boolean) => bound.filter(isOne).length
  return {
    version,
    node: process.version,
    since: new Date(since).toISOString(),
    uptimeSeconds: Math.max(0, Math.floor((source.time() - since) / 1_000)),
    guarded,
    listeners: source.bound().map(({ name, address, port }) => ({
      ...{ name, address, port, ...kindOf(config, name) },
      sessions: countOf(session => session.listener === name),
    })),
    routes: config.routes,
    upstreams: [...config.upstreams.values()].map(({ name, address, port, tls }) => ({
      ...{ name, address, port, tls: tls.mode, ...reach.of(name) },
      members: pools.get(name) ?? [],
      sessions: countOf(session => session.upstream === name),
    })),
    rules: await rulesOf(source),
    counts: { sessions: bound.length, streams: streams.length, ...(await countsOf(source)) },
  }
}

function kindOf({ listeners }: OverviewSource['config'], name: string): { kind: string; tls: string } {
  const listener = listeners.find(each => each.name === name)
  switch (listener?.kind) {
    case 'websocket':
      return { kind: listener.kind, tls: listener.tls === undefined ? 'none' : 'direct' }
    case 'tcp':
      return { kind: listener.kind, tls: listener.tls.mode }
    case undefined:
      return { kind: 'tcp', tls: 'none' }
  }
}

async function rulesOf({ config, metrics: numbers }: OverviewSource): Promise<Overview['rules']> {
  const series = await seriesOf(numbers, metrics.rules.name)
  return rulesIn(config.rules).map(rule => {
    const { name, clause, about } = rule
    const decisions = noCounts()
    for (const { labels, value } of series) if (labels.rule === name) add(decisions, labels.verdict, value)
    return { rule: name, clause, about, mode: modeIn(config.rules, rule), decisions }
  })
}

async function countsOf({ metrics: numbers }: OverviewSource) {
  const stanzas = noCounts()
  let observed = 0
  for (const { labels, value } of await seriesOf(numbers, metrics.stanzas.name)) {
    const isObserved = labels.mode === 'observe'
    if (isObserved) observed += value
    add(stanzas, isObserved ? 'forward' : labels.verdict, value)
  }
  const subscriptions: Record<string, number> = {}
  for (const { labels, value } of await seriesOf(numbers, metrics.subscriptions.name))
    subscriptions[String(labels.event)] = (subscriptions[String(labels.event)] ?? 0) + value
  return { stanzas, observed, subscriptions }
}

async function seriesOf({ registry }: Pick<Metrics, 'registry'>, name: string) {
  return (await registry.getSingleMetric(name)?.get())?.values ?? []
}

function noCounts(): Counts {
  return { forward: 0, reject: 0, drop: 0, close: 0 }
}

function add(counts: Counts, verdict: string | number | undefined, value: number): void {
  const known = verdicts.find(each => each === verdict)
  if (known !== undefined) counts[known] += value
}
