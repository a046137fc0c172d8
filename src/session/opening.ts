/** Stream headers and STARTTLS, the client's with the gate and the gate's own with the server (RFC 6120 sections 4.7 and 5). */
import { compareDomain, parseJid } from '../stanza/jid.ts'
import type { Header, Side } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import { child, type Element, element } from '../xml/element.ts'
import type { ConnectFailure } from './labels.ts'
import { isVersionServed } from './negotiation.ts'
import type { Progress } from './stream-management.ts'
import type { Streams } from './streams.ts'

/** Where a domain's streams go. */
export interface Destination {
  /** The route's domain as configured: the metrics' label. */
  readonly route: string
  readonly upstream: string
  /** The upstream expects STARTTLS. */
  readonly starttls: boolean
  /** Credentials may name another account to act for (RFC 4616 section 2); it is the server that allows it then. Left out: they may not. */
  readonly actsForOthers?: boolean
}

/** The session that this is a part of. */
export interface OpeningStage {
  readonly streams: Streams
  readonly at: Progress
  destinationOf(domain: string): Destination | undefined
  /** The client has named its domain. */
  chosen(destination: Destination): void
  /** The upstream was not reached, or is not what it has to be. */
  blame(reason: ConnectFailure): void
}

export class Opening {
  /** The client owes a stream header. */
  headerDue = true
  /** A stream header went to the server, and its features have not come. */
  featuresDue = false
  /** TLS is being negotiated with the client. */
  isSecuring = false
  /** STARTTLS with the upstream is still to be done. */
  upstreamPlain = false
  private readonly stage: OpeningStage
  /** The client's transport has TLS, or needs none. */
  private secured: boolean
  private header: Header = new Map()
  private upstreamLang: string | undefined

  constructor(stage: OpeningStage, starttls: boolean) {
    this.stage = stage
    this.secured = !starttls
  }

  /** The language of this side's stream, which its stanzas inherit (RFC 6120 section 8.1.5). */
  langOf(side: Side): string | undefined {
    return side === 'client' ? this.header.get('xml:lang') : this.upstreamLang
  }

  client(header: Header): void {
    const { streams, at } = this.stage
    if (!this.headerDue) return streams.fail('bad-format', 'client-error', 'a second stream header')
    this.headerDue = false
    const domain = header.get('to')
    if (domain === undefined || domain === '')
      return streams.fail('improper-addressing', 'client-error', "the stream header has no 'to'")
    const destination = parseJid(domain) === undefined ? undefined : this.stage.destinationOf(domain)
    // The domain was chosen with the first header, and the server with it.
    const isAgain = streams.hasTransport('upstream')
    if (destination === undefined || (isAgain && compareDomain(domain, at.domain) === 'different'))
      return streams.fail('host-unknown', 'client-error')
    at.domain = domain
    this.stage.chosen(destination)
    if (!isVersionServed(header.get('version'))) return streams.fail('unsupported-version', 'client-error')
    this.header = header
    if (!this.secured) return this.offerStarttls()
    if (isAgain) return this.sayHeader()
    at.upstream = destination.upstream
    this.upstreamPlain = destination.starttls
    at.phase = 'connecting'
    streams.out.push({ effect: 'connect', upstream: destination.upstream, domain })
  }

  upstream(header: Header): void {
    const { streams, at } = this.stage
    if (!isVersionServed(header.get('version'))) return this.stage.blame('version')
    if (this.upstreamPlain) return
    this.upstreamLang = header.get('xml:lang')
    if (at.phase === 'connecting') at.phase = 'negotiating'
    streams.send('client', { item: 'open', header })
  }

  /** Sends the upstream the client's header; before its TLS one of the gate's own, which names nobody. */
  sayHeader(): void {
    const header = new Map([['to', this.stage.at.domain]])
    const names = this.upstreamPlain ? ['xml:lang'] : ['from', 'xml:lang']
    for (const name of names) {
      const value = this.header.get(name)
      if (value !== undefined) header.set(name, value)
    }
    header.set('version', '1.0')
    this.featuresDue = true
    this.stage.streams.send('upstream', { item: 'open', header })
  }

  /** The client asks for TLS. */
  starttls(): void {
    const { streams, at } = this.stage
    if (at.phase !== 'securing') {
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

  /** TLS stands on this side. */
  securedBy(side: Side): void {
    if (side === 'upstream') return this.sayHeader()
    this.secured = true
    this.isSecuring = false
    this.stage.at.phase = 'opening'
    this.headerDue = true
  }

  /** An element of the server's before its TLS: the gate's own STARTTLS. */
  upstreamStarttls(received: Element): void {
    const { streams } = this.stage
    if (received.ns === ns.stream && received.name === 'features') {
      if (child(received, 'starttls', ns.tls) === undefined) return this.stage.blame('starttls')
      return streams.sendElement('upstream', element('starttls', ns.tls))
    }
    if (received.ns !== ns.tls || received.name !== 'proceed') return this.stage.blame('starttls')
    this.upstreamPlain = false
    streams.beginAnew('upstream')
    streams.out.push({ effect: 'secure', side: 'upstream' })
  }

  /** RFC 6120 section 6.4.6: after a login both sides begin anew on the same connection. */
  restart(): void {
    const { streams } = this.stage
    this.headerDue = true
    for (const side of ['client', 'upstream'] as const) {
      streams.beginAnew(side)
      streams.out.push({ effect: 'restart', side })
    }
  }

  private offerStarttls(): void {
    const { streams, at } = this.stage
    at.phase = 'securing'
    streams.sayOwnHeader()
    const starttls = element('starttls', ns.tls, {}, [element('required', ns.tls)])
    streams.sendElement('client', element('features', ns.stream, {}, [starttls]))
  }
}
