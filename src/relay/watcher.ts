/** What watchers are told of a gate's sessions. Metrics, log, audit, offenders and console are watchers. */
import type { Refusal, Rejection } from '../listener/labels.ts'
import type { Judged } from '../session/judgement-report.ts'
import type { Phase } from '../session/negotiation.ts'
import type { Report } from '../session/report.ts'
import type { Kind } from '../stanza/stanza.ts'
import type { Wire } from '../stream/framing.ts'
import type { Side } from '../stream/item.ts'

/** The connection that a report is about. */
export interface About {
  /** Counts the gate's client connections from 1. */
  readonly id: number
  readonly listener: string
  readonly wire: Wire
  /** As configured; `undefined` as long as no domain was asked for. */
  readonly route: string | undefined
  /** Its name; `undefined`: none was asked for yet. */
  readonly upstream?: string | undefined
  /** The client's IP address, for the log; `undefined`: not known. */
  readonly client?: string | undefined
  /** The version of TLS, as Node names it; `none`: not encrypted, or not by the gate. */
  readonly tls?: string
  /** What went wrong with TLS on either side, in OpenSSL's words or by Node's code; `undefined`: nothing. */
  readonly tlsFault?: string | undefined
  /** When the client connected; milliseconds on the clock of `performance.now`. */
  readonly began?: number
  /** Bytes and stanzas so far. The object changes as more come. */
  readonly traffic?: Readonly<Traffic>
  /** The id of the decision that a `judged` report is about; `undefined`: it is no decision. Set by the gate before watchers are told. */
  decision?: string | undefined
}

/** On the client's side of one stream. */
export interface Traffic {
  bytesFromClient: number
  bytesToClient: number
  stanzasFromClient: number
  stanzasToClient: number
  /** Stanzas of either side that were left out, answered or ended the stream, also if the rule only observes. */
  decisions: number
}

export interface StreamState {
  readonly wire: About['wire']
  /** The version, as Node names it: `TLSv1.3`; `none`: not encrypted, or not by the gate. */
  readonly tls: string
  readonly phase: Phase | 'closing'
}

/** What the console shows of a session. */
export interface SessionView extends StreamState {
  /** Counts the gate's client connections from 1. */
  readonly id: number
  readonly listener: string
  /** Names from the configuration; `undefined` as long as no domain was asked for. */
  readonly route: string | undefined
  readonly upstream: string | undefined
  /** The full JID; `undefined` as long as no resource is bound. */
  readonly jid: string | undefined
  /** The client's IP address; `undefined`: not known. */
  readonly address: string | undefined
  /** When its client connected; milliseconds since 1970. */
  readonly since: number
}

/** Is told what happens. A watcher decides nothing. */
export interface Watcher {
  report(report: Report, about: About): void
  /** `decisions`: of stanzas that just go on (`isPlain`) it need not be told. Left out: it is told of every stanza. */
  readonly stanzas?: 'decisions'
  /** Is told of stanzas that just go on, in the place of `report`: all that can be counted, without what it costs to say more. */
  plain?(report: Judged, route: string | undefined): void
  /** Bytes that were received from or sent to that side. */
  bytes?(side: Side, way: 'received' | 'sent', count: number): void
  /** The gate has written a stanza to this side, one that it forwards or one of its own. */
  sent?(to: Side, kind: Kind, route: string | undefined): void
  /** The time that the session took for one event, in seconds; so many more are taken to be alike. */
  handled?(seconds: number, events: number): void
  /** The session has thrown: a bug of the gate. */
  fault?(error: unknown, about: About): void
  /** A connection was not served: for its PROXY header (`address` is the peer's own), or for what `Admission` says (the client's). */
  refused?(reason: Refusal | Rejection, listener: string, address: string | undefined): void
}
