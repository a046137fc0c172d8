/**
 * Stream headers and STARTTLS: the client's with the gate, and the gate's own with the upstream (RFC 6120 sections 4.7 and 5). Each
 * function says what it found; the session decides what follows.
 */
import { compareDomain, parseJid } from '../stanza/jid.ts'
import type { Header, Side, StreamError, StreamItem } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import { child, type Element, element } from '../xml/element.ts'
import type { ConnectFailure } from './labels.ts'
import { isVersionServed } from './negotiation.ts'
import type { Streams } from './streams.ts'

/** Where a domain's streams go. */
export interface Destination {
  /** The route's domain as configured: the metrics' label. */
  readonly route: string
  readonly upstream: string
  /** Its clients are not served, but sent to a host, or told why. Left out: they are served. */
  readonly refusal?: { readonly host: string } | { readonly text: string }
  /** The upstream expects STARTTLS. */
  readonly starttls: boolean
  /** Credentials may name another account to act for (RFC 4616 section 2); it is the server that allows it then. Left out: they may not. */
  readonly actsForOthers?: boolean
}

/** What a client's stream header asks for. */
export type Opened =
  /** A stream error. `destination`: the domain was known. */
  | {
      readonly opened: 'wrong'
      readonly error: StreamError
      readonly text?: string
      readonly destination?: Destination
    }
  /** Nobody is served there. */
  | {
      readonly opened: 'refused'
      readonly destination: Destination
      readonly refusal: NonNullable<Destination['refusal']>
    }
  /** TLS comes first. */
  | { readonly opened: 'plain'; readonly destination: Destination }
  /** The upstream is to be dialled. */
  | { readonly opened: 'first'; readonly destination: Destination }
  /** The upstream is there: a new stream on the same connections (RFC 6120 section 4.3.3). */
  | { readonly opened: 'again'; readonly destination: Destination }

export class Opening {
  /** The client owes a stream header. */
  headerDue = true
  /** A stream header went to the upstream, and its features have not come. */
  featuresDue = false
  /** TLS is being negotiated with the client. */
  isSecuring = false
  /** STARTTLS with the upstream is still to be done. */
  upstreamPlain = false
  private readonly streams: Streams
  /** The client's transport has TLS, or needs none. */
  private secured: boolean
  private header: Header = new Map()
  private upstreamLang: string | undefined

  /** `starttls`: the client's transport is plain, and TLS is required. */
  constructor(streams: Streams, starttls: boolean) {
    this.streams = streams
    this.secured = !starttls
  }

  /** The language of this side's stream, which its stanzas inherit (RFC 6120 section 8.1.5). */
  langOf(side: Side): string | undefined {
    return side === 'client' ? this.header.get('xml:lang') : this.upstreamLang
  }

  /** The client's stream header. `before`: the domain of its first one; empty if this is the first. */
  client(header: Header, before: string, destinationOf: (domain: string) => Destination | undefined): Opened {
    if (!this.headerDue) return { opened: 'wrong', error: 'bad-format', text: 'a second stream header' }
    this.headerDue = false
    const domain = header.get('to')
    if (domain === undefined || domain === '')
      return { opened: 'wrong', error: 'improper-addressing', text: "the stream header has no 'to'" }
    const destination = parseJid(domain) === undefined ? undefined : destinationOf(domain)
    // The first header has chosen the domain and its upstream.
    const isAgain = this.streams.hasTransport('upstream')
    if (destination === undefined || (isAgain && compareDomain(domain, before) === 'different'))
      return { opened: 'wrong', error: 'host-unknown' }
    if (!isVersionServed(header.get('version'))) return { opened: 'wrong', error: 'unsupported-version', destination }
    this.header = header
    if (!this.secured) return { opened: 'plain', destination }
    // A session that is there goes on.
    if (isAgain) return { opened: 'again', destination }
    const { refusal } = destination
    return refusal === undefined ? { opened: 'first', destination } : { opened: 'refused', destination, refusal }
  }

  /** The upstream's stream header, passed on once its transport has TLS. What is given is why it cannot be used; `undefined`: it can. */
  upstream(header: Header): ConnectFailure | undefined {
    if (!isVersionServed(header.get('version'))) return 'version'
    if (this.upstreamPlain) return undefined
    this.upstreamLang = header.get('xml:lang')
    this.streams.send('client', { item: 'open', header })
    return undefined
  }

  /** Sends the upstream the client's header; before TLS a header of the gate's own that names no account. */
  sayHeader(domain: string): void {
    const header = new Map([['to', domain]])
    const names = this.upstreamPlain ? ['xml:lang'] : ['from', 'xml:lang']
    for (const name of names) {
      const value = this.header.get(name)
      if (value !== undefined) header.set(name, value)
    }
    header.set('version', '1.0')
    this.featuresDue = true
    this.streams.send('upstream', { item: 'open', header })
  }

  /** Tells the client that TLS is required (RFC 6120 section 5.3.1). */
  offerStarttls(): void {
    this.streams.sayOwnHeader()
    const starttls = element('starttls', ns.tls, {}, [element('required', ns.tls)])
    this.streams.sendElement('client', element('features', ns.stream, {}, [starttls]))
  }

  /** The client asks for TLS. `isOffered`: it was offered. */
  starttls(isOffered: boolean): void {
    const { streams } = this
    if (!isOffered) {
      // RFC 6120 section 5.4.2.2: failure, then the end of the stream.
      streams.failedAt('tls', 'not-offered')
      streams.sendElement('client', element('failure', ns.tls))
      return streams.close('client')
    }
    streams.sendElement('client', element('proceed', ns.tls))
    streams.beginAnew('client')
    this.isSecuring = true
    streams.out.push({ effect: 'secure', side: 'client' })
  }

  /** The client's transport has TLS now: a new stream begins. */
  clientSecured(): void {
    this.secured = true
    this.isSecuring = false
    this.headerDue = true
  }

  /**
   * An element of the upstream's before its TLS: the gate's own STARTTLS. What is given is why there can be none; `undefined`: it goes
   * on.
   */
  upstreamStarttls(received: Element): ConnectFailure | undefined {
    const { streams } = this
    if (refusesStarttls(received)) return 'starttls'
    if (received.ns === ns.stream) {
      streams.sendElement('upstream', element('starttls', ns.tls))
      return undefined
    }
    this.upstreamPlain = false
    streams.beginAnew('upstream')
    streams.out.push({ effect: 'secure', side: 'upstream' })
    return undefined
  }

  /**
   * Before the client has got anything of the upstream's: with this of the upstream's no stream comes about. A stream error is an answer that the
   * client's header may have caused.
   */
  leadsNowhere(item: StreamItem): boolean {
    switch (item.item) {
      case 'open':
        return !isVersionServed(item.header.get('version'))
      case 'element':
        return this.upstreamPlain && refusesStarttls(item.element)
      case 'close':
      case 'error':
        return true
      case 'whitespace':
        return false
    }
  }

  /** RFC 6120 section 6.4.6: after a login both sides begin again on the same connection. */
  restart(): void {
    this.headerDue = true
    for (const side of ['client', 'upstream'] as const) {
      this.streams.beginAnew(side)
      this.streams.out.push({ effect: 'restart', side })
    }
  }
}

/** It is neither features with STARTTLS, nor the consent to begin TLS, nor a stream error. */
function refusesStarttls(received: Element): boolean {
  if (received.ns === ns.tls) return received.name !== 'proceed'
  if (received.ns !== ns.stream) return true
  if (received.name === 'features') return child(received, 'starttls', ns.tls) === undefined
  return received.name !== 'error'
}
