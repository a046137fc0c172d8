import type { Wire } from '../stream/framing.ts'
import type { Addresses } from './address.ts'

/** One transport, TCP or WebSocket, as the relay sees it. */
export interface Connection {
  readonly wire: Wire
  /** Of the client, by the word of a trusted proxy if there was one; `undefined`: not known, or an upstream's. */
  readonly addresses: Addresses | undefined
  /** The version of TLS, as Node names it; left out, or `undefined`: there is none. */
  readonly tls?: string | undefined
  /** What went wrong with TLS (`tlsFaultOf`), after which the connection has closed; left out, or `undefined`: nothing. */
  readonly tlsFault?: string | undefined
  /** The relay takes over: reading begins. Without times the peer may be silent, and slow, for ever. */
  start(handlers: ConnectionHandlers, times?: ConnectionTimes): void
  /** Each text is a whole message where the wire has messages; one write for all of them where it has none. */
  write(texts: readonly string[]): void
  /** Bytes that wait to be written; `drained` says when there are none any more. */
  readonly waiting: number
  /** Bytes of a message that has begun and not ended; 0 where the wire has no messages. */
  readonly pending: number
  pause(): void
  resume(): void
  /** Negotiates TLS; `rest` is what was read and belongs to TLS. `secured` follows, or `closed`. */
  secure(rest: Buffer): void
  /** Ends it once everything is written. */
  close(): void
  /** Ends it now. */
  abort(): void
}

export interface ConnectionHandlers {
  data(bytes: Uint8Array): void
  /** A part of a message has come, where the wire has messages. */
  partly?(): void
  /** Nothing waits to be written any more. */
  drained(): void
  /** The peer has taken nothing of what waits for it, for longer than it may. */
  stalled(): void
  secured(): void
  /** The peer will send no more. */
  ended(): void
  /** Nothing follows. */
  closed(): void
  /** Bytes that were handed to the kernel. */
  wrote(bytes: number): void
}

/** Milliseconds. */
export interface ConnectionTimes {
  /** Of silence, after which the kernel asks whether the peer is still there. */
  readonly idle: number
  /** In which a peer takes nothing of what waits for it. */
  readonly slow: number
}
