/**
 * The members of one upstream: which of them a new stream goes to, and which are left alone because they have failed. A member that has failed is
 * ejected for a pause, which doubles each time; then it is asked by a stream of the gate's own, before any client is sent there. After that its
 * share grows slowly.
 */
import { createHash } from 'node:crypto'
import type { Balance, Member } from '../config/types.ts'
import type { Clock } from '../transport/clock.ts'

/** What is shown of a member. */
export interface MemberView extends Member {
  /** Connections that the gate has to it, with those that are being made. */
  readonly sessions: number
  /** `draining`: its weight is 0, and no new stream goes there. */
  readonly state: 'up' | 'ejected' | 'draining'
  /** How often it was ejected. */
  readonly ejections: number
}

export interface PoolOptions {
  readonly clock: Clock
  /** Asks a member that was ejected whether it serves streams again. Left out: it counts as up after its pause. */
  ask?(member: Member): Promise<boolean>
  /** A member was ejected, or is back. */
  changed?(member: MemberView): void
}

/** Milliseconds of the first pause of a member that has failed, and of the longest. */
const pause = { least: 1_000, most: 60_000 }
/** Milliseconds in which the share of a member that is back grows from a tenth to all of it. */
const slowStart = 30_000

/** The account, or where none is named the client's address; and the address. */
export interface Keys {
  readonly account: string
  readonly address: string
}

class PoolMember {
  config: Member
  sessions = 0
  ejections = 0
  /** Of the last ejection; it goes on counting until the member has been up for longer than its pause. */
  private paused = 0
  private backSince = Number.NEGATIVE_INFINITY
  private cancel: (() => void) | undefined
  /** Of the round-robin. */
  turn = 0

  constructor(config: Member) {
    this.config = config
  }

  get isEjected(): boolean {
    return this.cancel !== undefined
  }

  get view(): MemberView {
    const { config, sessions, ejections } = this
    const state = this.isEjected ? 'ejected' : config.weight === 0 ? 'draining' : 'up'
    return { ...config, sessions, state, ejections }
  }

  /** Its weight; less in the first seconds after it was ejected. */
  weightAt(now: number): number {
    const age = (now - this.backSince) / slowStart
    return this.config.weight * Math.min(1, Math.max(0.1, age))
  }

  eject({ clock, ask, changed }: PoolOptions): void {
    if (this.isEjected) return
    const wasUpFor = clock.now() - this.backSince
    this.paused = wasUpFor > 2 * this.paused ? pause.least : Math.min(2 * this.paused, pause.most)
    this.ejections++
    const wait = () => {
      this.cancel = clock.after(this.paused, async () => {
        if (ask !== undefined && !(await ask(this.config).catch(() => false))) {
          this.paused = Math.min(2 * this.paused, pause.most)
          // It may have been removed meanwhile.
          if (this.isEjected) wait()
          return
        }
        if (!this.isEjected) return
        this.cancel = undefined
        this.backSince = clock.now()
        changed?.(this.view)
      })
    }
    wait()
    changed?.(this.view)
  }

  stop(): void {
    this.cancel?.()
    this.cancel = undefined
  }
}

export class Pool {
  private readonly options: PoolOptions
  private members: readonly PoolMember[] = []
  /** Were removed, and have connections: one that is put back still has them. */
  private removed: readonly PoolMember[] = []
  private balance: Balance = 'least-sessions'

  constructor(members: readonly Member[], balance: Balance, options: PoolOptions) {
    this.options = options
    this.become(members, balance)
  }

  get views(): MemberView[] {
    return this.members.map(({ view }) => view)
  }

  /** Members that stay keep their sessions and their health. */
  become(members: readonly Member[], balance: Balance): void {
    const before = new Map([...this.removed, ...this.members].map(member => [nameOf(member.config), member]))
    this.balance = balance
    this.members = members.map(config => {
      const known = before.get(nameOf(config)) ?? new PoolMember(config)
      before.delete(nameOf(config))
      known.config = config
      return known
    })
    for (const gone of before.values()) gone.stop()
    this.removed = [...before.values()].filter(({ sessions }) => sessions > 0)
  }

  /**
   * The members in the order in which they are to be tried. Those that are up come first, then those that are ejected. `keys`: what a balance by
   * hash goes by. `preferred`: the name of the member that is tried first, if it is up.
   */
  order(keys: Keys, preferred?: string): Member[] {
    const taking = this.members.filter(({ config }) => config.weight > 0)
    // A member that is drained still takes those whose session it holds.
    const wanted = this.members.find(member => nameOf(member.config) === preferred && !member.isEjected)
    const up = taking.filter(member => !member.isEjected && member !== wanted)
    const ejected = taking.filter(member => member.isEjected)
    const sorted = this.sorted(up, keys)
    return [...(wanted === undefined ? [] : [wanted]), ...sorted, ...ejected].map(({ config }) => config)
  }

  began(member: Member): void {
    const known = this.find(member)
    if (known !== undefined) known.sessions++
  }

  ended(member: Member): void {
    const known = this.find(member) ?? this.removed.find(({ config }) => nameOf(config) === nameOf(member))
    if (known !== undefined && known.sessions > 0) known.sessions--
  }

  /** The member was not reached, or has failed before a client saw anything of it. The only one of its upstream is not ejected: there is no other. */
  failed(member: Member): void {
    if (this.members.length > 1) this.find(member)?.eject(this.options)
  }

  stop(): void {
    for (const member of this.members) member.stop()
  }

  private find(member: Member): PoolMember | undefined {
    return this.members.find(({ config }) => nameOf(config) === nameOf(member))
  }

  private sorted(members: readonly PoolMember[], keys: Keys): PoolMember[] {
    if (members.length < 2) return [...members]
    const now = this.options.clock.now()
    switch (this.balance) {
      case 'least-sessions':
        return by(members, member => (member.sessions + 1) / member.weightAt(now))
      case 'round-robin':
        return this.inTurn(members, now)
      case 'hash-account':
        return byHash(members, keys.account)
      case 'hash-address':
        return byHash(members, keys.address)
    }
  }

  /** Each as often as its weight says, and spread evenly. */
  private inTurn(members: readonly PoolMember[], now: number): PoolMember[] {
    let all = 0
    for (const member of members) {
      const weight = member.weightAt(now)
      member.turn += weight
      all += weight
    }
    const sorted = by(members, member => -member.turn)
    const first = sorted[0]
    if (first !== undefined) first.turn -= all
    return sorted
  }
}

/** `address:port`, or `[address]:port`. */
export function nameOf({ address, port }: Pick<Member, 'address' | 'port'>): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** Rendezvous hashing: between 0 and 1, and independent for each member. When a member goes, only its own keys move. */
function shareOf(key: string, member: string): number {
  const hash = createHash('sha256').update(`${member}\n${key}`).digest()
  return (hash.readUIntBE(0, 6) + 1) / (2 ** 48 + 1)
}

function byHash(members: readonly PoolMember[], key: string): PoolMember[] {
  return by(members, ({ config }) => -Math.log(shareOf(key, nameOf(config))) / config.weight)
}

/** In the order of their numbers; equals stay in the order of the configuration. */
function by(members: readonly PoolMember[], numberOf: (member: PoolMember) => number): PoolMember[] {
  const numbered = members.map(member => ({ member, number: numberOf(member) }))
  return numbered.sort((one, other) => one.number - other.number).map(({ member }) => member)
}
