import { isAccountItself } from '../stanza/account.ts'
import { bareOf } from '../stanza/jid.ts'
import { readdressed, subscriptionTypeOf } from '../stanza/stanza.ts'
import type { Rule } from './rule.ts'

/**
 * RFC 6120 section 8.1.2.1 has the server override a client's `from`; RFC 3920 section 9.1.2 has it refuse one that is not the
 * client's. Both are done: another account's address ends the stream, a stale resource of the own account is put right.
 */
export const fromIsBoundJid: Rule = {
  name: 'from-is-bound-jid',
  clause: 'RFC 6120 8.1.2.1',
  about: "a client's stanza comes from the JID that its stream is bound to",
  judge: (stanza, facts) => {
    if (facts.from !== 'client' || stanza.from === undefined) return undefined
    const canonical = subscriptionTypeOf(stanza) === undefined ? facts.jid : facts.bare
    if (stanza.from === canonical) return undefined
    // An empty one names nobody: servers put the client's own in its place.
    if (stanza.from !== '' && !isAccountItself(bareOf(stanza.from), facts.bare))
      return {
        verdict: 'close',
        error: 'invalid-from',
        text: "the stanza's 'from' is not the JID that this stream is bound to",
      }
    return { verdict: 'forward', stanza: readdressed(stanza, { from: canonical }) }
  },
}
