import { isAnswerable } from '../stanza/error.ts'
import type { Stanza } from '../stanza/stanza.ts'
import type { Mode } from './mode.ts'
import type { Facts, Rule, Verdict } from './rule.ts'

/** A rule as the operator has set it; rules that are off are not in the list. */
export interface ActiveRule {
  readonly rule: Rule
  readonly mode: Exclude<Mode, 'off'>
}

/**
 * What one rule said of one stanza, whether it was carried out (`enforce`, `repair`) or not (`observe`). A rule in mode `repair` that
 * could not put the stanza right has only observed it.
 */
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
 * Asks the rules in order. A rule after a rewrite gets the rewritten stanza; any other enforced verdict ends the loop. Mode
 * `observe` is handled here and nowhere else: the verdict is recorded, and the stanza goes on as it was. `onRoutine` is called
 * for each rule whose rewriting was carried out and is no decision.
 */
export function judge(
  rules: readonly ActiveRule[],
  stanza: Stanza,
  facts: Facts,
  onRoutine?: (rule: Rule) => void,
): Judgement {
  let current = stanza
  let decisions = none
  for (const { rule, mode: set } of rules) {
    const said = rule.judge(current, facts)
    if (said === undefined) continue
    if (said.verdict === 'forward' && said.isRoutine === true) {
      if (set === 'observe' && rule.isNeededToObserve !== true) continue
      current = said.stanza
      onRoutine?.(rule)
      continue
    }
    const { verdict, mode } = inMode(set, rule, said, current, facts)
    decisions = [...decisions, { rule, mode, verdict }]
    if (mode === 'observe') continue
    if (verdict.verdict !== 'forward') return { verdict, decisions }
    current = verdict.stanza
  }
  return { verdict: { verdict: 'forward', stanza: current }, decisions }
}

/** The verdict in the rule's mode. */
function inMode(
  mode: ActiveRule['mode'],
  rule: Rule,
  said: Verdict,
  stanza: Stanza,
  facts: Facts,
): Pick<Decision, 'mode' | 'verdict'> {
  if (mode === 'repair' && said.verdict !== 'forward') {
    const repaired = rule.repair?.(stanza, facts)
    if (repaired !== undefined) return { mode, verdict: { verdict: 'forward', stanza: repaired } }
    return { mode: 'observe', verdict: answerable(said, stanza) }
  }
  return { mode, verdict: answerable(said, stanza) }
}

/** An error or a result may not be answered (RFC 6120 section 8.3.1(8)): what would be rejected goes unanswered. */
function answerable(said: Verdict, stanza: Stanza): Verdict {
  return said.verdict === 'reject' && !isAnswerable(stanza) ? { verdict: 'drop' } : said
}
