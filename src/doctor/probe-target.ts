/** What every probe of the doctor stands on. */
import type { Target } from '../upstream/dial.ts'
import type { Deadline } from './received-elements.ts'
import type { UpstreamStream } from './upstream-stream.ts'

/** The leg, before anybody has logged in on it. */
export interface ProbeTarget {
  readonly target: Target
  readonly domain: string
  /** A stream that was made as the gate makes it. */
  readonly leg: UpstreamStream
  readonly deadline: Deadline
  /** Bytes of the largest stanza that the gate takes from a client. */
  readonly clientBytes: number
}

/** What a probe needs did not come about; the message says what. */
export class CannotProbe extends Error {}
