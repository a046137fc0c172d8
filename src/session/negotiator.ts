/**
 * The way of a session to a bound resource: stream headers and STARTTLS, SASL, binding or resumption. It alone knows the phase
 * (`negotiation.ts`) and what comes next. Its parts (`opening.ts`, `login.ts`, `binding.ts`, `stream-management.ts`) are told what they
 * need, and say what they found.
 */
import { detachedString } from '../stanza/detached-string.ts'
import { errorReply, type StanzaError } from '../stanza/error.ts'
import { bareOf, compareDomain, foldBare } from '../stanza/jid.ts'
import type { Stanza } from '../stanza/stanza.ts'
import { offersPreApproval, rewriteFeatures } from '../stream/features.ts'
import type { Header, Side } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import type { Element } from '../xml/element.ts'
import { Binding, pass } from './binding.ts'
import { type BoundOptions, BoundSession } from './bound.ts'
import { judgedReport } from './judgement-report.ts'
import type { ConnectFailure } from './labels.ts'
import { Login } from './login.ts'
import { boundInlineOf, earlyIqOf, isHeld, type Phase } from './negotiation.ts'
import type { NegotiationTimers, Turn } from './negotiation-timers.ts'
import { type Destination, Opening } from './opening.ts'
import type { ResumableSession } from './resumable-session.ts'
import { type Progress, type Resumed, StreamManagement } from './stream-management.ts'
import type { Streams } from './streams.ts'

export interface NegotiatorOptions extends BoundOptions {
  /** STARTTLS is offered and required before anything else; otherwise the connection has TLS or needs none. */
  readonly starttls: boolean
  /** Bytes of one element that a client may send before it has authenticated, and after. */
  readonly maxBytes: { readonly beforeLogin: number; readonly client: number }
  /** Failed logins of one stream; the last of them ends it (RFC 6120 section 6.4.5 has 2 to 5 retries). */
  readonly loginFailures: number
  /** The account has as many sessions as it may have; bare JID. */
  isCrowded(account: string): boolean
  destinationOf(domain: string): Destination | undefined
}

export class Negotiator implements Progress {
  phase: Phase = 'opening'
  /** As the client has spelled it; empty as long as it has named none. */
  domain = ''
  /** The name of the upstream; empty as long as none was chosen. */
  upstream = ''
  bound: ResumableSession | undefined
  /** The metrics' label of the route, once it is known. */
  route: string | undefined
  readonly opening: Opening
  readonly streamManagement: StreamManagement
  /** Whether the server offers pre-approval on this stream (RFC 6121 section 3.4). `undefined`: it has not said what it offers after the login. */
  private offersPreApproval: boolean | undefined
  /** The upstream expects STARTTLS. */
  private startsPlain = false
  private readonly options: NegotiatorOptions
  private readonly streams: Streams
  private readonly timers: NegotiationTimers
  private readonly login: Login
  private readonly binding: Binding

  constructor(options: NegotiatorOptions, streams: Streams, timers: NegotiationTimers) {
    this.options = options
    this.streams = streams
    this.timers = timers
    this.opening = new Opening(streams, options.starttls)
    this.login = new Login(streams, options.loginFailures)
    this.binding = new Binding(streams, account => options.isCrowded(account))
    this.streamManagement = new StreamManagement(streams)
  }

  /** The server is to answer before the client is read on. */
  get isAnswerDue(): boolean {
    // The server's header answers the client's before anything else.
    const isHeaderDue =
      this.phase === 'authenticated' && !this.opening.headerDue && !this.streams.isSpeakingTo('client')
    return isHeaderDue || isHeld(this.phase)
  }

  /** What is waited for. */
  get turn(): Turn {
    const { isSecuring, featuresDue, headerDue } = this.opening
    if (isSecuring) return 'tls'
    if (isHeld(this.phase) || featuresDue) return 'server'
    return headerDue ? 'header' : 'client'
  }

  // Stream headers and STARTTLS.

  clientHeader(header: Header): void {
    const opened = this.opening.client(header, this.domain, domain => this.options.destinationOf(domain))
    const { destination } = opened
    if (destination !== undefined) {
      this.domain = header.get('to') ?? ''
      this.route = destination.route
      this.login.actsForOthers = destination.actsForOthers ?? false
    }
    switch (opened.opened) {
      case 'wrong':
        return this.streams.fail(opened.error, 'client-error', opened.text)
      case 'refused': {
        const { refusal } = opened
        if ('host' in refusal) return this.streams.redirect(refusal.host)
        return this.streams.fail('host-gone', 'not-served', refusal.text)
      }
      case 'plain':
        this.phase = 'securing'
        return this.opening.offerStarttls()
      case 'again':
        return this.opening.sayHeader(this.domain)
      case 'first': {
        const { upstream, starttls } = opened.destination
        this.upstream = upstream
        this.startsPlain = starttls
        this.opening.upstreamPlain = starttls
        this.phase = 'connecting'
        const from = header.get('from')
        const account = from === undefined ? undefined : foldBare(bareOf(from))
        this.streams.out.push({ effect: 'connect', upstream, domain: this.domain, account })
      }
    }
  }

  /** The client asks for TLS. */
  starttls(): void {
    this.opening.starttls(this.phase === 'securing')
  }

  /** TLS was negotiated on this side. */
  secured(side: Side): void {
    if (side === 'upstream') return this.opening.sayHeader(this.domain)
    this.opening.clientSecured()
    this.phase = 'opening'
  }

  /** The connection to the upstream stands. */
  connected(): void {
    this.opening.sayHeader(this.domain)
  }

  /** The same, to another server of the upstream: what was negotiated with the one before does not count. */
  reconnected(): void {
    this.opening.upstreamPlain = this.startsPlain
    this.streams.beginAnew('upstream')
    this.opening.sayHeader(this.domain)
  }

  upstreamHeader(header: Header): void {
    const failure = this.opening.upstream(header)
    if (failure === undefined && !this.opening.upstreamPlain && this.phase === 'connecting') this.phase = 'negotiating'
    this.unreached(failure)
  }

  /**
   * The upstream was not reached, or cannot be used for the reason given; `undefined`: nothing is wrong. (RFC 6120 section
   * 4.9.3.8 has another condition, for servers of other domains.)
   */
  unreached(reason: ConnectFailure | undefined): void {
    if (reason === undefined) return
    this.streams.report({ report: 'connect-failed', upstream: this.upstream, reason })
    this.streams.fail('internal-server-error', 'connect-failed', 'the server cannot be reached')
  }

  /** The server's features, as the client is to get them. */
  features(received: Element): void {
    this.opening.featuresDue = false
    if (this.phase !== 'negotiating') {
      this.offersPreApproval = offersPreApproval(received)
      // With bind 2 they come when the resource is bound already (XEP-0386).
      if (this.bound !== undefined) this.bound.offersPreApproval = this.offersPreApproval
    }
    const features = rewriteFeatures(received, this.maxBytes, this.phase !== 'negotiating')
    this.streams.sendElement('client', features)
  }

  /** Bytes of one element that the client may send at present. */
  private get maxBytes(): number {
    const { beforeLogin, client } = this.options.maxBytes
    return this.phase === 'negotiating' ? beforeLogin : client
  }

  // SASL.

  loginRequest(request: Element): void {
    const { login, streams } = this
    if (this.phase !== 'negotiating') return this.streams.fail('not-authorized', 'client-error')
    const fault = login.faultOf(request, this.domain)
    if (fault !== undefined) {
      const step = login.refuse(request, fault)
      if (step === 'asked') this.phase = 'authenticating'
      else this.loginFailed(step)
      return
    }
    if (this.streamManagement.asksInline(request, this)) {
      this.phase = 'resuming'
      return
    }
    this.phase = 'authenticating'
    streams.sendElement('upstream', request)
  }

  loginAnswer(received: Element): void {
    const { login, streams } = this
    // An answer without a request.
    if (this.phase !== 'authenticating') return streams.report({ report: 'nonza', from: 'upstream', verdict: 'drop' })
    const answer = login.answer(received)
    this.phase = answer === 'success' ? 'authenticated' : 'negotiating'
    switch (answer) {
      case 'success':
        return received.ns === ns.sasl2 ? this.successInline(received) : this.success(received)
      case 'task':
        return this.timers.fills()
      case 'features-changed':
        return this.streamManagement.refused()
      case 'failed':
      case 'too-often':
        return this.loginFailed(answer)
    }
  }

  private success(success: Element): void {
    this.streams.sendElement('client', success)
    this.streams.out.push({ effect: 'authenticated' })
    this.opening.restart()
  }

  /** XEP-0386: the success holds the bound JID; XEP-0198: or a resumption. */
  private successInline(received: Element): void {
    const success = this.streamManagement.success(received)
    if (success === 'done') return
    if ('session' in success) return this.resume(success)
    const jid = boundInlineOf(received)
    if (jid !== undefined && !this.binding.may(jid, this.domain)) return
    this.streams.sendElement('client', success)
    this.streams.out.push({ effect: 'authenticated' })
    if (jid === undefined) return
    this.bind(jid)
    this.streamManagement.boundInline(received, this)
  }

  private loginFailed(step: 'failed' | 'too-often'): void {
    this.streamManagement.refused()
    if (step === 'too-often') this.streams.fail('policy-violation', 'client-error', 'too many attempts to authenticate')
  }

  // Binding and resumption.

  /** A stanza of the client's before a resource is bound. */
  earlyStanza(stanza: Stanza): void {
    const iq = earlyIqOf(stanza)
    const isNegotiating = this.phase === 'negotiating'
    if (isNegotiating && iq === 'registration' && this.isToServer(stanza)) {
      this.timers.fills()
      return pass(this.streams, 'client', stanza)
    }
    if (isNegotiating && iq === 'legacy-auth') return this.refuse(stanza, { condition: 'service-unavailable' })
    if (this.phase === 'authenticated' && iq === 'bind' && this.isToServer(stanza)) {
      if (this.binding.ask(stanza)) this.phase = 'binding'
      return
    }
    // RFC 6120 section 4.3.5.
    this.streams.report(judgedReport('client', stanza, 'close', [], undefined))
    this.streams.fail('not-authorized', 'client-error')
  }

  bindingAnswer(stanza: Stanza): void {
    const answer = this.binding.answer(stanza, this.phase === 'binding', this.domain)
    if (answer.answer === 'bound') this.bind(answer.jid)
    if (answer.answer === 'refused') this.phase = 'authenticated'
  }

  /** An element of stream management from the client. */
  clientManagement(received: Element): void {
    if (this.streamManagement.client(received, this) === 'resumption') this.phase = 'resuming'
  }

  upstreamManagement(received: Element): void {
    const step = this.streamManagement.upstream(received, this)
    if (step === 'resumption-failed') this.phase = 'authenticated'
    else if (step !== 'done') this.resume(step)
  }

  resumableFound(found: ResumableSession | undefined): void {
    const next = this.streamManagement.found(found)
    if (next !== undefined) this.phase = next
  }

  /** The server alone says who the client is (RFC 6120 section 4.3.6). */
  private bind(jid: string): void {
    this.begin(new BoundSession(this.options, this.domain, detachedString(jid)))
  }

  /** The session of an earlier stream goes on here (XEP-0198 section 5). */
  private resume({ session, owed }: Resumed): void {
    this.begin(session)
    for (const side of ['client', 'upstream'] as const)
      for (const whole of owed[side]) this.streams.sendElement(side, whole)
  }

  private begin(bound: ResumableSession): void {
    this.bound = bound
    // After an inline resumption there are none (XEP-0198): the session knows what its first stream has shown.
    bound.offersPreApproval = this.offersPreApproval ?? bound.offersPreApproval
    this.phase = 'bound'
    this.streams.report({ report: 'session-opened', jid: bound.jid })
    this.streams.out.push({ effect: 'negotiated' })
    this.streams.out.push({ effect: 'join-account', account: bound.bare })
  }

  private isToServer({ to }: Stanza): boolean {
    return to === undefined || compareDomain(to, this.domain) !== 'different'
  }

  private refuse(stanza: Stanza, error: StanzaError): void {
    this.streams.report(judgedReport('client', stanza, 'reject', [], undefined))
    const answer = errorReply(stanza, error, { by: this.domain })
    if (answer !== undefined) this.streams.sendElement('client', answer)
  }
}
