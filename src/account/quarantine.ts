/**
 * Subscription requests of strangers that wait for room, and those that were shown to the user, by account. It keeps what the API shows and
 * the stanza, to be delivered when there is room. Whatever is forgotten here, the server still has: it delivers a request at each login until it is
 * answered (RFC 6121 section 3.1.3).
 */
import { detachedString } from '../stanza/detached-string.ts'
import { bareOf } from '../stanza/jid.ts'
import type { Element } from '../xml/element.ts'
import { keyOf } from './contact-map.ts'
import { type HeldRequest, HeldRequests, type Rank } from './held-requests.ts'

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

interface Account {
  readonly held: HeldRequests
  /** Keys of strangers whose request was shown and is not answered, and when it was shown last, oldest first. */
  readonly shown: Map<string, number>
  /** When requests were shown for the first time, oldest first; those of the last 24 hours. */
  times: number[]
}

const day = 86_400_000
/** UTF-16 units that stand for what a held request takes besides its text. */
export const overhead = 500
/** The same for each of its elements. */
const elementOverhead = 50
/** UTF-16 units of a stanza, with `elementOverhead` for each element, beyond which its children are not kept. */
const lengthAtMost = 2_000
/** Unanswered requests of one account that are remembered as shown. */
const shownAtMost = 1_000

const defaultBounds: QuarantineBounds = { perAccount: 500, weight: 32 * 1024 * 1024, accounts: 100_000 }

export class Quarantine {
  readonly limits: RequestLimits
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Requests that were forgotten for want of room, since the beginning. */
  evicted = 0
  private readonly bounds: QuarantineBounds
  /** By folded bare JID; those used last come last. */
  private readonly accounts = new Map<string, Account>()
  /** Accounts with held requests; those of which one was held last come last. */
  private readonly holding = new Set<Account>()
  private count = 0
  private weight = 0

  constructor(limits: RequestLimits, now: () => number, bounds: Partial<QuarantineBounds> = {}) {
    this.limits = limits
    this.now = now
    this.bounds = { ...defaultBounds, ...bounds }
  }

  /** Requests that are held, of all accounts. */
  get size(): number {
    return this.count
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
    const since = this.now() - day
    if (isAfter(known.shown.get(keyOf(contact)), since)) return true
    known.times = known.times.filter(time => time > since)
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
    }
    const { element, weight } = copyOf(request.element)
    const own = { key: detachedString(key), contact: detachedString(bareOf(request.contact)), element }
    known.held.add({ ...request, ...own, since: before?.since ?? this.now() }, weight)
    this.count++
    this.weight += weight
    this.holding.delete(known)
    this.holding.add(known)
    while (this.weight > this.bounds.weight && this.evictOne());
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
    if (known.shown.size > shownAtMost) for (const oldest of known.shown.keys()) if (known.shown.delete(oldest)) break
  }

  /** The request is answered, withdrawn, or no longer at the server: another one of this stranger is a new one. */
  ended(account: string, contact: string): void {
    const known = this.accounts.get(keyOf(account))
    if (known === undefined) return
    const key = keyOf(contact)
    this.drop(known, key)
    known.shown.delete(key)
  }

  private used(account: string): Account {
    const key = keyOf(account)
    const known = this.accounts.get(key)
    const used = known ?? { held: new HeldRequests(), shown: new Map(), times: [] }
    this.accounts.delete(key)
    this.accounts.set(known === undefined ? detachedString(key) : key, used)
    if (this.accounts.size > this.bounds.accounts) this.forgetOldest()
    return used
  }

  private forgetOldest(): void {
    for (const [key, account] of this.accounts) {
      const { held } = account
      this.evicted += held.size
      this.count -= held.size
      this.weight -= held.weight
      this.holding.delete(account)
      this.accounts.delete(key)
      return
    }
  }

  /** The worst ranked request of the account for which none was held for the longest time. */
  private evictOne(): boolean {
    for (const account of this.holding) {
      const worst = account.held.worst()
      if (worst === undefined) return false
      this.drop(account, worst.key)
      this.evicted++
      return true
    }
    return false
  }

  private drop(account: Account, key: string): void {
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

/** A copy that keeps no larger text in memory. */
function copyOf(whole: Element): { element: Element; weight: number } {
  const copied = { length: 0 }
  const all = detached(whole, copied)
  if (copied.length <= lengthAtMost) return { element: all, weight: copied.length + overhead }
  copied.length = 0
  const { name, ns, attrs } = whole
  return { element: detached({ name, ns, attrs, children: [] }, copied), weight: copied.length + overhead }
}

/** Children are left out as soon as it is too long. */
function detached({ name, ns, attrs, children }: Element, copied: { length: number }): Element {
  const text = (part: string) => {
    copied.length += part.length
    return detachedString(part)
  }
  copied.length += elementOverhead
  const own = new Map([...attrs].map(([key, value]) => [text(key), text(value)]))
  const nodes: Element['children'][number][] = []
  for (const node of children) {
    if (copied.length + (typeof node === 'string' ? node.length : 0) > lengthAtMost) {
      copied.length = lengthAtMost + 1
      break
    }
    nodes.push(typeof node === 'string' ? text(node) : detached(node, copied))
  }
  return { name: text(name), ns: text(ns), attrs: own, children: nodes }
}
