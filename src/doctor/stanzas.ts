/** The stanzas that the doctor says and reads. */
import { bareOf } from '../stanza/jid.ts'
import { ns } from '../stream/namespaces.ts'
import { child, type Element, element, elements, type Node } from '../xml/element.ts'

type Attributes = Readonly<Record<string, string | undefined>>

export function presence(attributes: Attributes = {}, children: readonly Node[] = []): Element {
  return element('presence', ns.client, attributes, children)
}

export function iq(attributes: Attributes, children: readonly Node[] = []): Element {
  return element('iq', ns.client, attributes, children)
}

/** XEP-0199. */
export function ping(attributes: Attributes): Element {
  return iq({ ...attributes, type: 'get' }, [element('ping', 'urn:xmpp:ping')])
}

export function rosterSet(id: string, item: Attributes): Element {
  return iq({ type: 'set', id }, [element('query', ns.roster, {}, [element('item', ns.roster, item)])])
}

/** The answer to an IQ get or set that is none of the doctor's affairs; a ping and a roster push get a result. */
export function answerTo(request: Element): Element {
  const { attrs } = request
  const addresses = { id: attrs.get('id'), to: attrs.get('from'), from: attrs.get('to') }
  const isKnown = child(request, 'ping', 'urn:xmpp:ping') !== undefined || rosterQueryOf(request) !== undefined
  if (isKnown) return iq({ ...addresses, type: 'result' })
  const condition = element('service-unavailable', ns.stanzaErrors)
  return iq({ ...addresses, type: 'error' }, [element('error', ns.client, { type: 'cancel' }, [condition])])
}

export function isRequest(heard: Element): boolean {
  const type = heard.attrs.get('type')
  return heard.name === 'iq' && heard.ns === ns.client && (type === 'get' || type === 'set')
}

export function isAnswer(heard: Element, id: string): boolean {
  const type = heard.attrs.get('type')
  return heard.name === 'iq' && heard.attrs.get('id') === id && (type === 'result' || type === 'error')
}

/** The condition of an error stanza or of a stream error, as the server spells it; `undefined`: it is none. */
export function conditionOf(heard: Element): string | undefined {
  const holder = heard.ns === ns.stream ? heard : child(heard, 'error', ns.client)
  return holder && elements(holder).find(each => each.name !== 'text')?.name
}

export function rosterQueryOf(heard: Element): Element | undefined {
  return child(heard, 'query', ns.roster)
}

/** Whether it is a presence of that type from that account or one of its resources. */
export function isPresenceFrom(heard: Element, bare: string, type: string): boolean {
  const from = heard.attrs.get('from') ?? ''
  return heard.name === 'presence' && heard.attrs.get('type') === type && sameBare(from, bare)
}

/** Servers put addresses into lower case. */
export function sameBare(one: string, other: string): boolean {
  return bareOf(one).toLowerCase() === bareOf(other).toLowerCase()
}
