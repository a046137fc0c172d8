/**
 * XEP-0198 through the gate, against a model of an honest client and an honest server. Random scripts of stanzas of every fate, of
 * acknowledgements, of transports that break (seen by the gate or not) and of resumptions, in the middle of anything. Whatever
 * happens: nothing is lost or doubled that no rule has dropped, everything keeps its order, and no count is ever wrong.
 */
import fc from 'fast-check'
import t from 'tap'
import { Accounts } from '../../src/account/accounts.ts'
import { defaultLimits } from '../../src/config/limits.ts'
import { activeRules } from '../../src/rules/all-rules.ts'
import type { Effect, SessionEvent } from '../../src/session/event.ts'
import { ResumableSessions } from '../../src/session/resumable-sessions.ts'
import { Session, type SessionOptions } from '../../src/session/session.ts'
import { other, type Side, type StreamItem } from '../../src/stream/item.ts'
import { ns } from '../../src/stream/namespaces.ts'
import { child, type Element, element, elements } from '../../src/xml/element.ts'

const seed = 20_261_125

/** Accounts and sessions that wait: what the connections of one gate share. */
class Gate {
  accounts = new Accounts<Connection>(10)
  resumptions = new ResumableSessions<Connection>(10)

  /** Another process goes on, with what this one has kept. Gives the connections whose sessions it has kept. */
  restart(connections: readonly Connection[]): Set<Connection> {
    const before = this.resumptions
    const offered = connections.flatMap(connection => {
      const found = connection.session.isResumable ? before.takeOut(connection) : undefined
      return found === undefined ? [] : [{ connection, found }]
    })
    const texts = [...offered.map(({ found }) => found), ...before.takeOutIdle(0)].map(kept => JSON.stringify(kept))
    this.accounts = new Accounts(10)
    this.resumptions = new ResumableSessions(10)
    for (const text of texts)
      if (!this.resumptions.restore(JSON.parse(text), options, 0)) throw new Error(`no session: ${text}`)
    return new Set(offered.map(({ connection }) => connection))
  }
}

const options: SessionOptions = {
  starttls: false,
  rules: activeRules({ default: 'enforce', modes: new Map() }),
  trustedDomains: new Set(),
  maxBytes: { beforeLogin: 10_000, client: 262_144 },
  times: defaultLimits.times,
  loginFailures: 5,
  isCrowded: () => false,
  newStreamId: () => 'gate',
  destinationOf: () => ({ route: '*', upstream: 'main', starttls: false }),
}

/** One client connection at the gate and its upstream connection, with what is on its way in all four directions. */
class Connection {
  readonly session: Session
  /** Not yet arrived at the gate, by who sent it; not yet arrived at the peer, by who gets it. */
  readonly toGate: Record<Side, StreamItem[]> = { client: [], upstream: [] }
  readonly fromGate: Record<Side, StreamItem[]> = { client: [], upstream: [] }
  readonly closing: Record<Side, boolean> = { client: false, upstream: false }
  isUp = false
  private readonly gate: Gate

  constructor(gate: Gate) {
    this.gate = gate
    this.session = new Session(options, 0)
  }

  receive(event: SessionEvent): void {
    for (const effect of this.session.receive(event, 0)) this.perform(effect)
  }

  /** Hands the gate the next item of this side; says whether there was one that it may read. */
  arrive(side: Side): boolean {
    if (side === 'client' && this.session.holding) return false
    const item = this.toGate[side].shift()
    if (item !== undefined) this.receive({ event: 'item', from: side, item })
    return item !== undefined
  }

  lose(side: Side): void {
    this.toGate[side] = []
    this.fromGate[side] = []
    this.receive({ event: 'closed', side })
  }

  private perform(effect: Effect): void {
    switch (effect.effect) {
      case 'connect':
        this.isUp = true
        return this.receive({ event: 'connected' })
      case 'send':
        this.fromGate[effect.to].push(effect.item)
        return
      case 'close':
      case 'abort':
        this.closing[effect.side] = true
        return
      case 'join-account':
        return this.receive({ event: 'account-joined', snapshot: this.gate.accounts.attach(effect.account, this) })
      case 'tell-account':
        this.gate.accounts.tell(this, effect.news)
        return
      case 'offer-resumption':
        return this.gate.resumptions.offer(effect.key, effect.bound, this, effect.resumableFor)
      case 'find-resumable':
        return this.receive({ event: 'resumable-found', found: this.gate.resumptions.find(effect.key, 0) })
      case 'take-over':
        this.gate.resumptions.takeOver(effect.key, this)?.receive({ event: 'superseded' })
        return
      case 'suspend':
        return void this.gate.resumptions.suspend(this, 0)
      case 'withdraw-resumption':
        return this.gate.resumptions.withdraw(this)
    }
  }
}

const sm = (name: string, attrs: Record<string, string> = {}) => element(name, ns.sm3, attrs)
const count = (value: number) => String(value)

/** Counts as XEP-0198 has them, and what is kept until it is acknowledged. */
class Counts {
  received = 0
  private sent = 0
  private readonly unacknowledged: Element[] = []

  send(stanza: Element): void {
    this.unacknowledged.push(stanza)
    this.sent++
  }

  acknowledged(h: number): void {
    const behind = this.sent - h
    if (behind < 0 || behind > this.unacknowledged.length)
      throw new Error(`h ${h} is wrong: ${this.sent} sent, ${this.unacknowledged.length} kept`)
    this.unacknowledged.splice(0, this.unacknowledged.length - behind)
  }

  get left(): readonly Element[] {
    return this.unacknowledged
  }
}

/** What both ends do alike. */
abstract class Peer {
  readonly got: string[] = []
  protected counts: Counts | undefined
  protected readonly side: Side

  constructor(side: Side) {
    this.side = side
  }

  abstract connection: Connection | undefined

  get isRunning(): boolean {
    return this.counts !== undefined && this.connection !== undefined
  }

  get left(): number {
    return this.counts?.left.length ?? 0
  }

  say(stanza: Element): void {
    this.counts?.send(stanza)
    this.put(stanza)
  }

  ask(): void {
    this.put(sm('r'))
  }

  tell(): void {
    this.put(sm('a', { h: count(this.counts?.received ?? 0) }))
  }

  protected put(whole: Element): void {
    this.connection?.toGate[this.side].push({ item: 'element', element: whole })
  }

  protected resumed(h: string | undefined): void {
    this.counts?.acknowledged(Number(h))
    for (const stanza of this.counts?.left ?? []) this.put(stanza)
  }

  /** An element that is neither negotiation nor the other peer's affair. */
  protected take(whole: Element): void {
    if (whole.ns === ns.sm3 && whole.name === 'r') return this.tell()
    if (whole.ns === ns.sm3 && whole.name === 'a') return this.counts?.acknowledged(Number(whole.attrs.get('h')))
    if (whole.ns === ns.stream && whole.name === 'error')
      throw new Error(`${this.side} got a stream error: ${elements(whole)[0]?.name}`)
    if (whole.ns !== ns.client) return
    if (this.counts !== undefined) this.counts.received++
    this.got.push(`${whole.name} ${whole.attrs.get('type') ?? ''} ${whole.attrs.get('id')}`)
  }
}

class Server extends Peer {
  /** Given, each to be delivered once. */
  readonly approvals: string[] = []
  connection: Connection | undefined

  constructor() {
    super('upstream')
  }

  arrive(connection: Connection): boolean {
    const item = connection.fromGate.upstream.shift()
    if (item === undefined) return false
    if (item.item === 'open') this.open(connection)
    else if (item.item === 'element') this.element(connection, item.element)
    else if (item.item !== 'whitespace') throw new Error(`the server got ${item.item}`)
    return true
  }

  private open(connection: Connection): void {
    const header = new Map([
      ['id', 's'],
      ['from', 'im.example'],
      ['version', '1.0'],
    ])
    connection.toGate.upstream.push({ item: 'open', header })
    this.answer(connection, element('features', ns.stream, {}, [sm('sm')]))
  }

  private element(connection: Connection, whole: Element): void {
    if (whole.ns === ns.sasl) return this.answer(connection, element('success', ns.sasl))
    if (whole.ns === ns.sm3 && whole.name === 'enable') {
      this.connection = connection
      // The server's own count begins behind <enabled/>, the client's stanzas behind <enable/>.
      this.counts = new Counts()
      return this.answer(connection, sm('enabled', { id: 'sm-1', resume: 'true' }))
    }
    if (whole.ns === ns.sm3 && whole.name === 'resume') {
      this.connection = connection
      this.answer(connection, sm('resumed', { previd: 'sm-1', h: count(this.counts?.received ?? 0) }))
      return this.resumed(whole.attrs.get('h'))
    }
    if (whole.name === 'iq' && child(whole, 'bind', ns.bind) !== undefined) {
      const jid = element('jid', ns.bind, {}, ['romeo@im.example/orchard'])
      return this.result(connection, whole, element('bind', ns.bind, {}, [jid]))
    }
    if (whole.name === 'iq' && child(whole, 'query', ns.roster) !== undefined && whole.attrs.get('type') === 'get')
      return this.result(connection, whole, element('query', ns.roster))
    if (connection !== this.connection) return
    this.take(whole)
    if (whole.attrs.get('type') === 'subscribe') this.approve(whole.attrs.get('to') ?? '', whole.attrs.get('id'))
  }

  /** The contact's approval as RFC 3921 lists it, push first, then the presence; and a second approval that nobody asked for. */
  private approve(from: string, id: string | undefined): void {
    const push = (item: Record<string, string>) => {
      const query = element('query', ns.roster, {}, [element('item', ns.roster, { jid: from, ...item })])
      this.say(element('iq', ns.client, { type: 'set', id: `push-${id}` }, [query]))
    }
    push({ subscription: 'none', ask: 'subscribe' })
    push({ subscription: 'to' })
    this.approvals.push(`presence subscribed ${id}`)
    this.say(element('presence', ns.client, { from, id, type: 'subscribed' }))
    this.say(element('presence', ns.client, { from, id: `forged-${id}`, type: 'subscribed' }))
  }

  private result(connection: Connection, iq: Element, payload: Element): void {
    this.answer(connection, element('iq', ns.client, { type: 'result', id: iq.attrs.get('id') }, [payload]))
  }

  private answer(connection: Connection, whole: Element): void {
    connection.toGate.upstream.push({ item: 'element', element: whole })
  }
}

class Client extends Peer {
  connection: Connection | undefined
  private step = 0
  private resuming = false
  private readonly gate: Gate

  constructor(gate: Gate) {
    super('client')
    this.gate = gate
  }

  /** Negotiated, that is: with stream management, and resumed if it had been before. */
  override get isRunning(): boolean {
    return super.isRunning && !this.resuming && this.step === 4
  }

  connect(): Connection {
    const connection = new Connection(this.gate)
    this.connection = connection
    this.step = 0
    this.resuming = this.counts !== undefined
    this.open()
    return connection
  }

  arrive(): boolean {
    const item = this.connection?.fromGate.client.shift()
    if (item === undefined) return false
    if (item.item === 'element') this.element(item.element)
    else if (item.item === 'close' || item.item === 'error') throw new Error(`the client got ${JSON.stringify(item)}`)
    return true
  }

  private open(): void {
    const header = new Map([
      ['to', 'im.example'],
      ['version', '1.0'],
    ])
    this.connection?.toGate.client.push({ item: 'open', header })
  }

  private element(whole: Element): void {
    if (whole.name === 'features' && this.step === 0) {
      this.step = 1
      return this.put(element('auth', ns.sasl, { mechanism: 'PLAIN' }))
    }
    if (whole.ns === ns.sasl) return this.open()
    if (whole.name === 'features') {
      this.step = this.resuming ? 4 : 2
      if (this.resuming) return this.put(sm('resume', { previd: 'sm-1', h: count(this.counts?.received ?? 0) }))
      return this.put(element('iq', ns.client, { type: 'set', id: 'bind' }, [element('bind', ns.bind)]))
    }
    if (whole.ns === ns.sm3 && whole.name === 'resumed') {
      this.resuming = false
      return this.resumed(whole.attrs.get('h'))
    }
    if (whole.ns === ns.sm3 && whole.name === 'enabled') {
      this.counts = new Counts()
      this.step = 4
      return
    }
    if (this.step === 2) {
      this.step = 3
      this.put(element('iq', ns.client, { type: 'get', id: 'roster' }, [element('query', ns.roster)]))
      return
    }
    if (this.step === 3) return this.put(sm('enable', { resume: 'true' }))
    this.take(whole)
  }
}

const forClient = { to: 'romeo@im.example/orchard', from: 'juliet@im.example/balcony' }

/** Stanzas of every fate. */
const said: Readonly<Record<string, { from: Side; make(id: string): Element }>> = {
  'client message': { from: 'client', make: id => element('message', ns.client, { id, to: 'juliet@im.example' }) },
  'client rejected': { from: 'client', make: id => element('presence', ns.client, { id, type: 'bogus' }) },
  'client request': {
    from: 'client',
    make: id => element('presence', ns.client, { id, to: `${id}@im.example`, type: 'subscribe' }),
  },
  'server message': { from: 'upstream', make: id => element('message', ns.client, { id, ...forClient }) },
  'server forged': {
    from: 'upstream',
    make: id => element('presence', ns.client, { id, from: `m${id}@evil.example`, type: 'subscribed' }),
  },
  'server push': {
    from: 'upstream',
    make: id => element('iq', ns.client, { id, type: 'set', ...forClient }, [element('query', ns.roster)]),
  },
}

const steps = [
  ...Object.keys(said),
  ...['client asks', 'client tells', 'server asks', 'server tells'],
  ...['deliver', 'deliver', 'deliver', 'deliver', 'deliver all'],
  ...['client cut', 'client gone', 'upstream cut', 'gate restarts'],
] as const

/** A gate, a client and a server, and every connection that there was. */
class World {
  readonly gate = new Gate()
  readonly client: Client
  readonly server = new Server()
  readonly wanted: Record<Side, string[]> = { client: [], upstream: [] }
  readonly answers: Record<Side, string[]> = { client: [], upstream: [] }
  private readonly connections: Connection[] = []
  private ids = 0

  constructor() {
    this.client = new Client(this.gate)
    this.connect()
    this.settle()
  }

  take(step: string, choice: number): void {
    const sentence = said[step]
    if (sentence !== undefined) return this.say(step, sentence)
    switch (step) {
      case 'client asks':
        return this.client.isRunning ? this.client.ask() : undefined
      case 'client tells':
        return this.client.isRunning ? this.client.tell() : undefined
      case 'server asks':
        return this.server.isRunning ? this.server.ask() : undefined
      case 'server tells':
        return this.server.isRunning ? this.server.tell() : undefined
      case 'deliver':
        this.deliver(choice)
        return
      case 'deliver all':
        return this.settle()
      case 'client cut':
        this.client.connection?.lose('client')
        return this.connect()
      case 'client gone':
        // The gate does not hear of it: the old connection goes on being served.
        return this.connect()
      case 'upstream cut':
        return this.server.connection === this.client.connection && this.client.isRunning
          ? this.cutUpstream()
          : undefined
      case 'gate restarts':
        return this.restart(choice % 2 === 0)
    }
  }

  /** The end of the script: everything arrives, everything is acknowledged. */
  finish(): void {
    this.settle()
    if (!this.client.isRunning) throw new Error('the client was never let in again')
    for (let i = 0; i < 2; i++) {
      this.client.ask()
      this.server.ask()
      this.settle()
    }
  }

  settle(): void {
    for (let i = 0; this.deliver(0); i++) if (i > 100_000) throw new Error('it never ends')
  }

  private say(step: string, { from, make }: { from: Side; make(id: string): Element }): void {
    const peer = from === 'client' ? this.client : this.server
    // A server speaks to a session whose stream is away too; it is kept for it.
    const isSpoken = from === 'client' ? this.client.isRunning : this.server.isRunning
    if (!isSpoken) return
    const id = `${from}-${++this.ids}`
    peer.say(make(id))
    if (step.endsWith('message')) this.wanted[other[from]].push(`message  ${id}`)
    if (step === 'client rejected') this.answers.client.push(`presence error ${id}`)
    if (step === 'server push') this.answers.upstream.push(`iq error ${id}`)
  }

  private connect(): void {
    this.connections.push(this.client.connect())
  }

  private cutUpstream(): void {
    const connection = this.client.connection
    connection?.lose('upstream')
    // A gate that can offer a resumption does not end the client's stream, it breaks it.
    if (connection?.closing.client !== true) throw new Error('the client is left hanging')
    connection.lose('client')
    this.connect()
  }

  /** `isLost`: what the old process has sent last reaches nobody. */
  private restart(isLost: boolean): void {
    const kept = this.gate.restart(this.connections)
    for (const connection of this.connections) {
      const before = { ...connection.fromGate }
      if (kept.has(connection)) connection.receive({ event: 'handed-over' })
      for (const side of ['client', 'upstream'] as const) connection.lose(side)
      if (!isLost) connection.fromGate.upstream.push(...before.upstream)
    }
    this.connect()
  }

  /** One item arrives somewhere; which, is chosen. Says whether there was any. */
  private deliver(choice: number): boolean {
    const ways = this.connections.flatMap(connection => [
      () => connection.arrive('client'),
      () => connection.arrive('upstream'),
      () => this.server.arrive(connection),
      ...(connection === this.client.connection ? [() => this.client.arrive()] : []),
    ])
    for (let i = 0; i < ways.length; i++) if (ways[(choice + i) % ways.length]?.()) return true
    return false
  }
}

t.test(`stream management keeps its promises (seed ${seed})`, async t => {
  const script = fc.array(fc.tuple(fc.constantFrom(...steps), fc.nat(1_000)), { maxLength: 80 })
  let broken = 0
  fc.assert(
    fc.property(script, choices => {
      const world = new World()
      for (const [step, choice] of choices) world.take(step, choice)
      world.finish()
      const { client, server, wanted, answers } = world
      const messages = (got: readonly string[]) => got.filter(each => each.startsWith('message'))
      const errors = (got: readonly string[]) => got.filter(each => each.includes(' error '))
      const same = (a: readonly string[], b: readonly string[]) => JSON.stringify(a) === JSON.stringify(b)
      if (!same(messages(client.got), wanted.client))
        throw new Error(`client: ${messages(client.got)} instead of ${wanted.client}`)
      if (!same(messages(server.got), wanted.upstream))
        throw new Error(`server: ${messages(server.got)} instead of ${wanted.upstream}`)
      if (!same(errors(client.got).toSorted(), answers.client.toSorted()))
        throw new Error(`client's answers: ${errors(client.got)} instead of ${answers.client}`)
      if (!same(errors(server.got).toSorted(), answers.upstream.toSorted()))
        throw new Error(`server's answers: ${errors(server.got)} instead of ${answers.upstream}`)
      const approvals = client.got.filter(each => each.startsWith('presence subscribed'))
      if (!same(approvals, server.approvals)) throw new Error(`approvals: ${approvals} instead of ${server.approvals}`)
      if (client.left > 0 || server.left > 0)
        throw new Error(`${client.left} and ${server.left} are never acknowledged`)
      broken += choices.filter(([step]) => / cut| gone| restarts/.test(step)).length
    }),
    { seed, numRuns: 4_000 },
  )
  t.ok(broken > 1_000, `${broken} times the stream broke`)
})
