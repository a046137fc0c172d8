/**
 * Requests of strangers in one session: which were shown since the client's first presence, and which are held until there is room. A server
 * delivers all that are unanswered once the client is available (RFC 6121 section 3.1.3), in any order: room is kept at first for those that are held
 * from before and come first in rank.
 */
import type { Decision } from '../account/account-requests.ts'
import { keyOf } from '../account/contact-map.ts'
import type { HeldRequest, WhyHeld } from '../account/held-requests.ts'
import type { Quarantine } from '../account/quarantine.ts'
import { type StrangerAction, StrangerPolicy } from '../account/stranger-policy.ts'
import { isAccountItself } from '../stanza/own-addresses.ts'
import { rosterItemsOf, rosterSetOf } from '../stanza/roster-iq.ts'
import type { Stanza } from '../stanza/stanza.ts'
import type { Element } from '../xml/element.ts'
import { type ElementRecord, elementOfRecord, recordOfElement } from '../xml/element-record.ts'
import { StrangerNotices } from './stranger-notices.ts'
import { type KnownContacts, Strangers } from './strangers.ts'

interface HeldRecord {
  readonly contact: string
  readonly why: WhyHeld
  readonly element: ElementRecord
  /** It has shown the token of an invitation. Left out: it has not. */
  readonly isInvited?: true
}

/** As data that JSON can hold. */
export interface PendingRequestsRecord {
  readonly isAvailable: boolean
  /** Keys of strangers. */
  readonly shown: readonly string[]
  readonly held: readonly HeldRecord[]
}

/** Milliseconds from the first presence in which a server delivers what is unanswered. */
const deliveredWithin = 60_000
/** Requests that one session remembers as held. */
const rememberedAtMost = 1_000

export class PendingRequests {
  private readonly quarantine: Quarantine
  private readonly account: string
  private readonly contacts: KnownContacts
  private readonly strangers: Strangers
  /** Keys of strangers whose requests were shown in this presence session. */
  private readonly shown = new Set<string>()
  /** The same, of requests that the operator has released and for which there was no room. They take none. */
  private readonly shownBeyond = new Set<string>()
  /** Those whose requests came in this presence session and are held. */
  private readonly held = new Set<string>()
  private isAvailable = false
  /**
   * The beginning of the presence session, in milliseconds since 1970, as long as the server may still deliver what is held from before; then
   * `undefined`.
   */
  private since: number | undefined
  /** Something that is held from before has come: the server delivers to this session. */
  private isDelivering = false
  /** Room that was kept is free. */
  private isRoomLeft = false

  readonly notices: StrangerNotices

  /** `account`: its bare JID. `policy`: left out: every stranger's request is shown when there is room. */
  constructor(
    quarantine: Quarantine,
    account: string,
    contacts: KnownContacts,
    policy = new StrangerPolicy({}, quarantine.now),
  ) {
    this.quarantine = quarantine
    this.account = account
    this.contacts = contacts
    this.strangers = new Strangers(policy, account, contacts)
    this.notices = new StrangerNotices(this.strangers, () => [...quarantine.heldFor(account)].length)
    quarantine.began(account)
  }

  get record(): PendingRequestsRecord {
    const held = [...this.quarantine.heldFor(this.account)].filter(({ key }) => this.held.has(key))
    return {
      isAvailable: this.isAvailable,
      shown: [...this.shown, ...this.shownBeyond],
      held: held.map(({ contact, why, element, rank }) => {
        const record = { contact, why, element: recordOfElement(element) }
        return rank === -1 ? { ...record, isInvited: true } : record
      }),
    }
  }

  /** Takes in what another process has kept of this session. Throws when it is no record. */
  restore({ isAvailable, shown, held }: PendingRequestsRecord): void {
    this.isAvailable = isAvailable
    for (const { contact, why, element, isInvited = false } of held) {
      const rank = this.strangers.rankOf(contact, isInvited)
      const request = { contact, why, rank, element: elementOfRecord(element) }
      if (this.quarantine.hold(this.account, request)) this.held.add(keyOf(contact))
    }
    for (const contact of shown) this.wasShown(contact)
  }

  /** Whether a request of this contact has to wait, was shown already, or is not shown at all. What the operator has decided counts most. */
  isHeld(contact: string, { element }: Stanza): boolean {
    if (this.contacts.isNoStranger(contact)) return false
    const decision = this.decisionOn(contact)
    if (decision !== undefined) return decision === 'deny' || this.isRepeated(contact)
    const isInvited = this.isInvited(contact, element)
    const action = this.strangers.actionFor(contact, isInvited)
    if (action === 'accept') return false
    return action === 'drop' || this.isRepeated(contact) || this.whyHeld(contact, isInvited) !== undefined
  }

  /** A stanza of the client's has gone on. Says whether something may be released. */
  sent(stanza: Stanza): boolean {
    const { kind, type, to } = stanza
    if (kind === 'message') return false
    if (kind === 'iq') {
      this.strangers.sent(stanza)
      return this.removed(stanza)
    }
    if (to === undefined) {
      this.appeared(type)
      return false
    }
    if (type === 'subscribe') return this.held.has(keyOf(to))
    return (type === 'subscribed' || type === 'unsubscribed') && this.ended(to)
  }

  /** A stanza of the server's has gone on. Says whether something may be released. */
  received(stanza: Stanza): boolean {
    const { kind, type, from } = stanza
    if (kind === 'iq') {
      this.strangers.received(stanza)
      return this.pushed(stanza)
    }
    if (kind !== 'presence' || from === undefined) return false
    if (type === 'unsubscribe') return this.withdrawn(from)
    if (type !== 'subscribe') return false
    if (this.contacts.isNoStranger(from)) return false
    const isInvited = this.isInvited(from, stanza.element)
    const strangerClass = this.strangers.classOf(from, isInvited)
    this.notices.came(strangerClass, 'shown')
    const isAccepted = this.decisionOn(from) === undefined && this.strangers.actionOf(strangerClass) === 'accept'
    if (isAccepted) return this.ended(from)
    if (this.isRated(from, isInvited)) this.strangers.count(from)
    this.wasShown(from)
    return this.held.size > 0
  }

  /** A request was left out by the rule. Says whether something may be released. */
  hold(stanza: Stanza): boolean {
    const contact = stanza.from
    if (contact === undefined) return false
    const isInvited = this.isInvited(contact, stanza.element)
    const strangerClass = this.strangers.classOf(contact, isInvited)
    const isDropped = this.strangers.actionOf(strangerClass) === 'drop'
    const isOver = this.decisionOn(contact) === 'deny' || (isDropped && this.strangers.mayDrop)
    const outcome = isOver ? 'dropped' : this.isRepeated(contact) ? 'repeated' : 'held'
    this.notices.came(strangerClass, outcome)
    if (outcome === 'dropped') return this.dropped(contact)
    if (outcome === 'repeated') return false
    const key = keyOf(contact)
    this.came(key)
    const why = isDropped ? 'no-roster' : (this.whyHeld(contact, isInvited) ?? 'per-login')
    const isKnown = this.quarantine.heldOf(this.account, contact) !== undefined
    const isCounted = why !== 'rate' && !isDropped && this.isRated(contact, isInvited) && !isKnown
    if (isCounted) this.strangers.count(contact)
    const rank = this.strangers.rankOf(contact, isInvited)
    const isKept = this.quarantine.hold(this.account, { contact, why, rank, element: stanza.element })
    if (isKept && this.held.size < rememberedAtMost) this.held.add(key)
    if (isKept) this.notices.held()
    return this.takeRoomLeft()
  }

  /** Takes a held request that is shown from now on; `undefined`: there is none, or no room. */
  release(): HeldRequest | undefined {
    if (this.held.size === 0) return undefined
    const released = this.released()
    if (released === undefined) return undefined
    const { contact, rank } = released
    if (this.passes(released) && this.decisionOn(contact) === undefined) {
      this.ended(contact)
      return released
    }
    if (this.isRated(contact, rank === -1)) this.strangers.count(contact)
    this.wasShown(contact)
    return released
  }

  /** The operator has released this request. Says whether this session is to show it: the server has delivered it here, too. */
  decided({ key, contact }: HeldRequest): boolean {
    if (!this.held.has(key)) return false
    this.wasShown(contact)
    return true
  }

  private released(): HeldRequest | undefined {
    let first: HeldRequest | undefined
    const dropped: string[] = []
    for (const request of this.quarantine.heldFor(this.account)) {
      const { key, contact } = request
      if (!this.held.has(key)) continue
      if (this.passes(request)) return request
      if (this.actionOf(request) === 'drop') dropped.push(contact)
      else if (first === undefined && !this.isOverRate(contact, request.rank === -1)) first = request
    }
    if (this.strangers.mayDrop) for (const contact of dropped) this.dropped(contact)
    if (first === undefined || this.whyHeld(first.contact, first.rank === -1) !== undefined) return undefined
    return first
  }

  /** Whether it needs no room. */
  private passes(request: HeldRequest): boolean {
    return this.contacts.isNoStranger(request.contact) || this.actionOf(request) === 'accept'
  }

  private actionOf({ contact, rank }: HeldRequest): StrangerAction {
    if (this.decisionOn(contact) === 'release') return 'accept'
    return this.strangers.actionFor(contact, rank === -1)
  }

  /** Servers may deliver a request without its token later: one that has shown it stays invited. */
  private isInvited(contact: string, request: Element): boolean {
    return this.strangers.isInvited(request) || this.quarantine.heldOf(this.account, contact)?.rank === -1
  }

  private dropped(contact: string): boolean {
    this.notices.dropped(contact)
    return this.ended(contact)
  }

  private decisionOn(contact: string): Decision | undefined {
    return this.quarantine.decisionOn(this.account, contact)
  }

  private appeared(type: string | undefined): void {
    if (type !== undefined && type !== 'unavailable') return
    const isFirst = type === undefined && !this.isAvailable
    this.isAvailable = type === undefined
    if (!isFirst && this.isAvailable) return
    this.shown.clear()
    this.shownBeyond.clear()
    this.held.clear()
    this.since = isFirst ? this.quarantine.now() : undefined
    this.isDelivering = false
    if (isFirst) this.quarantine.rerank(this.account, contact => this.strangers.rankOf(contact, false))
  }

  /** A roster push may show that a request was granted past the gate, or that a stranger is a contact now. */
  private pushed(stanza: Stanza): boolean {
    const isOfInterest = stanza.type === 'set' && this.remembersAny && isAccountItself(stanza.from, this.account)
    const set = isOfInterest ? rosterSetOf(stanza) : undefined
    let isChanged = false
    for (const { jid, removed, subscription } of set === undefined ? [] : rosterItemsOf(set)) {
      const key = keyOf(jid)
      if (removed || !(this.held.has(key) || this.shown.has(key))) continue
      isChanged = true
      if (subscription === 'from' || subscription === 'both') this.ended(jid)
    }
    return isChanged
  }

  private get remembersAny(): boolean {
    return this.shown.size > 0 || this.held.size > 0
  }

  /** RFC 3921 section 9.4: a roster remove answers a request too. */
  private removed(stanza: Stanza): boolean {
    const set = stanza.type === 'set' && this.remembersAny ? rosterSetOf(stanza) : undefined
    const items = set === undefined ? [] : rosterItemsOf(set).filter(item => item.removed)
    for (const { jid } of items) this.ended(jid)
    return items.length > 0
  }

  /** Room comes only from a request that was shown. Whoever withdraws others, again and again, costs no look at all that are held. */
  private withdrawn(contact: string): boolean {
    const wasShown = this.shown.has(keyOf(contact))
    return this.ended(contact) && wasShown
  }

  /** The request is answered or withdrawn. */
  private ended(contact: string): boolean {
    const key = keyOf(contact)
    this.shown.delete(key)
    this.shownBeyond.delete(key)
    this.held.delete(key)
    this.quarantine.ended(this.account, contact)
    return this.held.size > 0
  }

  private wasShown(contact: string): void {
    const key = keyOf(contact)
    this.came(key)
    // In mode observe more are shown.
    if (this.shown.size < this.quarantine.limits.perLogin) this.shown.add(key)
    else if (this.decisionOn(contact) === 'release') this.shownBeyond.add(key)
    this.held.delete(key)
    this.quarantine.shown(this.account, contact)
  }

  /** The server has delivered this request. */
  private came(contact: string): void {
    if (this.since === undefined || this.isDelivering) return
    const known = this.quarantine.heldOf(this.account, contact)
    if (known !== undefined && known.since < this.since) this.isDelivering = true
  }

  /** Shown in this presence session, and not answered since. */
  private isRepeated(contact: string): boolean {
    const key = keyOf(contact)
    return (this.shown.has(key) || this.shownBeyond.has(key)) && this.quarantine.isShown(this.account, contact)
  }

  /**
   * Whether a request is counted: not what a server delivers again at the login, nor what was let through before. A user has invited those who
   * show a token.
   */
  private isRated(contact: string, isInvited: boolean): boolean {
    if (isInvited || this.mayBeDelivered || this.quarantine.isShown(this.account, contact)) return false
    const why = this.quarantine.heldOf(this.account, contact)?.why
    return why === undefined || why === 'rate'
  }

  private isOverRate(contact: string, isInvited: boolean): boolean {
    return this.strangers.isOverRate(contact) && this.isRated(contact, isInvited)
  }

  /** The presence session is so young that the server may still deliver what it has kept. */
  private get mayBeDelivered(): boolean {
    return this.since !== undefined && this.quarantine.now() < this.since + deliveredWithin
  }

  private whyHeld(contact: string, isInvited: boolean): WhyHeld | undefined {
    if (this.isOverRate(contact, isInvited)) return 'rate'
    const { perLogin } = this.quarantine.limits
    if (this.shown.size >= perLogin) this.forgetAnswered()
    const room = perLogin - this.shown.size
    if (room <= 0 || this.ahead(contact, isInvited, room) >= room) return 'per-login'
    return this.quarantine.hasRoomToday(this.account, contact) ? undefined : 'per-day'
  }

  /** Another session of the account may have answered. */
  private forgetAnswered(): void {
    for (const key of this.shown)
      if (!this.quarantine.isShown(this.account, key) || this.contacts.isNoStranger(key)) this.shown.delete(key)
  }

  /** Requests that are held from before, have not come yet and go first, up to `atMost`. */
  private ahead(contact: string, isInvited: boolean, atMost: number): number {
    this.lapse()
    const { since } = this
    if (since === undefined) return 0
    const own = this.quarantine.heldOf(this.account, contact)
    const rank = own?.rank ?? this.strangers.rankOf(contact, isInvited)
    let count = 0
    for (const request of this.quarantine.heldFor(this.account)) {
      if (request === own || request.rank > rank || count === atMost) break
      if (request.since < since && this.isAwaited(request)) count++
    }
    return count
  }

  private isAwaited({ key }: HeldRequest): boolean {
    return !this.held.has(key) && !this.shown.has(key)
  }

  /** What the server has not delivered by now, although it does deliver, it does not have any longer. */
  private lapse(): void {
    const { since } = this
    if (since === undefined || this.quarantine.now() < since + deliveredWithin) return
    this.since = undefined
    this.isRoomLeft = true
    if (!this.isDelivering) return
    const gone = [...this.quarantine.heldFor(this.account)].filter(
      request => request.since < since && this.isAwaited(request),
    )
    for (const { contact } of gone) this.quarantine.ended(this.account, contact)
  }

  private takeRoomLeft(): boolean {
    const isLeft = this.isRoomLeft
    this.isRoomLeft = false
    return isLeft
  }
}
