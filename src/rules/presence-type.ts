import { presenceTypeFault } from '../stanza/shape.ts'
import type { Rule } from './rule.ts'

export const presenceType: Rule = {
  name: 'presence-type',
  clause: 'RFC 6121 4.7.1',
  about: "a client's presence has no type or one of the seven that the schema enumerates",
  scope: { from: 'client', kinds: ['presence'] },
  judge: (stanza, facts) => {
    if (facts.from !== 'client' || stanza.kind !== 'presence') return undefined
    const fault = presenceTypeFault(stanza.element)
    return fault && { verdict: 'reject', error: { condition: 'bad-request', text: fault.text } }
  },
}
