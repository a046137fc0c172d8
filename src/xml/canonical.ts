/**
 * Finds an element that is spelled in the plainest XML there is, so that it can be passed on as its text. Whatever else is
 * well-formed takes the way through saxes (reader.ts), with the same result. The plain spelling:
 *
 *     element   = '<' name attribute* ' '* ( '/>' | '>' ( text | element )* '</' name '>' )
 *     attribute = ' '+ ( name | 'xml:lang' | 'xmlns' ) '=' ( '"' value '"' | "'" value "'" )
 *     name      = an ASCII letter or '_', then ASCII letters, digits, '.', '-', '_'
 *     text      = characters of XML without CR, '<', ']>' and '&', or one of the five references that XML defines
 *     value     = the same without any control character, without the quote and without '"'; '>' and ']' stand freely
 *
 * The element may have the prefix of the stream's root, as `<stream:features>` has. In the first start tag no value has a reference.
 * There are no prefixes, comments, sections, instructions, numeric references or declarations, no attribute twice, and no namespace
 * that XML keeps for itself. A '"' between single quotes is XML, but gloox ends the value there. libexpat and saxes read such text
 * alike, in any surroundings whose default namespace is the same. Limits are those of the reader.
 */

import type { Element } from './element.ts'
import type { XmlLimits } from './limits.ts'
import { elementOf, type Places, SourceElement } from './source-element.ts'

/** What surrounds an element. */
export interface Surroundings {
  /** The default namespace; `undefined`: there is none, and the element has to declare its own. */
  readonly content: string | undefined
  /** The namespace of the stream's root. An element that declares it is left to the reader. */
  readonly root: string
  /** The prefix of the root, which an element of the first level may have; `undefined`: it has none, or there is no root. */
  readonly prefix: string | undefined
}

/** The element may go on in the next bytes. */
export const incomplete = -1
/** The element is not of the plain spelling, or beyond a limit: the reader must look at it. */
export const notPlain = -2

/** Deeper elements are left to the reader. */
const depthAtMost = 32
/** So are start tags with more attributes. */
const attributesAtMost = 16

const startsName = 1
const continuesName = 2
/** Not allowed as such in text. */
const specialInText = 4
/** Not allowed as such in a value. The quote that ends it is looked for before; gloox would end a value between single quotes at a `"`. */
const specialInValue = 8

const classes = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code)
  if (/[A-Za-z_]/.test(character)) return startsName | continuesName
  if (/[\d.-]/.test(character)) return continuesName
  if (character === '<' || character === '&') return specialInText | specialInValue
  if (character === '>') return specialInText
  if (character === '"' || character === '\t' || character === '\n') return specialInValue
  return code < 0x20 ? specialInText | specialInValue : 0
})

const references = ['&amp;', '&lt;', '&gt;', '&quot;', '&apos;']
/** Namespaces that XML itself or its schemas use begin so. Two of them may not be declared (Namespaces in XML 1.0 section 3). */
const reservedNamespaces = 'http://www.w3.org/'

// Of the start tag that was read last. It is copied before the next one is read.
let isEmptyTag = false
let attributes = 0
const nameFrom = new Int32Array(attributesAtMost)
const nameTo = new Int32Array(attributesAtMost)
const valueFrom = new Int32Array(attributesAtMost)
const valueTo = new Int32Array(attributesAtMost)
/** Which of the attributes is `xmlns`; -1: none. */
let declaration = -1

// Names of the elements that are open.
const openFrom = new Int32Array(depthAtMost)
const openTo = new Int32Array(depthAtMost)

/** The element that `scanElement` has found last. */
let found: Element | undefined

/** The element whose end `scanElement` gave. One of the root's namespace is a plain object; any other is a `SourceElement`. */
export function foundElement(): Element {
  return found as Element
}

/**
 * Reads the element whose `<` stands at `start`. Gives the position behind it, which is greater than `start`, or `incomplete`, or
 * `notPlain`.
 */
export function scanElement(text: string, start: number, around: Surroundings, limits: XmlLimits): number {
  if (text.charCodeAt(start) !== 0x3c) return notPlain
  const nameEnd = endOfName(text, start + 1)
  if (nameEnd < 0) return nameEnd
  const { content, root, prefix } = around
  if (text.charCodeAt(nameEnd) === 0x3a)
    return prefix === undefined ? notPlain : scanPrefixed(text, start, nameEnd, prefix, around, limits)
  let at = endOfStartTag(text, start, nameEnd, false, limits)
  if (at < 0) return at
  const ns = declaration === -1 ? content : text.slice(valueFrom[declaration], valueTo[declaration])
  if (ns === undefined || ns === root) return notPlain
  const common = stanzaAttributes(text)
  const declaredFrom = declaration === -1 ? 0 : spacesBefore(text, nameFrom[declaration] as number) - start
  const declaredTo = declaration === -1 ? 0 : (valueTo[declaration] as number) + 1 - start
  let from = at
  let to = at
  if (!isEmptyTag) {
    at = endOfContent(text, at, start + 1, nameEnd, limits)
    if (at < 0) return at
    to = at - (nameEnd - start - 1) - 3
  } else from = to
  if (at - start > limits.bytes) return notPlain
  const places: Places = { from: from - start, to: to - start, declaredFrom, declaredTo }
  found = new SourceElement(nameOf(text, start + 1, nameEnd), ns, text.slice(start, at), places, common)
  return at
}

/** The same for an element with the prefix of the root. */
function scanPrefixed(
  text: string,
  start: number,
  colon: number,
  prefix: string,
  { content = '', root }: Surroundings,
  limits: XmlLimits,
): number {
  const nameEnd = endOfName(text, colon + 1)
  if (nameEnd < 0) return nameEnd
  if (colon - start - 1 !== prefix.length || !text.startsWith(prefix, start + 1)) return notPlain
  let at = endOfStartTag(text, start, nameEnd, false, limits)
  if (at < 0) return at
  // A second header is a fault. What the reader counts of the namespace must fit too.
  const name = text.slice(colon + 1, nameEnd)
  if (declaration !== -1 || name === 'stream' || ` xmlns=""${root}`.length > limits.bytes) return notPlain
  if (!isEmptyTag) {
    at = endOfContent(text, at, start + 1, nameEnd, limits)
    if (at < 0) return at
  }
  // The reader counts the content namespace for each child; the shortest child has four units.
  const counted = ` xmlns=""${root}`.length + ((at - start) / 4) * ` xmlns=""${content}`.length
  if (at - start > limits.bytes || counted > limits.bytes) return notPlain
  found = elementOf(text, nameEnd, name, root, content)
  return at
}

/** The position behind a name; `notPlain` where none begins. */
function endOfName(text: string, from: number): number {
  const { length } = text
  if (from >= length) return incomplete
  let code = text.charCodeAt(from)
  if (code > 0x7f || ((classes[code] as number) & startsName) === 0) return notPlain
  let at = from
  do {
    if (++at >= length) return incomplete
    code = text.charCodeAt(at)
  } while (code < 0x80 && ((classes[code] as number) & continuesName) !== 0)
  return at
}

/** The position behind a start tag, of which `less` is the `<` and `at` the end of the name. `hasReferences`: its values may. */
function endOfStartTag(text: string, less: number, end: number, hasReferences: boolean, limits: XmlLimits): number {
  if (end - less - 1 > limits.nameLength) return notPlain
  let at = end
  attributes = 0
  declaration = -1
  for (;;) {
    const before = at
    while (text.charCodeAt(at) === 0x20) at++
    if (at >= text.length) return incomplete
    const code = text.charCodeAt(at)
    if (code === 0x3e || code === 0x2f) {
      isEmptyTag = code === 0x2f
      if (isEmptyTag && ++at >= text.length) return incomplete
      if (text.charCodeAt(at) !== 0x3e) return notPlain
      return at + 1 - less > limits.startTag ? notPlain : at + 1
    }
    if (at === before || attributes >= attributesAtMost || attributes >= limits.attributes) return notPlain
    at = endOfAttribute(text, at, hasReferences, limits)
    if (at < 0) return at
    if (at - less > limits.startTag) return notPlain
  }
}

/** The position behind an attribute, which is noted. */
function endOfAttribute(text: string, from: number, hasReferences: boolean, limits: XmlLimits): number {
  let end = endOfName(text, from)
  if (end < 0) return end
  if (text.charCodeAt(end) === 0x3a) {
    if (!text.startsWith('xml:lang=', from)) return notPlain
    end = from + 'xml:lang'.length
  }
  if (end - from > limits.nameLength) return notPlain
  if (text.charCodeAt(end) !== 0x3d) return notPlain
  if (end + 1 >= text.length) return incomplete
  const quote = text.charCodeAt(end + 1)
  if (quote !== 0x22 && quote !== 0x27) return notPlain
  const value = end + 2
  const behind = endOfValue(text, value, quote, hasReferences)
  if (behind < 0) return behind
  for (let other = 0; other < attributes; other++)
    if (isSame(text, nameFrom[other] as number, nameTo[other] as number, from, end)) return notPlain
  if (end - from === 5 && text.startsWith('xmlns', from)) {
    if (!isPlainNamespace(text, value, behind)) return notPlain
    declaration = attributes
  }
  nameFrom[attributes] = from
  nameTo[attributes] = end
  valueFrom[attributes] = value
  valueTo[attributes] = behind
  attributes++
  return behind + 1
}

/** The position of the quote that ends a value. */
function endOfValue(text: string, from: number, quote: number, hasReferences: boolean): number {
  const { length } = text
  for (let at = from; at < length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) return at
    if (code > 0x7f) {
      if (code >= 0xfffe) return notPlain
    } else if (((classes[code] as number) & specialInValue) !== 0) {
      if (code !== 0x26 || !hasReferences) return notPlain
      at = endOfReference(text, at)
      if (at < 0) return notPlain
    }
  }
  return incomplete
}

/** Whether a namespace is of printable ASCII without quotes and `&`, and none that XML keeps for itself. */
export function isPlainNamespace(text: string, from = 0, to = text.length): boolean {
  if (from === to || text.startsWith(reservedNamespaces, from)) return false
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at)
    if (code <= 0x20 || code >= 0x7f || code === 0x26 || code === 0x3c || code === 0x22 || code === 0x27) return false
  }
  return true
}

/** The position of the `;` of one of the five references; `notPlain` for anything else, also one that is cut. */
function endOfReference(text: string, from: number): number {
  for (const reference of references) if (text.startsWith(reference, from)) return from + reference.length - 1
  return notPlain
}

/** The position behind the end tag of an element whose content begins at `from`, and whose name stands at `open` to `openEnd`. */
function endOfContent(text: string, from: number, open: number, openEnd: number, limits: XmlLimits): number {
  openFrom[0] = open
  openTo[0] = openEnd
  let depth = 1
  let elements = 1
  let at = from
  for (;;) {
    at = endOfText(text, at)
    if (at < 0) return at
    // `at` is a `<`.
    if (text.charCodeAt(at + 1) === 0x2f) {
      depth--
      const name = openFrom[depth] as number
      const end = openTo[depth] as number
      const behind = at + 2 + end - name
      const missing = behind - text.length
      if (missing >= 0) return isSame(text, name, end - missing, at + 2, text.length) ? incomplete : notPlain
      if (text.charCodeAt(behind) !== 0x3e || !isSame(text, name, end, at + 2, behind)) return notPlain
      at = behind + 1
      if (depth === 0) return at
      continue
    }
    const nameEnd = endOfName(text, at + 1)
    if (nameEnd < 0) return nameEnd
    if (++elements > limits.elements || depth >= limits.depth || depth >= depthAtMost) return notPlain
    const less = at
    at = endOfStartTag(text, less, nameEnd, true, limits)
    if (at < 0) return at
    if (isEmptyTag) continue
    openFrom[depth] = less + 1
    openTo[depth] = nameEnd
    depth++
  }
}

/** The position of the next `<`. */
function endOfText(text: string, from: number): number {
  const { length } = text
  for (let at = from; at < length; at++) {
    const code = text.charCodeAt(at)
    if (code > 0x7f) {
      if (code >= 0xfffe) return notPlain
    } else if (((classes[code] as number) & specialInText) !== 0) {
      if (code === 0x3c) return at
      if (code === 0x26) {
        at = endOfReference(text, at)
        if (at < 0) return notPlain
      } else if (code !== 0x3e || text.charCodeAt(at - 1) === 0x5d) return notPlain
    }
  }
  return incomplete
}

/** Whether two parts of a text are equal. */
function isSame(text: string, from: number, to: number, other: number, otherTo: number): boolean {
  if (to - from !== otherTo - other) return false
  for (let at = from, also = other; at < to; at++, also++)
    if (text.charCodeAt(at) !== text.charCodeAt(also)) return false
  return true
}

/** The position of the first of the spaces in front of an attribute. */
function spacesBefore(text: string, at: number): number {
  let first = at
  while (text.charCodeAt(first - 1) === 0x20) first--
  return first
}

/** The stanzas' names as one string each, so that they are compared at once. */
function nameOf(text: string, from: number, to: number): string {
  if (to - from === 7 && text.startsWith('message', from)) return 'message'
  if (to - from === 8 && text.startsWith('presence', from)) return 'presence'
  if (to - from === 2 && text.startsWith('iq', from)) return 'iq'
  return text.slice(from, to)
}

/** The four attributes of the start tag that was read last. */
function stanzaAttributes(text: string) {
  let type: string | undefined
  let to: string | undefined
  let from: string | undefined
  let id: string | undefined
  for (let index = 0; index < attributes; index++) {
    const name = nameFrom[index] as number
    const length = (nameTo[index] as number) - name
    if (length === 2) {
      if (text.startsWith('to', name)) to = valueAt(text, index)
      else if (text.startsWith('id', name)) id = valueAt(text, index)
    } else if (length === 4) {
      if (text.startsWith('from', name)) from = valueAt(text, index)
      else if (text.startsWith('type', name)) type = valueAt(text, index)
    }
  }
  return { type, to, from, id }
}

function valueAt(text: string, index: number): string {
  return text.slice(valueFrom[index], valueTo[index])
}
