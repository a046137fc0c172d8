import { repairedPresence } from '../stanza/repair.ts'
import { presenceChildrenFault } from '../stanza/shape.ts'
import { stanzaOf } from '../stanza/stanza.ts'
import type { Rule } from './rule.ts'

export const presenceChildren: Rule = {
  name: 'presence-children',
  clause: 'RFC 6121 4.7.2',
  about:
    "a client's presence has at most one show and one priority, statuses in distinct languages, and no stray children",
  scope: { from: 'client', kinds: ['presence'] },
  judge: (stanza, facts) => {
    if (facts.from !== 'client' || stanza.kind !== 'presence') return undefined
    const fault = presenceChildrenFault(stanza.element, facts.lang)
    return fault && { verdict: 'reject', error: { condition: 'bad-request', text: fault.text } }
  },
  repair: (stanza, facts) => {
    const repaired = repairedPresence(stanza.element, facts.lang)
    return repaired && stanzaOf(repaired)
  },
}
