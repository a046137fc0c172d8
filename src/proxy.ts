/** Puts the parts together. The command line, the tests and other programs start the gate here. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { AddressInfo, Server } from 'node:net'
import { createSecureContext } from 'node:tls'
import fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { adminPlugin } from './admin/plugin.ts'
import type { CertificateFiles, Config, Listener, Upstream, WebsocketListener } from './config.ts'
import { Log } from './observe/log.ts'
import { Metrics } from './observe/metrics.ts'
import { makeRoutes } from './routing/routes.ts'
import { activeRules } from './rules/table.ts'
import { Accounts } from './session/accounts.ts'
import type { SessionOptions } from './session/session.ts'
import { foldDomain } from './stanza/jid.ts'
import { clientLimits } from './stream/limits.ts'
import type { Connection } from './transport/connection.ts'
import { dial, type Target } from './transport/dial.ts'
import { type About, Relay, type Surroundings, type Watcher } from './transport/relay.ts'
import { directServer, plainServer } from './transport/tcp.ts'
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

/** Accounts whose roster version is remembered after their last session. */
const accountsAtMost = 10_000
/** Milliseconds that clients have to go when the gate stops. */
const stopWithin = 5_000

/** Starts the gate. Rejects, with everything closed again, when a listener cannot be bound. */
export async function startProxy(config: Config): Promise<Proxy> {
  const gate = new Gate(config)
  try {
    await gate.start()
  } catch (error) {
    await gate.stop()
    throw error
  }
  return gate
}

class Gate implements Proxy {
  readonly listeners: Bound[] = []
  admin: Bound | undefined
  private readonly config: Config
  private readonly metrics = new Metrics()
  private readonly adminApp: FastifyInstance
  private readonly servers: Server[] = []
  private readonly apps: FastifyInstance[] = []
  private readonly relays = new Set<Relay>()
  private readonly around: Surroundings
  private readonly session: Omit<SessionOptions, 'starttls'>
  private count = 0
  private ready = false
  private emptied: (() => void) | undefined

  constructor(config: Config) {
    this.config = config
    this.adminApp = fastify({ logger: loggerOptions(config), disableRequestLogging: true })
    const targets = new Map([...config.upstreams].map(([name, upstream]) => [name, targetOf(upstream)]))
    this.around = {
      accounts: new Accounts<Relay>(accountsAtMost),
      watcher: together(this.metrics, new Log(this.adminApp.log)),
      dial: (upstream, domain, done, failed) => dial(targets.get(upstream) as Target, domain, done, failed),
      finished: relay => this.finished(relay),
    }
    this.session = this.sessionOptions(targets)
  }

  async start(): Promise<void> {
    for (const listener of this.config.listeners) await this.listen(listener)
    const { admin } = this.config
    if (admin !== undefined) {
      await this.adminApp.register(adminPlugin, {
        token: admin.token,
        metrics: this.metrics.registry,
        ready: () => this.ready,
      })
      await this.adminApp.listen({ host: admin.address, port: admin.port })
      this.admin = boundOf('admin', this.adminApp.server)
    }
    this.ready = true
    this.adminApp.log.info({ listeners: this.listeners, admin: this.admin }, 'serving')
  }

  async stop(): Promise<void> {
    this.ready = false
    const closed = this.servers.map(server => new Promise<void>(resolve => server.close(() => resolve())))
    for (const relay of this.relays) relay.stop()
    await this.emptiedWithin(stopWithin)
    for (const relay of this.relays) relay.abort()
    await Promise.all([...closed, ...this.apps.map(app => app.close())])
    await this.adminApp.close()
  }

  private emptiedWithin(milliseconds: number): Promise<void> {
    if (this.relays.size === 0) return Promise.resolve()
    return new Promise(resolve => {
      const timer = setTimeout(resolve, milliseconds)
      this.emptied = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  private async listen(listener: Listener): Promise<void> {
    if (listener.kind === 'websocket') return this.listenWebsocket(listener)
    const { tls, name, address, port } = listener
    const serve = this.server(name, tls.mode === 'starttls')
    const pem = tls.mode === 'none' ? undefined : readCertificate(tls)
    const context = pem && createSecureContext({ ...pem, minVersion: 'TLSv1.2' })
    const server =
      tls.mode === 'direct' && pem !== undefined
        ? directServer(pem, serve)
        : plainServer(context && (() => context), serve)
    this.servers.push(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, address, () => resolve())
    })
    this.listeners.push(boundOf(name, server))
  }

  private async listenWebsocket(listener: WebsocketListener): Promise<void> {
    const { name, address, port, path, origins, tls } = listener
    const https = tls === undefined ? null : { ...readCertificate(tls), minVersion: 'TLSv1.2' as const }
    const options = { loggerInstance: this.adminApp.log, disableRequestLogging: true, https }
    const app = fastify(options as FastifyServerOptions) as unknown as FastifyInstance
    this.apps.push(app)
    const serve = this.server(name, false)
    await app.register(websocketPlugin, { path, origins, maxMessage: 2 * clientLimits.bytes, serve })
    await app.listen({ host: address, port })
    this.listeners.push(boundOf(name, app.server))
  }

  private server(listener: string, starttls: boolean): (connection: Connection) => void {
    const session = { ...this.session, starttls }
    return connection => {
      if (!this.ready && this.emptied !== undefined) return connection.abort()
      this.relays.add(new Relay({ id: ++this.count, listener, connection, session }, this.around))
    }
  }

  private finished(relay: Relay): void {
    this.relays.delete(relay)
    if (this.relays.size === 0) this.emptied?.()
  }

  private sessionOptions(targets: ReadonlyMap<string, Target>): Omit<SessionOptions, 'starttls'> {
    const { routes, rules } = this.config
    const routeOf = makeRoutes(routes)
    return {
      rules: activeRules(rules),
      trustedDomains: new Set(rules.trustedDomains.flatMap(domain => foldDomain(domain) ?? [])),
      maxBytes: clientLimits.bytes,
      newStreamId: () => randomBytes(16).toString('base64url'),
      destinationOf: domain => {
        const route = routeOf(domain)
        if (route === undefined) return undefined
        return {
          route: route.domain,
          upstream: route.upstream,
          starttls: targets.get(route.upstream)?.mode === 'starttls',
        }
      },
    }
  }
}

function loggerOptions(config: Config): object | boolean {
  return config.log.level === 'silent' ? false : { level: config.log.level }
}

function readCertificate({ cert, key }: CertificateFiles): { cert: string; key: string } {
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}

function targetOf({ address, port, tls }: Upstream): Target {
  const ca = tls.ca === undefined ? undefined : readFileSync(tls.ca, 'utf8')
  return { address, port, mode: tls.mode, ca, servername: tls.servername }
}

function boundOf(name: string, server: { address(): AddressInfo | string | null }): Bound {
  const { address, port } = server.address() as AddressInfo
  return { name, address, port }
}

function together(...watchers: readonly Watcher[]): Watcher {
  return {
    report: (report, about: About) => {
      for (const watcher of watchers) watcher.report(report, about)
    },
    bytes: (side, way, count) => {
      for (const watcher of watchers) watcher.bytes(side, way, count)
    },
    took: seconds => {
      for (const watcher of watchers) watcher.took(seconds)
    },
    fault: (error, about) => {
      for (const watcher of watchers) watcher.fault(error, about)
    },
  }
}
