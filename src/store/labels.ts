/** Names of what a store is asked and of what it answers; also values of the metrics' labels. */
export const storeOperations = ['load', 'save', 'forget', 'keep-sessions', 'take-session'] as const
export type StoreOperation = (typeof storeOperations)[number]

/**
 * `found`: the account's roster is known as it was kept; `nothing`: nothing was kept; `late`: the roster came before the store's answer;
 * `failed`: the store could not be asked; `unreadable`: what was kept is no account.
 */
export const recallOutcomes = ['found', 'nothing', 'late', 'failed', 'unreadable'] as const
export type RecallOutcome = (typeof recallOutcomes)[number]

/**
 * Of resumable sessions. `kept`: for the next process; `lost`: they could not be kept, and have ended; `found`: the client has come back, and the
 * session was there; `expired`: it has come back too late; `unreadable`: what was kept is no session of this version.
 */
export const keptSessionEvents = ['kept', 'lost', 'found', 'expired', 'unreadable'] as const
export type KeptSessionEvent = (typeof keptSessionEvents)[number]
