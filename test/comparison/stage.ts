// Those who play the cases: the same people, straight at a server or through the gate.
import type { ClientKind } from '../clients/all.ts'
import type { ClientWire, Session, TestClient, Wanted } from '../clients/test-client.ts'
import { type Part, partOf } from './compare.ts'
import { marked, Normaliser, ours } from './normalise.ts'

/** Where a wire is to be had, on localhost; the servers have no WebSocket over TLS, and give one without for it. */
export type Ports = Readonly<Record<ClientWire, { readonly wire: ClientWire; readonly port: number }>>

export interface Way {
  readonly name: 'direct' | 'through'
  readonly ports: Ports
  /** The same server, but through a gate that has never seen these accounts. */
  readonly elsewhere: Ports
  /** The path of the PEM file that the clients shall trust. */
  readonly certificate: string
}

export interface Lane {
  readonly kind: ClientKind
  readonly wire: ClientWire
  readonly server: string
}

export interface Case {
  readonly name: string
  /** Why it cannot be played directly on that lane (then it is played through the gate alone), or `undefined`. */
  readonly notDirect?: (lane: Lane) => string | undefined
  readonly play: (stage: Stage) => Promise<void>
}

/** One person's client. */
export class Actor {
  readonly name: string
  readonly bare: string
  readonly wire: ClientWire
  client: TestClient
  /** Of the client, or of clients before it: what has been compared already. */
  seen = 0
  /** What it was sent by clients that are no more. */
  earlier: string[] = []
  #pings = 0
  #isOnline = false
  readonly #login: (ports: Ports) => Promise<Session>
  readonly #make: () => TestClient
  readonly #way: Way

  constructor(name: string, user: string, resource: string, lane: Lane, wire: ClientWire, way: Way) {
    this.name = name
    this.bare = `${user}@localhost`
    this.wire = wire
    this.#way = way
    this.#make = () => lane.kind.make(way.certificate)
    this.#login = ports =>
      this.client.connect({ ...ports[wire], domain: 'localhost', user, password: 'secret', resource })
    this.client = this.#make()
  }

  connect(): Promise<Session> {
    return this.#loginAt(this.#way.ports)
  }

  /** Logs out, and in again with a client that knows nothing of the session before. */
  async again(where: 'here' | 'elsewhere' = 'here'): Promise<Session> {
    await this.client.stop()
    this.earlier.push(...this.client.received())
    this.client = this.#make()
    return this.#loginAt(where === 'here' ? this.#way.ports : this.#way.elsewhere)
  }

  async #loginAt(ports: Ports): Promise<Session> {
    const session = await this.#login(ports)
    this.#isOnline = true
    return session
  }

  received(): string[] {
    return [...this.earlier, ...this.client.received()]
  }

  send(xml: string): Promise<void> {
    return this.client.send(xml)
  }

  waitFor(wanted: Wanted, what: string): Promise<string> {
    return this.client.waitFor(wanted, `${this.name}: ${what}`)
  }

  /** Sends an iq and gives the answer. `id` without `our-`. */
  async ask(id: string, type: 'get' | 'set', payload: string, to?: string): Promise<string> {
    const address = to === undefined ? '' : ` to='${to}'`
    await this.send(`<iq type='${type}' id='${ours}${id}'${address}>${payload}</iq>`)
    return await this.waitFor(answer(id), `the answer to ${id}`)
  }

  /** Resolves when the server has handled all that this client has sent, and what it then sent here has come. */
  async settle(): Promise<void> {
    if (!this.#isOnline) return
    this.#pings += 1
    await this.ask(`settle-${this.name}-${this.#pings}`, 'get', "<ping xmlns='urn:xmpp:ping'/>", 'localhost')
  }
}

export class Stage {
  readonly lane: Lane
  readonly romeo: Actor
  readonly juliet: Actor
  /** Another of Romeo's, on the wire of Romeo's. */
  readonly tablet: Actor
  readonly room: string
  readonly #way: Way

  /** `mark` is part of every name that the server keeps, so that no two stages meet there. */
  constructor(lane: Lane, way: Way, mark: string) {
    this.lane = lane
    this.#way = way
    const { wires } = lane.kind
    const next = wires[(wires.indexOf(lane.wire) + 1) % wires.length] ?? lane.wire
    const [romeo, juliet] = [marked('romeo', mark), marked('juliet', mark)]
    this.romeo = new Actor('romeo', romeo, 'garden', lane, lane.wire, way)
    this.juliet = new Actor('juliet', juliet, 'chamber', lane, next, way)
    this.tablet = new Actor('tablet', romeo, 'tablet', lane, lane.wire, way)
    this.room = `${marked('balcony', mark)}@conference.localhost`
  }

  get #actors(): readonly Actor[] {
    return [this.romeo, this.juliet, this.tablet]
  }

  /** Plays the cases one after the other; gives what each client was sent in each that is played both ways. */
  async play(cases: readonly Case[]): Promise<Part[]> {
    const normaliser = new Normaliser()
    const parts: Part[] = []
    try {
      for (const one of cases) {
        const isCompared = one.notDirect?.(this.lane) === undefined
        if (!isCompared && this.#way.name === 'direct') continue
        await one.play(this).catch(error => {
          throw new Error(`${one.name}, ${this.#way.name}: ${(error as Error).message}`)
        })
        // First everybody's stanzas are handled; then what they made the server send to the others has come.
        for (const actor of [...this.#actors, ...this.#actors]) await actor.settle()
        for (const actor of this.#actors) {
          const { name, wire } = actor
          const all = actor.received()
          if (isCompared) parts.push(partOf(normaliser, { case: one.name, actor: name, wire }, all.slice(actor.seen)))
          actor.seen = all.length
        }
      }
      return parts
    } finally {
      await Promise.all(this.#actors.map(({ client }) => client.stop()))
    }
  }
}

/** The end of an iq of ours; `id` without `our-`. */
function answer(id: string): Wanted {
  return xml => startsAs(xml, 'iq', { id: ours + id }) && /^<[^>]* type=["'](result|error)["']/.test(xml)
}

/** A stanza whose start tag has these attributes, each beginning so, and which holds that text. */
export function stanza(name: string, attrs: Readonly<Record<string, string>>, within = ''): Wanted {
  return xml => startsAs(xml, name, attrs) && xml.includes(within)
}

function startsAs(xml: string, name: string, attrs: Readonly<Record<string, string>>): boolean {
  const [tag = '', found] = /^<([^\s/>]+)[^>]*>/.exec(xml) ?? []
  return found === name && Object.entries(attrs).every(([key, value]) => tag.includes(` ${key}="${value}`))
}
