/**
 * One client's stream and its upstream stream, as one state machine: an event goes in, effects come out. It knows no socket, no
 * clock and no wire; `relay.ts` does what it says.
 *
 * The session alone knows the phase (`negotiation.ts`) and what comes next. Its parts are told what they need, and say what they found:
 * headers and STARTTLS (`opening.ts`), SASL (`login.ts`), the resource (`binding.ts`), stream management (`stream-management.ts`), stanzas of a bound
 * resource (`bound.ts`). What is sent and how the streams end is in `streams.ts`.
 */

import { copied } from '../stanza/copied.ts'
import { errorReply, type StanzaError } from '../stanza/error.ts'
import { compareDomain } from '../stanza/jid.ts'
import { isKind, type Stanza, stanzaOf } from '../stanza/stanza.ts'
import { rewriteFeatures } from '../stream/features.ts'
import type { Header, Side, StreamItem } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import { type Element, element } from '../xml/element.ts'
import { Binding, pass } from './binding.ts'
import { type BoundOptions, BoundSession } from './bound.ts'
import type { Effect, SessionEvent } from './event.ts'
import { judgedReport } from './judgement-report.ts'
import type { ConnectFailure } from './labels.ts'
import { Login } from './login.ts'
import { boundInlineOf, earlyIqOf, isHeld, nonzaOf, type Phase } from './negotiation.ts'
import { NegotiationTimers, type Times, type Turn } from './negotiation-timers.ts'
import { type Destination, Opening } from './opening.ts'
import type { ResumableSession } from './resumable-session.ts'
import { isStreamManagement } from './stanza-counts.ts'
import { type Progress, type Resumed, StreamManagement } from './stream-management.ts'
import { conditionOf, Streams } from './streams.ts'

export interface SessionOptions extends BoundOptions {
  /** STARTTLS is offered and required before anything else; otherwise the connection has TLS or needs none. */
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
/** Namespaces that belong to the client's own connection, in which a server cannot say anything to the gate's client. */
const wireOnly: ReadonlySet<string> = new Set([ns.framing, ns.tls, ns.compress])

export class Session {
  /** The time of the next `deadline` event that is wanted, in milliseconds; `undefined`: none. */
  deadline: number | undefined
  /** The metrics' label of the route, once it is known. */
  route: string | undefined

  private phaseNow: Phase = 'opening'
  /** As the client has spelled it; empty as long as it has named none. */
  private domain = ''
  private upstreamName = ''
  private bound: ResumableSession | undefined
  private readonly options: SessionOptions
  private readonly streams: Streams
  private readonly opening: Opening
  private readonly login: Login
  private readonly binding: Binding
  private readonly streamManagement: StreamManagement
  private readonly timers: NegotiationTimers
  private closeWithin = untilClosed

  constructor(options: SessionOptions, now: number) {
    const { starttls, loginFailures, times } = options
    this.options = options
    this.timers = new NegotiationTimers(times, now)
    this.deadline = this.timers.until('header', now)
    this.streams = new Streams(() => ({ from: this.route === undefined ? '' : this.domain, id: options.newStreamId() }))
    this.opening = new Opening(this.streams, starttls)
    this.login = new Login(this.streams, loginFailures)
    this.binding = new Binding(this.streams, account => options.isCrowded(account))
    this.streamManagement = new StreamManagement(this.streams)
  }

  /** The client is not read at present: the server is to answer first. */
  get holding(): boolean {
    if (!this.streams.isOpen) return false
    // The server's header answers the client's before anything else.
    const isAnswerDue =
      this.phaseNow === 'authenticated' && !this.opening.headerDue && !this.streams.isSpeakingTo('client')
    return isAnswerDue || isHeld(this.phaseNow)
  }

  get closing(): boolean {
    return this.streams.isClosing
  }

  get over(): boolean {
    return this.streams.isClosed
  }

  /** The name of the upstream, once one was chosen. */
  get upstream(): string | undefined {
    return this.upstreamName === '' ? undefined : this.upstreamName
  }

  /** The phase; `closing` as soon as it ends. */
  get phase(): Phase | 'closing' {
    return this.streams.isOpen ? this.phaseNow : 'closing'
  }

  /** The full JID of the resource, once one was bound. */
  get boundTo(): string | undefined {
    return this.bound?.jid
  }

  receive(event: SessionEvent, now: number): Effect[] {
    this.streams.out = []
    const wasOpen = this.streams.isOpen
    this.on(event)
    if (wasOpen && !this.streams.isOpen) this.streamManagement.ended()
    if (this.over) this.deadline = undefined
    else if (this.closing)
      this.deadline = Math.min(wasOpen ? Infinity : (this.deadline ?? Infinity), now + this.closeWithin)
    else this.deadline = this.phaseNow === 'bound' ? undefined : this.timers.until(this.turn, now)
    return this.streams.out
  }

  private get progress(): Progress {
    return { phase: this.phaseNow, domain: this.domain, upstream: this.upstreamName, bound: this.bound }
  }

  private get turn(): Turn {
    const { isSecuring, featuresDue, headerDue } = this.opening
    if (isSecuring) return 'tls'
    if (isHeld(this.phaseNow) || featuresDue) return 'server'
    return headerDue ? 'header' : 'client'
  }

  private on(event: SessionEvent): void {
    switch (event.event) {
      case 'connected':
        this.streams.connected()
        return this.streams.isOpen ? this.opening.sayHeader(this.domain) : undefined
      case 'refused':
        return this.blame(event.reason)
      case 'secured':
        return this.onSecured(event.side)
      case 'item':
        return event.from === 'client' ? this.onClientItem(event.item) : this.onUpstreamItem(event.item)
      case 'closed':
        return this.onClosed(event.side)
      case 'account-joined':
        return this.bound?.joined(event.snapshot, this.streams)
      case 'account-news':
        return this.bound?.told(event.news, this.streams)
      case 'resumable-found':
        return this.onResumableFound(event.found)
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
        return this.onClientHeader(item.header)
      case 'element':
        if (this.opening.headerDue) return this.fail('bad-format', 'client-error', 'a stream begins with its header')
        return this.onClientElement(item.element)
      case 'whitespace':
        // Keepalives are passed on once a resource is bound; during SASL white space is not allowed.
        return this.phaseNow === 'bound' ? this.streams.send('upstream', item) : undefined
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
        return this.opening.starttls(this.phaseNow === 'securing')
      case 'sasl':
        return this.onLoginRequest(received)
      case 'compress':
        return this.streams.answer(element('failure', ns.compress, {}, [element('unsupported-method', ns.compress)]))
      case 'stream-management':
        if (this.streamManagement.client(received, this.progress) === 'resumption') this.phaseNow = 'resuming'
        return
      case 'stream-error':
        this.streams.report({ report: 'stream-error', side: 'client', by: 'peer', condition: conditionOf(received) })
        return this.streams.close('client')
      case 'misplaced':
        return this.fail('unsupported-stanza-type', 'client-error')
      case 'extension':
        if (this.phaseNow === 'securing') return this.fail('not-authorized', 'client-error')
        return this.streams.sendElement('upstream', received)
    }
  }

  private onClientStanza(stanza: Stanza): void {
    const { bound, streams } = this
    if (bound === undefined) return this.onEarlyStanza(stanza)
    if (stanza.kind === 'iq' && earlyIqOf(stanza) === 'bind')
      return bound.refuse(stanza, { condition: 'unexpected-request' }, streams)
    bound.stanza('client', stanza, this.opening.langOf('client'), streams)
  }

  /** A stanza of the client's before a resource is bound. */
  private onEarlyStanza(stanza: Stanza): void {
    const iq = earlyIqOf(stanza)
    const isNegotiating = this.phaseNow === 'negotiating'
    if (isNegotiating && iq === 'registration' && this.isToServer(stanza)) {
      this.timers.fills()
      return pass(this.streams, 'client', stanza)
    }
    if (isNegotiating && iq === 'legacy-auth') return this.refuse(stanza, { condition: 'service-unavailable' })
    if (this.phaseNow === 'authenticated' && iq === 'bind' && this.isToServer(stanza)) {
      if (this.binding.ask(stanza)) this.phaseNow = 'binding'
      return
    }
    // RFC 6120 section 4.3.5.
    this.streams.report(judgedReport('client', stanza, 'close', [], undefined))
    this.fail('not-authorized', 'client-error')
  }

  private onClientHeader(header: Header): void {
    const opened = this.opening.client(header, this.domain, domain => this.options.destinationOf(domain))
    const { destination } = opened
    if (destination !== undefined) {
      this.domain = header.get('to') ?? ''
      this.route = destination.route
      this.login.actsForOthers = destination.actsForOthers ?? false
    }
    switch (opened.opened) {
      case 'wrong':
        return this.fail(opened.error, 'client-error', opened.text)
      case 'plain':
        this.phaseNow = 'securing'
        return this.opening.offerStarttls()
      case 'again':
        return this.opening.sayHeader(this.domain)
      case 'first': {
        const { upstream, starttls } = opened.destination
        this.upstreamName = upstream
        this.opening.upstreamPlain = starttls
        this.phaseNow = 'connecting'
        return this.out({ effect: 'connect', upstream, domain: this.domain })
      }
    }
  }

  private onSecured(side: Side): void {
    if (side === 'upstream') return this.opening.sayHeader(this.domain)
    this.opening.clientSecured()
    this.phaseNow = 'opening'
  }

  private onLoginRequest(request: Element): void {
    const { login, streams } = this
    if (this.phaseNow !== 'negotiating') return this.fail('not-authorized', 'client-error')
    const fault = login.faultOf(request, this.domain)
    if (fault !== undefined) {
      const step = login.refuse(request, fault)
      if (step === 'asked') this.phaseNow = 'authenticating'
      else this.onLoginFailed(step)
      return
    }
    if (this.streamManagement.asksInline(request, this.progress)) {
      this.phaseNow = 'resuming'
      return
    }
    this.phaseNow = 'authenticating'
    streams.sendElement('upstream', request)
  }

  private onLoginFailed(step: 'failed' | 'too-often'): void {
    this.streamManagement.refused()
    if (step === 'too-often') this.fail('policy-violation', 'client-error', 'too many attempts to authenticate')
  }

  private isToServer({ to }: Stanza): boolean {
    return to === undefined || compareDomain(to, this.domain) !== 'different'
  }

  private refuse(stanza: Stanza, error: StanzaError): void {
    this.streams.report(judgedReport('client', stanza, 'reject', [], undefined))
    const answer = errorReply(stanza, error, { by: this.domain })
    if (answer !== undefined) this.streams.sendElement('client', answer)
  }

  // The upstream's side.

  private onUpstreamItem(item: StreamItem): void {
    if (this.over) return
    if (this.closing) {
      if (item.item === 'close') this.streams.end('upstream')
      // Stanzas that the server sends between the client's end tag and its own reach the client.
      else if (item.item === 'element' && this.streams.isSpeakingTo('client') && this.bound !== undefined)
        this.onUpstreamElement(item.element)
      return
    }
    switch (item.item) {
      case 'open':
        return this.onUpstreamHeader(item.header)
      case 'element':
        return this.onUpstreamElement(item.element)
      case 'whitespace':
        return this.phaseNow === 'bound' ? this.streams.send('client', item) : undefined
      case 'close':
        return this.streamManagement.blames() ? undefined : this.streams.close('upstream')
      case 'error':
        return this.fail('internal-server-error', 'upstream-error', "the server's stream cannot be read")
    }
  }

  private onUpstreamElement(received: Element): void {
    if (received.ns === ns.stream && received.name === 'error') return this.onUpstreamError(received)
    if (this.opening.upstreamPlain) return this.blame(this.opening.upstreamStarttls(received))
    if (!this.streams.isSpeakingTo('client')) return this.fail('internal-server-error', 'upstream-error')
    const stanza = stanzaOf(received)
    if (stanza !== undefined)
      return this.bound === undefined
        ? this.onBindingAnswer(stanza)
        : this.bound.stanza('upstream', stanza, this.opening.langOf('upstream'), this.streams)
    if (received.ns === ns.stream && received.name === 'features') {
      this.opening.featuresDue = false
      return this.streams.sendElement(
        'client',
        rewriteFeatures(received, this.maxBytes, this.phaseNow !== 'negotiating'),
      )
    }
    if (received.ns === ns.sasl || received.ns === ns.sasl2) return this.onLoginAnswer(received)
    if (isStreamManagement(received)) return this.onUpstreamManagement(received)
    // RFC 6120 section 4.8.3: an element with a stanza's name in another namespace is no stanza, but a client might take it for
    // one. Elements of the client's connection (RFC 7395), TLS and compression are the gate's: `<close see-other-uri/>` would
    // lead the client past it.
    if (isKind(received.name) || wireOnly.has(received.ns))
      return this.streams.report({ report: 'nonza', from: 'upstream', verdict: 'drop' })
    this.streams.sendElement('client', received)
  }

  private onUpstreamHeader(header: Header): void {
    const failure = this.opening.upstream(header)
    if (failure === undefined && !this.opening.upstreamPlain && this.phaseNow === 'connecting')
      this.phaseNow = 'negotiating'
    this.blame(failure)
  }

  private onLoginAnswer(received: Element): void {
    const { login, streams } = this
    // An answer without a request.
    if (this.phaseNow !== 'authenticating')
      return streams.report({ report: 'nonza', from: 'upstream', verdict: 'drop' })
    const answer = login.answer(received)
    this.phaseNow = answer === 'success' ? 'authenticated' : 'negotiating'
    switch (answer) {
      case 'success':
        return received.ns === ns.sasl2 ? this.onSuccessInline(received) : this.onSuccess(received)
      case 'task':
        return this.timers.fills()
      case 'features-changed':
        return this.streamManagement.refused()
      case 'failed':
      case 'too-often':
        return this.onLoginFailed(answer)
    }
  }

  private onSuccess(success: Element): void {
    this.streams.sendElement('client', success)
    this.out({ effect: 'admit' })
    this.opening.restart()
  }

  /** XEP-0386: the success holds the bound JID; XEP-0198: or a resumption. */
  private onSuccessInline(received: Element): void {
    const success = this.streamManagement.success(received)
    if (success === 'done') return
    if ('session' in success) return this.resume(success)
    const jid = boundInlineOf(received)
    if (jid !== undefined && !this.binding.may(jid, this.domain)) return
    this.streams.sendElement('client', success)
    this.out({ effect: 'admit' })
    if (jid === undefined) return
    this.bind(jid)
    this.streamManagement.boundInline(received, this.progress)
  }

  private onBindingAnswer(stanza: Stanza): void {
    const answer = this.binding.answer(stanza, this.phaseNow === 'binding', this.domain)
    if (answer.answer === 'bound') this.bind(answer.jid)
    if (answer.answer === 'refused') this.phaseNow = 'authenticated'
  }

  private onUpstreamManagement(received: Element): void {
    const step = this.streamManagement.upstream(received, this.progress)
    if (step === 'resumption-failed') this.phaseNow = 'authenticated'
    else if (step !== 'done') this.resume(step)
  }

  private onResumableFound(found: ResumableSession | undefined): void {
    const next = this.streamManagement.found(found)
    if (next !== undefined) this.phaseNow = next
  }

  /** Bytes of one element that the client may send at present. */
  private get maxBytes(): number {
    const { beforeLogin, client } = this.options.maxBytes
    return this.phaseNow === 'negotiating' ? beforeLogin : client
  }

  private onUpstreamError(received: Element): void {
    const condition = conditionOf(received)
    this.streams.report({ report: 'stream-error', side: 'upstream', by: 'peer', condition })
    if (this.opening.upstreamPlain || !this.streams.isSpeakingTo('client'))
      return this.fail('internal-server-error', 'upstream-error')
    if (this.streamManagement.blames()) return
    // The other address would lead the client past the gate.
    if (condition === 'see-other-host') return this.fail('reset', 'upstream-error')
    this.streams.sendElement('client', received)
    this.streams.close('upstream', 'upstream-error')
  }

  /**
   * The upstream was not reached, or cannot be used for the reason given; `undefined`: nothing is wrong. (RFC 6120 section
   * 4.9.3.8 has another condition, for servers of other domains.)
   */
  private blame(reason: ConnectFailure | undefined): void {
    if (reason === undefined) return
    this.streams.report({ report: 'connect-failed', upstream: this.upstreamName, reason })
    this.fail('internal-server-error', 'connect-failed', 'the server cannot be reached')
  }

  // A bound resource.

  /** The server alone says who the client is (RFC 6120 section 4.3.6). */
  private bind(jid: string): void {
    this.begin(new BoundSession(this.options, this.domain, copied(jid)))
  }

  /** The session of an earlier stream goes on here (XEP-0198 section 5). */
  private resume({ session, owed }: Resumed): void {
    this.begin(session)
    for (const side of ['client', 'upstream'] as const)
      for (const whole of owed[side]) this.streams.sendElement(side, whole)
  }

  private begin(bound: ResumableSession): void {
    this.bound = bound
    this.phaseNow = 'bound'
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
    // A connection that the upstream closes before its header counts as not reached: because of TLS if it was to send its first
    // header behind `<proceed/>`.
    const isUnreached = side === 'upstream' && this.phaseNow === 'connecting' && streams.isOpen
    const reason = streams.isSpeakingTo('upstream') ? 'lost' : 'tls'
    const wasOpen = streams.isOpen
    if (isUnreached) streams.cause ??= 'connect-failed'
    streams.lost(side)
    if (isUnreached) return this.blame(reason)
    if (wasOpen && streams.isOpen) this.onLost(side)
    if (streams.isClosed && this.bound !== undefined)
      streams.report({ report: 'session-closed', jid: this.bound.jid, cause: streams.cause ?? `${side}-lost` })
  }

  private onLost(side: Side): void {
    if (side === 'client' || this.streamManagement.isResumable) return this.streams.cut(`${side}-lost`)
    if (this.streamManagement.blames()) return
    this.fail('internal-server-error', 'upstream-lost', 'the connection to the server was lost')
  }

  private onDeadline(): void {
    this.deadline = undefined
    if (!this.streams.isOpen) return this.streams.abort()
    // Nothing can be sent in the middle of a handshake.
    if (this.opening.isSecuring) {
      this.streams.cut('timeout')
      return this.streams.abort()
    }
    if (this.timers.late === 'client')
      return this.fail('connection-timeout', 'timeout', 'the stream was not negotiated in time')
    this.fail('internal-server-error', 'upstream-silent', 'the server does not answer')
  }

  /** A peer takes nothing of what waits for it, and its time is over. */
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
