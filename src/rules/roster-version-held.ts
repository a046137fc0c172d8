import { rosterGetOf } from '../stanza/roster-iq.ts'
import { type Stanza, stanzaOf } from '../stanza/stanza.ts'
import { type Element, withAttrs, withChildren } from '../xml/element.ts'
import type { Facts, Rule } from './rule.ts'

/**
 * A roster get with the version that the server still has is answered with an empty result. The gate would learn no roster from
 * it, and no rule could say what it would do. Unless the gate knows the roster of that version, the client's get goes on with an
 * empty version: the answer is the whole roster with its version. The client loses nothing by it, so it is no decision against
 * it, and it is done in mode `observe` too.
 */
export const rosterVersionHeld: Rule = {
  name: 'roster-version-held',
  clause: 'RFC 6121 2.6.2',
  about: "a roster get names a version only if the gate knows that version's contents",
  scope: { from: 'client', kinds: ['iq'], types: ['get'] },
  judge: (stanza, facts) => {
    const query = getWithUnknownVersion(stanza, facts)
    return query && { verdict: 'forward', stanza: withoutVersion(stanza, query), isRoutine: true }
  },
  repair: (stanza, facts) => {
    const query = getWithUnknownVersion(stanza, facts)
    return query && withoutVersion(stanza, query)
  },
  isNeededToObserve: true,
}

function getWithUnknownVersion(stanza: Stanza, facts: Facts): Element | undefined {
  if (facts.from !== 'client') return undefined
  const query = rosterGetOf(stanza, facts.bare)
  const ver = query?.attrs.get('ver')
  return ver === undefined || ver === '' || facts.roster.holdsVersion(ver) ? undefined : query
}

function withoutVersion(stanza: Stanza, query: Element): Stanza {
  const children = stanza.element.children.map(node => (node === query ? withAttrs(query, { ver: '' }) : node))
  return stanzaOf(withChildren(stanza.element, children)) as Stanza
}
