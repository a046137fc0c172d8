/**
 * Series that exist with value 0 from the start. `rate` and `increase` compute differences: a counter that appears with 1 would
 * hide its first event, which for some alerts is the only one that matters.
 */
import type { ActiveRule } from '../rules/judge.ts'
import { kinds, type SubscriptionType, subscriptionTypes } from '../stanza/stanza.ts'
import type { Side } from '../stream/item.ts'
import { visibleSteps } from '../subscription/state.ts'
import { type MetricKey, metrics, sides, stateLabel, states, type verdicts } from './metric-definitions.ts'

/** The configured names that labels have. */
export interface ConfiguredLabels {
  /** Their domains. */
  readonly routes: readonly string[]
  readonly upstreams: readonly string[]
  readonly rules: readonly Pick<ActiveRule, 'mode' | 'rule'>[]
}

export type Initial = readonly [MetricKey, ...string[]]

/** A verdict that a rule can give, for which side's stanzas; for subscription stanzas, for which types. */
interface PossibleOutcome {
  readonly from: Side
  readonly verdict: (typeof verdicts)[number]
  readonly types: readonly SubscriptionType[]
}

type Outcome = readonly [verdict: PossibleOutcome['verdict'], mode: ActiveRule['mode']]

/** The verdicts by rule; none for a rule whose rewriting is routine. */
export const ruleOutcomes: ReadonlyMap<string, readonly PossibleOutcome[]> = new Map([
  ['from-is-bound-jid', [says('client', 'close', subscriptionTypes), says('client', 'forward', subscriptionTypes)]],
  ['presence-type', [says('client', 'reject')]],
  // A presence of type error is not answered: what would be rejected is dropped.
  ['presence-children', [says('client', 'reject', subscriptionTypes), says('client', 'drop')]],
  [
    'subscription-bare-jids',
    [
      says('client', 'reject', subscriptionTypes),
      says('client', 'forward', subscriptionTypes),
      says('upstream', 'forward', subscriptionTypes),
    ],
  ],
  ['outbound-requests', [says('client', 'reject', ['subscribe']), says('client', 'drop', ['subscribed'])]],
  ['iq-request-one-payload', [says('client', 'reject')]],
  ['roster-set-one-item', [says('client', 'reject')]],
  ['roster-version-held', []],
  ['roster-push-from-account', [says('upstream', 'reject')]],
  ['carbons-from-account', [says('upstream', 'drop')]],
  ['iq-answer-needs-request', [says('upstream', 'drop')]],
  ['subscription-needs-request', [says('upstream', 'drop', ['subscribed'])]],
  ['subscribed-needs-request', [says('upstream', 'drop', ['subscribed'])]],
  ['unsubscribed-needs-subscription', [says('upstream', 'drop', ['unsubscribed'])]],
  ['redeliver-requests', [says('upstream', 'forward', ['subscribe'])]],
  ['pending-requests', [says('upstream', 'drop', ['subscribe'])]],
])

/** A route has some 120 series, and a scrape takes 3 microseconds for each: where there are more, a route's begin with its events. */
const routesAtMost = 10

/** What can happen wherever clients come in. */
export function* initialSeries({ routes, upstreams, rules }: ConfiguredLabels): Iterable<Initial> {
  yield ['faults']
  yield ['waiting']
  for (const direction of metrics.waitingRequests.labels.direction)
    for (const age of metrics.waitingRequests.labels.age) yield ['waitingRequests', direction, age]
  for (const type of metrics.unacknowledged.labels.type)
    for (const age of metrics.unacknowledged.labels.age) yield ['unacknowledged', type, age]
  for (const outcome of metrics.redeliveries.labels.outcome) yield ['redeliveries', 'subscribe', outcome]
  yield ['adminRefused']
  for (const decision of metrics.operatorDecisions.labels.decision) yield ['operatorDecisions', decision]
  for (const outcome of metrics.configReloads.labels.outcome) yield ['configReloads', outcome]
  for (const outcome of metrics.audit.labels.outcome) yield ['audit', outcome]
  for (const event of metrics.rosterFetches.labels.event) yield ['rosterFetches', event]
  for (const outcome of metrics.recalls.labels.outcome) yield ['recalls', outcome]
  for (const operation of metrics.storeErrors.labels.operation) yield ['storeErrors', operation]
  for (const event of metrics.keptSessions.labels.event) yield ['keptSessions', event]
  yield ['storeFailing']
  yield ['storeWaiting']
  yield ['storeGivenUp']
  for (const side of sides) for (const way of metrics.bytes.labels.way) yield ['bytes', side, way]
  yield ['nonzas', 'client', 'reject']
  for (const from of sides) yield ['nonzas', from, 'drop']
  for (const condition of metrics.streamErrors.labels.condition) {
    // Only a client is told what is wrong with its stream.
    yield ['streamErrors', condition, 'client', 'gate']
    for (const side of sides) yield ['streamErrors', condition, side, 'peer']
  }
  for (const upstream of upstreams)
    for (const reason of metrics.connectErrors.labels.reason) yield ['connectErrors', upstream, reason]
  for (const upstream of withInitialSeries(upstreams)) for (const leap of leaps) yield ['illegal', ...leap, upstream]
  for (const route of withInitialSeries(routes)) {
    for (const side of sides)
      for (const kind of kinds) {
        yield ['received', side, kind, route]
        yield ['sent', side, kind, route]
      }
    yield* ofSubscriptions(route)
    for (const active of rules) yield* ofRule(active, route)
  }
}

/** What can happen at one listener. */
export function* initialOfListener(listener: string, { routes }: Pick<ConfiguredLabels, 'routes'>): Iterable<Initial> {
  const { cause: causes } = metrics.streamsClosed.labels
  for (const reason of metrics.rejected.labels.reason) yield ['rejected', listener, reason]
  for (const side of sides) {
    yield ['streamsOpened', side, listener]
    yield ['streamsActive', side, listener]
    for (const cause of causes) yield ['streamsClosed', side, listener, cause]
  }
  for (const route of withInitialSeries(routes)) {
    yield ['sessionsOpened', listener, route]
    yield ['sessionsActive', listener, route]
    for (const cause of causes) yield ['sessionsClosed', listener, route, cause]
    yield ['negotiation', 'sasl', 'not-authorized', listener, route]
  }
}

/** What can happen where a listener's proxies send a PROXY header. */
export function* initialOfFront(listener: string): Iterable<Initial> {
  for (const reason of metrics.refused.labels.reason) yield ['refused', listener, reason]
}

/** What can happen where a listener has a certificate. */
export function* initialOfCertificate(listener: string): Iterable<Initial> {
  for (const outcome of metrics.reloads.labels.outcome) yield ['reloads', listener, outcome]
}

/** What can happen to the requests of strangers, where they are held. */
export function* initialOfStrangers(): Iterable<Initial> {
  const { class: classes, outcome: outcomes } = metrics.strangerRequests.labels
  for (const each of classes) for (const outcome of outcomes) yield ['strangerRequests', each, outcome]
  yield ['deniedRequests']
}

function* ofSubscriptions(route: string): Iterable<Initial> {
  for (const type of subscriptionTypes)
    for (const from of sides) yield ['stanzas', 'presence', type, from, 'forward', 'none', 'enforce', route]
  for (const [before, after] of steps) yield ['transitions', before, after, route]
  for (const before of states) yield ['transitions', before, 'removed', route]
  for (const event of metrics.subscriptions.labels.event) yield ['subscriptions', event, route]
  for (const type of metrics.undecided.labels.type) {
    yield ['decided', type, route]
    yield ['undecided', type, route]
  }
  for (const condition of metrics.failed.labels.condition) yield ['failed', condition, route]
  yield ['releasedRequests', route]
  for (const outcome of metrics.compensations.labels.outcome) yield ['compensations', outcome, route]
}

function* ofRule({ rule: { name }, mode }: ConfiguredLabels['rules'][number], route: string): Iterable<Initial> {
  for (const { from, verdict: said, types } of ruleOutcomes.get(name) ?? []) {
    // What is put right goes on; what cannot be is observed.
    const outcomes: readonly Outcome[] =
      mode !== 'repair' || said === 'forward'
        ? [[said, mode]]
        : [
            ['forward', mode],
            [said, 'observe'],
          ]
    for (const [verdict, shown] of outcomes) {
      yield ['rules', name, verdict, shown, from, route]
      for (const type of types) yield ['stanzas', 'presence', type, from, verdict, name, shown, route]
    }
  }
}

/** What one stanza brings a roster from and to; removal comes besides. */
const steps = visibleSteps.map(([before, after]) => [stateLabel(before), stateLabel(after)] as const)
const leaps = states.flatMap(before =>
  states
    .filter(after => after !== before && !steps.some(step => step[0] === before && step[1] === after))
    .map(after => [before, after] as const),
)

/** The routes, or none if there are too many for their series to exist from the start. */
export function withInitialSeries(routes: readonly string[]): readonly string[] {
  return routes.length > routesAtMost ? [] : routes
}

function says(from: Side, verdict: PossibleOutcome['verdict'], types: PossibleOutcome['types'] = []): PossibleOutcome {
  return { from, verdict, types }
}
