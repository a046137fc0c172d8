/**
 * What stands between a listener and its server where proxies are in front of it: the PROXY header is read before anything else, be
 * it TLS, HTTP or XMPP, and the server is given the connection as if it began behind the header.
 *
 *   proxy ── header ─▶ Front ── the rest, untouched ─▶ the server's own 'connection' listeners
 */

import type { Server, Socket } from 'node:net'
import { type Addresses, addressesOf } from '../transport/address.ts'
import { beginsHeader, decodeProxyHeader } from '../transport/proxy-protocol.ts'
import type { Trust } from '../transport/trusted-networks.ts'
import type { Refusal } from './labels.ts'

export interface ProxyHeaderReaderOptions {
  readonly trusts: Trust
  /** `address` is the peer's own. */
  refused(reason: Refusal, address: string): void
  /** Calls back after so many milliseconds, unless the function returned is called before. Default: a timer. */
  after?(milliseconds: number, callback: () => void): () => void
}

/** Milliseconds for the header. It comes with the first packet; HAProxy's own patience is 5 s. */
const patience = 5_000

type HeaderVerdict =
  | { readonly sentence: 'wait' }
  | { readonly sentence: 'pass'; readonly addresses: Addresses | undefined; readonly rest: Buffer }
  | { readonly sentence: 'refuse'; readonly reason: Refusal }

export class ProxyHeaderReader {
  private readonly options: ProxyHeaderReaderOptions
  /** Connections whose header is awaited, with what ends the waiting. */
  private readonly waiting = new Map<Socket, () => void>()
  /** What headers have told of the connections there are. */
  private readonly told = new Map<string, Addresses>()

  constructor(options: ProxyHeaderReaderOptions) {
    this.options = options
  }

  /** From now on the server hears of a connection once its header was read. Works for net, tls, http and https alike. */
  guard(server: Server): void {
    const listeners = server.listeners('connection')
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) => {
      this.meet(socket, () => {
        for (const listener of listeners) listener.call(server, socket)
      })
    })
  }

  /** Whether a header is required of this peer, and believed. */
  trusts(peer: string): boolean {
    return this.options.trusts(peer)
  }

  /** The client's address and the one that it asked for, be the socket the connection itself or TLS on it. */
  addressesOf(socket: Socket): Addresses | undefined {
    return this.told.get(keyOf(socket)) ?? addressesOf(socket)
  }

  /** Closes what has not shown its header yet. */
  stop(): void {
    for (const [socket, part] of this.waiting) {
      part()
      socket.destroy()
    }
  }

  private meet(socket: Socket, pass: () => void): void {
    const { trusts, refused, after = timer } = this.options
    const peer = socket.remoteAddress
    // Reset before it was accepted, as HAProxy's health checks are: there is nobody any more to be believed or not.
    if (peer === undefined) return void socket.destroy()
    const isTrusted = trusts(peer)
    let held = Buffer.alloc(0)
    const part = () => {
      forget()
      this.waiting.delete(socket)
      socket.off('readable', read).off('end', ended).off('close', ended)
    }
    const refuse = (reason: Refusal) => {
      part()
      socket.destroy()
      refused(reason, peer)
    }
    const admit = (addresses: Addresses | undefined, rest: Buffer) => {
      part()
      if (addresses !== undefined) this.remember(socket, addresses)
      if (rest.length > 0) socket.unshift(rest)
      pass()
    }
    const read = () => {
      for (let bytes = socket.read() as Buffer | null; bytes !== null; bytes = socket.read()) {
        held = Buffer.concat([held, bytes])
        const judged = isTrusted ? ofTrusted(held) : ofStranger(held)
        if (judged.sentence === 'refuse') return refuse(judged.reason)
        if (judged.sentence === 'pass') return admit(judged.addresses, judged.rest)
      }
    }
    const ended = () => {
      if (isTrusted) return refuse('missing')
      part()
      socket.destroy()
    }
    // A client that comes directly may take its time: how long is for the server to say.
    const forget = after(patience, () => (isTrusted ? refuse('timeout') : admit(undefined, held)))
    this.waiting.set(socket, part)
    // Its end is told.
    socket.on('error', () => {})
    socket.on('readable', read).on('end', ended).on('close', ended)
  }

  private remember(socket: Socket, addresses: Addresses): void {
    const key = keyOf(socket)
    this.told.set(key, addresses)
    socket.once('close', () => {
      if (this.told.get(key) === addresses) this.told.delete(key)
    })
  }
}

/** A header is required, and believed. */
function ofTrusted(bytes: Buffer): HeaderVerdict {
  const header = decodeProxyHeader(bytes)
  switch (header.decoded) {
    case 'more':
      return { sentence: 'wait' }
    case 'header':
      return { sentence: 'pass', addresses: header.addresses, rest: bytes.subarray(header.length) }
    case 'none':
      return { sentence: 'refuse', reason: 'missing' }
    case 'malformed':
      return { sentence: 'refuse', reason: 'malformed' }
  }
}

/** A header would be a lie. */
function ofStranger(bytes: Buffer): HeaderVerdict {
  switch (beginsHeader(bytes)) {
    case 'maybe':
      return { sentence: 'wait' }
    case 'no':
      return { sentence: 'pass', addresses: undefined, rest: bytes }
    case 'yes':
      return { sentence: 'refuse', reason: 'untrusted' }
  }
}

/** TLS has the peer of the socket below it, and no other way to it. A listener has one connection of a peer's address and port. */
function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}

function timer(milliseconds: number, callback: () => void): () => void {
  const timeout = setTimeout(callback, milliseconds)
  return () => clearTimeout(timeout)
}
