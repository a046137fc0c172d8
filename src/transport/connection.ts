import type { Wire } from '../stream/framing.ts'
import type { Addresses } from './address.ts'

/** One transport, TCP or WebSocket, as the relay sees it. */
export interface Connection {
  readonly wire: Wire
  /** Of the client, by the word of a trusted proxy if there was one; `undefined`: not known, or an upstream's. */
  readonly addresses: Addresses | undefined
  /** The relay takes over: reading begins. */
  start(handlers: ConnectionHandlers): void
  /** Each text is a whole message where the wire has messages; one write for all of them where it has none. */
  write(texts: readonly string[]): void
  /** More waits to be written than should; `drained` says when that is over. */
  readonly full: boolean
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
  drained(): void
  secured(): void
  /** The peer will send no more. */
  ended(): void
  /** Nothing follows. */
  closed(): void
  /** Bytes that were handed to the kernel. */
  wrote(bytes: number): void
}

/** Bytes that may wait to be written before the other side is no longer read. */
export const fullAt = 64 * 1024
