/** `limits.pendingRequests`: what becomes of the subscription requests of strangers. */

export type StrangerAction = 'accept' | 'hold' | 'drop'

/** Where a stranger is of several classes, the first of them counts. A class that is left out: `hold`. */
export interface StrangerActions {
  readonly listed?: StrangerAction
  readonly token?: StrangerAction
  readonly ownDomain?: StrangerAction
  readonly gateway?: StrangerAction
  readonly contactDomain?: StrangerAction
  readonly other?: StrangerAction
}

export interface PendingRequestLimits {
  /** Unanswered ones that are shown in one presence session. */
  readonly perLogin: number
  /** Those of an account that are shown for the first time within 24 hours. */
  readonly perDay: number
  readonly strangers?: StrangerActions | undefined
  /** Domains and bare JIDs of the class `listed`. Left out: none. */
  readonly listed?: readonly string[] | undefined
  /** Requests within an hour of one bare JID, of one domain, and to one account; one that is left out: as many as there are. */
  readonly perHour?: { readonly sender?: number; readonly domain?: number; readonly recipient?: number } | undefined
  /** Text of a message to users for whom requests are held, once a day; `{count}` stands for their number. Left out: there is none. */
  readonly headline?: string | undefined
  /** Requests that are dropped are denied at the server, in the user's name. Left out: they stay there. */
  readonly denyDropped?: boolean | undefined
}

export const defaultPendingRequests: PendingRequestLimits = { perLogin: 10, perDay: 50 }
