/**
 * The nine subscription states of RFC 6121 appendix A (RFC 3921 section 9) as two halves: what the user sees of the contact
 * (`to`) and what the contact sees of the user (`from`), each `none`, `pending` or `active`. A stanza changes one half.
 */
import { type SubscriptionType, subscriptionTypes } from '../stanza/stanza.ts'

export type Half = 'none' | 'pending' | 'active'

export interface Subscription {
  readonly to: Half
  readonly from: Half
}

/** As in the RFCs, seen from the user: outbound leaves the user's client, inbound comes from the contact. */
export type Direction = 'outbound' | 'inbound'

export interface Step {
  readonly state: Subscription
  /** Whether the user's server routes it (outbound) or delivers it (inbound). */
  readonly passes: boolean
  /** What the user's server answers by itself, without asking the user. */
  readonly autoReply?: 'subscribed' | 'unsubscribed'
}

/**
 * Which half a stanza changes. `subscribe` and `unsubscribe` change the half of the one who sees; `subscribed` and `unsubscribed`
 * change the half of the one who is seen.
 */
const halves: Readonly<Record<Direction, Readonly<Record<SubscriptionType, keyof Subscription>>>> = {
  outbound: { subscribe: 'to', unsubscribe: 'to', subscribed: 'from', unsubscribed: 'from' },
  inbound: { subscribe: 'from', unsubscribe: 'from', subscribed: 'to', unsubscribed: 'to' },
}

/** What each type makes of a half; a state that is missing stays as it is. */
const moves: Readonly<Record<SubscriptionType, Readonly<Partial<Record<Half, Half>>>>> = {
  subscribe: { none: 'pending' },
  subscribed: { pending: 'active' },
  unsubscribe: { pending: 'none', active: 'none' },
  unsubscribed: { pending: 'none', active: 'none' },
}

/** RFC 6121 tables 2 to 9 and RFC 3921 tables 1 to 6, pre-approval left aside. */
export function next(state: Subscription, direction: Direction, type: SubscriptionType): Step {
  const half = halves[direction][type]
  const moved = moves[type][state[half]]
  const after = moved === undefined ? state : { ...state, [half]: moved }
  if (direction === 'outbound')
    return { state: after, passes: moved !== undefined || type === 'subscribe' || type === 'unsubscribe' }
  const step = { state: after, passes: moved !== undefined }
  if (type === 'subscribe' && state.from === 'active') return { ...step, autoReply: 'subscribed' }
  if (type === 'unsubscribe' && moved !== undefined) return { ...step, autoReply: 'unsubscribed' }
  return step
}

/** What a roster shows of a state: a contact's own pending request is not in it (RFC 6121 section 3.1.3). */
export interface Visible {
  readonly subscription: 'none' | 'to' | 'from' | 'both'
  readonly ask: boolean
}

export function visible(state: Subscription): Visible {
  const to = state.to === 'active'
  const from = state.from === 'active'
  return { subscription: to ? (from ? 'both' : 'to') : from ? 'from' : 'none', ask: state.to === 'pending' }
}

export function seesContact(state: Visible): boolean {
  return state.subscription === 'to' || state.subscription === 'both'
}

export function isSeenByContact(state: Visible): boolean {
  return state.subscription === 'from' || state.subscription === 'both'
}

/** The visible states before and after one stanza (RFC 6121 appendix A), each pair once, without pairs that stay the same. */
export const visibleSteps: readonly (readonly [before: Visible, after: Visible])[] = [...oneStep()]
const stepsByName = new Set(visibleSteps.map(([before, after]) => `${nameOf(before)} ${nameOf(after)}`))

/** Whether one stanza can have brought a roster from one state to the other; removal can, from any. */
export function isStep(before: Visible, after: Visible | undefined): boolean {
  if (after === undefined) return true
  const [from, to] = [nameOf(before), nameOf(after)]
  return from === to || stepsByName.has(`${from} ${to}`)
}

function* oneStep(): Iterable<[Visible, Visible]> {
  const all: readonly Half[] = ['none', 'pending', 'active']
  const seen = new Set<string>()
  for (const to of all)
    for (const from of all)
      for (const direction of ['outbound', 'inbound'] as const)
        for (const type of subscriptionTypes) {
          const before = visible({ to, from })
          const after = visible(next({ to, from }, direction, type).state)
          const name = `${nameOf(before)} ${nameOf(after)}`
          if (nameOf(before) === nameOf(after) || seen.has(name)) continue
          seen.add(name)
          yield [before, after]
        }
}

/** A `subscribe` where the subscription exists already is no request. */
function nameOf(state: Visible): string {
  return state.ask && !seesContact(state) ? `${state.subscription}+ask` : state.subscription
}
