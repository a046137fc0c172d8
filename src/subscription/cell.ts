/** One cell of the tables of RFC 3921 section 9 and RFC 6121 appendix A, with the place where it stands. */
import type { SubscriptionType } from '../stanza/stanza.ts'
import { type Direction, next, type Step, type Subscription } from './state.ts'

/** Whether the server offers `urn:xmpp:features:pre-approval`, and whether the user has pre-approved this contact. */
export interface PreApproval {
  readonly offered: boolean
  readonly approved: boolean
}

export interface Cell extends Step {
  /** As RFC 6121 section A.1 calls it: `None + Pending Out+In`. */
  readonly name: string
  /** The contact is pre-approved afterwards (RFC 6121 section 3.4). Never, where the server does not offer it. */
  readonly approved: boolean
  /** The gate's rule that judges these stanzas by state. `undefined`: none does. */
  readonly rule: string | undefined
  /** `RFC 6121 appendix A.2.1`. */
  readonly clause: string
  /** The number of the table in RFC 3921 section 9. `undefined`: it prints none for outbound `subscribe` and `unsubscribe`. */
  readonly table3921: number | undefined
}

type Place = Pick<Cell, 'rule' | 'clause' | 'table3921'>

const places: Readonly<Record<Direction, Readonly<Record<SubscriptionType, Place>>>> = {
  outbound: {
    subscribe: place('A.2.1', undefined),
    unsubscribe: place('A.2.2', undefined),
    subscribed: place('A.2.3', 1),
    unsubscribed: place('A.2.4', 2),
  },
  inbound: {
    subscribe: place('A.3.1', 3),
    unsubscribe: place('A.3.2', 4),
    subscribed: place('A.3.3', 5, 'subscribed-needs-request'),
    unsubscribed: place('A.3.4', 6, 'unsubscribed-needs-subscription'),
  },
}
const notOffered: PreApproval = { offered: false, approved: false }

/** What the user's server does with a subscription stanza in this state. `preApproval`: left out: the server does not offer it. */
export function cellOf(
  state: Subscription,
  direction: Direction,
  type: SubscriptionType,
  { offered, approved }: PreApproval = notOffered,
): Cell {
  const step = next(state, direction, type)
  const cell = { ...step, ...places[direction][type], name: stateName(state), approved: offered && approved }
  if (!offered || state.from !== 'none') return cell
  if (direction === 'outbound') {
    if (type === 'subscribed') return { ...cell, approved: true }
    return type === 'unsubscribed' ? { ...cell, approved: false } : cell
  }
  if (type !== 'subscribe' || !approved) return cell
  // RFC 6121 section 3.4.2. Whether the flag outlives the approval is the server's choice.
  return { ...cell, state: { ...state, from: 'active' }, passes: false, autoReply: 'subscribed' }
}

/** RFC 6121 section A.1. */
export function stateName({ to, from }: Subscription): string {
  const base = to === 'active' ? (from === 'active' ? 'Both' : 'To') : from === 'active' ? 'From' : 'None'
  const pending = [...(to === 'pending' ? ['Out'] : []), ...(from === 'pending' ? ['In'] : [])]
  return pending.length === 0 ? base : `${base} + Pending ${pending.join('+')}`
}

function place(section: string, table3921: number | undefined, rule?: string): Place {
  return { clause: `RFC 6121 appendix ${section}`, table3921, rule }
}
