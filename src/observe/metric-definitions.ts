/**
 * The definitions of all metrics, as data: for Prometheus, docs/metrics.md and the dashboards. Label values come from closed sets
 * or from the configuration, never from what a peer wrote.
 */

import { decisions } from '../account/account-requests.ts'
import { requestOutcomes, strangerClasses } from '../account/labels.ts'
import { type SubscriptionEventName, subscriptionEventNames } from '../account/subscription-history.ts'
import { requestAges } from '../account/waiting-requests.ts'
import { reloadOutcomes } from '../config/labels.ts'
import { certificateOutcomes, refusals, rejections } from '../listener/labels.ts'
import { rules } from '../rules/all-rules.ts'
import { modes } from '../rules/mode.ts'
import {
  causes,
  compensationOutcomes,
  connectFailures,
  negotiationStages,
  redeliveryOutcomes,
  resumptionOutcomes,
  rosterFetchEvents,
} from '../session/labels.ts'
import { phases } from '../session/negotiation.ts'
import { definedConditions, iqTypes, messageTypes, presenceTypes } from '../stanza/generated/types.ts'
import { kinds, subscriptionTypes } from '../stanza/stanza.ts'
import { typeLabel } from '../stanza/type-label.ts'
import { keptSessionEvents, recallOutcomes, storeOperations } from '../store/labels.ts'
import { wires } from '../stream/framing.ts'
import { streamErrors } from '../stream/item.ts'
import { seesContact, type Visible } from '../subscription/state.ts'
import { auditOutcomes } from './audit-file.ts'

/** A label's values: a closed set, or where in the configuration they are named. */
export type LabelValues = readonly string[] | { readonly configured: string }

export interface MetricInfo {
  readonly name: string
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly unit: string
  readonly help: string
  /** In the order in which a series' values are given. */
  readonly labels: Readonly<Record<string, LabelValues>>
  /** An example query. */
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
/** RFC 6120 section 6.5. */
const saslConditions = [
  'aborted',
  'account-disabled',
  'credentials-expired',
  'encryption-required',
  'incorrect-encoding',
  'invalid-authzid',
  'invalid-mechanism',
  'malformed-request',
  'mechanism-too-weak',
  'not-authorized',
  'temporary-auth-failure',
] as const
/** By stage; whatever a server says besides is `other`. */
export const negotiationConditions = {
  tls: ['handshake', 'not-offered'],
  sasl: [...saslConditions, 'other'],
  bind: [...definedConditions, 'other'],
} as const satisfies Record<(typeof negotiationStages)[number], readonly string[]>
const ruleNames = rules.map(rule => rule.name)
const carriedOut = modes.filter(mode => mode !== 'off')
const route = { configured: '`routes[].domain`' }
const listener = { configured: '`listeners[].name`' }
const upstream = { configured: 'the keys of `upstreams`' }
const member = { configured: '`address:port` of the upstream, or of one of its `members`' }

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
  received: {
    name: 'stanzagate_stanzas_received_total',
    kind: 'counter',
    unit: 'stanzas',
    help: 'Stanzas that the gate took from clients and from upstreams: each is judged once.',
    labels: { from: sides, kind: kinds, route },
    example:
      'sum by (kind) (rate(stanzagate_stanzas_received_total{from="client"}[5m])) - sum by (kind) (rate(stanzagate_stanzas_sent_total{to="upstream"}[5m]))',
  },
  sent: {
    name: 'stanzagate_stanzas_sent_total',
    kind: 'counter',
    unit: 'stanzas',
    help: 'Stanzas that the gate wrote to clients and to upstreams: what it forwarded, and answers of its own.',
    labels: { to: sides, kind: kinds, route },
    example: 'sum by (to, kind) (rate(stanzagate_stanzas_sent_total[5m]))',
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
  illegal: {
    name: 'stanzagate_subscription_illegal_transitions_total',
    kind: 'counter',
    unit: 'transitions',
    help: 'Roster pushes that moved an item as no single stanza does (RFC 6121 appendix A), once for each account.',
    labels: { before: states, after: states, upstream },
    example: 'sum by (upstream, before, after) (increase(stanzagate_subscription_illegal_transitions_total[1d])) > 0',
  },
  subscriptions: {
    name: 'stanzagate_subscription_events_total',
    kind: 'counter',
    unit: 'events',
    help: 'Requests, approvals, denials and ends of subscriptions, once for each account; out: by the user, in: by the contact.',
    labels: { event: subscriptionEventNames, route },
    example:
      'sum(increase(stanzagate_subscription_events_total{event="approval-in"}[1d])) / sum(increase(stanzagate_subscription_events_total{event="request-out"}[1d]))',
  },
  decision: {
    name: 'stanzagate_subscription_decision_seconds',
    kind: 'histogram',
    unit: 'seconds',
    help: "Time from a user's subscription request to the contact's answer as the gate saw it.",
    labels: { outcome: ['approved', 'denied'], route },
    example:
      'histogram_quantile(0.5, sum by (le, outcome) (rate(stanzagate_subscription_decision_seconds_bucket[1d])))',
  },
  decided: {
    name: 'stanzagate_subscription_decided_total',
    kind: 'counter',
    unit: 'stanzas',
    help: 'Approvals and denials of contacts whose state the gate knew, whatever came of them.',
    labels: { type: ['subscribed', 'unsubscribed'], route },
    example:
      'sum(rate(stanzagate_subscription_undecided_total[1h])) / (sum(rate(stanzagate_subscription_undecided_total[1h])) + sum(rate(stanzagate_subscription_decided_total[1h])))',
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
  clientStreams: {
    name: 'stanzagate_client_streams',
    kind: 'gauge',
    unit: 'streams',
    help: "Clients' streams at present, by wire, the gate's TLS and how far they have come.",
    labels: {
      wire: wires,
      tls: ['none', 'TLSv1.2', 'TLSv1.3', 'other'],
      phase: [...phases, 'closing'],
    },
    example: 'sum by (wire, tls) (stanzagate_client_streams{phase="bound"})',
  },
  negotiation: {
    name: 'stanzagate_negotiation_failures_total',
    kind: 'counter',
    unit: 'failures',
    help: "Steps of clients to a session that failed: TLS, SASL (the condition is the server's), binding a resource.",
    labels: {
      stage: negotiationStages,
      condition: [...new Set(Object.values(negotiationConditions).flat())],
      listener,
      route,
    },
    example: 'sum by (condition) (rate(stanzagate_negotiation_failures_total{stage="sasl"}[5m]))',
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
  expiry: {
    name: 'stanzagate_certificate_expiry_timestamp_seconds',
    kind: 'gauge',
    unit: 'seconds since 1970',
    help: "When the certificate in use at a listener with TLS expires; the server's own, not those of its chain.",
    labels: { listener },
    example: 'stanzagate_certificate_expiry_timestamp_seconds - time() < 14 * 86400',
  },
  refusedCertificate: {
    name: 'stanzagate_certificate_refused',
    kind: 'gauge',
    unit: 'certificates',
    help: 'Whether the files of the certificate of a listener with TLS hold one that cannot be used: 1 until they are mended; the one before stays in use.',
    labels: { listener },
    example: 'stanzagate_certificate_refused == 1',
  },
  reloads: {
    name: 'stanzagate_certificate_reloads_total',
    kind: 'counter',
    unit: 'reloads',
    help: 'Certificates read again, because their files have changed or on SIGHUP: loaded, or refused, and the old one stays.',
    labels: { listener, outcome: certificateOutcomes },
    example: 'increase(stanzagate_certificate_reloads_total{outcome="refused"}[1h]) > 0',
  },
  configReloads: {
    name: 'stanzagate_reloads_total',
    kind: 'counter',
    unit: 'reloads',
    help: 'Configurations read again, on SIGHUP or by POST /api/reload: applied, unchanged, or refused, and the one before stays in use.',
    labels: { outcome: reloadOutcomes },
    example: 'increase(stanzagate_reloads_total{outcome="refused"}[1h]) > 0',
  },
  audit: {
    name: 'stanzagate_audit_lines_total',
    kind: 'counter',
    unit: 'lines',
    help: 'Lines of the audit: written, or lost because the file could not be written or the disk was too slow.',
    labels: { outcome: auditOutcomes },
    example: 'increase(stanzagate_audit_lines_total{outcome="lost"}[1h]) > 0',
  },
  waitingRequests: {
    name: 'stanzagate_waiting_requests',
    kind: 'gauge',
    unit: 'requests',
    help: 'Subscription requests that wait for an answer, of the accounts in memory. outbound: of a user, which the contact has not answered; inbound: of a contact, which the user has not answered. By age: less than an hour, a day, a week; older; unknown: begun before the gate saw it.',
    labels: { direction: ['outbound', 'inbound'], age: requestAges },
    example: 'sum by (direction) (stanzagate_waiting_requests{age="older"})',
  },
  unacknowledged: {
    name: 'stanzagate_unacknowledged',
    kind: 'gauge',
    unit: 'stanzas',
    help: 'Subscription stanzas that were delivered to users and are neither affirmed nor denied (RFC 3921 section 9.4), of the accounts in memory, by age as in stanzagate_waiting_requests. Clients of today acknowledge subscribe alone: the other types go after 90 days, and say nothing bad.',
    labels: { type: subscriptionTypes, age: requestAges.filter(age => age !== 'unknown') },
    example: 'sum(stanzagate_unacknowledged{type="subscribe",age="older"})',
  },
  redeliveries: {
    name: 'stanzagate_redeliveries_total',
    kind: 'counter',
    unit: 'stanzas',
    help: 'With the rule redeliver-requests, unanswered subscription requests that the gate was to deliver again because the server does not. delivered; held: by the rule pending-requests; observed: it would have been delivered.',
    labels: { type: ['subscribe'], outcome: redeliveryOutcomes },
    example: 'sum by (outcome) (increase(stanzagate_redeliveries_total[1d]))',
  },
  rosterFetches: {
    name: 'stanzagate_roster_fetches_total',
    kind: 'counter',
    unit: 'events',
    help: 'With rules.unknown: fetch, rosters that the gate has asked for itself. asked; answered; failed: answered with an error; push: a push that was kept from a client that has not asked for its roster.',
    labels: { event: rosterFetchEvents },
    example: 'sum by (event) (increase(stanzagate_roster_fetches_total[1h]))',
  },
  memberUp: {
    name: 'stanzagate_upstream_member_up',
    kind: 'gauge',
    unit: '',
    help: '1: this member of an upstream gets streams, as far as its weight says. 0: it has failed, was ejected, and is asked again after a pause. An upstream of one member is never ejected.',
    labels: { upstream, member },
    example: 'stanzagate_upstream_member_up == 0',
  },
  memberSessions: {
    name: 'stanzagate_upstream_member_connections',
    kind: 'gauge',
    unit: 'connections',
    help: 'Connections of the gate to this member of an upstream, with those that are being made.',
    labels: { upstream, member },
    example: 'stanzagate_upstream_member_connections',
  },
  memberEjections: {
    name: 'stanzagate_upstream_member_ejections_total',
    kind: 'counter',
    unit: 'ejections',
    help: 'Times that this member of an upstream was ejected: it was not reached, or failed before a client saw anything of it.',
    labels: { upstream, member },
    example: 'increase(stanzagate_upstream_member_ejections_total[1h]) > 0',
  },
  failovers: {
    name: 'stanzagate_upstream_failovers_total',
    kind: 'counter',
    unit: 'attempts',
    help: 'Connection attempts that were made at another member after one had failed. The client notices nothing but the time.',
    labels: { upstream },
    example: 'rate(stanzagate_upstream_failovers_total[5m])',
  },
  compensations: {
    name: 'stanzagate_compensations_total',
    kind: 'counter',
    unit: 'subscriptions',
    help: 'Subscriptions that the server has granted unasked, by what the gate did; see rule subscription-needs-request. undone: taken back; failed: the server has not taken it back; limited: the account has had its share of the hour; observed: the rule only observes; passed: a roster push alone, without an approval, which the client got a second later.',
    labels: { outcome: compensationOutcomes, route },
    example: 'sum by (outcome) (increase(stanzagate_compensations_total[1h]))',
  },
  heldRequests: {
    name: 'stanzagate_held_requests',
    kind: 'gauge',
    unit: 'requests',
    help: 'Subscription requests of strangers that wait for room, of all accounts. See rule pending-requests.',
    labels: {},
    example: 'stanzagate_held_requests > 10000',
  },
  strangerRequests: {
    name: 'stanzagate_stranger_requests_total',
    kind: 'counter',
    unit: 'requests',
    help: 'Subscription requests of strangers, by class (the keys of limits.pendingRequests.strangers). shown: it has gone to the client; held: it waits; dropped: its class is; repeated: left out, it was shown and is not answered. With limits.pendingRequests only.',
    labels: { class: strangerClasses, outcome: requestOutcomes },
    example: 'sum by (class, outcome) (increase(stanzagate_stranger_requests_total[1d]))',
  },
  deniedRequests: {
    name: 'stanzagate_stranger_requests_denied_total',
    kind: 'counter',
    unit: 'requests',
    help: "Requests of strangers that were dropped and denied at the server, in the user's name. See limits.pendingRequests.denyDropped.",
    labels: {},
    example: 'increase(stanzagate_stranger_requests_denied_total[1d])',
  },
  releasedRequests: {
    name: 'stanzagate_held_requests_released_total',
    kind: 'counter',
    unit: 'requests',
    help: 'Held requests that have gone to their client because there was room.',
    labels: { route },
    example: 'sum(increase(stanzagate_held_requests_released_total[1d]))',
  },
  evictedRequests: {
    name: 'stanzagate_held_requests_evicted_total',
    kind: 'counter',
    unit: 'requests',
    help: 'Held requests that the gate has forgotten because an account, or all of them, had too many. The server still has them.',
    labels: {},
    example: 'increase(stanzagate_held_requests_evicted_total[1h]) > 0',
  },
  operatorDecisions: {
    name: 'stanzagate_held_requests_decided_total',
    kind: 'counter',
    unit: 'requests',
    help: 'Requests of strangers about which the operator has decided by the API or the console. release: shown whatever the limits say; deny: left out and not kept.',
    labels: { decision: decisions },
    example: 'sum by (decision) (increase(stanzagate_held_requests_decided_total[1d]))',
  },
  recalls: {
    name: 'stanzagate_store_recalls_total',
    kind: 'counter',
    unit: 'accounts',
    help: 'What the store knew of an account when it came into memory. found: its roster as it was kept; nothing: nothing was kept; late: the roster came first; failed: the store could not be asked; unreadable: what was kept is no account.',
    labels: { outcome: recallOutcomes },
    example: 'sum by (outcome) (increase(stanzagate_store_recalls_total[1h]))',
  },
  storeErrors: {
    name: 'stanzagate_store_errors_total',
    kind: 'counter',
    unit: 'calls',
    help: 'Calls of the store that have failed: load an account, save changes, forget old accounts, keep sessions for the next process, take one out. The traffic goes on without.',
    labels: { operation: storeOperations },
    example: 'sum by (operation) (increase(stanzagate_store_errors_total[10m])) > 0',
  },
  storeFailing: {
    name: 'stanzagate_store_failing',
    kind: 'gauge',
    unit: '1 or 0',
    help: '1: the last call of an operation of the store has failed, and nothing was written since. 0: the store works, or there is none.',
    labels: {},
    example: 'stanzagate_store_failing == 1',
  },
  storeSeconds: {
    name: 'stanzagate_store_seconds',
    kind: 'histogram',
    unit: 'seconds',
    help: 'Time that a call of the store took, also one that has failed.',
    labels: { operation: storeOperations },
    example: 'histogram_quantile(0.99, sum by (le, operation) (rate(stanzagate_store_seconds_bucket[5m])))',
  },
  keptSessions: {
    name: 'stanzagate_kept_sessions_total',
    kind: 'counter',
    unit: 'sessions',
    help: 'Resumable sessions across the end of the process. kept: for the next one; lost: the store failed, and they have ended; found: the client came back in time; expired: it came back too late; unreadable: what was kept is no session of this version.',
    labels: { event: keptSessionEvents },
    example: 'sum by (event) (increase(stanzagate_kept_sessions_total[1h]))',
  },
  storeWaiting: {
    name: 'stanzagate_store_waiting_accounts',
    kind: 'gauge',
    unit: 'accounts',
    help: 'Accounts with changes that are not in the store. Changes wait half a second, longer while the store fails.',
    labels: {},
    example: 'stanzagate_store_waiting_accounts > 1000',
  },
  storeGivenUp: {
    name: 'stanzagate_store_given_up_total',
    kind: 'counter',
    unit: 'accounts',
    help: 'Accounts whose changes were given up because too many waited for the store. It has what it had of them before.',
    labels: {},
    example: 'increase(stanzagate_store_given_up_total[1h]) > 0',
  },
  adminRefused: {
    name: 'stanzagate_admin_refused_total',
    kind: 'counter',
    unit: 'requests',
    help: 'Requests to the admin listener that were refused for want of the right token.',
    labels: {},
    example: 'increase(stanzagate_admin_refused_total[1h]) > 0',
  },
  rejected: {
    name: 'stanzagate_connections_refused_total',
    kind: 'counter',
    unit: 'connections',
    help: 'Connections not served: too many of one address, at a time or new ones; too many in all; the event loop late, or the heap nearly full; too many waiting.',
    labels: { listener, reason: rejections },
    example: 'sum by (listener, reason) (rate(stanzagate_connections_refused_total[5m])) > 0',
  },
  waiting: {
    name: 'stanzagate_connections_waiting',
    kind: 'gauge',
    unit: 'connections',
    help: 'Connections that wait to be served, when more come at once than are served well.',
    labels: {},
    example: 'stanzagate_connections_waiting > 0',
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
    help: 'Time that the session takes for one event: a stanza, or anything else that happens to it. The first event of a read is timed, for all of that read.',
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

/** What counts as which event of a subscription, and what tells of it. */
export const eventMeanings: Readonly<Record<SubscriptionEventName, string>> = {
  'request-out':
    "The user's `subscribe` goes out, and none is open: repeating one, or acknowledging what was granted, counts nothing.",
  'request-in':
    "A contact's `subscribe` reaches a client, the first time: other resources and later logins count nothing until it is answered, withdrawn, or the roster shows the contact as subscribed.",
  'approval-out': "A roster push shows that the contact sees the user's presence from now on.",
  'approval-in': "A roster push shows that the user sees the contact's presence from now on, and a request was open.",
  'denial-out': "The user's `unsubscribed` answers a request of the contact's.",
  'denial-in': 'A roster push takes back `ask` without granting anything, and the user has not given up.',
  'withdrawal-out':
    "A roster push ends the user's request or subscription after the user's `unsubscribe`, or removes the item.",
  'withdrawal-in':
    'The contact takes its request back, or a roster push ends its subscription and the user has not cancelled it.',
  'cancellation-out':
    "A roster push ends the contact's subscription after the user's `unsubscribed`, or removes the item.",
  'cancellation-in': "A roster push ends the user's subscription, and the user has not given up.",
  mutual: 'A roster push shows `both`, and what was before was not. It is counted besides the approval.',
  'pre-approval':
    "A roster push shows `approved` after the user's `subscribed`, which nobody had asked for (RFC 6121 section 3.4); Prosody 0.12 keeps pre-approvals and does not show them.",
}

export type MetricKey = keyof typeof metrics

/** One of `states`; a request for what is granted already is none. */
export function stateLabel(state: Visible): string {
  return state.ask && !seesContact(state) ? `${state.subscription}+ask` : state.subscription
}
