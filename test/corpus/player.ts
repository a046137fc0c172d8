/**
 * Plays one case on a stream of its own, and gathers what came of it: at the client, at the observer, and at the account's other
 * resource. Nothing is waited for by the clock: a stanza that follows on the same stream, or the end of the session, which the server
 * tells the observer, shows that what was to come has come.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Element } from '../../src/xml/element.ts'
import { auth, bind, type Item, type RawClient, shown } from '../clients/raw.ts'
import { within } from '../clients/within.ts'
import { type Bytes, type Case, type Expectation, filled, observer, type Place, type Step, type Wire } from './case.ts'
import { clientOn, type Slot, type Stage } from './stage.ts'
import { type Outcome, type Seen, verdictOf } from './verdict.ts'
import { connectByHand, encoded, opcodes, type RawTransport } from './websocket.ts'

/** Milliseconds for one case. */
const patience = 12_000
const places: readonly Place[] = ['port', 'header', 'auth', 'bind', 'bound']
let plays = 0

export interface Result extends Outcome {
  readonly case: Pick<Case, 'class' | 'name'>
  readonly wire: Wire
  readonly server: string
}

export function expectationOf(one: Case, wire: Wire, server: Stage['name']): Expectation {
  const own = wire === 'ws' ? (one.onWebsocket ?? one.expect) : one.expect
  return one.behind?.[server] ?? own
}

export async function play(one: Case, wire: Wire, stage: Stage, slot: Slot): Promise<Result> {
  const playing = new Play(one, wire, stage, slot)
  const about = { case: one, wire, server: stage.name }
  try {
    const outcome = await within('the case', playing.run(), patience)
    return { ...about, ...outcome }
  } catch (error) {
    const seen = playing.mine.map(shown).join(' ')
    return { ...about, ok: false, unsafe: false, detail: `${(error as Error).message}; the client had got: ${seen}` }
  } finally {
    playing.end()
  }
}

class Play {
  readonly mine: Item[] = []
  private readonly one: Case
  private readonly wire: Wire
  private readonly stage: Stage
  private readonly slot: Slot
  private readonly id: string
  private readonly names: Record<string, string>
  private client: RawClient | undefined
  private gone = false

  constructor(one: Case, wire: Wire, stage: Stage, slot: Slot) {
    this.one = one
    this.wire = wire
    this.stage = stage
    this.slot = slot
    const number = ++plays
    this.id = `c${number}`
    const { user, bare } = slot
    this.names = { id: this.id, me: `${bare}/r${number}`, bare, user }
  }

  end(): void {
    this.client?.transport.destroy()
  }

  async run(): Promise<Outcome> {
    const { one, stage } = this
    const expect = expectationOf(one, this.wire, stage.name)
    if (expect.is === 'status') return this.request(expect)
    await this.goTo(one.at)
    if (expect.is !== 'delivered') stage.forbidden.add(this.id)
    this.mine.length = 0
    for (const step of one.steps) if (!this.gone) await this.take(step)
    if (expect.is === 'goes on') await this.goFrom(expect.at ?? one.at)
    const at = expect.is === 'goes on' ? 'bound' : one.at
    const isLast = expect.is === 'stream error' || expect.is === 'closed'
    if (isLast) await this.gather('the end of the connection', () => false)
    else if (at === 'bound') await this.settle()
    else await this.lull()
    const others = await this.others(at)
    return verdictOf(one, this.wire, expect, { id: this.id, bare: this.slot.bare, mine: this.mine, ...others }, parts =>
      filled(parts, this.names).toString(),
    )
  }

  // The way to the place.

  private async goTo(place: Place): Promise<void> {
    const { gate } = this.stage
    const until = places.indexOf(place)
    const isDue = (step: Place) => places.indexOf(step) <= until
    if (place === 'port') {
      const socket = connect(gate.port(this.wire), '127.0.0.1')
      await within('a connection', once(socket, 'connect'))
      this.client = clientOn(socket)
      this.names.header = this.client.header()
      return
    }
    if (isDue('header'))
      this.client = await (this.wire === 'ws' ? connectByHand(gate.port('ws')) : gate.connect(this.wire))
    const client = this.client as RawClient
    this.names.header = client.header()
    this.names.end = client.endTag
    if (isDue('auth')) await client.opened()
    if (isDue('bind')) await this.authenticate()
    if (isDue('bound')) await this.bindResource()
  }

  private async goFrom(place: Place): Promise<void> {
    if (this.client === undefined || this.gone) throw new Error('the connection has ended')
    const at = places.indexOf(place)
    if (at < places.indexOf('auth')) await this.client.opened()
    if (at < places.indexOf('bind')) await this.authenticate()
    if (at < places.indexOf('bound')) await this.bindResource()
  }

  private async authenticate(): Promise<void> {
    const client = this.client as RawClient
    client.send(auth(this.slot.user))
    await this.untilNamed('success')
    await client.opened()
  }

  private async bindResource(): Promise<void> {
    const client = this.client as RawClient
    client.send(bind(`r${this.id.slice(1)}`))
    await client.withId('bind')
    for (const to of ['', ` to='${observer}'`])
      client.send(`<presence xmlns='jabber:client'${to} id='hello-${this.id}'/>`)
  }

  private async untilNamed(name: string): Promise<void> {
    const isIt = (item: Item) => item.item === 'gone' || (item.item === 'element' && item.element.name === name)
    const items = await (this.client as RawClient).inbox.until(`<${name}/>`, isIt)
    if (items.at(-1)?.item === 'gone') throw new Error(`no <${name}/>: ${items.map(shown).join(' ')}`)
  }

  // The steps.

  private async take(step: Step): Promise<void> {
    const client = this.client as RawClient
    const { transport } = client
    if (typeof step === 'string' || step instanceof Uint8Array) return void client.send(this.fill(step))
    if ('cut' in step) return this.inPieces(this.fill(step.of), step.cut)
    if ('frame' in step) {
      const payload = this.fill(step.frame.payload ?? '')
      return (transport as RawTransport).write(encoded({ ...step.frame, payload }))
    }
    if ('raw' in step) {
      const bytes = this.fill(step.raw)
      return void ('write' in transport ? (transport as RawTransport).write(bytes) : transport.send(bytes))
    }
    if ('await' in step) return this.waitFor(step.await)
    if ('inject' in step) return this.inject(this.fill(step.inject).toString())
    if ('secure' in step) return this.secure(step.secure)
    return step.hang === 'up' ? transport.destroy() : transport.end()
  }

  private fill(content: Bytes): Buffer {
    return filled(content, this.names)
  }

  private async inPieces(content: Buffer, size: number): Promise<void> {
    const { transport } = this.client as RawClient
    for (let from = 0; from < content.length; from += size) {
      const payload = content.subarray(from, from + size)
      if (this.wire !== 'ws') {
        transport.send(payload)
        // Each piece leaves by itself.
        await new Promise(resolve => setImmediate(resolve))
        continue
      }
      const opcode = from === 0 ? opcodes.text : opcodes.continuation
      ;(transport as RawTransport).write(encoded({ opcode, fin: from + size >= content.length, payload }))
    }
  }

  private waitFor(name: string): Promise<void> {
    return this.gather(`<${name}/>`, item => {
      if (item.item === 'element') return item.element.name === name
      return item.item === name || (name === 'pong' && item.item === 'whitespace')
    })
  }

  private async inject(xml: string): Promise<void> {
    await this.stage.server.inject(this.names.me ?? '', xml)
  }

  private async secure({ options }: Extract<Step, { secure: unknown }>['secure']): Promise<void> {
    const { socket } = (this.client as ReturnType<typeof clientOn>).transport
    socket.removeAllListeners('data').removeAllListeners('close')
    const tls = connectTls({ socket, ca: this.stage.gate.ca, servername: 'localhost', ...options })
    this.client = clientOn(tls)
    // What goes wrong ends the connection, and that is told.
    await within('TLS', once(tls, 'secureConnect')).catch(() => tls.destroy())
  }

  // What came of it.

  /** Everything that comes until what is wanted, or the end of the connection. */
  private async gather(what: string, isWanted: (item: Item) => boolean): Promise<void> {
    if (this.gone) return
    const isEnough = (item: Item) => {
      this.mine.push(item)
      return item.item === 'gone' || isWanted(item)
    }
    await (this.client as RawClient).inbox.until(what, isEnough)
    this.gone = this.mine.at(-1)?.item === 'gone'
  }

  private async settle(): Promise<void> {
    const client = this.client as RawClient
    const mark = `mark-${this.id}`
    for (const to of [observer, `${this.slot.bare}/watch`])
      client.send(`<message xmlns='jabber:client' to='${to}' type='chat' id='${mark}'><body>mark</body></message>`)
    client.send(`<iq xmlns='jabber:client' type='get' id='${mark}'><ping xmlns='urn:xmpp:ping'/></iq>`)
    await this.gather('the answer to a ping', item => item.item === 'element' && item.element.attrs.get('id') === mark)
  }

  /** Before a resource is bound there is nobody to ask: what was answered by the server has come when others are answered. */
  private async lull(): Promise<void> {
    const isAnswer = (item: Item) => item.item === 'element'
    const expect = expectationOf(this.one, this.wire, this.stage.name)
    if (expect.is !== 'harmless' && !this.mine.some(isAnswer)) await this.gather('an answer', isAnswer)
    await this.stage.settled()
  }

  private async others(at: Place): Promise<Pick<Seen, 'heard' | 'watched'>> {
    if (at !== 'bound') {
      await this.stage.settled()
      return { heard: [], watched: [] }
    }
    const { id, gone, names } = this
    const isLast = (found: Element) =>
      gone
        ? found.attrs.get('from') === names.me && found.name === 'presence' && found.attrs.get('type') === 'unavailable'
        : found.attrs.get('id') === `mark-${id}`
    const last = gone ? "the news of the session's end" : 'the mark'
    const [heard, watched] = await Promise.all([
      this.slot.heard.until(`${last} at the observer`, isLast),
      this.slot.seen.until(`${last} at the other resource`, isLast),
    ])
    return { heard: heard.filter(found => found.attrs.get('id') !== `hello-${id}`), watched }
  }

  /** HTTP by hand. */
  private async request(expect: Extract<Expectation, { is: 'status' }>): Promise<Outcome> {
    const socket = connect(this.stage.gate.port(this.wire), '127.0.0.1').on('error', () => {})
    let text = ''
    const answer = new Promise<string>(resolve => {
      socket.on('data', bytes => {
        text += bytes.toString('latin1')
        const [, status] = /^HTTP\/1\.1 (\d+)/.exec(text) ?? []
        if (status !== undefined) resolve(status)
      })
      socket.on('close', () => resolve('closed'))
    })
    for (const step of this.one.steps) socket.write(this.fill(step as string))
    const got = await answer
    socket.destroy()
    const ok = got === String(expect.status)
    return { ok, unsafe: got === '101' && !ok, detail: ok ? '' : `status ${got}` }
  }
}
