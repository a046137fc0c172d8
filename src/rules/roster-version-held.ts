import { rosterGetOf } from '../stanza/roster-iq.ts'
import { stanzaOf } from '../stanza/stanza.ts'
import { withAttrs, withChildren } from '../xml/element.ts'
import type { Rule } from './rule.ts'

/**
 * To a version that the server still holds it answers with an empty result, and the gate would learn nothing. Unless the gate
 * knows that very version, the client asks with an empty one: the answer is the whole roster, with its version.
 */
export const rosterVersionHeld: Rule = {
  name: 'roster-version-held',
  clause: 'RFC 6121 2.6.2',
  about: "a roster get names a version only if the gate knows that version's contents",
  judge: (stanza, facts) => {
    if (facts.from !== 'client') return undefined
    const query = rosterGetOf(stanza, facts.bare)
    const ver = query?.attrs.get('ver')
    if (query === undefined || ver === undefined || ver === '' || facts.roster.holdsVersion(ver)) return undefined
    const children = stanza.element.children.map(node => (node === query ? withAttrs(query, { ver: '' }) : node))
    const rewritten = stanzaOf(withChildren(stanza.element, children))
    return rewritten && { verdict: 'forward', stanza: rewritten }
  },
}
