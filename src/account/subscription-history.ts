/**
 * How an account's subscriptions began and ended: who asked, approved, refused or withdrew. Each is counted once for the account,
 * on however many resources it is seen and however often a server repeats it. Also the time that the user's requests have waited.
 * Roster pushes say what became of both halves of a subscription; the stanzas before them say who has caused it. A contact's
 * pending request shows in no push and is known from stanzas only.
 */

import { detachedString } from '../stanza/detached-string.ts'
import { bareOf, skeletonOf } from '../stanza/jid.ts'
import type { RosterItem } from '../stanza/roster-iq.ts'
import type { SubscriptionType } from '../stanza/stanza.ts'
import { type Direction, isSeenByContact, seesContact, type Visible } from '../subscription/state.ts'
import type { WaitingRequest } from './waiting-requests.ts'

/**
 * `-out`: by the user; `-in`: by the contact. The one who asked can withdraw; the one who was asked can deny, or cancel what was
 * approved.
 */
export const subscriptionEventNames = [
  'request-out',
  'request-in',
  'approval-out',
  'approval-in',
  'denial-out',
  'denial-in',
  'withdrawal-out',
  'withdrawal-in',
  'cancellation-out',
  'cancellation-in',
  'mutual',
  'pre-approval',
] as const
export type SubscriptionEventName = (typeof subscriptionEventNames)[number]

export interface SubscriptionEvent {
  readonly event: SubscriptionEventName
  /** From the user's request to this answer; left out where that is not known. */
  readonly seconds?: number
}

interface Request {
  /** Milliseconds since 1970; `undefined`: not known. */
  readonly since: number | undefined
  /** A roster has shown the request: when a roster shows it no longer, it was answered. */
  isShown: boolean
}

interface Asker {
  /** Milliseconds since 1970; `undefined`: not known. */
  readonly since: number | undefined
}

/** Contacts of an account in each of the maps below. Beyond this number the oldest is forgotten, and counted again if it comes again. */
const contactsAtMost = 1_000

export class SubscriptionHistory {
  /** The user's unanswered requests. */
  private readonly requests = new BoundedMap<Request>()
  /** Contacts whose requests the user has not answered. */
  private readonly askers = new BoundedMap<Asker>()
  /** The user has given up seeing the contact, or being seen, and no push has shown it yet. */
  private readonly givenUp = new BoundedMap<true>()
  private readonly revoked = new BoundedMap<true>()
  /** The user has approved what nobody had asked for. */
  private readonly granted = new BoundedMap<true>()

  /** The user's `subscribe` began a request. */
  asked(contact: string, time: number | undefined): SubscriptionEvent[] {
    const key = keyOf(contact)
    if (this.requests.has(key)) return []
    this.requests.keep(key, { since: time, isShown: false })
    return [{ event: 'request-out' }]
  }

  /** A roster that was kept shows a request of the user's. `since`: milliseconds since 1970; `undefined`: not known. */
  recalled(contact: string, since: number | undefined): void {
    const key = keyOf(contact)
    if (!this.requests.has(key)) this.requests.keep(key, { since, isShown: true })
  }

  /** The contact of a request that was recalled by its hash is known by its JID. */
  revealed(hashed: string, contact: string): void {
    const request = this.requests.get(hashed)
    if (request === undefined) return
    this.requests.delete(hashed)
    this.requests.keep(keyOf(contact), request)
  }

  /** Contacts whose requests the user has not answered, and since when they wait; oldest first. */
  waiting(): { readonly contact: string; readonly since: number | undefined }[] {
    return this.askers.entries().map(([contact, { since }]) => ({ contact, since }))
  }

  /** What waits in both directions. */
  *waitingRequests(): Iterable<WaitingRequest> {
    for (const { since } of this.requests.values()) yield { direction: 'outbound', since }
    for (const { since } of this.askers.values()) yield { direction: 'inbound', since }
  }

  /** The user's `unsubscribe` went out, or the removal of an item. */
  gaveUp(contact: string): void {
    const key = keyOf(contact)
    this.requests.delete(key)
    this.givenUp.keep(key, true)
  }

  /**
   * Another subscription stanza has passed. `hasPushes`: roster pushes will show what it has changed; otherwise the stanza alone
   * is counted.
   */
  passed(
    direction: Direction,
    type: SubscriptionType,
    contact: string,
    { hasPushes, time }: { hasPushes: boolean; time: number | undefined },
  ): SubscriptionEvent[] {
    const key = keyOf(contact)
    if (direction === 'outbound') return type === 'subscribe' ? [] : this.answered(key, type)
    switch (type) {
      case 'subscribe':
        if (this.askers.has(key)) return []
        this.askers.keep(key, { since: time })
        return [{ event: 'request-in' }]
      case 'unsubscribe':
        return this.askers.delete(key) ? [{ event: 'withdrawal-in' }] : []
      case 'subscribed':
        return hasPushes ? [] : this.decided(key, 'approval-in', time)
      case 'unsubscribed':
        return hasPushes ? [] : this.decided(key, 'denial-in', time)
    }
  }

  /** A roster push, counted once for the account. `before`: `undefined` when it was not known. */
  pushed(item: RosterItem, before: Visible | undefined, time: number | undefined): SubscriptionEvent[] {
    const key = keyOf(item.jid)
    return [...this.pushedTo(key, item, before, time), ...this.pushedFrom(key, item, before)]
  }

  /** A whole roster: what became of requests while no push was seen. `before`: the state of a contact that was known before. */
  replaced(
    items: readonly RosterItem[],
    before: (jid: string) => Visible | undefined,
    time: number | undefined,
  ): SubscriptionEvent[] {
    const out: SubscriptionEvent[] = []
    if (this.requests.size > 0 || this.askers.size > 0) {
      const shown = new Map(items.map(item => [keyOf(item.jid), item]))
      for (const [key, request] of this.requests.entries())
        if (request.isShown) out.push(...this.caughtUp(key, shown.get(key), time))
      for (const [key] of this.askers.entries()) {
        const item = shown.get(key)
        if (item !== undefined && isSeenByContact(item)) this.askers.delete(key)
      }
    }
    for (const item of items) {
      if (!isOpen(item)) continue
      const known = before(item.jid)
      // One of two streams may be behind: a subscription that the other shows as granted is no new request.
      if (known === undefined || !seesContact(known)) this.show(keyOf(item.jid), time)
    }
    return out
  }

  /** What a whole roster shows of a contact whose request was open. */
  private caughtUp(key: string, item: RosterItem | undefined, time: number | undefined): SubscriptionEvent[] {
    if (isOpen(item)) return []
    const isGranted = item !== undefined && seesContact(item)
    const out = this.decided(key, isGranted ? 'approval-in' : 'denial-in', time)
    return item?.subscription === 'both' ? [...out, { event: 'mutual' }] : out
  }

  private pushedTo(
    key: string,
    item: RosterItem,
    before: Visible | undefined,
    time: number | undefined,
  ): SubscriptionEvent[] {
    if (seesContact(item)) {
      if (before !== undefined && seesContact(before)) return []
      this.givenUp.delete(key)
      return this.decided(key, 'approval-in', time)
    }
    const isLost = before !== undefined && (before.ask || seesContact(before)) && !(before.ask && isOpen(item))
    const isOwnDoing = isLost && (item.removed || this.givenUp.delete(key))
    const isGone = isLost && !isOwnDoing
    const out: SubscriptionEvent[] = []
    if (isOwnDoing) out.push({ event: 'withdrawal-out' })
    if (isGone && seesContact(before)) out.push({ event: 'cancellation-in' })
    if (isGone && before.ask) out.push(...(this.requests.has(key) ? this.decided(key, 'denial-in', time) : denied))
    if (isOpen(item)) {
      this.givenUp.delete(key)
      this.show(key, time)
    }
    return out
  }

  private pushedFrom(key: string, item: RosterItem, before: Visible | undefined): SubscriptionEvent[] {
    const is = isSeenByContact(item)
    if (is) this.askers.delete(key)
    if (item.approved === true && !is && this.granted.delete(key)) return [{ event: 'pre-approval' }]
    if (before === undefined) return []
    const was = isSeenByContact(before)
    const out: SubscriptionEvent[] = []
    if (is && !was) {
      this.revoked.delete(key)
      this.granted.delete(key)
      out.push({ event: 'approval-out' })
    }
    if (was && !is) {
      const isOwnDoing = this.revoked.delete(key) || item.removed
      out.push({ event: isOwnDoing ? 'cancellation-out' : 'withdrawal-in' })
    }
    if (item.subscription === 'both' && before.subscription !== 'both') out.push({ event: 'mutual' })
    return out
  }

  /** The user has answered a contact's request. */
  private answered(key: string, type: SubscriptionType): SubscriptionEvent[] {
    const wasAsked = this.askers.delete(key)
    if (type === 'subscribed' && !wasAsked) this.granted.keep(key, true)
    if (type !== 'unsubscribed') return []
    this.granted.delete(key)
    if (wasAsked) return [{ event: 'denial-out' }]
    this.revoked.keep(key, true)
    return []
  }

  private decided(key: string, event: 'approval-in' | 'denial-in', time: number | undefined): SubscriptionEvent[] {
    const request = this.requests.get(key)
    if (request === undefined) return []
    this.requests.delete(key)
    if (request.since === undefined || time === undefined) return [{ event }]
    // A clock may be set back.
    return [{ event, seconds: Math.max(time - request.since, 0) / 1_000 }]
  }

  private show(key: string, time: number | undefined): void {
    const request = this.requests.get(key)
    if (request === undefined) this.requests.keep(key, { since: time, isShown: true })
    else request.isShown = true
  }
}

const denied: readonly SubscriptionEvent[] = [{ event: 'denial-in' }]

function isOpen(item: RosterItem | undefined): boolean {
  return item?.ask === true && !item.removed && !seesContact(item)
}

/** One key for all spellings that may mean one contact. */
function keyOf(contact: string): string {
  return skeletonOf(contact) ?? bareOf(contact)
}

/** A map by contact, with a limit. It is made when it is needed: most accounts never need it. */
class BoundedMap<Value> {
  private map: Map<string, Value> | undefined

  get size(): number {
    return this.map?.size ?? 0
  }

  has(key: string): boolean {
    return this.map?.has(key) === true
  }

  get(key: string): Value | undefined {
    return this.map?.get(key)
  }

  delete(key: string): boolean {
    return this.map?.delete(key) === true
  }

  /** The map must not be changed while they are gone through. */
  values(): Iterable<Value> {
    return this.map?.values() ?? []
  }

  /** A copy of the entries, so that the map may be changed while they are gone through. */
  entries(): [string, Value][] {
    return [...(this.map ?? [])]
  }

  keep(key: string, value: Value): void {
    this.map ??= new Map()
    this.map.set(this.map.has(key) ? key : detachedString(key), value)
    if (this.map.size > contactsAtMost) for (const oldest of this.map.keys()) if (this.map.delete(oldest)) break
  }
}
