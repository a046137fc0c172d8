/** One side of a relay: its connection, what is read from it, what waits to be written to it, and how long each may take. */
import type { Limits } from '../config/limits.ts'
import { type Framing, makeFraming } from '../stream/framing.ts'
import type { Side, StreamItem } from '../stream/item.ts'
import type { Clock } from '../transport/clock.ts'
import type { Connection } from '../transport/connection.ts'
import { TokenBucket } from '../transport/token-bucket.ts'
import { ElementDeadline } from './element-deadline.ts'
import { ReparseFlush } from './reparse-flush.ts'

export interface RelaySideOptions {
  readonly side: Side
  readonly connection: Connection
  readonly limits: Limits
  readonly clock: Clock
  /** The peer has begun an element and does not end it. */
  late(): void
}

export class RelaySide {
  readonly connection: Connection
  readonly framing: Framing
  /** Its rate is used up before everything was read: it is read again later, also if no more bytes come. */
  isSpent = false
  /** TLS is being negotiated: nothing is read as XML. */
  securing = false
  private readonly options: RelaySideOptions
  private readonly outbox: string[] = []
  /** Characters that were sent and not given to the connection yet. */
  unwritten = 0
  private readonly elementDeadline: ElementDeadline | undefined
  private stanzas: TokenBucket | undefined
  private bytes: TokenBucket | undefined
  /** Used from the bound resource on, when white space may be sent between stanzas. */
  private reparseFlush: ReparseFlush | undefined
  private paused = false
  private ended = false
  private lastRead: number
  /** What was pushed was not read to its end. */
  hasUnread = false

  constructor(options: RelaySideOptions) {
    const { side, connection, limits, clock } = options
    const isClient = side === 'client'
    this.options = options
    this.connection = connection
    this.framing = makeFraming(connection.wire, side, isClient ? limits.beforeLogin : limits.upstream)
    this.lastRead = clock.now()
    if (!isClient) return
    const pending = () => this.framing.pending + connection.pending
    this.elementDeadline = new ElementDeadline(clock, limits.times.stanza, pending, () => options.late())
    this.stanzas = new TokenBucket(limits.rate.beforeLogin, clock.now())
    this.bytes = new TokenBucket(limits.rate.bytes, clock.now())
  }

  /** `at`: the time, on the clock of the options. */
  push(bytes: Uint8Array, at: number): void {
    this.lastRead = at
    this.bytes?.take(bytes.byteLength, at)
    this.hasUnread = true
    this.framing.push(bytes)
  }

  /** A new stream begins. */
  restart(): void {
    this.hasUnread = true
    this.framing.restart()
  }

  /** The next item; `undefined`: more bytes are needed, or the rate is used up. */
  next(at: number): StreamItem | undefined {
    if (this.securing) return undefined
    this.isSpent = this.wait(at) > 0
    if (this.isSpent) return undefined
    const item = this.framing.next()
    if (item === undefined) {
      this.hasUnread = false
      return undefined
    }
    this.ended = true
    if (item.item === 'element') this.stanzas?.take(1, at)
    return item
  }

  /** Everything that can be read at present was read. */
  rest(): void {
    this.elementDeadline?.read(this.ended)
    this.ended = false
  }

  /** Milliseconds until more may be read; 0: now. */
  wait(at: number): number {
    if (this.stanzas === undefined || this.bytes === undefined) return 0
    return Math.max(this.stanzas.wait(at), this.bytes.wait(at))
  }

  /** Milliseconds since bytes came from it; 0 while it is not read. */
  get silence(): number {
    return this.paused ? 0 : this.options.clock.now() - this.lastRead
  }

  hold(paused: boolean): void {
    if (this.securing || paused === this.paused) return
    this.paused = paused
    this.elementDeadline?.hold(paused)
    if (paused) this.connection.pause()
    else this.connection.resume()
  }

  write(item: StreamItem): void {
    const text = this.framing.write(item)
    this.unwritten += text.length
    this.outbox.push(text)
  }

  flush(at = this.options.clock.now()): void {
    if (this.outbox.length === 0) return
    this.connection.write(this.outbox)
    this.reparseFlush?.wrote(this.outbox, at)
    this.outbox.length = 0
    this.unwritten = 0
  }

  /** The client has authenticated: the limits of authenticated clients apply. */
  authenticated(): void {
    const { limits, clock } = this.options
    this.framing.limit(limits.client)
    this.stanzas = new TokenBucket(limits.rate.stanzas, clock.now())
  }

  /** No more bytes come: what is there is read without the rate. */
  release(): void {
    this.stanzas = undefined
    this.bytes = undefined
  }

  negotiated(): void {
    this.framing.readInBulk()
    const { connection, options } = this
    if (connection.wire === 'tcp')
      this.reparseFlush = new ReparseFlush(options.clock, space => connection.write([space]))
  }

  /**
   * A white space keepalive: keeps NATs and proxies from closing the connection, and shows whether it still exists (RFC 6120
   * section 4.6.1).
   */
  ping(): void {
    this.lastRead = this.options.clock.now()
    if (this.reparseFlush !== undefined) this.connection.write([' '])
  }

  secure(): void {
    this.flush()
    this.securing = true
    const rest = this.framing.takeRest()
    this.framing.restart()
    // A line break behind <starttls/> or <proceed/> is not TLS and is dropped. Anything else is TLS, or an attack that the
    // handshake ends.
    const first = rest.findIndex(byte => byte !== 0x0a && byte !== 0x0d && byte !== 0x20)
    this.connection.secure(first === -1 ? Buffer.alloc(0) : rest.subarray(first))
  }

  close(): void {
    this.flush()
    this.stop()
    this.connection.close()
  }

  /** Nothing is read or timed any more. */
  stop(): void {
    this.reparseFlush?.stop()
    this.elementDeadline?.stop()
  }
}
