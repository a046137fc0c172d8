/** An XML element with its namespaces resolved. Read only: a rewrite makes a new element. */
export interface Element {
  readonly name: string
  /** Namespace name; `''` is no namespace. */
  readonly ns: string
  /** Keys: the local name, `xml:lang` and its like, or `{uri}local` for any other namespace. */
  readonly attrs: ReadonlyMap<string, string>
  readonly children: readonly Node[]
  /** Of an element that keeps the text of its content (source-element.ts): the same with these attributes. */
  withAttrs?(attrs: ReadonlyMap<string, string>): Element
}

export type Node = Element | string

const noAttrs: ReadonlyMap<string, string> = new Map()

/** Makes an element; attributes whose value is `undefined` are left out. */
export function element(
  name: string,
  ns: string,
  attrs: Readonly<Record<string, string | undefined>> = {},
  children: readonly Node[] = [],
): Element {
  const present = Object.entries(attrs).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return { name, ns, attrs: present.length === 0 ? noAttrs : new Map(present), children }
}

/** The child elements, without the text between them. */
export function elements(parent: Element): Element[] {
  return parent.children.filter(node => typeof node !== 'string')
}

/** The first child of that name and namespace, or `undefined`. */
export function child(parent: Element, name: string, ns: string): Element | undefined {
  for (const node of parent.children) {
    if (typeof node !== 'string' && node.name === name && node.ns === ns) return node
  }
  return undefined
}

/** The text directly inside an element, children's text left out. */
export function text(parent: Element): string {
  let all = ''
  for (const node of parent.children) if (typeof node === 'string') all += node
  return all
}

/** The same element with other attributes: `undefined` takes one away. */
export function withAttrs(from: Element, changes: Readonly<Record<string, string | undefined>>): Element {
  const attrs = new Map(from.attrs)
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) attrs.delete(name)
    else attrs.set(name, value)
  }
  return from.withAttrs?.(attrs) ?? { name: from.name, ns: from.ns, attrs, children: from.children }
}

export function withChildren({ name, ns, attrs }: Element, children: readonly Node[]): Element {
  return { name, ns, attrs, children }
}
