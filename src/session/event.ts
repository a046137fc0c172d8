/** What can happen to a session, and what it wants done. */

import type { AccountNews, AccountSnapshot } from '../account/news.ts'
import type { Side, StreamItem } from '../stream/item.ts'
import type { ConnectFailure } from './labels.ts'
import type { Report } from './report.ts'
import type { ResumableSession } from './resumable-session.ts'

/** What can happen to a session. */
export type SessionEvent =
  /** The transport to the upstream stands, with TLS if it was dialled with it. */
  | { readonly event: 'connected' }
  /** The transport was lost while the session `isReaching`, and another one stands in its place, to another server of the upstream. */
  | { readonly event: 'reconnected' }
  /** The upstream could not be connected. */
  | { readonly event: 'refused'; readonly reason: ConnectFailure }
  /** TLS was negotiated on this side, after a `secure` effect. */
  | { readonly event: 'secured'; readonly side: Side }
  | { readonly event: 'item'; readonly from: Side; readonly item: StreamItem }
  /** The transport of this side is gone. */
  | { readonly event: 'closed'; readonly side: Side }
  /** The answer to `join-account`. */
  | { readonly event: 'account-joined'; readonly snapshot: AccountSnapshot }
  | { readonly event: 'account-news'; readonly news: AccountNews }
  /** The answer to `find-resumable`. */
  | { readonly event: 'resumable-found'; readonly found: ResumableSession | undefined }
  /** Another stream has resumed the session. */
  | { readonly event: 'superseded' }
  /** The gate shuts down, and waits for so many milliseconds. */
  | { readonly event: 'stop'; readonly within: number }
  /** The gate shuts down, and another process can go on with the session. */
  | { readonly event: 'handed-over' }
  /** The gate is short of memory and ends this session. */
  | { readonly event: 'shed' }
  /** The client has begun an element and does not end it. */
  | { readonly event: 'late' }
  /** This side takes nothing of what waits to be written to it. */
  | { readonly event: 'stalled'; readonly side: Side }
  | { readonly event: 'deadline' }

/** What a session wants done. */
export type Effect =
  /** `account`: the bare JID that the client's stream header names; `undefined`: none. Nobody has verified it. */
  | {
      readonly effect: 'connect'
      readonly upstream: string
      readonly domain: string
      readonly account: string | undefined
    }
  | { readonly effect: 'send'; readonly to: Side; readonly item: StreamItem }
  /** A new stream begins on this side: the next byte read is its first. */
  | { readonly effect: 'restart'; readonly side: Side }
  /** Negotiate TLS on this side. Bytes that were read and not used belong to TLS or are dropped (RFC 6120 section 5.4.3.3). */
  | { readonly effect: 'secure'; readonly side: Side }
  /** The client has authenticated: the limits of authenticated clients apply from now on. */
  | { readonly effect: 'authenticated' }
  /** Negotiation is over: both sides may be read in bulk. */
  | { readonly effect: 'negotiated' }
  /** End this side's transport once everything is written. */
  | { readonly effect: 'close'; readonly side: Side }
  /** End it now. */
  | { readonly effect: 'abort'; readonly side: Side }
  /** Ask for what is known of this account; `account-joined` answers. */
  | { readonly effect: 'join-account'; readonly account: string }
  /** Tell the account's other sessions. */
  | { readonly effect: 'tell-account'; readonly account: string; readonly news: AccountNews }
  /** This session can be resumed under this key while its stream lasts, and `resumableFor` milliseconds after it is lost. */
  | {
      readonly effect: 'offer-resumption'
      readonly key: string
      readonly bound: ResumableSession
      readonly resumableFor: number
    }
  /** Ask for the session that can be resumed under this key; `resumable-found` answers. */
  | { readonly effect: 'find-resumable'; readonly key: string }
  /** That session goes on here. */
  | { readonly effect: 'take-over'; readonly key: string }
  /** `suspend`: the stream is lost and can be resumed; `withdraw-resumption`: it was closed and cannot. */
  | { readonly effect: 'suspend' | 'withdraw-resumption' }
  /** A report for the watchers. */
  | { readonly effect: 'report'; readonly report: Report }
