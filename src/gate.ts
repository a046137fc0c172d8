/** One gate without its listeners: what every stream that comes in has in common. A listener, or an application, gives it connections. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { FastifyBaseLogger } from 'fastify'
import { Accounts, type AccountView } from './account/accounts.ts'
import { defaultLimits, type Limits } from './config/limits.ts'
import type { Reloadable } from './config/reload.ts'
import { Settings } from './config/settings.ts'
import type { AuditConfig, Config, Upstream } from './config/types.ts'
import { Admission, roomOf } from './listener/admission.ts'
import type { Rejection } from './listener/labels.ts'
import { ListenerAdmission } from './listener/listener-admission.ts'
import { Overload, ProcessReadings, type Readings } from './listener/overload.ts'
import { ProxyHeaderReader, type ProxyHeaderReaderOptions } from './listener/proxy-header-reader.ts'
import { Audit } from './observe/audit.ts'
import { DecisionIds, isDecision, isSubscription } from './observe/decisions.ts'
import { Log, type Loggers } from './observe/log.ts'
import { Metrics } from './observe/metrics.ts'
import { Offenders } from './observe/offenders.ts'
import { maxFiles } from './observe/process.ts'
import { Relay, type RelayContext } from './relay/relay.ts'
import type { SessionView, StreamState, Watcher } from './relay/watcher.ts'
import { ResumableSessions } from './session/resumable-sessions.ts'
import type { SessionOptions } from './session/session.ts'
import type { Clock } from './transport/clock.ts'
import type { Connection } from './transport/connection.ts'
import { tlsFaultOf } from './transport/tls.ts'
import { trustOf } from './transport/trusted-networks.ts'
import { dial, type Target, type TlsAtMost } from './upstream/dial.ts'
import { hostPort } from './upstream/probe.ts'

/** The part of the configuration that a gate needs whoever listens for it. */
export interface GateConfig extends Pick<Config, 'upstreams' | 'routes' | 'rules' | 'limits' | 'audit'> {}

/** Accounts whose roster version is remembered after their last session. */
const accountsAtMost = 10_000
/** Sessions that wait for their client to come back (XEP-0198). */
const resumptionsAtMost = 10_000

/** What a gate goes by besides what it is told: time, and the state of its process. */
export interface Environment {
  readonly clock: Clock
  readonly readings: Readings
  /** Milliseconds since 1970. */
  readonly time: () => number
}

export class Gate {
  readonly metrics: Metrics
  readonly offenders = new Offenders()
  private readonly log: Log
  private readonly limits: Limits
  private readonly audit: Audit | undefined
  private readonly clock: Clock
  private readonly overload: Overload
  private readonly admission: Admission
  private readonly relays = new Set<Relay>()
  private readonly targets: Map<string, Target>
  private readonly context: RelayContext
  private readonly settings: Settings
  /** Upstreams that have refused TLS 1.2. */
  private readonly modern = new Set<string>()
  private count = 0
  private stopping = false
  private stopped: Promise<void> | undefined
  private emptied: (() => void) | undefined

  /** `loggers`: a logger for each area; left out: one speaks for all. Throws when a certificate file of an upstream cannot be read. */
  constructor(
    config: GateConfig,
    logger: FastifyBaseLogger,
    watchers: readonly Watcher[] = [],
    environment: Partial<Environment> = {},
    loggers: FastifyBaseLogger | Loggers = logger,
  ) {
    const { limits = defaultLimits } = config
    const { connections, overload } = limits
    this.limits = limits
    this.clock = environment.clock ?? timers
    const targets = new Map([...config.upstreams].map(([name, upstream]) => [name, targetOf(upstream)]))
    this.targets = targets
    this.settings = new Settings(
      config,
      () => [...targets.keys()],
      ({ routes }) => this.metrics.knows(this.settings.rules, domainsOf(routes)),
    )
    const { rules } = this.settings
    const upstreams = [...config.upstreams.keys()]
    this.metrics = new Metrics({ routes: domainsOf(config.routes), upstreams, rules }, environment.time)
    this.audit = config.audit && this.auditTo(config.audit, logger)
    this.metrics.counts(() => this.clientStreams())
    const addressOf = (upstream: string) => {
      const target = targets.get(upstream)
      return target && hostPort(target)
    }
    this.log = new Log(loggers, () => this.clock.now(), addressOf)
    const own = [this.metrics, this.offenders, this.log, ...(this.audit ? [this.audit] : [])]
    this.context = {
      accounts: new Accounts<Relay>(accountsAtMost),
      limits,
      resumptions: new ResumableSessions<Relay>(resumptionsAtMost, limits.resources),
      watcher: together(...own, ...watchers),
      time: environment.time ?? Date.now,
      dial: (upstream, domain, client, done, failed, tls) =>
        dial(targets.get(upstream) as Target, domain, client, done, failed, this.tlsAtMost(upstream, tls)),
      finished: relay => this.finished(relay),
    }
    this.overload = new Overload({
      limits: overload,
      readings: environment.readings ?? new ProcessReadings(),
      clock: environment.clock ?? idleTimers,
      shed: () => this.shed(),
    })
    this.admission = new Admission({
      connections: { ...connections, total: connections.total ?? roomOf(maxFiles) },
      exempt: trustOf(limits.exempt),
      overload,
      clock: this.clock,
      strain: () => this.overload.strain,
      waits: change => this.metrics.waits(change),
    })
  }

  /** At this listener TLS did not come about before there was a stream. `client`: its address. */
  handshakeFailed(listener: string, client: string | undefined, error: Error): void {
    this.metrics.handshakeFailed(listener)
    this.log.handshakeFailed(listener, client, tlsFaultOf(error))
  }

  /** What a listener does with each connection; `starttls`: it is plain, and TLS is required. */
  serve(listener: string, starttls: boolean): (connection: Connection) => void {
    const session = this.sessionOptions(starttls)
    this.metrics.serves(listener)
    return connection => {
      if (this.stopping) return connection.abort()
      this.context.resumptions.expire(performance.now())
      this.relays.add(new Relay({ id: ++this.count, listener, connection, session }, this.context))
    }
  }

  /** What takes a new configuration while sessions are there. */
  get parts(): readonly Reloadable[] {
    return this.settings.parts
  }

  /** Every client's stream, oldest first. */
  *sessions(): Iterable<SessionView> {
    for (const relay of this.relays) yield relay.view
  }

  /** What is known of an account's subscriptions; `undefined`: nothing. */
  known(account: string): AccountView | undefined {
    return this.context.accounts.known(account)
  }

  /** The audit's file is opened anew, wherever its path leads now. */
  reopen(): void {
    this.audit?.reopen()
  }

  /** From now on this upstream's certificate is checked against these authorities, given as PEM. */
  trust(upstream: string, ca: string): void {
    const target = this.targets.get(upstream)
    if (target !== undefined) this.targets.set(upstream, { ...target, ca })
  }

  /** What reads the PROXY headers of a listener that trusts these CIDRs. */
  proxyHeaders(listener: string, trusted: readonly string[]): ProxyHeaderReader {
    this.metrics.guards(listener)
    const refused: ProxyHeaderReaderOptions['refused'] = (reason, address) => {
      this.context.watcher.refused(reason, listener, address)
    }
    return new ProxyHeaderReader({ trusts: trustOf(trusted), refused })
  }

  /** Who is let in by a listener whose connections its front hands on, and where the X-Forwarded-For of these CIDRs is believed. */
  listenerAdmission(
    listener: string,
    proxyHeaders: ProxyHeaderReader | undefined,
    forwards: readonly string[],
  ): ListenerAdmission {
    const { admission } = this
    const refused = (reason: Rejection, address: string | undefined) => {
      this.context.watcher.refused(reason, listener, address)
    }
    return new ListenerAdmission({ admission, proxyHeaders, forwards: trustOf(forwards), refused })
  }

  /** Lets nobody in any more, ends every stream with `system-shutdown`, and resolves when all are gone or were cut off. */
  stop(): Promise<void> {
    this.stopped ??= this.drain()
    return this.stopped
  }

  /** Resolves after so many milliseconds. */
  pause(milliseconds: number): Promise<void> {
    if (milliseconds === 0) return Promise.resolve()
    return new Promise(resolve => this.clock.after(milliseconds, resolve))
  }

  private async drain(): Promise<void> {
    const { spread, deadline } = this.limits.drain
    this.stopping = true
    this.admission.stop()
    const relays = [...this.relays]
    const began = this.clock.now()
    for (const [index, relay] of relays.entries()) {
      const due = began + (index * spread) / relays.length
      if (due > this.clock.now()) await this.emptiedWithin(due - this.clock.now())
      if (this.relays.has(relay)) relay.stop(deadline)
    }
    await this.emptiedWithin(deadline)
    for (const relay of this.relays) relay.abort()
    this.overload.stop()
    await this.audit?.stop()
    this.metrics.stop()
  }

  /** As old as the client's, unless the server has refused that before: then a login counts for more. */
  private tlsAtMost(upstream: string, tls: string | undefined): TlsAtMost | undefined {
    // There is none newer than TLS 1.3.
    if (tls !== 'TLSv1.2' || this.modern.has(upstream)) return undefined
    return { version: tls, refused: () => this.modern.add(upstream) }
  }

  private sessionOptions(starttls: boolean): SessionOptions {
    const { settings, limits, targets, context } = this
    return {
      starttls,
      get rules() {
        return settings.rules
      },
      get foreignFrom() {
        return settings.foreignFrom
      },
      get trustedDomains() {
        return settings.trustedDomains
      },
      maxBytes: { beforeLogin: limits.beforeLogin.bytes, client: limits.client.bytes },
      times: limits.times,
      loginFailures: limits.loginFailures,
      isCrowded: account => context.accounts.sessionsOf(account) >= limits.resources,
      newStreamId: () => randomBytes(16).toString('base64url'),
      destinationOf: domain => {
        const route = settings.routeOf(domain)
        if (route === undefined) return undefined
        const upstreamStarttls = targets.get(route.upstream)?.mode === 'starttls'
        return {
          route: route.domain,
          upstream: route.upstream,
          starttls: upstreamStarttls,
          actsForOthers: route.authzid === 'any',
        }
      },
    }
  }

  private auditTo(config: AuditConfig, logger: FastifyBaseLogger): Audit {
    const { clock, metrics } = this
    return new Audit({ config, clock, logger, counted: (outcome, lines) => metrics.audited(outcome, lines) })
  }

  private emptiedWithin(milliseconds: number): Promise<void> {
    if (this.relays.size === 0) return Promise.resolve()
    return new Promise(resolve => {
      const cancel = this.clock.after(milliseconds, resolve)
      this.emptied = () => {
        cancel()
        resolve()
      }
    })
  }

  /** Who waits for nobody is dearest: a hundred of those are given up before one that has a stream. */
  private shed(): void {
    const { resumptions } = this.context
    let given = 0
    while (given < 100 && resumptions.giveUp()) given += 1
    if (given === 0) this.dearest()?.shed()
  }

  /** The session for which most bytes wait; of equals, the newest. */
  private dearest(): Relay | undefined {
    let dearest: Relay | undefined
    let most = 0
    for (const relay of this.relays) {
      const { waiting } = relay
      if (waiting === undefined || waiting < most) continue
      dearest = relay
      most = waiting
    }
    return dearest
  }

  private *clientStreams(): Iterable<StreamState> {
    for (const relay of this.relays) yield relay.state
  }

  private finished(relay: Relay): void {
    this.relays.delete(relay)
    if (this.relays.size === 0) this.emptied?.()
  }
}

const timers = timersThat(timer => timer.ref())
/** Nothing but them, and the process may end. */
const idleTimers = timersThat(timer => timer.unref())

function timersThat(are: (timer: NodeJS.Timeout) => void): Clock {
  return {
    now: () => performance.now(),
    after: (milliseconds, call) => {
      const timer = setTimeout(call, milliseconds)
      are(timer)
      return () => clearTimeout(timer)
    },
  }
}

function domainsOf(routes: Config['routes']): string[] {
  return routes.map(route => route.domain)
}

/** Where an upstream is, ready to be dialled. Throws when its authorities cannot be read. */
export function targetOf({ address, port, tls, proxyProtocol }: Upstream): Target {
  const ca = tls.ca === undefined ? undefined : readFileSync(tls.ca, 'utf8')
  return { address, port, mode: tls.mode, ca, servername: tls.servername, proxyProtocol }
}

/** All hear the same, and a decision has one name for all of them. */
function together(...watchers: readonly Watcher[]): Watcher {
  const ids = new DecisionIds()
  return {
    report: (report, about) => {
      const isNamed = report.report === 'judged' && (isDecision(report) || isSubscription(report))
      const named = isNamed ? { ...about, decision: ids.next() } : about
      for (const watcher of watchers) watcher.report(report, named)
    },
    sent: (to, kind, route) => {
      for (const watcher of watchers) watcher.sent?.(to, kind, route)
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
