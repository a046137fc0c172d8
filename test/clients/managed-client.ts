/**
 * A client with stream management (XEP-0198) as an honest one has it: it counts for itself, keeps what is not acknowledged, and sends it again
 * after a resumption. It goes on at another port when its connection is lost.
 */
import { elements } from '../../src/xml/element.ts'
import { auth, connectTcp, type Item, type RawClient } from './raw.ts'

const sm = 'urn:xmpp:sm:3'
const stanzas: ReadonlySet<string> = new Set(['message', 'presence', 'iq'])
/** Stanzas that may wait for their acknowledgement. */
const windowOf = 8

export class ManagedClient {
  jid = ''
  readonly resource: string
  /** Ids of messages, in the order of their coming. */
  readonly got: string[] = []
  /** Presence that has come, as `type from`. */
  readonly presence: string[] = []
  /** Resolves when the connection is gone. */
  gone: Promise<void> = Promise.resolve()
  private readonly connect: (port: number) => Promise<RawClient>
  private readonly user: string
  private client: RawClient | undefined
  /** The server's SM-ID. */
  id = ''
  private received = 0
  private unacknowledged: string[] = []
  private sent = 0
  private said = 0
  private allowed = 0
  private isOver = false
  private wake: (() => void) | undefined
  private heard: (() => void) | undefined
  private settle: (() => void) | undefined

  /** `connect`: by which wire it comes. */
  constructor(user: string, resource: string, connect: (port: number) => Promise<RawClient> = connectTcp) {
    this.connect = connect
    this.user = user
    this.resource = resource
  }

  async login(port: number): Promise<void> {
    const client = await (await this.connect(port)).login(this.user, this.resource)
    this.jid = client.jid
    await client.roster()
    client.send(`<enable xmlns='${sm}' resume='true'/>`)
    const enabled = await client.named('enabled')
    this.id = enabled.attrs.get('id') ?? ''
    this.listen(client)
    this.say(`<presence xmlns='jabber:client'/>`)
  }

  /** After the loss of its connection. Gives `resumed`, or the condition of the failure. */
  async resume(port: number): Promise<string> {
    const client = await this.connect(port)
    await client.opened()
    client.send(auth(this.user))
    await client.named('success')
    await client.opened()
    client.send(`<resume xmlns='${sm}' previd='${this.id}' h='${this.received}'/>`)
    const answer = await client.element('<resumed/> or <failed/>', each => each.ns === sm)
    if (answer.name !== 'resumed') {
      client.transport.destroy()
      return elements(answer)[0]?.name ?? answer.name
    }
    this.acknowledged(answer.attrs.get('h'))
    for (const stanza of this.unacknowledged) client.send(stanza)
    client.send(`<r xmlns='${sm}'/>`)
    this.listen(client)
    return answer.name
  }

  /** Sends messages with ids `RESOURCE-1`, `RESOURCE-2` ... as many as `mayChat` says. Resolves when all are acknowledged after its end. */
  async chat(to: string): Promise<void> {
    while (!this.isOver || this.said < this.allowed || this.unacknowledged.length > 0) {
      while (this.client !== undefined && this.said < this.allowed && this.unacknowledged.length < windowOf) {
        const id = `${this.resource}-${++this.said}`
        this.say(`<message xmlns='jabber:client' type='chat' id='${id}' to='${to}'><body>${id}</body></message>`)
      }
      await new Promise<void>(resolve => {
        this.wake = resolve
      })
    }
  }

  /** Resolves when so many messages have come. */
  async gotMany(messages: number): Promise<void> {
    while (this.got.length < messages)
      await new Promise<void>(resolve => {
        this.heard = resolve
      })
  }

  /** Resolves when all that it has sent is acknowledged. */
  async settled(): Promise<void> {
    while (this.unacknowledged.length > 0)
      await new Promise<void>(resolve => {
        this.settle = resolve
      })
  }

  /** It may send so many messages in all; `isOver`: it will never be more. */
  mayChat(messages: number, isOver = false): void {
    this.allowed = messages
    this.isOver = isOver
    this.wake?.()
  }

  async leave(): Promise<void> {
    this.client?.send(this.client.endTag)
    await this.gone
  }

  cut(): void {
    this.client?.transport.destroy()
  }

  private say(stanza: string): void {
    this.unacknowledged.push(stanza)
    this.sent++
    this.client?.send(stanza)
    if (this.sent % 4 === 0) this.client?.send(`<r xmlns='${sm}'/>`)
  }

  private listen(client: RawClient): void {
    this.client = client
    this.gone = new Promise(resolve => {
      client.inbox.divert(item => {
        this.take(client, item)
        if (item.item !== 'gone') return
        this.client = undefined
        resolve()
      })
    })
    this.wake?.()
  }

  private take(client: RawClient, item: Item): void {
    if (item.item !== 'element') return
    const { name, ns, attrs } = item.element
    if (ns === sm && name === 'r') client.send(`<a xmlns='${sm}' h='${this.received}'/>`)
    if (ns === sm && name === 'a') this.acknowledged(attrs.get('h'))
    if (!stanzas.has(name)) return
    this.received++
    if (name === 'message') {
      this.got.push(attrs.get('id') ?? '')
      this.heard?.()
    }
    if (name === 'presence') this.presence.push(`${attrs.get('type') ?? 'available'} ${attrs.get('from')}`)
  }

  private acknowledged(h: string | undefined): void {
    const left = this.sent - Number(h)
    if (!(left >= 0 && left <= this.unacknowledged.length))
      throw new Error(`h='${h}' is wrong: ${this.sent} were sent, ${this.unacknowledged.length} not acknowledged`)
    this.unacknowledged = left === 0 ? [] : this.unacknowledged.slice(-left)
    // What was asked for may have been lost with the connection.
    if (left > 0) this.client?.send(`<r xmlns='${sm}'/>`)
    else this.settle?.()
    this.wake?.()
  }
}
