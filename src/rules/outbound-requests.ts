import type { Rule } from './rule.ts'

/**
 * XEP-0205 section 3.1 asks servers for limits, and for words that tell people so. An approval of a contact that sees the user already is ignored
 * without an answer, as RFC 6121 section A.2.3 has servers do. Whatever the roster shows, a `subscribe`, an `unsubscribe` and an `unsubscribed` may be
 * right, as may a `subscribed` in any other state: a contact's own request shows in no roster.
 */
export const outboundRequests: Rule = {
  name: 'outbound-requests',
  clause: 'XEP-0205 3.1',
  about:
    'an account asks for no more subscriptions within an hour than it may, and approves nobody who sees it already',
  scope: { from: 'client', kinds: ['presence'], types: ['subscribe', 'subscribed'] },
  judge: ({ kind, type, to }, facts) => {
    if (facts.from !== 'client' || kind !== 'presence') return undefined
    if (type === 'subscribed') {
      const isIdle = to !== undefined && !facts.trusts(to) && facts.isIdleApproval(to)
      return isIdle ? { verdict: 'drop' } : undefined
    }
    if (type !== 'subscribe' || facts.mayRequest()) return undefined
    const text = 'This account has asked for too many subscriptions within an hour. Try again later.'
    return { verdict: 'reject', error: { condition: 'policy-violation', type: 'wait', text } }
  },
}
