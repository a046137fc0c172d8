import type { Rule } from './rule.ts'

/** Many clients compare only the `id`, which can be guessed: a stranger whose answer comes first would be believed. */
export const iqAnswerNeedsRequest: Rule = {
  name: 'iq-answer-needs-request',
  clause: 'RFC 6120 8.2.3',
  about: 'a result or an error is believed only from whom the client has asked',
  scope: { from: 'upstream', kinds: ['iq'], types: ['result', 'error'] },
  judge: (stanza, facts) => {
    if (facts.from !== 'upstream' || stanza.kind !== 'iq') return undefined
    if (stanza.type !== 'result' && stanza.type !== 'error') return undefined
    return facts.asked(stanza) === 'refuse' ? { verdict: 'drop' } : undefined
  },
}
