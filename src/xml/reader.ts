/**
 * Bytes to whole elements, however the bytes are cut.
 *
 * saxes does the reading; it lives in this file only. It is lenient in ways that libexpat, which reads what we forward, is not, so
 * nothing it says is believed without these guards:
 * - bytes are decoded strictly (utf8.ts);
 * - comments, processing instructions, DOCTYPE, other encodings and XML 1.1 are refused (RFC 6120 section 11);
 * - a namespace declaration with white space around it or a control character in it is refused: saxes trims, libexpat does not;
 * - names are ASCII names: saxes takes letters that libexpat's older tables refuse, and any character after a colon;
 * - an element counts only when saxes was content with its end tag (it reports the end first, the mismatch afterwards);
 * - size, depth, elements, attributes and names are bounded (saxes has no limits, and its namespace look-up is O(depth));
 * - after the first error the parser object is dropped: it would go on from the middle of a token.
 *
 * White space between elements never reaches saxes, which would keep it until the next tag.
 */
import { SaxesParser, type SaxesTagNS } from 'saxes'
import type { Element, Node } from './element.ts'
import { Utf8 } from './utf8.ts'

export type XmlFault = 'malformed' | 'restricted' | 'encoding' | 'limit' | 'text'

export type XmlItem =
  /** The root's start tag; `content` is the default namespace it declares, `undefined` when it declares none. */
  | { readonly xml: 'open'; readonly root: Element; readonly content: string | undefined }
  /** A whole element below the root; `prefix` as it was written, `''` for none. */
  | { readonly xml: 'element'; readonly element: Element; readonly prefix: string }
  | { readonly xml: 'whitespace' }
  | { readonly xml: 'close' }
  /** The last thing said: nothing is read after it. */
  | { readonly xml: 'error'; readonly fault: XmlFault; readonly text: string }

export interface XmlLimits {
  /** Bytes of one element below the root, from the `<` of its start tag to the `>` of its end tag. */
  readonly bytes: number
  /** Elements within one, itself included. */
  readonly elements: number
  readonly depth: number
  /** Attributes of one start tag, namespace declarations included. */
  readonly attributes: number
}

export interface XmlReaderOptions {
  /** Depth of what is an item: 1 below a stream's root, 0 when a document is one element. */
  readonly level: 0 | 1
  readonly limits: XmlLimits
}

/** UTF-16 units; no extension's names come near it. */
const nameLength = 256
/** UTF-16 units between `&` and `;`: `#x10FFFF` has eight. */
const referenceLength = 10
const plainName = /^[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?$/
/** UTF-16 units up to the end of the root's start tag. */
const prologLength = 10_000
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const control = /[\u0000-\u001f\u007f-\u009f]/
const doctype = /^(?:[ \t\r\n]|<\?[^>]*>)*<!/
const between = 'there is text between the elements of the stream'
const xmlNamespace = 'http://www.w3.org/XML/1998/namespace'

type Parser = SaxesParser<{ xmlns: true }>
interface Growing extends Element {
  readonly children: Node[]
}

/** Thrown out of saxes' handlers, turned into an `error` item where saxes is called. */
class Refused extends Error {
  readonly fault: XmlFault
  constructor(fault: XmlFault, message: string) {
    super(message)
    this.fault = fault
  }
}

export class XmlReader {
  /** Read one tag at a time, so that whoever reads can stop after any element and take the rest away (STARTTLS, restarts). */
  stepwise = false

  private readonly level: 0 | 1
  private readonly limits: XmlLimits
  private readonly utf8 = new Utf8()
  private readonly queue: XmlItem[] = []
  private parser: Parser | undefined = this.makeParser()

  private readonly stack: Growing[] = []
  /** Whole, unless saxes objects to its end tag. */
  private ended: XmlItem | undefined
  private elements = 0
  private attributes = 0

  /** Decoded, not yet given to saxes. */
  private text = ''
  /** What was read before the root's start tag ended; `undefined` after it. */
  private prolog: string | undefined = ''
  /** What saxes is reading, and the position it begins at. Positions are UTF-16 units since the beginning. */
  private piece = ''
  private start = 0
  /** The position after the last item, and the bytes read since then in earlier pieces. */
  private boundary = 0
  private bytes = 0

  constructor(options: XmlReaderOptions) {
    this.level = options.level
    this.limits = options.limits
  }

  push(bytes: Uint8Array): void {
    if (this.parser !== undefined) this.text += this.utf8.decode(bytes)
  }

  /** The next item, or `undefined` when more bytes are needed. */
  next(): XmlItem | undefined {
    while (this.queue.length === 0 && this.parser !== undefined) {
      if (this.advance()) continue
      if (!this.utf8.bad) break
      this.fail('encoding', 'the bytes are not UTF-8')
    }
    return this.queue.shift()
  }

  /** Says that nothing follows: what is unfinished becomes an error. */
  finish(): void {
    while (this.parser !== undefined && this.advance());
    if (this.parser === undefined) return
    if (this.utf8.bad || this.utf8.unfinished) this.fail('encoding', 'the bytes are not UTF-8')
    else this.attempt(parser => parser.write(this.text).close())
    this.parser = undefined
  }

  /** Takes what was pushed and not read: it belongs to whoever reads next. */
  takeRest(): Buffer {
    const rest = Buffer.concat([Buffer.from(this.text), this.utf8.takeRest()])
    this.text = ''
    return rest
  }

  /** Reads a piece; says whether there was anything to do. */
  private advance(): boolean {
    if (this.text === '') return false
    if (this.isBetweenItems()) return this.skipWhitespace()
    const piece = this.takePiece()
    if (piece === '') return false
    if (this.prolog !== undefined) {
      this.prolog += piece
      if (this.prolog.length > prologLength) return this.fail('limit', 'the stream header is too long')
      if (doctype.test(this.prolog)) return this.fail('restricted', 'a document type declaration')
    }
    this.attempt(parser => {
      parser.write(piece)
    }, piece)
    return true
  }

  private isBetweenItems(): boolean {
    return (
      this.level === 1 &&
      this.stack.length === 1 &&
      this.boundary === this.start + this.piece.length &&
      this.text[0] !== '<'
    )
  }

  private skipWhitespace(): boolean {
    const from = this.text.search(/[^ \t\r\n]/)
    if (from === 0) return this.fail('text', between)
    this.text = from === -1 ? '' : this.text.slice(from)
    this.queue.push({ xml: 'whitespace' })
    return true
  }

  /** White space at the end of a piece waits until it is known whether it stands between elements. */
  private takePiece(): string {
    const step = this.stepwise ? this.text.indexOf('>') + 1 : 0
    const piece = step === 0 ? this.text : this.text.slice(0, step)
    let end = piece.length
    while (end > 0 && isSpace(piece.charCodeAt(end - 1))) end--
    // White space alone is part of an item. But saxes would carry a final CR over and count it twice: it waits here.
    if (end === 0) end = piece.endsWith('\r') ? piece.length - 1 : piece.length
    this.text = this.text.slice(end)
    return piece.slice(0, end)
  }

  private attempt(action: (parser: Parser) => void, piece = ''): void {
    if (this.parser === undefined) return
    this.start += this.piece.length
    this.piece = piece
    try {
      action(this.parser)
      this.afterPiece()
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      // saxes reports an end tag before it finds that it ends something else.
      if (message.includes('unexpected close tag')) this.ended = undefined
      this.commit()
      this.fail(error instanceof Refused ? error.fault : faultOf(message), message)
      return
    }
    this.commit()
  }

  private afterPiece(): void {
    const end = this.start + this.piece.length
    if (this.boundary < end) {
      // Said now, not when saxes reports the text at the next '<'.
      if (this.level === 1 && this.stack.length === 1 && this.boundary >= this.start)
        this.checkBetween(/^[^<]*/.exec(this.piece.slice(this.boundary - this.start))?.[0] ?? '')
      this.bytes += this.bytesTo(end)
      if (this.bytes > this.limits.bytes)
        throw new Refused('limit', `an element of more than ${this.limits.bytes} bytes`)
    }
    // A bare '&' is no error to saxes until the next ';', which may be stanzas away.
    const reference = (this.parser as unknown as { readonly entity: string }).entity
    if (reference.length > referenceLength || /[^#A-Za-z0-9]/.test(reference))
      throw new Refused('malformed', "a bare '&'")
  }

  /** Bytes of the present item in this piece, up to a position. */
  private bytesTo(position: number): number {
    return Buffer.byteLength(this.piece.slice(Math.max(this.boundary - this.start, 0), position - this.start))
  }

  private commit(): void {
    if (this.ended !== undefined) this.queue.push(this.ended)
    this.ended = undefined
  }

  private fail(fault: XmlFault, text: string): true {
    this.parser = undefined
    this.text = ''
    this.queue.push({ xml: 'error', fault, text })
    return true
  }

  private makeParser(): Parser {
    const parser: Parser = new SaxesParser({
      xmlns: true,
      fragment: false,
      position: false,
      defaultXMLVersion: '1.0',
      forceXMLVersion: true,
    })
    const refuse = (fault: XmlFault, text: string) => () => {
      throw new Refused(fault, text)
    }
    parser.on('error', error => {
      throw error
    })
    parser.on('comment', refuse('restricted', 'a comment'))
    parser.on('processinginstruction', refuse('restricted', 'a processing instruction'))
    parser.on('doctype', refuse('restricted', 'a document type declaration'))
    parser.on('xmldecl', checkDeclaration)
    parser.on('opentagstart', tag => this.onStart(tag.name))
    parser.on('attribute', attribute => this.onAttribute(attribute))
    parser.on('opentag', tag => this.onOpen(tag, parser.position))
    parser.on('text', text => this.onText(text, parser.position))
    parser.on('cdata', text => this.onCharacters(text))
    parser.on('closetag', tag => this.onClose(tag.prefix, parser.position))
    return parser
  }

  private onStart(name: string): void {
    this.commit()
    this.attributes = 0
    if (this.stack.length === this.level) this.elements = 0
    if (++this.elements > this.limits.elements) throw new Refused('limit', `more than ${this.limits.elements} elements`)
    if (this.stack.length - this.level >= this.limits.depth)
      throw new Refused('limit', `deeper than ${this.limits.depth} elements`)
    checkName(name)
  }

  private onAttribute(attribute: { name: string; prefix: string; local: string; value: string }): void {
    if (++this.attributes > this.limits.attributes)
      throw new Refused('limit', `more than ${this.limits.attributes} attributes`)
    checkName(attribute.name)
    const isDeclaration = attribute.prefix === 'xmlns' || attribute.name === 'xmlns'
    if (isDeclaration && (attribute.value !== attribute.value.trim() || control.test(attribute.value)))
      throw new Refused('malformed', 'white space or a control character in a namespace name')
  }

  private onOpen(tag: SaxesTagNS, position: number): void {
    if (tag.uri === xmlNamespace) throw new Refused('malformed', 'an element in the namespace of xml:lang')
    const attrs = new Map<string, string>()
    for (const { name, prefix, local, uri, value } of Object.values(tag.attributes)) {
      if (prefix === 'xmlns' || name === 'xmlns') continue
      attrs.set(prefix === '' ? local : prefix === 'xml' ? name : `{${uri}}${local}`, value)
    }
    this.stack.push({ name: tag.local, ns: tag.uri, attrs, children: [] })
    if (this.stack.length !== 1) return
    this.prolog = undefined
    if (this.level === 0) return
    this.checkSize(position)
    this.endItem(position)
    this.queue.push({ xml: 'open', root: { name: tag.local, ns: tag.uri, attrs, children: [] }, content: tag.ns[''] })
  }

  private onText(text: string, position: number): void {
    this.commit()
    if (this.stack.length > this.level) this.onCharacters(text)
    if (this.stack.length !== this.level) return
    // The '<' that ended the white space belongs to the next item.
    this.checkBetween(this.piece.slice(this.boundary - this.start, position - 1 - this.start))
    this.queue.push({ xml: 'whitespace' })
    this.endItem(position - 1)
  }

  private onCharacters(text: string): void {
    const top = this.stack[this.stack.length - 1]
    if (top === undefined || this.stack.length <= this.level) throw new Refused('text', between)
    const last = top.children.length - 1
    const before = top.children[last]
    if (typeof before === 'string') top.children[last] = before + text
    else top.children.push(text)
  }

  private onClose(prefix: string, position: number): void {
    this.commit()
    const element = this.stack.pop() as Growing
    if (this.stack.length > this.level) {
      this.stack.at(-1)?.children.push(element)
      return
    }
    if (this.stack.length < this.level) {
      this.ended = { xml: 'close' }
      return
    }
    this.checkSize(position)
    this.endItem(position)
    this.ended = { xml: 'element', element, prefix }
  }

  private checkBetween(written: string): void {
    if (/[^ \t\r\n]/.test(written)) throw new Refused('text', between)
  }

  private checkSize(position: number): void {
    if (this.bytes + this.bytesTo(position) > this.limits.bytes)
      throw new Refused('limit', `an element of more than ${this.limits.bytes} bytes`)
  }

  private endItem(position: number): void {
    this.boundary = position
    this.bytes = 0
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

function checkName(name: string): void {
  if (name.length > nameLength) throw new Refused('limit', `a name of more than ${nameLength} characters`)
  if (!plainName.test(name)) throw new Refused('malformed', 'a name outside the ASCII names')
}

function checkDeclaration(declaration: { version?: string; encoding?: string; standalone?: string }): void {
  const encoding = declaration.encoding?.toLowerCase()
  if (encoding !== undefined && encoding !== 'utf-8')
    throw new Refused('encoding', 'an encoding other than UTF-8 is declared')
  if (declaration.version !== '1.0') throw new Refused('restricted', 'an XML version other than 1.0')
  if (declaration.standalone === 'no') throw new Refused('restricted', "standalone='no'")
}

/** What saxes complains of, in its words, where it is not plain ill-formedness. */
function faultOf(message: string): XmlFault {
  const restricted = ['undefined entity', 'doctype declaration', 'processing instruction', 'XML declaration must']
  return restricted.some(words => message.includes(words)) ? 'restricted' : 'malformed'
}
