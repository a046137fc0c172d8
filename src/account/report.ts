/** What an account's subscriptions have come to; a part of what sessions report. */
import type { Visible } from '../subscription/state.ts'
import type { SubscriptionEvent } from './subscription-history.ts'

export type AccountReport =
  /** `decided`: the ledger has decided on the notification; `undecided`: it could not, and the notification passed unverified. */
  | { readonly report: 'decided' | 'undecided'; readonly type: 'subscribed' | 'unsubscribed' }
  /** A roster push moved an item, counted once for the account. `before` is `undefined` when it was not known. */
  | { readonly report: 'transition'; readonly before: Visible | undefined; readonly after: Visible | undefined }
  /** A subscription was asked for, approved, denied, withdrawn or cancelled; counted once for the account. */
  | ({ readonly report: 'subscription' } & SubscriptionEvent)
  /** A subscription request was answered with an error (RFC 6121 section 3.1.2). */
  | { readonly report: 'request-failed'; readonly condition: string }
