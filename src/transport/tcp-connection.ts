import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Addresses } from './address.ts'
import type { Connection, ConnectionHandlers, ConnectionTimes } from './connection.ts'
import { tlsFaultOf } from './tls.ts'

/** How TLS is added to a plain socket. Bytes that the socket has buffered belong to TLS then. */
export interface Securing {
  lay(socket: Socket): TLSSocket
  /** The event that says that TLS is established; on the dialling side also that the certificate was accepted. */
  readonly event: 'secure' | 'secureConnect'
}

/**
 * Takes what Node has read from a socket into a buffer of ours (`onread` of `net.connect`), which saves a buffer and an event for each read.
 * The buffer is shared: bytes are valid only during the call.
 */
export class DirectReads {
  private deliver: ((bytes: Uint8Array) => void) | undefined
  private readonly early: Buffer[] = []

  /** The option for `net.connect`. */
  readonly option = {
    buffer: sharedBuffer,
    callback: (length: number, buffer: Uint8Array): boolean => {
      // A Buffer, as it was given.
      const bytes = buffer.subarray(0, length)
      if (this.deliver === undefined) this.early.push(Buffer.from(bytes))
      else this.deliver(bytes)
      return true
    },
  }

  /** From now on bytes go there; first those that came before. */
  to(deliver: (bytes: Uint8Array) => void): void {
    this.deliver = deliver
    for (const bytes of this.early.splice(0)) deliver(bytes)
  }
}

const sharedBuffer = Buffer.allocUnsafeSlow(65_536)

/** The name of XMPP in TLS (XEP-0368). */
export const alpn = 'xmpp-client'

export class TcpConnection implements Connection {
  readonly wire = 'tcp'
  readonly pending = 0
  readonly addresses: Addresses | undefined
  tls: string | undefined
  tlsFault: string | undefined
  private socket: Socket
  private readonly securing: Securing | undefined
  private readonly reads: DirectReads | undefined
  private handlers: ConnectionHandlers | undefined
  private times: ConnectionTimes | undefined
  private over = false
  /** Node's timeout of the socket runs: something waits to be written. */
  private isTimed = false

  /** `reads`: takes what is read from the socket; left out: the socket's events do. */
  constructor(socket: Socket, securing: Securing | undefined, addresses?: Addresses, reads?: DirectReads) {
    this.socket = socket
    this.reads = reads
    this.securing = securing
    this.addresses = addresses
    this.tls = versionOf(socket)
    // A socket error closes the socket, and 'close' is handled.
    socket.on('error', () => {})
  }

  start(handlers: ConnectionHandlers, times?: ConnectionTimes): void {
    this.handlers = handlers
    this.times = times
    this.listen(this.socket)
  }

  get waiting(): number {
    return this.socket.writableLength
  }

  write(texts: readonly string[]): void {
    if (this.over || texts.length === 0 || !this.socket.writable) return
    const text = texts.length === 1 ? (texts[0] as string) : texts.join('')
    const length = Buffer.byteLength(text)
    // ASCII goes to the kernel without a buffer of its own. A string in the queue counts as its UTF-16 units, which are bytes only there.
    if (length === text.length) this.socket.write(text, 'latin1')
    else this.socket.write(Buffer.from(text))
    if (!this.isTimed && this.waiting > 0) this.setTimeout()
    this.handlers?.wrote(length)
  }

  keepAlive(idle: number): void {
    this.socket.setKeepAlive(true, idle)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  secure(rest: Buffer): void {
    if (this.securing === undefined) return this.abort()
    const plain = this.socket
    for (const event of ['data', 'drain', 'end', 'close', 'timeout']) plain.removeAllListeners(event)
    plain.setTimeout(0)
    plain.pause()
    if (rest.length > 0) plain.unshift(rest)
    const tls = this.securing.lay(plain)
    this.socket = tls
    tls.on('error', error => {
      this.tlsFault ??= tlsFaultOf(error)
      tls.destroy()
    })
    tls.once(this.securing.event, () => {
      this.tls = versionOf(tls)
      this.handlers?.secured()
    })
    this.listen(tls)
  }

  close(): void {
    if (!this.over && !this.socket.writableEnded) this.socket.end()
  }

  abort(): void {
    this.socket.destroy()
  }

  /**
   * Node's timeout notices progress within one long write too. It is set only while something waits, since Node sets it again at each read
   * and write.
   */
  private setTimeout(): void {
    this.isTimed = true
    this.socket.setTimeout(this.times?.slow ?? 0)
  }

  private listen(socket: Socket): void {
    if (this.reads === undefined) socket.on('data', bytes => this.handlers?.data(bytes))
    else this.reads.to(bytes => this.handlers?.data(bytes))
    socket.on('drain', () => this.handlers?.drained())
    socket.on('end', () => this.handlers?.ended())
    this.isTimed = false
    socket.on('timeout', () => {
      if (this.waiting > 0) return this.handlers?.stalled()
      this.isTimed = false
      socket.setTimeout(0)
    })
    if (this.waiting > 0) this.setTimeout()
    const closed = () => {
      if (this.over) return
      this.over = true
      this.handlers?.closed()
    }
    socket.on('close', closed)
    if (socket.closed) setImmediate(closed)
  }
}

/** The version of TLS that a socket has negotiated; `undefined`: none. */
export function versionOf(socket: Socket): string | undefined {
  return socket instanceof TLSSocket ? (socket.getProtocol() ?? undefined) : undefined
}
