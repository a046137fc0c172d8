/** A session with a bound resource, as the streams use it that it is on (XEP-0198 section 5). `BoundSession` in bound.ts implements it. */
import type { AccountNews, AccountSnapshot } from '../account/news.ts'
import type { StanzaError } from '../stanza/error.ts'
import type { Stanza } from '../stanza/stanza.ts'
import type { Side, StreamError } from '../stream/item.ts'
import type { Element } from '../xml/element.ts'
import type { Cause } from './labels.ts'
import type { Report } from './report.ts'
import type { SessionRecord } from './session-record.ts'
import type { StanzaCounts } from './stanza-counts.ts'

export interface ResumableSession {
  /** The full JID, in the server's spelling. */
  readonly jid: string
  readonly bare: string
  /** From the client's `<enable/>` on; `undefined` without stream management. */
  counts: StanzaCounts | undefined
  /** The server has offered pre-approval (RFC 6121 section 3.4). */
  offersPreApproval: boolean
  /** What another process needs to go on with it; `undefined`: it cannot be resumed. */
  readonly record: SessionRecord | undefined
  /** A stanza has come from this side. `lang`: the language that it inherits from its stream (RFC 6120 section 8.1.5). */
  stanza(from: Side, stanza: Stanza, lang: string | undefined, output: BoundOutput): void
  /** A stanza of the client's is answered with this error, and not passed on. */
  refuse(stanza: Stanza, error: StanzaError, output: BoundOutput): void
  /** What was known of the account when the session joined it. */
  joined(snapshot: AccountSnapshot, output: BoundOutput): void
  /** The time of the next call of `late`, in milliseconds; `undefined`: none is wanted. `now`: milliseconds, from any beginning. */
  until(now: number): number | undefined
  /** That time has come. */
  late(now: number, output: BoundOutput): void
  /** Another session of the account has told something. */
  told(news: AccountNews, output: BoundOutput): void
}

/** Where a bound session sends what it has decided: the streams that it is on. */
export interface BoundOutput {
  sendElement(to: Side, whole: Element): void
  report(report: Report): void
  /** Tells the other sessions of this account. */
  tell(account: string, news: AccountNews): void
  fail(condition: StreamError, cause: Cause, text?: string): void
}
