/** Listeners for clients over TCP: plain, with STARTTLS, or with TLS first. */
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type SecureContext, TLSSocket, type Server as TlsServer } from 'node:tls'
import { type Addresses, addressesOf } from '../transport/address.ts'
import type { Connection } from '../transport/connection.ts'
import { alpn, type Securing, TcpConnection } from '../transport/tcp-connection.ts'
import { type Pem, serverTls } from '../transport/tls.ts'
import type { ProxyHeaderReader } from './proxy-header-reader.ts'

/** What a server's connections go through first. */
export type Guard = Pick<ProxyHeaderReader, 'guard' | 'addressesOf'>

/** A client listener with STARTTLS, or without TLS at all when `context` is left out. */
export function plainServer(
  context: (() => SecureContext) | undefined,
  serve: (connection: Connection) => void,
  guard?: Guard,
): Server {
  const securing: Securing | undefined = context && {
    lay: socket => new TLSSocket(socket, { isServer: true, secureContext: context(), ALPNProtocols: [alpn] }),
    event: 'secure',
  }
  const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    serve(new TcpConnection(socket, securing, addressesBy(guard, socket)))
  })
  guard?.guard(server)
  return server
}

/** A client listener where TLS comes first (XEP-0368), within so many milliseconds. A client that names no protocol is served too. */
export function directServer(
  pem: Pem,
  handshakeTimeout: number,
  serve: (connection: Connection) => void,
  guard?: Guard,
): TlsServer {
  const options = {
    ...serverTls(pem),
    handshakeTimeout,
    ALPNProtocols: [alpn],
    allowHalfOpen: true,
    noDelay: true,
  }
  const server = createTlsServer(options, socket => {
    serve(new TcpConnection(socket, undefined, addressesBy(guard, socket)))
  })
  guard?.guard(server)
  // A failed handshake closes its socket by itself; one that has taken too long does not.
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  return server
}

function addressesBy(guard: Guard | undefined, socket: Socket): Addresses | undefined {
  return guard === undefined ? addressesOf(socket) : guard.addressesOf(socket)
}
