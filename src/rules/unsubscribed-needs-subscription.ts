import type { Rule } from './rule.ts'

/** RFC 3921 section 9.3, table 6, says the same. */
export const unsubscribedNeedsSubscription: Rule = {
  name: 'unsubscribed-needs-subscription',
  clause: 'RFC 6121 3.2.3',
  about: 'a denial or cancellation is believed only when the roster shows a request or a subscription',
  scope: { from: 'upstream', kinds: ['presence'], types: ['unsubscribed'] },
  judge: (stanza, facts) => {
    if (facts.from !== 'upstream' || stanza.kind !== 'presence' || stanza.type !== 'unsubscribed') return undefined
    // A stanza without `from` comes from the account itself (RFC 6120 section 8.1.2.1).
    const from = stanza.from ?? facts.bare
    if (facts.trusts(from)) return undefined
    const belief = facts.roster.endsSubscription(from)
    const isRefused = belief === 'refuse' || (belief === 'unknown' && facts.unverified === 'drop')
    return isRefused ? { verdict: 'drop' } : undefined
  },
}
