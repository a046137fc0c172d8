/**
 * Reads bytes, cut anywhere, and gives whole elements. saxes parses; it is used in this file only. It accepts more than libexpat,
 * which servers use to read what the gate forwards. So its results are checked (expat-checks.ts, utf8.ts), and:
 * - an element counts only when saxes has accepted its end tag (it reports the end first and the mismatch afterwards);
 * - size, depth, elements, attributes and names are limited (saxes has no limits, and its namespace look-up is O(depth));
 * - U+FEFF at the start is text like any other (RFC 6120 section 11.6): saxes would skip it;
 * - after the first error the parser object is dropped: it would go on from the middle of a token.
 * An element in the plainest spelling is not given to saxes: canonical.ts finds its end, and it is passed on as its text.
 * White space between elements is not given to saxes, which would keep it until the next tag. Nor is white space before a
 * stream's header: it is left over from the stream before (a line break behind `<auth/>`), and XML forbids it before a
 * declaration. The result does not depend on how the bytes were cut, except for the number of `whitespace` items in a row or
 * before stray text. If a piece has two faults the first one counts, whether saxes or a check has found it.
 */
import type { SaxesTagNS } from 'saxes'
import { foundElement, incomplete, isPlainNamespace, type Surroundings, scanElement } from './canonical.ts'
import type { Element, Node } from './element.ts'
import { EventParser } from './event-parser.ts'
import {
  checkDeclaration,
  checkName,
  checkNamespace,
  checkReference,
  checkRelayedName,
  faultOf,
  Refused,
  unpadded,
  type XmlFault,
} from './expat-checks.ts'
import { prologLength, type XmlLimits } from './limits.ts'
import { type PlainHeader, scanHeader } from './plain-header.ts'
import { RewriteGrowth } from './rewrite-growth.ts'
import { Utf8 } from './utf8.ts'

export type { XmlFault } from './expat-checks.ts'
export type { XmlLimits } from './limits.ts'

export type XmlItem =
  /** The root's start tag; `content` is the default namespace it declares, `undefined` when it declares none. */
  | { readonly xml: 'open'; readonly root: Element; readonly content: string | undefined }
  /** A whole element below the root; `prefix` as it was written, `''` for none. */
  | { readonly xml: 'element'; readonly element: Element; readonly prefix: string }
  /** Between the elements below a root; a document that is one element has none. */
  | { readonly xml: 'whitespace' }
  | { readonly xml: 'close' }
  /** The last item: nothing is read after it. */
  | { readonly xml: 'error'; readonly fault: XmlFault; readonly text: string }

/** The namespaces that one open element declares: as saxes has them, and, by prefix, those whose value saxes has trimmed. */
interface Scope {
  readonly declared: Readonly<Record<string, string>>
  readonly untrimmed: ReadonlyMap<string, string> | undefined
}

export interface XmlReaderOptions {
  /** Depth of what is an item: 1 below a stream's root, 0 when a document is one element. */
  readonly level: 0 | 1
  readonly limits: XmlLimits
  /** A server's stream: what it relays was accepted by the server and must reach the client. Names and namespaces are not checked. */
  readonly relayed?: boolean
}

/**
 * Whether elements that canonical.ts accepts are taken as it finds them. The result is the same without it; tests and
 * `stanzagate serve --no-fast-path` switch it off.
 */
export const fastPath = { isOn: true }

/** UTF-16 units of an element that is not complete and is kept for canonical.ts; what is longer is read as it comes. */
const keptAtMost = 4_096
/** How often such an element is looked at from its beginning; without this bound a peer that sends byte by byte costs its square. */
const looksAtMost = 8

/**
 * saxes looks for a namespace in all open elements: an element, and an attribute with a prefix, costs as many steps as it is
 * deep. This is the number of such steps for each byte of the size limit; in Prosody's largest stanza they take as long as its
 * bytes do.
 */
const nestingPerByte = 16
const xmlNamespace = 'http://www.w3.org/XML/1998/namespace'
/** Something other than white space stands before the next tag. */
const strayText = /^[ \t\r\n]*[^ \t\r\n<]/
const noAttributes: ReadonlyMap<string, string> = new Map()
/** What follows the `&` of a reference that has begun and not ended: it holds no `;`, but it may hold another `&`. */
function openReference(text: string): string {
  const section = text.lastIndexOf('<![CDATA[')
  const before = Math.max(text.lastIndexOf(';'), section === -1 ? -1 : text.indexOf(']]>', section))
  return text.slice(text.indexOf('&', before + 1) + 1)
}

const between = 'there is text between the elements of the stream'

interface Growing extends Element {
  readonly children: Node[]
}

export class XmlReader {
  /** Reads one tag at a time, so that the caller can stop after any element and take the remaining bytes (STARTTLS, restarts). */
  stepwise = false
  /** May be changed between two items. */
  limits: XmlLimits

  private readonly level: 0 | 1
  private readonly relayed: boolean
  /** State of the start tag that is being read; made with the parser. */
  private untrimmed!: Map<string, string>
  private attrs!: Map<string, string>
  private growth!: RewriteGrowth
  /** One of them has a prefix other than `xml`. */
  private hasPrefixed = false
  /** One of them came twice. */
  private duplicate = false
  private readonly scopes: Scope[] = []
  private readonly utf8 = new Utf8()
  private readonly queue: XmlItem[] = []
  /** Made when it is needed first; a stream of plain spelling never needs it. */
  private parser: EventParser | undefined
  /** Nothing is read any more. */
  private isOver = false
  /** The header was read without saxes, which gets it when it is needed. */
  private header: PlainHeader | undefined
  /** So was the end tag. */
  private isClosed = false

  /** The default namespace that the root declares. */
  private content: string | undefined
  /** What surrounds the elements below the root; `undefined`: canonical.ts is not asked. */
  private surroundings: Surroundings | undefined
  /** `text` begins an element that is not complete. */
  private isKept = false
  /** How often that element was found to be incomplete. */
  private looks = 0
  private readonly stack: Growing[] = []
  /** An element whose end saxes has reported; it counts unless saxes refuses its end tag. */
  private ended: XmlItem | undefined
  private elements = 0
  /** The sum of the depths of these elements. */
  private nesting = 0
  /** UTF-16 units by which namespaces make this element longer when it is written again. */
  private grown = 0
  private attributes = 0
  /** Bytes of white space since the last element. */
  private blank = 0
  /** The position of the `<` of the start tag that is being read. */
  private tag = 0

  /** Decoded text that was not yet given to saxes. */
  private text = ''
  /** All of it is ASCII, so that its length is also its bytes. */
  private isAscii = true
  /** UTF-16 units read before the root's start tag ended, and the last of them; `undefined` after it. */
  private prolog: { readonly length: number; readonly last: string } | undefined = { length: 0, last: '' }
  /** What saxes is reading, and the position it begins at. Positions are UTF-16 units since the beginning. */
  private piece = ''
  private isPieceAscii = true
  private start = 0
  /** The position after the last item, and the bytes read since then in earlier pieces. */
  private boundary = 0
  private bytes = 0

  constructor(options: XmlReaderOptions) {
    this.level = options.level
    this.relayed = options.relayed ?? false
    this.limits = options.limits
  }

  /** Bytes of an element that was begun and not ended. */
  get pending(): number {
    return this.bytes + (this.isKept ? this.bytesOf(this.text) : 0)
  }

  push(bytes: Uint8Array): void {
    if (this.isOver) return
    const isWhole = !this.utf8.unfinished
    const text = this.utf8.decode(bytes)
    // As many UTF-16 units as bytes: all are ASCII.
    this.isAscii = (this.isAscii || this.text === '') && isWhole && text.length === bytes.length
    this.text = this.text === '' ? text : this.text + text
  }

  /** The next item, or `undefined` when more bytes are needed. */
  next(): XmlItem | undefined {
    while (this.queue.length === 0 && !this.isOver) {
      if (this.advance()) continue
      if (!this.utf8.bad) break
      this.fail('encoding', 'the bytes are not UTF-8')
    }
    return this.queue.shift()
  }

  /** Ends the document: an unfinished element becomes an error. */
  finish(): void {
    while (!this.isOver && this.advance());
    if (this.isOver) return
    if (this.utf8.bad || this.utf8.unfinished) this.fail('encoding', 'the bytes are not UTF-8')
    else this.attempt(parser => parser.write(this.text).close())
    this.isOver = true
  }

  /** Takes the bytes that were pushed and not read. */
  takeRest(): Buffer {
    const rest = Buffer.concat([Buffer.from(this.text), this.utf8.takeRest()])
    this.text = ''
    this.isKept = false
    this.looks = 0
    return rest
  }

  /** Reads a piece; says whether there was anything to do. */
  private advance(): boolean {
    if (this.level === 1 && this.prolog?.length === 0) {
      this.text = this.text.replace(/^[ \t\r\n]+/, '')
      if (fastPath.isOn && this.takeHeader()) return true
    }
    if (this.text === '') return false
    if (this.isBetweenItems()) {
      if (this.text.charCodeAt(0) !== 0x3c) return this.skipWhitespace()
      if (this.surroundings !== undefined && this.takeCanonical(this.surroundings)) return !this.isKept
    }
    const piece = this.takePiece()
    if (this.prolog === undefined) this.readPiece(piece)
    else this.readProlog(piece, this.prolog)
    return true
  }

  private readPiece(piece: string): void {
    this.attempt(parser => {
      parser.write(piece)
    }, piece)
  }

  /** Before the root's start tag `<!` can only be a DOCTYPE, and saxes reports that only at its end, which may be far. */
  private readProlog(piece: string, before: { readonly length: number; readonly last: string }): void {
    if (before.length === 0 && piece[0] === '\ufeff') {
      this.fail('malformed', 'U+FEFF before the root element')
      return
    }
    const found = `${before.last}${piece}`.indexOf('<!')
    const less = found === -1 ? piece.length : found - before.last.length
    const readable = piece.slice(0, Math.min(less + 1, prologLength - before.length))
    this.prolog = { length: before.length + readable.length, last: piece.slice(-1) }
    if (readable !== '') this.readPiece(readable)
    if (this.isOver || readable.length === piece.length) return
    if (readable.length === less + 1) this.fail('restricted', 'a declaration or a comment before the root element')
    else this.fail('limit', 'the stream header is too long')
  }

  private isBetweenItems(): boolean {
    return this.level === 1 && this.stack.length === 1 && this.boundary === this.start + this.piece.length
  }

  private takeHeader(): boolean {
    const header = scanHeader(this.text, this.limits)
    if (header === undefined) return false
    const { root, content, prefix } = header
    this.header = header
    this.text = this.text.slice(header.end)
    this.prolog = undefined
    this.content = content
    this.surroundings = { content, root: root.ns, prefix }
    this.stack.push({ ...root, children: [] })
    this.queue.push({ xml: 'open', root, content })
    return true
  }

  /** A parser that stands where this reader does: at the beginning, or behind a header that it has not read. */
  private begunParser(): EventParser {
    const parser = this.makeParser()
    this.parser = parser
    if (this.header === undefined) return parser
    const { prefix, root, content } = this.header
    const waiting = this.queue.splice(0)
    this.header = undefined
    this.stack.length = 0
    this.start = 0
    const end = this.isClosed ? `</${prefix}:${root.name}>` : ''
    this.piece = `<${prefix}:${root.name} xmlns='${content}' xmlns:${prefix}='${root.ns}'>${end}`
    parser.write(this.piece)
    this.ended = undefined
    this.queue.splice(0, this.queue.length, ...waiting)
    return parser
  }

  /** Takes the elements of the plain spelling that the text begins with, one of them if it is read tag by tag. */
  private takeCanonical(surroundings: Surroundings): boolean {
    const { text, limits, header } = this
    if (header !== undefined && text === `</${header.prefix}:${header.root.name}>`) {
      this.isClosed = true
      this.stack.length = 0
      this.text = ''
      this.queue.push({ xml: 'close' })
      return true
    }
    let at = 0
    let end = scanElement(text, at, surroundings, limits)
    while (end > at && (this.isAscii || Buffer.byteLength(text.slice(at, end)) <= limits.bytes)) {
      const element = foundElement()
      this.queue.push({
        xml: 'element',
        element,
        prefix: element.ns === surroundings.root ? (surroundings.prefix ?? '') : '',
      })
      at = end
      if (this.stepwise || at === text.length || text.charCodeAt(at) !== 0x3c) break
      end = scanElement(text, at, surroundings, limits)
    }
    this.blank = 0
    this.text = text.slice(at)
    this.looks = at > 0 ? 1 : this.looks + 1
    this.isKept =
      end === incomplete &&
      this.looks < looksAtMost &&
      this.text.length <= keptAtMost &&
      this.bytesOf(this.text) <= limits.bytes
    if (!this.isKept) this.looks = 0
    return at > 0 || this.isKept
  }

  private bytesOf(text: string): number {
    return this.isAscii ? text.length : Buffer.byteLength(text)
  }

  private skipWhitespace(): boolean {
    const from = this.text.search(/[^ \t\r\n]/)
    if (from === 0) return this.fail('text', between)
    this.queue.push({ xml: 'whitespace' })
    this.blank += from === -1 ? this.text.length : from
    if (this.blank > (this.limits.blank ?? Infinity)) return this.fail('limit', this.tooBlank())
    this.text = from === -1 ? '' : this.text.slice(from)
    return true
  }

  /** White space at the end of a piece is kept until it is known whether it stands between elements. */
  private takePiece(): string {
    this.isKept = false
    const step = this.stepwise || this.prolog !== undefined ? this.text.indexOf('>') + 1 : 0
    const piece = step === 0 ? this.text : this.text.slice(0, step)
    let end = piece.length
    while (end > 0 && isSpace(piece.charCodeAt(end - 1))) end--
    // White space alone belongs to an element here: between elements it would have been skipped.
    if (end === 0) end = piece.length
    this.text = this.text.slice(end)
    return piece.slice(0, end)
  }

  private attempt(action: (parser: EventParser) => void, piece = ''): void {
    if (this.isOver) return
    const parser = this.parser ?? this.begunParser()
    this.start += this.piece.length
    this.piece = piece
    this.isPieceAscii = this.isAscii
    const wasInReference = parser.isInReference
    const wasOutside = this.stack.length === 0 && parser.isInText
    try {
      action(parser)
      this.afterPiece()
    } catch (thrown) {
      const error = thrown instanceof Refused ? thrown : (this.cutReference(parser, wasInReference) ?? thrown)
      const message = error instanceof Error ? error.message : String(error)
      // saxes reports an end tag before it finds that it ends something else.
      if (message.includes('unexpected close tag')) this.ended = undefined
      this.commit()
      this.failAt(error, message, parser.position, wasOutside)
      return
    }
    this.commit()
  }

  /**
   * The fault of an unfinished reference, when a later character was refused: the reference came first. `wasInReference`: one was open
   * when this piece began.
   */
  private cutReference(parser: EventParser, wasInReference: boolean): unknown {
    if (!parser.isInReference) return undefined
    const entity = parser.pendingReference
    const end = parser.position - 1
    const read = this.piece.slice(0, end - this.start)
    try {
      const isOlder = entity !== '' || (wasInReference && !read.includes(';'))
      checkReference(isOlder ? entity + read : openReference(read), end)
    } catch (error) {
      return error
    }
    return undefined
  }

  /**
   * Gives the first fault; that is at the latest the one thrown for the character before `position`. `wasOutside`: this piece
   * began outside the root, and in no tag.
   */
  private failAt(error: unknown, message: string, position: number, wasOutside: boolean): void {
    const noticed = error instanceof Refused && error.position !== undefined ? error.position : position - 1
    // Text outside the root is a fault from its first character on. saxes reports it at its end, or not if something in it is a fault too.
    const isStray = message.includes('outside of root') || (wasOutside && strayText.test(this.since(position)))
    const at = isStray ? this.strayAt() : noticed
    if (this.isBetween() && strayText.test(this.since(position))) this.fail('text', between)
    else if (this.bytes + this.bytesUpTo(at) > this.limits.bytes) this.fail('limit', this.tooLong())
    else if (isStray) this.fail('malformed', 'text data outside of root node.')
    // Text of the peer, such as names of any length, is not repeated to it.
    else this.fail(error instanceof Refused ? error.fault : faultOf(message), message.replace(/: .*/s, ''))
  }

  /** The position of the first character since the last item, or in this piece, that is no white space. */
  private strayAt(): number {
    const from = Math.max(this.boundary - this.start, 0)
    return this.start + from + this.piece.slice(from).search(/[^ \t\r\n]/)
  }

  private afterPiece(): void {
    const end = this.start + this.piece.length
    // saxes does not refuse a bare '&' before the next ';', which may be in a later stanza.
    const parser = this.parser as EventParser
    const reference = parser.pendingReference
    if (reference !== '') {
      checkReference(reference, end)
      // Shortened, so that the next piece does not go through all of its zeros again.
      parser.pendingReference = unpadded(reference)
    }
    if (this.boundary >= end) return
    // Reported now, not when saxes reports the text at the next '<'.
    if (this.isBetween()) this.checkBetween(end)
    this.checkSize(end)
    this.bytes += this.bytesUpTo(end)
  }

  /** Whether an element of the stream has ended in this piece and no other has begun before the next `<`. */
  private isBetween(): boolean {
    return this.level === 1 && this.stack.length === 1 && this.boundary >= this.start
  }

  /** The bytes of the present item in this piece, up to a position. */
  private since(position: number): string {
    return this.piece.slice(Math.max(this.boundary - this.start, 0), Math.max(position - this.start, 0))
  }

  private bytesUpTo(position: number): number {
    if (!this.isPieceAscii) return Buffer.byteLength(this.since(position))
    const from = Math.max(this.boundary - this.start, 0)
    return Math.max(Math.min(position - this.start, this.piece.length) - from, 0)
  }

  private commit(): void {
    if (this.ended !== undefined) this.queue.push(this.ended)
    this.ended = undefined
  }

  private fail(fault: XmlFault, text: string): true {
    this.parser = undefined
    this.isOver = true
    this.text = ''
    this.isKept = false
    this.queue.push({ xml: 'error', fault, text })
    return true
  }

  private makeParser(): EventParser {
    this.untrimmed = new Map()
    this.attrs = new Map()
    this.growth = new RewriteGrowth()
    const refuse = (fault: XmlFault, text: string) => () => {
      throw new Refused(fault, text)
    }
    const parser: EventParser = new EventParser({
      error: error => {
        throw error
      },
      comment: refuse('restricted', 'a comment'),
      processingInstruction: refuse('restricted', 'a processing instruction'),
      doctype: refuse('restricted', 'a document type declaration'),
      declaration: checkDeclaration,
      tagStart: tag => this.onStart(tag.name, parser.position),
      attribute: (name, colon, value) => this.onAttribute(name, colon, value, parser.position),
      tagOpen: tag => this.onOpen(tag, parser.position),
      text: text => this.onText(text, parser.position),
      cdata: text => this.onCharacters(text),
      tagClose: tag => this.onClose(tag.prefix, parser.position),
      reference: reference => checkReference(reference, parser.position - 1),
    })
    return parser
  }

  private onStart(name: string, position: number): void {
    this.commit()
    this.attributes = 0
    // The character between them has ended the name.
    this.tag = position - 1 - name.length - 1
    if (this.stack.length === this.level) {
      this.blank = 0
      this.elements = 0
      this.nesting = 0
      this.grown = 0
    }
    if (++this.elements > this.limits.elements) throw new Refused('limit', `more than ${this.limits.elements} elements`)
    const depth = this.stack.length - this.level
    if (depth >= this.limits.depth) throw new Refused('limit', `deeper than ${this.limits.depth} elements`)
    this.checkNesting()
    this.growth.begin()
    this.hasPrefixed = false
    this.duplicate = false
    if (this.attrs.size > 0) this.attrs = new Map()
    this.checkName(name)
  }

  /** Counts the steps of saxes for a name with a namespace. */
  private checkNesting(): void {
    this.nesting += this.stack.length - this.level
    if (this.nesting > nestingPerByte * this.limits.bytes)
      throw new Refused('limit', 'too many names too deep within each other')
  }

  private checkName(name: string): void {
    const { nameLength } = this.limits
    if (name.length > nameLength) throw new Refused('limit', `a name of more than ${nameLength} characters`)
    if (this.relayed) checkRelayedName(name)
    else checkName(name)
  }

  private onAttribute(name: string, colon: number, value: string, position: number): void {
    if (++this.attributes > this.limits.attributes)
      throw new Refused('limit', `more than ${this.limits.attributes} attributes`)
    this.checkTag(position)
    this.checkName(name)
    const isDeclaration = colon === -1 ? name === 'xmlns' : name.startsWith('xmlns:')
    if (isDeclaration) return this.onDeclaration(name, colon, value)
    if (colon !== -1 && !name.startsWith('xml:')) {
      this.checkNesting()
      this.hasPrefixed = true
    }
    if (this.attrs.has(name)) this.duplicate = true
    else this.attrs.set(name, value)
  }

  private onDeclaration(name: string, colon: number, value: string): void {
    this.growth.declared(name, value)
    if (!this.relayed) checkNamespace(value)
    else if (value !== value.trim()) this.untrimmed.set(colon === -1 ? '' : name.slice(colon + 1), value)
  }

  private onOpen(tag: SaxesTagNS, position: number): void {
    this.checkTag(position)
    if (tag.uri === xmlNamespace && !this.relayed)
      throw new Refused('malformed', 'an element in the namespace of xml:lang')
    if (this.relayed) this.enterScope(tag)
    const ns = this.resolve(tag.prefix, tag.uri)
    const attrs = this.takeAttributes()
    const { stack } = this
    const parent = stack[stack.length - 1]
    const isFirstLevel = this.level === 1 && stack.length === 1
    // Everything that follows would be inside it, and would never be complete.
    if (isFirstLevel && tag.local === parent?.name && ns === parent.ns)
      throw new Refused('nested', 'a second stream header')
    const outside = isFirstLevel ? this.content : parent?.ns
    if (ns !== (outside ?? '')) this.growth.element(ns)
    this.checkGrowth()
    stack.push({ name: tag.local, ns, attrs, children: [] })
    if (stack.length !== 1) return
    this.prolog = undefined
    if (this.level === 0) return
    this.content = tag.ns['']
    if (fastPath.isOn) this.surroundings = this.surroundingsIn(ns, tag.prefix)
    this.checkSize(position)
    this.endItem(position)
    this.queue.push({ xml: 'open', root: { name: tag.local, ns, attrs, children: [] }, content: this.content })
  }

  private surroundingsIn(root: string, rootPrefix: string): Surroundings | undefined {
    const { content } = this
    const prefix = rootPrefix === '' ? undefined : rootPrefix
    if (content === undefined || content === '') return { content: undefined, root, prefix }
    // saxes has trimmed the namespace of a relayed stream: then that of the elements is another.
    return isPlainNamespace(content) && this.resolve('', content) === content ? { content, root, prefix } : undefined
  }

  /** The attributes of the present start tag, with the namespaces of prefixes in their keys. */
  private takeAttributes(): ReadonlyMap<string, string> {
    const { attrs } = this
    if (this.duplicate) throw new Refused('malformed', 'duplicate attribute')
    if (attrs.size === 0) return noAttributes
    this.attrs = new Map()
    return this.hasPrefixed ? this.resolved(attrs) : attrs
  }

  private resolved(attrs: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    const resolved = new Map<string, string>()
    for (const [name, value] of attrs) {
      const colon = name.indexOf(':')
      if (colon === -1 || name.startsWith('xml:')) {
        resolved.set(name, value)
        continue
      }
      const prefix = name.slice(0, colon)
      const trimmed = this.parser?.resolve(prefix)
      if (trimmed === undefined) throw new Refused('malformed', 'unbound namespace prefix')
      const uri = this.resolve(prefix, trimmed)
      const key = `{${uri}}${name.slice(colon + 1)}`
      if (resolved.has(key)) throw new Refused('malformed', 'duplicate attribute')
      resolved.set(key, value)
      this.growth.attribute(prefix, uri)
    }
    return resolved
  }

  private checkTag(position: number): void {
    const { startTag } = this.limits
    if (position - this.tag > startTag) throw new Refused('limit', `a start tag of more than ${startTag} characters`)
  }

  private enterScope(tag: SaxesTagNS): void {
    const { untrimmed } = this
    this.scopes.push({ declared: tag.ns, untrimmed: untrimmed.size === 0 ? undefined : untrimmed })
    if (untrimmed.size > 0) this.untrimmed = new Map()
  }

  /** The namespace of a prefix as it was written: saxes trims it. */
  private resolve(prefix: string, trimmed: string): string {
    for (let i = this.scopes.length - 1; i >= 0; i--) {
      const scope = this.scopes[i] as Scope
      if (Object.hasOwn(scope.declared, prefix)) return scope.untrimmed?.get(prefix) ?? trimmed
    }
    return trimmed
  }

  private checkGrowth(): void {
    this.grown += this.growth.total
    if (this.grown > this.limits.bytes)
      throw new Refused('limit', `namespace names of more than ${this.limits.bytes} characters when written out`)
  }

  private onText(text: string, position: number): void {
    this.commit()
    if (this.stack.length > this.level) this.onCharacters(text)
    if (this.level === 0 || this.stack.length !== 1) return
    // The '<' that ended the white space belongs to the next item.
    this.checkBetween(position - 1)
    this.queue.push({ xml: 'whitespace' })
    this.blank += text.length
    if (this.blank > (this.limits.blank ?? Infinity)) throw new Refused('limit', this.tooBlank())
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
    this.scopes.pop()
    if (this.stack.length > this.level) {
      this.stack.at(-1)?.children.push(element)
      return
    }
    if (this.stack.length < this.level) {
      this.endItem(position)
      this.ended = { xml: 'close' }
      return
    }
    this.checkSize(position)
    this.endItem(position)
    this.ended = { xml: 'element', element, prefix }
  }

  private checkBetween(position: number): void {
    if (strayText.test(this.since(position))) throw new Refused('text', between)
  }

  private checkSize(position: number): void {
    if (this.bytes + this.bytesUpTo(position) > this.limits.bytes) throw new Refused('limit', this.tooLong())
  }

  private tooBlank(): string {
    return `more than ${this.limits.blank} bytes of white space`
  }

  private tooLong(): string {
    return `an element of more than ${this.limits.bytes} bytes`
  }

  private endItem(position: number): void {
    this.boundary = position
    this.bytes = 0
  }
}

/**
 * The element that a document is, if canonical.ts accepts it and it is not of the namespace `root`; `undefined`: a reader of level 0 must
 * look at it.
 */
export function plainDocument(bytes: Uint8Array, root: string, limits: XmlLimits): Element | undefined {
  if (!fastPath.isOn || bytes.byteLength > limits.bytes) return undefined
  const utf8 = new Utf8()
  const text = utf8.decode(bytes)
  if (utf8.bad || utf8.unfinished) return undefined
  const surroundings = { content: undefined, root, prefix: undefined }
  // The start tag of a document's root ends within these, and a shorter document has no longer one.
  const within = text.length <= prologLength ? limits : { ...limits, startTag: Math.min(limits.startTag, prologLength) }
  return scanElement(text, 0, surroundings, within) === text.length ? foundElement() : undefined
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}
