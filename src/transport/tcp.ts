import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type SecureContext, TLSSocket } from 'node:tls'
import { type Addresses, addressesOf } from './address.ts'
import { type Connection, type ConnectionHandlers, fullAt } from './connection.ts'
import type { Front } from './front.ts'

/** How TLS is laid over a plain socket, whose buffered input is TLS's then. */
export interface Securing {
  lay(socket: Socket): TLSSocket
  /** What tells that it stands; to the dialling side, that the certificate was found good too. */
  readonly event: 'secure' | 'secureConnect'
}

/** The name of XMPP in TLS (XEP-0368). */
export const alpn = 'xmpp-client'

/** Milliseconds for a TLS handshake. */
const handshake = 10_000

/** A client listener with STARTTLS, or without TLS at all when `context` is left out. */
export function plainServer(
  context: (() => SecureContext) | undefined,
  serve: (connection: Connection) => void,
  front?: Front,
): Server {
  const securing: Securing | undefined = context && {
    lay: socket => new TLSSocket(socket, { isServer: true, secureContext: context(), ALPNProtocols: [alpn] }),
    event: 'secure',
  }
  const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    serve(new TcpConnection(socket, securing, addressesBy(front, socket)))
  })
  front?.guard(server)
  return server
}

/** A client listener where TLS comes first (XEP-0368). A client that names no protocol is served too. */
export function directServer(
  pem: { cert: string; key: string },
  serve: (connection: Connection) => void,
  front?: Front,
): Server {
  const options = {
    ...pem,
    minVersion: 'TLSv1.2',
    handshakeTimeout: handshake,
    ALPNProtocols: [alpn],
    allowHalfOpen: true,
    noDelay: true,
  } as const
  const server = createTlsServer(options, socket => {
    serve(new TcpConnection(socket, undefined, addressesBy(front, socket)))
  })
  front?.guard(server)
  // A handshake that fails is the peer's affair; the socket is gone already.
  server.on('tlsClientError', () => {})
  return server
}

function addressesBy(front: Front | undefined, socket: Socket): Addresses | undefined {
  return front === undefined ? addressesOf(socket) : front.addressesOf(socket)
}

export class TcpConnection implements Connection {
  readonly wire = 'tcp'
  readonly addresses: Addresses | undefined
  private socket: Socket
  private readonly securing: Securing | undefined
  private handlers: ConnectionHandlers | undefined
  private over = false

  constructor(socket: Socket, securing: Securing | undefined, addresses?: Addresses | undefined) {
    this.socket = socket
    this.securing = securing
    this.addresses = addresses
    // What goes wrong with a transport ends it, and its end is told.
    socket.on('error', () => {})
  }

  start(handlers: ConnectionHandlers): void {
    this.handlers = handlers
    this.listen(this.socket)
  }

  get full(): boolean {
    return this.socket.writableLength > fullAt
  }

  write(texts: readonly string[]): void {
    if (this.over || texts.length === 0 || !this.socket.writable) return
    const bytes = Buffer.from(texts.length === 1 ? (texts[0] as string) : texts.join(''))
    this.socket.write(bytes)
    this.handlers?.wrote(bytes.length)
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
    plain.removeAllListeners('data').removeAllListeners('drain').removeAllListeners('end').removeAllListeners('close')
    plain.pause()
    if (rest.length > 0) plain.unshift(rest)
    const tls = this.securing.lay(plain)
    this.socket = tls
    tls.on('error', () => tls.destroy())
    tls.once(this.securing.event, () => this.handlers?.secured())
    this.listen(tls)
  }

  close(): void {
    if (!this.over) this.socket.end()
  }

  abort(): void {
    this.socket.destroy()
  }

  private listen(socket: Socket): void {
    socket.on('data', bytes => this.handlers?.data(bytes))
    socket.on('drain', () => this.handlers?.drained())
    socket.on('end', () => this.handlers?.ended())
    const closed = () => {
      if (this.over) return
      this.over = true
      this.handlers?.closed()
    }
    socket.on('close', closed)
    if (socket.closed) setImmediate(closed)
  }
}
