/**
 * Playbooks: a conversation through a session in plain words, without a network. Read aloud it is the test's own explanation.
 *
 *   client: <presence/>                     the client sends this (on TCP as bytes of its stream, on WebSocket as one message)
 *   upstream: <presence from='...'/>        the server sends this
 *   connected | refused timeout | secured client | closed upstream | deadline | late | stalled client | stop
 *                                           what else can happen to a session
 *   -> upstream: <presence/>                the session wants exactly this written
 *   -> client ~ type="subscribed"           ... or something that holds this
 *   -> judged drop by presence-type         a report; `would drop` when the rule only observes
 *   -> tell asked nurse@im.example          any other effect, in its own words
 *   # a remark
 *
 * Every effect must be said: one that is left out fails, as does one that does not come. A TCP script is played three times, its
 * bytes whole, in sevens and one by one, and must have the same outcome each time. Stanzas stand here as on TCP: the namespaces
 * of its header are not said, in a WebSocket message they are put in and taken out. In a list of scripts each is a session of its own
 * on one gate, begun when the one before it has been played; it ends there only if its script says so.
 */
import type { Test } from 'tap'
import { Accounts } from '../src/account/accounts.ts'
import type { AccountNews } from '../src/account/news.ts'
import { Quarantine, type RequestLimits } from '../src/account/quarantine.ts'
import { StrangerPolicy, type StrangerSettings } from '../src/account/stranger-policy.ts'
import { defaultLimits } from '../src/config/limits.ts'
import { activeRules } from '../src/rules/all-rules.ts'
import type { ForeignFrom, Mode, Unverified } from '../src/rules/mode.ts'
import type { Effect, SessionEvent } from '../src/session/event.ts'
import type { ConnectFailure } from '../src/session/labels.ts'
import type { Report } from '../src/session/report.ts'
import { ResumableSessions } from '../src/session/resumable-sessions.ts'
import { Session, type SessionOptions } from '../src/session/session.ts'
import { foldDomain } from '../src/stanza/jid.ts'
import { type Framing, makeFraming, type Wire, wires } from '../src/stream/framing.ts'
import type { Side } from '../src/stream/item.ts'
import { clientLimits, strangerLimits, upstreamLimits } from '../src/stream/limits.ts'

export { wires }

export interface Stage {
  readonly starttls?: boolean
  readonly upstreamStarttls?: boolean
  readonly modes?: Readonly<Record<string, Mode>>
  readonly trustedDomains?: readonly string[]
  readonly foreignFrom?: ForeignFrom
  readonly unverified?: Unverified
  /** What becomes of requests of strangers. */
  readonly pendingRequests?: RequestLimits & StrangerSettings
  /** Requests that an account may make. */
  readonly requests?: number
  /** Subscriptions granted unasked that an account may take back. */
  readonly compensations?: number
  /** The account has as many sessions as it may have. */
  readonly crowded?: boolean
  /** What is told for counting alone is said too; default: it goes unsaid. */
  readonly counting?: boolean
}

const cuts: Readonly<Record<Wire, readonly number[]>> = { tcp: [Infinity, 7, 1], websocket: [Infinity] }

export function play(t: Test, wire: Wire, script: string | readonly string[], stage: Stage = {}): void {
  for (const size of cuts[wire]) {
    const accounts = new Accounts<Theatre>(10)
    const resumptions = new ResumableSessions<Theatre>(10)
    const { pendingRequests } = stage
    const quarantine = pendingRequests && new Quarantine(pendingRequests, () => 0)
    const theatres: Theatre[] = []
    for (const one of typeof script === 'string' ? [script] : script) {
      const theatre = new Theatre(wire, stage, size, accounts, resumptions, quarantine)
      theatres.push(theatre)
      const lines = one.split('\n').map(line => line.trim())
      for (const [i, line] of lines.entries()) {
        if (line === '' || line.startsWith('#')) continue
        const wrong = theatre.take(line)
        if (wrong === undefined) continue
        t.fail(`line ${i + 1} (cut ${size}): ${line}`, { wrong, script: lines.slice(Math.max(0, i - 4), i + 3) })
        return
      }
    }
    const left = theatres.flatMap(theatre => theatre.left())
    if (left.length > 0) return void t.fail(`unsaid at the end (cut ${size})`, { left })
  }
  t.pass('played')
}

class Theatre {
  private readonly session: Session
  private readonly framings: Record<Side, Framing>
  private readonly said: string[] = []
  private readonly wire: Wire
  private readonly size: number
  private readonly counting: boolean
  private readonly accounts: Accounts<Theatre>
  private readonly resumptions: ResumableSessions<Theatre>
  /** What comes from these sides is TLS's. */
  private readonly securing = new Set<Side>()
  private now = 0
  private account: string | undefined

  constructor(
    wire: Wire,
    stage: Stage,
    size: number,
    accounts: Accounts<Theatre>,
    resumptions: ResumableSessions<Theatre>,
    quarantine: Quarantine | undefined,
  ) {
    this.wire = wire
    this.size = size
    this.counting = stage.counting ?? false
    this.accounts = accounts
    this.resumptions = resumptions
    this.session = new Session(optionsOf(stage, quarantine), this.now)
    this.framings = {
      client: makeFraming(wire, 'client', strangerLimits),
      upstream: makeFraming('tcp', 'upstream', upstreamLimits),
    }
  }

  /** What is wrong with this line, or `undefined`. */
  take(line: string): string | undefined {
    const expected = /^-> (.*)$/.exec(line)?.[1]
    if (expected !== undefined) return this.expect(expected)
    const left = this.left()
    if (left.length > 0) return `unsaid before it: ${left.join(' | ')}`
    const spoken = /^(client|upstream): (.*)$/.exec(line)
    if (spoken === null) this.receive(eventOf(line))
    else this.speak(spoken[1] as Side, spoken[2] as string)
    return undefined
  }

  left(): readonly string[] {
    return this.said
  }

  private expect(expected: string): string | undefined {
    const got = this.said.shift()
    if (got === undefined) return 'nothing more came'
    const part = /^(client|upstream) ~ (.*)$/.exec(expected)
    const good = part === null ? got === expected : got.startsWith(`${part[1]}: `) && got.includes(part[2] as string)
    return good ? undefined : `came: ${got}`
  }

  private speak(side: Side, line: string): void {
    const text = side === 'client' && this.wire === 'websocket' ? standing(line) : line
    const bytes = Buffer.from(text.replaceAll('\\n', '\n'))
    for (let from = 0; from < bytes.length && !this.securing.has(side); from += this.size) {
      this.framings[side].push(bytes.subarray(from, Math.min(from + this.size, bytes.length)))
      this.read(side)
      if (this.size === Infinity) break
    }
    if (side === 'upstream') this.read('client')
  }

  private read(side: Side): void {
    while (!this.securing.has(side) && !(side === 'client' && this.session.holding)) {
      const item = this.framings[side].next()
      if (item === undefined) return
      this.receive({ event: 'item', from: side, item })
    }
  }

  private receive(event: SessionEvent): void {
    if (event.event === 'secured') this.securing.delete(event.side)
    if (event.event === 'deadline') this.now = this.session.deadline ?? this.now
    for (const effect of this.session.receive(event, this.now)) this.perform(effect)
    if (event.event === 'connected' || event.event === 'secured') this.read('client')
    if (this.session.over && this.account !== undefined) this.spread(this.accounts.detach(this))
  }

  private spread({ tell, reports }: ReturnType<Accounts<Theatre>['tell']>): void {
    for (const report of reports) this.tells(report)
    for (const [theatre, news] of tell) theatre.receive({ event: 'account-news', news })
  }

  private tells(report: Report): void {
    if (this.counting || !counts.has(report.report)) this.said.push(reportLine(report))
  }

  private perform(effect: Effect): void {
    switch (effect.effect) {
      case 'send': {
        const text = doubleQuoted(this.framings[effect.to].write(effect.item))
        const line = effect.to === 'client' && this.wire === 'websocket' ? text.replace(declared, '$1') : text
        if (line !== '') this.said.push(`${effect.to}: ${line === ' ' ? '(white space)' : line}`)
        return
      }
      case 'report':
        return this.tells(effect.report)
      case 'restart':
        this.framings[effect.side].restart()
        this.said.push(`restart ${effect.side}`)
        return
      case 'secure':
        this.framings[effect.side].takeRest()
        this.framings[effect.side].restart()
        this.securing.add(effect.side)
        this.said.push(`secure ${effect.side}`)
        return
      case 'authenticated':
        this.framings.client.limit(clientLimits)
        this.said.push('authenticated')
        return
      case 'negotiated':
        for (const side of ['client', 'upstream'] as const) this.framings[side].readInBulk()
        this.said.push('negotiated')
        return
      case 'close':
      case 'abort':
        this.said.push(`${effect.effect} ${effect.side}`)
        return
      case 'connect':
        this.said.push(`connect ${effect.upstream} for ${effect.domain}`)
        return
      case 'join-account':
        this.account = effect.account
        this.said.push(`recall ${effect.account}`)
        this.receive({ event: 'account-joined', snapshot: this.accounts.attach(effect.account, this) })
        return
      case 'offer-resumption':
        this.resumptions.offer(effect.key, effect.bound, this, effect.resumableFor)
        this.said.push(`keep for ${effect.resumableFor}`)
        return
      case 'find-resumable':
        this.said.push('fetch')
        this.receive({ event: 'resumable-found', found: this.resumptions.find(effect.key, this.now) })
        return
      case 'take-over':
        this.said.push('take')
        return this.resumptions.takeOver(effect.key, this)?.receive({ event: 'superseded' })
      case 'suspend':
        this.resumptions.suspend(this, this.now)
        this.said.push('lose')
        return
      case 'withdraw-resumption':
        this.resumptions.withdraw(this)
        this.said.push('leave')
        return
      case 'tell-account': {
        if (this.counting || effect.news.news !== 'subscription') this.said.push(newsLine(effect.news))
        this.spread(this.accounts.tell(this, effect.news))
      }
    }
  }
}

/** Reports that only count what other lines show. */
const counts: ReadonlySet<Report['report']> = new Set([
  'decided',
  'subscription',
  'negotiation-failed',
  'stranger-request',
])

const declared = /^(<(?:message|presence|iq|stream:\w+)) xmlns(?:="jabber:client"|:stream="[^"]*")/

/** A stanza without a namespace of its own, as it stands in a message. */
function standing(line: string): string {
  return /^<(message|presence|iq)\b(?![^>]*\sxmlns=)/.test(line)
    ? line.replace(/^<\w+/, "$& xmlns='jabber:client'")
    : line
}

function optionsOf(stage: Stage, quarantine: Quarantine | undefined): SessionOptions {
  let ids = 0
  let taken = 0
  let asked = 0
  const left = stage.compensations ?? 0
  return {
    starttls: stage.starttls ?? false,
    rules: activeRules({ default: 'enforce', modes: new Map(Object.entries(stage.modes ?? {})) }),
    trustedDomains: new Set(stage.trustedDomains ?? []),
    foreignFrom: stage.foreignFrom ?? 'override',
    unverified: stage.unverified ?? 'pass',
    maxBytes: { beforeLogin: strangerLimits.bytes, client: clientLimits.bytes },
    times: defaultLimits.times,
    loginFailures: defaultLimits.loginFailures,
    isCrowded: () => stage.crowded ?? false,
    ...(stage.requests !== undefined && { mayRequest: () => asked++ < (stage.requests ?? 0) }),
    ...(stage.compensations !== undefined && { mayCompensate: () => taken++ < left }),
    quarantine,
    strangers: stage.pendingRequests && new StrangerPolicy(stage.pendingRequests, () => 0),
    newStreamId: () => `gate-${++ids}`,
    destinationOf: domain => {
      const route = foldDomain(domain)
      if (route !== 'im.example' && route !== 'second.example') return undefined
      return { route, upstream: 'main', starttls: stage.upstreamStarttls ?? false }
    },
  }
}

function eventOf(line: string): SessionEvent {
  const [word, rest = ''] = line.split(' ')
  switch (word) {
    case 'stop':
      return { event: 'stop', within: 5_000 }
    case 'connected':
    case 'shed':
    case 'late':
    case 'deadline':
    case 'superseded':
      return { event: word }
    case 'refused':
      return { event: 'refused', reason: rest as ConnectFailure }
    case 'secured':
    case 'stalled':
    case 'closed':
      return { event: word, side: rest as Side }
    default:
      throw new Error(`no line of a playbook: ${line}`)
  }
}

function newsLine(news: AccountNews): string {
  switch (news.news) {
    case 'asked':
    case 'gave-up':
      return `tell ${news.news} ${news.contact}`
    case 'subscription':
      return `tell ${news.direction} ${news.type} ${news.contact}`
    case 'unasked-grant':
      return `tell unasked-grant ${news.contact} ${news.isUndone ? 'undone' : 'left'}`
    case 'push':
      return `tell push ${news.item.jid}`
    default:
      return `tell ${news.news}`
  }
}

function reportLine(report: Report): string {
  switch (report.report) {
    case 'judged': {
      const deciding =
        report.said.find(each => each.mode !== 'observe' && each.verdict !== 'forward') ??
        report.said.find(each => each.mode === 'observe') ??
        report.said.at(-1)
      const would = deciding?.mode === 'observe' ? 'would ' : ''
      return `judged ${would}${deciding?.verdict ?? report.verdict} by ${deciding?.rule ?? 'none'}`
    }
    case 'transition': {
      const word = (state: typeof report.before) =>
        state === undefined ? '-' : `${state.subscription}${state.ask ? '+ask' : ''}`
      return `transition ${word(report.before)} to ${word(report.after)}`
    }
    case 'stream-opened':
      return `stream-opened ${report.side}`
    case 'stream-closed':
      return `stream-closed ${report.side} ${report.cause}`
    case 'session-opened':
      return `session-opened ${report.jid}`
    case 'session-closed':
      return `session-closed ${report.jid} ${report.cause}`
    case 'connect-failed':
      return `connect-failed ${report.upstream} ${report.reason}`
    case 'stream-error':
      return `stream-error ${report.condition} ${report.by} ${report.side}`
    case 'nonza':
      return `nonza ${report.verdict} from ${report.from}`
    case 'resumption':
      return `resumption ${report.outcome}`
    case 'decided':
    case 'undecided':
      return `${report.report} ${report.type}`
    case 'subscription':
      return `subscription ${report.event}${report.seconds === undefined ? '' : ` after ${report.seconds}`}`
    case 'negotiation-failed':
      return `negotiation-failed ${report.stage} ${report.condition}`
    case 'request-failed':
      return `request-failed ${report.condition}`
    case 'roster-fetch':
      return `roster-fetch ${report.event}`
    case 'compensation':
      return `compensation ${report.outcome} ${report.contact}`
    case 'redelivery':
      return `redelivery ${report.type} ${report.outcome}`
    case 'request-released':
      return 'request-released'
    case 'request-denied':
      return `request-denied ${report.contact}`
    case 'headline':
      return 'headline'
    case 'stranger-request':
      return `stranger-request ${report.class} ${report.outcome}`
  }
}

/** A client's stream header, and the end of its stream; the latter also as the gate sends it to the client. */
export function header(wire: Wire, attributes = "to='im.example' version='1.0'"): string {
  return wire === 'tcp'
    ? `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' ${attributes}>`
    : `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' ${attributes}/>`
}

export function endTag(wire: Wire): string {
  return wire === 'tcp' ? '</stream:stream>' : '<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>'
}

export const clientHeader = header('tcp')

export function serverHeader(id: string): string {
  return `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='${id}' from='im.example' version='1.0' xml:lang='en'>`
}

/** A stream error of the gate's to the client and the end of both streams. `upstream`: what there is to end on that side. */
export function failed(wire: Wire, condition: string, upstream: 'speaking' | 'open' | 'none' = 'speaking'): string {
  return `
    -> stream-error ${condition} gate client
    -> client ~ <${condition} xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>
    -> client: ${endTag(wire)}
    ${upstream === 'speaking' ? '-> upstream: </stream:stream>' : ''}
    ${upstream === 'none' ? '' : '-> close upstream'}
    -> close client
  `
}

/** Both transports have gone. */
export function gone(cause: string): string {
  return `
    closed upstream
    -> stream-closed upstream ${cause}
    -> close client
    closed client
    -> stream-closed client ${cause}
  `
}

export const plain = `<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>`

/** From the first byte to the server's features. */
export function opened(wire: Wire, attributes?: string): string {
  return `
    client: ${header(wire, attributes)}
    -> connect main for im.example
    connected
    -> stream-opened upstream
    -> upstream ~ to="im.example"
    upstream: ${serverHeader('s1')}
    -> client ~ id="s1"
    upstream: <stream:features>${plain}</stream:features>
    -> client ~ <mechanism>PLAIN</mechanism>
  `
}

/** ... and with classic SASL to the features after it. */
export function authenticated(wire: Wire, attributes?: string): string {
  return `${opened(wire, attributes)}
    client: <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldABzZWNyZXQ=</auth>
    -> upstream ~ mechanism="PLAIN"
    upstream: <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
    -> client ~ <success
    -> authenticated
    -> restart client
    -> restart upstream
    client: ${header(wire, attributes)}
    -> upstream ~ to="im.example"
    upstream: ${serverHeader('s2')}
    -> client ~ id="s2"
    upstream: <stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>
    -> client ~ <bind
  `
}

/** ... to `romeo@im.example/orchard` bound. */
export function bound(wire: Wire, attributes?: string): string {
  return `${authenticated(wire, attributes)}
    client: <iq id='b1' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>
    -> judged forward by none
    -> upstream ~ id="b1"
    upstream: <iq id='b1' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>romeo@im.example/orchard</jid></bind></iq>
    -> judged forward by none
    -> client ~ <jid>romeo@im.example/orchard</jid>
    -> session-opened romeo@im.example/orchard
    -> negotiated
    -> recall romeo@im.example
  `
}

/** ... and with a roster that holds these items. */
export function boundWithRoster(wire: Wire, items = '', ver?: string): string {
  const version = ver === undefined ? '' : ` ver='${ver}'`
  return `${bound(wire)}
    client: <iq id='r1' type='get'><query xmlns='jabber:iq:roster'/></iq>
    -> judged forward by none
    -> upstream ~ id="r1"
    upstream: <iq id='r1' type='result' to='romeo@im.example/orchard'><query xmlns='jabber:iq:roster'${version}>${items}</query></iq>
    -> judged forward by none
    -> tell roster
    -> client ~ id="r1"
  `
}

/** Attributes between double quotes: what the gate passes on as it was read may have single ones. */
export function doubleQuoted(text: string): string {
  return text.replaceAll(/='([^'"<>]*)'(?=[^<>]*>)/g, '="$1"')
}
