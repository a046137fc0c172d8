/** An element as data that JSON can hold. */
import type { Element, Node } from './element.ts'

/** Namespace, name, attributes, children. */
export type ElementRecord = readonly [
  ns: string,
  name: string,
  attrs: readonly (readonly [string, string])[],
  children: readonly (ElementRecord | string)[],
]

export function recordOfElement({ ns, name, attrs, children }: Element): ElementRecord {
  return [ns, name, [...attrs], children.map(node => (typeof node === 'string' ? node : recordOfElement(node)))]
}

/** Throws when it is no record of an element. */
export function elementOfRecord([ns, name, attrs, children]: ElementRecord): Element {
  if (typeof ns !== 'string' || typeof name !== 'string') throw new TypeError('an element has a namespace and a name')
  for (const each of attrs.flat()) if (typeof each !== 'string') throw new TypeError('an attribute is a text')
  const nodes: Node[] = children.map(each => (typeof each === 'string' ? each : elementOfRecord(each)))
  return { ns, name, attrs: new Map(attrs), children: nodes }
}
