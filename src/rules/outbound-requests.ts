import type { Rule } from './rule.ts'

/** XEP-0205 section 3.1 asks servers for limits, and for words that tell people so. */
export const outboundRequests: Rule = {
  name: 'outbound-requests',
  clause: 'XEP-0205 3.1',
  about: 'an account asks for no more subscriptions within an hour than it may',
  scope: { from: 'client', kinds: ['presence'], types: ['subscribe'] },
  judge: (stanza, facts) => {
    if (facts.from !== 'client' || stanza.kind !== 'presence' || stanza.type !== 'subscribe') return undefined
    if (facts.mayRequest()) return undefined
    const text = 'This account has asked for too many subscriptions within an hour. Try again later.'
    return { verdict: 'reject', error: { condition: 'policy-violation', type: 'wait', text } }
  },
}
