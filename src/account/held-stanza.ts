/** The copy of a request's stanza that is kept while it is held. */
import { detachedString } from '../stanza/detached-string.ts'
import type { Element } from '../xml/element.ts'

/** UTF-16 units that stand for what a held request takes besides its text. */
export const overhead = 500
/** The same for each of its elements. */
const elementOverhead = 50
/** UTF-16 units of a stanza, with `elementOverhead` for each element, beyond which its children are not kept. */
const lengthAtMost = 2_000
/** A copy that keeps no larger text in memory, and its weight in UTF-16 units. */
export function copyOf(whole: Element): { element: Element; weight: number } {
  const copied = { length: 0 }
  const all = detached(whole, copied)
  if (copied.length <= lengthAtMost) return { element: all, weight: copied.length + overhead }
  copied.length = 0
  const { name, ns, attrs } = whole
  return { element: detached({ name, ns, attrs, children: [] }, copied), weight: copied.length + overhead }
}

/** Children are left out as soon as it is too long. */
function detached({ name, ns, attrs, children }: Element, copied: { length: number }): Element {
  const text = (part: string) => {
    copied.length += part.length
    return detachedString(part)
  }
  copied.length += elementOverhead
  const own = new Map([...attrs].map(([key, value]) => [text(key), text(value)]))
  const nodes: Element['children'][number][] = []
  for (const node of children) {
    if (copied.length + (typeof node === 'string' ? node.length : 0) > lengthAtMost) {
      copied.length = lengthAtMost + 1
      break
    }
    nodes.push(typeof node === 'string' ? text(node) : detached(node, copied))
  }
  return { name: text(name), ns: text(ns), attrs: own, children: nodes }
}
