/** What becomes of a reload: values of a metric's label. This file imports nothing. */

/** What became of a reload; also the metrics' label. `unchanged`: nothing in it was new that can be taken without a restart. */
export const reloadOutcomes = ['applied', 'unchanged', 'refused'] as const
export type ReloadOutcome = (typeof reloadOutcomes)[number]
