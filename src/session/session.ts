/**
 * One client's stream and its upstream stream, as one state machine: an event goes in, effects come out. It knows no socket, no
 * clock and no wire; `relay.ts` does what it says. Here is the way to a bound resource (the phases of `negotiation.ts`); what becomes
 * of stanzas then is in `bound.ts`, how streams are opened and ended in `streams.ts`.
 */
import type { StanzaError } from '../stanza/error.ts'
import { errorReply } from '../stanza/error.ts'
import { foldDomain, parseJid } from '../stanza/jid.ts'
import { readdressed, type Stanza, stanzaOf } from '../stanza/stanza.ts'
import { rewriteFeatures } from '../stream/features.ts'
import { type Header, other, type Side, type StreamItem } from '../stream/item.ts'
import { strangerLimits } from '../stream/limits.ts'
import { ns } from '../stream/namespaces.ts'
import { child, type Element, element } from '../xml/element.ts'
import { Bound, type BoundOptions, type Voice } from './bound.ts'
import type { ConnectFailure, Effect, SessionEvent } from './event.ts'
import { judgedReport } from './judged.ts'
import { enabledForClient, handledTooHigh, isStreamManagement, Management, patienceOf, refusal } from './management.ts'
import { boundInlineOf, boundJidOf, earlyIqOf, isHeld, isVersionServed, nonzaOf, type Phase } from './negotiation.ts'
import { inlineResumeOf, withInlineResume, withManagement } from './sasl2.ts'
import { conditionOf, Streams } from './streams.ts'

/** Where a domain's streams go. */
export interface Destination {
  /** The route's domain as configured: the metrics' label. */
  readonly route: string
  readonly upstream: string
  /** The upstream expects STARTTLS. */
  readonly starttls: boolean
}

export interface SessionOptions extends Omit<BoundOptions, 'domain'> {
  /** STARTTLS is offered and required before anything else; otherwise the transport is as private as it gets. */
  readonly starttls: boolean
  /** Bytes of one element that a client that has authenticated may send. */
  readonly maxBytes: number
  destinationOf(domain: string): Destination | undefined
  /** A stream id that cannot be guessed (RFC 6120 section 4.7.3). */
  newStreamId(): string
}

/** Milliseconds from the transport's beginning to a bound resource; long enough for someone filling in a registration form. */
const untilBound = 300_000
/** Milliseconds that a peer has to close its side. */
const untilClosed = 5_000
/** Bind requests of one stream (RFC 6120 section 7.7.3 has 5 to 10). */
const bindsAtMost = 10
/** Failed authentications of one stream (RFC 6120 section 6.4.5 has 2 to 5 retries). */
const failuresAtMost = 5

/** A resumption that the client has asked for (XEP-0198 section 5). */
interface Resuming {
  readonly asked: Element
  readonly key: string
  /** The SASL2 request that asked for it inline; `undefined` for a `<resume/>` by itself. */
  readonly authenticate: Element | undefined
  /** What was found under its SM-ID; `undefined`: nothing that can be resumed. */
  found: Bound | undefined
}

export class Session {
  /** The time of the next `deadline` event that is wanted, in milliseconds; `undefined`: none. */
  deadline: number | undefined
  /** The metrics' label of the route, once it is known. */
  route: string | undefined

  private readonly options: SessionOptions
  private readonly streams: Streams
  private readonly voice: Voice
  private phase: Phase = 'opening'
  /** The client's transport has TLS, or needs none. */
  private secured: boolean
  /** The client owes a stream header. */
  private headerDue = true
  private header: Header = new Map()
  private domain = ''
  private destination: Destination | undefined
  /** STARTTLS with the upstream is still to be done. */
  private upstreamPlain = false
  private upstreamLang: string | undefined
  private resuming: Resuming | undefined
  private bindId: string | undefined
  private binds = 0
  private failures = 0
  private bound: Bound | undefined
  /** The session can be resumed when its stream is lost. */
  private resumable = false

  constructor(options: SessionOptions, now: number) {
    this.options = options
    this.secured = !options.starttls
    this.deadline = now + untilBound
    this.streams = new Streams(() => ({ from: this.route === undefined ? '' : this.domain, id: options.newStreamId() }))
    const { streams } = this
    this.voice = {
      send: (to, whole) => streams.sendElement(to, whole),
      report: report => streams.report(report),
      tell: news => this.out({ effect: 'tell', account: this.bound?.bare ?? '', news }),
      fail: (condition, cause, text) => this.fail(condition, cause, text),
      langOf: side => (side === 'client' ? this.header.get('xml:lang') : this.upstreamLang),
    }
  }

  /** The client may not be read at present: the server has the word. */
  get holding(): boolean {
    if (!this.streams.isOpen) return false
    // A new header is answered by the server's before anything else is said.
    const isAnswerDue = this.phase === 'authenticated' && !this.headerDue && !this.streams.isSpeakingTo('client')
    return isAnswerDue || isHeld(this.phase)
  }

  get closing(): boolean {
    return this.streams.isClosing
  }

  get over(): boolean {
    return this.streams.isClosed
  }

  /** The full JID of the resource, once one was bound. */
  get boundTo(): string | undefined {
    return this.bound?.jid
  }

  receive(event: SessionEvent, now: number): Effect[] {
    this.streams.out = []
    const wasOpen = this.streams.isOpen
    this.on(event)
    if (wasOpen && !this.streams.isOpen) this.settleResumption()
    if (this.closing) this.deadline = Math.min(this.deadline ?? Infinity, now + untilClosed)
    if (this.over) this.deadline = undefined
    return this.streams.out
  }

  private on(event: SessionEvent): void {
    switch (event.event) {
      case 'connected':
        this.streams.connected()
        return this.streams.isOpen ? this.sayHeader() : undefined
      case 'refused':
        return this.blame(event.reason)
      case 'secured':
        return event.side === 'client' ? this.onClientSecured() : this.sayHeader()
      case 'item':
        return event.from === 'client' ? this.onClientItem(event.item) : this.onUpstreamItem(event.item)
      case 'closed':
        return this.onClosed(event.side)
      case 'ledger':
        return this.bound?.recalled(event.recalled, this.voice)
      case 'told':
        return this.bound?.told(event.news, this.voice)
      case 'fetched':
        return this.onFetched(event.found)
      case 'superseded':
        return this.onSuperseded()
      case 'stop':
        return this.fail('system-shutdown', 'shutdown')
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
        if (this.headerDue) return this.fail('bad-format', 'client-error', 'a stream begins with its header')
        return this.onClientElement(item.element)
      case 'whitespace':
        // Keepalives; before the stream is bound there is nobody to keep awake, and during SASL none is allowed.
        return this.phase === 'bound' ? this.streams.send('upstream', item) : undefined
      case 'close':
        return this.streams.close('client')
      case 'error':
        return this.fail(item.condition, 'client-error', item.text)
    }
  }

  private onClientHeader(header: Header): void {
    if (!this.headerDue) return this.fail('bad-format', 'client-error', 'a second stream header')
    this.headerDue = false
    const domain = header.get('to') ?? ''
    const destination = parseJid(domain) === undefined ? undefined : this.options.destinationOf(domain)
    if (destination === undefined) return this.fail('host-unknown', 'client-error')
    // The domain was chosen with the first header, and the server with it.
    const isAgain = this.streams.hasTransport('upstream')
    if (isAgain && foldDomain(domain) !== foldDomain(this.domain)) return this.fail('host-unknown', 'client-error')
    this.domain = domain
    this.route = destination.route
    if (!isVersionServed(header.get('version'))) return this.fail('unsupported-version', 'client-error')
    this.header = header
    if (!this.secured) return this.offerStarttls()
    if (isAgain) return this.sayHeader()
    this.destination = destination
    this.upstreamPlain = destination.starttls
    this.phase = 'connecting'
    this.out({ effect: 'connect', upstream: destination.upstream, domain })
  }

  private offerStarttls(): void {
    this.phase = 'securing'
    this.streams.sayOwnHeader()
    const starttls = element('starttls', ns.tls, {}, [element('required', ns.tls)])
    this.streams.sendElement('client', element('features', ns.stream, {}, [starttls]))
  }

  private onClientSecured(): void {
    this.secured = true
    this.phase = 'opening'
    this.headerDue = true
  }

  private onClientElement(received: Element): void {
    const stanza = stanzaOf(received)
    if (stanza !== undefined) return this.onClientStanza(stanza)
    switch (nonzaOf(received)) {
      case 'starttls':
        return this.onStarttls()
      case 'sasl':
        return this.onSasl(received)
      case 'compress':
        return this.answer(element('failure', ns.compress, {}, [element('unsupported-method', ns.compress)]))
      case 'stream-management':
        return this.onClientManagement(received)
      case 'stream-error':
        this.streams.report({ report: 'stream-error', side: 'client', by: 'peer', condition: conditionOf(received) })
        return this.streams.close('client')
      case 'misplaced':
        return this.fail('unsupported-stanza-type', 'client-error')
      case 'extension':
        if (this.phase === 'securing') return this.fail('not-authorized', 'client-error')
        return this.streams.sendElement('upstream', received)
    }
  }

  private onStarttls(): void {
    if (this.phase !== 'securing') {
      // RFC 6120 section 5.4.2.2: failure, then the end of the stream.
      this.streams.sendElement('client', element('failure', ns.tls))
      return this.streams.close('client')
    }
    this.streams.sendElement('client', element('proceed', ns.tls))
    this.streams.beginAnew('client')
    this.out({ effect: 'secure', side: 'client' })
  }

  private onSasl(request: Element): void {
    if (this.phase !== 'negotiating') return this.fail('not-authorized', 'client-error')
    const resume = inlineResumeOf(request)
    if (resume !== undefined) return this.fetch(resume, request)
    this.phase = 'authenticating'
    this.streams.sendElement('upstream', request)
  }

  /** An answer of the gate's own to a nonza; without one the nonza is left out. */
  private answer(nonza: Element | undefined): void {
    this.streams.report({ report: 'nonza', from: 'client', verdict: nonza === undefined ? 'drop' : 'reject' })
    if (nonza !== undefined) this.streams.sendElement('client', nonza)
  }

  private onClientStanza(stanza: Stanza): void {
    const iq = this.phase === 'bound' && stanza.kind !== 'iq' ? 'other' : earlyIqOf(stanza)
    if (this.bound !== undefined) {
      const { bound, voice } = this
      return iq === 'bind'
        ? bound.refuse(stanza, { condition: 'unexpected-request' }, voice)
        : bound.stanza('client', stanza, voice)
    }
    if (this.phase === 'negotiating' && iq === 'registration' && this.isToServer(stanza))
      return this.pass('client', stanza)
    if (this.phase === 'negotiating' && iq === 'legacy-auth')
      return this.refuse(stanza, { condition: 'service-unavailable' })
    if (this.phase === 'authenticated' && iq === 'bind' && this.isToServer(stanza)) return this.onBind(stanza)
    // RFC 6120 section 4.3.5.
    this.streams.report(judgedReport('client', stanza, 'close', [], undefined))
    this.fail('not-authorized', 'client-error')
  }

  private isToServer({ to }: Stanza): boolean {
    return to === undefined || foldDomain(to) === foldDomain(this.domain)
  }

  private onBind(stanza: Stanza): void {
    if (++this.binds > bindsAtMost)
      return this.fail('policy-violation', 'client-error', 'too many attempts to bind a resource')
    this.phase = 'binding'
    this.bindId = stanza.id ?? ''
    this.pass('client', stanza)
  }

  private refuse(stanza: Stanza, error: StanzaError): void {
    this.streams.report(judgedReport('client', stanza, 'reject', [], undefined))
    const answer = errorReply(stanza, error, { by: this.domain })
    if (answer !== undefined) this.streams.sendElement('client', answer)
  }

  // The upstream's side.

  /** Sends the upstream the client's header; before its TLS one of the gate's own, which names nobody. */
  private sayHeader(): void {
    const header = new Map([['to', this.domain]])
    const names = this.upstreamPlain ? ['xml:lang'] : ['from', 'xml:lang']
    for (const name of names) {
      const value = this.header.get(name)
      if (value !== undefined) header.set(name, value)
    }
    header.set('version', '1.0')
    this.streams.send('upstream', { item: 'open', header })
  }

  private onUpstreamItem(item: StreamItem): void {
    if (this.over) return
    if (this.closing) {
      if (item.item === 'close') this.streams.end('upstream')
      // What the server still says between the client's end tag and its own reaches the client.
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
        return this.phase === 'bound' ? this.streams.send('client', item) : undefined
      case 'close':
        return this.streams.close('upstream')
      case 'error':
        return this.fail('internal-server-error', 'upstream-error', "the server's stream cannot be read")
    }
  }

  private onUpstreamHeader(header: Header): void {
    if (!isVersionServed(header.get('version'))) return this.blame('version')
    if (this.upstreamPlain) return
    this.upstreamLang = header.get('xml:lang')
    if (this.phase === 'connecting') this.phase = 'negotiating'
    this.streams.send('client', { item: 'open', header })
  }

  private onUpstreamElement(received: Element): void {
    if (received.ns === ns.stream && received.name === 'error') return this.onUpstreamError(received)
    if (this.upstreamPlain) return this.onUpstreamStarttls(received)
    if (!this.streams.isSpeakingTo('client')) return this.fail('internal-server-error', 'upstream-error')
    const stanza = stanzaOf(received)
    if (stanza !== undefined) return this.onUpstreamStanza(stanza)
    if (received.ns === ns.stream && received.name === 'features')
      return this.streams.sendElement('client', rewriteFeatures(received, this.maxBytes))
    if (received.ns === ns.sasl || received.ns === ns.sasl2) return this.onSaslAnswer(received)
    if (isStreamManagement(received)) return this.onUpstreamManagement(received)
    this.streams.sendElement('client', received)
  }

  /** Bytes of one element that the client may send at present. */
  private get maxBytes(): number {
    return this.phase === 'negotiating' ? Math.min(strangerLimits.bytes, this.options.maxBytes) : this.options.maxBytes
  }

  private onUpstreamError(received: Element): void {
    const condition = conditionOf(received)
    this.streams.report({ report: 'stream-error', side: 'upstream', by: 'peer', condition })
    if (this.upstreamPlain || !this.streams.isSpeakingTo('client'))
      return this.fail('internal-server-error', 'upstream-error')
    // The other address would lead the client round the gate.
    if (condition === 'see-other-host') return this.fail('reset', 'upstream-error')
    this.streams.sendElement('client', received)
    this.streams.close('upstream', 'upstream-error')
  }

  /** The gate's own STARTTLS with the upstream. */
  private onUpstreamStarttls(received: Element): void {
    if (received.ns === ns.stream && received.name === 'features') {
      if (child(received, 'starttls', ns.tls) === undefined) return this.blame('starttls')
      return this.streams.sendElement('upstream', element('starttls', ns.tls))
    }
    if (received.ns !== ns.tls || received.name !== 'proceed') return this.blame('starttls')
    this.upstreamPlain = false
    this.streams.beginAnew('upstream')
    this.out({ effect: 'secure', side: 'upstream' })
  }

  /** The upstream was not reached, or is not what it has to be. RFC 6120 section 4.9.3.8 keeps another condition for servers of others. */
  private blame(reason: ConnectFailure): void {
    this.streams.report({ report: 'connect-failed', upstream: this.destination?.upstream ?? '', reason })
    this.fail('internal-server-error', 'connect-failed', 'the server cannot be reached')
  }

  private onSaslAnswer(received: Element): void {
    if (this.phase !== 'authenticating') return this.streams.sendElement('client', received)
    if (received.name !== 'success') {
      this.phase = 'negotiating'
      this.streams.sendElement('client', received)
      if (received.name !== 'failure') return
      this.resuming = undefined
      if (++this.failures > failuresAtMost)
        this.fail('policy-violation', 'client-error', 'too many attempts to authenticate')
      return
    }
    this.phase = 'authenticated'
    if (received.ns === ns.sasl2) return this.onSasl2Success(received)
    this.streams.sendElement('client', received)
    this.out({ effect: 'admit' })
    // RFC 6120 section 6.4.6: both sides begin anew on the same connection.
    this.headerDue = true
    this.streams.beginAnew('client')
    this.out({ effect: 'restart', side: 'client' })
    this.out({ effect: 'restart', side: 'upstream' })
  }

  private onUpstreamStanza(stanza: Stanza): void {
    if (this.bound !== undefined) return this.bound.stanza('upstream', stanza, this.voice)
    this.pass('upstream', stanza)
    const isAnswer = stanza.kind === 'iq' && (stanza.type === 'result' || stanza.type === 'error')
    if (this.phase !== 'binding' || !isAnswer || (stanza.id ?? '') !== this.bindId) return
    const jid = stanza.type === 'result' ? boundJidOf(stanza) : undefined
    if (jid === undefined) this.phase = 'authenticated'
    else this.bind(jid)
  }

  /** Before a stream is bound nobody is judged: what may pass was decided by its phase. Nor has a client an address to speak from. */
  private pass(from: Side, stanza: Stanza): void {
    this.streams.report(judgedReport(from, stanza, 'forward', [], undefined))
    const isAddressed = from === 'client' && stanza.from !== undefined
    const passed = isAddressed ? readdressed(stanza, { from: undefined }) : stanza
    this.streams.sendElement(other[from], passed.element)
  }

  // A bound resource.

  /** The server alone says who the client is (RFC 6120 section 4.3.6). */
  private bind(jid: string): void {
    if (parseJid(jid)?.resource === undefined) return this.fail('internal-server-error', 'upstream-error')
    this.begin(new Bound({ ...this.options, domain: this.domain }, jid))
  }

  private begin(bound: Bound): void {
    this.bound = bound
    this.phase = 'bound'
    this.deadline = undefined
    this.streams.report({ report: 'session-opened', jid: bound.jid })
    this.out({ effect: 'settle' })
    this.out({ effect: 'recall', account: bound.bare })
  }

  /** XEP-0386: the success holds the bound JID, and what was enabled with it; XEP-0198: or a resumption. */
  private onSasl2Success(received: Element): void {
    const { resuming } = this
    const owed =
      resuming !== undefined && resuming.found === undefined ? [refusal(resuming.asked.ns, 'item-not-found')] : []
    let resumed: Element | undefined
    let enabled: Element | undefined
    const success = withManagement(received, owed, nonza => {
      if (nonza.name === 'resumed') resumed = nonza
      if (nonza.name === 'enabled') enabled = nonza
      if (nonza.name === 'enabled') return enabledForClient(nonza)
      return nonza.name === 'failed' ? (resuming?.found?.management?.failure(nonza) ?? nonza) : nonza
    })
    if (resumed !== undefined)
      return this.resume(resumed, answer => withManagement(received, [], nonza => (nonza === resumed ? answer : nonza)))
    if (resuming?.found !== undefined) this.streams.report({ report: 'resumption', outcome: 'refused' })
    this.resuming = undefined
    this.streams.sendElement('client', success)
    this.out({ effect: 'admit' })
    const jid = boundInlineOf(received)
    if (jid === undefined) return
    this.bind(jid)
    if (enabled === undefined || this.bound === undefined) return
    this.bound.management = new Management(enabled.ns)
    this.enabled(enabled)
  }

  // Stream management.

  private onClientManagement(nonza: Element): void {
    const management = this.bound?.management
    const isRunning = management?.isEnabled === true && management.uri === nonza.ns
    switch (nonza.name) {
      case 'enable':
        // RFC 6120 has the resource first; a stream is managed once (XEP-0198 section 3).
        if (this.bound === undefined || management !== undefined)
          return this.answer(refusal(nonza.ns, 'unexpected-request'))
        this.bound.management = new Management(nonza.ns)
        return this.streams.sendElement('upstream', nonza)
      case 'resume':
        if (this.phase !== 'authenticated') return this.answer(refusal(nonza.ns, 'unexpected-request'))
        return this.fetch(nonza, undefined)
      case 'r':
        return management === undefined ? this.answer(undefined) : this.streams.sendElement('upstream', nonza)
      case 'a': {
        if (!isRunning) return this.answer(undefined)
        const told = management.acknowledgement('client', nonza)
        if (told === undefined) return this.lied('client', nonza, management)
        return this.streams.sendElement('upstream', told)
      }
      default:
        return this.answer(undefined)
    }
  }

  private onUpstreamManagement(nonza: Element): void {
    const { bound } = this
    const management = bound?.management
    switch (nonza.name) {
      case 'enabled':
        if (management === undefined || management.isEnabled) break
        this.streams.sendElement('client', enabledForClient(nonza))
        return this.enabled(nonza)
      case 'failed':
        if (this.phase === 'resuming') return this.onResumeFailed(nonza)
        if (bound === undefined || management === undefined || management.isEnabled) break
        bound.management = undefined
        return this.streams.sendElement('client', nonza)
      case 'resumed':
        if (this.phase !== 'resuming') break
        return this.resume(nonza, answer => answer)
      case 'r':
        if (management === undefined) break
        return this.streams.sendElement('client', nonza)
      case 'a': {
        if (management === undefined) break
        const told = management.acknowledgement('upstream', nonza)
        if (told === undefined) return this.lied('upstream', nonza, management)
        return this.streams.sendElement('client', told)
      }
    }
    this.streams.report({ report: 'nonza', from: 'upstream', verdict: 'drop' })
  }

  /** The server counts from here on, and may let the session be resumed. */
  private enabled(nonza: Element): void {
    const { bound } = this
    const id = nonza.attrs.get('id')
    const resume = nonza.attrs.get('resume')
    bound?.management?.enabled()
    if (bound === undefined || id === undefined || (resume !== 'true' && resume !== '1')) return
    this.resumable = true
    this.out({ effect: 'keep', key: this.keyOf(id), bound, patience: patienceOf(nonza) })
  }

  /** An SM-ID is the server's own: another server's means another session. */
  private keyOf(id: string): string {
    return JSON.stringify([this.destination?.upstream, foldDomain(this.domain), id])
  }

  private fetch(asked: Element, authenticate: Element | undefined): void {
    const key = this.keyOf(asked.attrs.get('previd') ?? '')
    this.phase = 'resuming'
    this.resuming = { asked, key, authenticate, found: undefined }
    this.out({ effect: 'fetch', key })
  }

  /** What the gate has of the session that is to be resumed; without it there can be no true count, and the client binds anew. */
  private onFetched(found: Bound | undefined): void {
    const { resuming } = this
    if (resuming === undefined || !this.streams.isOpen) return
    const { asked, authenticate } = resuming
    const management = found?.management
    const told = management?.isWhole === true && management.uri === asked.ns ? management.resumption(asked) : undefined
    if (management?.isWhole === true && management.uri === asked.ns && told === undefined)
      return this.lied('client', asked, management)
    if (told !== undefined) resuming.found = found
    else this.streams.report({ report: 'resumption', outcome: 'unknown' })
    if (authenticate !== undefined) {
      this.phase = 'authenticating'
      return this.streams.sendElement('upstream', withInlineResume(authenticate, told))
    }
    if (told !== undefined) return this.streams.sendElement('upstream', told)
    this.resuming = undefined
    this.phase = 'authenticated'
    this.answer(refusal(asked.ns, 'item-not-found'))
  }

  /** XEP-0198 section 5: the client may bind a resource on the same stream. */
  private onResumeFailed(failed: Element): void {
    const answer = this.resuming?.found?.management?.failure(failed) ?? failed
    this.resuming = undefined
    this.phase = 'authenticated'
    this.streams.report({ report: 'resumption', outcome: 'refused' })
    this.streams.sendElement('client', answer)
  }

  /** `wrap`: what the client's `<resumed/>` stands in. */
  private resume(resumed: Element, wrap: (answer: Element) => Element): void {
    const { resuming } = this
    const found = resuming?.found
    const management = found?.management
    if (resuming === undefined || found === undefined || management === undefined)
      return this.fail('internal-server-error', 'upstream-error')
    const owed = management.resumed(resuming.asked, resumed)
    if (owed === undefined) return this.lied('upstream', resumed, management)
    this.resuming = undefined
    this.resumable = true
    this.streams.sendElement('client', wrap(owed.answer))
    if (resuming.authenticate !== undefined) this.out({ effect: 'admit' })
    this.streams.report({ report: 'resumption', outcome: 'resumed' })
    this.out({ effect: 'take', key: resuming.key })
    this.begin(found)
    for (const whole of owed.client) this.streams.sendElement('client', whole)
    for (const whole of owed.upstream) this.streams.sendElement('upstream', whole)
  }

  /** A count of what was never sent: the stream of the side that lied ends with the extension's own condition. */
  private lied(side: Side, nonza: Element, management: Management): void {
    const text = 'more is acknowledged than was sent'
    const application = handledTooHigh(nonza, management.sentTo(side))
    if (side === 'client') return this.fail('undefined-condition', 'client-error', text, application)
    if (this.streams.isOpen) this.streams.error('upstream', 'undefined-condition', text, application)
    this.fail('internal-server-error', 'upstream-error')
  }

  /** The session goes on on another stream: this one has nothing to say any longer. */
  private onSuperseded(): void {
    if (!this.streams.isOpen) return
    this.resumable = false
    this.streams.error('client', 'conflict')
    this.streams.send('client', { item: 'close' })
    this.streams.cut('superseded')
  }

  /** A stream that is lost can be resumed; one that was closed cannot (XEP-0198 section 5). */
  private settleResumption(): void {
    if (!this.resumable) return
    const { cause } = this.streams
    this.out({ effect: cause === 'client-lost' || cause === 'upstream-lost' ? 'lose' : 'leave' })
  }

  // Ends.

  private onClosed(side: Side): void {
    const { streams } = this
    if (!streams.hasTransport(side)) return
    // An upstream that goes before it has said anything was not reached: by TLS, when it had no word after `<proceed/>`.
    const isUnreached = side === 'upstream' && this.phase === 'connecting' && streams.isOpen
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
    if (side === 'client' || this.resumable) return this.streams.cut(`${side}-lost`)
    this.fail('internal-server-error', 'upstream-lost', 'the connection to the server was lost')
  }

  private onDeadline(): void {
    this.deadline = undefined
    if (this.streams.isOpen) this.fail('connection-timeout', 'timeout', 'the stream was not negotiated in time')
    else this.streams.abort()
  }

  private fail(...reason: Parameters<Streams['fail']>): void {
    this.streams.fail(...reason)
  }

  private out(effect: Effect): void {
    this.streams.out.push(effect)
  }
}
