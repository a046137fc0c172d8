/** What `Compensation` asks of its session, and what it wants done. */
import type { Belief } from '../rules/rule.ts'
import type { Stanza } from '../stanza/stanza.ts'
import type { Visible } from '../subscription/state.ts'
import type { Grant } from './compensation-record.ts'
import type { CompensationOutcome } from './labels.ts'

/** What is known of the account's roster. */
export interface GrantedRoster {
  /** What was known of the contact, or `undefined`. */
  stateOf(contact: string): Visible | undefined
  isContact(contact: string): boolean
  /** The user does not see the contact, and has not asked to. */
  isUnasked(contact: string): boolean
  answersRequest(contact: string): Belief
  endsSubscription(contact: string): Belief
  /** The contact's notifications are believed unasked. */
  trusts(contact: string): boolean
}

/** What is to be done besides. */
export type Due =
  /** A stanza that was held goes to the client. */
  | { readonly due: 'deliver'; readonly stanza: Stanza }
  /** A roster push that the client never sees is answered in its name. */
  | { readonly due: 'answer'; readonly push: Stanza }
  /** It is only read for what it says of the roster. */
  | { readonly due: 'read'; readonly push: Stanza }
  /** The `unsubscribe` goes to the server. `isShown`: what it undoes was seen. */
  | { readonly due: 'unsubscribe'; readonly contact: string; readonly isShown: boolean; readonly grant: Grant }
  | {
      readonly due: 'report'
      readonly outcome: CompensationOutcome
      readonly contact: string
      readonly before: Visible
    }
  /** The account's other sessions are told that this grant was taken back, or was left. */
  | { readonly due: 'tell'; readonly contact: string; readonly isUndone: boolean }
