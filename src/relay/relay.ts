/**
 * Joins one client's connection and its upstream connection. Bytes become items, items go to the session as events, and the
 * effects that the session asks for are carried out here and nowhere else.
 *   client ══ Connection ─ Framing ─┐                ┌─ Framing ─ Connection ══ upstream
 *                                   └─▶ Session ◀────┘
 * Everything that one read has brought about leaves in one write for each side: writes cost more than anything else on a stanza's
 * way (`flush-queue.ts` says when). When one side does not take what is written, the other is no longer read. If the session throws,
 * its two streams end, and other sessions go on.
 */

import type { Accounts } from '../account/accounts.ts'
import type { AccountNews } from '../account/news.ts'
import type { Limits } from '../config/limits.ts'
import type { Member } from '../config/types.ts'
import type { Effect, SessionEvent } from '../session/event.ts'
import { isPlain, type Judged } from '../session/judgement-report.ts'
import type { ConnectFailure } from '../session/labels.ts'
import type { Report } from '../session/report.ts'
import type { ResumableSession } from '../session/resumable-session.ts'
import { type ResumableSessions, restoredSession } from '../session/resumable-sessions.ts'
import { Session, type SessionOptions } from '../session/session.ts'
import type { FoundSession, KeptSession, SessionKeeper } from '../session/session-keeper.ts'
import { bareOf, foldBare } from '../stanza/jid.ts'
import { kindOf } from '../stanza/stanza.ts'
import type { Side, StreamItem } from '../stream/item.ts'
import { systemClock } from '../transport/clock.ts'
import type { Connection } from '../transport/connection.ts'
import type { Retry, Upstreams } from '../upstream/upstreams.ts'
import type { FlushQueue } from './flush-queue.ts'
import { RelaySide } from './relay-side.ts'
import type { About, SessionView, StreamState, Traffic, Watcher } from './watcher.ts'

/** What all relays of a gate share. */
export interface RelayContext {
  readonly accounts: Accounts<Relay>
  readonly resumableSessions: ResumableSessions<Relay>
  /** Has the sessions that other processes have kept; left out: there is none. */
  readonly keeper?: SessionKeeper | undefined
  readonly upstreams: Pick<Upstreams, 'dial' | 'failed' | 'holds' | 'loggedIn'>
  readonly limits: Limits
  readonly watcher: Watcher
  readonly flushes: FlushQueue
  /** Milliseconds since 1970. */
  time(): number
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
  private readonly context: RelayContext
  private readonly session: Session
  private readonly sides: { client: RelaySide; upstream: RelaySide | undefined }
  /** What went wrong with TLS while the upstream was dialled. */
  private tlsFault: string | undefined
  private giveUp: (() => void) | undefined
  /** Of the upstream: the server that the upstream's connection leads to. */
  private member: Member | undefined
  /** Connects to another member of the upstream, as long as the client has seen nothing of this one. */
  private retry: Retry | undefined
  /** Runs while `retry` is there: the member has to send its stream header. */
  private headerTimer: NodeJS.Timeout | undefined
  /** The member is given up: nothing more of it is read. */
  private isUseless = false
  private timer: NodeJS.Timeout | undefined
  private wanted: number | undefined
  /** Runs while the client's rate is used up; then it is read again. */
  private rateTimer: NodeJS.Timeout | undefined
  private idle: NodeJS.Timeout | undefined
  /** Items that may still be read of each side before other connections get their turn. `turn`: that moment is waited for. */
  /** The client has ended its half of the connection. */
  private hasClientEnded = false
  private quota: Record<Side, number> = { client: itemsAtOnce, upstream: itemsAtOnce }
  private turn: NodeJS.Immediate | undefined
  private finished = false
  /** The session is being kept for another process: nothing is read, and it learns nothing. */
  private frozen = false
  /** What another process has kept, and this client has asked for: it is the client's when the server says so. */
  private found: { readonly kept: FoundSession; readonly bound: ResumableSession } | undefined
  /** How often the keeper was asked. */
  private searches = 0
  /** The server has resumed what was found, and it is being taken out: nothing is read, and nothing is written. */
  private isClaiming = false
  private isFlushDue = false
  private readonly since: number
  private readonly began = now()
  private readonly traffic: Traffic = {
    bytesFromClient: 0,
    bytesToClient: 0,
    stanzasFromClient: 0,
    stanzasToClient: 0,
    decisions: 0,
  }
  private readonly open = { client: false, upstream: false }
  /** The session has thrown an exception and is not used any more. */
  private broken = false

  constructor(incoming: Incoming, context: RelayContext) {
    this.incoming = incoming
    this.context = context
    this.since = context.time()
    this.session = new Session(incoming.session, now())
    const { connection } = incoming
    this.sides = { client: this.makeSide('client', connection), upstream: undefined }
    this.watch({ report: 'stream-opened', side: 'client' })
    this.setTimer()
    this.begin('client', connection)
  }

  /** The gate shuts down: the stream is ended. `within`: milliseconds that its peers have for that. */
  stop(within: number): void {
    this.frozen = false
    this.receive({ event: 'stop', within })
    this.flush()
  }

  /**
   * The gate shuts down. What was read is written; from now on nothing is read. Gives what another process needs to go on with the
   * session, until `handOver` or `stop`; `undefined`: none can.
   */
  freeze(): KeptSession | undefined {
    if (this.broken || !this.session.isResumable) return undefined
    const kept = this.context.resumableSessions.takeOut(this)
    if (kept === undefined) return undefined
    this.flush()
    this.frozen = true
    this.regulate()
    return kept
  }

  /** Another process can go on with the session: its connections end without end tags, so that the server keeps it too. */
  handOver(): void {
    this.frozen = false
    this.receive({ event: 'handed-over' })
    this.flush()
  }

  /** The gate is short of memory and ends this session. */
  shed(): void {
    this.receive({ event: 'shed' })
    this.flush()
  }

  /** Bytes that wait to be written to both sides; `undefined`: the session ends already. */
  get waiting(): number | undefined {
    const { client, upstream } = this.sides
    if (this.broken || this.session.closing || this.session.over) return undefined
    return client.connection.waiting + (upstream?.connection.waiting ?? 0)
  }

  /** The state of the client's stream. */
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

  /** Another session of the account has told something. */
  told(news: AccountNews): void {
    if (this.frozen) return
    this.receive({ event: 'account-news', news })
    this.flushSoon()
  }

  abort(): void {
    for (const side of ['client', 'upstream'] as const) this.sides[side]?.connection.abort()
    this.giveUp?.()
  }

  private makeSide(side: Side, connection: Connection): RelaySide {
    const { limits } = this.context
    const late = () => {
      this.receive({ event: 'late' })
      this.flush()
    }
    return new RelaySide({ side, connection, limits, clock: systemClock, late })
  }

  private begin(side: Side, connection: Connection): void {
    const { watcher, limits } = this.context
    this.open[side] = true
    const handlers = {
      data: (bytes: Uint8Array) => {
        watcher.bytes?.(side, 'received', bytes.byteLength)
        if (side === 'client') this.traffic.bytesFromClient += bytes.byteLength
        const at = now()
        this.sides[side]?.push(bytes, at)
        this.pump(side, at)
      },
      partly: () => this.sides[side]?.rest(),
      drained: () => this.regulate(),
      stalled: () => {
        this.receive({ event: 'stalled', side })
        this.flush()
      },
      secured: () => {
        const end = this.sides[side]
        if (end !== undefined) end.securing = false
        this.receive({ event: 'secured', side })
        this.pump(side)
      },
      ended: () => {
        if (side === 'client') return this.endClient()
        this.flush()
        connection.close()
      },
      closed: () => {
        this.open[side] = false
        if (side === 'upstream' && this.redial()) return
        this.readToTheEnd(side)
        this.sides[side]?.stop()
        this.receive({ event: 'closed', side })
        this.flush()
      },
      wrote: (count: number) => {
        watcher.bytes?.(side, 'sent', count)
        if (side === 'client') this.traffic.bytesToClient += count
      },
    }
    connection.start(handlers, limits.times)
  }

  /**
   * The client sends nothing more. What it has sent may not be read yet, because of its rate or of others' turn: `pump` comes back here then. A
   * client that has closed its stream still waits for our end tag.
   */
  private endClient(): void {
    const { client } = this.sides
    this.hasClientEnded = true
    if (this.session.closing || (client.hasUnread && !client.securing && !this.broken)) return
    this.flush()
    client.connection.close()
  }

  /** Reads what has come from this side, then what the client has sent while the session waited for the server. */
  private pump(side: Side, at = now()): void {
    this.read(side, at)
    if (side === 'upstream' && this.sides.client.hasUnread) this.read('client', at)
    this.sides[side]?.rest()
    if (this.hasClientEnded) this.endClient()
    if (this.isClaiming) return this.regulate(at)
    if (this.sides.client.unwritten + (this.sides.upstream?.unwritten ?? 0) > unwrittenAtMost) return this.flush(at)
    // A WebSocket may be closed by the next frame of the same read, and takes nothing after that.
    if (this.incoming.connection.wire === 'websocket') this.sides.client.flush(at)
    this.flushSoon(at)
    if (this.isFlushDue) this.regulate(at)
  }

  /** `at`: the time of the read, which is the time of all events in it. Of those the first one is timed. */
  private read(side: Side, at: number): void {
    let events = 0
    let seconds = 0
    for (;;) {
      const end = this.sides[side]
      if (
        end === undefined ||
        this.broken ||
        this.frozen ||
        this.isClaiming ||
        (side === 'client' ? this.session.holding : this.isUseless)
      )
        break
      if (this.quota[side] === 0) {
        this.yield()
        break
      }
      const item = this.next(end, at)
      if (item === undefined) break
      if (side === 'upstream' && this.retry !== undefined && this.session.leadsNowhere(item)) {
        this.giveUpMember()
        break
      }
      this.quota[side] -= 1
      const began = events === 0 ? now() : 0
      const effects = this.ask({ event: 'item', from: side, item }, at)
      if (events++ === 0) seconds = (now() - began) / 1_000
      this.carryOut(effects)
      if (this.retry !== undefined && !this.session.isReaching) this.settleForMember()
    }
    if (events > 0) this.context.watcher.handled?.(seconds, events)
  }

  /** Lets other connections have their turn, then goes on. */
  private yield(): void {
    this.turn ??= setImmediate(() => {
      this.turn = undefined
      this.quota = { client: itemsAtOnce, upstream: itemsAtOnce }
      for (const side of ['upstream', 'client'] as const) this.pump(side)
    })
  }

  /** The connection is gone: what it has sent before is still read. */
  private readToTheEnd(side: Side): void {
    this.quota[side] = Number.POSITIVE_INFINITY
    this.sides[side]?.release()
    this.read(side, now())
  }

  private next(end: RelaySide, at: number): StreamItem | undefined {
    try {
      return end.next(at)
    } catch (error) {
      this.fail(error)
      return undefined
    }
  }

  private receive(event: SessionEvent): void {
    const began = now()
    const effects = this.ask(event, began)
    if (effects === undefined) return
    this.context.watcher.handled?.((now() - began) / 1_000, 1)
    this.carryOut(effects)
  }

  /** What the session wants done; `undefined`: it has thrown, now or before. */
  private ask(event: SessionEvent, at: number): readonly Effect[] | undefined {
    if (this.broken) {
      if (event.event === 'closed') this.bury(event.side)
      return undefined
    }
    try {
      return this.session.receive(event, at)
    } catch (error) {
      this.fail(error)
      return undefined
    }
  }

  private carryOut(effects: readonly Effect[] | undefined): void {
    if (effects === undefined) return
    try {
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
        return this.connect(effect)
      case 'restart':
        return this.sides[effect.side]?.restart()
      case 'secure':
        return this.sides[effect.side]?.secure()
      case 'authenticated':
        return this.sides.client.authenticated()
      case 'negotiated':
        return this.negotiated()
      case 'close':
        if (effect.side === 'upstream' && this.isRedialling) return this.giveUpRedial()
        return this.sides[effect.side]?.close()
      case 'abort':
        if (effect.side === 'upstream' && this.isRedialling) return this.giveUpRedial()
        return this.sides[effect.side]?.connection.abort()
      case 'join-account':
        this.release()
        return this.receive({ event: 'account-joined', snapshot: this.context.accounts.attach(effect.account, this) })
      case 'offer-resumption':
        return this.context.resumableSessions.offer(effect.key, effect.bound, this, effect.resumableFor)
      case 'find-resumable':
        return this.findResumable(effect.key)
      case 'take-over':
        return this.takeOver(effect.key)
      case 'suspend':
        return this.suspend()
      case 'withdraw-resumption':
        return this.context.resumableSessions.withdraw(this)
      case 'tell-account':
        return this.spread(this.context.accounts.tell(this, effect.news, this.context.time()))
    }
  }

  private suspend(): void {
    const { resumableSessions, upstreams } = this.context
    const { boundTo, upstream } = this.session
    const resumableFor = resumableSessions.suspend(this, now())
    const account = boundTo === undefined ? undefined : foldBare(bareOf(boundTo))
    const address = this.incoming.connection.addresses?.source.address
    const { member } = this
    if (member !== undefined && upstream !== undefined && resumableFor !== undefined)
      upstreams.holds(upstream, member, { resumableFor, account, address })
  }

  private findResumable(key: string): void {
    const { resumableSessions, keeper } = this.context
    const here = resumableSessions.find(key, now())
    this.release()
    if (here !== undefined || keeper === undefined || this.searches === searchesAtMost)
      return this.receive({ event: 'resumable-found', found: here })
    this.searches++
    void keeper.find(key).then(kept => {
      const bound = kept && restoredSession(kept.record, this.incoming.session)
      if (kept !== undefined && bound === undefined) keeper.unreadable()
      if (kept !== undefined && bound !== undefined) this.found = { kept, bound }
      if (this.finished) return this.release()
      this.receive({ event: 'resumable-found', found: bound })
      // What the client has sent meanwhile was not read.
      this.pump('client')
      this.flush()
    })
  }

  private takeOver(key: string): void {
    const { found } = this
    if (found === undefined) return this.context.resumableSessions.takeOver(key, this)?.superseded()
    this.found = undefined
    this.isClaiming = true
    void found.kept.claim().then(isClaimed => {
      this.isClaiming = false
      // Somebody else goes on with it: what this one knows of it is not the present state.
      if (!isClaimed) return this.abort()
      this.claimed(found)
    })
  }

  private claimed({ kept, bound }: NonNullable<Relay['found']>): void {
    const { resumableSessions } = this.context
    // Its stream was lost meanwhile: nothing has come to either side since it was kept.
    if (!this.session.isResumable) resumableSessions.restore(kept, this.incoming.session, now())
    else resumableSessions.offer(kept.key, bound, this, kept.resumableFor)
    if (this.finished) return
    for (const side of ['upstream', 'client'] as const) this.pump(side)
    this.flush()
  }

  /** What was found is left to others. */
  private release(): void {
    void this.found?.kept.release()
    this.found = undefined
  }

  private send(to: Side, item: StreamItem): void {
    this.sides[to]?.write(item)
    const kind = item.item === 'element' ? kindOf(item.element) : undefined
    if (kind === undefined) return
    if (to === 'client') this.traffic.stanzasToClient++
    this.context.watcher.sent?.(to, kind, this.session.route)
  }

  private negotiated(): void {
    const { upstream, domain } = this.session
    if (upstream !== undefined) this.context.upstreams.loggedIn(upstream, domain)
    for (const side of ['client', 'upstream'] as const) this.sides[side]?.negotiated()
    const { idle } = this.context.limits.times
    this.idle = setTimeout(() => this.keepAlive(), Math.min(idle, keepAliveAfter))
  }

  /** Keepalives cost four system calls for each connection, which many sessions do not live long enough to need. */
  private keepAlive(): void {
    const { idle } = this.context.limits.times
    for (const side of ['client', 'upstream'] as const) this.sides[side]?.connection.keepAlive(idle)
    this.watchSilence()
  }

  /** Sends white space to a silent client; WebSockets have pings of their own. */
  private watchSilence(): void {
    const { client } = this.sides
    const { idle } = this.context.limits.times
    if (client.silence >= idle) client.ping()
    this.idle = setTimeout(() => this.watchSilence(), Math.max(idle - client.silence, 1_000))
  }

  private connect({ upstream, domain, account }: Extract<Effect, { effect: 'connect' }>): void {
    const { addresses: client, tls } = this.incoming.connection
    const done = (connection: Connection, member: Member, retry: Retry | undefined) => {
      const isFirst = this.member === undefined
      this.giveUp = undefined
      this.member = member
      this.retry = retry
      this.isUseless = false
      if (retry !== undefined) this.awaitHeader()
      this.sides.upstream = this.makeSide('upstream', connection)
      this.receive({ event: isFirst ? 'connected' : 'reconnected' })
      this.begin('upstream', connection)
      this.flush()
    }
    const failed = (reason: ConnectFailure, detail?: string) => {
      this.giveUp = undefined
      this.tlsFault = detail
      // The session knows only of the first member, which was connected.
      this.receive(this.member === undefined ? { event: 'refused', reason } : { event: 'closed', side: 'upstream' })
      this.flush()
    }
    this.giveUp = this.context.upstreams.dial({ upstream, domain, account, client, tls }, done, failed)
  }

  /** The member has a while for its stream header. What has come by then is read first: it may be the gate that was late. */
  private awaitHeader(): void {
    const within = Math.min(headerWithin, this.context.limits.times.answer / 2)
    const late = () => {
      if (this.retry !== undefined) this.giveUpMember()
    }
    this.headerTimer = setTimeout(() => setImmediate(late), within)
  }

  /** The client sees this member from now on: no other one is tried. */
  private settleForMember(): void {
    clearTimeout(this.headerTimer)
    this.retry = undefined
  }

  /** What has come of this member is of no use, or nothing has come: once its connection is gone, another one is tried. */
  private giveUpMember(): void {
    this.isUseless = true
    this.sides.upstream?.connection.abort()
  }

  /** This member's connection is gone, and the client has seen nothing of it: another one is tried. Says whether there is one. */
  private redial(): boolean {
    const { retry, session } = this
    this.settleForMember()
    if (retry === undefined || this.broken || session.closing || session.over) return false
    this.sides.upstream?.stop()
    this.giveUp = retry(this.sides.upstream?.connection.tlsFault)
    return true
  }

  private get isRedialling(): boolean {
    return this.giveUp !== undefined && this.member !== undefined
  }

  /** The session wants no upstream any more. */
  private giveUpRedial(): void {
    this.giveUp?.()
    this.giveUp = undefined
    this.receive({ event: 'closed', side: 'upstream' })
  }

  private spread({ tell, reports }: ReturnType<Accounts<Relay>['tell']>): void {
    for (const report of reports) this.watch(report)
    for (const [relay, news] of tell) relay.told(news)
  }

  private flushSoon(at = now()): void {
    if (this.isFlushDue) return
    this.isFlushDue = true
    this.context.flushes.add(this, at)
  }

  /** Writes what the session has sent. */
  flush(at = now()): void {
    this.isFlushDue = false
    if (!this.isClaiming) {
      this.sides.client.flush(at)
      this.sides.upstream?.flush(at)
    }
    this.regulate(at)
  }

  /** Backpressure: a side is read while the session wants its items and the other side takes what is written to it. */
  private regulate(at = now()): void {
    const { client, upstream } = this.sides
    const { buffer } = this.context.limits
    const wait = client.wait(at)
    const isClientFull = client.connection.waiting > buffer
    const isUpstreamFull = upstream !== undefined && upstream.connection.waiting > buffer
    // A client that does not take the gate's answers is not read: each stanza of it might need another answer.
    const isPaused = this.frozen || this.isClaiming || this.turn !== undefined
    client.hold(wait > 0 || isPaused || isClientFull || isUpstreamFull || this.session.holding)
    upstream?.hold(isPaused || isClientFull)
    if ((wait === 0 && !client.isSpent) || this.rateTimer !== undefined || this.finished) return
    this.rateTimer = setTimeout(() => {
      this.rateTimer = undefined
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
    const { watcher } = this.context
    if (report.report === 'judged') {
      this.count(report)
      if (watcher.plain !== undefined && isPlain(report)) return watcher.plain(report, this.session.route)
    }
    // It was reached, and was of no use.
    if (report.report === 'connect-failed' && this.member !== undefined)
      this.context.upstreams.failed(report.upstream, this.member, this.sides.upstream?.connection.tlsFault)
    watcher.report(report, this.about)
  }

  private count({ from, said, verdict }: Judged): void {
    const { traffic } = this
    if (from === 'client') traffic.stanzasFromClient++
    if (verdict !== 'forward' || said.some(each => each.verdict !== 'forward')) traffic.decisions++
  }

  private get about(): About {
    const { id, listener, connection } = this.incoming
    const { wire, addresses, tls = 'none' } = connection
    const { route, upstream } = this.session
    const { traffic, began } = this
    const tlsFault = this.tlsFault ?? this.sides.upstream?.connection.tlsFault ?? connection.tlsFault
    const client = addresses?.source.address
    return { id, listener, wire, tls, tlsFault, route, upstream, client, traffic, began, decision: undefined }
  }

  /** The session has thrown: its streams end, and nothing else is affected. */
  private fail(error: unknown): void {
    this.broken = true
    this.context.watcher.fault?.(error, this.about)
    this.sides.client.write({ item: 'error', condition: 'internal-server-error' })
    this.sides.client.write({ item: 'close' })
    this.flush()
    for (const side of ['client', 'upstream'] as const) this.sides[side]?.connection.close()
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.abort(), burialAfter)
  }

  /** Reports the end of a session that has thrown, so that what was counted as opened is counted as closed. */
  private bury(side: Side): void {
    this.watch({ report: 'stream-closed', side, cause: 'gate-error' })
    if (this.open.client || this.open.upstream) return
    const jid = this.session.boundTo
    if (jid !== undefined) this.watch({ report: 'session-closed', jid, cause: 'gate-error' })
    this.finish()
  }

  private finish(): void {
    if (this.finished) return
    this.finished = true
    for (const timer of [this.timer, this.rateTimer, this.idle, this.headerTimer]) clearTimeout(timer)
    clearImmediate(this.turn)
    for (const side of ['client', 'upstream'] as const) this.sides[side]?.stop()
    this.giveUp?.()
    this.release()
    this.context.resumableSessions.withdraw(this)
    this.spread(this.context.accounts.detach(this))
    this.context.finished(this)
  }
}

/** Items of one connection that are read in one go: some milliseconds of work. A flood does not hold up other connections. */
const itemsAtOnce = 100

/** Milliseconds that a member has for its stream header, with STARTTLS if it is asked for it, while there is another one to try. */
const headerWithin = 5_000

/** Sessions that one stream may ask the keeper for: an honest client asks for one. */
const searchesAtMost = 5

/** Milliseconds after which a negotiated session has TCP keepalives. Before, the deadlines of the negotiation find a peer that is gone. */
const keepAliveAfter = 60_000

/** Characters that wait for the end of the event loop's turn; more are written at once. */
const unwrittenAtMost = 16_384

/** Milliseconds after which the connections of a session that has thrown are cut. */
const burialAfter = 5_000

function now(): number {
  return performance.now()
}
