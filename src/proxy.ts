/** Puts the parts together: a gate and its listeners. The command line, the tests and other programs start it here. */
import { lookup } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import type { AddressInfo, Server, Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import fastify, { type FastifyInstance, type FastifyRequest, type FastifyServerOptions, LogController } from 'fastify'
import { adminPlugin } from './admin/plugin.ts'
import type { CertificateFiles, Config, Listener, WebsocketListener } from './config.ts'
import { Gate } from './gate.ts'
import { clientLimits } from './stream/limits.ts'
import { type Addresses, addressesOf } from './transport/address.ts'
import type { Front } from './transport/front.ts'
import { hostMetaPlugin } from './transport/host-meta.ts'
import type { Watcher } from './transport/relay.ts'
import { directServer, plainServer } from './transport/tcp.ts'
import { forwardedFor, trustOf } from './transport/trusted.ts'
import { websocketPlugin } from './transport/websocket.ts'

export interface Bound {
  /** The listener's name. */
  readonly name: string
  readonly address: string
  readonly port: number
}

export interface Proxy {
  readonly listeners: readonly Bound[]
  readonly admin: Bound | undefined
  /** Stops accepting, ends every stream with `system-shutdown`, and resolves when all are gone or were cut off. */
  stop(): Promise<void>
}

/** Starts the gate; `watchers` are told all that the metrics and the log are told. Rejects, with everything closed again, when a listener cannot be bound. */
export async function startProxy(config: Config, watchers: readonly Watcher[] = []): Promise<Proxy> {
  const proxy = new ListeningGate(config, watchers)
  try {
    await proxy.start()
  } catch (error) {
    await proxy.stop()
    throw error
  }
  return proxy
}

class ListeningGate implements Proxy {
  readonly listeners: Bound[] = []
  admin: Bound | undefined
  private readonly config: Config
  /** Serves the admin listener; its logger is everybody's, also where there is no such listener. */
  private readonly adminApp: FastifyInstance
  private readonly gate: Gate
  private readonly servers: Server[] = []
  private readonly apps: FastifyInstance[] = []
  /** Connections of the listeners, whatever is spoken on them. */
  private readonly sockets = new Set<Socket>()
  private readonly fronts: Front[] = []
  private ready = false

  constructor(config: Config, watchers: readonly Watcher[]) {
    this.config = config
    const { level } = config.log
    this.adminApp = fastify({ logger: level === 'silent' ? false : { level }, logController: quiet() })
    this.gate = new Gate(config, this.adminApp.log, watchers)
  }

  async start(): Promise<void> {
    for (const listener of this.config.listeners) await this.listen(listener)
    const { admin } = this.config
    if (admin !== undefined) {
      const { token } = admin
      this.track(this.adminApp.server)
      await this.adminApp.register(adminPlugin, { token, metrics: this.gate.metrics.registry, ready: () => this.ready })
      await this.adminApp.listen({ host: admin.address, port: admin.port, listenTextResolver: () => 'admin listener' })
      this.admin = boundOf('admin', this.adminApp.server)
    }
    this.ready = true
    this.adminApp.log.info({ listeners: this.listeners, admin: this.admin }, 'serving')
  }

  async stop(): Promise<void> {
    this.ready = false
    const closed = this.servers.map(server => new Promise<void>(resolve => server.close(() => resolve())))
    for (const front of this.fronts) front.stop()
    await this.gate.stop()
    const apps = [...this.apps, this.adminApp].map(app => app.close())
    // Whoever has connected and said nothing, or half a request, would keep its server open.
    for (const socket of this.sockets) socket.destroy()
    await Promise.all([...closed, ...apps])
  }

  private async listen(listener: Listener): Promise<void> {
    if (listener.kind === 'websocket') return this.listenWebsocket(listener)
    const { tls, name, address, port } = listener
    const serve = this.gate.serve(name, tls.mode === 'starttls')
    const pem = tls.mode === 'none' ? undefined : readCertificate(tls)
    const context = pem && createSecureContext({ ...pem, minVersion: 'TLSv1.2' })
    const isDirect = tls.mode === 'direct' && pem !== undefined
    const front = this.frontOf(listener)
    const server = isDirect ? directServer(pem, serve, front) : plainServer(context && (() => context), serve, front)
    this.servers.push(server)
    this.track(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, address, () => resolve())
    })
    this.listeners.push(boundOf(name, server))
  }

  private async listenWebsocket(listener: WebsocketListener): Promise<void> {
    const { name, address, port, path, origins, tls, url } = listener
    const https = tls === undefined ? null : { ...readCertificate(tls), minVersion: 'TLSv1.2' as const }
    const options = { loggerInstance: this.adminApp.log, logController: quiet(), https }
    const app = fastify(options as FastifyServerOptions) as unknown as FastifyInstance
    this.apps.push(app)
    const serve = this.gate.serve(name, false)
    const front = this.frontOf(listener)
    front?.guard(app.server)
    this.track(app.server)
    const maxMessage = 2 * clientLimits.bytes
    await app.register(websocketPlugin, { path, origins, maxMessage, serve, addressesOf: clientBy(front, listener) })
    if (url !== undefined) await app.register(hostMetaPlugin, { url })
    // For a name Fastify would open more servers, one for each address: nothing guards those.
    const host = front === undefined ? address : (await lookup(address)).address
    await app.listen({ host, port, listenTextResolver: () => `listener ${name}` })
    this.listeners.push(boundOf(name, app.server))
  }

  private track(server: Server): void {
    server.prependListener('connection', socket => {
      this.sockets.add(socket)
      socket.once('close', () => this.sockets.delete(socket))
    })
  }

  private frontOf({ name, proxyProtocol }: Listener): Front | undefined {
    if (proxyProtocol === undefined) return undefined
    const front = this.gate.front(name, proxyProtocol.trusted)
    this.fronts.push(front)
    return front
  }
}

/** Who sent a request: the connection's client, or whom that one names if it is a trusted proxy. */
function clientBy(
  front: Front | undefined,
  listener: WebsocketListener,
): (request: FastifyRequest) => Addresses | undefined {
  const trusts = trustOf(listener.forwardedFor?.trusted ?? [])
  return ({ raw, headers }) => {
    const own = front === undefined ? addressesOf(raw.socket) : front.addressesOf(raw.socket)
    if (own === undefined) return undefined
    const address = forwardedFor(headers['x-forwarded-for']?.toString(), own.source.address, trusts)
    return address === own.source.address ? own : { ...own, source: { address, port: 0 } }
  }
}

/** Requests are not logged: the gate logs sessions. */
function quiet(): LogController {
  return new LogController({ disableRequestLogging: true })
}

function readCertificate({ cert, key }: CertificateFiles): { cert: string; key: string } {
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}

function boundOf(name: string, server: { address(): AddressInfo | string | null }): Bound {
  const { address, port } = server.address() as AddressInfo
  return { name, address, port }
}
