import type { Rule } from './rule.ts'

/**
 * RFC 6121 section 3.1.3 has servers deliver each request at every login until it is answered (RFC 3921 section 9.4). Where the server does not, the
 * session delivers it again; this rule lets such a stanza pass, which no other has brought about. `session/redelivery.ts` says when.
 */
export const redeliverRequests: Rule = {
  name: 'redeliver-requests',
  clause: 'RFC 6121 3.1.3',
  about: 'a subscription request that is not answered is delivered at each login, also where the server does not',
  scope: { from: 'upstream', kinds: ['presence'], types: ['subscribe'] },
  isOffByDefault: true,
  judge: (stanza, facts) => (facts.isRedelivered === true ? { verdict: 'forward', stanza } : undefined),
}
