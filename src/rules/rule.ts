import type { StanzaError } from '../stanza/error.ts'
import type { Kind, Stanza } from '../stanza/stanza.ts'
import type { Side, StreamError } from '../stream/item.ts'
import type { ForeignFrom, Unverified } from './mode.ts'

/** What becomes of a stanza: exactly one of these, always counted under the name of the rule that said so. */
export type Verdict =
  /**
   * As it came, or rewritten. `isRoutine`: the rewriting changes nothing that the sender has said (it adds what was left out, or spells
   * an address as the server does); it is no decision against the stanza, and is not reported as one.
   */
  | { readonly verdict: 'forward'; readonly stanza: Stanza; readonly isRoutine?: boolean }
  /** Nothing is forwarded; the sender is answered (RFC 6120 section 8.3). */
  | { readonly verdict: 'reject'; readonly error: StanzaError }
  | { readonly verdict: 'drop' }
  /** The stream ends with this error (RFC 6120 section 4.9). */
  | { readonly verdict: 'close'; readonly error: StreamError; readonly text?: string }

/**
 * Whether a notification or an answer is believed. `unknown`: nothing was seen that it could be checked against; only the server
 * has checked it.
 */
export type Belief = 'accept' | 'refuse' | 'unknown'

/** What the account's roster, as far as it was seen, says about a notification. */
export interface RosterView {
  /** RFC 6121 section 3.1.6: does an inbound `subscribed` of this contact answer a request? */
  answersRequest(contact: string): Belief
  /** RFC 6121 section 3.2.3: does an inbound `unsubscribed` of this contact end something? */
  endsSubscription(contact: string): Belief
  /** Is this the very roster version that the gate knows the contents of? */
  holdsVersion(ver: string): boolean
}

/** What a rule knows besides the stanza. Facts are gathered before the rule is asked: rules do not wait and keep no state. */
export interface Facts {
  readonly from: Side
  /** The full JID that the server has bound, in the server's spelling. */
  readonly jid: string
  /** The same without its resource. */
  readonly bare: string
  /** What becomes of a client's stanza whose `from` is another's address. */
  readonly foreignFrom: ForeignFrom
  /** What becomes of a notification that the roster says nothing about. */
  readonly unverified: Unverified
  /** The language of the sender's stream, which its stanzas inherit (RFC 6120 section 8.1.5). */
  readonly lang: string | undefined
  /** Whether the contact's domain is one whose notifications are believed without a request (a gateway to another network). */
  trusts(contact: string): boolean
  /** Takes one request from what the account may ask for within an hour; `false`: there is none left. */
  mayRequest(): boolean
  /**
   * The server offers pre-approval: an outbound `subscribed` that answers no request is legal then (RFC 6121 section 3.4), and must not be
   * stopped.
   */
  readonly offersPreApproval: boolean
  /**
   * Whether an approval of this contact changes nothing: it is known to see the user already, and the operator limits what accounts may send.
   * `false` too where it is not known.
   */
  isIdleApproval(contact: string): boolean
  /** Whether an inbound `subscribe` of this contact has to wait: it is no contact yet, and enough requests were shown. It changes nothing. */
  isRequestHeld(contact: string, request: Stanza): boolean
  /**
   * Whether this inbound `subscribed` or roster push shows that the server has granted a subscription for a `subscribed` that nobody has asked
   * for. It changes nothing.
   */
  isGrantedUnasked(stanza: Stanza): boolean
  /** The server has not sent it: the gate delivers an unanswered request again. Left out: it has. */
  readonly isRedelivered?: boolean
  /** RFC 6120 section 8.2.3: does this result or error answer a request of the client's, and come from whom it asked? */
  asked(answer: Stanza): Belief
  readonly roster: RosterView
}

/** Which stanzas a rule is about. What is left out makes no difference to it. */
export interface Scope {
  /** Who has sent it. */
  readonly from?: Side
  readonly kinds?: readonly Kind[]
  readonly types?: readonly string[]
}

export interface Rule {
  /** Says what is right. Also the name of the file, of the configuration key and of the metrics' label. */
  readonly name: string
  /** The specification that the rule enforces. */
  readonly clause: string
  /** One sentence for the operator. */
  readonly about: string
  /** The verdict, or `undefined` when the rule has nothing against the stanza as it is. */
  judge(stanza: Stanza, facts: Facts): Verdict | undefined
  /**
   * The repaired stanza, of one that the rule has a verdict against; `undefined`: this one cannot be repaired. Only a rule with
   * this function has the mode `repair`.
   */
  repair?(stanza: Stanza, facts: Facts): Stanza | undefined
  /**
   * Stanzas outside of it are passed on without asking the rule, which must have nothing against them. Left out: it is asked about every
   * stanza.
   */
  readonly scope?: Scope
  /** The gate learns from the answer to the rewritten stanza: the rule is carried out in mode `observe` too. */
  readonly isNeededToObserve?: boolean
  /** It has its own mode or none: `rules.default` does not switch it on. */
  readonly isOffByDefault?: boolean
}
