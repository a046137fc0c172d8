/**
 * Repairs stanzas: what the schemas do not allow is left out. The result is checked like any stanza, so that nothing passes here
 * that the checks of `shape.ts` would refuse.
 */
import { ns } from '../stream/namespaces.ts'
import { type Element, element, type Node, text, withAttrs, withChildren } from '../xml/element.ts'
import { presenceChildrenFault, rosterSetFault } from './shape.ts'

/** White space of XML, which is no more than layout around a value (XML 1.0, production 3). */
const blank = /^[ \t\r\n]*$/
const outerBlanks = /^[ \t\r\n]+|[ \t\r\n]+$/g
/** Children of which a presence stanza has one at most (RFC 6121 section 4.7.2, RFC 6120 section 8.3.1). */
const single: ReadonlySet<string> = new Set(['show', 'priority', 'error'])
/** Children that are there for the text in them. */
const hasValue: ReadonlySet<string> = new Set(['show', 'status', 'priority'])

/**
 * The repaired presence stanza. Children that are not allowed are left out; of several that exclude each other the first stays.
 * White space around the value of `<show/>` and `<priority/>` is trimmed, and attributes that a child of that name does not have
 * are left out. `lang`: the language that the stanza inherits from its stream. `undefined`: the stanza cannot be repaired.
 */
export function repairedPresence(presence: Element, lang: string | undefined): Element | undefined {
  const seen = new Set<string>()
  const inherited = presence.attrs.get('xml:lang') ?? lang ?? ''
  const children = presence.children.flatMap((node): Node[] => {
    if (typeof node === 'string') return blank.test(node) ? [node] : []
    const trimmedChild = trimmed(node)
    const child = isAtFault(presence, trimmedChild) ? withoutAttributes(trimmedChild) : trimmedChild
    if (isAtFault(presence, child)) return []
    const place = placeOf(child, inherited)
    if (place === undefined) return [child]
    if (seen.has(place)) return []
    seen.add(place)
    return [child]
  })
  const repaired = withChildren(presence, children)
  return presenceChildrenFault(repaired, lang) === undefined ? repaired : undefined
}

/** A client's roster set without `ask` and `approved`, which only servers set. `undefined`: it cannot be repaired so. */
export function repairedRosterSet(query: Element): Element | undefined {
  const children = query.children.map(node =>
    typeof node === 'string' || node.ns !== ns.roster || node.name !== 'item'
      ? node
      : withAttrs(node, { ask: undefined, approved: undefined }),
  )
  const repaired = withChildren(query, children)
  return rosterSetFault(repaired) === undefined ? repaired : undefined
}

function trimmed(child: Element): Element {
  if (child.ns !== ns.client || (child.name !== 'show' && child.name !== 'priority')) return child
  if (child.children.some(node => typeof node !== 'string')) return child
  const value = text(child)
  const bare = value.replaceAll(outerBlanks, '')
  return bare === value ? child : withChildren(child, bare === '' ? [] : [bare])
}

/** `<show/>`, `<status/>` and `<priority/>` with no attribute but the language, which only `<status/>` has. */
function withoutAttributes(child: Element): Element {
  if (child.ns !== ns.client || !hasValue.has(child.name)) return child
  const isAllowed = (name: string) => name === 'xml:lang' && child.name === 'status'
  const others = [...child.attrs.keys()].filter(name => !isAllowed(name))
  return withAttrs(child, Object.fromEntries(others.map(name => [name, undefined])))
}

/** Whether this child is not allowed, whatever the others are. */
function isAtFault(presence: Element, child: Element): boolean {
  const isError = child.ns === ns.client && child.name === 'error' && presence.attrs.get('type') === 'error'
  const alone = element('presence', ns.client, isError ? { type: 'error' } : {}, [child])
  return presenceChildrenFault(alone, undefined) !== undefined
}

/** What a presence stanza may have once: the name of the child, or the language of a status. `undefined`: there may be any number. */
function placeOf(child: Element, inherited: string): string | undefined {
  if (child.ns !== ns.client) return undefined
  if (child.name === 'status') return `status ${(child.attrs.get('xml:lang') ?? inherited).toLowerCase()}`
  // An empty <show/> has no meaning and counts as none.
  if (child.name === 'show' && child.children.length === 0) return undefined
  return single.has(child.name) ? child.name : undefined
}
