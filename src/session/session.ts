/**
 * One client's stream and its upstream stream, as one state machine: an event goes in, effects come out. It knows no socket, no
 * clock and no wire; `relay.ts` does what it says.
 *
 * Here it is decided who gets what, and how the session ends. The way to a bound resource is in `negotiator.ts`, what becomes of stanzas then in
 * `bound.ts`, and what is sent in `streams.ts`.
 */
import { isKind, type Stanza, stanzaOf } from '../stanza/stanza.ts'
import type { Side, StreamItem } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import { type Element, element } from '../xml/element.ts'
import type { Effect, SessionEvent } from './event.ts'
import { earlyIqOf, nonzaOf, type Phase } from './negotiation.ts'
import { NegotiationTimers, type Times } from './negotiation-timers.ts'
import { Negotiator, type NegotiatorOptions } from './negotiator.ts'
import { isStreamManagement } from './stanza-counts.ts'
import { conditionOf, Streams } from './streams.ts'

export interface SessionOptions extends NegotiatorOptions {
  readonly times: Times
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

  private readonly streams: Streams
  private readonly timers: NegotiationTimers
  private readonly negotiator: Negotiator
  private closeWithin = untilClosed

  constructor(options: SessionOptions, now: number) {
    this.timers = new NegotiationTimers(options.times, now)
    this.deadline = this.timers.until('header', now)
    this.streams = new Streams(() => {
      const { route, domain } = this.negotiator
      return { from: route === undefined ? '' : domain, id: options.newStreamId() }
    })
    this.negotiator = new Negotiator(options, this.streams, this.timers)
  }

  /** The client is not read at present: the server is to answer first. */
  get holding(): boolean {
    return this.streams.isOpen && this.negotiator.isAnswerDue
  }

  /** A bound session whose streams may be lost without its end. */
  get isResumable(): boolean {
    return this.streams.isOpen && this.negotiator.phase === 'bound' && this.negotiator.streamManagement.isResumable
  }

  /** The metrics' label of the route, once it is known. */
  get route(): string | undefined {
    return this.negotiator.route
  }

  /** The client has seen nothing of the upstream yet. */
  get isReaching(): boolean {
    return this.streams.isOpen && this.negotiator.phase === 'connecting'
  }

  /** While the session `isReaching`: with this of the upstream's no stream comes about. */
  leadsNowhere(item: StreamItem): boolean {
    return this.isReaching && this.negotiator.opening.leadsNowhere(item)
  }

  get closing(): boolean {
    return this.streams.isClosing
  }

  get over(): boolean {
    return this.streams.isClosed
  }

  /** The name of the upstream, once one was chosen. */
  get upstream(): string | undefined {
    return this.negotiator.upstream === '' ? undefined : this.negotiator.upstream
  }

  /** The phase; `closing` as soon as it ends. */
  get phase(): Phase | 'closing' {
    return this.streams.isOpen ? this.negotiator.phase : 'closing'
  }

  /** As the client has spelled it; empty as long as it has named none. */
  get domain(): string {
    return this.negotiator.domain
  }

  /** The full JID of the resource, once one was bound. */
  get boundTo(): string | undefined {
    return this.negotiator.bound?.jid
  }

  receive(event: SessionEvent, now: number): Effect[] {
    this.streams.out = []
    const wasOpen = this.streams.isOpen
    this.on(event, now)
    if (wasOpen && !this.streams.isOpen) this.negotiator.streamManagement.ended()
    if (this.over) this.deadline = undefined
    else if (this.closing)
      this.deadline = Math.min(wasOpen ? Infinity : (this.deadline ?? Infinity), now + this.closeWithin)
    else if (this.negotiator.phase === 'bound') this.deadline = this.negotiator.bound?.until(now)
    else this.deadline = this.timers.until(this.negotiator.turn, now)
    return this.streams.out
  }

  private on(event: SessionEvent, now: number): void {
    switch (event.event) {
      case 'connected':
        this.streams.connected()
        return this.streams.isOpen ? this.negotiator.connected() : undefined
      case 'reconnected':
        return this.streams.isOpen ? this.negotiator.reconnected() : undefined
      case 'refused':
        return this.negotiator.unreached(event.reason)
      case 'secured':
        return this.negotiator.secured(event.side)
      case 'item':
        return event.from === 'client' ? this.onClientItem(event.item) : this.onUpstreamItem(event.item)
      case 'closed':
        return this.onClosed(event.side)
      case 'account-joined':
        return this.negotiator.bound?.joined(event.snapshot, this.streams)
      case 'account-news':
        return this.negotiator.bound?.told(event.news, this.streams)
      case 'resumable-found':
        return this.negotiator.resumableFound(event.found)
      case 'superseded':
        return this.negotiator.streamManagement.superseded()
      case 'stop':
        this.closeWithin = event.within
        return this.fail('system-shutdown', 'shutdown')
      case 'handed-over':
        return this.streams.isOpen ? this.streams.cut('handed-over') : undefined
      case 'shed':
        return this.fail('resource-constraint', 'overload', 'the gate is short of memory')
      case 'late':
        return this.fail('connection-timeout', 'timeout', 'an element was begun and not ended')
      case 'stalled':
        return this.onStalled(event.side)
      case 'deadline':
        return this.onDeadline(now)
    }
  }

  // The client's side.

  private onClientItem(item: StreamItem): void {
    if (this.closing && item.item === 'close') return this.streams.end('client')
    if (!this.streams.isOpen) return
    switch (item.item) {
      case 'open':
        return this.negotiator.clientHeader(item.header)
      case 'element':
        if (this.negotiator.opening.headerDue)
          return this.fail('bad-format', 'client-error', 'a stream begins with its header')
        return this.onClientElement(item.element)
      case 'whitespace':
        // Keepalives are passed on once a resource is bound; during SASL white space is not allowed.
        return this.negotiator.phase === 'bound' ? this.streams.send('upstream', item) : undefined
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
        return this.negotiator.starttls()
      case 'sasl':
        return this.negotiator.loginRequest(received)
      case 'compress':
        return this.streams.answer(element('failure', ns.compress, {}, [element('unsupported-method', ns.compress)]))
      case 'stream-management':
        return this.negotiator.clientManagement(received)
      case 'stream-error':
        this.streams.report({ report: 'stream-error', side: 'client', by: 'peer', condition: conditionOf(received) })
        return this.streams.close('client')
      case 'misplaced':
        return this.fail('unsupported-stanza-type', 'client-error')
      case 'extension':
        if (this.negotiator.phase === 'securing') return this.fail('not-authorized', 'client-error')
        return this.streams.sendElement('upstream', received)
    }
  }

  private onClientStanza(stanza: Stanza): void {
    const { streams, negotiator } = this
    const { bound } = negotiator
    if (bound === undefined) return this.negotiator.earlyStanza(stanza)
    if (stanza.kind === 'iq' && earlyIqOf(stanza) === 'bind')
      return bound.refuse(stanza, { condition: 'unexpected-request' }, streams)
    bound.stanza('client', stanza, this.negotiator.opening.langOf('client'), streams)
  }

  // The upstream's side.

  private onUpstreamItem(item: StreamItem): void {
    if (this.over) return
    if (this.closing) {
      if (item.item === 'close') this.streams.end('upstream')
      // Stanzas that the server sends between the client's end tag and its own reach the client.
      else if (item.item === 'element' && this.streams.isSpeakingTo('client') && this.negotiator.bound !== undefined)
        this.onUpstreamElement(item.element)
      return
    }
    switch (item.item) {
      case 'open':
        return this.negotiator.upstreamHeader(item.header)
      case 'element':
        return this.onUpstreamElement(item.element)
      case 'whitespace':
        return this.negotiator.phase === 'bound' ? this.streams.send('client', item) : undefined
      case 'close':
        return this.negotiator.streamManagement.blames() ? undefined : this.streams.close('upstream')
      case 'error':
        return this.fail('internal-server-error', 'upstream-error', "the server's stream cannot be read")
    }
  }

  private onUpstreamElement(received: Element): void {
    if (received.ns === ns.stream && received.name === 'error') return this.onUpstreamError(received)
    if (this.negotiator.opening.upstreamPlain)
      return this.negotiator.unreached(this.negotiator.opening.upstreamStarttls(received))
    if (!this.streams.isSpeakingTo('client')) return this.fail('internal-server-error', 'upstream-error')
    const stanza = stanzaOf(received)
    if (stanza !== undefined)
      return this.negotiator.bound === undefined
        ? this.negotiator.bindingAnswer(stanza)
        : this.negotiator.bound.stanza('upstream', stanza, this.negotiator.opening.langOf('upstream'), this.streams)
    if (received.ns === ns.stream && received.name === 'features') return this.negotiator.features(received)
    if (received.ns === ns.sasl || received.ns === ns.sasl2) return this.negotiator.loginAnswer(received)
    if (isStreamManagement(received)) return this.negotiator.upstreamManagement(received)
    // RFC 6120 section 4.8.3: an element with a stanza's name in another namespace is no stanza, but a client might take it for
    // one. Elements of the client's connection (RFC 7395), TLS and compression are the gate's: `<close see-other-uri/>` would
    // lead the client past it.
    if (isKind(received.name) || wireOnly.has(received.ns))
      return this.streams.report({ report: 'nonza', from: 'upstream', verdict: 'drop' })
    this.streams.sendElement('client', received)
  }

  private onUpstreamError(received: Element): void {
    const condition = conditionOf(received)
    this.streams.report({ report: 'stream-error', side: 'upstream', by: 'peer', condition })
    if (this.negotiator.opening.upstreamPlain || !this.streams.isSpeakingTo('client'))
      return this.fail('internal-server-error', 'upstream-error')
    if (this.negotiator.streamManagement.blames()) return
    // The other address would lead the client past the gate.
    if (condition === 'see-other-host') return this.fail('reset', 'upstream-error')
    this.streams.sendElement('client', received)
    this.streams.close('upstream', 'upstream-error')
  }

  // Ends.

  private onClosed(side: Side): void {
    const { streams } = this
    if (!streams.hasTransport(side)) return
    if (side === 'client' && this.negotiator.opening.isSecuring) this.streams.failedAt('tls', 'handshake')
    // A connection that the upstream closes before its header counts as not reached: because of TLS if it was to send its first
    // header behind `<proceed/>`.
    const isUnreached = side === 'upstream' && this.negotiator.phase === 'connecting' && streams.isOpen
    const reason = streams.isSpeakingTo('upstream') ? 'lost' : 'tls'
    const wasOpen = streams.isOpen
    if (isUnreached) streams.cause ??= 'connect-failed'
    streams.lost(side)
    if (isUnreached) return this.negotiator.unreached(reason)
    if (wasOpen && streams.isOpen) this.onLost(side)
    if (streams.isClosed && this.negotiator.bound !== undefined)
      streams.report({
        report: 'session-closed',
        jid: this.negotiator.bound.jid,
        cause: streams.cause ?? `${side}-lost`,
      })
  }

  private onLost(side: Side): void {
    if (side === 'client' || this.negotiator.streamManagement.isResumable) return this.streams.cut(`${side}-lost`)
    if (this.negotiator.streamManagement.blames()) return
    this.fail('internal-server-error', 'upstream-lost', 'the connection to the server was lost')
  }

  private onDeadline(now: number): void {
    this.deadline = undefined
    if (!this.streams.isOpen) return this.streams.abort()
    if (this.negotiator.phase === 'bound') return this.negotiator.bound?.late(now, this.streams)
    // Nothing can be sent in the middle of a handshake.
    if (this.negotiator.opening.isSecuring) {
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
    if (side === 'client' || this.negotiator.streamManagement.isResumable)
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
