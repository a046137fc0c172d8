/** All that can happen to a session, all that it can want, and all that it tells those who watch. */
import type { Mode } from '../rules/mode.ts'
import type { RosterItem } from '../stanza/roster-iq.ts'
import type { Kind, SubscriptionType } from '../stanza/stanza.ts'
import type { Side, StreamItem } from '../stream/item.ts'
import type { Happened } from '../subscription/funnel.ts'
import type { Snapshot } from '../subscription/roster.ts'
import type { Direction, Visible } from '../subscription/state.ts'
import type { Bound } from './bound.ts'

export type SessionEvent =
  /** The transport to the upstream stands, with TLS if it was dialled with it. */
  | { readonly event: 'connected' }
  /** It could not be made. */
  | { readonly event: 'refused'; readonly reason: ConnectFailure }
  /** TLS was negotiated on this side, after a `secure` effect. */
  | { readonly event: 'secured'; readonly side: Side }
  | { readonly event: 'item'; readonly from: Side; readonly item: StreamItem }
  /** The transport of this side is gone. */
  | { readonly event: 'closed'; readonly side: Side }
  /** The answer to `recall`. */
  | { readonly event: 'ledger'; readonly recalled: Recalled }
  | { readonly event: 'told'; readonly news: News }
  /** The answer to `fetch`. */
  | { readonly event: 'fetched'; readonly found: Bound | undefined }
  /** Another stream has resumed the session. */
  | { readonly event: 'superseded' }
  /** The gate shuts down, and waits for so many milliseconds. */
  | { readonly event: 'stop'; readonly within: number }
  /** The gate is short of memory, and does without this session. */
  | { readonly event: 'shed' }
  /** The client has begun an element and does not end it. */
  | { readonly event: 'late' }
  /** This side takes nothing of what waits to be written to it. */
  | { readonly event: 'stalled'; readonly side: Side }
  | { readonly event: 'deadline' }

export type Effect =
  | { readonly effect: 'connect'; readonly upstream: string; readonly domain: string }
  | { readonly effect: 'send'; readonly to: Side; readonly item: StreamItem }
  /** A new stream begins on this side: the next byte read is its first. */
  | { readonly effect: 'restart'; readonly side: Side }
  /** Negotiate TLS on this side; what was read and not used belongs to TLS or to nobody (RFC 6120 section 5.4.3.3). */
  | { readonly effect: 'secure'; readonly side: Side }
  /** The client has authenticated: the limits of clients that have apply from now on. */
  | { readonly effect: 'admit' }
  /** Negotiation is over: both sides may be read in bulk. */
  | { readonly effect: 'settle' }
  /** End this side's transport once everything is written. */
  | { readonly effect: 'close'; readonly side: Side }
  /** End it now. */
  | { readonly effect: 'abort'; readonly side: Side }
  /** Ask for what is known of this account; `ledger` answers. */
  | { readonly effect: 'recall'; readonly account: string }
  /** Tell the account's other sessions. */
  | { readonly effect: 'tell'; readonly account: string; readonly news: News }
  /** This session can be resumed under this key while its stream lasts, and `patience` milliseconds after it is lost. */
  | { readonly effect: 'keep'; readonly key: string; readonly bound: Bound; readonly patience: number }
  /** Ask for the session that can be resumed under this key; `fetched` answers. */
  | { readonly effect: 'fetch'; readonly key: string }
  /** That session goes on here. */
  | { readonly effect: 'take'; readonly key: string }
  /** The stream is lost, and can be resumed; or it was closed, and cannot. */
  | { readonly effect: 'lose' | 'leave' }
  /** Asks nothing; for those who watch. */
  | { readonly effect: 'report'; readonly report: Report }

/** What one session of an account knows and another cannot. Contacts as the stanza spelled them. */
export type News =
  | { readonly news: 'asked' | 'gave-up'; readonly contact: string }
  | { readonly news: 'roster'; readonly items: readonly RosterItem[]; readonly ver: string | undefined }
  | {
      readonly news: 'push'
      readonly item: RosterItem
      readonly ver: string | undefined
      readonly before: Visible | undefined
    }
  /** Any other subscription stanza has passed; no other session wants to know. */
  | {
      readonly news: 'subscription'
      readonly direction: Direction
      readonly type: SubscriptionType
      readonly contact: string
    }
  /** No session sees the account's roster pushes any longer. */
  | { readonly news: 'blind' }
  /** This session leads from now on: it tells the roster that it has seen. */
  | { readonly news: 'lead' }

export interface Recalled {
  /** The last roster seen whole, kept up by its pushes; `undefined`: none was seen. */
  readonly snapshot: Snapshot | undefined
  /** Another session sees the account's pushes at this moment: the snapshot is the present state. */
  readonly live: boolean
}

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
  'shutdown',
  'superseded',
  'timeout',
  'upstream-silent',
  'slow-client',
  'slow-upstream',
  'overload',
] as const
export type Cause = (typeof causes)[number]

export const resumptionOutcomes = ['resumed', 'refused', 'unknown'] as const
export type Resumption = (typeof resumptionOutcomes)[number]

/** Where the negotiation of a client's stream fails; also the metrics' label. */
export const stages = ['tls', 'sasl', 'bind'] as const
export type Stage = (typeof stages)[number]

/** The `type` attribute as a label: what the schema enumerates, the defaults by name, and `other`. */
export type TypeLabel = string

export interface Said {
  readonly rule: string
  readonly clause: string
  /** In which it was said; `observe`: it was not carried out. */
  readonly mode: Exclude<Mode, 'off'>
  readonly verdict: 'forward' | 'reject' | 'drop' | 'close'
  /** The condition of a stanza or stream error, of `reject` and `close`. */
  readonly error?: string
}

export type Report =
  | { readonly report: 'stream-opened' | 'stream-closed'; readonly side: Side; readonly cause?: Cause }
  | { readonly report: 'session-opened'; readonly jid: string }
  | { readonly report: 'session-closed'; readonly jid: string; readonly cause: Cause }
  | { readonly report: 'connect-failed'; readonly upstream: string; readonly reason: ConnectFailure }
  /** A stream error went to (`by: 'gate'`) or came from that side. `text`: in the gate's own words, never a peer's. */
  | {
      readonly report: 'stream-error'
      readonly side: Side
      readonly by: 'gate' | 'peer'
      readonly condition: string
      readonly text?: string
    }
  | {
      readonly report: 'judged'
      readonly from: Side
      readonly kind: Kind
      readonly type: TypeLabel
      /** The attribute as its sender wrote it, where the label is `other`; a peer's own words. */
      readonly spelled?: string
      /** The verdict that was carried out. */
      readonly verdict: Said['verdict']
      /** What the rules said, in order. */
      readonly said: readonly Said[]
      /** Bare JIDs, for the log and the audit. */
      readonly account: string | undefined
      readonly contact: string | undefined
      /**
       * What was known of the contact's subscription before, where a rule has spoken or the stanza is about a subscription; `unknown`:
       * nothing. Left out: nobody has looked.
       */
      readonly state?: Visible | 'unknown'
    }
  /** A first-level element that is no stanza was answered or left out by the gate. */
  | { readonly report: 'nonza'; readonly from: Side; readonly verdict: 'reject' | 'drop' }
  /** What is known of the contact has decided on the notification; or nothing is, and it passed unverified. */
  | { readonly report: 'decided' | 'undecided'; readonly type: 'subscribed' | 'unsubscribed' }
  /** A roster push moved an item, counted once for the account. `before` is `undefined` when it was not known. */
  | { readonly report: 'transition'; readonly before: Visible | undefined; readonly after: Visible | undefined }
  /** What has come of a subscription, counted once for the account. */
  | ({ readonly report: 'subscription' } & Happened)
  /** A client did not get on: the condition of the server's answer, of RFC 6120 section 6.5 or a stanza error's, or the gate's own. */
  | { readonly report: 'negotiation-failed'; readonly stage: Stage; readonly condition: string }
  /** A client asked to resume a stream: `unknown` to the gate, which has no counts of it; `refused` by the server. */
  | { readonly report: 'resumption'; readonly outcome: Resumption }
  /** A subscription request was answered with an error (RFC 6121 section 3.1.2). */
  | { readonly report: 'request-failed'; readonly condition: string }
