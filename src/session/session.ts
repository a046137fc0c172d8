/**
 * One client's stream and its upstream stream, as one state machine: an event goes in, effects come out. It knows no socket, no
 * clock and no wire; `relay.ts` does what it says. Here is who gets what; the way to a bound resource (the phases of `negotiation.ts`) is
 * in `opening.ts`, `login.ts` and `binding.ts`, what becomes of stanzas then in `bound.ts`, stream management in `managing.ts`, what is
 * said on the two streams and how they end in `streams.ts`.
 */
import { errorReply, type StanzaError } from '../stanza/error.ts'
import { compareDomain } from '../stanza/jid.ts'
import { isKind, type Stanza, stanzaOf } from '../stanza/stanza.ts'
import { rewriteFeatures } from '../stream/features.ts'
import type { Side, StreamItem } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import { type Element, element } from '../xml/element.ts'
import { Binding, pass } from './binding.ts'
import { type BoundOptions, BoundSession } from './bound.ts'
import type { Effect, SessionEvent } from './event.ts'
import { judgedReport } from './judgement-report.ts'
import type { ConnectFailure } from './labels.ts'
import { Login } from './login.ts'
import { earlyIqOf, isHeld, nonzaOf, type Phase } from './negotiation.ts'
import { NegotiationTimers, type Times, type Turn } from './negotiation-timers.ts'
import { type Destination, Opening } from './opening.ts'
import type { BoundOutput, ResumableSession } from './resumable-session.ts'
import { isStreamManagement } from './stanza-counts.ts'
import { type Progress, StreamManagement } from './stream-management.ts'
import { conditionOf, Streams } from './streams.ts'

export interface SessionOptions extends BoundOptions {
  /** STARTTLS is offered and required before anything else; otherwise the transport is as private as it gets. */
  readonly starttls: boolean
  /** Bytes of one element that a client may send before it has authenticated, and after. */
  readonly maxBytes: { readonly beforeLogin: number; readonly client: number }
  readonly times: Times
  /** Failed logins of one stream; the last of them ends it (RFC 6120 section 6.4.5 has 2 to 5 retries). */
  readonly loginFailures: number
  /** The account has as many sessions as it may have; bare JID. */
  isCrowded(account: string): boolean
  destinationOf(domain: string): Destination | undefined
  /** A stream id that cannot be guessed (RFC 6120 section 4.7.3). */
  newStreamId(): string
}

/** Milliseconds that a peer has to close its side, and to take what waits for it. */
const untilClosed = 5_000
/** Namespaces in which a server has nothing to say to a client of the gate. */
const wireOnly: ReadonlySet<string> = new Set([ns.framing, ns.tls, ns.compress])

export class Session {
  /** The time of the next `deadline` event that is wanted, in milliseconds; `undefined`: none. */
  deadline: number | undefined
  /** The metrics' label of the route, once it is known. */
  route: string | undefined

  private readonly options: SessionOptions
  private readonly streams: Streams
  private readonly output: BoundOutput
  private readonly streamManagement: StreamManagement
  private readonly opening: Opening
  private readonly login: Login
  private readonly binding: Binding
  private readonly at: Progress = { phase: 'opening', domain: '', upstream: '', bound: undefined }
  private readonly timers: NegotiationTimers
  private closeWithin = untilClosed
  constructor(options: SessionOptions, now: number) {
    this.options = options
    this.timers = new NegotiationTimers(options.times, now)
    this.deadline = this.timers.until('header', now)
    this.streams = new Streams(() => ({
      from: this.route === undefined ? '' : this.at.domain,
      id: options.newStreamId(),
    }))
    const { streams, at } = this
    this.streamManagement = new StreamManagement({
      streams,
      at,
      begin: bound => this.begin(bound),
      answer: nonza => this.answer(nonza),
    })
    this.opening = new Opening(
      {
        streams,
        at,
        destinationOf: domain => options.destinationOf(domain),
        chosen: destination => this.chosen(destination),
        blame: reason => this.blame(reason),
      },
      options.starttls,
    )
    this.binding = new Binding({
      streams,
      at,
      isCrowded: account => options.isCrowded(account),
      bind: jid => this.bind(jid),
    })
    this.login = new Login({
      streams,
      at,
      streamManagement: this.streamManagement,
      failuresAtMost: options.loginFailures,
      fills: () => this.timers.fills(),
      restart: () => this.opening.restart(),
      mayBind: jid => this.binding.may(jid),
      bind: jid => this.bind(jid),
    })
    this.output = {
      send: (to, whole) => streams.sendElement(to, whole),
      report: report => streams.report(report),
      tell: news => this.out({ effect: 'tell-account', account: this.at.bound?.bare ?? '', news }),
      fail: (condition, cause, text) => this.fail(condition, cause, text),
      langOf: side => this.opening.langOf(side),
    }
  }

  /** The client may not be read at present: the server has the word. */
  get holding(): boolean {
    if (!this.streams.isOpen) return false
    // A new header is answered by the server's before anything else is said.
    const isAnswerDue =
      this.at.phase === 'authenticated' && !this.opening.headerDue && !this.streams.isSpeakingTo('client')
    return isAnswerDue || isHeld(this.at.phase)
  }

  get closing(): boolean {
    return this.streams.isClosing
  }

  get over(): boolean {
    return this.streams.isClosed
  }

  /** The name of the upstream, once one was chosen. */
  get upstream(): string | undefined {
    return this.at.upstream === '' ? undefined : this.at.upstream
  }

  /** How far it has come; `closing` from the first word of its end. */
  get phase(): Phase | 'closing' {
    return this.streams.isOpen ? this.at.phase : 'closing'
  }

  /** The full JID of the resource, once one was bound. */
  get boundTo(): string | undefined {
    return this.at.bound?.jid
  }

  receive(event: SessionEvent, now: number): Effect[] {
    this.streams.out = []
    const wasOpen = this.streams.isOpen
    this.on(event)
    if (wasOpen && !this.streams.isOpen) this.streamManagement.ended()
    if (this.over) this.deadline = undefined
    else if (this.closing)
      this.deadline = Math.min(wasOpen ? Infinity : (this.deadline ?? Infinity), now + this.closeWithin)
    else this.deadline = this.at.phase === 'bound' ? undefined : this.timers.until(this.turn, now)
    return this.streams.out
  }

  private chosen({ route, actsForOthers = false }: Destination): void {
    this.route = route
    this.login.actsForOthers = actsForOthers
  }

  private get turn(): Turn {
    const { isSecuring, featuresDue, headerDue } = this.opening
    if (isSecuring) return 'tls'
    if (isHeld(this.at.phase) || featuresDue) return 'server'
    return headerDue ? 'header' : 'client'
  }

  private on(event: SessionEvent): void {
    switch (event.event) {
      case 'connected':
        this.streams.connected()
        return this.streams.isOpen ? this.opening.sayHeader() : undefined
      case 'refused':
        return this.blame(event.reason)
      case 'secured':
        return this.opening.securedBy(event.side)
      case 'item':
        return event.from === 'client' ? this.onClientItem(event.item) : this.onUpstreamItem(event.item)
      case 'closed':
        return this.onClosed(event.side)
      case 'account-joined':
        return this.at.bound?.joined(event.snapshot, this.output)
      case 'account-news':
        return this.at.bound?.told(event.news, this.output)
      case 'resumable-found':
        return this.streamManagement.fetched(event.found)
      case 'superseded':
        return this.streamManagement.superseded()
      case 'stop':
        this.closeWithin = event.within
        return this.fail('system-shutdown', 'shutdown')
      case 'shed':
        return this.fail('resource-constraint', 'overload', 'the gate is short of memory')
      case 'late':
        return this.fail('connection-timeout', 'timeout', 'an element was begun and not ended')
      case 'stalled':
        return this.onStalled(event.side)
      case 'deadline':
        return this.onDeadline()
    }
  }

  // The client's side.

  private onClientItem(item: StreamItem): void {
    if (this.closing && item.item === 'close') return this.streams.end('client')
    if (!this.streams.isOpen) return
    switch (item.item) {
      case 'open':
        return this.opening.client(item.header)
      case 'element':
        if (this.opening.headerDue) return this.fail('bad-format', 'client-error', 'a stream begins with its header')
        return this.onClientElement(item.element)
      case 'whitespace':
        // Keepalives; before the stream is bound there is nobody to keep awake, and during SASL none is allowed.
        return this.at.phase === 'bound' ? this.streams.send('upstream', item) : undefined
      case 'close':
        return this.streams.close('client')
      case 'error':
        return this.fail(item.condition, 'client-error', item.text)
    }
  }

  private onClientElement(received: Element): void {
    const stanza = stanzaOf(received)
    if (stanza !== undefined) return this.onClientStanza(stanza)
    switch (nonzaOf(received)) {
      case 'starttls':
        return this.opening.starttls()
      case 'sasl':
        return this.login.ask(received)
      case 'compress':
        return this.answer(element('failure', ns.compress, {}, [element('unsupported-method', ns.compress)]))
      case 'stream-management':
        return this.streamManagement.client(received)
      case 'stream-error':
        this.streams.report({ report: 'stream-error', side: 'client', by: 'peer', condition: conditionOf(received) })
        return this.streams.close('client')
      case 'misplaced':
        return this.fail('unsupported-stanza-type', 'client-error')
      case 'extension':
        if (this.at.phase === 'securing') return this.fail('not-authorized', 'client-error')
        return this.streams.sendElement('upstream', received)
    }
  }

  /** An answer of the gate's own to a nonza; without one the nonza is left out. */
  private answer(nonza: Element | undefined): void {
    this.streams.report({ report: 'nonza', from: 'client', verdict: nonza === undefined ? 'drop' : 'reject' })
    if (nonza !== undefined) this.streams.sendElement('client', nonza)
  }

  private onClientStanza(stanza: Stanza): void {
    const iq = this.at.phase === 'bound' && stanza.kind !== 'iq' ? 'other' : earlyIqOf(stanza)
    if (this.at.bound !== undefined) {
      const { output } = this
      const { bound } = this.at
      return iq === 'bind'
        ? bound.refuse(stanza, { condition: 'unexpected-request' }, output)
        : bound.stanza('client', stanza, output)
    }
    if (this.at.phase === 'negotiating' && iq === 'registration' && this.isToServer(stanza)) {
      this.timers.fills()
      return pass(this.streams, 'client', stanza)
    }
    if (this.at.phase === 'negotiating' && iq === 'legacy-auth')
      return this.refuse(stanza, { condition: 'service-unavailable' })
    if (this.at.phase === 'authenticated' && iq === 'bind' && this.isToServer(stanza)) return this.binding.ask(stanza)
    // RFC 6120 section 4.3.5.
    this.streams.report(judgedReport('client', stanza, 'close', [], undefined))
    this.fail('not-authorized', 'client-error')
  }

  private isToServer({ to }: Stanza): boolean {
    return to === undefined || compareDomain(to, this.at.domain) !== 'different'
  }

  private refuse(stanza: Stanza, error: StanzaError): void {
    this.streams.report(judgedReport('client', stanza, 'reject', [], undefined))
    const answer = errorReply(stanza, error, { by: this.at.domain })
    if (answer !== undefined) this.streams.sendElement('client', answer)
  }

  // The upstream's side.

  private onUpstreamItem(item: StreamItem): void {
    if (this.over) return
    if (this.closing) {
      if (item.item === 'close') this.streams.end('upstream')
      // What the server still says between the client's end tag and its own reaches the client.
      else if (item.item === 'element' && this.streams.isSpeakingTo('client') && this.at.bound !== undefined)
        this.onUpstreamElement(item.element)
      return
    }
    switch (item.item) {
      case 'open':
        return this.opening.upstream(item.header)
      case 'element':
        return this.onUpstreamElement(item.element)
      case 'whitespace':
        return this.at.phase === 'bound' ? this.streams.send('client', item) : undefined
      case 'close':
        return this.streamManagement.blames() ? undefined : this.streams.close('upstream')
      case 'error':
        return this.fail('internal-server-error', 'upstream-error', "the server's stream cannot be read")
    }
  }

  private onUpstreamElement(received: Element): void {
    if (received.ns === ns.stream && received.name === 'error') return this.onUpstreamError(received)
    if (this.opening.upstreamPlain) return this.opening.upstreamStarttls(received)
    if (!this.streams.isSpeakingTo('client')) return this.fail('internal-server-error', 'upstream-error')
    const stanza = stanzaOf(received)
    if (stanza !== undefined)
      return this.at.bound === undefined
        ? this.binding.answer(stanza)
        : this.at.bound.stanza('upstream', stanza, this.output)
    if (received.ns === ns.stream && received.name === 'features') {
      this.opening.featuresDue = false
      return this.streams.sendElement(
        'client',
        rewriteFeatures(received, this.maxBytes, this.at.phase !== 'negotiating'),
      )
    }
    if (received.ns === ns.sasl || received.ns === ns.sasl2) return this.login.answer(received)
    if (isStreamManagement(received)) return this.streamManagement.upstream(received)
    // RFC 6120 section 4.8.3: what looks like a stanza in another namespace is none, and a client might take it for one. What belongs
    // to the client's wire (RFC 7395), to TLS or to compression is between the gate and the client: `<close see-other-uri/>` leads round it.
    if (isKind(received.name) || wireOnly.has(received.ns))
      return this.streams.report({ report: 'nonza', from: 'upstream', verdict: 'drop' })
    this.streams.sendElement('client', received)
  }

  /** Bytes of one element that the client may send at present. */
  private get maxBytes(): number {
    const { beforeLogin, client } = this.options.maxBytes
    return this.at.phase === 'negotiating' ? beforeLogin : client
  }

  private onUpstreamError(received: Element): void {
    const condition = conditionOf(received)
    this.streams.report({ report: 'stream-error', side: 'upstream', by: 'peer', condition })
    if (this.opening.upstreamPlain || !this.streams.isSpeakingTo('client'))
      return this.fail('internal-server-error', 'upstream-error')
    if (this.streamManagement.blames()) return
    // The other address would lead the client round the gate.
    if (condition === 'see-other-host') return this.fail('reset', 'upstream-error')
    this.streams.sendElement('client', received)
    this.streams.close('upstream', 'upstream-error')
  }

  /** The upstream was not reached, or is not what it has to be. RFC 6120 section 4.9.3.8 keeps another condition for servers of others. */
  private blame(reason: ConnectFailure): void {
    this.streams.report({ report: 'connect-failed', upstream: this.at.upstream, reason })
    this.fail('internal-server-error', 'connect-failed', 'the server cannot be reached')
  }

  // A bound resource.

  /** The server alone says who the client is (RFC 6120 section 4.3.6). */
  private bind(jid: string): void {
    this.begin(new BoundSession(this.options, this.at.domain, jid))
  }

  private begin(bound: ResumableSession): void {
    this.at.bound = bound
    this.at.phase = 'bound'
    this.deadline = undefined
    this.streams.report({ report: 'session-opened', jid: bound.jid })
    this.out({ effect: 'settle' })
    this.out({ effect: 'join-account', account: bound.bare })
  }

  // Ends.

  private onClosed(side: Side): void {
    const { streams } = this
    if (!streams.hasTransport(side)) return
    if (side === 'client' && this.opening.isSecuring) this.streams.failedAt('tls', 'handshake')
    // An upstream that goes before it has said anything was not reached: by TLS, when it had no word after `<proceed/>`.
    const isUnreached = side === 'upstream' && this.at.phase === 'connecting' && streams.isOpen
    const reason = streams.isSpeakingTo('upstream') ? 'lost' : 'tls'
    const wasOpen = streams.isOpen
    if (isUnreached) streams.cause ??= 'connect-failed'
    streams.lost(side)
    if (isUnreached) return this.blame(reason)
    if (wasOpen && streams.isOpen) this.onLost(side)
    if (streams.isClosed && this.at.bound !== undefined)
      streams.report({ report: 'session-closed', jid: this.at.bound.jid, cause: streams.cause ?? `${side}-lost` })
  }

  private onLost(side: Side): void {
    if (side === 'client' || this.streamManagement.isResumable) return this.streams.cut(`${side}-lost`)
    if (this.streamManagement.blames()) return
    this.fail('internal-server-error', 'upstream-lost', 'the connection to the server was lost')
  }

  private onDeadline(): void {
    this.deadline = undefined
    if (!this.streams.isOpen) return this.streams.abort()
    // In the middle of a handshake nothing can be said.
    if (this.opening.isSecuring) {
      this.streams.cut('timeout')
      return this.streams.abort()
    }
    if (this.timers.late === 'client')
      return this.fail('connection-timeout', 'timeout', 'the stream was not negotiated in time')
    this.fail('internal-server-error', 'upstream-silent', 'the server does not answer')
  }

  /** A peer takes nothing of what waits for it, and may not be waited for. */
  private onStalled(side: Side): void {
    const { streams } = this
    if (side === 'client' || this.streamManagement.isResumable)
      streams.cut(side === 'client' ? 'slow-client' : 'slow-upstream')
    else this.fail('internal-server-error', 'slow-upstream', 'the server does not take what is sent to it')
    this.out({ effect: 'abort', side })
  }

  private fail(...reason: Parameters<Streams['fail']>): void {
    this.streams.fail(...reason)
  }

  private out(effect: Effect): void {
    this.streams.out.push(effect)
  }
}
