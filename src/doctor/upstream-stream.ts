/** A stream to the upstream, made as the gate makes it: the same dialling, the same TLS, the same framing. */
import { type Framing, tcpFraming } from '../stream/framing.ts'
import { upstreamLimits } from '../stream/limits.ts'
import { ns } from '../stream/namespaces.ts'
import type { Addresses } from '../transport/address.ts'
import type { Connection } from '../transport/connection.ts'
import { dial, type Target } from '../upstream/dial.ts'
import { child, type Element, element, elements, text } from '../xml/element.ts'
import { type Deadline, Gone, ReceivedElements } from './received-elements.ts'
import { conditionOf } from './stanzas.ts'

type ConnectFailure = Parameters<Parameters<typeof dial>[3]>[0]

const reasons: Readonly<Record<ConnectFailure, string>> = {
  refused: 'nothing listens there',
  timeout: 'it does not answer',
  unreachable: 'there is no way to that address',
  name: 'its name cannot be resolved',
  tls: 'TLS cannot be made: its certificate is not trusted or bears another name, or it speaks no TLS there',
  lost: 'it closes the connection',
  starttls: 'it offers no STARTTLS',
  version: 'it speaks another version of XMPP',
}

/** Resolves with a connection; throws `Gone` with the reason. */
export function connection(target: Target, domain: string): Promise<Connection> {
  return new Promise((resolve, reject) => {
    dial(target, { domain, client: clientOf(target) }, resolve, reason => reject(new Gone(reasons[reason])))
  })
}

/** Whom a PROXY header names: this machine. */
function clientOf({ port }: Target): Addresses {
  const loopback = '127.0.0.1'
  return { source: { address: loopback, port: 50_000 }, destination: { address: loopback, port } }
}

export class UpstreamStream {
  readonly mail: ReceivedElements
  /** What was offered before TLS, where the leg begins without it. */
  plain: Element = element('features', ns.stream)
  /** What is offered to the gate's clients on this leg; after the login, what is offered then. */
  features: Element = element('features', ns.stream)
  /** Told of every element, after the mailbox. */
  heard: ((heard: Element) => void) | undefined
  private readonly connection: Connection
  private readonly framing: Framing
  private secured: (() => void) | undefined

  private constructor(connection: Connection, deadline: Deadline) {
    this.connection = connection
    this.mail = new ReceivedElements(deadline)
    this.framing = tcpFraming('upstream', upstreamLimits)
    const closed = () => this.mail.end('the server closed the connection')
    connection.start({
      data: bytes => this.receive(bytes),
      drained: () => {},
      stalled: () => {},
      secured: () => this.secured?.(),
      ended: closed,
      closed,
      wrote: () => {},
    })
  }

  /** Connects, with STARTTLS where the target says so and the server offers it. Throws `Gone` or `Late`. */
  static async open(target: Target, domain: string, deadline: Deadline): Promise<UpstreamStream> {
    const leg = new UpstreamStream(await connection(target, domain), deadline)
    try {
      leg.plain = await leg.restart(domain)
      if (target.mode === 'starttls' && leg.offersStarttls) await leg.secure(domain)
      return leg
    } catch (error) {
      leg.abort()
      throw error
    }
  }

  get offersStarttls(): boolean {
    return child(this.plain, 'starttls', ns.tls) !== undefined
  }

  /** The server lets nobody in on this leg without TLS. */
  get requiresStarttls(): boolean {
    const feature = child(this.plain, 'starttls', ns.tls)
    return feature !== undefined && child(feature, 'required', ns.tls) !== undefined
  }

  /** SASL mechanisms (RFC 6120 section 6.3.3) that are offered now. */
  get mechanisms(): string[] {
    const holder = child(this.features, 'mechanisms', ns.sasl)
    return holder === undefined ? [] : elements(holder).map(each => text(each).trim())
  }

  /** A new stream on this connection; gives its features. */
  async restart(domain: string): Promise<Element> {
    const { mark } = this.mail
    this.connection.write([this.framing.write({ item: 'open', header: headerTo(domain) })])
    this.features = await this.mail.find(
      'stream features',
      mark,
      heard => heard.name === 'features' && heard.ns === ns.stream,
    )
    return this.features
  }

  send(...stanzas: readonly Element[]): void {
    this.connection.write(stanzas.map(each => this.framing.write({ item: 'element', element: each })))
  }

  /** Ends the stream in good order; resolves when the server has ended it too, or at the deadline. */
  async close(): Promise<void> {
    this.connection.write([this.framing.write({ item: 'close' })])
    await this.mail.find('end of the stream', this.mail.mark, () => false, 2_000).catch(() => {})
    this.connection.close()
    this.abort()
  }

  abort(): void {
    this.mail.end('closed')
    this.connection.abort()
  }

  private async secure(domain: string): Promise<void> {
    const { mark } = this.mail
    const secured = new Promise<void>(resolve => {
      this.secured = resolve
    })
    this.send(element('starttls', ns.tls))
    await this.mail.find('answer to STARTTLS', mark, heard => heard.ns === ns.tls)
    // A failed TLS handshake closes the connection, which `received` reports.
    const lost = this.mail
      .find('TLS', this.mail.mark, () => false)
      .catch((error: Error) => {
        if (error instanceof Gone) throw new Gone(reasons.tls)
        throw error
      })
    await Promise.race([secured, lost])
    lost.catch(() => {})
    await this.restart(domain)
  }

  private receive(bytes: Uint8Array): void {
    this.framing.push(bytes)
    for (let item = this.framing.next(); item !== undefined; item = this.framing.next()) {
      if (item.item === 'error') return this.mail.end(`the server sent XML that cannot be read (${item.condition})`)
      if (item.item === 'close') return this.mail.end('the server closed the stream')
      if (item.item !== 'element') continue
      const heard = item.element
      if (heard.name === 'error' && heard.ns === ns.stream)
        return this.mail.end(`the server ended the stream with ${conditionOf(heard) ?? 'an error'}`)
      const isProceed = heard.name === 'proceed' && heard.ns === ns.tls
      if (isProceed) this.connection.secure(this.framing.takeRest())
      // What follows is another stream (RFC 6120 sections 5.4.3.3 and 6.4.6).
      if (isProceed || (heard.name === 'success' && heard.ns === ns.sasl)) this.framing.restart()
      this.mail.push(heard)
      this.heard?.(heard)
    }
  }
}

function headerTo(domain: string): ReadonlyMap<string, string> {
  return new Map([
    ['to', domain],
    ['version', '1.0'],
    ['xml:lang', 'en'],
  ])
}
