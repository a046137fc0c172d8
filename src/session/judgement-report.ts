import type { RuleOutcome } from '../rules/outcome.ts'
import { bareOf } from '../stanza/jid.ts'
import { type Stanza, subscriptionTypeOf, subscriptionTypes } from '../stanza/stanza.ts'
import { typeLabel } from '../stanza/type-label.ts'
import type { Side } from '../stream/item.ts'
import type { Visible } from '../subscription/state.ts'
import type { Report } from './report.ts'

/** What a report says of the session besides the stanza. It is asked only where the report says it. */
export interface Reported {
  /** Before the stanza has changed anything. */
  stateOf(contact: string): Visible | undefined
  readonly offersPreApproval: boolean
}

/** The report of what became of one stanza. `account`: the bare JID, `undefined` before a resource is bound, as `session` is. */
export function judgedReport(
  from: Side,
  stanza: Stanza,
  verdict: RuleOutcome['verdict'],
  said: readonly RuleOutcome[],
  account: string | undefined,
  session?: Reported,
): Report {
  const address = from === 'client' ? stanza.to : stanza.from
  const contact = address === undefined ? undefined : bareOf(address)
  const type = typeLabel(stanza.kind, stanza.type)
  const report: WritableJudged = { report: 'judged', from, kind: stanza.kind, type, verdict, said, account, contact }
  if (type === 'other' && stanza.type !== undefined) report.spelled = stanza.type
  if (session === undefined || contact === undefined) return report
  const isSubscription = subscriptionTypeOf(stanza) !== undefined
  if (isSubscription || said.length > 0) report.state = session.stateOf(contact) ?? 'unknown'
  if (isSubscription) report.offersPreApproval = session.offersPreApproval
  return report
}

/** The outcome that a stanza is counted under: the one that decided, else the first that would have decided, else the last that rewrote. */
export function decidingOf(said: readonly RuleOutcome[]): RuleOutcome | undefined {
  return (
    said.find(each => each.mode !== 'observe' && each.verdict !== 'forward') ??
    said.find(each => each.mode === 'observe' && each.verdict !== 'forward') ??
    said.at(-1)
  )
}

export type Judged = Extract<Report, { report: 'judged' }>
type WritableJudged = { -readonly [key in keyof Judged]: Judged[key] }

/** Whether a stanza did not just go on: a rule or the session's phase has decided on it. */
export function isDecision({ said, verdict }: Judged): boolean {
  return said.length > 0 || verdict !== 'forward'
}

export function isSubscription({ kind, type }: Judged): boolean {
  return kind === 'presence' && (subscriptionTypes as readonly string[]).includes(type)
}

/** A stanza that just goes on: no rule has anything against it, and it is about no subscription. */
export function isPlain(report: Judged): boolean {
  return !isDecision(report) && !isSubscription(report)
}
