/**
 * Subscription requests of strangers that wait for room, and those that were shown to the user, by account. It keeps what the API shows and
 * the stanza, to be delivered when there is room. Whatever is forgotten here, the server still has: it delivers a request at each login until it is
 * answered (RFC 6121 section 3.1.3).
 */
import { detachedString } from '../stanza/detached-string.ts'
import { bareOf } from '../stanza/jid.ts'
import {
  type AccountRequests,
  type Decided,
  type Decision,
  merged,
  noRequests,
  type QuarantineKeeper,
} from './account-requests.ts'
import { keyOf } from './contact-map.ts'
import type { HeldRequest, Rank } from './held-requests.ts'
import { copyOf } from './held-stanza.ts'

export interface RequestLimits {
  /** Requests that are shown and unanswered in one presence session. */
  readonly perLogin: number
  /** Requests of an account that are shown for the first time within 24 hours. */
  readonly perDay: number
}

export interface QuarantineBounds {
  /** Requests of one account. */
  readonly perAccount: number
  /** UTF-16 units of all stanzas that are kept, with `overhead` for each. */
  readonly weight: number
  /** Accounts of which something is known. */
  readonly accounts: number
}

const day = 86_400_000
/** Of one account: unanswered requests that are remembered as shown, and strangers about whom the operator has decided. */
const rememberedAtMost = 1_000

const defaultBounds: QuarantineBounds = { perAccount: 500, weight: 32 * 1024 * 1024, accounts: 100_000 }

export class Quarantine {
  readonly limits: RequestLimits
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Requests that were forgotten for want of room, since the beginning. */
  evicted = 0
  private readonly bounds: QuarantineBounds
  /** By folded bare JID; those used last come last. */
  private readonly accounts = new Map<string, AccountRequests>()
  /** Accounts with held requests; those of which one was held last come last. */
  private readonly holding = new Set<AccountRequests>()
  private count = 0
  private weight = 0
  /** Is told what changes; `undefined`: nothing is kept beyond the process. */
  keeper: QuarantineKeeper | undefined

  constructor(limits: RequestLimits, now: () => number, bounds: Partial<QuarantineBounds> = {}) {
    this.limits = limits
    this.now = now
    this.bounds = { ...defaultBounds, ...bounds }
  }

  /** Requests that are held, of all accounts. */
  get size(): number {
    return this.count
  }

  /** A session of the account begins. */
  began(account: string): void {
    this.keeper?.began(keyOf(account))
  }

  /** Everything that is known of an account; `undefined`: nothing. */
  requestsOf(account: string): AccountRequests | undefined {
    return this.accounts.get(keyOf(account))
  }

  /** Nothing more is known of an account than what `recall` tells next. */
  forget(account: string): void {
    const known = this.accounts.get(keyOf(account))
    if (known !== undefined) this.remove(known)
  }

  /** What was kept beyond the process. What has happened meanwhile counts more. */
  recall(account: string, kept: AccountRequests): void {
    const known = this.used(account)
    for (const request of kept.held.inOrder()) {
      const isKnown = known.held.get(request.key) !== undefined || known.shown.has(request.key)
      if (!isKnown && known.held.size < this.bounds.perAccount) this.add(known, request)
    }
    merged(known, kept)
    for (const [key, { decision }] of kept.decided) if (decision === 'deny') this.drop(known, key)
    this.keepTimes(known)
    while (known.shown.size > rememberedAtMost) this.changed(known, deleteFirst(known.shown))
    while (known.decided.size > rememberedAtMost) this.decided(known, deleteFirst(known.decided))
  }

  /** All requests that are held, with the account's folded bare JID. */
  *all(): Iterable<readonly [string, HeldRequest]> {
    for (const [account, { held }] of this.accounts) for (const request of held.inOrder()) yield [account, request]
  }

  /** What the operator has decided about a stranger's requests. */
  decisionOn(account: string, contact: string): Decision | undefined {
    const decided = this.accounts.get(keyOf(account))?.decided
    return decided === undefined || decided.size === 0 ? undefined : decided.get(keyOf(contact))?.decision
  }

  /** Strangers whose requests the operator has denied, by folded bare JID. */
  *deniedFor(account: string): Iterable<readonly [string, Decided]> {
    for (const each of this.accounts.get(keyOf(account))?.decided ?? []) if (each[1].decision === 'deny') yield each
  }

  /** From now on requests of this stranger are shown whatever the limits say, or left out and not kept. */
  decide(account: string, contact: string, decision: Decision): void {
    const known = this.used(account)
    const key = keyOf(contact)
    if (decision === 'deny') this.drop(known, key)
    known.decided.delete(key)
    known.decided.set(detachedString(key), { decision, since: this.now() })
    if (known.decided.size > rememberedAtMost) this.decided(known, deleteFirst(known.decided))
    this.decided(known, key)
    this.changed(known, key)
  }

  /** The requests that are held for an account; who comes first is first. */
  *heldFor(account: string): Iterable<HeldRequest> {
    const known = this.accounts.get(keyOf(account))
    if (known !== undefined) yield* known.held.inOrder()
  }

  heldOf(account: string, contact: string): HeldRequest | undefined {
    return this.accounts.get(keyOf(account))?.held.get(keyOf(contact))
  }

  /** More may be known of the roster than when a request was held: ranks that are better now are changed. */
  rerank(account: string, rankOf: (contact: string) => Rank): void {
    this.accounts.get(keyOf(account))?.held.rerank(rankOf)
  }

  /** The stranger's request was shown to the user, who has not answered. */
  isShown(account: string, contact: string): boolean {
    return this.accounts.get(keyOf(account))?.shown.has(keyOf(contact)) === true
  }

  /** Whether this request may be shown today: there is room, or it was shown within the last 24 hours and came again. */
  hasRoomToday(account: string, contact: string): boolean {
    const known = this.accounts.get(keyOf(account))
    if (known === undefined) return true
    if (isAfter(known.shown.get(keyOf(contact)), this.now() - day)) return true
    this.keepTimes(known)
    return known.times.length < this.limits.perDay
  }

  /**
   * Keeps a request. One that is held already keeps its place. Where an account has as many as it may, the worst ranked is forgotten; `false`: that
   * is this one.
   */
  hold(account: string, request: Omit<HeldRequest, 'key' | 'since'>): boolean {
    const known = this.used(account)
    const key = keyOf(request.contact)
    const before = known.held.get(key)
    if (before?.rank === request.rank) return true
    if (before !== undefined) this.drop(known, key)
    if (known.held.size >= this.bounds.perAccount) {
      this.evicted++
      const worst = known.held.worst()
      if (worst === undefined || worst.rank <= request.rank) return false
      this.drop(known, worst.key)
      this.changed(known, worst.key)
    }
    this.add(known, { ...request, key, since: before?.since ?? this.now() })
    this.changed(known, key)
    return known.held.get(key) !== undefined
  }

  /** The request goes to the user. One that was shown within the last 24 hours and comes again is not counted again. */
  shown(account: string, contact: string): void {
    const known = this.used(account)
    const key = keyOf(contact)
    this.drop(known, key)
    const now = this.now()
    const before = known.shown.get(key)
    const isAgain = isAfter(before, now - day)
    if (!isAgain && known.times.length < this.limits.perDay) known.times.push(now)
    known.shown.delete(key)
    known.shown.set(detachedString(key), isAgain ? (before as number) : now)
    if (known.shown.size > rememberedAtMost) this.changed(known, deleteFirst(known.shown))
    this.changed(known, key)
  }

  /** The request is answered, withdrawn, or no longer at the server: another one of this stranger is a new one. */
  ended(account: string, contact: string): void {
    const known = this.accounts.get(keyOf(account))
    if (known === undefined) return
    const key = keyOf(contact)
    this.drop(known, key)
    known.shown.delete(key)
    // A denial outlasts the request: who withdraws it may ask again.
    if (known.decided.get(key)?.decision === 'release' && known.decided.delete(key)) this.decided(known, key)
    this.changed(known, key)
  }

  private changed({ key }: AccountRequests, contact: string | undefined): void {
    if (contact !== undefined) this.keeper?.changed(key, contact)
  }

  private decided({ key }: AccountRequests, contact: string | undefined): void {
    if (contact !== undefined) this.keeper?.decided(key, contact)
  }

  private add(account: AccountRequests, request: HeldRequest): void {
    const { element, weight } = copyOf(request.element)
    const own = { key: detachedString(request.key), contact: detachedString(bareOf(request.contact)), element }
    account.held.add({ ...request, ...own }, weight)
    this.count++
    this.weight += weight
    this.holding.delete(account)
    this.holding.add(account)
    while (this.weight > this.bounds.weight && this.evictOne());
  }

  /** Times of the last 24 hours. */
  private keepTimes(known: AccountRequests): void {
    const since = this.now() - day
    known.times = known.times.filter(time => time > since)
  }

  private used(account: string): AccountRequests {
    const key = keyOf(account)
    const known = this.accounts.get(key)
    const used = known ?? noRequests(detachedString(key))
    this.accounts.delete(key)
    this.accounts.set(used.key, used)
    if (this.accounts.size > this.bounds.accounts) this.forgetOldest()
    return used
  }

  private forgetOldest(): void {
    for (const account of this.accounts.values()) {
      this.evicted += account.held.size
      return this.remove(account)
    }
  }

  private remove(account: AccountRequests): void {
    const { held, key } = account
    this.count -= held.size
    this.weight -= held.weight
    this.holding.delete(account)
    this.accounts.delete(key)
  }

  /** The worst ranked request of the account for which none was held for the longest time. */
  private evictOne(): boolean {
    for (const account of this.holding) {
      const worst = account.held.worst()
      if (worst === undefined) return false
      this.drop(account, worst.key)
      this.changed(account, worst.key)
      this.evicted++
      return true
    }
    return false
  }

  private drop(account: AccountRequests, key: string): void {
    const weight = account.held.delete(key)
    if (weight === 0) return
    this.count--
    this.weight -= weight
    if (account.held.size === 0) this.holding.delete(account)
  }
}

function isAfter(time: number | undefined, since: number): boolean {
  return time !== undefined && time > since
}

/** Gives the key that was removed. */
function deleteFirst(map: Map<string, unknown>): string | undefined {
  for (const key of map.keys()) if (map.delete(key)) return key
  return undefined
}
