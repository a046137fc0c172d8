/**
 * Every metric, in one table, and the one place where reports become numbers. Labels come from closed sets and from the
 * configuration; never from what a peer wrote.
 *
 * A labelled prom-client counter costs 0.2 microseconds an increment: here a stanza adds to a number in a map, and prom-client is
 * given the numbers when somebody scrapes.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Report } from '../session/event.ts'
import { definedConditions } from '../stanza/generated/types.ts'
import { type Side, streamErrors } from '../stream/item.ts'
import type { Visible } from '../subscription/state.ts'
import type { About, Watcher } from '../transport/relay.ts'
import { version } from '../version.ts'

export interface MetricInfo {
  readonly name: string
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
}

/** The table; README's is printed from it. */
export const metrics = {
  stanzas: counter(
    'stanzas_total',
    'Stanzas by what became of them; mode observe: the verdict that would have been, the stanza was forwarded.',
    ['kind', 'type', 'from', 'verdict', 'rule', 'mode', 'route'],
  ),
  rules: counter('rule_decisions_total', 'What each rule said, every rule that spoke counted.', [
    'rule',
    'verdict',
    'mode',
    'from',
    'route',
  ]),
  transitions: counter('subscription_transitions_total', 'Roster pushes that moved an item, once for each account.', [
    'before',
    'after',
    'route',
  ]),
  undecided: counter(
    'subscription_undecided_total',
    'Approvals and denials that passed unverified: nothing is known of the contact.',
    ['type', 'route'],
  ),
  failed: counter('subscription_requests_failed_total', 'Subscription requests that were answered with an error.', [
    'condition',
    'route',
  ]),
  nonzas: counter(
    'nonzas_total',
    'First-level elements that are no stanzas and were answered or left out by the gate.',
    ['from', 'verdict'],
  ),
  sessionsOpened: counter('sessions_opened_total', 'Sessions: resources that were bound.', ['listener', 'route']),
  sessionsClosed: counter('sessions_closed_total', 'Sessions that ended, by cause.', ['listener', 'route', 'cause']),
  sessionsActive: gauge('sessions_active', 'Sessions at present: opened - closed.', ['listener', 'route']),
  streamsOpened: counter(
    'streams_opened_total',
    'Transports of streams: accepted from clients, dialled to upstreams.',
    ['side', 'listener'],
  ),
  streamsClosed: counter('streams_closed_total', 'Transports of streams that ended, by cause.', [
    'side',
    'listener',
    'cause',
  ]),
  streamsActive: gauge('streams_active', 'Transports of streams at present: opened - closed.', ['side', 'listener']),
  streamErrors: counter(
    'stream_errors_total',
    'Stream errors by condition; by gate: sent to that side, by peer: received from it.',
    ['condition', 'side', 'by'],
  ),
  connectErrors: counter('upstream_connect_errors_total', 'Upstreams that could not be reached.', [
    'upstream',
    'reason',
  ]),
  bytes: counter('transport_bytes_total', 'Bytes of streams, before TLS.', ['side', 'way']),
  receive: histogram('session_receive_seconds', 'Time that the session takes for one event.', []),
  faults: counter('session_faults_total', 'Sessions that were ended because of an error in the gate itself.', []),
  build: gauge('build_info', 'Always 1.', ['version', 'node']),
} as const satisfies Record<string, MetricInfo>

type Name = keyof typeof metrics

function counter(name: string, help: string, labels: readonly string[]): MetricInfo {
  return { name: `stanzagate_${name}`, kind: 'counter', help, labels }
}
function gauge(name: string, help: string, labels: readonly string[]): MetricInfo {
  return { name: `stanzagate_${name}`, kind: 'gauge', help, labels }
}
function histogram(name: string, help: string, labels: readonly string[]): MetricInfo {
  return { name: `stanzagate_${name}`, kind: 'histogram', help, labels }
}

/** From a microsecond to a tenth of a second; a stanza takes a few microseconds. */
const buckets = [0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_5, 0.002, 0.01, 0.1]

interface Series {
  readonly values: readonly string[]
  count: number
}

/** One metric's numbers, by the joined values of its labels. */
class Tally {
  private readonly series = new Map<string, Series>()

  add(amount: number, values: readonly string[]): void {
    const key = values.join('\u0000')
    const found = this.series.get(key)
    if (found === undefined) this.series.set(key, { values, count: amount })
    else found.count += amount
  }

  all(): Iterable<Series> {
    return this.series.values()
  }
}

export class Metrics implements Watcher {
  readonly registry = new Registry()
  private readonly tallies = new Map<Name, Tally>()
  private readonly receive: Histogram

  constructor() {
    let receive: Histogram | undefined
    for (const name of Object.keys(metrics) as Name[]) {
      const info: MetricInfo = metrics[name]
      const shape = { name: info.name, help: info.help, labelNames: [...info.labels], registers: [this.registry] }
      if (info.kind === 'histogram') {
        receive = new Histogram({ ...shape, buckets })
        continue
      }
      const tally = new Tally()
      this.tallies.set(name, tally)
      const fill = (metric: Counter | Gauge) => {
        metric.reset()
        // A counter without labels is there from the beginning.
        if (info.labels.length === 0) metric.inc(0)
        for (const { values, count } of tally.all())
          metric.inc(Object.fromEntries(info.labels.map((label, i) => [label, values[i] as string])), count)
      }
      if (info.kind === 'counter')
        new Counter({
          ...shape,
          collect: function collect() {
            fill(this as Counter)
          },
        })
      else
        new Gauge({
          ...shape,
          collect: function collect() {
            fill(this as Gauge)
          },
        })
    }
    this.receive = receive as Histogram
    this.add('build', [version, process.version])
  }

  report(report: Report, about: About): void {
    const { listener } = about
    const route = about.route ?? ''
    switch (report.report) {
      case 'judged':
        return this.judged(report, route)
      case 'stream-opened':
        this.add('streamsActive', [report.side, listener])
        return this.add('streamsOpened', [report.side, listener])
      case 'stream-closed':
        this.add('streamsActive', [report.side, listener], -1)
        return this.add('streamsClosed', [report.side, listener, report.cause ?? ''])
      case 'session-opened':
        this.add('sessionsActive', [listener, route])
        return this.add('sessionsOpened', [listener, route])
      case 'session-closed':
        this.add('sessionsActive', [listener, route], -1)
        return this.add('sessionsClosed', [listener, route, report.cause])
      case 'connect-failed':
        return this.add('connectErrors', [report.upstream, report.reason])
      case 'stream-error':
        return this.add('streamErrors', [known(streamErrors, report.condition), report.side, report.by])
      case 'nonza':
        return this.add('nonzas', [report.from, report.verdict])
      case 'undecided':
        return this.add('undecided', [report.type, route])
      case 'transition':
        return this.add('transitions', [stateLabel(report.before), stateLabel(report.after ?? 'removed'), route])
      case 'request-failed':
        return this.add('failed', [known(definedConditions, report.condition), route])
    }
  }

  bytes(side: Side, way: 'received' | 'sent', count: number): void {
    this.add('bytes', [side, way], count)
  }

  took(seconds: number): void {
    this.receive.observe(seconds)
  }

  /** Nothing is watched any longer: what would keep the process alive ends. Called when the gate stops. */
  stop(): void {}

  fault(): void {
    this.add('faults', [])
  }

  /** One stanza, one count: under the rule that decided, else the first that would have, else the last that rewrote. */
  private judged({ from, kind, type, verdict, said }: Extract<Report, { report: 'judged' }>, route: string): void {
    for (const each of said) this.add('rules', [each.rule, each.verdict, each.mode, from, route])
    const deciding =
      said.find(each => each.mode === 'enforce' && each.verdict !== 'forward') ??
      said.find(each => each.mode === 'observe' && each.verdict !== 'forward') ??
      said.at(-1)
    this.add('stanzas', [
      kind,
      type,
      from,
      deciding?.verdict ?? verdict,
      deciding?.rule ?? 'none',
      deciding?.mode ?? 'enforce',
      route,
    ])
  }

  private add(name: Name, values: readonly string[], amount = 1): void {
    this.tallies.get(name)?.add(amount, values)
  }
}

function known(all: readonly string[], value: string): string {
  return all.includes(value) ? value : 'other'
}

/** `none`, `none+ask`, `to`, `from`, `from+ask`, `both`, `removed`; `unknown` when nothing was known before. */
function stateLabel(state: Visible | 'removed' | undefined): string {
  if (state === undefined) return 'unknown'
  if (state === 'removed') return state
  return state.ask ? `${state.subscription}+ask` : state.subscription
}
