import { compareBare, hasResource, resourceOf } from '../stanza/jid.ts'
import { readdressed, type Stanza, subscriptionTypeOf } from '../stanza/stanza.ts'
import type { Facts, Rule } from './rule.ts'

/**
 * RFC 6120 section 8.1.2.1 has the server override a client's `from`, whatever it says: honest clients send a room's JID in it. RFC
 * 3920 section 9.1.2 has it refuse one that is not the client's; the operator may ask for that.
 */
export const fromIsBoundJid: Rule = {
  name: 'from-is-bound-jid',
  clause: 'RFC 6120 8.1.2.1',
  about: "a client's stanza comes from the JID that its stream is bound to",
  scope: { from: 'client' },
  judge: (stanza, facts) => {
    if (facts.from !== 'client' || stanza.from === undefined || stanza.from === canonical(stanza, facts))
      return undefined
    // An empty `from` counts as none: servers put the client's own address in its place.
    const isOwn = stanza.from === '' || compareBare(stanza.from, facts.bare) !== 'different'
    if (!isOwn && facts.foreignFrom === 'close')
      return {
        verdict: 'close',
        error: 'invalid-from',
        text: "the stanza's 'from' is not the JID that this stream is bound to",
      }
    const isRoutine = isOwn && namesSameResource(stanza.from, stanza, facts)
    return { verdict: 'forward', stanza: overridden(stanza, facts), isRoutine }
  },
  repair: overridden,
}

function canonical(stanza: Stanza, facts: Facts): string {
  return subscriptionTypeOf(stanza) === undefined ? facts.jid : facts.bare
}

function overridden(stanza: Stanza, facts: Facts): Stanza {
  return readdressed(stanza, { from: canonical(stanza, facts) })
}

/** The client's own address in another spelling, or without its resource. */
function namesSameResource(from: string, stanza: Stanza, facts: Facts): boolean {
  if (!hasResource(from)) return true
  return subscriptionTypeOf(stanza) === undefined && resourceOf(from) === resourceOf(facts.jid)
}
