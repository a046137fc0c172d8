import { Strophe, toStanza } from 'strophe.js'
import { type Session, type Target, type TestClient, Transcript, type Wanted } from './test-client.ts'
import { within } from './within.ts'

export interface StropheOptions {
  /** PLAIN only: for accounts with fewer than 4096 iterations of SCRAM, with which strophe.js refuses to log in. */
  readonly plain?: boolean
}

/** strophe.js, in this process: it believes what servers/certificate.ts `trust` has been told. WebSocket only. */
export class StropheClient implements TestClient {
  readonly #transcript = new Transcript()
  readonly #options: StropheOptions
  #connection: Connection | undefined
  #changed: ((status: number, condition: string | null) => void) | undefined

  constructor(options: StropheOptions = {}) {
    this.#options = options
  }

  async connect({ wire, port, domain, user, password, resource }: Target): Promise<Session> {
    if (wire !== 'ws' && wire !== 'wss') throw new Error(`strophe.js cannot speak ${wire}`)
    const service = `${wire}://localhost:${port}/xmpp-websocket`
    this.#connection ??= this.#make(service)
    const connection = this.#connection
    connection.service = service
    const jid = `${user}@${domain}${resource === undefined ? '' : `/${resource}`}`
    const connected = this.#status(Strophe.Status.CONNECTED)
    connection.connect(jid, password, (status, condition) => this.#changed?.(status, condition))
    await within(`the login of ${user} over ${wire} with strophe.js`, connected)
    return { jid: connection.jid, resumed: connection.hasResumed() }
  }

  /** A stanza without `xmlns` is one of jabber:client: strophe.js would refuse it. */
  async send(text: string): Promise<void> {
    this.#online.send(
      toStanza(/^<\w+[^>]*\sxmlns=/.test(text) ? text : text.replace(/^<\w+/, '$& xmlns="jabber:client"')),
    )
  }

  received(): string[] {
    return this.#transcript.all()
  }

  waitFor(wanted: Wanted, what: string): Promise<string> {
    return this.#transcript.find(wanted, what)
  }

  async cut(): Promise<void> {
    const gone = this.#status(Strophe.Status.DISCONNECTED)
    this.#online._proto.socket?.terminate()
    await within('the end of the connection', gone)
  }

  async stop(): Promise<void> {
    if (this.#connection === undefined || !this.#connection.connected) return
    const gone = this.#status(Strophe.Status.DISCONNECTED)
    this.#connection.disconnect()
    await within('the end of the connection', gone)
  }

  get #online(): Connection {
    if (this.#connection === undefined) throw new Error('connect() comes first')
    return this.#connection
  }

  #make(service: string): Connection {
    Strophe.setLogLevel(Strophe.LogLevel.FATAL)
    const mechanisms = this.#options.plain === true ? { mechanisms: [Strophe.SASLPlain] } : {}
    const connection: Connection = new Strophe.Connection(service, { enableStreamManagement: true, ...mechanisms })
    connection.xmlInput = node => {
      if (stanzaNames.has(node.nodeName)) this.#transcript.push(Strophe.serialize(node))
    }
    return connection
  }

  /** Resolves at the status that is waited for; rejects at any other that is final. */
  #status(wanted: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#changed = (status, condition) => {
        if (status === wanted) resolve()
        else if (final.has(status)) reject(new Error(`strophe.js: status ${status}, ${condition ?? 'no condition'}`))
      }
    })
  }
}

const stanzaNames = new Set(['message', 'presence', 'iq'])
const final = new Set([Strophe.Status.CONNFAIL, Strophe.Status.AUTHFAIL, Strophe.Status.DISCONNECTED])

/** Its declarations are made for browsers; this much of it is used here. */
interface Connection {
  service: string
  readonly jid: string
  readonly connected: boolean
  readonly _proto: { readonly socket: { terminate(): void } | null }
  xmlInput: (node: { readonly nodeName: string }) => void
  connect(jid: string, password: string, callback: (status: number, condition: string | null) => void): void
  send(element: unknown): void
  disconnect(): void
  hasResumed(): boolean
}
