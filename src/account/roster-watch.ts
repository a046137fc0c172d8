/**
 * Reads what passes on a bound stream about the account's roster (results, pushes, requests), and makes of it what the rules may
 * ask, news for the account's other sessions, and reports. A stream's own ledger is asked first: servers send presence and pushes
 * to two streams in different orders. For a contact that this stream has not seen, a ledger that follows the account's leader is
 * asked.
 */

import type { Belief, RosterView } from '../rules/rule.ts'
import { detachedString } from '../stanza/detached-string.ts'
import { bareOf, compareBare } from '../stanza/jid.ts'
import { isAccountItself, isOwnServer } from '../stanza/own-addresses.ts'
import { rosterGetOf, rosterItemsOf, rosterSetOf } from '../stanza/roster-iq.ts'
import { type Stanza, type SubscriptionType, subscriptionTypeOf } from '../stanza/stanza.ts'
import type { Side } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import { type Direction, isSeenByContact, type Visible } from '../subscription/state.ts'
import { child, elements } from '../xml/element.ts'
import { keyOf } from './contact-map.ts'
import type { ContactHash } from './hashed-contact.ts'
import { hasItem, Ledger, type LedgerRecord, type RosterSnapshot } from './ledger.ts'
import type { AccountNews, AccountSnapshot, RequestNews } from './news.ts'
import type { AccountReport } from './report.ts'

export interface Observed {
  readonly news: readonly AccountNews[]
  readonly reports: readonly AccountReport[]
}

const nothing: Observed = { news: [], reports: [] }
/** UTF-16 units of an id and of a roster version or a JID (RFC 7622 section 3.1) together. */
const rememberedLength = 5_000
/** Requests of one stream whose answer is awaited: roster gets, and subscription requests. Beyond this number the oldest is forgotten. */
const awaitedAtMost = 1_000
/** Contacts of one stream that may see the user no longer, or ask anew. Of more, any may. */
const doubtedAtMost = 1_000

/** As data that JSON can hold. What is known of the account beyond this stream is kept with the account. */
export interface RosterWatchRecord {
  readonly own: LedgerRecord
  readonly present: string | null
  readonly gets: readonly (readonly [string, string | null])[]
  readonly requests: readonly (readonly [string, string])[]
  /** `null`: any contact. */
  readonly doubted: readonly string[] | null
}

export class RosterWatch implements RosterView {
  private readonly own: Ledger
  /** Follows the leader, as long as there is one that is another session. */
  private followed: Ledger | undefined
  /** A whole roster that may still be the present one. */
  private kept: RosterSnapshot | undefined
  /** The server has said that this version is the present one, and no stanza has changed the roster since. `undefined`: none. */
  private present: string | undefined
  /** The client's roster gets by IQ id: the version that the server was asked with. */
  private gets: Map<string, string | undefined> | undefined
  /** Contacts of the client's `subscribe` stanzas by stanza id. */
  private requests: Map<string, string> | undefined
  /** Finds contacts of a roster that was kept as hashes; `undefined`: none is. */
  private hash: ContactHash | undefined
  /**
   * Contacts that the roster shows as seeing the user, and that have asked or withdrawn, or were refused, since a push last showed them: an approval
   * may change something. `undefined`: none. By `keyOf`.
   */
  private doubted: Set<string> | undefined
  private readonly jid: string
  private isAnyDoubted = false
  private readonly bare: string

  /** `jid`: the client's full JID, in the server's spelling. */
  constructor(jid: string, own = new Ledger()) {
    this.jid = jid
    this.bare = bareOf(jid)
    this.own = own
  }

  /** `jid`: the client's full JID. Throws when it is no record of a watch. */
  static restored(jid: string, { own, present, gets, requests, doubted }: RosterWatchRecord): RosterWatch {
    const watch = new RosterWatch(jid, Ledger.restored(own))
    watch.present = present ?? undefined
    if (gets.length > 0) watch.gets = new Map(gets.map(([id, ver]) => [id, ver ?? undefined]))
    if (requests.length > 0) watch.requests = new Map(requests)
    if (doubted === null) watch.isAnyDoubted = true
    else if (doubted.length > 0) watch.doubted = new Set(doubted)
    return watch
  }

  get record(): RosterWatchRecord {
    const { own, present = null, gets, requests, doubted, isAnyDoubted } = this
    return {
      own: own.record,
      present,
      gets: [...(gets ?? [])].map(([id, ver = null]): [string, string | null] => [id, ver]),
      requests: [...(requests ?? [])],
      doubted: isAnyDoubted ? null : [...(doubted ?? [])],
    }
  }

  answersRequest(contact: string): Belief {
    return this.ask(contact, ledger => ledger.answersRequest(contact))
  }

  endsSubscription(contact: string): Belief {
    return this.ask(contact, ledger => ledger.endsSubscription(contact))
  }

  /** The user does not see the contact, and nothing shows that it has asked to. `false` too when nothing is known. */
  isUnasked(contact: string): boolean {
    if (this.own.stateOf(contact) !== undefined) return this.own.isUnasked(contact)
    return this.followed?.isUnasked(contact) === true
  }

  /** It is known that the contact sees the user, so that another approval changes nothing (RFC 6121 section A.2.3). */
  isGranted(contact: string): boolean {
    if (this.isAnyDoubted || this.doubted?.has(keyOf(contact)) === true) return false
    const ledger = this.own.stateOf(contact) === undefined ? this.followed : this.own
    return ledger?.isSeenBy(contact) === true
  }

  /** What is known of a contact's subscription, or `undefined`. */
  stateOf(contact: string): Visible | undefined {
    return this.own.stateOf(contact) ?? this.followed?.stateOf(contact)
  }

  /** The roster shows the contact, in whatever state, or the user has asked to see it. */
  isContact(contact: string): boolean {
    if (this.own.isContact(contact) || this.followed?.isContact(contact) === true) return true
    return !this.own.complete && this.kept !== undefined && hasItem(this.kept, contact, this.hash)
  }

  /** The whole roster was seen. */
  get isComplete(): boolean {
    return this.own.complete || this.followed?.complete === true
  }

  /** Whether some contact in the roster has this domain, which is folded. */
  hasContactAt(domain: string): boolean {
    return this.own.hasContactAt(domain) || this.followed?.hasContactAt(domain) === true
  }

  holdsVersion(ver: string): boolean {
    return this.snapshotOf(ver) !== undefined
  }

  joined({ snapshot, live, hash }: AccountSnapshot): void {
    this.kept = snapshot
    this.hash = hash
    this.own.hash = hash
    if (!live || snapshot === undefined) return
    this.followed = new Ledger(hash)
    this.followed.adopt(snapshot)
  }

  /** What another session of the account has seen or done. */
  told(news: AccountNews): Observed {
    switch (news.news) {
      case 'asked':
        this.own.askedElsewhere(news.contact)
        this.followed?.askedElsewhere(news.contact)
        return nothing
      case 'gave-up':
        this.own.gaveUp(news.contact)
        this.followed?.gaveUp(news.contact)
        return nothing
      case 'roster':
        this.followed ??= new Ledger(this.hash)
        this.followed.replace(news.items, news.ver)
        return nothing
      case 'push':
        this.followed?.push(news.item, news.ver)
        return nothing
      case 'subscription':
      case 'requests-decided':
      case 'unasked-grant':
      case 'answered':
        return nothing
      case 'recalled': {
        this.kept ??= news.snapshot
        const snapshot = this.present === undefined ? undefined : this.snapshotOf(this.present)
        return snapshot === undefined ? nothing : this.adopted(snapshot)
      }
      case 'blind':
        this.kept = snapshotOf(this.followed) ?? this.kept
        this.followed = undefined
        return nothing
      case 'lead':
        this.followed = undefined
        return { news: [rosterNews({ ver: this.own.ver, items: this.own.visibleItems() })], reports: [] }
    }
  }

  /** The roster that this stream has seen is told again, because the stream was resumed. Nothing, if it has seen none. */
  retold(): Observed {
    if (!this.own.complete) return nothing
    return { news: [rosterNews({ ver: this.own.ver, items: this.own.visibleItems() })], reports: [] }
  }

  /** A stanza of the client was forwarded; `stanza`: as it was forwarded. */
  sent(stanza: Stanza): Observed {
    if (stanza.kind === 'message') return nothing
    const get = rosterGetOf(stanza, this.bare)
    if (get !== undefined) {
      this.gets ??= new Map()
      remember(this.gets, stanza.id ?? '', get.attrs.get('ver'))
      return nothing
    }
    const set = isAccountItself(stanza.to, this.bare) ? rosterSetOf(stanza) : undefined
    if (set !== undefined) {
      const removed = rosterItemsOf(set).filter(item => item.removed)
      for (const { jid } of removed) this.doubt(jid)
      return { news: removed.map(({ jid }) => ({ ...this.gaveUp(jid), isRemoved: true })), reports: [] }
    }
    const type = subscriptionTypeOf(stanza)
    if (stanza.to === undefined || type === undefined) return nothing
    if (type === 'unsubscribe') return { news: [this.gaveUp(stanza.to)], reports: [] }
    if (type === 'unsubscribed') this.doubt(stanza.to)
    if (type !== 'subscribe') return { news: [passed('outbound', type, stanza.to)], reports: [] }
    this.requests ??= new Map()
    remember(this.requests, stanza.id ?? '', bareOf(stanza.to))
    return this.asked(stanza.to)
  }

  /** A stanza of the upstream was delivered. */
  received(stanza: Stanza): Observed {
    if (stanza.kind === 'presence') return this.presence(stanza)
    if (stanza.kind !== 'iq') return nothing
    if (stanza.type === 'result' || stanza.type === 'error') return this.answer(stanza)
    const push = rosterSetOf(stanza)
    if (push === undefined || !isAccountItself(stanza.from, this.bare)) return nothing
    const ver = push.attrs.get('ver')
    this.present = undefined
    const items = rosterItemsOf(push)
    if (this.doubted !== undefined) for (const { jid } of items) this.doubted.delete(keyOf(jid))
    const news = items.map(item => ({
      news: 'push' as const,
      item,
      ver,
      before: this.own.push(item, ver),
    }))
    return { news, reports: [] }
  }

  /** A stanza of this side was left out. */
  refused(from: Side, stanza: Stanza): Observed {
    const type = from === 'upstream' ? subscriptionTypeOf(stanza) : undefined
    if (type !== 'subscribed' && type !== 'unsubscribed') return nothing
    const isKnown = stanza.from !== undefined && this.stateOf(stanza.from) !== undefined
    return isKnown ? { news: [], reports: [{ report: 'decided', type }] } : nothing
  }

  private presence(stanza: Stanza): Observed {
    const { from, id } = stanza
    if (from === undefined) return nothing
    if (stanza.type === 'error') return this.failed(stanza, id ?? '')
    const type = subscriptionTypeOf(stanza)
    switch (type) {
      case undefined:
        return nothing
      case 'subscribed':
        return this.delivered(type, from, this.answersRequest(from), ledger => ledger.deliveredSubscribed(from))
      case 'unsubscribed':
        return this.delivered(type, from, this.endsSubscription(from), ledger => ledger.deliveredUnsubscribed(from))
      default:
        this.doubt(from)
        return { news: [passed('inbound', type, from)], reports: [] }
    }
  }

  private delivered(
    type: 'subscribed' | 'unsubscribed',
    from: string,
    answer: Belief,
    take: (ledger: Ledger) => void,
  ): Observed {
    const report = answer === 'unknown' ? 'undecided' : 'decided'
    // It passed although the ledger refuses it (mode observe, or a trusted domain): it answers no request.
    const news = answer === 'refuse' ? [] : [passed('inbound', type, from)]
    // If it cannot be checked, only the stream that has seen the push for it knows that no second one will be believed.
    if (answer === 'accept' || (answer === 'unknown' && this.own.stateOf(from) !== undefined)) take(this.own)
    if (answer === 'accept' && this.followed !== undefined) take(this.followed)
    return { news, reports: [{ report, type }] }
  }

  /** RFC 3921 section 8.2: the error to a request bears the request's id. */
  private failed(stanza: Stanza, id: string): Observed {
    const contact = this.requests?.get(id)
    if (contact === undefined || compareBare(stanza.from ?? '', contact) === 'different') return nothing
    this.requests?.delete(id)
    const error = child(stanza.element, 'error', ns.client)
    const condition = error && elements(error).find(node => node.ns === ns.stanzaErrors && node.name !== 'text')
    return { news: [], reports: [{ report: 'request-failed', condition: condition?.name ?? 'undefined-condition' }] }
  }

  /** An answer to the client's own roster get. */
  private answer(stanza: Stanza): Observed {
    const id = stanza.id ?? ''
    if (this.gets?.has(id) !== true || !isOwnServer(stanza.from, this.jid)) return nothing
    const asked = this.gets.get(id)
    this.gets.delete(id)
    if (this.gets.size === 0) this.gets = undefined
    if (stanza.type !== 'result') return nothing
    const query = child(stanza.element, 'query', ns.roster)
    if (query !== undefined) {
      const ver = query.attrs.get('ver')
      const items = rosterItemsOf(query)
      this.present = undefined
      this.own.replace(items, ver)
      return { news: [{ news: 'roster', items, ver }], reports: [] }
    }
    // RFC 6121 section 2.6.3: nothing has changed since the version asked with.
    const snapshot = asked === undefined ? undefined : this.snapshotOf(asked)
    if (snapshot !== undefined) return this.adopted(snapshot)
    // What was kept of the account may come later.
    this.present = asked
    return nothing
  }

  private adopted(snapshot: RosterSnapshot): Observed {
    this.present = undefined
    this.own.adopt(snapshot)
    return { news: [rosterNews(snapshot)], reports: [] }
  }

  /**
   * Only a `subscribe` that begins a request is told as such: another stream may have seen the answer to a repeated one already. A repeated one may be
   * an acknowledgement (RFC 3921 section 9.4).
   */
  private asked(contact: string): Observed {
    const isKnown = this.own.stateOf(contact) !== undefined
    const begins = this.own.asked(contact)
    const follows = this.followed?.asked(contact) ?? begins
    const isRequest = isKnown ? begins : follows
    return { news: [isRequest ? { news: 'asked', contact } : passed('outbound', 'subscribe', contact)], reports: [] }
  }

  private gaveUp(contact: string): RequestNews {
    this.own.gaveUp(contact)
    this.followed?.gaveUp(contact)
    return { news: 'gave-up', contact }
  }

  private doubt(contact: string): void {
    const state = this.stateOf(contact)
    if (state === undefined || !isSeenByContact(state)) return
    this.doubted ??= new Set()
    this.doubted.add(detachedString(keyOf(contact)))
    if (this.doubted.size > doubtedAtMost) this.isAnyDoubted = true
  }

  private ask(contact: string, question: (ledger: Ledger) => Belief): Belief {
    const answer = question(this.own)
    if (answer !== 'unknown' || this.followed === undefined) return answer
    const told = question(this.followed)
    // The leader may have fetched the roster after the change, and does not know what has changed it.
    return told === 'refuse' && this.own.isUnjudged(contact) ? 'unknown' : told
  }

  private snapshotOf(ver: string): RosterSnapshot | undefined {
    for (const ledger of [this.own, this.followed]) if (ledger?.ver === ver) return snapshotOf(ledger)
    return this.kept?.ver === ver ? this.kept : undefined
  }
}

function passed(direction: Direction, type: SubscriptionType, contact: string): AccountNews {
  return { news: 'subscription', direction, type, contact }
}

function rosterNews(snapshot: RosterSnapshot): AccountNews {
  const items = [...snapshot.items].map(([jid, state]) => ({ ...state, jid, removed: false }))
  return { news: 'roster', items, ver: snapshot.ver }
}

function snapshotOf(ledger: Ledger | undefined): RosterSnapshot | undefined {
  if (ledger === undefined || !ledger.complete || ledger.ver === undefined) return undefined
  return { ver: ledger.ver, items: ledger.visibleItems() }
}

/**
 * Maps keep the order of insertion: the first key is the oldest. Keys and values that no client writes are not kept: their answer
 * is then ignored.
 */
function remember<Value extends string | undefined>(map: Map<string, Value>, key: string, value: Value): void {
  if (key.length + (value?.length ?? 0) > rememberedLength) return
  map.delete(key)
  if (map.size >= awaitedAtMost) for (const oldest of map.keys()) if (map.delete(oldest)) break
  map.set(detachedString(key), (value === undefined ? value : detachedString(value)) as Value)
}
