/**
 * Every metric of the gate, as data: what Prometheus is told, what docs/metrics.md and the README show, and what the dashboards may
 * ask for. Labels have closed sets of values or names from the configuration; never what a peer wrote.
 */
import { modes } from '../rules/mode.ts'
import { rules } from '../rules/table.ts'
import { causes, connectFailures, resumptionOutcomes } from '../session/event.ts'
import { definedConditions, iqTypes, messageTypes, presenceTypes } from '../stanza/generated/types.ts'
import { kinds } from '../stanza/stanza.ts'
import { typeLabel } from '../stanza/type-label.ts'
import { streamErrors } from '../stream/item.ts'
import type { Visible } from '../subscription/state.ts'
import { refusals } from '../transport/front.ts'

/** A label's values: a closed set, or where in the configuration they are named. */
export type LabelValues = readonly string[] | { readonly configured: string }

export interface MetricInfo {
  readonly name: string
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly unit: string
  readonly help: string
  /** In the order in which a series' values are given. */
  readonly labels: Readonly<Record<string, LabelValues>>
  /** A query to begin with. */
  readonly example: string
}

export const sides = ['client', 'upstream'] as const
export const verdicts = ['forward', 'reject', 'drop', 'close'] as const
/** What a roster shows of a subscription; `+ask`: a request of the user's is pending. */
export const states = ['none', 'none+ask', 'to', 'from', 'from+ask', 'both'] as const
const types = [
  ...new Set([
    ...kinds.map(kind => typeLabel(kind, undefined)),
    ...presenceTypes,
    ...messageTypes,
    ...iqTypes,
    'other',
  ]),
]
const ruleNames = rules.map(rule => rule.name)
const carriedOut = modes.filter(mode => mode !== 'off')
const route = { configured: '`routes[].domain`' }
const listener = { configured: '`listeners[].name`' }
const upstream = { configured: 'the keys of `upstreams`' }

export const metrics = {
  stanzas: {
    name: 'stanzagate_stanzas_total',
    kind: 'counter',
    unit: 'stanzas',
    help: 'Stanzas by what became of them, each counted once; mode observe: the verdict that would have been, the stanza was forwarded.',
    labels: {
      kind: kinds,
      type: types,
      from: sides,
      verdict: verdicts,
      rule: ['none', ...ruleNames],
      mode: carriedOut,
      route,
    },
    example: 'sum by (type) (rate(stanzagate_stanzas_total{kind="presence",from="client"}[5m]))',
  },
  rules: {
    name: 'stanzagate_rule_decisions_total',
    kind: 'counter',
    unit: 'decisions',
    help: 'What the rules said; a stanza is counted under every rule that spoke.',
    labels: { rule: ruleNames, verdict: verdicts, mode: carriedOut, from: sides, route },
    example: 'sum by (rule) (increase(stanzagate_rule_decisions_total{mode="observe",verdict!="forward"}[1d]))',
  },
  resumptions: {
    name: 'stanzagate_stream_resumptions_total',
    kind: 'counter',
    unit: 'resumptions',
    help: 'Streams that a client asked to resume (XEP-0198): resumed, refused by the server, or unknown to the gate.',
    labels: { outcome: resumptionOutcomes, route },
    example: 'sum by (outcome) (rate(stanzagate_stream_resumptions_total[5m]))',
  },
  transitions: {
    name: 'stanzagate_subscription_transitions_total',
    kind: 'counter',
    unit: 'transitions',
    help: 'Roster pushes that moved an item from one subscription state to another, once for each account.',
    labels: { before: ['unknown', ...states], after: [...states, 'removed'], route },
    example: 'sum by (before, after) (increase(stanzagate_subscription_transitions_total[1h]))',
  },
  undecided: {
    name: 'stanzagate_subscription_undecided_total',
    kind: 'counter',
    unit: 'stanzas',
    help: 'Approvals and denials that passed unverified: nothing is known of the contact.',
    labels: { type: ['subscribed', 'unsubscribed'], route },
    example: 'sum by (type) (rate(stanzagate_subscription_undecided_total[5m]))',
  },
  failed: {
    name: 'stanzagate_subscription_requests_failed_total',
    kind: 'counter',
    unit: 'requests',
    help: 'Subscription requests that were answered with an error.',
    labels: { condition: [...definedConditions, 'other'], route },
    example: 'sum by (condition) (rate(stanzagate_subscription_requests_failed_total[5m]))',
  },
  nonzas: {
    name: 'stanzagate_nonzas_total',
    kind: 'counter',
    unit: 'elements',
    help: 'First-level elements that are no stanzas and were answered or left out by the gate.',
    labels: { from: sides, verdict: ['reject', 'drop'] },
    example: 'sum by (from, verdict) (rate(stanzagate_nonzas_total[5m]))',
  },
  sessionsOpened: {
    name: 'stanzagate_sessions_opened_total',
    kind: 'counter',
    unit: 'sessions',
    help: 'Sessions: resources that were bound.',
    labels: { listener, route },
    example: 'sum by (route) (rate(stanzagate_sessions_opened_total[5m]))',
  },
  sessionsClosed: {
    name: 'stanzagate_sessions_closed_total',
    kind: 'counter',
    unit: 'sessions',
    help: 'Sessions that ended, by cause.',
    labels: { listener, route, cause: causes },
    example: 'sum by (cause) (rate(stanzagate_sessions_closed_total[5m]))',
  },
  sessionsActive: {
    name: 'stanzagate_sessions_active',
    kind: 'gauge',
    unit: 'sessions',
    help: 'Sessions at present: opened - closed.',
    labels: { listener, route },
    example: 'sum by (route) (stanzagate_sessions_active)',
  },
  streamsOpened: {
    name: 'stanzagate_streams_opened_total',
    kind: 'counter',
    unit: 'streams',
    help: 'Transports of streams: accepted from clients, dialled to upstreams.',
    labels: { side: sides, listener },
    example: 'sum by (listener) (rate(stanzagate_streams_opened_total{side="client"}[5m]))',
  },
  streamsClosed: {
    name: 'stanzagate_streams_closed_total',
    kind: 'counter',
    unit: 'streams',
    help: 'Transports of streams that ended, by cause.',
    labels: { side: sides, listener, cause: causes },
    example: 'sum by (cause) (rate(stanzagate_streams_closed_total{side="client"}[5m]))',
  },
  streamsActive: {
    name: 'stanzagate_streams_active',
    kind: 'gauge',
    unit: 'streams',
    help: 'Transports of streams at present: opened - closed.',
    labels: { side: sides, listener },
    example: 'sum by (side) (stanzagate_streams_active)',
  },
  streamErrors: {
    name: 'stanzagate_stream_errors_total',
    kind: 'counter',
    unit: 'stream errors',
    help: 'Stream errors by condition; by gate: sent to that side, by peer: received from it.',
    labels: { condition: [...streamErrors, 'other'], side: sides, by: ['gate', 'peer'] },
    example: 'sum by (condition) (increase(stanzagate_stream_errors_total{side="client",by="gate"}[1h]))',
  },
  connectErrors: {
    name: 'stanzagate_upstream_connect_errors_total',
    kind: 'counter',
    unit: 'attempts',
    help: 'Upstreams that could not be reached, by reason.',
    labels: { upstream, reason: connectFailures },
    example: 'sum by (upstream, reason) (increase(stanzagate_upstream_connect_errors_total[5m])) > 0',
  },
  refused: {
    name: 'stanzagate_proxy_protocol_refused_total',
    kind: 'counter',
    unit: 'connections',
    help: 'Connections closed for their PROXY header: sent by an address that is not trusted; or by a trusted one missing, malformed or late.',
    labels: { listener, reason: refusals },
    example: 'sum by (listener, reason) (increase(stanzagate_proxy_protocol_refused_total[5m])) > 0',
  },
  bytes: {
    name: 'stanzagate_transport_bytes_total',
    kind: 'counter',
    unit: 'bytes',
    help: 'Bytes of streams, without what TLS adds.',
    labels: { side: sides, way: ['received', 'sent'] },
    example: 'sum by (side, way) (rate(stanzagate_transport_bytes_total[5m]))',
  },
  receive: {
    name: 'stanzagate_session_receive_seconds',
    kind: 'histogram',
    unit: 'seconds',
    help: 'Time that the session takes for one event: a stanza, or anything else that happens to it.',
    labels: {},
    example: 'histogram_quantile(0.99, sum by (le) (rate(stanzagate_session_receive_seconds_bucket[5m])))',
  },
  faults: {
    name: 'stanzagate_session_faults_total',
    kind: 'counter',
    unit: 'sessions',
    help: 'Sessions that were ended because of an error in the gate itself.',
    labels: {},
    example: 'increase(stanzagate_session_faults_total[1h]) > 0',
  },
  build: {
    name: 'stanzagate_build_info',
    kind: 'gauge',
    unit: 'none',
    help: 'Always 1; the labels say what runs.',
    labels: {
      version: { configured: "the gate's version" },
      node: { configured: "Node's version" },
    },
    example: 'count by (version, node) (stanzagate_build_info)',
  },
} as const satisfies Record<string, MetricInfo>

export type MetricKey = keyof typeof metrics

/** One of `states`. */
export function stateLabel({ subscription, ask }: Visible): string {
  return ask ? `${subscription}+ask` : subscription
}
