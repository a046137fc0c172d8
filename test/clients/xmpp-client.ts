import { setImmediate } from 'node:timers/promises'
import { type Client, client, type XmlElement, xml } from '@xmpp/client'
import WebSocket from 'ws'
import { type ClientWire, type Session, type Target, type TestClient, Transcript, type Wanted } from './test-client.ts'
import { patience, within } from './within.ts'

Object.assign(globalThis, { WebSocket }) // Node 20 has none

/** @xmpp/client, in this process: it believes what servers/certificate.ts `trust` has been told. */
export class XmppClient implements TestClient {
  readonly #transcript = new Transcript()
  #entity: Client | undefined

  /**
   * Not with the library's start(): that leaves a rejection unhandled when a login fails, and cannot resume.
   */
  async connect(target: Target): Promise<Session> {
    this.#entity ??= this.#make(target)
    const entity = this.#entity
    const online = new Promise<boolean>((resolve, reject) => {
      entity.streamManagement.once('resumed', () => resolve(true))
      entity.once('online', () => resolve(false))
      entity.once('error', reject)
    })
    online.catch(() => {}) // told below
    const managed = streamManaged(entity)
    entity.options.service = serviceOf(target)
    await entity.connect(entity.options.service)
    entity.open({ domain: target.domain }).catch(() => {}) // told as an error event
    const what = `the login of ${target.user} over ${target.wire} with @xmpp/client`
    const resumed = await within(what, online)
    if (!resumed) await within(what, managed)
    return { jid: String(entity.jid), resumed }
  }

  async send(text: string): Promise<void> {
    await this.#online.send(parse(text))
  }

  received(): string[] {
    return this.#transcript.all()
  }

  waitFor(wanted: Wanted, what: string): Promise<string> {
    return this.#transcript.find(wanted, what)
  }

  async cut(): Promise<void> {
    const entity = this.#online
    const gone = new Promise(resolve => entity.once('disconnect', resolve))
    const outer = entity.socket
    const socket = (outer?.socket ?? outer) as { destroy?(): void; terminate?(): void } | null
    if (socket?.terminate !== undefined) socket.terminate()
    else socket?.destroy?.()
    await within('the end of the connection', gone)
  }

  async stop(): Promise<void> {
    await this.#entity?.stop().catch(() => {}) // may be closed already
  }

  get #online(): Client {
    if (this.#entity === undefined) throw new Error('connect() comes first')
    return this.#entity
  }

  #make({ user, domain, password, resource, ...where }: Target): Client {
    const service = serviceOf({ user, domain, password, ...where })
    const entity = client({
      service,
      domain,
      username: user,
      password,
      timeout: patience,
      ...(resource !== undefined && { resource }),
    })
    entity.reconnect.stop()
    entity.on('error', () => {}) // what start() rejects with, or the end of the server
    entity.on('stanza', (stanza: XmlElement) => this.#transcript.push(standalone(stanza)))
    return entity
  }
}

/**
 * Resolves when the next session has its stream management, or cannot have any. To send before that is too early for the
 * library: once it has handled `<enabled/>` it sets its count of received stanzas to 0, although some may have come
 * behind that in the same piece, and later it resumes with a wrong `h`.
 */
async function streamManaged(entity: Client): Promise<void> {
  const sm = 'urn:xmpp:sm:3'
  await new Promise<void>(resolve => {
    let offered = false
    let online = false
    const listen = (nonza: XmlElement) => {
      if (nonza.name === 'stream:features') offered = nonza.getChild('sm', sm) !== undefined
      if (online && (nonza.is('enabled', sm) || nonza.is('failed', sm))) end()
    }
    const end = () => {
      entity.off('nonza', listen)
      resolve()
    }
    entity.on('nonza', listen)
    entity.streamManagement.once('resumed', end)
    entity.once('online', () => {
      online = true
      if (!offered) end()
    })
  })
  await setImmediate() // the library's own handling of it
}

const schemes: Record<ClientWire, string> = { starttls: 'xmpp', direct: 'xmpps', ws: 'ws', wss: 'wss' }

function serviceOf({ wire, port }: Target): string {
  return `${schemes[wire]}://localhost:${port}${wire === 'ws' || wire === 'wss' ? '/xmpp-websocket' : ''}`
}

/** On TCP a stanza inherits its namespace from the stream header. */
function standalone(stanza: XmlElement): string {
  if (stanza.attrs.xmlns !== undefined) return String(stanza)
  return String(stanza).replace(/^<[^\s/>]+/, '$& xmlns="jabber:client"')
}

interface Parser {
  on(event: 'element', listener: (element: XmlElement) => void): void
  on(event: 'error', listener: (error: Error) => void): void
  write(text: string): void
}

/** With the library's own parser. */
function parse(text: string): XmlElement {
  const { Parser } = xml as unknown as { Parser: new () => Parser }
  const parser = new Parser()
  const elements: XmlElement[] = []
  parser.on('element', element => elements.push(element))
  parser.on('error', error => {
    throw error
  })
  parser.write(`<stream>${text}</stream>`)
  const [element] = elements
  if (element === undefined || elements.length !== 1) throw new Error(`not one element: ${text}`)
  return element
}
