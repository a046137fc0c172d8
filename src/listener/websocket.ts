/** The XMPP subprotocol for WebSocket (RFC 7395) as a Fastify plugin, for the gate's own listener and for any application. */
import type { Socket } from 'node:net'
import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import { ns } from '../stream/namespaces.ts'
import { type Addresses, addressesOf, endpoint } from '../transport/address.ts'
import type { Connection, ConnectionHandlers, ConnectionTimes } from '../transport/connection.ts'
import { versionOf } from '../transport/tcp-connection.ts'
import type { AdmissionAnswer } from './listener-admission.ts'
import { type PingTarget, pingEvery, WebsocketPinger } from './websocket-pinger.ts'

export interface WebsocketOptions {
  readonly path: string
  /** Origins that may connect; `undefined`: any. A client that sends none is no browser and passes. */
  readonly origins: readonly string[] | undefined
  /** Bytes of a message; beyond it the socket closes with 1009. The stream's own limit is lower and answers in XML. */
  readonly maxMessage: number
  /** Fragments of a message; beyond it the socket closes with 1008. Default: what ws has. */
  readonly maxFragments?: number
  serve(connection: Connection): void
  /** Who the client of a request is. Default: whom the application takes it for (Fastify's `trustProxy`). */
  addressesOf?(request: FastifyRequest): Addresses | undefined
  /** Asked before an upgrade that would be granted, for the client of the request. Default: everybody is let in. */
  admit?(request: FastifyRequest, client: Addresses | undefined): Promise<AdmissionAnswer>
  /** Calls back every so many milliseconds, until the function returned is called. Default: a timer. */
  every?(milliseconds: number, callback: () => void): () => void
}

const subprotocol = 'xmpp'
/** Milliseconds for the closing handshake; a client that never answers would hold the listener open. */
const closing = 1_000
/** Seconds after which a client that was not let in may ask again. */
const retryAfter = 10
/** RFC 7395 has no codes of its own; these are RFC 6455's. */
const codes = { done: 1000, binary: 1003 } as const

export async function websocketPlugin(app: FastifyInstance, options: WebsocketOptions): Promise<void> {
  await app.register(websocket, {
    options: {
      maxPayload: options.maxMessage,
      ...(options.maxFragments === undefined ? {} : { maxFragments: options.maxFragments }),
      perMessageDeflate: false,
      closeTimeout: closing,
      handleProtocols: (offered: Set<string>) => (offered.has(subprotocol) ? subprotocol : false),
    } as object,
    errorHandler: (_error, socket) => socket.terminate(),
    // The streams were ended before; sockets that are left are closed with the stream's own element.
    preClose: done => {
      for (const socket of app.websocketServer.clients) {
        if (socket.readyState === socket.OPEN) socket.send(`<close xmlns="${ns.framing}"/>`)
        socket.close(codes.done)
      }
      app.websocketServer.close(() => done())
    },
  })
  const { serve, addressesOf: whoIs = byApplication, every = timer } = options
  const pinger = new WebsocketPinger()
  const stop = every(pingEvery, () => pinger.round())
  app.addHook('onClose', async () => stop())
  const preValidation = async (request: FastifyRequest, reply: FastifyReply) => {
    const refused = refusal(request, options)
    if (refused !== undefined) return reply.code(refused.status).type('text/plain').send(`${refused.text}\n`)
    if (options.admit === undefined || !isUpgrade(request)) return
    const answer = await options.admit(request, whoIs(request))
    if (answer === 'granted') return
    const isOwnDoing = answer === 'address' || answer === 'address-rate'
    return reply
      .code(isOwnDoing ? 429 : 503)
      .header('retry-after', retryAfter)
      .type('text/plain')
      .send(isOwnDoing ? 'too many connections from this address\n' : 'not now\n')
  }
  app.route({
    method: 'GET',
    url: options.path,
    preValidation,
    handler: (_request, reply) =>
      reply.code(426).header('upgrade', 'websocket').type('text/plain').send('XMPP over WebSocket is served here\n'),
    wsHandler: (socket, request) => {
      const connection = new WebsocketConnection(socket, request.raw.socket, whoIs(request))
      pinger.add(connection)
      socket.on('close', () => pinger.remove(connection))
      serve(connection)
    },
  })
}

/** Why an upgrade is not granted (RFC 7395 section 3.1: the subprotocol is required). */
function refusal(request: FastifyRequest, options: WebsocketOptions): { status: number; text: string } | undefined {
  if (!isUpgrade(request)) return undefined
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map(name => name.trim())
  if (!offered.includes(subprotocol)) return { status: 400, text: `the subprotocol '${subprotocol}' is required` }
  // RFC 6455 section 4.2.1.
  if (request.raw.httpVersionMajor < 2 && request.raw.httpVersionMinor < 1)
    return { status: 400, text: 'HTTP/1.1 is required' }
  const { origin } = request.headers
  if (origin === undefined || options.origins === undefined || options.origins.includes(origin)) return undefined
  return { status: 403, text: 'this origin may not connect' }
}

function isUpgrade({ headers }: FastifyRequest): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket'
}

function byApplication({ ip, raw }: FastifyRequest): Addresses | undefined {
  const own = addressesOf(raw.socket)
  // An X-Forwarded-For header names an address without a port.
  const source = endpoint(ip, ip === raw.socket.remoteAddress ? own?.source.port : 0)
  return own && source && { ...own, source }
}

function timer(milliseconds: number, callback: () => void): () => void {
  const interval = setInterval(callback, milliseconds)
  return () => clearInterval(interval)
}

class WebsocketConnection implements Connection, PingTarget {
  readonly wire = 'websocket'
  readonly addresses: Addresses | undefined
  readonly tls: string | undefined
  private readonly socket: WebSocket
  private readonly raw: Socket
  private handlers: ConnectionHandlers | undefined
  waiting = 0
  /** Bytes received, and how many of them belong to whole messages and to control frames. */
  private came = 0
  private whole = 0
  private isWhole = false

  constructor(socket: WebSocket, raw: Socket, addresses: Addresses | undefined) {
    this.socket = socket
    this.raw = raw
    this.addresses = addresses
    this.tls = versionOf(raw)
    socket.on('error', () => {})
  }

  start(handlers: ConnectionHandlers, times?: ConnectionTimes): void {
    this.handlers = handlers
    this.watchMessages()
    if (times !== undefined) {
      // Node's timeout notices progress within one long write too.
      this.raw.setTimeout(times.slow, () => {
        if (this.waiting > 0) handlers.stalled()
      })
    }
    this.socket.on('message', (data: Buffer, isBinary: boolean) => {
      // RFC 7395 section 3.2: text alone.
      if (isBinary) this.socket.close(codes.binary)
      else handlers.data(data)
    })
    this.socket.on('close', () => handlers.closed())
    if (this.socket.readyState === this.socket.CLOSED) setImmediate(() => handlers.closed())
  }

  get pending(): number {
    return Math.max(this.came - this.whole, 0)
  }

  write(texts: readonly string[]): void {
    for (const text of texts) {
      if (text === '' || this.socket.readyState !== this.socket.OPEN) continue
      const bytes = Buffer.byteLength(text)
      this.waiting += bytes
      this.handlers?.wrote(bytes)
      this.socket.send(text, () => this.written(bytes))
    }
  }

  keepAlive(idle: number): void {
    this.raw.setKeepAlive(true, idle)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** There is no STARTTLS on this wire (RFC 7395 section 3.9). */
  secure(): void {
    this.abort()
  }

  close(): void {
    this.socket.close(codes.done)
  }

  abort(): void {
    this.socket.terminate()
  }

  get received(): number {
    return this.raw.bytesRead
  }

  get paused(): boolean {
    return this.socket.isPaused
  }

  ping(): void {
    if (this.socket.readyState === this.socket.OPEN) this.socket.ping()
  }

  /** ws reports whole messages only. Bytes received since the last whole one belong to a message that has begun. */
  private watchMessages(): void {
    const ended = () => {
      this.isWhole = true
    }
    this.socket.on('message', ended)
    // A control frame may stand within a message and does not end it (RFC 6455 section 5.4): two bytes, the mask, and its
    // payload.
    const control = (data: Buffer) => {
      this.whole += 6 + data.length
    }
    this.socket.on('ping', control).on('pong', control)
    // This listener is called after the one of ws, for the same bytes.
    this.raw.on('data', (bytes: Buffer) => {
      this.came += bytes.length
      if (this.isWhole) this.whole = this.came
      this.isWhole = false
      if (this.pending > 0) this.handlers?.partly?.()
    })
  }

  private written(bytes: number): void {
    this.waiting -= bytes
    if (this.waiting === 0) this.handlers?.drained()
  }
}
