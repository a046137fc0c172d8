import type { Rule } from './rule.ts'

/**
 * RFC 6121 section 3.1.6 forbids the server to change its roster for an approval that nobody has asked for. What shows that it did is left out;
 * the session takes the change back.
 */
export const subscriptionNeedsRequest: Rule = {
  name: 'subscription-needs-request',
  clause: 'RFC 6121 3.1.6',
  about: 'the server grants no subscription for an approval that nobody has asked for',
  scope: { from: 'upstream', kinds: ['presence', 'iq'], types: ['subscribed', 'set'] },
  judge: (stanza, facts) => {
    const { kind, type } = stanza
    const isOfInterest = kind === 'presence' ? type === 'subscribed' : kind === 'iq' && type === 'set'
    if (facts.from !== 'upstream' || !isOfInterest) return undefined
    return facts.isGrantedUnasked(stanza) ? { verdict: 'drop' } : undefined
  },
}
