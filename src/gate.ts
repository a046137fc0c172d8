/** One gate without its listeners: what every stream that comes in has in common. A listener, or an application, gives it connections. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { FastifyBaseLogger } from 'fastify'
import type { Config, Upstream } from './config.ts'
import { Log } from './observe/log.ts'
import { Metrics } from './observe/metrics.ts'
import { makeRoutes } from './routing/routes.ts'
import { activeRules } from './rules/table.ts'
import { Accounts } from './session/accounts.ts'
import { Resumptions } from './session/resumptions.ts'
import type { SessionOptions } from './session/session.ts'
import { foldDomain } from './stanza/jid.ts'
import { clientLimits } from './stream/limits.ts'
import type { Connection } from './transport/connection.ts'
import { dial, type Target } from './transport/dial.ts'
import { Front, type FrontOptions } from './transport/front.ts'
import { Relay, type Surroundings, type Watcher } from './transport/relay.ts'
import { trustOf } from './transport/trusted.ts'

/** The part of the configuration that a gate needs whoever listens for it. */
export type GateConfig = Pick<Config, 'upstreams' | 'routes' | 'rules'>

/** Accounts whose roster version is remembered after their last session. */
const accountsAtMost = 10_000
/** Sessions that wait for their client to come back (XEP-0198). */
const resumptionsAtMost = 10_000
/** Milliseconds that clients have to go when the gate stops. */
const stopWithin = 5_000

export class Gate {
  readonly metrics: Metrics
  private readonly relays = new Set<Relay>()
  private readonly around: Surroundings
  private readonly session: Omit<SessionOptions, 'starttls'>
  private count = 0
  private stopping = false
  private emptied: (() => void) | undefined

  /** Throws when a certificate file of an upstream cannot be read. */
  constructor(config: GateConfig, logger: FastifyBaseLogger, watchers: readonly Watcher[] = []) {
    const targets = new Map([...config.upstreams].map(([name, upstream]) => [name, targetOf(upstream)]))
    this.session = sessionOptions(config, targets)
    const { rules } = this.session
    const upstreams = [...config.upstreams.keys()]
    this.metrics = new Metrics({ routes: config.routes.map(route => route.domain), upstreams, rules })
    this.around = {
      accounts: new Accounts<Relay>(accountsAtMost),
      resumptions: new Resumptions<Relay>(resumptionsAtMost),
      watcher: together(this.metrics, new Log(logger), ...watchers),
      dial: (upstream, domain, client, done, failed) =>
        dial(targets.get(upstream) as Target, domain, client, done, failed),
      finished: relay => this.finished(relay),
    }
  }

  /** What a listener does with each connection; `starttls`: it is plain, and TLS is required. */
  serve(listener: string, starttls: boolean): (connection: Connection) => void {
    const session = { ...this.session, starttls }
    this.metrics.serves(listener)
    return connection => {
      if (this.stopping) return connection.abort()
      this.relays.add(new Relay({ id: ++this.count, listener, connection, session }, this.around))
    }
  }

  /** What reads the PROXY headers of a listener that trusts these CIDRs. */
  front(listener: string, trusted: readonly string[]): Front {
    this.metrics.guards(listener)
    const refused: FrontOptions['refused'] = (reason, address) => {
      this.around.watcher.refused(reason, listener, address)
    }
    return new Front({ trusts: trustOf(trusted), refused })
  }

  /** Ends every stream with `system-shutdown`; resolves when all are gone or were cut off. */
  async stop(): Promise<void> {
    this.stopping = true
    for (const relay of this.relays) relay.stop()
    await this.emptiedWithin(stopWithin)
    for (const relay of this.relays) relay.abort()
    this.metrics.stop()
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

  private finished(relay: Relay): void {
    this.relays.delete(relay)
    if (this.relays.size === 0) this.emptied?.()
  }
}

function sessionOptions(
  { routes, rules }: GateConfig,
  targets: ReadonlyMap<string, Target>,
): Omit<SessionOptions, 'starttls'> {
  const routeOf = makeRoutes(routes)
  return {
    rules: activeRules(rules),
    trustedDomains: new Set(rules.trustedDomains.flatMap(domain => foldDomain(domain) ?? [])),
    maxBytes: clientLimits.bytes,
    newStreamId: () => randomBytes(16).toString('base64url'),
    destinationOf: domain => {
      const route = routeOf(domain)
      if (route === undefined) return undefined
      const starttls = targets.get(route.upstream)?.mode === 'starttls'
      return { route: route.domain, upstream: route.upstream, starttls }
    },
  }
}

function targetOf({ address, port, tls, proxyProtocol }: Upstream): Target {
  const ca = tls.ca === undefined ? undefined : readFileSync(tls.ca, 'utf8')
  return { address, port, mode: tls.mode, ca, servername: tls.servername, proxyProtocol }
}

function together(...watchers: readonly Watcher[]): Watcher {
  return {
    report: (report, about) => {
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
    refused: (reason, listener, address) => {
      for (const watcher of watchers) watcher.refused(reason, listener, address)
    },
  }
}
