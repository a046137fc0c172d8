import type { Element } from './element.ts'
import { ReattributedElement, SourceElement } from './source-element.ts'

/** What is already declared where an element is written. */
export interface WriteContext {
  /** The default namespace; `''` for none. */
  readonly content: string
  /** The one namespace bound to a prefix there, if any. */
  readonly bound?: { readonly prefix: string; readonly ns: string } | undefined
  /**
   * CDATA sections and single quotes may be written where they are shorter: to a server, which has a limit, and not to a client, which may
   * not know them or read them wrongly.
   */
  readonly isShortest?: boolean
}

/**
 * The text of an element in canonical spelling: no prefixes but the one bound outside, references only where they are needed, and
 * the shorter of two spellings. Reading it gives the same element, also with libexpat. It is hardly longer than the text that was
 * read, since a server must not refuse it for its size: a CDATA section that is spelled otherwise may cost three bytes for its
 * twelve, and a namespace that was declared once with a prefix is declared wherever the surroundings lack it, which the reader
 * limits.
 */
export function write(element: Element, around: WriteContext): string {
  const { content, bound, isShortest = false } = around
  if (element instanceof SourceElement) return element.within(content)
  const prefix = prefixOf(element.ns, bound)
  const isBound = prefix !== undefined
  const name = isBound ? `${prefix}:${element.name}` : element.name
  let out = `<${name}`
  let inside = content
  if (!isBound && element.ns !== content) {
    out += ` xmlns=${quoted(element.ns, isShortest)}`
    inside = element.ns
  }
  let fresh = 0
  let prefixes: Map<string, string> | undefined
  for (const [key, value] of element.attrs) {
    if (key.charCodeAt(0) === 0x7b) {
      const end = key.lastIndexOf('}')
      const uri = key.slice(1, end)
      let prefix = prefixes?.get(uri)
      if (prefix === undefined) {
        if (`n${fresh}` === bound?.prefix) fresh++
        prefix = `n${fresh++}`
        prefixes ??= new Map()
        prefixes.set(uri, prefix)
        out += ` xmlns:${prefix}=${quoted(uri, isShortest)}`
      }
      out += ` ${prefix}:${key.slice(end + 1)}=${quoted(value, isShortest)}`
    } else out += ` ${key}=${quoted(value, isShortest)}`
  }
  if (element instanceof ReattributedElement)
    return element.content === '' ? `${out}/>` : `${out}>${element.content}</${name}>`
  if (element.children.length === 0) return `${out}/>`
  out += '>'
  const within = inside === content ? around : { ...around, content: inside }
  let followsText = false
  for (const node of element.children) {
    out += typeof node === 'string' ? writeText(node, followsText, isShortest) : write(node, within)
    followsText = typeof node === 'string'
  }
  return `${out}</${name}>`
}

/** The prefix that a namespace has without being declared: the one bound outside, and `xml`, which cannot be declared otherwise. */
function prefixOf(ns: string, bound: WriteContext['bound']): string | undefined {
  if (bound !== undefined && ns === bound.ns && bound.prefix !== '') return bound.prefix
  return ns === 'http://www.w3.org/XML/1998/namespace' ? 'xml' : undefined
}

/** The shortest references for these characters. */
const references: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
  '\t': '&#9;',
  '\n': '&#xA;',
  '\r': '&#xD;',
}

/** A `>` needs a reference only where it would end a CDATA section; elsewhere the reference would make honest text four times as long. */
const inText = /[&<\r]|(?<=\]\])>/
/** For text that follows text: the brackets may be at the end of the text before. */
const inLaterText = /[&<\r]|(?<=^|^\]|\]\])>/
/** Text without any of these needs nothing; looking behind each `>` would cost more than this. */
const perhapsInText = /[&<>\r]/
const everyInText = new RegExp(inText, 'g')
const everyInLaterText = new RegExp(inLaterText, 'g')
const sectionLength = '<![CDATA[]]>'.length

function writeText(text: string, followsText: boolean, mayHaveSections: boolean): string {
  if (!perhapsInText.test(text)) return text
  const special = followsText ? inLaterText : inText
  if (!special.test(text)) return text
  if (!mayHaveSections) return text.replace(followsText ? everyInLaterText : everyInText, reference)
  // A CDATA section can hold neither of them.
  return text
    .split(followsText ? /(\r|(?<=^|^\]|\]\])>)/ : /(\r|(?<=\]\])>)/)
    .map((part, index) => (index % 2 === 1 ? reference(part) : writePart(part)))
    .join('')
}

/** Each `<` and `&` as a reference, or everything in a CDATA section where that is shorter. */
function writePart(part: string): string {
  const escaped = part.replace(/[&<]/g, reference)
  return escaped.length > part.length + sectionLength ? `<![CDATA[${part}]]>` : escaped
}

const inAttribute = /[&<"\t\n\r]/

/**
 * An attribute's value between double quotes, or, if `mayBeSingle`, single ones where the value has more of the double. The parser of gloox,
 * which clients use, ends a value between single quotes at the first double one and would read the rest of the value as XML.
 */
export function quoted(value: string, mayBeSingle = false): string {
  if (!inAttribute.test(value)) return `"${value}"`
  const isSingle = mayBeSingle && count(value, '"') > count(value, "'")
  return isSingle ? `'${value.replace(/[&<'\t\n\r]/g, reference)}'` : `"${value.replace(/[&<"\t\n\r]/g, reference)}"`
}

function count(text: string, character: string): number {
  let found = 0
  for (let at = text.indexOf(character); at !== -1; at = text.indexOf(character, at + 1)) found++
  return found
}

function reference(character: string): string {
  return references[character] as string
}
