/** A gate without its listeners: everything that its connections share. A listener, or a Fastify application, hands it connections. */
import { randomBytes } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import type { Decided, Decision } from './account/account-requests.ts'
import { Accounts, type AccountView } from './account/accounts.ts'
import type { HeldRequest } from './account/held-requests.ts'
import { Quarantine } from './account/quarantine.ts'
import { RedeliveringServers } from './account/redelivering-servers.ts'
import { RequestAllowance } from './account/request-allowance.ts'
import { StrangerPolicy } from './account/stranger-policy.ts'
import { defaultLimits, type Limits } from './config/limits.ts'
import type { Reloadable } from './config/reload.ts'
import { Settings } from './config/settings.ts'
import type { Config, StoreConfig } from './config/types.ts'
import { Admission, roomOf } from './listener/admission.ts'
import { ListenerAdmission } from './listener/listener-admission.ts'
import { Overload, ProcessReadings, type Readings } from './listener/overload.ts'
import { ProxyHeaderReader } from './listener/proxy-header-reader.ts'
import { Audit } from './observe/audit.ts'
import { fanOut } from './observe/fan-out.ts'
import { Log, type Loggers } from './observe/log.ts'
import { Metrics } from './observe/metrics.ts'
import { Offenders } from './observe/offenders.ts'
import { maxFiles } from './observe/process-metrics.ts'
import { StoreLog } from './observe/store-log.ts'
import type { Relay } from './relay/relay.ts'
import { Relays } from './relay/relays.ts'
import type { SessionView, Watcher } from './relay/watcher.ts'
import type { Redeliveries } from './session/redelivery.ts'
import { ResumableSessions } from './session/resumable-sessions.ts'
import type { SessionOptions } from './session/session.ts'
import type { SessionKeeper } from './session/session-keeper.ts'
import { NoPlaceError, type Store } from './store/store.ts'
import { StoreCalls } from './store/store-calls.ts'
import { StoreKey } from './store/store-key.ts'
import { StoredAccounts, type StoredAccountsOptions, type StoreWatcher } from './store/stored-accounts.ts'
import { StoredQuarantine } from './store/stored-quarantine.ts'
import { StoredSessions } from './store/stored-sessions.ts'
import { type Clock, idleClock, systemClock } from './transport/clock.ts'
import type { Connection } from './transport/connection.ts'
import { tlsFaultOf } from './transport/tls.ts'
import { trustOf } from './transport/trusted-networks.ts'
import { type PoolView, Upstreams } from './upstream/upstreams.ts'

/** The part of the configuration that is needed without listeners. */
export interface GateConfig extends Pick<Config, 'upstreams' | 'routes' | 'rules' | 'limits' | 'audit' | 'store'> {}

/** Accounts whose roster version is remembered after their last session. */
const accountsAtMost = 10_000
/** Sessions that wait for their client to come back (XEP-0198). */
const resumableAtMost = 10_000

/** What a gate takes from its process and its machine. Tests give their own. */
export interface Environment {
  readonly clock: Clock
  readonly readings: Readings
  /** Milliseconds since 1970. */
  readonly time: () => number
  /** What the configuration's `store` is about, opened, or why it is not. Left out: nothing is kept. */
  readonly store: Store | NoPlaceError
}

export class Gate {
  // Configuration and time.
  private readonly limits: Limits
  private readonly settings: Settings
  private readonly upstreams: Upstreams
  private readonly clock: Clock
  private readonly time: () => number
  // Watchers: they are told everything and decide nothing.
  readonly metrics: Metrics
  readonly offenders = new Offenders()
  private readonly log: Log
  private readonly audit: Audit | undefined
  private readonly watcher: Watcher
  // Admission of connections.
  private readonly overload: Overload
  private readonly admission: Admission
  // Sessions.
  private readonly stored: StoredAccounts | undefined
  private readonly storedQuarantine: StoredQuarantine | undefined
  private readonly accounts: Accounts<Relay>
  private readonly requests: RequestAllowance | undefined
  private readonly compensations: RequestAllowance | undefined
  private readonly quarantine: Quarantine | undefined
  private readonly strangers: StrangerPolicy | undefined
  private readonly redeliveries: Redeliveries
  private readonly relays: Relays
  private stopped: Promise<void> | undefined

  /** `loggers`: a logger for each area; left out: one speaks for all. Throws when a certificate file of an upstream cannot be read. */
  constructor(
    config: GateConfig,
    logger: FastifyBaseLogger,
    watchers: readonly Watcher[] = [],
    environment: Partial<Environment> = {},
    loggers: FastifyBaseLogger | Loggers = logger,
  ) {
    const { limits = defaultLimits, routes } = config
    const { clock = systemClock, time = Date.now } = environment
    this.limits = limits
    this.clock = clock
    this.time = time
    const { requestsPerHour, compensationsPerHour, pendingRequests } = limits
    this.requests = requestsPerHour === undefined ? undefined : new RequestAllowance(requestsPerHour)
    this.compensations = compensationsPerHour === undefined ? undefined : new RequestAllowance(compensationsPerHour)
    const quarantine = pendingRequests && new Quarantine(pendingRequests, time)
    this.quarantine = quarantine
    this.strangers = pendingRequests && new StrangerPolicy(pendingRequests, time)
    const upstreams = new Upstreams(config.upstreams, {
      clock,
      changed: (...change) => this.log.memberChanged(...change),
    })
    this.redeliveries = {
      servers: new RedeliveringServers(),
      now: time,
      unanswered: account => this.accounts.unanswered(account, time()),
    }
    this.upstreams = upstreams
    this.settings = new Settings(config, next => this.metrics.knows(this.settings.rules, domainsOf(next.routes)))
    const { rules } = this.settings

    this.metrics = new Metrics({ routes: domainsOf(routes), upstreams: upstreams.names, rules }, environment.time)
    this.metrics.counts(() => this.relays.states())
    this.metrics.countsMembers(() => upstreams.views())
    this.metrics.countsRequests(() => this.accounts.waitingRequests())
    this.metrics.countsUnacknowledged(now => this.accounts.unacknowledged(now))
    if (quarantine !== undefined) this.metrics.holds(() => quarantine)
    this.log = new Log(
      loggers,
      () => clock.now(),
      name => upstreams.addressOf(name),
    )
    this.audit = config.audit && this.auditTo(config.audit, logger)
    const own = [this.metrics, this.offenders, this.log, ...(this.audit ? [this.audit] : [])]
    this.watcher = fanOut([...own, ...watchers])

    this.overload = new Overload({
      limits: limits.overload,
      readings: environment.readings ?? new ProcessReadings(),
      clock: environment.clock ?? idleClock,
      shed: () => this.relays.shed(),
    })
    this.admission = new Admission({
      connections: { ...limits.connections, total: limits.connections.total ?? roomOf(maxFiles) },
      exempt: trustOf(limits.exempt),
      overload: limits.overload,
      clock,
      strain: () => this.overload.strain,
      waits: change => this.metrics.waits(change),
    })

    const { store } = environment
    if (store instanceof NoPlaceError)
      logger.warn({ remedy: store.remedy }, `nothing is kept across restarts: ${store.message}`)
    const kept =
      store instanceof NoPlaceError || store === undefined || config.store === undefined
        ? undefined
        : this.keptIn(store, config.store, logger, environment)
    this.stored = kept?.accounts
    this.storedQuarantine = kept?.quarantine
    if (quarantine !== undefined) quarantine.keeper = kept?.quarantine
    this.accounts = new Accounts(accountsAtMost, this.stored)
    const { accounts, watcher } = this
    const resumableSessions = new ResumableSessions<Relay>(resumableAtMost, limits.resources)
    const keeper = kept?.sessions
    this.relays = new Relays({ accounts, resumableSessions, keeper, upstreams, limits, watcher, time }, clock)
  }

  /** A TLS handshake of this listener has failed before there was a stream. `client`: the client's IP address; `undefined`: not known. */
  handshakeFailed(listener: string, client: string | undefined, error: Error): void {
    this.metrics.handshakeFailed(listener)
    this.log.handshakeFailed(listener, client, tlsFaultOf(error))
  }

  /** Gives the function that a listener calls with each connection. `starttls`: the connection is plain, and TLS is required. */
  serve(listener: string, starttls: boolean): (connection: Connection) => void {
    const session = this.sessionOptions(starttls)
    this.metrics.serves(listener)
    return connection => {
      if (this.stopped !== undefined) return connection.abort()
      this.relays.add({ listener, connection, session })
    }
  }

  /** The parts that can take a new configuration while sessions exist. */
  get parts(): readonly Reloadable[] {
    return this.settings.parts
  }

  /** Every client's stream, oldest first. */
  sessions(): Iterable<SessionView> {
    return this.relays.views()
  }

  /** What is known of an account's subscriptions; `undefined`: nothing. */
  known(account: string): AccountView | undefined {
    return this.accounts.known(account, this.time())
  }

  /** The requests of strangers that are held for an account; who comes first is first. */
  held(account: string): Iterable<HeldRequest> {
    return this.quarantine?.heldFor(account) ?? []
  }

  /** All requests of strangers that are held, with the account's bare JID. */
  allHeld(): Iterable<readonly [account: string, request: HeldRequest]> {
    return this.quarantine?.all() ?? []
  }

  /** Strangers whose requests to this account the operator has denied, by bare JID. */
  denied(account: string): Iterable<readonly [contact: string, decided: Decided]> {
    return this.quarantine?.deniedFor(account) ?? []
  }

  /** Resolves when what the store knows of the requests to an account is known here. */
  async recallHeld(account: string): Promise<void> {
    await this.storedQuarantine?.load(account)
  }

  /** The operator releases or denies requests, each by the account's and the stranger's bare JID. Resolves when the store has it, or has failed. */
  async decide(decision: Decision, requests: readonly (readonly [account: string, contact: string])[]): Promise<void> {
    const accounts = new Set<string>()
    for (const [account, contact] of requests) {
      this.quarantine?.decide(account, contact, decision)
      this.metrics.decidedRequest(decision)
      accounts.add(account)
    }
    for (const account of accounts) this.requestsDecided(account)
    await this.storedQuarantine?.write()
    for (const account of accounts) this.storedQuarantine?.tell(account)
  }

  /** Requests are held, if there are too many. */
  get holdsRequests(): boolean {
    return this.quarantine !== undefined
  }

  /** Opens the audit file again by its path, which may lead to another file now. */
  reopen(): void {
    this.audit?.reopen()
  }

  /** Gives a function that puts these upstreams in the place of those before, and cannot fail. Throws when authorities cannot be read. */
  prepareUpstreams(upstreams: GateConfig['upstreams']): () => void {
    return this.upstreams.prepare(upstreams)
  }

  /** The upstreams with their members. */
  pools(): Iterable<PoolView> {
    return this.upstreams.views()
  }

  /** From now on this upstream's certificate is checked against these authorities, given as PEM. */
  trust(upstream: string, ca: string): void {
    this.upstreams.trust(upstream, ca)
  }

  /** The reader of PROXY headers of a listener. `trusted`: CIDRs of the proxies that must send one. */
  proxyHeaders(listener: string, trusted: readonly string[]): ProxyHeaderReader {
    this.metrics.guards(listener)
    return new ProxyHeaderReader({
      trusts: trustOf(trusted),
      refused: (reason, address) => this.watcher.refused?.(reason, listener, address),
    })
  }

  /** The admission of one listener. `proxyHeaders`: reads its PROXY headers. `forwards`: CIDRs whose X-Forwarded-For is believed. */
  listenerAdmission(
    listener: string,
    proxyHeaders: ProxyHeaderReader | undefined,
    forwards: readonly string[],
  ): ListenerAdmission {
    return new ListenerAdmission({
      admission: this.admission,
      proxyHeaders,
      forwards: trustOf(forwards),
      refused: (reason, address) => this.watcher.refused?.(reason, listener, address),
    })
  }

  /** Refuses new connections and ends every stream with `system-shutdown`. Resolves when all streams have ended or were cut off. */
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
    this.admission.stop()
    await this.relays.drain(this.limits.drain)
    this.overload.stop()
    this.upstreams.stop()
    await this.storedQuarantine?.stop()
    await this.stored?.stop()
    await this.audit?.stop()
    this.metrics.stop()
  }

  private requestsDecided(account: string): void {
    const released = [...this.held(account)].filter(
      ({ contact }) => this.quarantine?.decisionOn(account, contact) === 'release',
    )
    for (const [relay, news] of this.accounts.heard(account, { news: 'requests-decided', released }).tell)
      relay.told(news)
  }

  private sessionOptions(starttls: boolean): SessionOptions {
    const { settings, limits, accounts, requests, compensations, quarantine, strangers, redeliveries, clock } = this
    return {
      starttls,
      get rules() {
        return settings.rules
      },
      get foreignFrom() {
        return settings.foreignFrom
      },
      get unverified() {
        return settings.unverified
      },
      get trustedDomains() {
        return settings.trustedDomains
      },
      maxBytes: { beforeLogin: limits.beforeLogin.bytes, client: limits.client.bytes },
      times: limits.times,
      loginFailures: limits.loginFailures,
      isCrowded: account => accounts.sessionsOf(account) >= limits.resources,
      ...(requests && { mayRequest: (account: string) => requests.take(account, clock.now()) }),
      ...(compensations && { mayCompensate: (account: string) => compensations.take(account, clock.now()) }),
      quarantine,
      strangers,
      redeliveries,
      newStreamId: () => randomBytes(16).toString('base64url'),
      destinationOf: domain => {
        const route = settings.routeOf(domain)
        if (route === undefined) return undefined
        const { upstream, redirect, closed } = route
        if (upstream === undefined) {
          const refusal = redirect === undefined ? { text: closed ?? '' } : { host: redirect }
          return { route: route.domain, upstream: '', starttls: false, refusal }
        }
        const actsForOthers = route.authzid === 'any'
        return { route: route.domain, upstream, starttls: this.upstreams.needsStarttls(upstream), actsForOthers }
      },
    }
  }

  private keptIn(
    store: Store,
    { days, hash }: StoreConfig,
    logger: FastifyBaseLogger,
    { clock = systemClock, time = Date.now }: Partial<Environment>,
  ): {
    readonly accounts: StoredAccounts
    readonly sessions: SessionKeeper
    readonly quarantine: StoredQuarantine | undefined
  } {
    const log = new StoreLog(logger, store.place)
    const key = hash === undefined ? undefined : new StoreKey(hash)
    const isHashed = key !== undefined
    logger.info({ store: store.place, days, isHashed }, 'what is known of accounts is kept in the store')
    const { metrics } = this
    const calls = new StoreCalls({
      clock,
      called: (...call) => {
        metrics.storeCalled(...call)
        log.storeCalled(...call)
      },
    })
    const watcher: StoreWatcher = {
      recalled: outcome => metrics.recalled(outcome),
      storeWaits: accounts => metrics.storeWaits(accounts),
      storeGaveUp: accounts => {
        metrics.storeGaveUp(accounts)
        log.storeGaveUp(accounts)
      },
    }
    const recall: StoredAccountsOptions['recall'] = (...kept) => {
      const recalled = this.accounts.recall(...kept)
      for (const [relay, news] of recalled?.tell ?? []) relay.told(news)
      return recalled !== undefined
    }
    const heard: StoredAccountsOptions['heard'] = (account, told) => {
      for (const [relay, news] of this.accounts.heard(account, told).tell) relay.told(news)
    }
    const decided: StoredAccountsOptions['decided'] = account => {
      void quarantine?.load(account).then(() => this.requestsDecided(account))
    }
    const quarantine =
      this.quarantine &&
      new StoredQuarantine({
        ...{ store, calls, clock, time, days, key, quarantine: this.quarantine },
        isHere: account => this.accounts.sessionsOf(account) > 0,
      })
    const present = () => this.accounts.present()
    const accounts = new StoredAccounts({
      ...{ store, calls, clock, time, days, watcher, key, present, recall, heard, decided },
    })
    const sessions = new StoredSessions({
      store,
      calls,
      clock,
      time,
      key,
      counted: (event, count) => {
        metrics.sessionsKept(event, count)
        log.sessionsKept(event, count)
      },
    })
    return { accounts, sessions, quarantine }
  }

  private auditTo(config: NonNullable<Config['audit']>, logger: FastifyBaseLogger): Audit {
    const { clock, metrics } = this
    return new Audit({ config, clock, logger, counted: (outcome, lines) => metrics.audited(outcome, lines) })
  }
}

function domainsOf(routes: Config['routes']): string[] {
  return routes.map(route => route.domain)
}
