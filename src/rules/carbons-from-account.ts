import { isAccountItself } from '../stanza/own-addresses.ts'
import { elements } from '../xml/element.ts'
import { mayHoldNamespace } from '../xml/source-element.ts'
import type { Rule } from './rule.ts'

/** The present namespace, and those of earlier versions that old clients still read. */
const carbons: ReadonlySet<string> = new Set(['urn:xmpp:carbons:2', 'urn:xmpp:carbons:1', 'urn:xmpp:carbons:0'])

/** A carbon holds a message of somebody else. A client that accepts one from a stranger shows messages that nobody wrote. */
export const carbonsFromAccount: Rule = {
  name: 'carbons-from-account',
  clause: 'XEP-0280 11',
  about: 'a carbon copy is believed only from the account itself',
  scope: { from: 'upstream', kinds: ['message'] },
  judge: (stanza, facts) => {
    if (facts.from !== 'upstream' || stanza.kind !== 'message' || isAccountItself(stanza.from, facts.bare))
      return undefined
    if (!mayHoldNamespace(stanza.element, 'urn:xmpp:carbons:')) return undefined
    const isCarbon = elements(stanza.element).some(
      ({ name, ns }) => (name === 'received' || name === 'sent') && carbons.has(ns),
    )
    return isCarbon ? { verdict: 'drop' } : undefined
  },
}
