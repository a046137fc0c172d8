/** What the sessions of one account tell each other, and what a session is told when it begins. */
import type { RosterItem } from '../stanza/roster-iq.ts'
import type { SubscriptionType } from '../stanza/stanza.ts'
import type { Direction, Visible } from '../subscription/state.ts'
import type { ContactHash } from './hashed-contact.ts'
import type { HeldRequest } from './held-requests.ts'
import type { RosterSnapshot } from './ledger.ts'

/** The user has begun a request, has given up seeing the contact, or (`answered`, told to other gates alone) has approved or denied its request. */
export interface RequestNews {
  readonly news: 'asked' | 'gave-up' | 'answered'
  readonly contact: string
  /** It was given up by a roster remove. */
  readonly isRemoved?: true
}

/** What one session of an account tells the others. Contacts are spelled as in the stanza. */
export type AccountNews =
  | RequestNews
  | { readonly news: 'roster'; readonly items: readonly RosterItem[]; readonly ver: string | undefined }
  | {
      readonly news: 'push'
      readonly item: RosterItem
      readonly ver: string | undefined
      readonly before: Visible | undefined
    }
  /** Any other subscription stanza has passed. It is only counted; the other sessions are not told. */
  | {
      readonly news: 'subscription'
      readonly direction: Direction
      readonly type: SubscriptionType
      readonly contact: string
    }
  /** The operator has released or denied requests of strangers. `released`: those that are held, and that each session is to show which has them. */
  | { readonly news: 'requests-decided'; readonly released: readonly HeldRequest[] }
  /** The server has granted a subscription for an unasked `subscribed`. The session has taken it back, or has left it so. */
  | { readonly news: 'unasked-grant'; readonly contact: string; readonly isUndone: boolean }
  /** What was kept of the account beyond the process; it may be out of date. */
  | { readonly news: 'recalled'; readonly snapshot: RosterSnapshot }
  /** No session receives the account's roster pushes any longer. */
  | { readonly news: 'blind' }
  /** This session is the leader from now on: it tells the roster that it has seen. */
  | { readonly news: 'lead' }

export interface AccountSnapshot {
  /** The last whole roster with its pushes applied; `undefined`: none was seen. */
  readonly snapshot: RosterSnapshot | undefined
  /** Another session receives the account's pushes at present: the roster is up to date. */
  readonly live: boolean
  /** Hashes contacts as they are kept of this account; left out: their JIDs are kept. */
  readonly hash?: ContactHash
}
