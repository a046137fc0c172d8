/** IQs of `jabber:iq:roster` (RFC 6121 section 2), read for what they say of subscriptions. */
import { ns } from '../stream/namespaces.ts'
import { child, type Element } from '../xml/element.ts'
import { isAccountItself } from './own-addresses.ts'
import type { Stanza } from './stanza.ts'

/** The query of a client's roster get to its own account; a get to another's (XEP-0321) is none. */
export function rosterGetOf(stanza: Stanza, bare: string): Element | undefined {
  if (stanza.kind !== 'iq' || stanza.type !== 'get' || !isAccountItself(stanza.to, bare)) return undefined
  return child(stanza.element, 'query', ns.roster)
}

/** The query of a roster set: from a client a change, from the server a push. */
export function rosterSetOf(stanza: Stanza): Element | undefined {
  return stanza.kind === 'iq' && stanza.type === 'set' ? child(stanza.element, 'query', ns.roster) : undefined
}

/** A roster item as far as subscriptions go. */
export interface RosterItem {
  readonly jid: string
  readonly subscription: 'none' | 'to' | 'from' | 'both'
  readonly ask: boolean
  readonly removed: boolean
  /** The user has approved a request that the contact has yet to make (RFC 6121 section 3.4). */
  readonly approved?: boolean
}

/**
 * The items of a query. An item without a JID says nothing; an unknown subscription is ignored as RFC 6121 section 2.1.2.5 has it,
 * which leaves that item out.
 */
export function rosterItemsOf(query: Element): RosterItem[] {
  const items: RosterItem[] = []
  for (const each of query.children) {
    if (typeof each === 'string' || each.ns !== ns.roster || each.name !== 'item') continue
    const { attrs } = each
    const jid = attrs.get('jid')
    if (jid === undefined) continue
    const subscription = attrs.get('subscription') ?? 'none'
    if (subscription === 'remove') {
      items.push({ jid, subscription: 'none', ask: false, removed: true })
      continue
    }
    if (!isSubscription(subscription)) continue
    const ask = attrs.get('ask') === 'subscribe'
    const approved = attrs.get('approved')
    if (approved === 'true' || approved === '1') items.push({ jid, subscription, ask, removed: false, approved: true })
    else items.push({ jid, subscription, ask, removed: false })
  }
  return items
}

function isSubscription(value: string): value is RosterItem['subscription'] {
  return value === 'none' || value === 'to' || value === 'from' || value === 'both'
}
