import { bareOf, parseJid } from '../stanza/jid.ts'
import { readdressed, type Stanza, subscriptionTypeOf, subscriptionTypes } from '../stanza/stanza.ts'
import type { Facts, Rule, Verdict } from './rule.ts'

/** Only the four subscription types: directed presence, such as a MUC join, needs its resource. */
export const subscriptionBareJids: Rule = {
  name: 'subscription-bare-jids',
  clause: 'RFC 6121 3.1.2',
  about: 'the four subscription types are stamped with a bare JID and addressed to one',
  scope: { kinds: ['presence'], types: subscriptionTypes },
  judge: (stanza, facts) => {
    if (subscriptionTypeOf(stanza) === undefined) return undefined
    return facts.from === 'client' ? outbound(stanza, facts) : inbound(stanza)
  },
  // A stanza that can be rewritten is rewritten in every mode. A stanza without `to` is rejected: there is no contact to send it
  // to.
  repair: () => undefined,
}

function outbound(stanza: Stanza, facts: Facts): Verdict | undefined {
  const { to } = stanza
  if (to === undefined)
    return { verdict: 'reject', error: { condition: 'bad-request', text: "a subscription stanza needs a 'to'" } }
  if (parseJid(to) === undefined)
    return { verdict: 'reject', error: { condition: 'jid-malformed', text: "'to' is not a JID" } }
  return stamped(stanza, facts.bare, bareOf(to))
}

/** No attribute is added that the server has left out. */
function inbound(stanza: Stanza): Verdict | undefined {
  const { from, to } = stanza
  return stamped(stanza, from === undefined ? undefined : bareOf(from), to === undefined ? undefined : bareOf(to))
}

function stamped(stanza: Stanza, from: string | undefined, to: string | undefined): Verdict | undefined {
  if (stanza.from === from && stanza.to === to) return undefined
  // Clients are allowed to leave out `from` (RFC 6120 section 8.1.2.1): adding it changes nothing that the client has said.
  const isRoutine = stanza.from === undefined && stanza.to === to
  return { verdict: 'forward', stanza: readdressed(stanza, { from, to }), isRoutine }
}
