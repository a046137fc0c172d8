/**
 * Whole sessions, from bytes to effects, as the relay runs them (transport/relay.ts), without sockets and clock. Promised to each side:
 * one header and then elements and then one end tag, nothing after it, and all of it readable; no stanza to the server before a
 * resource is bound but those that bind or register one; nobody else's name on a stanza; no effect once all is over, and that it is
 * over once both transports are gone; everything that was opened is reported closed.
 */

import { Accounts } from '../../../src/account/accounts.ts'
import { defaultLimits } from '../../../src/config/limits.ts'
import { activeRules } from '../../../src/rules/all-rules.ts'
import type { Effect, SessionEvent } from '../../../src/session/event.ts'
import type { Report } from '../../../src/session/report.ts'
import { ResumableSessions } from '../../../src/session/resumable-sessions.ts'
import { Session } from '../../../src/session/session.ts'
import { bareOf } from '../../../src/stanza/jid.ts'
import { type Framing, makeFraming } from '../../../src/stream/framing.ts'
import type { Side, StreamItem } from '../../../src/stream/item.ts'
import { clientLimits, strangerLimits, upstreamLimits } from '../../../src/stream/limits.ts'
import { ns } from '../../../src/stream/namespaces.ts'
import { elements } from '../../../src/xml/element.ts'
import { Listener } from './listener.ts'
import { type Step, stepsOf } from './script.ts'
import { scripts, tokens } from './seeds.ts'
import { promise, type Target } from './target.ts'

export const session: Target = {
  seeds: scripts,
  tokens,
  run(input) {
    const steps = stepsOf(input)
    const whole = new Gate(Number.MAX_SAFE_INTEGER)
    whole.run(steps)
    const pieces = new Gate(1 + (input.length % 9))
    pieces.run(steps)
    promise(whole.said === pieces.said, () => `in pieces: ${pieces.said}\nwhole: ${whole.said}`)
    return whole.features
  },
}

/** What the connections of one gate share, and everything that they bring about. */
class Gate {
  readonly accounts = new Accounts<Connection>(10)
  readonly resumptions = new ResumableSessions<Connection>(10)
  /** By whom, what: the words of the events and the effects, each with the one before it. */
  readonly features = new Set<string>()
  said = ''
  private readonly connections: Connection[] = []
  private readonly pieceSize: number

  constructor(pieceSize: number) {
    this.pieceSize = pieceSize
  }

  run(steps: readonly Step[]): void {
    for (const step of steps) {
      if (step.step === 'begin') this.connections.push(new Connection(this, step))
      else this.connections.at(-1)?.take(step, this.pieceSize)
    }
    for (const connection of this.connections) connection.end()
  }

  note(cause: string, words: readonly string[]): void {
    for (const word of words) {
      this.features.add(`${cause}: ${word}`)
      this.said += `${word}\n`
    }
  }
}

class Connection {
  private readonly gate: Gate
  private readonly session: Session
  private readonly framings: Readonly<Record<Side, Framing>>
  private readonly listeners: Readonly<Record<Side, Listener>>
  /** What comes from these sides is TLS's. */
  private readonly securing = new Set<Side>()
  private readonly transports: Record<Side, 'none' | 'dialling' | 'open' | 'gone'> = {
    client: 'open',
    upstream: 'none',
  }
  private readonly opened = { 'stream-opened': 0, 'stream-closed': 0, 'session-opened': 0, 'session-closed': 0 }
  private readonly once = new Set<string>()
  private account: string | undefined
  private word = ''

  constructor(gate: Gate, { wire, starttls, upstreamStarttls }: Extract<Step, { step: 'begin' }>) {
    this.gate = gate
    let ids = 0
    this.session = new Session(
      {
        starttls,
        rules: activeRules({ default: 'enforce', modes: new Map() }),
        trustedDomains: new Set(),
        maxBytes: { beforeLogin: strangerLimits.bytes, client: clientLimits.bytes },
        times: defaultLimits.times,
        loginFailures: defaultLimits.loginFailures,
        isCrowded: () => false,
        newStreamId: () => `gate-${++ids}`,
        destinationOf: domain =>
          domain === 'im.example' ? { route: '*', upstream: 'main', starttls: upstreamStarttls } : undefined,
      },
      0,
    )
    this.framings = {
      client: makeFraming(wire, 'client', strangerLimits),
      upstream: makeFraming('tcp', 'upstream', upstreamLimits),
    }
    this.listeners = { client: new Listener(wire), upstream: new Listener('tcp') }
  }

  take(step: Exclude<Step, { step: 'begin' }>, pieceSize: number): void {
    if (step.step === 'bytes') return this.hear(step.from, step.bytes, pieceSize)
    const event = this.eventOf(step.step)
    if (event !== undefined) this.receive(event)
  }

  /** Both transports go; then it is over. */
  end(): void {
    for (const side of ['upstream', 'client'] as const) this.close(side)
    promise(this.session.over, () => 'both transports are gone, and it is not over')
    promise(this.session.deadline === undefined, () => 'over, and a deadline is wanted')
    promise(
      this.opened['stream-closed'] === this.opened['stream-opened'] + 1,
      () => `streams: ${JSON.stringify(this.opened)}`,
    )
    promise(
      this.opened['session-closed'] === this.opened['session-opened'],
      () => `sessions: ${JSON.stringify(this.opened)}`,
    )
  }

  private close(side: Side): void {
    if (this.transports[side] !== 'open') return
    this.transports[side] = 'gone'
    this.receive({ event: 'closed', side })
  }

  /** Only what can happen: TLS is done when it was begun, a transport closes once. */
  private eventOf(step: Exclude<Step['step'], 'begin' | 'bytes'>): SessionEvent | undefined {
    const [event, side] = step.split(' ') as [Exclude<SessionEvent['event'], 'item'>, Side]
    switch (event) {
      case 'connected':
      case 'refused':
        if (this.transports.upstream !== 'dialling') return undefined
        this.transports.upstream = event === 'connected' ? 'open' : 'gone'
        return event === 'connected' ? { event } : { event, reason: 'refused' }
      case 'secured':
        return this.securing.delete(side) && this.transports[side] === 'open' ? { event, side } : undefined
      case 'closed':
        this.close(side)
        return undefined
      case 'stalled':
        return this.transports[side] === 'open' ? { event, side } : undefined
      case 'deadline':
        return this.session.deadline === undefined ? undefined : { event }
      case 'late':
        return this.session.over ? undefined : { event }
      case 'stop':
        return this.session.over ? undefined : { event, within: 5_000 }
      default:
        return undefined
    }
  }

  private hear(side: Side, bytes: Buffer, pieceSize: number): void {
    const size = side === 'client' && this.listeners.client.wire === 'websocket' ? bytes.length : pieceSize
    for (let at = 0; at < bytes.length && this.hears(side); at += size) {
      this.framings[side].push(bytes.subarray(at, at + size))
      this.read(side)
    }
    if (side === 'upstream') this.read('client')
  }

  private hears(side: Side): boolean {
    return this.transports[side] === 'open' && !this.securing.has(side)
  }

  private read(side: Side): void {
    while (this.hears(side) && !(side === 'client' && this.session.holding)) {
      const item = this.framings[side].next()
      if (item === undefined) return
      this.receive({ event: 'item', from: side, item })
    }
  }

  receive(event: SessionEvent): void {
    const wasOver = this.session.over
    const effects = this.session.receive(event, 0)
    promise(!wasOver || effects.length === 0, () => `after the end: ${effects.map(wordOf)}`)
    const cause = causeOf(event)
    this.gate.note(
      `${this.word} ${cause}`,
      effects.map(wordOf).filter(word => word !== ''),
    )
    this.word = cause
    for (const effect of effects) this.perform(effect)
    if (event.event === 'connected' || event.event === 'secured') this.read('client')
    if (this.session.over) this.finish()
  }

  private finish(): void {
    if (this.transports.upstream === 'dialling') this.transports.upstream = 'gone'
    this.gate.resumptions.withdraw(this)
    const { account } = this
    this.account = undefined
    if (account !== undefined) this.spread(this.gate.accounts.detach(this))
  }

  private spread({ tell, reports }: ReturnType<Accounts<Connection>['tell']>): void {
    this.gate.note(
      'account',
      reports.map(report => JSON.stringify(report)),
    )
    for (const [connection, news] of tell) connection.receive({ event: 'account-news', news })
  }

  private perform(effect: Effect): void {
    switch (effect.effect) {
      case 'send':
        return this.send(effect.to, effect.item)
      case 'report':
        return this.report(effect.report)
      case 'connect':
        this.only('connect')
        this.transports.upstream = 'dialling'
        return
      case 'restart':
        this.listeners[effect.side].restart()
        return this.framings[effect.side].restart()
      case 'secure':
        this.framings[effect.side].takeRest()
        this.framings[effect.side].restart()
        this.listeners[effect.side].restart()
        this.securing.add(effect.side)
        return
      case 'authenticated':
        this.only('authenticated')
        return this.framings.client.limit(clientLimits)
      case 'negotiated':
        this.only('negotiated')
        for (const side of ['client', 'upstream'] as const) this.framings[side].readInBulk()
        return
      case 'join-account':
        this.only('recall')
        this.account = effect.account
        return this.receive({ event: 'account-joined', snapshot: this.gate.accounts.attach(effect.account, this) })
      case 'offer-resumption':
        return this.gate.resumptions.offer(effect.key, effect.bound, this, effect.resumableFor)
      case 'find-resumable':
        return this.receive({ event: 'resumable-found', found: this.gate.resumptions.find(effect.key, 0) })
      case 'take-over':
        return this.gate.resumptions.takeOver(effect.key, this)?.receive({ event: 'superseded' })
      case 'suspend':
        return void this.gate.resumptions.suspend(this, 0)
      case 'withdraw-resumption':
        return this.gate.resumptions.withdraw(this)
      case 'tell-account':
        return this.spread(this.gate.accounts.tell(this, effect.news))
      case 'close':
      case 'abort':
        promise(
          this.transports[effect.side] === 'open',
          () => `${effect.effect} of a transport that is ${this.transports[effect.side]}`,
        )
    }
  }

  private only(effect: string): void {
    promise(!this.once.has(effect), () => `a second ${effect}`)
    this.once.add(effect)
  }

  private send(to: Side, item: StreamItem): void {
    promise(this.transports[to] === 'open', () => `${item.item} to a transport that is ${this.transports[to]}`)
    promise(!this.securing.has(to), () => `${item.item} to the ${to} while TLS is negotiated`)
    this.listeners[to].hear(item, this.framings[to].write(item))
    if (to === 'upstream' && item.item === 'element') this.checkStanza(item)
  }

  private checkStanza({ element }: Extract<StreamItem, { item: 'element' }>): void {
    if (element.ns !== ns.client) return
    if (!this.once.has('negotiated')) {
      const payloads = elements(element).map(payload => payload.ns)
      const isEarly = element.name === 'iq' && payloads.some(each => each === ns.bind || each === ns.register)
      promise(isEarly, () => `<${element.name}/> to the server before a resource is bound: ${payloads}`)
    }
    const from = element.attrs.get('from')
    const own = this.session.boundTo
    if (from === undefined) return
    promise(own !== undefined && bareOf(from) === bareOf(own), () => `from ${from} in the name of ${own}`)
  }

  private report(report: Report): void {
    if (report.report in this.opened) this.opened[report.report as keyof typeof this.opened]++
  }
}

function causeOf(event: SessionEvent): string {
  if (event.event !== 'item') return event.event
  const { item, from } = event
  return `${from} ${item.item === 'element' ? `${item.element.name} ${item.element.attrs.get('type') ?? ''}` : item.item}`
}

/** White space is left out: how much there was in one read is nobody's affair. */
function wordOf(effect: Effect): string {
  switch (effect.effect) {
    case 'send': {
      const { item, to } = effect
      if (item.item === 'whitespace') return ''
      if (item.item === 'error') return `${to} error ${item.condition}`
      return `${to} ${item.item === 'element' ? `${item.element.name} ${item.element.attrs.get('type') ?? ''}` : item.item}`
    }
    case 'report': {
      const { report } = effect
      if (report.report === 'judged')
        return `judged ${report.verdict} ${report.said.map(each => `${each.rule} ${each.verdict}`)}`
      return Object.values(report).map(String).join(' ')
    }
    default:
      return Object.values(effect)
        .filter(value => typeof value === 'string')
        .join(' ')
  }
}
