/**
 * Subscription stanzas that were delivered to an account's user and that the user has neither affirmed nor denied (RFC 3921 section 9.4). Nothing is
 * refused or held because of them. Clients of RFC 6121, which has dropped this for all but `subscribe`, acknowledge nothing else: what they
 * leave is forgotten after `keptFor`, and beyond the bounds.
 */
import { detachedString } from '../stanza/detached-string.ts'
import { skeletonOf } from '../stanza/jid.ts'
import type { RosterItem } from '../stanza/roster-iq.ts'
import { type SubscriptionType, subscriptionTypes } from '../stanza/stanza.ts'
import { isSeenByContact } from '../subscription/state.ts'
import { keyOf } from './contact-map.ts'
import type { AccountNews } from './news.ts'

export type Acknowledgement = 'affirm' | 'deny'

/** RFC 3921 section 9.4, Table 7: what the user sends to affirm or to deny what was received. */
export const acknowledgements: Readonly<Record<SubscriptionType, Readonly<Record<Acknowledgement, SubscriptionType>>>> =
  {
    subscribe: { affirm: 'subscribed', deny: 'unsubscribed' },
    subscribed: { affirm: 'subscribe', deny: 'unsubscribe' },
    unsubscribe: { affirm: 'unsubscribed', deny: 'subscribed' },
    unsubscribed: { affirm: 'unsubscribe', deny: 'subscribe' },
  }

/** How `answer`, sent by the user, acknowledges what was received from the same contact; `undefined`: it does not. */
export function acknowledgementOf(answer: SubscriptionType, received: SubscriptionType): Acknowledgement | undefined {
  const { affirm, deny } = acknowledgements[received]
  if (answer === affirm) return 'affirm'
  return answer === deny ? 'deny' : undefined
}

/** What a contact has sent later and what it makes void: a request that is withdrawn is not to be answered any longer, and so on. */
const opposites: Readonly<Record<SubscriptionType, SubscriptionType>> = {
  subscribe: 'unsubscribe',
  unsubscribe: 'subscribe',
  subscribed: 'unsubscribed',
  unsubscribed: 'subscribed',
}

export interface UnacknowledgedStanza {
  readonly type: SubscriptionType
  /** Folded bare JID. */
  readonly contact: string
  /** When it was delivered first; milliseconds since 1970. */
  readonly since: number
}

/** How many more contacts may be remembered, of all accounts together. */
export interface Room {
  left: number
}

/** Contacts of one account. Beyond this number the oldest is forgotten. */
export const contactsAtMost = 500
/** Milliseconds after which what was not acknowledged is forgotten: 90 days. */
export const keptFor = 90 * 86_400_000

/** When what was not acknowledged was delivered first, by type. */
type Times = Partial<Record<SubscriptionType, number>>

export class Unacknowledged {
  private readonly room: Room
  /** By folded bare JID; those that came first are first. It is made when it is needed. */
  private contacts: Map<string, Times> | undefined
  /** Contacts that a record may still have. */
  private gone: Set<string> | undefined

  constructor(room: Room) {
    this.room = room
  }

  /**
   * A session has told this. Gives the contacts, by folded bare JID, of whom something else is unacknowledged than before. `time`: milliseconds since
   * 1970; `undefined`: nothing new is remembered.
   */
  told(news: AccountNews, time: number | undefined): readonly string[] {
    switch (news.news) {
      case 'subscription':
        if (news.direction === 'outbound') return this.acknowledged(news.contact, news.type)
        return time === undefined ? none : this.delivered(news.contact, news.type, time)
      case 'asked':
        return this.acknowledged(news.contact, 'subscribe')
      case 'gave-up':
        if (news.isRemoved) return this.removed(news.contact)
        return this.acknowledged(news.contact, 'unsubscribe')
      case 'answered':
        return this.acknowledged(news.contact, 'unsubscribed')
      case 'push':
        return news.item.removed ? this.removed(news.item.jid) : this.granted(news.item)
      case 'roster':
        return this.contacts === undefined ? none : news.items.flatMap(item => this.granted(item))
      default:
        return none
    }
  }

  /** What is not acknowledged; what came first is first. `now`: milliseconds since 1970. */
  *list(now: number): Iterable<UnacknowledgedStanza> {
    for (const [contact, times] of this.contacts ?? [])
      for (const type of subscriptionTypes) {
        const since = times[type]
        if (since !== undefined && now - since < keptFor) yield { type, contact, since }
      }
  }

  /** Folded bare JIDs. */
  keys(): Iterable<string> {
    return this.contacts?.keys() ?? []
  }

  /** What is not acknowledged of a contact, for the record: `subscribe 1764300000000 unsubscribed 1764300000000`. `undefined`: nothing. */
  textOf(contact: string): string | undefined {
    const times = this.contacts?.get(contact)
    if (times === undefined) return undefined
    return subscriptionTypes.flatMap(type => (times[type] === undefined ? [] : [type, String(times[type])])).join(' ')
  }

  /** Whether something was unacknowledged of this contact, and no longer is. */
  isGone(contact: string): boolean {
    return this.gone?.has(contact) === true
  }

  /** Takes in what a record has of this contact; what is known by now stays. */
  restore(contact: string, text: string): void {
    if (this.contacts?.has(contact) === true || this.isGone(contact)) return
    const words = text.split(' ')
    const times: Times = {}
    for (let at = 0; at + 1 < words.length; at += 2) {
      const type = subscriptionTypes.find(each => each === words[at])
      const since = Number(words[at + 1])
      if (type !== undefined && Number.isSafeInteger(since)) times[type] = since
    }
    if (hasAny(times)) this.keep(contact, times)
  }

  /** The account is forgotten. */
  clear(): void {
    this.room.left += this.contacts?.size ?? 0
    this.contacts = undefined
    this.gone = undefined
  }

  private delivered(contact: string, type: SubscriptionType, time: number): readonly string[] {
    const key = keyOf(contact)
    const times = this.contacts?.get(key)
    if (times === undefined) return [...this.keep(key, { [type]: Math.round(time) }, time), key]
    const before = times[type]
    if (before !== undefined && time - before < keptFor) return none
    times[type] = Math.round(time)
    delete times[opposites[type]]
    return [key]
  }

  private acknowledged(contact: string, answer: SubscriptionType): readonly string[] {
    const key = this.find(contact)
    const times = key === undefined ? undefined : this.contacts?.get(key)
    if (key === undefined || times === undefined) return none
    const left = subscriptionTypes.filter(
      type => times[type] !== undefined && acknowledgementOf(answer, type) === undefined,
    )
    if (left.length === Object.keys(times).length) return none
    if (left.length === 0) this.delete(key)
    else for (const type of subscriptionTypes) if (!left.includes(type)) delete times[type]
    return [key]
  }

  /** RFC 3921 section 9.4: a removal is `unsubscribe` and `unsubscribed`. */
  private removed(contact: string): readonly string[] {
    return [...this.acknowledged(contact, 'unsubscribe'), ...this.acknowledged(contact, 'unsubscribed')]
  }

  /** The roster shows that the contact sees the user: a request was granted, by whatever session. */
  private granted(item: RosterItem): readonly string[] {
    if (this.contacts === undefined || !isSeenByContact(item)) return none
    const key = this.find(item.jid)
    const times = key === undefined ? undefined : this.contacts.get(key)
    if (key === undefined || times?.subscribe === undefined) return none
    delete times.subscribe
    if (!hasAny(times)) this.delete(key)
    return [key]
  }

  /** The user's client may spell the contact otherwise than the server does. */
  private find(contact: string): string | undefined {
    if (this.contacts === undefined) return undefined
    const key = keyOf(contact)
    if (this.contacts.has(key)) return key
    const skeleton = skeletonOf(contact)
    return skeleton !== undefined && this.contacts.has(skeleton) ? skeleton : undefined
  }

  /** Gives the contacts that are forgotten for it. `now`: milliseconds since 1970. */
  private keep(key: string, times: Times, now?: number): string[] {
    this.contacts ??= new Map()
    const { contacts, room } = this
    const forgotten: string[] = []
    for (const [oldest, its] of contacts) {
      const isOld = now !== undefined && Object.values(its).every(since => now - since >= keptFor)
      if (!isOld && contacts.size < contactsAtMost && room.left > 0) break
      this.delete(oldest)
      forgotten.push(oldest)
    }
    if (room.left <= 0) return forgotten
    room.left -= 1
    this.contacts ??= new Map()
    this.contacts.set(detachedString(key), times)
    this.gone?.delete(key)
    return forgotten
  }

  private delete(key: string): void {
    if (this.contacts?.delete(key) !== true) return
    this.room.left += 1
    if (this.contacts.size === 0) this.contacts = undefined
    this.gone ??= new Set()
    this.gone.add(detachedString(key))
    if (this.gone.size > contactsAtMost) for (const oldest of this.gone) if (this.gone.delete(oldest)) break
  }
}

const none: readonly string[] = []

function hasAny(times: Times): boolean {
  return Object.keys(times).length > 0
}
