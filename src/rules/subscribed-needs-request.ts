import type { Rule } from './rule.ts'

/** RFC 3921 section 8.2(8) says the same: an approval without a request is silently ignored. */
export const subscribedNeedsRequest: Rule = {
  name: 'subscribed-needs-request',
  clause: 'RFC 6121 3.1.6',
  about: 'an approval is believed only when the roster shows the request',
  scope: { from: 'upstream', kinds: ['presence'], types: ['subscribed'] },
  judge: (stanza, facts) => {
    if (facts.from !== 'upstream' || stanza.kind !== 'presence' || stanza.type !== 'subscribed') return undefined
    // A stanza without `from` comes from the account itself (RFC 6120 section 8.1.2.1).
    const from = stanza.from ?? facts.bare
    if (facts.trusts(from)) return undefined
    const belief = facts.roster.answersRequest(from)
    const isRefused = belief === 'refuse' || (belief === 'unknown' && facts.unverified === 'drop')
    return isRefused ? { verdict: 'drop' } : undefined
  },
}
