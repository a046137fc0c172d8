import type { Wire } from '../stream/framing.ts'
import type { Addresses } from './address.ts'

/** One transport, TCP or WebSocket, as the relay sees it. */
export interface Connection {
  readonly wire: Wire
  /** The client's addresses, from a trusted proxy if there is one; `undefined`: not known, or an upstream's connection. */
  readonly addresses: Addresses | undefined
  /** The version of TLS, as Node names it; left out, or `undefined`: there is none. */
  readonly tls?: string | undefined
  /** What went wrong with TLS (`tlsFaultOf`), after which the connection has closed; left out, or `undefined`: nothing. */
  readonly tlsFault?: string | undefined
  /** Starts reading. Without `times` the peer may be slow for any time. */
  start(handlers: ConnectionHandlers, times?: ConnectionTimes): void
  /** TCP keepalives are sent after so many milliseconds of silence. */
  keepAlive(idle: number): void
  /** Writes texts. On WebSocket each is one message; on TCP all are joined into one write. */
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
  /** Milliseconds in which the peer takes nothing of what waits for it; then `stalled` is called. */
  readonly slow: number
}
