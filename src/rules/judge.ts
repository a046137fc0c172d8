import { isAnswerable } from '../stanza/error.ts'
import type { Stanza } from '../stanza/stanza.ts'
import type { Mode } from './mode.ts'
import type { Facts, Rule, Verdict } from './rule.ts'

/** A rule as the operator has set it; rules that are off are not in the list. */
export interface ActiveRule {
  readonly rule: Rule
  readonly mode: Exclude<Mode, 'off'>
}

/** What one rule said of one stanza, whether it was carried out (`enforce`) or not (`observe`). */
export interface Decision extends ActiveRule {
  readonly verdict: Verdict
}

export interface Judgement {
  /** What becomes of the stanza. */
  readonly verdict: Verdict
  /** Every rule that had something to say, in order; empty when the stanza was right as it came. */
  readonly decisions: readonly Decision[]
}

const none: readonly Decision[] = []

/**
 * Asks the rules in order. A rewrite is handed to the rules after it; anything else that is enforced ends the asking. Observing
 * lives here alone: the verdict that would have been is noted, and the stanza goes on as it was.
 */
export function judge(rules: readonly ActiveRule[], stanza: Stanza, facts: Facts): Judgement {
  let current = stanza
  let decisions = none
  for (const { rule, mode } of rules) {
    const said = rule.judge(current, facts)
    if (said === undefined) continue
    // An error or a result may not be answered (RFC 6120 section 8.3.1(8)): what would be rejected goes unanswered.
    const verdict: Verdict = said.verdict === 'reject' && !isAnswerable(current) ? { verdict: 'drop' } : said
    decisions = [...decisions, { rule, mode, verdict }]
    if (mode === 'observe') continue
    if (verdict.verdict !== 'forward') return { verdict, decisions }
    current = verdict.stanza
  }
  return { verdict: { verdict: 'forward', stanza: current }, decisions }
}
