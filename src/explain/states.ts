/** The states of a contact as an operator names them, what a ledger knows in each, and what RFC 6121 has a server do in it. */

import { Ledger } from '../account/ledger.ts'
import { states } from '../observe/metric-definitions.ts'
import type { RosterView } from '../rules/rule.ts'
import type { SubscriptionType } from '../stanza/stanza.ts'
import { cellOf, type PreApproval, stateName } from '../subscription/cell.ts'
import type { Direction, Half, Subscription, Visible } from '../subscription/state.ts'

/** What a roster shows of a contact; `unknown`: no roster was seen. */
export const stateNames = [...states, 'unknown'] as const
export type StateName = (typeof stateNames)[number]

export function isStateName(text: string): text is StateName {
  return (stateNames as readonly string[]).includes(text)
}

/** What a session's rules ask that has seen a roster with this contact in this state, and no other contact. */
export function rosterIn(state: StateName, contact: string | undefined, versions: readonly string[]): RosterView {
  const ledger = new Ledger()
  const shown = visibleOf(state)
  if (shown !== undefined)
    ledger.replace(contact === undefined ? [] : [{ jid: contact, removed: false, ...shown }], undefined)
  return {
    answersRequest: jid => ledger.answersRequest(jid),
    endsSubscription: jid => ledger.endsSubscription(jid),
    holdsVersion: ver => versions.includes(ver),
  }
}

function visibleOf(state: StateName): Visible | undefined {
  if (state === 'unknown') return undefined
  const [subscription, ask] = state.split('+')
  return { subscription: subscription as Visible['subscription'], ask: ask !== undefined }
}

/**
 * Of RFC 6121 section 3.4. `none`: the server does not offer it; `offered`: it does; `approved`: and the user has approved this contact before it
 * has asked.
 */
export const preApprovals = ['none', 'offered', 'approved'] as const
export type PreApprovalName = (typeof preApprovals)[number]

export function isPreApproval(text: string): text is PreApprovalName {
  return (preApprovals as readonly string[]).includes(text)
}

/** What the user's server does by RFC 6121 appendix A. */
export interface ServerStep {
  /** As the RFC calls them: `None + Pending Out`. */
  readonly before: string
  readonly after: string
  /** It routes (what its user sends) or delivers (what the contact sends) the stanza. */
  readonly passes: boolean
  /** What it answers in the user's name. */
  readonly autoReply: 'subscribed' | 'unsubscribed' | null
  /** The contact is approved before it asks, afterwards (RFC 6121 section 3.4). */
  readonly approved: boolean
  /** `RFC 6121 appendix A.2.1`. */
  readonly clause: string
  /** The table in RFC 3921 section 9; `null`: it prints none. */
  readonly table3921: number | null
}

/**
 * One step, or two where it matters whether a request of the contact's own is pending, which no roster shows. None, if the state is not
 * known.
 */
export function serverSteps(
  state: StateName,
  direction: Direction,
  type: SubscriptionType,
  preApproval: PreApprovalName = 'none',
): ServerStep[] {
  const shown = visibleOf(state)
  if (shown === undefined) return []
  const to: Half = shown.ask ? 'pending' : isOf(shown, 'to') ? 'active' : 'none'
  const from: readonly Half[] = isOf(shown, 'from') ? ['active'] : ['none', 'pending']
  const known = { offered: preApproval !== 'none', approved: preApproval === 'approved' }
  const [first, second] = from.map(half => stepFrom({ to, from: half }, direction, type, known))
  if (first === undefined) return []
  if (second === undefined || isUntouched(first) === isUntouched(second)) return [first]
  return [first, second]
}

function isOf({ subscription }: Visible, half: 'to' | 'from'): boolean {
  return subscription === half || subscription === 'both'
}

function stepFrom(before: Subscription, direction: Direction, type: SubscriptionType, known: PreApproval): ServerStep {
  const cell = cellOf(before, direction, type, known)
  const { name, state, passes, autoReply = null, approved, clause, table3921 = null } = cell
  return { before: name, after: stateName(state), passes, autoReply, approved, clause, table3921 }
}

function isUntouched({ before, after }: ServerStep): boolean {
  return before === after
}
