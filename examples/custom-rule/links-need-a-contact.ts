/** A rule: a message holds no link if the user has neither a subscription to its sender nor asked for one. */
import type { Element, Facts, Rule, Stanza } from 'stanzagate'

const link = /\bhttps?:\/\//i

export const linksNeedAContact: Rule = {
  name: 'links-need-a-contact',
  clause: 'house rule 1',
  about: 'a message holds no link unless the user is subscribed to its sender, or has asked to be',
  judge: (stanza, facts) => {
    if (facts.from !== 'upstream' || stanza.kind !== 'message' || stanza.type === 'error') return undefined
    if (isOfContact(stanza, facts) || !link.test(bodyOf(stanza.element))) return undefined
    return { verdict: 'drop' }
  },
}

/** `endsSubscription` is `refuse` only when the roster was seen and shows neither a subscription nor a request. */
function isOfContact({ from }: Stanza, { bare, roster }: Facts): boolean {
  if (from === undefined || from.startsWith(`${bare}/`) || from === bare) return true
  return roster.endsSubscription(from) !== 'refuse'
}

function bodyOf(message: Element): string {
  for (const node of message.children)
    if (typeof node !== 'string' && node.name === 'body' && node.ns === 'jabber:client') return node.children.join('')
  return ''
}
