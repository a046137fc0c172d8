/**
 * What one stream has shown of its account's subscriptions, and whether an inbound notification is believed. Each stream has a
 * ledger of its own: a server sends presence and pushes in one order on one stream and in another order, or at another time, on
 * the next. What only another stream of the account can know is told by accounts.ts. Servers differ in which comes first, the
 * roster push or the presence. So the present state alone decides nothing:
 * - a request begins with the user's `subscribe`, or with an item that newly shows `ask`. It goes on after the push to `to` or `both`,
 *   makes one `subscribed` believable, and ends when the request is withdrawn or refused;
 * - an `unsubscribed` is due when `to` or `ask` is lost before the `unsubscribed` came; it makes one believable.
 */

import type { Belief } from '../rules/rule.ts'
import { detachedString } from '../stanza/detached-string.ts'
import type { RosterItem } from '../stanza/roster-iq.ts'
import { isSeenByContact, seesContact, type Visible } from '../subscription/state.ts'
import { ContactMap, keyOf } from './contact-map.ts'
import { type ContactHash, domainOf, hashedContact, hashedDomain } from './hashed-contact.ts'

export interface RosterSnapshot {
  /** `undefined`: the server has no roster versions. */
  readonly ver: string | undefined
  /** By folded bare JID; one that was kept as hashes by these (`hashedContact`). */
  readonly items: ReadonlyMap<string, Visible>
}

/** As data that JSON can hold. A contact is its key and the code of what is known of it. */
export interface LedgerRecord {
  readonly complete: boolean
  readonly ver: string | null
  readonly contacts: readonly (readonly [string, number])[]
}

/** `spent`: a `subscribed` has answered it. */
export type RequestState = 'none' | 'open' | 'spent'

/** One object for all contacts of which the same is known: rosters have thousands, and most of them are alike. */
interface Contact {
  /** One of `visibles`, or `nothing`. */
  readonly visible: Visible
  readonly request: RequestState
  /** A push has shown the loss of `to` or `ask`, and its `unsubscribed` has not come yet. */
  readonly unsubscribedDue: boolean
  /** A loss of `to` or `ask` that no push has shown yet. `heard`: an `unsubscribed` came; `made`: the user's `unsubscribe` went out. */
  readonly loss: 'none' | 'heard' | 'made'
  /** The request was made after that loss: the push that shows the loss does not end it. */
  readonly renewed: boolean
  /** A result or a push has shown the contact. */
  readonly isShown: boolean
  /**
   * The contact was first named by a push, so it is not known what the push has changed. `gain`: it may belong to a `subscribed`
   * that is yet to come; `loss`: to an `unsubscribed`. A server may push to a session that has not asked for its roster.
   */
  readonly unjudged: 'none' | 'gain' | 'loss'
}

interface SharedContact extends Contact {
  /** What an item makes of it, by the item's code, as far as it was asked for. */
  readonly shownAs: (SharedContact | undefined)[]
}

/**
 * Contacts of one ledger; no roster is as long. A client may send requests to any number of contacts. Of contacts beyond this
 * number only what a roster shows is known.
 */
const contactsAtMost = 100_000

/** The roster does not show the contact. */
const nothing: Visible = { subscription: 'none', ask: false }

export class Ledger {
  /** The whole roster was seen: the state of a contact that is not in it is none. */
  complete = false
  /** The roster version that this ledger stands at, `undefined` for a server without versions. */
  ver: string | undefined
  private readonly contacts = new ContactMap<SharedContact>()
  /** Domains of the contacts that the roster shows; `undefined` until they are asked for after a change. */
  private domains: Set<string> | undefined

  /** `hash`: finds contacts that were kept as hashes; left out: there are none. */
  constructor(hash?: ContactHash) {
    this.hash = hash
  }

  get hash(): ContactHash | undefined {
    return this.contacts.hash
  }

  set hash(hash: ContactHash | undefined) {
    this.contacts.hash = hash
  }

  /** Throws when it is no record of a ledger. */
  static restored({ complete, ver, contacts }: LedgerRecord): Ledger {
    const ledger = new Ledger()
    for (const [contact, code] of contacts) ledger.contacts.add(contact, shared(contactOf(code)))
    ledger.complete = complete
    ledger.ver = ver ?? undefined
    return ledger
  }

  get record(): LedgerRecord {
    const contacts = [...this.contacts.entries()].map(([key, contact]): [string, number] => [key, codeOf(contact)])
    return { complete: this.complete, ver: this.ver ?? null, contacts }
  }

  /** What is known of a contact, or `undefined`. */
  stateOf(jid: string): Visible | undefined {
    const contact = this.contacts.get(jid)
    if (!this.complete && contact?.isShown !== true) return undefined
    return contact?.visible ?? nothing
  }

  /** What the roster shows of a contact; `undefined`: it does not show it. */
  itemOf(jid: string): Visible | undefined {
    const visible = this.contacts.get(jid)?.visible
    return visible === nothing ? undefined : visible
  }

  /** The roster shows the contact, in whatever state, or the user has asked to see it. */
  isContact(jid: string): boolean {
    const contact = this.contacts.get(jid)
    return contact !== undefined && (contact.visible !== nothing || contact.request === 'open')
  }

  /** Whether a contact that the roster shows has this domain, which is folded. */
  hasContactAt(domain: string): boolean {
    if (this.domains === undefined) {
      this.domains = new Set()
      for (const [key, { visible }] of this.contacts.entries()) if (visible !== nothing) this.domains.add(domainOf(key))
    }
    if (this.domains.has(domain)) return true
    const { hash, contacts } = this
    return hash !== undefined && contacts.hasHashed && this.domains.has(hashedDomain(domain, hash))
  }

  /** The contact was first named by a push, and it is not known what that push has changed. */
  isUnjudged(jid: string): boolean {
    return (this.contacts.get(jid)?.unjudged ?? 'none') !== 'none'
  }

  /** The user does not see the contact, and nothing shows that it has asked to. `false` too when nothing is known. */
  isUnasked(jid: string): boolean {
    const state = this.stateOf(jid)
    if (state === undefined || state.ask || seesContact(state)) return false
    const contact = this.contacts.get(jid)
    return contact === undefined || (contact.request === 'none' && contact.unjudged === 'none')
  }

  /** The roster shows, under exactly this name, that the contact sees the user. */
  isSeenBy(jid: string): boolean {
    const state = this.stateOf(jid)
    return state !== undefined && isSeenByContact(state) && this.contacts.hasExactly(jid)
  }

  /** Whether an inbound `subscribed` answers a request: RFC 3921 section 8.2(8), RFC 6121 section 3.1.6. */
  answersRequest(jid: string): Belief {
    const state = this.stateOf(jid)
    if (state === undefined) return 'unknown'
    const contact = this.contacts.get(jid)
    if (contact?.request === 'open' || (state.ask && contact?.request !== 'spent')) return 'accept'
    return contact?.unjudged === 'gain' ? 'unknown' : 'refuse'
  }

  /** Whether an inbound `unsubscribed` ends something: RFC 3921 table 6, RFC 6121 section 3.2.3 and table 9. */
  endsSubscription(jid: string): Belief {
    const state = this.stateOf(jid)
    if (state === undefined) return 'unknown'
    if (state.ask || seesContact(state)) return 'accept'
    // An open request may be denied before the push that shows it has come.
    const contact = this.contacts.get(jid)
    if (contact?.unsubscribedDue === true || contact?.request === 'open') return 'accept'
    return contact?.unjudged === 'loss' ? 'unknown' : 'refuse'
  }

  /** An inbound `subscribed` was delivered: it uses up the open request, or the gain that could not be checked. */
  deliveredSubscribed(jid: string): void {
    this.change(jid, contact => ({
      ...contact,
      request: 'spent',
      unjudged: contact.unjudged === 'gain' ? 'none' : contact.unjudged,
    }))
  }

  /** An inbound `unsubscribed` was delivered. */
  deliveredUnsubscribed(jid: string): void {
    this.change(jid, contact => {
      const { visible, unjudged } = contact
      // The push that shows this loss came first.
      if (unjudged === 'loss') return { ...contact, unjudged: 'none' }
      // An `unsubscribed` that is due belongs to a loss that a push has shown: an open request is newer.
      const isShownLoss = !visible.ask && !seesContact(visible) && contact.unsubscribedDue
      return isShownLoss ? { ...contact, unsubscribedDue: false } : { ...contact, loss: 'heard' }
    })
  }

  /**
   * The user's `subscribe` went out on this stream. Says whether it begins a request: it repeats a pending one, and in state To
   * it acknowledges (RFC 3921 section 9.4).
   */
  asked(jid: string): boolean {
    const contact = this.contacts.get(jid) ?? (this.isFull ? undefined : unknown)
    if (contact === undefined) return false
    if (contact.loss === 'none' && (seesContact(contact.visible) || contact.request !== 'none')) return false
    this.change(jid, begun)
    return true
  }

  /** A request was begun on another stream of the account. Its answer may not have come on this stream yet. */
  askedElsewhere(jid: string): void {
    this.change(jid, begun)
  }

  /** An `unsubscribe` of the user's went out, or a roster remove, which is one (RFC 3921 section 8.6). */
  gaveUp(jid: string): void {
    if (this.contacts.get(jid) === undefined) return
    this.change(jid, contact => {
      const { visible, loss } = contact
      const isLost = loss === 'none' && (visible.ask || seesContact(visible))
      return { ...contact, request: 'none', renewed: false, loss: isLost ? 'made' : loss }
    })
  }

  /** A roster push (RFC 6121 section 2.1.6). Gives what the item showed before, `undefined` when nothing was known. */
  push(item: RosterItem, ver: string | undefined): Visible | undefined {
    this.reveal([item.jid])
    const before = this.stateOf(item.jid)
    this.show(item, before === undefined)
    if (ver !== undefined) this.ver = detachedString(ver)
    return before
  }

  /**
   * A whole roster (RFC 6121 section 2.1.4): contacts that are not in it are removed. Gives the folded bare JIDs of contacts whose
   * visible state has changed.
   */
  replace(given: readonly RosterItem[], ver: string | undefined): string[] {
    const items = this.named(given)
    // A request that was just sent is not in the roster yet: a contact that no roster has shown is not removed.
    const left = new Set(this.visibleItems().keys())
    const changed: string[] = []
    for (const item of items) {
      const key = keyOf(item.jid)
      if (this.show(item)) changed.push(key)
      left.delete(key)
    }
    for (const jid of left) {
      this.show({ ...nothing, jid, removed: true })
      changed.push(jid)
    }
    this.complete = true
    this.ver = ver === undefined ? undefined : detachedString(ver)
    return changed
  }

  /** The server has said that this version, which another stream has seen, is the present one (RFC 6121 section 2.6.3). */
  adopt(snapshot: RosterSnapshot): void {
    const items = [...snapshot.items].map(([jid, state]) => ({ ...state, jid, removed: false }))
    this.replace(items, snapshot.ver)
  }

  /** These contacts, which were perhaps kept as hashes, are known by their JIDs from now on. Gives both for each of which that is new. */
  reveal(jids: Iterable<string>): readonly (readonly [hashed: string, contact: string])[] {
    return this.contacts.reveal(jids)
  }

  /** The folded bare JIDs of those of these contacts that are hashed, as far as the ledger knows them. */
  namesOf(contacts: Iterable<string>): ReadonlyMap<string, string> {
    return this.contacts.namesOf(contacts)
  }

  /** Items with one name for each contact: its JID, if the ledger or an item has it. */
  named(items: readonly RosterItem[]): readonly RosterItem[] {
    if (this.hash === undefined) return items
    const jids = items.map(item => item.jid)
    this.reveal(jids)
    const names = this.namesOf(jids)
    return names.size === 0 ? items : items.map(item => ({ ...item, jid: names.get(item.jid) ?? item.jid }))
  }

  /** The visible states by folded bare JID, without those that are none. */
  visibleItems(): Map<string, Visible> {
    const items = new Map<string, Visible>()
    for (const [jid, { visible }] of this.contacts.entries()) if (visible !== nothing) items.set(jid, visible)
    return items
  }

  /** `isFirst`: nothing was known before, so it is not known what the item has changed. Says whether the visible state is another. */
  private show(item: RosterItem, isFirst = false): boolean {
    const known = this.contacts.getShown(item.jid)
    if (known === undefined && this.isFull) return false
    const before = known ?? unknown
    const code = codeOfItem(item)
    const after = before.shownAs[code] ?? shared(shown(before, item))
    before.shownAs[code] = after
    this.put(item.jid, known, isFirst ? shared({ ...after, unjudged: unjudgedOf(after) }) : after)
    return after.visible !== before.visible
  }

  /** Of a contact beyond the limit nothing is noted. */
  private change(jid: string, changed: (contact: Contact) => Contact): void {
    const known = this.contacts.get(jid)
    if (known === undefined && this.isFull) return
    this.put(jid, known, shared(changed(known ?? unknown)))
  }

  private put(jid: string, known: SharedContact | undefined, after: SharedContact): void {
    if (known?.visible !== after.visible) this.domains = undefined
    if (known === undefined) this.contacts.add(jid, after)
    else if (known !== after) this.contacts.set(jid, after)
  }

  private get isFull(): boolean {
    return this.contacts.size >= contactsAtMost
  }
}

/** Whether the roster that was kept shows the contact. */
export function hasItem({ items }: RosterSnapshot, contact: string, hash: ContactHash | undefined): boolean {
  const key = keyOf(contact)
  return items.has(key) || (hash !== undefined && items.has(hashedContact(key, hash)))
}

const subscriptions = ['none', 'to', 'from', 'both'] as const
/** What a roster can show of a contact. */
const visibles: readonly Visible[] = subscriptions.flatMap(subscription =>
  [false, true].map(ask => ({ subscription, ask })),
)

/** One number for each thing that an item can say of a subscription. */
function codeOfItem({ subscription, ask, removed }: RosterItem): number {
  return removed ? visibles.length : 2 * subscriptions.indexOf(subscription) + (ask ? 1 : 0)
}

/** By the code of what is known. There are less than two thousand, and a gate meets some dozens. */
const contactsByCode = new Map<number, SharedContact>()

function shared(contact: Contact): SharedContact {
  const code = codeOf(contact)
  const known = contactsByCode.get(code)
  if (known !== undefined) return known
  const made = { ...contact, shownAs: [] }
  contactsByCode.set(code, made)
  return made
}

const requestCodes: Readonly<Record<RequestState, number>> = { none: 0, open: 1, spent: 2 }
const lossCodes: Readonly<Record<Contact['loss'], number>> = { none: 0, heard: 1, made: 2 }
const unjudgedCodes: Readonly<Record<Contact['unjudged'], number>> = { none: 0, gain: 1, loss: 2 }

/** One number for each state of a contact. */
function codeOf({ visible, request, unsubscribedDue, loss, renewed, isShown, unjudged }: Contact): number {
  let code = visibles.indexOf(visible) + 1
  code = code * 3 + requestCodes[request]
  code = code * 3 + lossCodes[loss]
  code = code * 3 + unjudgedCodes[unjudged]
  return code * 8 + (unsubscribedDue ? 4 : 0) + (renewed ? 2 : 0) + (isShown ? 1 : 0)
}

/** The contact of this code. Throws when there is none. */
function contactOf(code: number): Contact {
  const [visible, request, loss, unjudged, flags] = digitsOf(code, [visibles.length + 1, 3, 3, 3, 8])
  return {
    visible: visibles[visible - 1] ?? nothing,
    request: nameOf(requestCodes, request),
    loss: nameOf(lossCodes, loss),
    unjudged: nameOf(unjudgedCodes, unjudged),
    unsubscribedDue: (flags & 4) !== 0,
    renewed: (flags & 2) !== 0,
    isShown: (flags & 1) !== 0,
  }
}

type Digits = [number, number, number, number, number]

/** The digits of a number whose places have these sizes, the largest place first. */
function digitsOf(code: number, sizes: Digits): Digits {
  const digits: Digits = [0, 0, 0, 0, 0]
  let left = code
  for (let place = sizes.length - 1; place >= 0; place--) {
    const size = sizes[place] ?? 1
    digits[place] = left % size
    left = Math.floor(left / size)
  }
  if (left !== 0 || !Number.isSafeInteger(code) || code < 0) throw new TypeError('no contact has this code')
  return digits
}

function nameOf<Name extends string>(codes: Readonly<Record<Name, number>>, code: number): Name {
  return (Object.keys(codes) as Name[]).find(name => codes[name] === code) as Name
}

/** A contact of which nothing was heard. */
const unknown = shared({
  visible: nothing,
  request: 'none',
  unsubscribedDue: false,
  loss: 'none',
  renewed: false,
  isShown: false,
  unjudged: 'none',
})

/** A roster item shows the contact. */
function shown(contact: Contact, item: RosterItem): Contact {
  const { visible: before } = contact
  const after = visibles[codeOfItem(item)] ?? nothing
  const isGained = seesContact(after) || after.ask
  const unjudged = contact.unjudged === (isGained ? 'loss' : 'gain') ? 'none' : contact.unjudged
  return moved({ ...contact, visible: after, isShown: true, unjudged }, before, item)
}

function unjudgedOf({ visible, request }: Contact): Contact['unjudged'] {
  if (seesContact(visible)) return 'gain'
  // The request that the item shows may be newer than the one that was answered.
  if (visible.ask) return request === 'spent' ? 'gain' : 'none'
  return 'loss'
}

function begun(contact: Contact): Contact {
  const { loss, visible } = contact
  return { ...contact, request: 'open', renewed: loss !== 'none' || visible.ask || seesContact(visible) }
}

function moved(contact: Contact, before: Visible, item: RosterItem): Contact {
  const after = contact.visible
  const gainedTo = !seesContact(before) && seesContact(after)
  const gainedAsk = !before.ask && after.ask
  const lost = (seesContact(before) && !seesContact(after)) || (before.ask && !after.ask && !gainedTo)
  let { request, unsubscribedDue } = contact
  if (gainedTo || gainedAsk) unsubscribedDue = false
  else if (lost || item.removed) {
    if (!contact.renewed) request = 'none'
    if (lost) unsubscribedDue = contact.loss !== 'heard'
  } else return contact
  // A late `ask` belongs to the request that was answered already, unless what was granted is lost with it.
  if (gainedAsk && (request === 'none' || (request === 'spent' && lost))) request = 'open'
  return { ...contact, request, unsubscribedDue, loss: 'none', renewed: false }
}
