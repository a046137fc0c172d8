/** The servers behind the gate, by their names in the configuration: where they are, which of several is taken, and how they are dialled. */
import { readFileSync } from 'node:fs'
import type { Member, Upstream } from '../config/types.ts'
import type { ConnectFailure } from '../session/labels.ts'
import type { Addresses } from '../transport/address.ts'
import { type Clock, systemClock } from '../transport/clock.ts'
import type { Connection } from '../transport/connection.ts'
import { servesStreams } from './ask-member.ts'
import { dial, type Target, type TlsAtMost } from './dial.ts'
import { type MemberView, nameOf, Pool } from './pool.ts'
import { SessionMembers } from './session-members.ts'

/** What a connection to an upstream is for. */
export interface Dialled {
  /** The name of the upstream. */
  readonly upstream: string
  /** The XMPP domain. */
  readonly domain: string
  /** The bare JID that the client's stream header has named; `undefined`: none. Nobody has verified it. */
  readonly account?: string | undefined
  /** The client, for a PROXY header; `undefined`: not known. */
  readonly client: Addresses | undefined
  /** The version of the client's TLS; `undefined`: none, or not known. */
  readonly tls: string | undefined
}

/** A session whose stream is lost. */
export interface LostSession {
  /** Milliseconds. */
  readonly resumableFor: number
  /** The account's bare JID, folded; `undefined`: not known. */
  readonly account: string | undefined
  /** The client's IP address; `undefined`: not known. */
  readonly address: string | undefined
}

/** What an upstream shows of itself. */
export interface PoolView {
  readonly upstream: string
  readonly members: readonly MemberView[]
  /** Connection attempts that were made at another member after one had failed. */
  readonly failovers: number
}

interface Entry {
  readonly target: Omit<Target, 'address' | 'port'>
  readonly pool: Pool
  /** The check of a member asks for it: the domain of the last login. Before the first one, that of the last stream. */
  domain: string
  hasLogin: boolean
  failovers: number
}

export interface UpstreamsOptions {
  readonly clock?: Clock
  /** A member of an upstream was ejected, or is back. */
  changed?(upstream: string, member: MemberView): void
}

/** Goes on with the next member. `tlsFault`: what went wrong with TLS, if it was that. Gives a function that gives up. */
export type Retry = (tlsFault: string | undefined) => () => void

/** Members that are tried for one client, and milliseconds for each but the last. */
const attemptsAtMost = 3
const attemptTimeout = 3_000

export class Upstreams {
  private readonly options: UpstreamsOptions
  private readonly clock: Clock
  private entries = new Map<string, Entry>()
  private readonly sessionMembers = new SessionMembers()
  /** Names of members that have refused TLS 1.2. */
  private readonly withoutTls12 = new Set<string>()

  /** Throws when a certificate file cannot be read. */
  constructor(upstreams: ReadonlyMap<string, Upstream>, options: UpstreamsOptions = {}) {
    this.options = options
    this.clock = options.clock ?? systemClock
    this.prepare(upstreams)()
  }

  get names(): readonly string[] {
    return [...this.entries.keys()]
  }

  *views(): Iterable<PoolView> {
    for (const [upstream, { pool, failovers }] of this.entries) yield { upstream, members: pool.views, failovers }
  }

  /**
   * Gives a function that puts these in the place of those before. Members that stay keep their health, and connections go on. Throws when a
   * certificate file cannot be read; the function does not.
   */
  prepare(upstreams: ReadonlyMap<string, Upstream>): () => void {
    const targets = new Map([...upstreams].map(([name, upstream]) => [name, targetOf(upstream)]))
    return () => {
      const before = this.entries
      this.entries = new Map(
        [...upstreams].map(([name, upstream]) => [name, this.entryOf(name, upstream, before, targets)]),
      )
      for (const [name, { pool }] of before) if (!upstreams.has(name)) pool.stop()
    }
  }

  /** `address:port`, of several members one after the other; `undefined`: there is no such upstream. */
  addressOf(name: string): string | undefined {
    return this.entries.get(name)?.pool.views.map(nameOf).join(', ')
  }

  /** The gate has to ask it for TLS (STARTTLS). */
  needsStarttls(name: string): boolean {
    return this.entries.get(name)?.target.mode === 'starttls'
  }

  /** From now on its certificate is checked against these authorities, given as PEM. */
  trust(name: string, ca: string): void {
    const entry = this.entries.get(name)
    if (entry !== undefined) this.entries.set(name, { ...entry, target: { ...entry.target, ca } })
  }

  /**
   * Connects to a member, or to another one where that fails. Exactly one of the two callbacks is called, unless the function returned is called
   * before. `detail`: see `dial`, of the last attempt. `retry`: the connection that was made was of no use; it goes on with the next member, and gives a
   * function as this one. `undefined`: there is none.
   */
  dial(
    dialled: Dialled,
    done: (connection: Connection, member: Member, retry: Retry | undefined) => void,
    failed: (reason: ConnectFailure, detail?: string) => void,
  ): () => void {
    const entry = this.entries.get(dialled.upstream)
    if (entry === undefined) throw new Error(`there is no upstream '${dialled.upstream}'`)
    // Behind a route for many domains anybody may ask for one that no member serves.
    if (!entry.hasLogin) entry.domain = dialled.domain
    const members = this.membersFor(dialled, entry.pool)
    let cancel = () => {}
    const attempt = (index: number) => {
      const member = members[index]
      if (member === undefined) return failed('refused')
      const isLast = index === members.length - 1
      // Attempts count too: of a crowd that comes at once not all go to one member.
      entry.pool.began(member)
      const ended = () => entry.pool.ended(member)
      const next = (tlsFault: string | undefined) => {
        failedIn(entry, member, tlsFault)
        entry.failovers++
        attempt(index + 1)
        return giveUp
      }
      const lost = (reason: ConnectFailure, detail?: string) => {
        ended()
        if (!isLast) return void next(detail)
        failedIn(entry, member, detail)
        failed(reason, detail)
      }
      const options = {
        ...{ domain: dialled.domain, client: dialled.client, atMost: this.tlsAtMost(member, dialled.tls) },
        ...(!isLast && { timeout: attemptTimeout }),
        closed: ended,
      }
      const made = (connection: Connection) => {
        cancel = () => {}
        done(connection, member, isLast ? undefined : next)
      }
      const stop = dial({ ...entry.target, ...member }, options, made, lost)
      cancel = () => {
        stop()
        ended()
      }
    }
    const giveUp = () => cancel()
    attempt(0)
    return giveUp
  }

  /**
   * A connection to this member was of no use: it was lost, or what it said is no stream, before a client saw anything of it. `tlsFault`: what went
   * wrong with TLS, if it was that.
   */
  failed(upstream: string, member: Member, tlsFault?: string): void {
    const entry = this.entries.get(upstream)
    if (entry !== undefined) failedIn(entry, member, tlsFault)
  }

  /** Somebody has logged in at this domain. */
  loggedIn(upstream: string, domain: string): void {
    const entry = this.entries.get(upstream)
    if (entry === undefined) return
    entry.domain = domain
    entry.hasLogin = true
  }

  /** This member has a session that its client may resume. */
  holds(upstream: string, member: Member, { resumableFor, account, address }: LostSession): void {
    if ((this.entries.get(upstream)?.pool.views.length ?? 0) < 2) return
    const holder = { member: nameOf(member), until: this.clock.now() + resumableFor }
    this.sessionMembers.holds(upstream, holder, [account, address])
  }

  stop(): void {
    for (const { pool } of this.entries.values()) pool.stop()
  }

  private membersFor({ upstream, account, client }: Dialled, pool: Pool): readonly Member[] {
    const address = client?.source.address
    const preferred = this.sessionMembers.memberOf(upstream, [account, address], this.clock.now())
    return pool.order({ account: account ?? address ?? '', address: address ?? '' }, preferred).slice(0, attemptsAtMost)
  }

  private entryOf(
    name: string,
    { address, port, members = [{ address, port, weight: 1 }], balance = 'least-sessions' }: Upstream,
    before: ReadonlyMap<string, Entry>,
    targets: ReadonlyMap<string, Entry['target']>,
  ): Entry {
    const target = targets.get(name) as Entry['target']
    const known = before.get(name)
    known?.pool.become(members, balance)
    const { failovers = 0, domain = address, hasLogin = false } = known ?? {}
    const pool = known?.pool ?? new Pool(members, balance, this.poolOptions(name))
    return { target, pool, failovers, domain, hasLogin }
  }

  private poolOptions(name: string) {
    const { clock } = this
    return {
      clock,
      ask: async (member: Member) => {
        const entry = this.entries.get(name)
        return entry !== undefined && servesStreams({ ...entry.target, ...member }, entry.domain, clock)
      },
      changed: (member: MemberView) => this.options.changed?.(name, member),
    }
  }

  /** The client's version, unless the member has refused it before: a login matters more. */
  private tlsAtMost(member: Member, tls: string | undefined): TlsAtMost | undefined {
    const name = nameOf(member)
    // There is none newer than TLS 1.3.
    if (tls !== 'TLSv1.2' || this.withoutTls12.has(name)) return undefined
    return { version: tls, refused: () => this.withoutTls12.add(name) }
  }
}

/** Without a configured name the certificate must have the one that the client has asked for: a member without it may serve others well. */
function failedIn({ pool, target }: Entry, member: Member, tlsFault: string | undefined): void {
  const isOfName = target.servername === undefined && /ALTNAME_INVALID|unrecognized name/.test(tlsFault ?? '')
  if (!isOfName) pool.failed(member)
}

/** Where an upstream's first member is, ready to be dialled. Throws when its authorities cannot be read. */
export function targetOf({ address, port, tls, proxyProtocol }: Upstream): Target {
  const ca = tls.ca === undefined ? undefined : readFileSync(tls.ca, 'utf8')
  return { address, port, mode: tls.mode, ca, servername: tls.servername, proxyProtocol }
}
