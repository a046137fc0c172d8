/** An external component (XEP-0114), which sends what strangers would send. */
import { createHash } from 'node:crypto'
import { upstreamLimits } from '../stream/limits.ts'
import { ns } from '../stream/namespaces.ts'
import type { Connection } from '../transport/connection.ts'
import { type Element, element, withAttrs } from '../xml/element.ts'
import { XmlReader } from '../xml/reader.ts'
import { quoted, write } from '../xml/writer.ts'
import { Refused } from './client.ts'
import { type Deadline, ReceivedElements } from './received-elements.ts'
import { answerTo, conditionOf, isRequest } from './stanzas.ts'
import { connection } from './upstream-stream.ts'

export interface ComponentOptions {
  readonly domain: string
  readonly address: string
  readonly port: number
  readonly secret: string
}

const accept = 'jabber:component:accept'

export class Component {
  readonly domain: string
  readonly mail: ReceivedElements
  private readonly connection: Connection
  private readonly reader = new XmlReader({ level: 1, limits: upstreamLimits, relayed: true })

  private constructor(domain: string, connection: Connection, deadline: Deadline) {
    this.domain = domain
    this.connection = connection
    this.mail = new ReceivedElements(deadline)
    const closed = () => this.mail.end('the server closed the connection')
    connection.start({
      data: bytes => this.receive(bytes),
      drained: () => {},
      stalled: () => {},
      secured: () => {},
      ended: closed,
      closed,
      wrote: () => {},
    })
  }

  /** Connects and makes the handshake. Throws `Refused`. */
  static async open({ domain, address, port, secret }: ComponentOptions, deadline: Deadline): Promise<Component> {
    const target = {
      address,
      port,
      mode: 'none',
      ca: undefined,
      servername: undefined,
      proxyProtocol: undefined,
    } as const
    let component: Component | undefined
    try {
      component = new Component(domain, await connection(target, domain), deadline)
      await component.handshake(secret)
      return component
    } catch (error) {
      component?.close()
      throw new Refused(`component ${domain} at ${address}:${port}: ${(error as Error).message}`)
    }
  }

  send(...stanzas: readonly Element[]): void {
    this.connection.write(stanzas.map(each => write(each, { content: ns.client })))
  }

  close(): void {
    this.connection.write(['</stream:stream>'])
    this.mail.end('closed')
    this.connection.close()
  }

  private async handshake(secret: string): Promise<void> {
    const to = quoted(this.domain)
    this.connection.write([
      `<?xml version="1.0"?><stream:stream xmlns="${accept}" xmlns:stream="${ns.stream}" to=${to}>`,
    ])
    const header = await this.mail.find('stream header', 0, heard => heard.name === 'stream' && heard.ns === ns.stream)
    const digest = createHash('sha1')
      .update(`${header.attrs.get('id') ?? ''}${secret}`)
      .digest('hex')
    this.send(element('handshake', ns.client, {}, [digest]))
    await this.mail.find('answer to the handshake', 0, heard => heard.name === 'handshake')
  }

  private receive(bytes: Uint8Array): void {
    this.reader.push(bytes)
    for (let read = this.reader.next(); read !== undefined; read = this.reader.next()) {
      if (read.xml === 'error') return this.mail.end(`the server sent XML that cannot be read (${read.text})`)
      if (read.xml === 'close') return this.mail.end('the server closed the stream')
      if (read.xml === 'whitespace') continue
      const heard = asClient(read.xml === 'open' ? read.root : read.element)
      if (heard.name === 'error' && heard.ns === ns.stream)
        return this.mail.end(`the server ended the stream with ${conditionOf(heard) ?? 'an error'}`)
      this.mail.push(heard)
      if (isRequest(heard)) this.send(withAttrs(answerTo(heard), { from: heard.attrs.get('to') }))
    }
  }
}

/** The stanzas of a component in the clients' namespace, so that the same code reads both. */
function asClient(heard: Element): Element {
  return {
    name: heard.name,
    attrs: heard.attrs,
    ns: heard.ns === accept ? ns.client : heard.ns,
    children: heard.children.map(node => (typeof node === 'string' ? node : asClient(node))),
  }
}
