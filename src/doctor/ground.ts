/** What every probe of the doctor stands on. */
import type { Target } from '../upstream/dial.ts'
import type { Leg } from './leg.ts'
import type { Deadline } from './mailbox.ts'

/** The leg, before anybody has logged in on it. */
export interface Ground {
  readonly target: Target
  readonly domain: string
  /** A stream that was made as the gate makes it. */
  readonly leg: Leg
  readonly deadline: Deadline
  /** Bytes of the largest stanza that the gate takes from a client. */
  readonly clientBytes: number
}

/** What a probe needs did not come about; the message says what. */
export class Unfit extends Error {}
