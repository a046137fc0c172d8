/**
 * Reads the PROXY header of connections that come through a proxy, before TLS, HTTP or XMPP. The server gets the connection as if
 * it began behind the header.
 *   proxy ── header ─▶ ProxyHeaderReader ── the rest, untouched ─▶ the server's own 'connection' listeners
 */

import type { Server, Socket } from 'node:net'
import { type Addresses, addressesOf } from '../transport/address.ts'
import { beginsHeader, decodeProxyHeader } from '../transport/proxy-protocol.ts'
import type { Trust } from '../transport/trusted-networks.ts'
import type { Refusal } from './labels.ts'

export interface ProxyHeaderReaderOptions {
  readonly trusts: Trust
  /** A connection was closed. `address`: of the peer itself. */
  refused(reason: Refusal, address: string): void
  /** Calls back after so many milliseconds, unless the function returned is called before. Default: a timer. */
  after?(milliseconds: number, callback: () => void): () => void
}

/** Milliseconds to wait for the header. It comes with the first packet; HAProxy itself waits 5 s. */
const headerTimeout = 5_000

type HeaderVerdict =
  | { readonly sentence: 'wait' }
  | { readonly sentence: 'pass'; readonly addresses: Addresses | undefined; readonly rest: Buffer }
  | { readonly sentence: 'refuse'; readonly reason: Refusal }

export class ProxyHeaderReader {
  private readonly options: ProxyHeaderReaderOptions
  /** Connections whose header is awaited, with the function that ends the waiting. */
  private readonly waiting = new Map<Socket, () => void>()
  /** Addresses that the headers of open connections have named. */
  private readonly told = new Map<string, Addresses>()

  constructor(options: ProxyHeaderReaderOptions) {
    this.options = options
  }

  /** From now on the server gets a connection once its header was read. Works for net, tls, http and https alike. */
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

  /** Closes the connections whose header has not come yet. */
  stop(): void {
    for (const [socket, part] of this.waiting) {
      part()
      socket.destroy()
    }
  }

  private meet(socket: Socket, pass: () => void): void {
    const { trusts, refused, after = timer } = this.options
    const peer = socket.remoteAddress
    // Reset before it was accepted, as by HAProxy's health checks: there is no address to check any more.
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
    // A client that connects directly may be slow; the server has its own time limit.
    const forget = after(headerTimeout, () => (isTrusted ? refuse('timeout') : admit(undefined, held)))
    this.waiting.set(socket, part)
    // The 'close' event follows, and is handled.
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

/** A header is refused: this peer is no trusted proxy. */
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

/** A TLS socket shows the peer of the socket below it, and no other link to it. A listener has one connection of an address and port. */
function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}

function timer(milliseconds: number, callback: () => void): () => void {
  const timeout = setTimeout(callback, milliseconds)
  return () => clearTimeout(timeout)
}
