import type { Mode } from '../rules/mode.ts'
import type { RuleOutcome } from '../rules/outcome.ts'

/** What one rule had to do with it. */
export interface Step {
  readonly rule: string
  readonly clause: string
  /** What is right, in one sentence. */
  readonly about: string
  /** `null`: not known. */
  readonly mode: Mode | null
  /**
   * `nothing`: it had nothing against the stanza; `rewrote`: it put something right, and the next rule was asked; `would`: it only
   * observes; `decided`: no other rule was asked; `unasked`: after that one; `off`: the operator does not ask it.
   */
  readonly outcome: 'nothing' | 'rewrote' | 'would' | 'decided' | 'unasked' | 'off'
  /** What it said, of `rewrote`, `would` and `decided`. */
  readonly verdict: RuleOutcome['verdict'] | null
  /** The condition of the error, and what is said to people with it. */
  readonly error: string | null
  readonly text: string | null
}
