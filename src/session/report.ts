/** What a session tells those who watch: metrics, log, audit and console. */
import type { RequestOutcome, StrangerClass } from '../account/labels.ts'
import type { AccountReport } from '../account/report.ts'
import type { RuleOutcome } from '../rules/outcome.ts'
import type { Kind } from '../stanza/stanza.ts'
import type { Side } from '../stream/item.ts'
import type { Visible } from '../subscription/state.ts'
import type {
  Cause,
  CompensationOutcome,
  ConnectFailure,
  NegotiationStage,
  RedeliveryOutcome,
  Resumption,
  RosterFetchEvent,
} from './labels.ts'

/** The `type` attribute as a label: what the schema enumerates, the defaults by name, and `other`. */
export type TypeLabel = string

export type Report =
  | AccountReport
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
      readonly verdict: RuleOutcome['verdict']
      /** What the rules said, in order. */
      readonly said: readonly RuleOutcome[]
      /** Bare JIDs, for the log and the audit. */
      readonly account: string | undefined
      readonly contact: string | undefined
      /**
       * What was known of the contact's subscription before, where a rule has spoken or the stanza is about a subscription; `unknown`:
       * nothing. Left out: nobody has looked.
       */
      readonly state?: Visible | 'unknown'
      /** Of a stanza about a subscription: the server offers pre-approval (RFC 6121 section 3.4). */
      readonly offersPreApproval?: boolean
    }
  /**
   * The gate has asked for the roster in the session's name; the server has answered, which the client does not see; a push was kept from a client
   * that has not asked for its roster.
   */
  | { readonly report: 'roster-fetch'; readonly event: RosterFetchEvent }
  /** What became of the subscription request of a stranger, as the rule pending-requests has it. */
  | { readonly report: 'stranger-request'; readonly class: StrangerClass; readonly outcome: RequestOutcome }
  /** A request that was dropped was denied at the server, in the account's name. Bare JIDs. */
  | { readonly report: 'request-denied'; readonly account: string; readonly contact: string }
  /** The user was told that requests are held. */
  | { readonly report: 'headline' }
  /**
   * The server has granted a subscription that nobody has asked for. `undone`: for an unasked `subscribed`; the `unsubscribe` went out in the
   * account's name. `limited`: the account has none left for this hour. `observed`: the rule only observes. `failed`: the server was sent
   * the `unsubscribe`, and did not take the grant back. `passed`: no `subscribed` came; somebody else has changed the roster.
   */
  | {
      readonly report: 'compensation'
      readonly outcome: CompensationOutcome
      /** Bare JIDs, for the log and the audit. */
      readonly account: string
      readonly contact: string
      /** What the roster showed before. */
      readonly before: Visible
    }
  /** A request that was held has gone to the client. */
  | { readonly report: 'request-released' }
  /** An unanswered stanza was to be delivered again, because the server does not do it. */
  | { readonly report: 'redelivery'; readonly type: 'subscribe'; readonly outcome: RedeliveryOutcome }
  /** A first-level element that is no stanza was answered or left out by the gate. */
  | { readonly report: 'nonza'; readonly from: Side; readonly verdict: 'reject' | 'drop' }
  /** A client did not get on: the condition of the server's answer, of RFC 6120 section 6.5 or a stanza error's, or the gate's own. */
  | { readonly report: 'negotiation-failed'; readonly stage: NegotiationStage; readonly condition: string }
  /** A client asked to resume a stream: `unknown` to the gate, which has no counts of it; `refused` by the server. */
  | { readonly report: 'resumption'; readonly outcome: Resumption }
