/**
 * One client's stream and its upstream stream, as one state machine: an event goes in, effects come out. It knows no socket, no
 * clock and no wire; `relay.ts` does what it says.
 */
import { type ActiveRule, judge } from '../rules/judge.ts'
import type { Facts } from '../rules/rule.ts'
import { errorReply, type StanzaError } from '../stanza/error.ts'
import { bareOf, foldBare, foldDomain, parseJid } from '../stanza/jid.ts'
import { readdressed, type Stanza, stanzaOf } from '../stanza/stanza.ts'
import { typeLabel } from '../stanza/type-label.ts'
import { rewriteFeatures } from '../stream/features.ts'
import type { Header, Side, StreamError, StreamItem } from '../stream/item.ts'
import { other } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import { child, type Element, element, elements } from '../xml/element.ts'
import type { Cause, Effect, Report, SessionEvent } from './event.ts'
import { boundInlineOf, boundJidOf, earlyIqOf, isHeld, isVersionServed, nonzaOf, type Phase } from './negotiation.ts'
import { RosterWatch, type Seen } from './roster-watch.ts'
import { giveInline, type Inline, isStreamManagement, refusal, takeInline } from './stream-management.ts'

/** Where a domain's streams go. */
export interface Destination {
  /** The route's domain as configured: the metrics' label. */
  readonly route: string
  readonly upstream: string
  /** The upstream expects STARTTLS. */
  readonly starttls: boolean
}

export interface SessionOptions {
  /** STARTTLS is offered and required before anything else; otherwise the transport is as private as it gets. */
  readonly starttls: boolean
  readonly rules: readonly ActiveRule[]
  /** Folded domains whose notifications are believed unasked. */
  readonly trustedDomains: ReadonlySet<string>
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

export class Session {
  /** The time of the next `deadline` event that is wanted, in milliseconds; `undefined`: none. */
  deadline: number | undefined
  /** The metrics' label of the route, once it is known. */
  route: string | undefined

  private readonly options: SessionOptions
  private out: Effect[] = []
  private phase: Phase = 'opening'
  /** The client's transport has TLS, or needs none. */
  private secured: boolean
  /** The client owes a stream header. */
  private headerDue = true
  private readonly opened = { client: true, upstream: false }
  /** A stream header was sent to this side, and the end tag was not. */
  private readonly speaking = { client: false, upstream: false }
  private header: Header = new Map()
  private domain = ''
  private destination: Destination | undefined
  /** STARTTLS with the upstream is still to be done. */
  private upstreamPlain = false
  private upstreamLang: string | undefined
  private inline: Inline | undefined
  private bindId: string | undefined
  private binds = 0
  private jid: string | undefined
  private bare = ''
  private watch: RosterWatch | undefined
  private cause: Cause | undefined

  constructor(options: SessionOptions, now: number) {
    this.options = options
    this.secured = !options.starttls
    this.deadline = now + untilBound
  }

  /** The client may not be read at present: the server has the word. */
  get holding(): boolean {
    return isHeld(this.phase)
  }

  get closing(): boolean {
    return this.phase === 'closing'
  }

  /** The full JID of the resource, once one was bound. */
  get boundTo(): string | undefined {
    return this.jid
  }

  get over(): boolean {
    return this.phase === 'closed'
  }

  receive(event: SessionEvent, now: number): Effect[] {
    this.out = []
    this.on(event)
    if (this.phase === 'closing') this.deadline = Math.min(this.deadline ?? Infinity, now + untilClosed)
    return this.out
  }

  private on(event: SessionEvent): void {
    switch (event.event) {
      case 'connected':
        return this.onConnected()
      case 'refused':
        return this.onRefused(event.reason)
      case 'secured':
        return event.side === 'client' ? this.onClientSecured() : this.sayHeader()
      case 'item':
        return event.from === 'client' ? this.onClientItem(event.item) : this.onUpstreamItem(event.item)
      case 'closed':
        return this.onClosed(event.side)
      case 'ledger':
        this.watch?.recalled(event.recalled)
        return
      case 'told':
        if (this.watch !== undefined) this.spread(this.watch.told(event.news))
        return
      case 'stop':
        return this.phase === 'closing' || this.phase === 'closed'
          ? undefined
          : this.fail('system-shutdown', 'shutdown')
      case 'deadline':
        return this.onDeadline()
    }
  }

  // The client's side.

  private onClientItem(item: StreamItem): void {
    if (this.phase === 'closing') return item.item === 'close' ? this.end('client') : undefined
    if (this.phase === 'closed') return
    switch (item.item) {
      case 'open':
        return this.onClientHeader(item.header)
      case 'element':
        return this.headerDue
          ? this.fail('bad-format', 'client-error', 'a stream begins with its header')
          : this.onClientElement(item.element)
      case 'whitespace':
        // Keepalives; before the stream is bound there is nobody to keep awake, and during SASL none is allowed.
        return this.phase === 'bound' ? this.send('upstream', item) : undefined
      case 'close':
        return this.closeFrom('client')
      case 'error':
        return this.fail(item.condition, 'client-error', item.text)
    }
  }

  private onClientHeader(header: Header): void {
    if (!this.headerDue) return this.fail('bad-format', 'client-error', 'a second stream header')
    this.headerDue = false
    const domain = header.get('to') ?? ''
    const folded = foldDomain(domain)
    const destination = parseJid(domain) === undefined ? undefined : this.options.destinationOf(domain)
    if (destination === undefined) return this.fail('host-unknown', 'client-error')
    // The domain was chosen with the first header, and the server with it.
    if (this.opened.upstream && folded !== foldDomain(this.domain)) return this.fail('host-unknown', 'client-error')
    this.domain = domain
    this.route = destination.route
    if (!isVersionServed(header.get('version'))) return this.fail('unsupported-version', 'client-error')
    this.header = header
    if (!this.secured) return this.offerStarttls()
    if (this.opened.upstream) return this.sayHeader()
    this.destination = destination
    this.upstreamPlain = destination.starttls
    this.phase = 'connecting'
    this.out.push({ effect: 'connect', upstream: destination.upstream, domain })
  }

  private offerStarttls(): void {
    this.phase = 'securing'
    this.sayOwnHeader()
    const starttls = element('starttls', ns.tls, {}, [element('required', ns.tls)])
    this.sendElement('client', element('features', ns.stream, {}, [starttls]))
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
        return this.answer(refusal(received))
      case 'stream-error':
        this.report({
          report: 'stream-error',
          side: 'client',
          by: 'peer',
          condition: conditionOf(received, ns.streamErrors),
        })
        return this.closeFrom('client')
      case 'misplaced':
        return this.fail('unsupported-stanza-type', 'client-error')
      case 'extension':
        if (this.phase === 'securing') return this.fail('not-authorized', 'client-error')
        return this.sendElement('upstream', received)
    }
  }

  private onStarttls(): void {
    if (this.phase !== 'securing') {
      // RFC 6120 section 5.4.2.2: failure, then the end of the stream.
      this.sendElement('client', element('failure', ns.tls))
      return this.closeFrom('client')
    }
    this.sendElement('client', element('proceed', ns.tls))
    this.speaking.client = false
    this.out.push({ effect: 'secure', side: 'client' })
  }

  private onSasl(request: Element): void {
    if (this.phase !== 'negotiating') return this.fail('not-authorized', 'client-error')
    let passed = request
    if (request.name === 'authenticate') {
      this.inline = takeInline(request)
      passed = this.inline.authenticate
    }
    this.phase = 'authenticating'
    this.sendElement('upstream', passed)
  }

  /** An answer of the gate's own to a nonza; without one the nonza is left out. */
  private answer(nonza: Element | undefined): void {
    this.report({ report: 'nonza', from: 'client', verdict: nonza === undefined ? 'drop' : 'reject' })
    if (nonza !== undefined) this.sendElement('client', nonza)
  }

  private onClientStanza(stanza: Stanza): void {
    if (this.phase === 'bound') {
      return earlyIqOf(stanza) === 'bind'
        ? this.refuse(stanza, { condition: 'unexpected-request' })
        : this.judge('client', stanza)
    }
    const iq = earlyIqOf(stanza)
    if (this.phase === 'negotiating' && iq === 'registration' && this.isToServer(stanza))
      return this.pass('client', stanza)
    if (this.phase === 'negotiating' && iq === 'legacy-auth')
      return this.refuse(stanza, { condition: 'service-unavailable' })
    if (this.phase === 'authenticated' && iq === 'bind' && this.isToServer(stanza)) return this.onBind(stanza)
    // RFC 6120 section 4.3.5.
    this.tell('client', stanza, 'close')
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
    this.tell('client', stanza, 'reject')
    this.reply('client', stanza, error)
  }

  // The upstream's side.

  private onConnected(): void {
    this.opened.upstream = true
    this.report({ report: 'stream-opened', side: 'upstream' })
    if (this.phase === 'closing' || this.phase === 'closed') return this.end('upstream')
    this.sayHeader()
  }

  private onRefused(reason: Extract<SessionEvent, { event: 'refused' }>['reason']): void {
    this.report({ report: 'connect-failed', upstream: this.destination?.upstream ?? '', reason })
    this.opened.upstream = false
    // RFC 6120 section 4.9.3.8 keeps remote-connection-failed for servers of others.
    if (this.phase !== 'closing' && this.phase !== 'closed')
      this.fail('internal-server-error', 'connect-failed', 'the server cannot be reached')
  }

  /** Sends the upstream the client's header; before its TLS one of the gate's own, which names nobody. */
  private sayHeader(): void {
    const header = new Map([['to', this.domain]])
    const names = this.upstreamPlain ? ['xml:lang'] : ['from', 'xml:lang']
    for (const name of names) {
      const value = this.header.get(name)
      if (value !== undefined) header.set(name, value)
    }
    header.set('version', '1.0')
    this.speaking.upstream = true
    this.send('upstream', { item: 'open', header })
  }

  private onUpstreamItem(item: StreamItem): void {
    if (this.phase === 'closed') return
    if (this.phase === 'closing') {
      if (item.item === 'close') this.end('upstream')
      // What the server still says between the client's end tag and its own reaches the client.
      else if (item.item === 'element' && this.speaking.client && this.jid !== undefined)
        this.onUpstreamElement(item.element)
      return
    }
    switch (item.item) {
      case 'open':
        return this.onUpstreamHeader(item.header)
      case 'element':
        return this.onUpstreamElement(item.element)
      case 'whitespace':
        return this.phase === 'bound' ? this.send('client', item) : undefined
      case 'close':
        return this.closeFrom('upstream')
      case 'error':
        return this.fail('internal-server-error', 'upstream-error', "the server's stream cannot be read")
    }
  }

  private onUpstreamHeader(header: Header): void {
    if (!isVersionServed(header.get('version'))) return this.blame('version')
    if (this.upstreamPlain) return
    this.upstreamLang = header.get('xml:lang')
    if (this.phase === 'connecting') this.phase = 'negotiating'
    this.speaking.client = true
    this.send('client', { item: 'open', header })
  }

  private onUpstreamElement(received: Element): void {
    if (received.ns === ns.stream && received.name === 'error') return this.onUpstreamError(received)
    if (this.upstreamPlain) return this.onUpstreamStarttls(received)
    if (!this.speaking.client)
      return this.phase === 'closing' ? undefined : this.fail('internal-server-error', 'upstream-error')
    const stanza = stanzaOf(received)
    if (stanza !== undefined) return this.onUpstreamStanza(stanza)
    if (received.ns === ns.stream && received.name === 'features')
      return this.sendElement('client', rewriteFeatures(received, this.options.maxBytes))
    if (received.ns === ns.sasl || received.ns === ns.sasl2) return this.onSaslAnswer(received)
    if (isStreamManagement(received)) return this.report({ report: 'nonza', from: 'upstream', verdict: 'drop' })
    this.sendElement('client', received)
  }

  private onUpstreamError(received: Element): void {
    const condition = conditionOf(received, ns.streamErrors)
    this.report({ report: 'stream-error', side: 'upstream', by: 'peer', condition })
    if (this.upstreamPlain || !this.speaking.client) return this.fail('internal-server-error', 'upstream-error')
    // The other address would lead the client round the gate.
    if (condition === 'see-other-host') return this.fail('reset', 'upstream-error')
    this.sendElement('client', received)
    this.closeFrom('upstream', 'upstream-error')
  }

  /** The gate's own STARTTLS with the upstream. */
  private onUpstreamStarttls(received: Element): void {
    if (received.ns === ns.stream && received.name === 'features') {
      if (child(received, 'starttls', ns.tls) === undefined) return this.blame('starttls')
      return this.sendElement('upstream', element('starttls', ns.tls))
    }
    if (received.ns !== ns.tls || received.name !== 'proceed') return this.blame('starttls')
    this.upstreamPlain = false
    this.speaking.upstream = false
    this.out.push({ effect: 'secure', side: 'upstream' })
  }

  /** The upstream stands, but is not what it has to be. */
  private blame(reason: 'starttls' | 'version'): void {
    this.report({ report: 'connect-failed', upstream: this.destination?.upstream ?? '', reason })
    this.fail('internal-server-error', 'connect-failed', 'the server cannot be reached')
  }

  private onSaslAnswer(received: Element): void {
    if (this.phase !== 'authenticating') return this.sendElement('client', received)
    if (received.name !== 'success') {
      this.phase = 'negotiating'
      return this.sendElement('client', received)
    }
    this.phase = 'authenticated'
    this.sendElement('client', received.ns === ns.sasl2 ? giveInline(received, this.inline) : received)
    this.out.push({ effect: 'admit' })
    if (received.ns === ns.sasl) return this.restart()
    const jid = boundInlineOf(received)
    if (jid !== undefined) this.bind(jid)
  }

  /** RFC 6120 section 6.4.6: both sides begin anew on the same connection. */
  private restart(): void {
    this.headerDue = true
    this.speaking.client = false
    this.out.push({ effect: 'restart', side: 'client' }, { effect: 'restart', side: 'upstream' })
  }

  private onUpstreamStanza(stanza: Stanza): void {
    if (this.jid !== undefined) return this.judge('upstream', stanza)
    this.pass('upstream', stanza)
    if (this.phase !== 'binding' || stanza.kind !== 'iq' || (stanza.id ?? '') !== this.bindId) return
    const jid = stanza.type === 'result' ? boundJidOf(stanza) : undefined
    if (jid === undefined) this.phase = 'authenticated'
    else this.bind(jid)
  }

  /** The server alone says who the client is (RFC 6120 section 4.3.6). */
  private bind(jid: string): void {
    if (foldBare(jid) === undefined) return this.fail('internal-server-error', 'upstream-error')
    this.jid = jid
    this.bare = bareOf(jid)
    this.watch = new RosterWatch(this.bare)
    this.phase = 'bound'
    this.deadline = undefined
    this.report({ report: 'session-opened', jid })
    this.out.push({ effect: 'settle' }, { effect: 'recall', account: this.bare })
  }

  // Stanzas.

  private judge(from: Side, stanza: Stanza): void {
    const { watch } = this
    if (watch === undefined) return
    const { verdict, decisions } = judge(this.options.rules, stanza, this.facts(from, watch))
    const said = decisions.map(({ rule, mode, verdict: { verdict: word } }) => ({
      rule: rule.name,
      clause: rule.clause,
      mode,
      verdict: word,
    }))
    this.tell(from, stanza, verdict.verdict, said)
    switch (verdict.verdict) {
      case 'forward':
        this.spread(from === 'client' ? watch.sent(verdict.stanza) : watch.received(verdict.stanza))
        return this.sendElement(other[from], verdict.stanza.element)
      case 'reject':
        return this.reply(from, stanza, verdict.error)
      case 'drop':
        return
      case 'close':
        return this.fail(verdict.error, from === 'client' ? 'client-error' : 'upstream-error', verdict.text)
    }
  }

  private facts(from: Side, roster: RosterWatch): Facts {
    const lang = from === 'client' ? this.header.get('xml:lang') : this.upstreamLang
    const { jid = '', bare } = this
    return { from, jid, bare, lang, roster, trusts: contact => this.trusts(contact) }
  }

  private trusts(contact: string): boolean {
    const domain = this.options.trustedDomains.size === 0 ? undefined : parseJid(bareOf(contact))?.domain
    const folded = domain === undefined ? undefined : foldDomain(domain)
    return folded !== undefined && this.options.trustedDomains.has(folded)
  }

  /** Before a stream is bound nobody is judged: what may pass was decided by its phase. Nor has a client an address to speak from. */
  private pass(from: Side, stanza: Stanza): void {
    this.tell(from, stanza, 'forward')
    const isAddressed = from === 'client' && stanza.from !== undefined
    const passed = isAddressed ? readdressed(stanza, { from: undefined }) : stanza
    this.sendElement(other[from], passed.element)
  }

  private reply(to: Side, stanza: Stanza, error: StanzaError): void {
    const answer = errorReply(stanza, error, { by: this.domain, to: to === 'client' ? this.jid : undefined })
    if (answer !== undefined) this.sendElement(to, answer)
  }

  private tell(
    from: Side,
    stanza: Stanza,
    verdict: 'forward' | 'reject' | 'drop' | 'close',
    said: Extract<Report, { report: 'judged' }>['said'] = [],
  ): void {
    const address = from === 'client' ? stanza.to : stanza.from
    this.report({
      report: 'judged',
      from,
      kind: stanza.kind,
      type: typeLabel(stanza.kind, stanza.type),
      verdict,
      said,
      account: this.jid === undefined ? undefined : this.bare,
      contact: address === undefined ? undefined : bareOf(address),
    })
  }

  private spread({ news, reports }: Seen): void {
    for (const item of news) this.out.push({ effect: 'tell', account: this.bare, news: item })
    for (const report of reports) this.report(report)
  }

  // Ends.

  /** A stream error to the client, and the end of both streams (RFC 6120 section 4.9.1.1). */
  private fail(condition: StreamError, cause: Cause, text?: string): void {
    if (this.phase === 'closing' || this.phase === 'closed') return
    this.cause ??= cause
    if (!this.speaking.client) this.sayOwnHeader()
    this.report({ report: 'stream-error', side: 'client', by: 'gate', condition })
    this.send('client', { item: 'error', condition, text })
    this.closeFrom('upstream', cause)
  }

  /** RFC 6120 section 4.9.1.2: before a stream error stands a header. */
  private sayOwnHeader(): void {
    this.speaking.client = true
    const header = new Map([
      ['from', this.route === undefined ? '' : this.domain],
      ['id', this.options.newStreamId()],
      ['version', '1.0'],
      ['xml:lang', 'en'],
    ])
    this.send('client', { item: 'open', header })
  }

  /** One side has closed its stream, or is taken to have: the other side's is closed, and then it is waited for. */
  private closeFrom(side: Side, cause: Cause = side === 'client' ? 'client-closed' : 'upstream-closed'): void {
    if (this.phase === 'closing' || this.phase === 'closed') return
    this.phase = 'closing'
    this.cause ??= cause
    if (side === 'client') {
      // Without an upstream there is nobody to wait for.
      if (this.opened.upstream) return this.sayClose('upstream')
      return this.end('upstream')
    }
    this.sayClose('client')
    this.end('upstream')
  }

  /** The side has said its last word. When it is the upstream's, so has the gate to the client. */
  private end(side: Side): void {
    if (side === 'client') {
      this.sayClose('client')
      if (this.opened.client) this.out.push({ effect: 'close', side: 'client' })
      return
    }
    this.sayClose('upstream')
    if (this.opened.upstream) this.out.push({ effect: 'close', side: 'upstream' })
    this.end('client')
  }

  private sayClose(to: Side): void {
    if (!this.speaking[to]) return
    this.speaking[to] = false
    if (this.opened[to]) this.send(to, { item: 'close' })
  }

  private onClosed(side: Side): void {
    if (!this.opened[side]) return
    const failure = side === 'upstream' ? this.failureOfUpstream() : undefined
    this.opened[side] = false
    this.speaking[side] = false
    const lost = failure === undefined ? (`${side}-lost` as const) : 'connect-failed'
    const cause = this.cause ?? lost
    if (failure !== undefined) this.report(failure)
    this.report({ report: 'stream-closed', side, cause })
    if (!this.opened.client && !this.opened.upstream) return this.finish(cause)
    if (this.phase === 'closing') return side === 'upstream' ? this.end('client') : this.endQuietly(cause)
    if (side === 'client') return this.endQuietly(cause)
    this.fail('internal-server-error', cause, 'the connection to the server was lost')
  }

  /** An upstream that goes before it has said anything was not reached: by TLS, when it had no word after `<proceed/>`. */
  private failureOfUpstream(): Report | undefined {
    if (this.phase !== 'connecting') return undefined
    const reason = this.speaking.upstream ? 'lost' : 'tls'
    return { report: 'connect-failed', upstream: this.destination?.upstream ?? '', reason }
  }

  /** The client's transport is gone without an end tag: no end tag for the server either. */
  private endQuietly(cause: Cause): void {
    this.phase = 'closing'
    this.cause ??= cause
    if (this.opened.upstream) this.out.push({ effect: 'close', side: 'upstream' })
  }

  private finish(cause: Cause): void {
    this.phase = 'closed'
    this.deadline = undefined
    if (this.jid !== undefined) this.report({ report: 'session-closed', jid: this.jid, cause })
  }

  private onDeadline(): void {
    this.deadline = undefined
    if (this.phase !== 'closing')
      return this.fail('connection-timeout', 'timeout', 'the stream was not negotiated in time')
    for (const side of ['client', 'upstream'] as const) if (this.opened[side]) this.out.push({ effect: 'abort', side })
  }

  private report(report: Report): void {
    this.out.push({ effect: 'report', report })
  }

  private send(to: Side, item: StreamItem): void {
    if (this.opened[to]) this.out.push({ effect: 'send', to, item })
  }

  private sendElement(to: Side, whole: Element): void {
    this.send(to, { item: 'element', element: whole })
  }
}

/** The defined condition of an error, as far as its specification has it: labels are closed sets, whoever wrote the error. */
function conditionOf(error: Element, uri: string): string {
  return elements(error).find(node => node.ns === uri && node.name !== 'text')?.name ?? 'undefined-condition'
}
