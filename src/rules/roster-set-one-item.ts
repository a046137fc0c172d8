import { rosterSetFault } from '../stanza/shape.ts'
import { ns } from '../stream/namespaces.ts'
import { child } from '../xml/element.ts'
import type { Rule } from './rule.ts'

export const rosterSetOneItem: Rule = {
  name: 'roster-set-one-item',
  clause: 'RFC 6121 2.3.3',
  about: "a client's roster set names exactly one item, without ask or approved",
  judge: (stanza, facts) => {
    if (facts.from !== 'client' || stanza.kind !== 'iq' || stanza.type !== 'set') return undefined
    const query = child(stanza.element, 'query', ns.roster)
    const fault = query === undefined ? undefined : rosterSetFault(query)
    return fault && { verdict: 'reject', error: fault }
  },
}
