/** Why streams and negotiations end or fail: the values of metrics' labels, which sessions report. This file imports nothing. */

/** Why an upstream could not be reached; also the metrics' label. */
export const connectFailures = [
  'refused',
  'timeout',
  'unreachable',
  'name',
  'tls',
  'starttls',
  'version',
  'lost',
] as const
export type ConnectFailure = (typeof connectFailures)[number]

/** Why a stream ended; also the metrics' label. */
export const causes = [
  'client-closed',
  'client-lost',
  'client-error',
  'upstream-closed',
  'upstream-lost',
  'upstream-error',
  'gate-error',
  'connect-failed',
  'not-served',
  'shutdown',
  'superseded',
  'timeout',
  'upstream-silent',
  'slow-client',
  'slow-upstream',
  'overload',
  'handed-over',
] as const
export type Cause = (typeof causes)[number]

export const resumptionOutcomes = ['resumed', 'refused', 'unknown'] as const
export type Resumption = (typeof resumptionOutcomes)[number]

/** Where the negotiation of a client's stream fails; also the metrics' label. */
export const negotiationStages = ['tls', 'sasl', 'bind'] as const
export type NegotiationStage = (typeof negotiationStages)[number]

/** What became of a subscription that the server has granted unasked; see compensation.ts. */
export const compensationOutcomes = ['undone', 'failed', 'limited', 'observed', 'passed'] as const
export type CompensationOutcome = (typeof compensationOutcomes)[number]

/** Of requests that the gate delivers again; see redelivery.ts. `held`: the rule pending-requests has; `observed`: they would be. */
export const redeliveryOutcomes = ['delivered', 'held', 'observed'] as const
export type RedeliveryOutcome = (typeof redeliveryOutcomes)[number]

/** Of the roster that the gate asks for itself; see roster-fetch.ts. */
export const rosterFetchEvents = ['asked', 'answered', 'failed', 'push'] as const
export type RosterFetchEvent = (typeof rosterFetchEvents)[number]
