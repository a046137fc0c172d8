// A stanza as a tree and as one line of text, read by a parser that is not the gate's: what the comparison compares.
import { DOMParser, type Element as DomElement, type Node as DomNode } from '@xmldom/xmldom'

export interface Tree {
  readonly name: string
  readonly ns: string
  /** Keys: the local name, or `{uri}local`. */
  readonly attrs: Readonly<Record<string, string>>
  readonly children: readonly (Tree | string)[]
}

/** `xml:lang`, as a key of `attrs`. */
export const lang = '{http://www.w3.org/XML/1998/namespace}lang'

/** Throws if the text is no well-formed element. */
export function parse(xml: string): Tree {
  const root = new DOMParser({
    onError: (_, message) => {
      throw new Error(`${message}: ${xml}`)
    },
  }).parseFromString(xml, 'text/xml').documentElement
  if (root === null) throw new Error(`no element: ${xml}`)
  return treeOf(root)
}

function treeOf(element: DomElement): Tree {
  const attrs: Record<string, string> = {}
  for (const { namespaceURI, localName, name, value } of Array.from(element.attributes)) {
    if (name === 'xmlns' || name.startsWith('xmlns:')) continue
    attrs[namespaceURI === null ? name : `{${namespaceURI}}${localName}`] = value
  }
  const children: (Tree | string)[] = []
  for (const node of Array.from(element.childNodes)) {
    if (isElement(node)) children.push(treeOf(node))
    else if (typeof children.at(-1) === 'string') children.push(`${children.pop()}${node.nodeValue ?? ''}`)
    else children.push(node.nodeValue ?? '')
  }
  return { name: element.localName ?? element.nodeName, ns: element.namespaceURI ?? '', attrs, children }
}

function isElement(node: DomNode): node is DomElement {
  return node.nodeType === node.ELEMENT_NODE
}

/** One line: attributes in the order of their names, `xmlns` where the namespace changes, everything else as it is. */
export function line(tree: Tree, inherited = ''): string {
  const ns = tree.ns === inherited ? '' : ` xmlns=${JSON.stringify(tree.ns)}`
  const attrs = Object.entries(tree.attrs)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => ` ${name}=${JSON.stringify(value)}`)
  const children = tree.children.map(node => (typeof node === 'string' ? JSON.stringify(node) : line(node, tree.ns)))
  return `<${tree.name}${ns}${attrs.join('')}>${children.join('')}</>`
}

export function elements(tree: Tree): Tree[] {
  return tree.children.filter(node => typeof node !== 'string')
}

/** The first element of that name and namespace, the tree itself included, or `undefined`. */
export function find(tree: Tree, name: string, ns: string): Tree | undefined {
  if (tree.name === name && tree.ns === ns) return tree
  for (const inner of elements(tree)) {
    const found = find(inner, name, ns)
    if (found !== undefined) return found
  }
  return undefined
}

/** The same tree with another value for every attribute and every text; `undefined` leaves one as it is. */
export function mapped(tree: Tree, change: Change): Tree {
  return {
    ...tree,
    attrs: Object.fromEntries(
      Object.entries(tree.attrs).map(([name, value]) => [name, change(value, name, tree) ?? value]),
    ),
    children: tree.children.map(node =>
      typeof node === 'string' ? (change(node, undefined, tree) ?? node) : mapped(node, change),
    ),
  }
}

/** `name` is the attribute's, `undefined` for a text directly inside `owner`. */
export type Change = (value: string, name: string | undefined, owner: Tree) => string | undefined
