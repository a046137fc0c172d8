// What a test can do with any XMPP client, so that one suite drives every client the same way.
import { within } from './within.ts'

/** STARTTLS, direct TLS (XEP-0368), WebSocket in plain HTTP, and WebSocket over TLS. */
export type ClientWire = 'starttls' | 'direct' | 'ws' | 'wss'

export interface Target {
  readonly wire: ClientWire
  /** On localhost; a WebSocket is at `/xmpp-websocket` there. */
  readonly port: number
  readonly domain: string
  readonly user: string
  readonly password: string
  /** `undefined`: the server makes one up. */
  readonly resource?: string | undefined
}

export interface Session {
  /** The full JID, as the server has bound it. */
  readonly jid: string
  /** Whether this is the session of before the cut (XEP-0198 section 5). */
  readonly resumed: boolean
}

export interface TestClient {
  /** Logs in and binds; after cut() it resumes, or else binds again, also at another target. No presence is sent. */
  connect(target: Target): Promise<Session>
  /** Sends one stanza in the client's own words, counted by its stream management. Throws if it is no one stanza. */
  send(xml: string): Promise<void>
  /**
   * Every stanza of all sessions so far, in order, as the client's own parser has understood it: a whole element that
   * declares its namespaces.
   */
  received(): string[]
  /** The first such stanza that no waitFor has given yet, come already or still to come. `what` is for the error. */
  waitFor(wanted: Wanted, what: string): Promise<string>
  /** Ends the transport without `</stream:stream>` or `<close/>`. */
  cut(): Promise<void>
  /** Logs out, if need be, and gives everything back. */
  stop(): Promise<void>
}

export type Wanted = RegExp | ((xml: string) => boolean)

/** Where a client keeps what it was sent. */
export class Transcript {
  readonly #stanzas: string[] = []
  readonly #given = new Set<number>()
  #wake: (() => void)[] = []

  push(xml: string): void {
    this.#stanzas.push(xml)
    for (const wake of this.#wake.splice(0)) wake()
  }

  all(): string[] {
    return [...this.#stanzas]
  }

  async find(wanted: Wanted, what: string): Promise<string> {
    const isWanted = wanted instanceof RegExp ? (xml: string) => wanted.test(xml) : wanted
    const found = async () => {
      for (;;) {
        const index = this.#stanzas.findIndex((xml, position) => !this.#given.has(position) && isWanted(xml))
        if (index >= 0) {
          this.#given.add(index)
          return this.#stanzas[index] ?? ''
        }
        await new Promise<void>(resolve => {
          this.#wake.push(resolve)
        })
      }
    }
    return await within(what, found()).catch(error => {
      throw new Error(`${error.message}; what came:\n  ${this.#stanzas.join('\n  ') || 'nothing'}`)
    })
  }
}
