/** What the sessions of one account tell each other, and what a session is told when it begins. */
import type { RosterItem } from '../stanza/roster-iq.ts'
import type { SubscriptionType } from '../stanza/stanza.ts'
import type { Direction, Visible } from '../subscription/state.ts'
import type { RosterSnapshot } from './ledger.ts'

/** What one session of an account knows and another cannot. Contacts as the stanza spelled them. */
export type AccountNews =
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

export interface AccountSnapshot {
  /** The last roster seen whole, kept up by its pushes; `undefined`: none was seen. */
  readonly snapshot: RosterSnapshot | undefined
  /** Another session sees the account's pushes at this moment: the snapshot is the present state. */
  readonly live: boolean
}
