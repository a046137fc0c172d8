/**
 * The admission of one listener: asks `Admission` for each connection as soon as its client is known, and before anything costly
 * is done.
 *   who connects                        is counted                     as
 *   a client                            when it is accepted            itself
 *   a proxy that sends PROXY headers    behind the header              whom the header names
 *   a proxy whose X-Forwarded-For       when it asks for a WebSocket   whom that names
 *   is believed
 * The first two come before TLS: a refusal costs no handshake and closes the connection. The third is answered over HTTP. A proxy
 * that connects for itself, as health checks do, is not counted by its address.
 */
import type { Server, Socket } from 'node:net'
import { type Addresses, addressesOf, sourceOf } from '../transport/address.ts'
import type { Trust } from '../transport/trusted-networks.ts'
import type { Admission } from './admission.ts'
import type { Rejection } from './labels.ts'
import type { ProxyHeaderReader } from './proxy-header-reader.ts'

export interface ListenerAdmissionOptions {
  readonly admission: Admission
  readonly proxyHeaders: ProxyHeaderReader | undefined
  /** Whose X-Forwarded-For is believed. */
  readonly forwards: Trust
  refused(reason: Rejection, address: string | undefined): void
}

/** `stopped`: the gate stops, or the client has left. */
export type AdmissionAnswer = 'granted' | Rejection | 'stopped'

/**
 * Bytes that are read from a waiting client so that its end is noticed. A client has little to say before it is served; the end
 * of one that sends more is not noticed.
 */
const keptAtMost = 16 * 1024

export class ListenerAdmission {
  private readonly options: ListenerAdmissionOptions

  constructor(options: ListenerAdmissionOptions) {
    this.options = options
  }

  /** From now on the server gets a connection once it is admitted. Works for net, tls, http and https alike. */
  guard(server: Server): void {
    const { proxyHeaders, forwards } = this.options
    const isOwn = (peer: string) => proxyHeaders === undefined || !proxyHeaders.trusts(peer)
    this.keep(server, (socket, peer) => {
      if (proxyHeaders !== undefined && isOwn(peer)) return 'pass'
      const client = (proxyHeaders === undefined ? sourceOf(socket) : proxyHeaders.addressesOf(socket)?.source)?.address
      if (client !== undefined && forwards(client)) return 'pass'
      return { address: proxyHeaders !== undefined && client === sourceOf(socket)?.address ? undefined : client }
    })
    if (proxyHeaders === undefined) return
    proxyHeaders.guard(server)
    // A client that comes without a proxy is admitted before the reader of PROXY headers waits for its first bytes.
    this.keep(server, (_socket, peer) => (isOwn(peer) && !forwards(peer) ? { address: peer } : 'pass'))
  }

  /** The client's address and the one that it asked for, be the socket the connection itself or TLS on it. */
  addressesOf(socket: Socket): Addresses | undefined {
    const { proxyHeaders } = this.options
    return proxyHeaders === undefined ? addressesOf(socket) : proxyHeaders.addressesOf(socket)
  }

  /** Asks for a request on a connection of a guarded server, for the client that the request names. */
  async request(socket: Socket, client: string | undefined): Promise<AdmissionAnswer> {
    const own = this.addressesOf(socket)?.source.address
    if (own !== undefined && !this.options.forwards(own)) return 'granted'
    return this.ask(socket, client === own ? undefined : client)
  }

  /** Asks for a connection of a server that is not guarded. The place is held until the connection ends. */
  ask(socket: Socket, client: string | undefined): Promise<AdmissionAnswer> {
    return new Promise(resolve => {
      this.meet(socket, client, {
        pass: () => resolve('granted'),
        stop: reason => resolve(reason ?? 'stopped'),
      })
    })
  }

  private keep(server: Server, who: (socket: Socket, peer: string) => 'pass' | { address: string | undefined }): void {
    const listeners = server.listeners('connection')
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) => {
      const peer = socket.remoteAddress
      // The connection was reset before it was accepted.
      if (peer === undefined) return void socket.destroy()
      const pass = () => {
        for (const listener of listeners) listener.call(server, socket)
      }
      const asked = who(socket, peer)
      if (asked === 'pass') return pass()
      this.meet(socket, asked.address, { pass, stop: () => socket.destroy() })
    })
  }

  private meet(
    socket: Socket,
    address: string | undefined,
    then: { pass(): void; stop(reason: Rejection | undefined): void },
  ): void {
    if (socket.destroyed) return then.stop(undefined)
    let release: (() => void) | undefined
    let said: 'nothing' | 'come' | 'go' = 'nothing'
    const leave = this.options.admission.ask(address, {
      serve: () => {
        said = 'come'
        release?.()
        then.pass()
      },
      refuse: reason => {
        said = 'go'
        release?.()
        if (reason !== undefined) this.options.refused(reason, address)
        then.stop(reason)
      },
    })
    const word = said as 'nothing' | 'come' | 'go'
    if (word === 'go') return
    socket.once('close', leave)
    if (word === 'come') return
    release = hold(socket, () => {
      release?.()
      leave()
      socket.destroy()
      then.stop(undefined)
    })
  }
}

/** Buffers what the socket receives, so that its end is noticed, until the function returned is called: then the bytes are put back. */
function hold(socket: Socket, gone: () => void): () => void {
  const kept: Buffer[] = []
  let size = 0
  const read = () => {
    // Bytes that stay in the socket's own buffer stop Node from reading more.
    while (size + socket.readableLength <= keptAtMost) {
      const bytes = socket.read() as Buffer | null
      if (bytes === null) return
      kept.push(bytes)
      size += bytes.length
    }
  }
  // The 'close' event follows, and is handled.
  socket.on('error', () => {})
  socket.on('readable', read).on('end', gone).on('close', gone)
  return () => {
    socket.off('readable', read).off('end', gone).off('close', gone)
    if (size > 0 && !socket.destroyed) socket.unshift(Buffer.concat(kept))
  }
}
