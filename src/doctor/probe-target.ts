/** The stream and the limits that every probe uses. */
import type { Target } from '../upstream/dial.ts'
import type { Deadline } from './received-elements.ts'
import type { UpstreamStream } from './upstream-stream.ts'

/** A stream to the server before a login. */
export interface ProbeTarget {
  readonly target: Target
  readonly domain: string
  /** A stream that was made as the gate makes it. */
  readonly leg: UpstreamStream
  readonly deadline: Deadline
  /** Bytes of the largest stanza that the gate takes from a client. */
  readonly clientBytes: number
}

/** The condition of a probe was not met; the message says which. */
export class CannotProbe extends Error {}
