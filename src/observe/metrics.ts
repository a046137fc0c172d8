/** The one place where reports become numbers; `table.ts` says which numbers there are. */
import { Histogram, Registry } from 'prom-client'
import type { Report } from '../session/event.ts'
import type { Side } from '../stream/item.ts'
import type { Refusal } from '../transport/front.ts'
import type { About, Watcher } from '../transport/relay.ts'
import { version } from '../version.ts'
import { type Initial, initialOfFront, initialOfListener, initialSeries, type Known } from './initial.ts'
import { type ProcessKey, ProcessWatch, processMetrics } from './process.ts'
import { type MetricInfo, type MetricKey, metrics, stateLabel } from './table.ts'
import { expose, Tally } from './tally.ts'

/** Seconds, from a few microseconds, which a stanza takes, to a tenth of a second, at which something is wrong. */
const buckets = [0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_5, 0.002, 0.01, 0.1]

/** Whoever makes Metrics calls `stop` in the end. */
export class Metrics implements Watcher {
  readonly registry = new Registry()
  private readonly known: Known
  private readonly tallies = new Map<MetricKey, Tally>()
  private readonly receive: Histogram
  private readonly process = new ProcessWatch()

  /** `known`: what is configured, whose series are then there from the beginning. */
  constructor(known: Known = { routes: [], upstreams: [], rules: [] }) {
    this.known = known
    const { name, help } = metrics.receive
    this.receive = new Histogram({ name, help, buckets, registers: [this.registry] })
    for (const [key, info] of Object.entries(metrics) as [MetricKey, MetricInfo][]) {
      if (info.kind === 'histogram') continue
      const tally = new Tally()
      this.tallies.set(key, tally)
      expose(this.registry, info, () => tally.series)
    }
    for (const [key, info] of Object.entries(processMetrics) as [ProcessKey, MetricInfo][])
      expose(this.registry, info, () => this.process.read(key))
    this.add('build', [version, process.version])
    this.begin(initialSeries(known))
  }

  /** This listener's series are there from now on. */
  serves(listener: string): void {
    this.begin(initialOfListener(listener, this.known))
  }

  /** So are those of its PROXY headers. */
  guards(listener: string): void {
    this.begin(initialOfFront(listener))
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
        return this.add('streamsClosed', [report.side, listener, report.cause ?? 'gate-error'])
      case 'session-opened':
        this.add('sessionsActive', [listener, route])
        return this.add('sessionsOpened', [listener, route])
      case 'session-closed':
        this.add('sessionsActive', [listener, route], -1)
        return this.add('sessionsClosed', [listener, route, report.cause])
      case 'connect-failed':
        return this.add('connectErrors', [report.upstream, report.reason])
      case 'stream-error':
        return this.add('streamErrors', [
          oneOf(metrics.streamErrors.labels.condition, report.condition),
          report.side,
          report.by,
        ])
      case 'nonza':
        return this.add('nonzas', [report.from, report.verdict])
      case 'resumption':
        return this.add('resumptions', [report.outcome, route])
      case 'undecided':
        return this.add('undecided', [report.type, route])
      case 'transition':
        return this.add('transitions', [
          report.before === undefined ? 'unknown' : stateLabel(report.before),
          report.after === undefined ? 'removed' : stateLabel(report.after),
          route,
        ])
      case 'request-failed':
        return this.add('failed', [oneOf(metrics.failed.labels.condition, report.condition), route])
    }
  }

  bytes(side: Side, way: 'received' | 'sent', count: number): void {
    this.add('bytes', [side, way], count)
  }

  took(seconds: number): void {
    this.receive.observe(seconds)
  }

  refused(reason: Refusal, listener: string): void {
    this.add('refused', [listener, reason])
  }

  fault(): void {
    this.add('faults', [])
  }

  /** What watches the process ends. The numbers can still be asked for. */
  stop(): void {
    this.process.stop()
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

  private begin(series: Iterable<Initial>): void {
    for (const [key, ...values] of series) this.add(key, values, 0)
  }

  private add(key: MetricKey, values: readonly string[], amount = 1): void {
    this.tallies.get(key)?.add(values, amount)
  }
}

function oneOf(all: readonly string[], value: string): string {
  return all.includes(value) ? value : 'other'
}
