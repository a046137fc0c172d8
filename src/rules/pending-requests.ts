import type { Rule } from './rule.ts'

/**
 * RFC 6121 section 3.1.3 has servers deliver each request at every login until it is answered. What is left out here waits for room in the
 * account's quarantine; the session puts it there.
 */
export const pendingRequests: Rule = {
  name: 'pending-requests',
  clause: 'RFC 6121 3.1.3',
  about: 'an account is shown no more subscription requests of strangers than it may be, and each of them once',
  scope: { from: 'upstream', kinds: ['presence'], types: ['subscribe'] },
  judge: (stanza, facts) => {
    if (facts.from !== 'upstream' || stanza.kind !== 'presence' || stanza.type !== 'subscribe') return undefined
    const { from } = stanza
    if (from === undefined || facts.trusts(from) || !facts.isRequestHeld(from, stanza)) return undefined
    return { verdict: 'drop' }
  },
}
