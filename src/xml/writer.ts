import type { Element } from './element.ts'

/** What is already declared where an element is written. */
export interface Surroundings {
  /** The default namespace; `''` for none. */
  readonly content: string
  /** The one namespace bound to a prefix there, if any. */
  readonly bound?: { readonly prefix: string; readonly ns: string } | undefined
}

/**
 * Text of an element in canonical spelling: double quotes, no prefixes but the one bound outside, the five entities, hexadecimal
 * references for TAB, LF and CR. Reading it again gives the same element, in libexpat too.
 */
export function write(element: Element, around: Surroundings): string {
  const { content, bound } = around
  const prefix = prefixOf(element.ns, bound)
  const isBound = prefix !== undefined
  const name = isBound ? `${prefix}:${element.name}` : element.name
  let out = `<${name}`
  let inside = content
  if (!isBound && element.ns !== content) {
    out += ` xmlns="${attribute(element.ns)}"`
    inside = element.ns
  }
  let fresh = 0
  for (const [key, value] of element.attrs) {
    if (key.charCodeAt(0) === 0x7b) {
      const end = key.lastIndexOf('}')
      if (`n${fresh}` === bound?.prefix) fresh++
      const prefix = `n${fresh++}`
      out += ` xmlns:${prefix}="${attribute(key.slice(1, end))}" ${prefix}:${key.slice(end + 1)}="${attribute(value)}"`
    } else out += ` ${key}="${attribute(value)}"`
  }
  if (element.children.length === 0) return `${out}/>`
  out += '>'
  const within = inside === content ? around : { content: inside, bound }
  for (const node of element.children) out += typeof node === 'string' ? escapeText(node) : write(node, within)
  return `${out}</${name}>`
}

/** The prefix that a namespace has without being declared: the one bound outside, and `xml`, which cannot be declared otherwise. */
function prefixOf(ns: string, bound: Surroundings['bound']): string | undefined {
  if (bound !== undefined && ns === bound.ns && bound.prefix !== '') return bound.prefix
  return ns === 'http://www.w3.org/XML/1998/namespace' ? 'xml' : undefined
}

/** A `>` needs it only where it would end a CDATA section; elsewhere it would quadruple honest text. */
const inText = /[&<\r]|(?<=^|\])>/
const inAttribute = /[&<>"'\t\n\r]/
const references: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  '\t': '&#x9;',
  '\n': '&#xA;',
  '\r': '&#xD;',
}

function escapeText(text: string): string {
  return inText.test(text) ? text.replace(/[&<\r]|(?<=^|\])>/g, reference) : text
}

/** An attribute's value, safe between either quotes. */
export function attribute(value: string): string {
  return inAttribute.test(value) ? value.replace(/[&<>"'\t\n\r]/g, reference) : value
}

function reference(character: string): string {
  return references[character] as string
}
