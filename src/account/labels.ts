/** Classes of strangers, and what became of their requests: values of a metric's labels. This file imports nothing. */

/** Where a stranger is of several classes, the first of them counts. */
export const strangerClasses = ['listed', 'token', 'ownDomain', 'gateway', 'contactDomain', 'other'] as const
export type StrangerClass = (typeof strangerClasses)[number]

/** `repeated`: left out, because it was shown in this presence session and is not answered. */
export const requestOutcomes = ['shown', 'held', 'dropped', 'repeated'] as const
export type RequestOutcome = (typeof requestOutcomes)[number]
