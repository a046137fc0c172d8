/** A gate with its listeners. The command line, the tests and other programs start it here. */
import { lookup } from 'node:dns/promises'
import type { AddressInfo, Server, Socket } from 'node:net'
import { createSecureContext, type SecureContext, type Server as TlsServer } from 'node:tls'
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyRequest,
  type FastifyServerOptions,
  LogController,
} from 'fastify'
import { adminPlugin } from './admin/plugin.ts'
import { defaultLimits, type Limits } from './config/limits.ts'
import type { Reading } from './config/read.ts'
import { Reload, type Reloadable, type ReloadResult } from './config/reload.ts'
import type { CertificateFiles, Config, Listener, TcpListener, Upstream, WebsocketListener } from './config/types.ts'
import { Console } from './console/console.ts'
import { consolePlugin } from './console/plugin.ts'
import { type Environment, Gate } from './gate.ts'
import { Certificates } from './listener/certificates.ts'
import { hostMetaPlugin } from './listener/host-meta.ts'
import type { ListenerAdmission } from './listener/listener-admission.ts'
import type { ProxyHeaderReader } from './listener/proxy-header-reader.ts'
import { directServer, type Guard, plainServer } from './listener/tcp.ts'
import { websocketPlugin } from './listener/websocket.ts'
import { certificateWatcher } from './observe/certificate-watcher.ts'
import { type Loggers, loggerOptions, loggersOf, relevel } from './observe/log.ts'
import type { Watcher } from './relay/watcher.ts'
import { openStore } from './store/open-store.ts'
import type { Addresses } from './transport/address.ts'
import type { Connection } from './transport/connection.ts'
import { type Pem, serverTls } from './transport/tls.ts'
import { forwardedFor, trustOf } from './transport/trusted-networks.ts'
import { type Probe, probe, UpstreamWatch } from './upstream/probe.ts'
import { targetOf } from './upstream/upstreams.ts'

export interface ListeningAddress {
  /** The listener's name. */
  readonly name: string
  readonly address: string
  readonly port: number
}

export interface Proxy {
  readonly listeners: readonly ListeningAddress[]
  readonly admin: ListeningAddress | undefined
  /** The logger, for lines of the program that has started the gate. */
  readonly log: FastifyBaseLogger
  /**
   * Reads the configuration and every certificate again, and opens the audit file again. A changed certificate, and an audit file
   * that was moved away, are also noticed without it within some seconds. Gives what became of the configuration.
   */
  reload(): Promise<ReloadResult>
  /** Stops accepting, ends every stream with `system-shutdown`, and resolves when all are gone or were cut off. */
  stop(): Promise<void>
}

/**
 * Starts the gate; `watchers` are told all that the metrics and the log are told. `read` is asked for the configuration when it is to be
 * read again, and throws `ConfigError`; left out: it stays what it is. Rejects, with everything closed again, when a listener cannot be bound,
 * and with `StoreError` when the store must not be used.
 */
export async function startProxy(
  config: Config,
  watchers: readonly Watcher[] = [],
  environment: Partial<Environment> = {},
  read?: () => Reading,
): Promise<Proxy> {
  const store = config.store && (await openStore(config.store))
  const proxy = new ListeningGate(config, watchers, { ...environment, ...(store && { store }) }, read)
  try {
    await proxy.start()
  } catch (error) {
    await proxy.stop()
    throw error
  }
  return proxy
}

class ListeningGate implements Proxy {
  readonly listeners: ListeningAddress[] = []
  admin: ListeningAddress | undefined
  private readonly config: Config
  private readonly limits: Limits
  /** Serves the admin listener. Its logger is used by all parts, also where there is no admin listener. */
  private readonly adminApp: FastifyInstance
  readonly log: FastifyBaseLogger
  private readonly loggers: Loggers
  private readonly gate: Gate
  private readonly configuration: Reload
  private readonly console: Console | undefined
  private readonly certificates: Certificates
  private readonly servers: Server[] = []
  private readonly apps: FastifyInstance[] = []
  /** Connections of the listeners, whatever is spoken on them. */
  private readonly sockets = new Set<Socket>()
  private readonly proxyHeaderReaders: ProxyHeaderReader[] = []
  private readonly upstreamWatch: UpstreamWatch | undefined
  private ready = false
  private stopped: Promise<void> | undefined

  constructor(config: Config, watchers: readonly Watcher[], environment: Partial<Environment>, read?: () => Reading) {
    this.config = config
    this.limits = config.limits ?? defaultLimits
    const { level } = config.log
    // A silent log has a logger too: a reload may change its level.
    const isMute = level === 'silent' && config.log.areas === undefined && read === undefined
    this.adminApp = fastify({ logger: isMute ? false : loggerOptions(level), logController: quiet() })
    this.log = this.adminApp.log
    this.loggers = loggersOf(this.log, config.log)
    this.console = config.admin && new Console(config, config.admin, environment.time)
    this.gate = new Gate(config, this.log, [...watchers, ...(this.console?.watchers ?? [])], environment, this.loggers)
    this.upstreamWatch =
      config.admin?.readyNeedsUpstream === true
        ? new UpstreamWatch(() => probesOf(this.configuration.config))
        : undefined
    this.certificates = new Certificates(certificateWatcher(this.gate.metrics, this.log))
    const parts = [this.upstreams, ...this.gate.parts, this.levels]
    const counted = this.gate.metrics.reloadedConfig.bind(this.gate.metrics)
    this.configuration = new Reload({ running: config, parts, read, log: this.log, counted })
  }

  async start(): Promise<void> {
    for (const upstream of this.config.upstreams.values()) this.keepAuthorities(upstream)
    for (const listener of this.config.listeners) await this.listen(listener)
    const { admin } = this.config
    await this.upstreamWatch?.start()
    if (admin !== undefined && this.console !== undefined) {
      const { token } = admin
      this.track(this.adminApp.server)
      const { metrics, offenders } = this.gate
      const { access } = this.console
      await this.adminApp.register(adminPlugin, {
        token,
        metrics: metrics.registry,
        openMetrics: metrics.openMetrics,
        offenders: () => offenders.snapshot(),
        admits: request => access.admits(request) === 'yes',
        ready: () => this.ready && (this.upstreamWatch?.isOneReached ?? true),
        log: this.loggers.admin,
        reload: () => this.reload(),
        refused: () => metrics.adminRefused(),
      })
      const options = this.console.optionsWith(this.gate, () => this.listeners, this.loggers.admin)
      await this.adminApp.register(consolePlugin, options)
      // As for WebSocket listeners: a name is resolved to one address, which is the one that is shown.
      const { address: host } = await lookup(admin.address)
      await this.adminApp.listen({ host, port: admin.port, listenTextResolver: () => 'admin listener' })
      this.admin = listeningAddressOf('admin', this.adminApp.server)
    }
    this.ready = true
    this.adminApp.log.info({ listeners: this.listeners, admin: this.admin }, 'serving')
  }

  async reload(): Promise<ReloadResult> {
    // Changed files are opened whatever has become of the configuration.
    this.gate.reopen()
    await this.certificates.reload()
    const result = await this.configuration.run()
    if (this.console !== undefined) this.console.config = this.configuration.config
    return result
  }

  private readonly upstreams: Reloadable = {
    changed: keys => keys.filter(key => key.startsWith('upstreams.')),
    prepare: ({ upstreams }, flaw) => {
      try {
        const replace = this.gate.prepareUpstreams(upstreams)
        const apply = () => {
          replace()
          this.certificates.dropAuthorities()
          for (const upstream of upstreams.values()) this.keepAuthorities(upstream)
        }
        return { apply }
      } catch (error) {
        // The file was there a moment ago.
        flaw('/upstreams', error instanceof Error ? error.message : String(error), 'put the file back')
        return { apply: () => {} }
      }
    },
  }

  private keepAuthorities({ name, tls }: Upstream): void {
    const { ca } = tls
    if (ca !== undefined) this.certificates.keepAuthorities(name, ca, renewed => this.gate.trust(name, renewed))
  }

  private readonly levels: Reloadable = {
    changed: keys => keys.filter(key => key.startsWith('log.')),
    prepare: ({ log }) => ({ apply: () => relevel(this.log, this.loggers, log) }),
  }

  stop(): Promise<void> {
    this.stopped ??= this.drain()
    return this.stopped
  }

  /** Not ready any more, so that load balancers stop sending clients; until the streams are ended, new clients are still served. */
  private async drain(): Promise<void> {
    const wasReady = this.ready
    this.ready = false
    if (wasReady) await this.gate.pause(this.limits.drain.notReady)
    this.certificates.stop()
    this.upstreamWatch?.stop()
    for (const app of this.apps) app.server.close()
    const closed = this.servers.map(server => new Promise<void>(resolve => server.close(() => resolve())))
    for (const proxyHeaders of this.proxyHeaderReaders) proxyHeaders.stop()
    await this.gate.stop()
    const apps = [...this.apps, this.adminApp].map(app => app.close())
    // A connection that has sent nothing, or half a request, would keep its server open.
    for (const socket of this.sockets) socket.destroy()
    await Promise.all([...closed, ...apps])
  }

  private listen(listener: Listener): Promise<void> {
    switch (listener.kind) {
      case 'tcp':
        return this.listenTcp(listener)
      case 'websocket':
        return this.listenWebsocket(listener)
    }
  }

  private async listenTcp(listener: TcpListener): Promise<void> {
    const { tls, name, address, port } = listener
    const serve = this.gate.serve(name, tls.mode === 'starttls')
    const admission = this.listenerAdmissionOf(listener)
    const server =
      tls.mode === 'direct'
        ? this.direct(name, tls, serve, admission)
        : plainServer(this.contextOf(listener), serve, admission)
    this.servers.push(server)
    this.track(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, address, () => resolve())
    })
    this.listeners.push(listeningAddressOf(name, server))
  }

  private direct(name: string, files: CertificateFiles, serve: (connection: Connection) => void, guard: Guard): Server {
    const pem = this.certificates.keep(name, files, pem => server.setSecureContext(serverTls(pem)))
    const server = directServer(pem, this.limits.times.tls, serve, guard)
    server.on('tlsClientError', (error, socket) => this.gate.handshakeFailed(name, clientOf(socket, guard), error))
    return server
  }

  /** The TLS context of STARTTLS, asked for by each connection. */
  private contextOf({ name, tls }: TcpListener): (() => SecureContext) | undefined {
    if (tls.mode !== 'starttls') return undefined
    const contextWith = (pem: Pem) => createSecureContext(serverTls(pem))
    let context = contextWith(
      this.certificates.keep(name, tls, pem => {
        context = contextWith(pem)
      }),
    )
    return () => context
  }

  private async listenWebsocket(listener: WebsocketListener): Promise<void> {
    const { name, address, port, path, origins, tls, url } = listener
    const { limits } = this
    const http = {
      maxHeaderSize: limits.http.headerBytes,
      headersTimeout: limits.http.header,
      requestTimeout: limits.http.request,
      connectionsCheckingInterval: 1_000,
    }
    const renew = (pem: Pem) => (app.server as unknown as TlsServer).setSecureContext(serverTls(pem))
    const pem = tls && this.certificates.keep(name, tls, renew)
    const secure = pem ? { https: { ...http, ...serverTls(pem), handshakeTimeout: limits.times.tls } } : { http }
    const options = { loggerInstance: this.adminApp.log, logController: quiet(), ...secure }
    const app = fastify(options as FastifyServerOptions) as unknown as FastifyInstance
    this.apps.push(app)
    const serve = this.gate.serve(name, false)
    const admission = this.listenerAdmissionOf(listener)
    if (tls !== undefined)
      app.server.on('tlsClientError', (error: Error, socket: Socket) =>
        this.gate.handshakeFailed(name, clientOf(socket, admission), error),
      )
    admission.guard(app.server)
    this.track(app.server)
    await app.register(websocketPlugin, {
      path,
      origins,
      maxMessage: 2 * limits.client.bytes,
      maxFragments: limits.fragments,
      serve,
      addressesOf: clientBy(admission, listener),
      admit: ({ raw }, client) => admission.request(raw.socket, client?.source.address),
    })
    if (url !== undefined) await app.register(hostMetaPlugin, { url })
    // For a name Fastify would open several servers, one for each address. Those would have no admission and no renewed
    // certificate.
    const host = (await lookup(address)).address
    await app.listen({ host, port, listenTextResolver: () => `listener ${name}` })
    this.listeners.push(listeningAddressOf(name, app.server))
  }

  private track(server: Server): void {
    server.prependListener('connection', socket => {
      this.sockets.add(socket)
      socket.once('close', () => this.sockets.delete(socket))
    })
  }

  private listenerAdmissionOf(listener: Listener): ListenerAdmission {
    const forwards = listener.kind === 'websocket' ? listener.forwardedFor?.trusted : undefined
    return this.gate.listenerAdmission(listener.name, this.proxyHeaderReaderOf(listener), forwards ?? [])
  }

  private proxyHeaderReaderOf({ name, proxyProtocol }: Listener): ProxyHeaderReader | undefined {
    if (proxyProtocol === undefined) return undefined
    const proxyHeaders = this.gate.proxyHeaders(name, proxyProtocol.trusted)
    this.proxyHeaderReaders.push(proxyHeaders)
    return proxyHeaders
  }
}

/** One connection attempt to each member of each upstream, for the domain of its first route. */
export function probesOf({ upstreams, routes }: Pick<Config, 'upstreams' | 'routes'>): (() => Promise<Probe>)[] {
  return [...upstreams.values()].flatMap(upstream => {
    const domain = routes.find(route => route.upstream === upstream.name && route.domain !== '*')?.domain
    const { members = [upstream] } = upstream
    return members.map(({ address, port }) => {
      const target = { ...targetOf(upstream), address, port }
      return () => probe(upstream.name, target, domain ?? address)
    })
  })
}

/** The address of a client whose TLS has failed, by a trusted proxy's word if there is one. */
function clientOf(socket: Socket, guard: Guard): string | undefined {
  return guard.addressesOf(socket)?.source.address
}

/** Who sent a request: the connection's client, or whom that one names if it is a trusted proxy. */
function clientBy(
  admission: ListenerAdmission,
  listener: WebsocketListener,
): (request: FastifyRequest) => Addresses | undefined {
  const trusts = trustOf(listener.forwardedFor?.trusted ?? [])
  return ({ raw, headers }) => {
    const own = admission.addressesOf(raw.socket)
    if (own === undefined) return undefined
    const address = forwardedFor(headers['x-forwarded-for']?.toString(), own.source.address, trusts)
    return address === own.source.address ? own : { ...own, source: { address, port: 0 } }
  }
}

/** HTTP requests are not logged: the gate logs sessions. */
function quiet(): LogController {
  return new LogController({ disableRequestLogging: true })
}

function listeningAddressOf(name: string, server: { address(): AddressInfo | string | null }): ListeningAddress {
  const { address, port } = server.address() as AddressInfo
  return { name, address, port }
}
