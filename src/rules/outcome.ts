/** What one rule said of one stanza, as metrics, log and audit are told it. */
import type { Decision } from './judge.ts'
import type { Mode } from './mode.ts'

export interface RuleOutcome {
  readonly rule: string
  readonly clause: string
  /** The rule's mode then; `observe`: the verdict was not carried out. */
  readonly mode: Exclude<Mode, 'off'>
  readonly verdict: 'forward' | 'reject' | 'drop' | 'close'
  /** The condition of a stanza or stream error, of `reject` and `close`. */
  readonly error?: string
}

/** A decision as watchers are told it. It holds no text of a peer. */
export function ruleOutcomeOf({ rule: { name: rule, clause }, mode, verdict }: Decision): RuleOutcome {
  const outcome = { rule, clause, mode, verdict: verdict.verdict }
  switch (verdict.verdict) {
    case 'reject':
      return { ...outcome, error: verdict.error.condition }
    case 'close':
      return { ...outcome, error: verdict.error }
    default:
      return outcome
  }
}
