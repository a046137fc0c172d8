/**
 * A client that writes exactly the bytes it is told to and shows everything that it reads, for what a library would not send. It
 * answers nothing by itself. After an error or an end it keeps what it has read.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import WebSocket from 'ws'
import { makeFraming, type Wire } from '../../src/stream/framing.ts'
import type { Header } from '../../src/stream/item.ts'
import { upstreamLimits } from '../../src/stream/limits.ts'
import { child, type Element, element, text, withAttrs } from '../../src/xml/element.ts'
import { Inbox } from './inbox.ts'
import { within } from './within.ts'

export type Item =
  | { readonly item: 'open'; readonly header: Header }
  | { readonly item: 'element'; readonly element: Element }
  | { readonly item: 'whitespace' | 'close' }
  | { readonly item: 'error'; readonly condition: string }
  /** The transport is gone; `code` as WebSocket has it. */
  | { readonly item: 'gone'; readonly code: number | undefined }

/** A server's elements may be as large as a roster. */
const limits = { ...upstreamLimits, bytes: 64 * 1024 * 1024, elements: 1_000_000 }

export interface Transport {
  readonly wire: Wire
  send(data: string | Buffer): void
  end(): void
  destroy(): void
  pause(): void
  resume(): void
}

export class RawClient {
  readonly inbox = new Inbox<Item>(shown)
  readonly transport: Transport
  /** As the server has bound it. */
  jid = ''
  private readonly framing
  private lang: string | undefined
  /** Named by its stream headers (RFC 6120 section 4.7.1); left out: none. */
  account?: string

  constructor(transport: Transport) {
    this.transport = transport
    this.framing = makeFraming(transport.wire, 'upstream', limits)
  }

  /** On a WebSocket one text is one message, and bytes are a binary one. */
  send(data: string | Buffer): void {
    this.transport.send(data)
  }

  received(bytes: Buffer): void {
    this.framing.push(bytes)
    for (let item = this.framing.next(); item !== undefined; item = this.framing.next()) {
      if (item.item === 'open') this.lang = item.header.get('xml:lang')
      this.inbox.push(this.inherited(item))
      // After it the server's next bytes are a new stream's (RFC 6120 section 6.4.6).
      if (item.item === 'element' && item.element.name === 'success' && item.element.ns === sasl) this.framing.restart()
    }
  }

  /** The language of its stream a stanza has whether it says so or not; some servers do. */
  private inherited(item: Item): Item {
    if (item.item !== 'element') return item
    const { element } = item
    if (this.lang === undefined || element.attrs.get('xml:lang') !== this.lang) return item
    return { item: 'element', element: withAttrs(element, { 'xml:lang': undefined }) }
  }

  /** The next element that is one of these; those before it are gone. */
  async element(what: string, isWanted: (element: Element) => boolean): Promise<Element> {
    const found = await this.inbox.find(what, item => item.item === 'element' && isWanted(item.element))
    return (found as Extract<Item, { item: 'element' }>).element
  }

  named(name: string): Promise<Element> {
    return this.element(`<${name}/>`, found => found.name === name)
  }

  withId(id: string): Promise<Element> {
    return this.element(`the stanza with id '${id}'`, found => found.attrs.get('id') === id)
  }

  /** Everything up to and with the end of the transport, in one line each. */
  async toTheEnd(): Promise<string[]> {
    const items = await this.inbox.until('the end of the connection', item => item.item === 'gone')
    return items.filter(item => item.item !== 'whitespace').map(shown)
  }

  /** Everything up to the answer to a ping of the own server's, without it. What was to come has come then. */
  async settled(): Promise<string[]> {
    const id = `ping-${++pings}`
    this.send(`<iq xmlns='jabber:client' type='get' id='${id}'><ping xmlns='urn:xmpp:ping'/></iq>`)
    const isAnswer = (item: Item) => item.item === 'element' && item.element.attrs.get('id') === id
    const items = await this.inbox.until(`the answer to ${id}`, isAnswer)
    return items
      .slice(0, -1)
      .filter(item => item.item !== 'whitespace')
      .map(shown)
  }

  /** The header in this wire's form; RFC 6120 or RFC 7395. */
  header(domain = 'localhost'): string {
    const from = this.account === undefined ? '' : `from='${this.account}' `
    const attributes = `${from}to='${domain}' version='1.0' xml:lang='en'`
    if (this.transport.wire === 'websocket') return `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' ${attributes}/>`
    return `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='${streams}' ${attributes}>`
  }

  get endTag(): string {
    return this.transport.wire === 'tcp' ? '</stream:stream>' : `<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>`
  }

  async opened(domain?: string): Promise<void> {
    this.send(this.header(domain))
    await this.named('features')
  }

  /** With PLAIN, which is one step; a library's login shows SCRAM. */
  async login(user: string, resource: string, password = 'secret', domain?: string): Promise<this> {
    await this.opened(domain)
    this.send(auth(user, password))
    await this.named('success')
    await this.opened(domain)
    this.send(bind(resource))
    const result = await this.withId('bind')
    const bound = child(result, 'bind', 'urn:ietf:params:xml:ns:xmpp-bind')
    this.jid = text(child(bound ?? result, 'jid', 'urn:ietf:params:xml:ns:xmpp-bind') ?? element('', ''))
    // Nothing begins again after this: what comes may be read in bulk.
    this.framing.readInBulk()
    return this
  }

  /** The answer to a roster get, with a version when one is given. */
  async roster(ver?: string): Promise<Element> {
    const query = `<query xmlns='jabber:iq:roster'${ver === undefined ? '' : ` ver='${ver}'`}/>`
    this.send(`<iq xmlns='jabber:client' type='get' id='roster'>${query}</iq>`)
    return this.withId('roster')
  }

  /** The roster, and the first presence. */
  async appear(): Promise<Element> {
    const roster = await this.roster()
    this.send(`<presence xmlns='jabber:client'/>`)
    await this.element('the own presence', found => found.name === 'presence' && found.attrs.get('from') === this.jid)
    return roster
  }
}

let pings = 0
const sasl = 'urn:ietf:params:xml:ns:xmpp-sasl'
const streams = 'http://etherx.jabber.org/streams'

export function auth(user: string, password = 'secret'): string {
  return `<auth xmlns='${sasl}' mechanism='PLAIN'>${Buffer.from(`\0${user}\0${password}`).toString('base64')}</auth>`
}

export function bind(resource: string): string {
  return `<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>${resource}</resource></bind></iq>`
}

/** An item in one line: `{ns}name(key=value)[children]`, attributes sorted, the two everyday namespaces left out. */
export function shown(item: Item): string {
  switch (item.item) {
    case 'open':
      return 'open'
    case 'element':
      return outline(item.element)
    case 'error':
      return `unreadable: ${item.condition}`
    case 'gone':
      return item.code === undefined ? 'gone' : `gone ${item.code}`
    default:
      return item.item
  }
}

export function outline(whole: Element): string {
  const ns = everyday.has(whole.ns) ? '' : `{${whole.ns}}`
  const attrs = [...whole.attrs].map(([key, value]) => `${key}=${value}`).sort()
  const children = whole.children.map(node => (typeof node === 'string' ? JSON.stringify(node) : outline(node)))
  return `${ns}${whole.name}${attrs.length > 0 ? `(${attrs.join(' ')})` : ''}${children.length > 0 ? `[${children.join(' ')}]` : ''}`
}

const everyday = new Set([
  'jabber:client',
  'urn:ietf:params:xml:ns:xmpp-stanzas',
  'urn:ietf:params:xml:ns:xmpp-streams',
])

export interface TlsOptions {
  /** PEM of the certificate to trust. */
  readonly ca: string
  readonly alpn?: readonly string[]
}

/** A TCP client, TLS first with `tls`. */
export async function connectTcp(port: number, tls?: TlsOptions): Promise<RawClient> {
  const socket = tls === undefined ? connect(port, '127.0.0.1') : connectTls({ port, host: '127.0.0.1', ...over(tls) })
  await within('a connection', once(socket, tls === undefined ? 'connect' : 'secureConnect'))
  return tcpClient(socket)
}

/** A TCP client that has made TLS with STARTTLS. */
export async function connectStarttls(port: number, tls: TlsOptions): Promise<RawClient> {
  const plain = await connectTcp(port)
  await plain.opened()
  plain.send(starttls)
  await plain.named('proceed')
  const { socket } = plain.transport as Transport & { socket: Socket }
  socket.removeAllListeners('data').removeAllListeners('close')
  const secure = connectTls({ socket, ...over(tls) })
  await within('TLS', once(secure, 'secureConnect'))
  return tcpClient(secure)
}

export const starttls = `<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`

function over({ ca, alpn }: TlsOptions) {
  return { ca, servername: 'localhost', ...(alpn && { ALPNProtocols: [...alpn] }) }
}

function tcpClient(socket: Socket): RawClient {
  socket.setNoDelay(true)
  const client = new RawClient({
    wire: 'tcp',
    socket,
    send: (data: string | Buffer) => socket.write(data),
    end: () => socket.end(),
    destroy: () => socket.destroy(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  } as Transport)
  socket.on('data', bytes => client.received(bytes))
  socket.on('error', () => {}) // its end is told
  socket.on('close', () => client.inbox.push({ item: 'gone', code: undefined }))
  return client
}

export interface WebsocketOptions {
  readonly ca?: string
  readonly origin?: string
  /** Default: `xmpp` alone. */
  readonly protocols?: readonly string[]
}

/** Rejects with the server's status when it grants no WebSocket. */
export async function connectWebsocket(url: string, options: WebsocketOptions = {}): Promise<RawClient> {
  const { ca, origin, protocols = ['xmpp'] } = options
  const socket = new WebSocket(url, [...protocols], { ...(ca && { ca }), ...(origin && { origin }) })
  const client = new RawClient({
    wire: 'websocket',
    send: data => socket.send(data),
    end: () => socket.close(1000),
    destroy: () => socket.terminate(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  })
  socket.on('message', (data: Buffer) => client.received(data))
  socket.on('close', code => client.inbox.push({ item: 'gone', code }))
  const refused = new Promise<never>((_, reject) => socket.on('error', reject))
  await within('a WebSocket', Promise.race([once(socket, 'open'), refused]))
  return client
}
