import { connect, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type SecureVersion } from 'node:tls'
import type { ConnectFailure } from '../session/labels.ts'
import type { Addresses } from '../transport/address.ts'
import type { Connection } from '../transport/connection.ts'
import { encodeProxyHeader, type ProxyVersion } from '../transport/proxy-protocol.ts'
import { alpn, TcpConnection } from '../transport/tcp-connection.ts'
import { tlsFaultOf, upstreamTls } from '../transport/tls.ts'

/** Where an upstream is, ready to be dialled. */
export interface Target {
  readonly address: string
  readonly port: number
  readonly mode: 'none' | 'starttls' | 'direct'
  /** PEM of the authorities to trust; `undefined`: the system's. */
  readonly ca: string | undefined
  /** The name that the certificate must bear; `undefined`: the XMPP domain. */
  readonly servername: string | undefined
  /** The upstream expects this header before anything else; `undefined`: none. */
  readonly proxyProtocol: ProxyVersion | undefined
}

/**
 * A server may say in SCRAM's `t=` which version of TLS it sees (XEP-0515). It sees the gate's, and a client of another version would take it
 * for an attack: so both legs have one, where the server has it too.
 */
export interface TlsAtMost {
  readonly version: SecureVersion
  /** The server speaks no version as old as this one. */
  refused(): void
}

/** Milliseconds until a dial, its TLS handshake included, is given up. */
const patience = 10_000

/**
 * Dials once; the function returned gives it up. Exactly one of the two callbacks is called, none after giving up. `client` is whom
 * a PROXY header names. `detail`: what OpenSSL or Node calls the fault, where it is one of TLS. `atMost`: the TLS version of the
 * client, which the leg to the server does not exceed; left out: the client has none, or it is not known.
 */
export function dial(
  target: Target,
  domain: string,
  client: Addresses | undefined,
  done: (connection: Connection) => void,
  failed: (reason: ConnectFailure, detail?: string) => void,
  atMost?: TlsAtMost,
): () => void {
  const name = target.servername ?? domain
  const tls: ConnectionOptions = { ...upstreamTls(target.ca), ALPNProtocols: [alpn] }
  if (atMost !== undefined) tls.maxVersion = atMost.version
  // An address is no server name (RFC 6066 section 3); the certificate is checked against the address then.
  if (isIP(name) === 0) tls.servername = name
  const { address: host, port } = target
  const lay = (below: Socket) =>
    connectTls({ ...tls, socket: below, host }).once('error', error => {
      if (isOfVersion(error)) atMost?.refused()
    })
  const lost = (error: Error) => settle(reasonOf(error), error)
  let socket = connect({ host, port, noDelay: true, allowHalfOpen: true }, () => {
    // Before TLS, even where TLS comes first.
    if (target.proxyProtocol !== undefined) socket.write(encodeProxyHeader(target.proxyProtocol, client))
    if (target.mode !== 'direct') return settle(undefined)
    socket = lay(socket).once('secureConnect', () => settle(undefined))
    socket.once('error', lost)
  })
  socket.once('error', lost)
  const timer = setTimeout(() => settle('timeout'), patience)
  let settled = false
  function settle(reason: ConnectFailure | undefined, error?: Error): void {
    if (settled) return
    settled = true
    clearTimeout(timer)
    if (reason === undefined) return done(new TcpConnection(socket, { lay, event: 'secureConnect' }))
    socket.destroy()
    failed(reason, reason === 'tls' ? tlsFaultOf(error) : undefined)
  }
  return () => {
    settled = true
    clearTimeout(timer)
    socket.destroy()
  }
}

const reasons: ReadonlyMap<string, ConnectFailure> = new Map([
  ['ECONNREFUSED', 'refused'],
  ['ETIMEDOUT', 'timeout'],
  ['EHOSTUNREACH', 'unreachable'],
  ['ENETUNREACH', 'unreachable'],
  ['ENOTFOUND', 'name'],
  ['EAI_AGAIN', 'name'],
  ['ECONNRESET', 'lost'],
  ['EPIPE', 'lost'],
])

/** The other side serves no version of TLS that was offered. */
function isOfVersion(error: Error): boolean {
  return /protocol version|unsupported protocol|no protocols available/i.test(tlsFaultOf(error) ?? '')
}

/** What is no error of the network is one of TLS: a certificate, a name, a protocol. */
function reasonOf(error: Error): ConnectFailure {
  return reasons.get((error as NodeJS.ErrnoException).code ?? '') ?? 'tls'
}
