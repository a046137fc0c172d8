import { ns } from '../stream/namespaces.ts'
import { type Element, withAttrs } from '../xml/element.ts'
import { SourceElement } from '../xml/source-element.ts'

export const kinds = ['message', 'presence', 'iq'] as const
export type Kind = (typeof kinds)[number]

/** The four presence types that change a subscription (RFC 6121 section 3). */
export const subscriptionTypes = ['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed'] as const
export type SubscriptionType = (typeof subscriptionTypes)[number]

/** A first-level element of `jabber:client` named message, presence or iq. Attributes are as they came, unjudged. */
export interface Stanza {
  readonly kind: Kind
  readonly element: Element
  readonly type: string | undefined
  readonly to: string | undefined
  readonly from: string | undefined
  readonly id: string | undefined
}

/** What kind of stanza an element is, or `undefined` for a nonza. */
export function kindOf({ ns: uri, name }: Element): Kind | undefined {
  return uri === ns.client && isKind(name) ? name : undefined
}

/** The stanza that an element is, or `undefined` for a nonza. */
export function stanzaOf(element: Element): Stanza | undefined {
  if (element.ns !== ns.client || !isKind(element.name)) return undefined
  if (element instanceof SourceElement) {
    const { type, to, from, id } = element.common
    return { kind: element.name, element, type, to, from, id }
  }
  const { attrs } = element
  return {
    kind: element.name,
    element,
    type: attrs.get('type'),
    to: attrs.get('to'),
    from: attrs.get('from'),
    id: attrs.get('id'),
  }
}

/** The same stanza with other attributes: `undefined` takes one away. */
export function readdressed(stanza: Stanza, changes: Readonly<Record<string, string | undefined>>): Stanza {
  return stanzaOf(withAttrs(stanza.element, changes)) as Stanza
}

export function subscriptionTypeOf({ kind, type }: Stanza): SubscriptionType | undefined {
  return kind === 'presence' && isSubscriptionType(type) ? type : undefined
}

function isSubscriptionType(type: string | undefined): type is SubscriptionType {
  return type !== undefined && (subscriptionTypes as readonly string[]).includes(type)
}

/** Whether an element's name is one of a stanza's, whatever its namespace. */
export function isKind(name: string): name is Kind {
  return name === 'message' || name === 'presence' || name === 'iq'
}
