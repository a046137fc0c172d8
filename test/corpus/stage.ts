/** A server, the gate in front of it, and those who listen: an observer, and a second resource of each attacker, both past the gate. */
import type { Socket } from 'node:net'
import type { Element } from '../../src/xml/element.ts'
import { Inbox } from '../clients/inbox.ts'
import { connectTcp, type Item, outline, RawClient, type Transport } from '../clients/raw.ts'
import { within } from '../clients/within.ts'
import { Gate } from '../e2e/gate.ts'
import type { Certificate } from '../servers/certificate.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { startProsody } from '../servers/prosody.ts'
import type { ServerName } from './case.ts'
import { unhurried } from './limits.ts'

export interface Teardowns {
  teardown(action: () => unknown): unknown
}

/** One attacker's account: it plays one case at a time. */
export interface Slot {
  readonly user: string
  readonly bare: string
  /** What of this attacker the observer got. */
  readonly heard: Inbox<Element>
  /** What the account's other resource got. */
  readonly seen: Inbox<Element>
}

interface Server {
  readonly address: string
  readonly port: number
  inject(jid: string, xml: string): Promise<void>
  stop(): Promise<void>
}

export class Stage {
  readonly name: ServerName
  readonly server: Server
  readonly gate: Gate
  readonly slots: readonly Slot[]
  /** Ids that must not arrive, and those that did all the same, however late. */
  readonly forbidden = new Set<string>()
  readonly late: string[] = []
  private readonly romeo: RawClient
  private readonly barriers = new Map<string, () => void>()

  private constructor(name: ServerName, server: Server, gate: Gate, romeo: RawClient, slots: readonly Slot[]) {
    this.name = name
    this.server = server
    this.gate = gate
    this.romeo = romeo
    this.slots = slots
  }

  static async start(t: Teardowns, name: ServerName, certificate: Certificate, slots: number): Promise<Stage> {
    const users = Array.from({ length: slots }, (_, number) => `mallory${number}`)
    const accounts = Object.fromEntries(['romeo', 'victim', ...users].map(user => [user, 'secret']))
    const server: Server = await (name === 'prosody' ? startProsody : startEjabberd)({ plain: true, accounts })
    t.teardown(() => server.stop())
    const gate = await Gate.start(t, certificate, server, { origins: ['https://good.example'], limits: unhurried })
    const romeo = await (await connectTcp(server.port)).login('romeo', 'observer')
    await romeo.appear()
    const stage = new Stage(name, server, gate, romeo, await Promise.all(users.map(user => watched(server, user))))
    romeo.inbox.push = item => stage.heard(item)
    return stage
  }

  /** All that reached the server before has been dealt with. */
  async settled(): Promise<void> {
    const id = `barrier-${++barriers}`
    const answered = new Promise<void>(resolve => this.barriers.set(id, resolve))
    this.romeo.send(`<iq xmlns='jabber:client' type='get' id='${id}'><ping xmlns='urn:xmpp:ping'/></iq>`)
    await within('the answer to the observer', answered)
    this.barriers.delete(id)
  }

  private heard(item: Item): void {
    if (item.item !== 'element') return
    const { element } = item
    const id = element.attrs.get('id') ?? ''
    this.barriers.get(id)?.()
    // An answer is none: the gate may refuse what a stranger sends.
    if (this.forbidden.has(id) && element.attrs.get('type') !== 'error') this.late.push(outline(element))
    const bare = element.attrs.get('from')?.replace(/\/.*/s, '').toLowerCase()
    this.slots.find(one => one.bare === bare)?.heard.push(element)
  }
}

let barriers = 0

async function watched(server: Server, user: string): Promise<Slot> {
  const seen = new Inbox<Element>(outline)
  const watch = await (await connectTcp(server.port)).login(user, 'watch')
  await watch.appear()
  watch.inbox.push = item => {
    if (item.item === 'element') seen.push(item.element)
  }
  return { user, bare: `${user}@localhost`, heard: new Inbox<Element>(outline), seen }
}

/** A client on a socket that stands. */
export function clientOn(socket: Socket): RawClient & { readonly transport: { readonly socket: Socket } } {
  socket.setNoDelay(true)
  const client = new RawClient({
    wire: 'tcp',
    socket,
    send: (data: string | Buffer) => socket.write(data),
    end: () => socket.end(),
    destroy: () => socket.destroy(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  } as Transport)
  socket.on('data', bytes => client.received(bytes))
  socket.on('error', () => {}) // its end is told
  socket.on('close', () => client.inbox.push({ item: 'gone', code: undefined }))
  return client as RawClient & { readonly transport: { readonly socket: Socket } }
}
