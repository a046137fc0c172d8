/**
 * The one place where effects become deeds: bytes to items to the session, and what the session wants back to the sockets.
 *
 *   client ══ Connection ─ Framing ─┐                ┌─ Framing ─ Connection ══ upstream
 *                                   └─▶ Session ◀────┘
 *
 * All that one read produced leaves in one write: writes are by far the dearest part of a stanza's way. When a side takes no more,
 * the other is no longer read. If the session throws, both streams end, and the other sessions go on.
 */
import type { Limits } from '../config/limits.ts'
import type { Accounts } from '../session/accounts.ts'
import type { ConnectFailure, Effect, News, Report, SessionEvent } from '../session/event.ts'
import type { Resumptions } from '../session/resumptions.ts'
import { Session, type SessionOptions } from '../session/session.ts'
import { type Kind, kindOf } from '../stanza/stanza.ts'
import type { Side, StreamItem } from '../stream/item.ts'
import type { Addresses } from './address.ts'
import type { Rejection } from './admission.ts'
import type { Connection } from './connection.ts'
import { End } from './end.ts'
import type { Refusal } from './front.ts'
import type { Clock } from './nudge.ts'

/** What a session's reports are about. */
export interface About {
  /** Counts the gate's client connections from 1. */
  readonly id: number
  readonly listener: string
  readonly wire: 'tcp' | 'websocket'
  /** As configured; `undefined` as long as no domain was asked for. */
  readonly route: string | undefined
  /** Its name; `undefined`: none was asked for yet. */
  readonly upstream?: string | undefined
  /** The client's IP address, for the log; `undefined`: not known. */
  readonly client?: string | undefined
  /** The version of TLS, as Node names it; `none`: not encrypted, or not by the gate. */
  readonly tls?: string
  /** What went wrong with TLS on either side, in OpenSSL's words or by Node's code; `undefined`: nothing. */
  readonly tlsFault?: string | undefined
  /** When the client connected; milliseconds on the clock of `performance.now`. */
  readonly began?: number
  /** What has come and gone so far; it goes on counting. */
  readonly traffic?: Readonly<Traffic>
  /** The name of the decision that a `judged` report is about; `undefined`: the stanza just went on. */
  readonly decision?: string | undefined
}

/** On the client's side of one stream. */
export interface Traffic {
  bytesFromClient: number
  bytesToClient: number
  stanzasFromClient: number
  stanzasToClient: number
  /** Stanzas of either side that something was said against. */
  decisions: number
}

export interface StreamState {
  readonly wire: About['wire']
  /** The version, as Node names it: `TLSv1.3`; `none`: not encrypted, or not by the gate. */
  readonly tls: string
  readonly phase: Session['phase']
}

/** What whoever runs the gate may ask of a session. */
export interface SessionView extends StreamState {
  /** Counts the gate's client connections from 1. */
  readonly id: number
  readonly listener: string
  /** Names from the configuration; `undefined` as long as no domain was asked for. */
  readonly route: string | undefined
  readonly upstream: string | undefined
  /** The full JID; `undefined` as long as no resource is bound. */
  readonly jid: string | undefined
  /** The client's IP address; `undefined`: not known. */
  readonly address: string | undefined
  /** When its client connected; milliseconds since 1970. */
  readonly since: number
}

/** Those who watch. They are told, and decide nothing. */
export interface Watcher {
  report(report: Report, about: About): void
  /** Bytes that crossed the transport of that side. */
  bytes(side: Side, way: 'received' | 'sent', count: number): void
  /** The gate has written a stanza to this side, one that it forwards or one of its own. */
  sent?(to: Side, kind: Kind, route: string | undefined): void
  /** The time that the session took for one event. Seconds. */
  took(seconds: number): void
  /** The session threw: a bug of ours. */
  fault(error: unknown, about: About): void
  /** A connection was not served: for its PROXY header (`address` is the peer's own), or for what `Admission` says (the client's). */
  refused(reason: Refusal | Rejection, listener: string, address: string | undefined): void
}

/** What all relays of a gate share. */
export interface Surroundings {
  readonly accounts: Accounts<Relay>
  readonly resumptions: Resumptions<Relay>
  readonly limits: Limits
  readonly watcher: Watcher
  /** Milliseconds since 1970. */
  time(): number
  /** See `dial`. */
  dial(
    upstream: string,
    domain: string,
    client: Addresses | undefined,
    done: (connection: Connection) => void,
    failed: (reason: ConnectFailure, detail?: string) => void,
    /** The version of the client's TLS; `undefined`: none, or not known. */
    tls?: string,
  ): () => void
  /** Called once, when both transports are gone. */
  finished(relay: Relay): void
}

export interface Incoming {
  readonly id: number
  readonly listener: string
  readonly connection: Connection
  readonly session: SessionOptions
}

export class Relay {
  private readonly incoming: Incoming
  private readonly around: Surroundings
  private readonly session: Session
  private readonly ends: { client: End; upstream: End | undefined }
  /** What went wrong with TLS when the upstream was dialled. */
  private tlsFault: string | undefined
  private giveUp: (() => void) | undefined
  private timer: NodeJS.Timeout | undefined
  private wanted: number | undefined
  /** The client has used up its rate, and is read again then. */
  private thaw: NodeJS.Timeout | undefined
  private idle: NodeJS.Timeout | undefined
  /** Items that may be read of each side before the others get their turn, which has come when `turn` is over. */
  private quota: Record<Side, number> = { client: itemsAtOnce, upstream: itemsAtOnce }
  private turn: NodeJS.Immediate | undefined
  private account: string | undefined
  private finished = false
  private readonly since: number
  private readonly began = now()
  private readonly traffic: Traffic = {
    bytesFromClient: 0,
    bytesToClient: 0,
    stanzasFromClient: 0,
    stanzasToClient: 0,
    decisions: 0,
  }
  private readonly open = new Set<Side>()
  /** The session has thrown, and is not asked again. */
  private broken = false

  constructor(incoming: Incoming, around: Surroundings) {
    this.incoming = incoming
    this.around = around
    this.since = around.time()
    this.session = new Session(incoming.session, now())
    const { connection } = incoming
    this.ends = { client: this.makeEnd('client', connection), upstream: undefined }
    this.watch({ report: 'stream-opened', side: 'client' })
    this.setTimer()
    this.begin('client', connection)
  }

  /** The gate shuts down; what waits for the peers is waited for so many milliseconds. */
  stop(within: number): void {
    this.receive({ event: 'stop', within })
    this.flush()
  }

  /** The gate has to do without this session. */
  shed(): void {
    this.receive({ event: 'shed' })
    this.flush()
  }

  /** Bytes that wait to be written, to either side; `undefined`: it is about to end, or has ended. */
  get waiting(): number | undefined {
    const { client, upstream } = this.ends
    if (this.broken || this.session.closing || this.session.over) return undefined
    return client.connection.waiting + (upstream?.connection.waiting ?? 0)
  }

  /** What its client's stream is at present. */
  get state(): StreamState {
    const { wire, tls = 'none' } = this.incoming.connection
    return { wire, tls, phase: this.session.phase }
  }

  get view(): SessionView {
    const { id, listener, connection } = this.incoming
    const address = connection.addresses?.source.address
    const { route, upstream, boundTo: jid } = this.session
    return { ...this.state, id, listener, route, upstream, jid, address, since: this.since }
  }

  /** Another stream has resumed the session. */
  private superseded(): void {
    this.receive({ event: 'superseded' })
    this.flush()
  }

  /** What another session of the account has seen. */
  told(news: News): void {
    this.receive({ event: 'told', news })
  }

  abort(): void {
    for (const side of ['client', 'upstream'] as const) this.ends[side]?.connection.abort()
    this.giveUp?.()
  }

  private makeEnd(side: Side, connection: Connection): End {
    const { limits } = this.around
    const late = () => {
      this.receive({ event: 'late' })
      this.flush()
    }
    return new End({ side, connection, limits, clock, late })
  }

  private begin(side: Side, connection: Connection): void {
    const { watcher, limits } = this.around
    this.open.add(side)
    const handlers = {
      data: (bytes: Uint8Array) => {
        watcher.bytes(side, 'received', bytes.byteLength)
        if (side === 'client') this.traffic.bytesFromClient += bytes.byteLength
        this.ends[side]?.push(bytes)
        this.pump(side)
      },
      partly: () => this.ends[side]?.rest(),
      drained: () => this.regulate(),
      stalled: () => {
        this.receive({ event: 'stalled', side })
        this.flush()
      },
      secured: () => {
        const end = this.ends[side]
        if (end !== undefined) end.securing = false
        this.receive({ event: 'secured', side })
        this.pump(side)
      },
      ended: () => {
        // A client that has closed its stream still waits for our end tag.
        if (side === 'upstream' || !this.session.closing) connection.close()
      },
      closed: () => {
        this.open.delete(side)
        this.readToTheEnd(side)
        this.ends[side]?.stop()
        this.receive({ event: 'closed', side })
        this.flush()
      },
      wrote: (count: number) => {
        watcher.bytes(side, 'sent', count)
        if (side === 'client') this.traffic.bytesToClient += count
      },
    }
    connection.start(handlers, limits.times)
  }

  /** Reads what is there, as far as it may be read; then what was held back for the answer. */
  private pump(side: Side): void {
    this.read(side)
    if (side === 'upstream') this.read('client')
    this.ends[side]?.rest()
    this.flush()
  }

  private read(side: Side): void {
    for (;;) {
      const end = this.ends[side]
      if (end === undefined || this.broken || (side === 'client' && this.session.holding)) return
      if (this.quota[side] === 0) return this.yield()
      const item = this.next(end)
      if (item === undefined) return
      this.quota[side] -= 1
      this.receive({ event: 'item', from: side, item })
    }
  }

  /** The others get their turn; then this goes on. */
  private yield(): void {
    this.turn ??= setImmediate(() => {
      this.turn = undefined
      this.quota = { client: itemsAtOnce, upstream: itemsAtOnce }
      for (const side of ['upstream', 'client'] as const) this.pump(side)
    })
  }

  /** Its transport is gone, and what it has said before is still to be heard. */
  private readToTheEnd(side: Side): void {
    this.quota[side] = Number.POSITIVE_INFINITY
    this.ends[side]?.release()
    this.read(side)
  }

  private next(end: End): StreamItem | undefined {
    try {
      return end.next()
    } catch (error) {
      this.fail(error)
      return undefined
    }
  }

  private receive(event: SessionEvent): void {
    if (this.broken) return event.event === 'closed' ? this.bury(event.side) : undefined
    try {
      const began = now()
      const effects = this.session.receive(event, began)
      this.around.watcher.took((now() - began) / 1_000)
      for (const effect of effects) this.perform(effect)
    } catch (error) {
      return this.fail(error)
    }
    this.setTimer()
    if (this.session.over) this.finish()
  }

  private perform(effect: Effect): void {
    switch (effect.effect) {
      case 'send':
        return this.send(effect.to, effect.item)
      case 'report':
        return this.watch(effect.report)
      case 'connect':
        return this.connect(effect.upstream, effect.domain)
      case 'restart':
        return this.ends[effect.side]?.framing.restart()
      case 'secure':
        return this.ends[effect.side]?.secure()
      case 'admit':
        return this.ends.client.admit()
      case 'settle':
        return this.settle()
      case 'close':
        return this.ends[effect.side]?.close()
      case 'abort':
        return this.ends[effect.side]?.connection.abort()
      case 'recall':
        this.account = effect.account
        return this.receive({ event: 'ledger', recalled: this.around.accounts.attach(effect.account, this) })
      case 'keep':
        return this.around.resumptions.enter(effect.key, effect.bound, this, effect.patience)
      case 'fetch':
        return this.receive({ event: 'fetched', found: this.around.resumptions.find(effect.key, now()) })
      case 'take':
        return this.around.resumptions.take(effect.key, this)?.superseded()
      case 'lose':
        return this.around.resumptions.lose(this, now())
      case 'leave':
        return this.around.resumptions.leave(this)
      case 'tell':
        return this.spread(this.around.accounts.tell(effect.account, this, effect.news, this.around.time()))
    }
  }

  private send(to: Side, item: StreamItem): void {
    this.ends[to]?.write(item)
    const kind = item.item === 'element' ? kindOf(item.element) : undefined
    if (kind === undefined) return
    if (to === 'client') this.traffic.stanzasToClient++
    this.around.watcher.sent?.(to, kind, this.session.route)
  }

  private settle(): void {
    for (const side of ['client', 'upstream'] as const) this.ends[side]?.settle()
    this.watchSilence()
  }

  /** A silent client is pinged; a WebSocket has pings of its own. */
  private watchSilence(): void {
    const { client } = this.ends
    const { idle } = this.around.limits.times
    if (client.silence >= idle) client.ping()
    this.idle = setTimeout(() => this.watchSilence(), Math.max(idle - client.silence, 1_000))
  }

  private connect(upstream: string, domain: string): void {
    this.giveUp = this.around.dial(
      upstream,
      domain,
      this.incoming.connection.addresses,
      connection => {
        this.giveUp = undefined
        this.ends.upstream = this.makeEnd('upstream', connection)
        this.receive({ event: 'connected' })
        this.begin('upstream', connection)
        this.flush()
      },
      (reason, detail) => {
        this.giveUp = undefined
        this.tlsFault = detail
        this.receive({ event: 'refused', reason })
        this.flush()
      },
      this.incoming.connection.tls,
    )
  }

  private spread({ tell, reports }: ReturnType<Accounts<Relay>['tell']>): void {
    for (const report of reports) this.watch(report)
    for (const [relay, news] of tell) relay.told(news)
  }

  private flush(): void {
    this.ends.client.flush()
    this.ends.upstream?.flush()
    this.regulate()
  }

  /** A side is read while the session wants to hear it and the other side takes what comes of it. */
  private regulate(): void {
    const { client, upstream } = this.ends
    const { buffer } = this.around.limits
    const isFull = (end: End | undefined) => end !== undefined && end.connection.waiting > buffer
    const wait = client.wait
    // A client that does not take the gate's own answers gets to say no more that has to be answered.
    client.hold(wait > 0 || this.turn !== undefined || this.session.holding || isFull(client) || isFull(upstream))
    upstream?.hold(this.turn !== undefined || isFull(client))
    if ((wait === 0 && !client.isSpent) || this.thaw !== undefined || this.finished) return
    this.thaw = setTimeout(() => {
      this.thaw = undefined
      this.pump('client')
    }, wait)
  }

  private setTimer(): void {
    const { deadline } = this.session
    if (deadline === this.wanted) return
    this.wanted = deadline
    clearTimeout(this.timer)
    if (deadline === undefined) return
    this.timer = setTimeout(
      () => {
        this.wanted = undefined
        this.receive({ event: 'deadline' })
        this.flush()
      },
      Math.max(deadline - now(), 0),
    )
  }

  private watch(report: Report): void {
    if (report.report === 'judged') this.count(report)
    this.around.watcher.report(report, this.about)
  }

  private count({ from, said, verdict }: Extract<Report, { report: 'judged' }>): void {
    const { traffic } = this
    if (from === 'client') traffic.stanzasFromClient++
    if (verdict !== 'forward' || said.some(each => each.verdict !== 'forward')) traffic.decisions++
  }

  private get about(): About {
    const { id, listener, connection } = this.incoming
    const { wire, addresses, tls = 'none' } = connection
    const { route, upstream } = this.session
    const { traffic, began } = this
    const tlsFault = this.tlsFault ?? this.ends.upstream?.connection.tlsFault ?? connection.tlsFault
    return { id, listener, wire, tls, tlsFault, route, upstream, client: addresses?.source.address, traffic, began }
  }

  /** Fail closed, one session at a time. */
  private fail(error: unknown): void {
    this.broken = true
    this.around.watcher.fault(error, this.about)
    this.ends.client.write({ item: 'error', condition: 'internal-server-error' })
    this.ends.client.write({ item: 'close' })
    this.flush()
    for (const side of ['client', 'upstream'] as const) this.ends[side]?.connection.close()
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.abort(), burialAfter)
  }

  /** The ends of a session that has thrown are told in its place: what was opened is counted as closed. */
  private bury(side: Side): void {
    this.watch({ report: 'stream-closed', side, cause: 'gate-error' })
    if (this.open.size > 0) return
    const jid = this.session.boundTo
    if (jid !== undefined) this.watch({ report: 'session-closed', jid, cause: 'gate-error' })
    this.finish()
  }

  private finish(): void {
    if (this.finished) return
    this.finished = true
    for (const timer of [this.timer, this.thaw, this.idle]) clearTimeout(timer)
    clearImmediate(this.turn)
    for (const side of ['client', 'upstream'] as const) this.ends[side]?.stop()
    this.giveUp?.()
    this.around.resumptions.leave(this)
    if (this.account !== undefined) this.spread(this.around.accounts.detach(this.account, this))
    this.around.finished(this)
  }
}

/** Some milliseconds' work: a flood of one connection is no silence for the others. */
const itemsAtOnce = 100

/** Milliseconds that the peers of a session that has thrown have to go. */
const burialAfter = 5_000

const clock: Clock = {
  now,
  after: (milliseconds, call) => {
    const timer = setTimeout(call, milliseconds)
    return () => clearTimeout(timer)
  },
}

function now(): number {
  return performance.now()
}
