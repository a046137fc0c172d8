/** Counts reports. `metric-definitions.ts` has the metrics. */

import { Histogram, Registry } from 'prom-client'
import type { Decision } from '../account/account-requests.ts'
import type { UnacknowledgedStanza } from '../account/unacknowledged.ts'
import { ageOf, type WaitingRequest } from '../account/waiting-requests.ts'
import type { ReloadOutcome } from '../config/labels.ts'
import type { certificateOutcomes, Rejection } from '../listener/labels.ts'
import { type Refusal, refusals } from '../listener/labels.ts'
import type { About, StreamState, Watcher } from '../relay/watcher.ts'
import { decidingOf, type Judged } from '../session/judgement-report.ts'
import type { Report } from '../session/report.ts'
import type { Kind } from '../stanza/stanza.ts'
import type { KeptSessionEvent, RecallOutcome, StoreOperation } from '../store/labels.ts'
import type { StoreWatcher } from '../store/stored-accounts.ts'
import type { Side } from '../stream/item.ts'
import { isStep } from '../subscription/state.ts'
import { type MemberView, nameOf } from '../upstream/pool.ts'
import type { PoolView } from '../upstream/upstreams.ts'
import { version } from '../version.ts'
import type { AuditOutcome } from './audit-file.ts'
import {
  type ConfiguredLabels,
  type Initial,
  initialOfCertificate,
  initialOfFront,
  initialOfListener,
  initialOfStrangers,
  initialSeries,
  withInitialSeries,
} from './initial-series.ts'
import { expose, LabelCounts, type Series } from './label-counts.ts'
import { type MetricInfo, type MetricKey, metrics, negotiationConditions, stateLabel } from './metric-definitions.ts'
import { type ProcessKey, ProcessWatch, processMetrics } from './process-metrics.ts'
import { UnlabelledHistogram } from './unlabelled-histogram.ts'

/** Seconds, from a few microseconds, which a stanza takes, to a tenth of a second, at which something is wrong. */
const buckets = [0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_5, 0.002, 0.01, 0.1]
/** Seconds, from a minute to four weeks: people decide. */
const decisionBuckets = [60, 600, 3_600, 21_600, 86_400, 259_200, 604_800, 2_419_200]
/** Seconds, from a look into memory to a store that may as well be down. */
const storeBuckets = [0.000_1, 0.001, 0.005, 0.02, 0.1, 0.5, 2, 10]

/** What is counted of a member, by metric. */
const memberCounts: Partial<Record<MetricKey, (member: MemberView) => number>> = {
  memberUp: ({ state }) => (state === 'ejected' ? 0 : 1),
  memberSessions: ({ sessions }) => sessions,
  memberEjections: ({ ejections }) => ejections,
}

function seriesOfMembers(pools: Iterable<PoolView>, countOf: (member: MemberView) => number): Series[] {
  return [...pools].flatMap(({ upstream, members }) =>
    members.map(member => ({ values: [upstream, nameOf(member)], count: countOf(member) })),
  )
}

/** Requests that are held at present, and those that were forgotten since the beginning. */
interface HeldRequestCounts {
  readonly size: number
  readonly evicted: number
}

/** The metrics of one gate. `stop` must be called in the end. */
export class Metrics implements Watcher, StoreWatcher {
  readonly registry = new Registry()
  /** The same numbers; those of the rules lead to the decision that was counted last. */
  readonly openMetrics: Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE> = new Registry()
  private known: ConfiguredLabels
  private readonly listeners = new Set<string>()
  private readonly tallies = new Map<MetricKey, LabelCounts>()
  private readonly receive: UnlabelledHistogram
  private readonly decision: Histogram<'outcome' | 'route'>
  private readonly store: Histogram<'operation'>
  private readonly process = new ProcessWatch()
  private readonly time: () => number
  /** Series that nearly every stanza counts: by route and type, then by `slotOf`; by route, then by `slotOf`; by side and way. */
  private readonly plainSeries = new Map<string, SlotsByName>()
  private readonly sentSeries: SlotsByName = new Map()
  private readonly byteSeries: Series[] = []
  private clientStreams: () => Iterable<StreamState> = () => []
  private waitingRequests: () => Iterable<WaitingRequest> = () => []
  private pools: () => Iterable<PoolView> = () => []
  private unacknowledged: (now: number) => Iterable<UnacknowledgedStanza> = () => []
  private held: () => HeldRequestCounts = () => ({ size: 0, evicted: 0 })

  /** `known`: what is configured, whose series are then there from the beginning. `time`: milliseconds since 1970. */
  constructor(known: ConfiguredLabels = { routes: [], upstreams: [], rules: [] }, time: () => number = Date.now) {
    this.known = known
    this.time = time
    this.openMetrics.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
    const registers = [this.registry, this.openMetrics]
    const { receive, decision, storeSeconds } = metrics
    this.receive = new UnlabelledHistogram({ name: receive.name, help: receive.help, buckets, registers })
    const labelNames = ['outcome', 'route'] as const
    const { name, help } = decision
    this.decision = new Histogram({ name, help, labelNames, buckets: decisionBuckets, registers })
    this.store = new Histogram({
      name: storeSeconds.name,
      help: storeSeconds.help,
      labelNames: ['operation'] as const,
      buckets: storeBuckets,
      registers,
    })
    for (const operation of storeSeconds.labels.operation) this.store.zero({ operation })
    for (const [key, info] of Object.entries(metrics) as [MetricKey, MetricInfo][]) {
      if (info.kind === 'histogram') continue
      const tally = new LabelCounts()
      this.tallies.set(key, tally)
      expose(registers, info, this.readerOf(key, tally))
    }
    for (const [key, info] of Object.entries(processMetrics) as [ProcessKey, MetricInfo][])
      expose(registers, info, () => this.process.read(key))
    this.add('build', [version, process.version])
    this.begin(initialSeries(known))
    for (const route of withInitialSeries(known.routes))
      for (const outcome of metrics.decision.labels.outcome) this.decision.zero({ outcome, route })
  }

  /** This listener's series are there from now on. */
  serves(listener: string): void {
    this.listeners.add(listener)
    this.begin(initialOfListener(listener, this.known))
  }

  /** The series of this listener's PROXY headers exist from now on. */
  guards(listener: string): void {
    this.begin(initialOfFront(listener))
  }

  /** Whom to ask, at each scrape, for the clients' streams that there are. */
  counts(clientStreams: () => Iterable<StreamState>): void {
    this.clientStreams = clientStreams
  }

  /** Whom to ask, at each scrape, for the upstreams' members. */
  countsMembers(pools: () => Iterable<PoolView>): void {
    this.pools = pools
  }

  /** Whom to ask, at each scrape, for the requests that wait for an answer. */
  countsRequests(waitingRequests: () => Iterable<WaitingRequest>): void {
    this.waitingRequests = waitingRequests
  }

  /** Whom to ask, at each scrape, for what is not acknowledged. */
  countsUnacknowledged(unacknowledged: (now: number) => Iterable<UnacknowledgedStanza>): void {
    this.unacknowledged = unacknowledged
  }

  /** Whom to ask, at each scrape, for the requests that are held. */
  holds(held: () => HeldRequestCounts): void {
    this.held = held
    this.begin(initialOfStrangers())
  }

  /** At this listener TLS did not come about before there was a stream. */
  handshakeFailed(listener: string): void {
    this.add('negotiation', ['tls', 'handshake', listener, ''])
  }

  /** A listener's certificate in use expires then; seconds since 1970. */
  certified(listener: string, expiry: number): void {
    this.begin(initialOfCertificate(listener))
    this.tallies.get('expiry')?.set([listener], expiry)
    this.tallies.get('refusedCertificate')?.set([listener], 0)
  }

  /** What became of a listener's certificate that was read again. */
  reloaded(listener: string, outcome: (typeof certificateOutcomes)[number]): void {
    this.add('reloads', [listener, outcome])
    if (outcome === 'refused') this.tallies.get('refusedCertificate')?.set([listener], 1)
  }

  /** What is configured from now on; series that are there stay. */
  knows(rules: ConfiguredLabels['rules'], routes: ConfiguredLabels['routes']): void {
    const isNew = (route: string) => !this.known.routes.includes(route)
    const added = withInitialSeries(routes).filter(isNew)
    this.known = { ...this.known, rules, routes }
    this.begin(initialSeries(this.known))
    for (const each of this.listeners) this.begin(initialOfListener(each, this.known))
    for (const route of added)
      for (const outcome of metrics.decision.labels.outcome) this.decision.zero({ outcome, route })
  }

  /** What became of a configuration that was read again. */
  reloadedConfig(outcome: ReloadOutcome): void {
    this.add('configReloads', [outcome])
  }

  /** The operator has released or denied a held request. */
  decidedRequest(decision: Decision): void {
    this.add('operatorDecisions', [decision])
  }

  /** A request to the admin listener had no right token. */
  adminRefused(): void {
    this.add('adminRefused', [])
  }

  /** So many lines of the audit were written, or lost. */
  audited(outcome: AuditOutcome, lines: number): void {
    this.add('audit', [outcome], lines)
  }

  storeCalled(operation: StoreOperation, seconds: number, fails: boolean, error?: unknown): void {
    this.store.observe({ operation }, seconds)
    this.tallies.get('storeFailing')?.set([], fails ? 1 : 0)
    if (error !== undefined) this.add('storeErrors', [operation])
  }

  recalled(outcome: RecallOutcome): void {
    this.add('recalls', [outcome])
  }

  /** This has become of so many resumable sessions that are kept across the process. */
  sessionsKept(event: KeptSessionEvent, sessions: number): void {
    this.add('keptSessions', [event], sessions)
  }

  storeWaits(accounts: number): void {
    this.tallies.get('storeWaiting')?.set([], accounts)
  }

  storeGaveUp(accounts: number): void {
    this.add('storeGivenUp', [], accounts)
  }

  report(report: Report, about: About): void {
    const { listener } = about
    const route = about.route ?? ''
    switch (report.report) {
      case 'judged':
        return this.judged(report, route, about.decision)
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
      case 'roster-fetch':
        return this.add('rosterFetches', [report.event])
      case 'stranger-request':
        return this.add('strangerRequests', [report.class, report.outcome])
      case 'request-denied':
        return this.add('deniedRequests', [])
      case 'compensation':
        return this.add('compensations', [report.outcome, route])
      case 'request-released':
        return this.add('releasedRequests', [route])
      case 'redelivery':
        return this.add('redeliveries', [report.type, report.outcome])
      case 'resumption':
        return this.add('resumptions', [report.outcome, route])
      case 'decided':
      case 'undecided':
        return this.add(report.report, [report.type, route])
      case 'transition':
        return this.moved(report, route, about.upstream ?? '')
      case 'subscription':
        return this.happened(report, route)
      case 'negotiation-failed': {
        const { stage, condition } = report
        return this.add('negotiation', [stage, oneOf(negotiationConditions[stage], condition), listener, route])
      }
      case 'request-failed':
        return this.add('failed', [oneOf(metrics.failed.labels.condition, report.condition), route])
    }
  }

  /** A stanza that just goes on is counted as `judged` counts it, on a shorter way to the number. */
  plain({ from, kind, type, verdict }: Judged, route = ''): void {
    const slots = slotsOf(slotsByTypeOf(this.plainSeries, route), type)
    const slot = slotOf(from, kind)
    slots[slot] ??= this.seriesOf('stanzas', [kind, type, from, verdict, 'none', 'enforce', route])
    slots[slot].count++
  }

  sent(to: Side, kind: Kind, route = ''): void {
    const slots = slotsOf(this.sentSeries, route)
    const slot = slotOf(to, kind)
    slots[slot] ??= this.seriesOf('sent', [to, kind, route])
    slots[slot].count++
  }

  bytes(side: Side, way: 'received' | 'sent', count: number): void {
    const slot = (side === 'client' ? 0 : 2) + (way === 'received' ? 0 : 1)
    this.byteSeries[slot] ??= this.seriesOf('bytes', [side, way])
    this.byteSeries[slot].count += count
  }

  handled(seconds: number, events: number): void {
    this.receive.observeAll(seconds, events)
  }

  refused(reason: Refusal | Rejection, listener: string): void {
    this.add(isOfHeader(reason) ? 'refused' : 'rejected', [listener, reason])
  }

  /** So many more connections wait to be served. */
  waits(change: number): void {
    this.add('waiting', [], change)
  }

  fault(): void {
    this.add('faults', [])
  }

  /** Stops the observers of the process. The numbers can still be read. */
  stop(): void {
    this.process.stop()
  }

  /** One stanza, one count: under the rule that decided, else the first that would have, else the last that rewrote. */
  private judged(
    { from, kind, type, verdict, said }: Extract<Report, { report: 'judged' }>,
    route: string,
    decision: string | undefined,
  ): void {
    for (const each of said) this.decided([each.rule, each.verdict, each.mode, from, route], decision)
    const deciding = decidingOf(said)
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

  private decided(values: readonly string[], decision: string | undefined): void {
    const labelSet = decision === undefined ? undefined : { decision_id: decision }
    const exemplar = labelSet && { labelSet, value: 1, timestamp: this.time() / 1_000 }
    this.tallies.get('rules')?.add(values, 1, exemplar)
  }

  private moved({ before, after }: Extract<Report, { report: 'transition' }>, route: string, upstream: string): void {
    const was = before === undefined ? 'unknown' : stateLabel(before)
    const is = after === undefined ? 'removed' : stateLabel(after)
    this.add('transitions', [was, is, route])
    if (before !== undefined && !isStep(before, after)) this.add('illegal', [was, is, upstream])
  }

  private happened({ event, seconds }: Extract<Report, { report: 'subscription' }>, route: string): void {
    this.add('subscriptions', [event, route])
    if (seconds === undefined) return
    this.decision.observe({ outcome: event === 'approval-in' ? 'approved' : 'denied', route }, seconds)
  }

  private readerOf(key: MetricKey, tally: LabelCounts): () => Iterable<Series> {
    if (key === 'received') return () => this.readReceived(tally)
    if (key === 'waitingRequests') return () => this.readWaitingRequests(tally)
    if (key === 'unacknowledged') return () => this.readUnacknowledged(tally)
    if (key === 'heldRequests') return () => [{ values: [], count: this.held().size }]
    if (key === 'evictedRequests') return () => [{ values: [], count: this.held().evicted }]
    if (key === 'clientStreams') return () => this.readStreams(tally)
    const memberCount = memberCounts[key]
    if (memberCount !== undefined) return () => seriesOfMembers(this.pools(), memberCount)
    if (key === 'failovers')
      return () => [...this.pools()].map(({ upstream, failovers }) => ({ values: [upstream], count: failovers }))
    return () => tally.series
  }

  /** A judged stanza was received, so received stanzas are counted from here. `tally`: the counts that exist with 0. */
  private readReceived(tally: LabelCounts): Iterable<Series> {
    const read = new LabelCounts()
    for (const { values } of tally.series) read.add(values, 0)
    for (const { values, count } of this.tallies.get('stanzas')?.series ?? []) {
      const [kind, , from, , , , route] = values as [string, string, string, string, string, string, string]
      read.add([from, kind, route], count)
    }
    return read.series
  }

  private readWaitingRequests(tally: LabelCounts): Iterable<Series> {
    const now = this.time()
    for (const series of tally.series) series.count = 0
    for (const request of this.waitingRequests()) tally.add([request.direction, ageOf(request, now)], 1)
    return tally.series
  }

  private readUnacknowledged(tally: LabelCounts): Iterable<Series> {
    const now = this.time()
    for (const series of tally.series) series.count = 0
    for (const stanza of this.unacknowledged(now)) tally.add([stanza.type, ageOf(stanza, now)], 1)
    return tally.series
  }

  /** A series that existed once stays, with 0. */
  private readStreams(tally: LabelCounts): Iterable<Series> {
    for (const series of tally.series) series.count = 0
    const { tls: versions } = metrics.clientStreams.labels
    for (const { wire, tls, phase } of this.clientStreams()) tally.add([wire, oneOf(versions, tls), phase], 1)
    return tally.series
  }

  private begin(series: Iterable<Initial>): void {
    for (const [key, ...values] of series) this.add(key, values, 0)
  }

  private seriesOf(key: MetricKey, values: readonly string[]): Series {
    return (this.tallies.get(key) as LabelCounts).of(values)
  }

  private add(key: MetricKey, values: readonly string[], amount = 1): void {
    this.tallies.get(key)?.add(values, amount)
  }
}

const kindSlots: Readonly<Record<Kind, number>> = { message: 0, presence: 1, iq: 2 }

function slotOf(side: Side, kind: Kind): number {
  return (side === 'client' ? 0 : 3) + kindSlots[kind]
}

type SlotsByName = Map<string, Series[]>

function slotsOf(slots: SlotsByName, name: string): Series[] {
  const found = slots.get(name)
  if (found !== undefined) return found
  const made: Series[] = []
  slots.set(name, made)
  return made
}

function slotsByTypeOf(routes: Map<string, SlotsByName>, route: string): SlotsByName {
  const found = routes.get(route)
  if (found !== undefined) return found
  const made: SlotsByName = new Map()
  routes.set(route, made)
  return made
}

function isOfHeader(reason: Refusal | Rejection): reason is Refusal {
  return (refusals as readonly string[]).includes(reason)
}

function oneOf(all: readonly string[], value: string): string {
  return all.includes(value) ? value : 'other'
}
