import { repairedRosterSet } from '../stanza/repair.ts'
import { rosterSetFault } from '../stanza/shape.ts'
import { type Stanza, stanzaOf } from '../stanza/stanza.ts'
import { ns } from '../stream/namespaces.ts'
import { child, type Element, withChildren } from '../xml/element.ts'
import type { Rule } from './rule.ts'

export const rosterSetOneItem: Rule = {
  name: 'roster-set-one-item',
  clause: 'RFC 6121 2.3.3',
  about: "a client's roster set names exactly one item, without ask or approved",
  scope: { from: 'client', kinds: ['iq'], types: ['set'] },
  judge: (stanza, facts) => {
    if (facts.from !== 'client') return undefined
    const query = changeOf(stanza)
    const fault = query === undefined ? undefined : rosterSetFault(query)
    return fault && { verdict: 'reject', error: fault }
  },
  repair: stanza => {
    const query = changeOf(stanza)
    const repaired = query && repairedRosterSet(query)
    if (repaired === undefined) return undefined
    return stanzaOf(
      withChildren(
        stanza.element,
        stanza.element.children.map(node => (node === query ? repaired : node)),
      ),
    )
  },
}

/** The query of a client's roster set. */
function changeOf(stanza: Stanza): Element | undefined {
  return stanza.kind === 'iq' && stanza.type === 'set' ? child(stanza.element, 'query', ns.roster) : undefined
}
