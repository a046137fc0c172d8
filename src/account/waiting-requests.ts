/** Subscription requests that wait for an answer, by age; also values of a metric's labels. */
import type { Direction } from '../subscription/state.ts'

/** `hour`: less than an hour, and so on; `unknown`: it has begun before the gate saw it. */
export const requestAges = ['hour', 'day', 'week', 'older', 'unknown'] as const
export type RequestAge = (typeof requestAges)[number]

export interface WaitingRequest {
  /** `outbound`: of the user's, which the contact has not answered; `inbound`: of a contact's, which the user has not answered. */
  readonly direction: Direction
  /** Milliseconds since 1970; `undefined`: not known. */
  readonly since: number | undefined
}

const hour = 3_600_000

/** `now`: milliseconds since 1970. */
export function ageOf({ since }: Pick<WaitingRequest, 'since'>, now: number): RequestAge {
  if (since === undefined) return 'unknown'
  const age = now - since
  if (age < hour) return 'hour'
  if (age < 24 * hour) return 'day'
  return age < 7 * 24 * hour ? 'week' : 'older'
}
