import { isAccountItself } from '../stanza/own-addresses.ts'
import { rosterSetOf } from '../stanza/roster-iq.ts'
import type { Rule } from './rule.ts'

export const rosterPushFromAccount: Rule = {
  name: 'roster-push-from-account',
  clause: 'RFC 6121 2.1.6',
  about: 'a roster push is believed only from the account itself',
  scope: { from: 'upstream', kinds: ['iq'], types: ['set'] },
  judge: (stanza, facts) => {
    if (facts.from !== 'upstream' || rosterSetOf(stanza) === undefined) return undefined
    if (isAccountItself(stanza.from, facts.bare)) return undefined
    return { verdict: 'reject', error: { condition: 'service-unavailable' } }
  },
}
