/**
 * How items are written as bytes on each wire. A TCP stream (RFC 6120) is one XML document; a WebSocket message (RFC 7395) is one
 * document. Nothing above this file knows the difference.
 */
import { type Element, element } from '../xml/element.ts'
import { plainDocument, type XmlFault, type XmlItem, type XmlLimits, XmlReader } from '../xml/reader.ts'
import { quoted, type WriteContext, write } from '../xml/writer.ts'
import type { Header, Side, StreamError, StreamItem } from './item.ts'
import { ns } from './namespaces.ts'

export interface Framing {
  push(bytes: Uint8Array): void
  /** The next item, or `undefined` when more bytes are needed. */
  next(): StreamItem | undefined
  write(item: StreamItem): string
  /** A new stream begins on the same connection (RFC 6120 section 4.3.3); what was pushed and not read belongs to it. */
  restart(): void
  /** Takes what was pushed and not read. */
  takeRest(): Buffer
  /** Bytes of an element that was begun and not ended; where the wire has messages, it is the connection that knows. */
  readonly pending: number
  /** Applies these limits from now on. */
  limit(limits: XmlLimits): void
  /** Reads all complete items of a piece at once from now on: no item can change any more how the next bytes are to be read. */
  readInBulk(): void
}

export const wires = ['tcp', 'websocket'] as const

export type Wire = (typeof wires)[number]

/** `from`: whose stream is read. The upstream's is checked less strictly: it is the operator's own server. */
export function makeFraming(wire: Wire, from: Side, limits: XmlLimits): Framing {
  return framings[wire](from, limits)
}

const framings: Readonly<Record<Wire, (from: Side, limits: XmlLimits) => Framing>> = {
  tcp: tcpFraming,
  websocket: websocketFraming,
}

const faults: Readonly<Record<XmlFault, StreamError>> = {
  malformed: 'not-well-formed',
  restricted: 'restricted-xml',
  encoding: 'unsupported-encoding',
  limit: 'policy-violation',
  text: 'bad-format',
  nested: 'bad-format',
}

/** The header of a TCP stream declares these two; a WebSocket message stands alone. */
const inStream: WriteContext = { content: ns.client, bound: { prefix: 'stream', ns: ns.stream } }
const toServer: WriteContext = { ...inStream, isShortest: true }
const alone: WriteContext = { content: '' }

export function tcpFraming(from: Side, limits: XmlLimits): Framing {
  return new TcpFraming(from, limits)
}

class TcpFraming implements Framing {
  private readonly from: Side
  private limits: XmlLimits
  private reader: XmlReader
  /** An error is the last item (item.ts), also an error that the reader has not found. */
  private failed = false

  constructor(from: Side, limits: XmlLimits) {
    this.from = from
    this.limits = limits
    this.reader = this.begun()
  }

  get pending(): number {
    return this.reader.pending
  }

  push(bytes: Uint8Array): void {
    this.reader.push(bytes)
  }

  next(): StreamItem | undefined {
    if (this.failed) return undefined
    const item = streamItem(this.reader.next(), this.from)
    if (item?.item === 'error') this.failed = true
    return item
  }

  write(item: StreamItem): string {
    return writeTcp(item, this.from === 'upstream' ? toServer : inStream)
  }

  restart(): void {
    const rest = this.reader.takeRest()
    this.reader = this.begun()
    this.reader.push(rest)
  }

  takeRest(): Buffer {
    return this.reader.takeRest()
  }

  limit(limits: XmlLimits): void {
    this.limits = limits
    this.reader.limits = limits
  }

  readInBulk(): void {
    this.reader.stepwise = false
  }

  private begun(): XmlReader {
    const reader = new XmlReader({ level: 1, limits: this.limits, relayed: this.from === 'upstream' })
    reader.stepwise = true
    return reader
  }
}

function streamItem(read: XmlItem | undefined, from: Side): StreamItem | undefined {
  if (read === undefined) return undefined
  switch (read.xml) {
    case 'open':
      return headerItem(read.root, read.content)
    case 'element':
      // RFC 6120 section 4.8.5: no prefix on what stands in the content namespace.
      if (from === 'client' && read.prefix !== '' && read.element.ns === ns.client)
        return { item: 'error', condition: 'bad-namespace-prefix' }
      return { item: 'element', element: read.element }
    case 'error':
      return { item: 'error', condition: faults[read.fault], text: read.text }
    default:
      return { item: read.xml }
  }
}

function headerItem(root: Element, content: string | undefined): StreamItem {
  if (root.ns !== ns.stream) return { item: 'error', condition: 'invalid-namespace' }
  if (root.name !== 'stream')
    return { item: 'error', condition: 'bad-format', text: 'a stream begins with <stream:stream>' }
  // RFC 6120 section 4.8.3. A header that declares no content namespace leaves it to each stanza (section 4.8.2).
  if (content !== undefined && content !== '' && content !== ns.client && content !== ns.stream)
    return { item: 'error', condition: 'invalid-namespace' }
  return { item: 'open', header: root.attrs }
}

const headerAttributes = ['from', 'id', 'to', 'version', 'xml:lang']

function writeHeader(header: Header): string {
  let out = ''
  for (const name of headerAttributes) {
    const value = header.get(name)
    if (value !== undefined) out += ` ${name}=${quoted(value)}`
  }
  return out
}

function writeTcp(item: StreamItem, around: WriteContext): string {
  switch (item.item) {
    case 'open':
      return `<?xml version="1.0"?><stream:stream xmlns="${ns.client}" xmlns:stream="${ns.stream}"${writeHeader(item.header)}>`
    case 'element':
      return write(item.element, around)
    case 'whitespace':
      return ' '
    case 'close':
      return '</stream:stream>'
    case 'error':
      return write(errorElement(item), inStream)
  }
}

export function websocketFraming(from: Side, limits: XmlLimits): Framing {
  return new WebsocketFraming(from, limits)
}

class WebsocketFraming implements Framing {
  readonly pending = 0
  private readonly from: Side
  private limits: XmlLimits
  private waiting: Uint8Array[] = []
  private failed = false

  constructor(from: Side, limits: XmlLimits) {
    this.from = from
    this.limits = limits
  }

  push(message: Uint8Array): void {
    this.waiting.push(message)
  }

  next(): StreamItem | undefined {
    const message = this.failed ? undefined : this.waiting.shift()
    if (message === undefined) return undefined
    const item = messageItem(message, this.from, this.limits)
    this.failed = item.item === 'error'
    return item
  }

  write(item: StreamItem): string {
    return writeMessage(item)
  }

  restart(): void {}

  takeRest(): Buffer {
    const rest = Buffer.concat(this.waiting)
    this.waiting = []
    return rest
  }

  limit(limits: XmlLimits): void {
    this.limits = limits
  }

  readInBulk(): void {}
}

/** RFC 7395 section 3.3.3: a message is one whole document and begins with '<'. */
function messageItem(message: Uint8Array, from: Side, limits: XmlLimits): StreamItem {
  if (message[0] !== 0x3c) return { item: 'error', condition: 'not-well-formed', text: "a message begins with '<'" }
  const plain = plainDocument(message, ns.stream, limits)
  if (plain !== undefined) return messageElement(plain)
  const reader = new XmlReader({ level: 0, limits, relayed: from === 'upstream' })
  reader.push(message)
  reader.finish()
  const item = streamItem(reader.next(), from)
  const second = reader.next()
  if (second?.xml === 'error') return { item: 'error', condition: faults[second.fault], text: second.text }
  if (item?.item !== 'element') return item ?? { item: 'error', condition: 'not-well-formed', text: 'an empty message' }
  return messageElement(item.element)
}

function messageElement(element: Element): StreamItem {
  const { name, ns: uri } = element
  if (uri === ns.framing && name === 'open') return { item: 'open', header: element.attrs }
  if (uri === ns.framing && name === 'close') return { item: 'close' }
  // RFC 7395 section 3.3.2: the framing elements in another namespace.
  if (uri !== ns.framing && (name === 'open' || name === 'close'))
    return { item: 'error', condition: 'invalid-namespace' }
  if (uri === ns.stream && name === 'stream') return { item: 'error', condition: 'invalid-namespace' }
  return { item: 'element', element }
}

/**
 * Each message declares its own namespaces (RFC 7395 section 3.3.3). Its language is that of the `<open/>` before it, as on TCP
 * it is that of the header. So a stanza without `xml:lang` reaches clients on both wires without it.
 */
function writeMessage(item: StreamItem): string {
  switch (item.item) {
    case 'open':
      return `<open xmlns="${ns.framing}"${writeHeader(item.header)}/>`
    case 'close':
      return `<close xmlns="${ns.framing}"/>`
    case 'whitespace':
      // RFC 7395 section 3.8: no white space on this wire.
      return ''
    case 'error':
      return writeAlone(errorElement(item))
    case 'element':
      return writeAlone(item.element)
  }
}

/** Elements of the stream namespace keep their usual prefix: some clients look for it. */
function writeAlone(whole: Element): string {
  if (whole.ns !== ns.stream) return write(whole, alone)
  const text = write(whole, { content: '', bound: { prefix: 'stream', ns: ns.stream } })
  const end = 1 + 'stream:'.length + whole.name.length
  return `${text.slice(0, end)} xmlns:stream="${ns.stream}"${text.slice(end)}`
}

function errorElement(error: Extract<StreamItem, { item: 'error' }>): Element {
  const content = error.host === undefined ? [] : [error.host]
  const children = [element(error.condition, ns.streamErrors, {}, content)]
  if (error.text !== undefined) children.push(element('text', ns.streamErrors, { 'xml:lang': 'en' }, [error.text]))
  if (error.application !== undefined) children.push(error.application)
  return element('error', ns.stream, {}, children)
}
