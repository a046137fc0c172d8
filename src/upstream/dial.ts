import { connect, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type SecureVersion } from 'node:tls'
import type { ConnectFailure } from '../session/labels.ts'
import type { Addresses } from '../transport/address.ts'
import type { Connection } from '../transport/connection.ts'
import { encodeProxyHeader, type ProxyVersion } from '../transport/proxy-protocol.ts'
import { alpn, DirectReads, TcpConnection } from '../transport/tcp-connection.ts'
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
 * The highest TLS version for a connection to an upstream. A server may state its TLS version in SCRAM's `t=` (XEP-0515). It
 * would state that of the gate's connection, and a client with another version would take it for an attack. So both connections
 * use one version, where the server offers it.
 */
export interface TlsAtMost {
  readonly version: SecureVersion
  /** The server has refused this version. */
  refused(): void
}

export interface DialOptions {
  /** The XMPP domain. */
  readonly domain: string
  /** Whom a PROXY header names; `undefined`: not known. */
  readonly client: Addresses | undefined
  /** The highest TLS version; left out: none is set. */
  readonly atMost?: TlsAtMost | undefined
  /** Milliseconds until the attempt, with its TLS handshake, is given up. Left out: `connectTimeout`. */
  readonly timeout?: number
  /** Called when the connection that was made is gone. */
  closed?(): void
}

const connectTimeout = 10_000

/**
 * Makes one connection attempt; the function returned gives it up. Exactly one of the two callbacks is called, and none after
 * giving up. `detail`: the name of a TLS fault in OpenSSL or Node.
 */
export function dial(
  target: Target,
  { domain, client, atMost, timeout = connectTimeout, closed }: DialOptions,
  done: (connection: Connection) => void,
  failed: (reason: ConnectFailure, detail?: string) => void,
): () => void {
  const { address: host, port } = target
  const lay = (below: Socket) => {
    const name = target.servername ?? domain
    const tls: ConnectionOptions = { ...upstreamTls(target.ca), ALPNProtocols: [alpn], socket: below, host }
    if (atMost !== undefined) tls.maxVersion = atMost.version
    // An IP address is no server name (RFC 6066 section 3); the certificate is then checked against the address.
    if (isIP(name) === 0) tls.servername = name
    return connectTls(tls).once('error', error => {
      if (isOfVersion(error)) atMost?.refused()
    })
  }
  // TLS takes its bytes from the socket itself.
  const reads = target.mode === 'none' ? new DirectReads() : undefined
  const lost = (error: Error) => settle(reasonOf(error), error)
  const options = { host, port, noDelay: true, allowHalfOpen: true, ...(reads && { onread: reads.option }) }
  let socket = connect(options, () => {
    // The PROXY header comes before TLS.
    if (target.proxyProtocol !== undefined) socket.write(encodeProxyHeader(target.proxyProtocol, client))
    if (target.mode !== 'direct') return settle(undefined)
    socket = lay(socket).once('secureConnect', () => settle(undefined))
    socket.once('error', lost)
  })
  socket.once('error', lost)
  const timer = setTimeout(() => settle('timeout'), timeout)
  let settled = false
  function settle(reason: ConnectFailure | undefined, error?: Error): void {
    if (settled) return
    settled = true
    clearTimeout(timer)
    if (reason === undefined) {
      // STARTTLS takes all listeners off the socket below.
      const over = once(closed)
      const layWatched = (below: Socket) => lay(below).once('close', over)
      socket.once('close', over)
      const securing = target.mode === 'none' ? undefined : ({ lay: layWatched, event: 'secureConnect' } as const)
      return done(new TcpConnection(socket, securing, undefined, reads))
    }
    socket.destroy()
    failed(reason, reason === 'tls' ? tlsFaultOf(error) : undefined)
  }
  return () => {
    settled = true
    clearTimeout(timer)
    socket.destroy()
  }
}

/** Calls it at the first call alone. */
function once(call: (() => void) | undefined): () => void {
  let next = call
  return () => {
    const now = next
    next = undefined
    now?.()
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

/** The server accepts none of the TLS versions that were offered. */
function isOfVersion(error: Error): boolean {
  return /protocol version|unsupported protocol|no protocols available/i.test(tlsFaultOf(error) ?? '')
}

/** An error that is none of the network is one of TLS: the certificate, its name, the protocol. */
function reasonOf(error: Error): ConnectFailure {
  return reasons.get((error as NodeJS.ErrnoException).code ?? '') ?? 'tls'
}
