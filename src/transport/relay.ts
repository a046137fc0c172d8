/**
 * The one place where effects become deeds: bytes to items to the session, and what the session wants back to the sockets.
 *
 *   client ══ Connection ─ Framing ─┐                ┌─ Framing ─ Connection ══ upstream
 *                                   └─▶ Session ◀────┘
 *
 * All that one read produced leaves in one write: writes are by far the dearest part of a stanza's way. When a side takes no more,
 * the other is no longer read. If the session throws, both streams end, and the other sessions go on.
 */
import type { Accounts } from '../session/accounts.ts'
import type { ConnectFailure, Effect, News, Report, SessionEvent } from '../session/event.ts'
import type { Resumptions } from '../session/resumptions.ts'
import { Session, type SessionOptions } from '../session/session.ts'
import { type Framing, makeFraming } from '../stream/framing.ts'
import { other, type Side, type StreamItem } from '../stream/item.ts'
import { clientLimits, strangerLimits, upstreamLimits } from '../stream/limits.ts'
import type { Addresses } from './address.ts'
import type { Connection } from './connection.ts'
import type { Refusal } from './front.ts'
import { type Clock, Nudge } from './nudge.ts'

/** What a session's reports are about. */
export interface About {
  /** Counts the gate's client connections from 1. */
  readonly id: number
  readonly listener: string
  readonly wire: 'tcp' | 'websocket'
  /** As configured; `undefined` as long as no domain was asked for. */
  readonly route: string | undefined
  /** The client's IP address, for the log; `undefined`: not known. */
  readonly client?: string | undefined
}

/** Those who watch. They are told, and decide nothing. */
export interface Watcher {
  report(report: Report, about: About): void
  /** Bytes that crossed the transport of that side. */
  bytes(side: Side, way: 'received' | 'sent', count: number): void
  /** The time that the session took for one event. Seconds. */
  took(seconds: number): void
  /** The session threw: a bug of ours. */
  fault(error: unknown, about: About): void
  /** A connection was closed for its PROXY header; `address` is the peer's own, `undefined`: it is gone. */
  refused(reason: Refusal, listener: string, address: string | undefined): void
}

/** What all relays of a gate share. */
export interface Surroundings {
  readonly accounts: Accounts<Relay>
  readonly resumptions: Resumptions<Relay>
  readonly watcher: Watcher
  /** See `dial`. */
  dial(
    upstream: string,
    domain: string,
    client: Addresses | undefined,
    done: (connection: Connection) => void,
    failed: (reason: ConnectFailure) => void,
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

interface End {
  readonly connection: Connection
  readonly framing: Framing
  readonly outbox: string[]
  /** From the bound resource on, where white space may stand between stanzas. */
  nudge: Nudge | undefined
  paused: boolean
  /** TLS is being negotiated: nothing is read as XML. */
  securing: boolean
}

export class Relay {
  private readonly incoming: Incoming
  private readonly around: Surroundings
  private readonly session: Session
  private readonly ends: { client: End; upstream: End | undefined }
  private giveUp: (() => void) | undefined
  private timer: NodeJS.Timeout | undefined
  private wanted: number | undefined
  private account: string | undefined
  private finished = false
  private readonly open = new Set<Side>()
  /** The session has thrown, and is not asked again. */
  private broken = false

  constructor(incoming: Incoming, around: Surroundings) {
    this.incoming = incoming
    this.around = around
    this.session = new Session(incoming.session, now())
    const { connection } = incoming
    this.ends = { client: this.makeEnd('client', connection), upstream: undefined }
    this.watch({ report: 'stream-opened', side: 'client' })
    this.setTimer()
    this.begin('client', connection)
  }

  /** The gate shuts down. */
  stop(): void {
    this.receive({ event: 'stop' })
    this.flush()
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
    const framing = makeFraming(connection.wire, side, side === 'client' ? strangerLimits : upstreamLimits)
    return { connection, framing, outbox: [], nudge: undefined, paused: false, securing: false }
  }

  private begin(side: Side, connection: Connection): void {
    const { watcher } = this.around
    this.open.add(side)
    connection.start({
      data: bytes => {
        watcher.bytes(side, 'received', bytes.byteLength)
        const end = this.ends[side]
        if (end === undefined) return
        end.framing.push(bytes)
        this.pump(side)
      },
      drained: () => this.regulate(),
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
        this.ends[side]?.nudge?.stop()
        this.receive({ event: 'closed', side })
        this.flush()
      },
      wrote: count => watcher.bytes(side, 'sent', count),
    })
  }

  /** Reads what is there, as far as it may be read; then what was held back for the answer. */
  private pump(side: Side): void {
    this.read(side)
    if (side === 'upstream') this.read('client')
    this.flush()
  }

  private read(side: Side): void {
    for (;;) {
      const end = this.ends[side]
      if (end === undefined || end.securing || this.broken || (side === 'client' && this.session.holding)) return
      const item = this.next(end.framing)
      if (item === undefined) return
      this.receive({ event: 'item', from: side, item })
    }
  }

  private next(framing: Framing): StreamItem | undefined {
    try {
      return framing.next()
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
        return this.write(effect.to, effect.item)
      case 'report':
        return this.watch(effect.report)
      case 'connect':
        return this.connect(effect.upstream, effect.domain)
      case 'restart':
        return this.ends[effect.side]?.framing.restart()
      case 'secure':
        return this.secure(effect.side)
      case 'admit':
        return this.ends.client.framing.limit(clientLimits)
      case 'settle':
        return this.settle()
      case 'close':
        this.flushEnd(effect.side)
        this.ends[effect.side]?.nudge?.stop()
        return this.ends[effect.side]?.connection.close()
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
        return this.spread(this.around.accounts.tell(effect.account, this, effect.news))
    }
  }

  private settle(): void {
    for (const side of ['client', 'upstream'] as const) {
      const end = this.ends[side]
      if (end === undefined) continue
      end.framing.settle()
      if (end.connection.wire === 'tcp') end.nudge = new Nudge(clock, space => end.connection.write([space]))
    }
  }

  private write(to: Side, item: StreamItem): void {
    const end = this.ends[to]
    if (end !== undefined) end.outbox.push(end.framing.write(item))
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
      reason => {
        this.giveUp = undefined
        this.receive({ event: 'refused', reason })
        this.flush()
      },
    )
  }

  private secure(side: Side): void {
    const end = this.ends[side]
    if (end === undefined) return
    this.flushEnd(side)
    end.securing = true
    const rest = end.framing.takeRest()
    end.framing.restart()
    // A line break behind <starttls/> or <proceed/> is no TLS; anything else is TLS, or an attack that TLS does not survive.
    const first = rest.findIndex(byte => byte !== 0x0a && byte !== 0x0d && byte !== 0x20)
    end.connection.secure(first === -1 ? Buffer.alloc(0) : rest.subarray(first))
  }

  private spread({ tell, reports }: ReturnType<Accounts<Relay>['tell']>): void {
    for (const report of reports) this.watch(report)
    for (const [relay, news] of tell) relay.told(news)
  }

  private flush(): void {
    this.flushEnd('client')
    this.flushEnd('upstream')
    this.regulate()
  }

  private flushEnd(side: Side): void {
    const end = this.ends[side]
    if (end === undefined || end.outbox.length === 0) return
    end.connection.write(end.outbox)
    end.nudge?.wrote(end.outbox)
    end.outbox.length = 0
  }

  /** A side is read while the session wants to hear it and the other side takes what comes of it. */
  private regulate(): void {
    for (const side of ['client', 'upstream'] as const) {
      const end = this.ends[side]
      if (end === undefined || end.securing) continue
      // A client that does not take the gate's own answers gets to say no more that has to be answered.
      const isDeaf = side === 'client' && (this.session.holding || end.connection.full)
      const paused = isDeaf || this.ends[other[side]]?.connection.full === true
      if (paused === end.paused) continue
      end.paused = paused
      if (paused) end.connection.pause()
      else end.connection.resume()
    }
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
    this.around.watcher.report(report, this.about)
  }

  private get about(): About {
    const { id, listener, connection } = this.incoming
    const { wire, addresses } = connection
    return { id, listener, wire, route: this.session.route, client: addresses?.source.address }
  }

  /** Fail closed, one session at a time. */
  private fail(error: unknown): void {
    this.broken = true
    this.around.watcher.fault(error, this.about)
    this.write('client', { item: 'error', condition: 'internal-server-error' })
    this.write('client', { item: 'close' })
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
    clearTimeout(this.timer)
    this.giveUp?.()
    this.around.resumptions.leave(this)
    if (this.account !== undefined) this.spread(this.around.accounts.detach(this.account, this))
    this.around.finished(this)
  }
}

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
