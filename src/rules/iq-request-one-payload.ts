import { elements } from '../xml/element.ts'
import type { Rule } from './rule.ts'

/** Of two payloads one server reads the first and another the second, and ejabberd hands both on to whoever is asked. */
export const iqRequestOnePayload: Rule = {
  name: 'iq-request-one-payload',
  clause: 'RFC 6120 8.2.3',
  about: "a client's request holds exactly one element",
  scope: { from: 'client', kinds: ['iq'], types: ['get', 'set'] },
  judge: (stanza, facts) => {
    if (facts.from !== 'client' || stanza.kind !== 'iq') return undefined
    if (stanza.type !== 'get' && stanza.type !== 'set') return undefined
    const count = elements(stanza.element).length
    if (count === 1) return undefined
    const text = `a request holds one element, not ${count === 0 ? 'none' : 'several'}`
    return { verdict: 'reject', error: { condition: 'bad-request', text } }
  },
}
