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
import type { RosterItem } from '../stanza/roster-iq.ts'
import { seesContact, type Visible } from '../subscription/state.ts'
import { ContactMap, keyOf } from './contact-map.ts'

export interface RosterSnapshot {
  /** `undefined`: the server has no roster versions. */
  readonly ver: string | undefined
  readonly items: ReadonlyMap<string, Visible>
}

/** `spent`: a `subscribed` has answered it. */
export type RequestState = 'none' | 'open' | 'spent'

interface Contact {
  visible: Visible
  request: RequestState
  /** A push has shown the loss of `to` or `ask`, and its `unsubscribed` has not come yet. */
  unsubscribedDue: boolean
  /** A loss of `to` or `ask` that no push has shown yet. `heard`: an `unsubscribed` came; `made`: the user's `unsubscribe` went out. */
  loss: 'none' | 'heard' | 'made'
  /** The request was made after that loss: the push that shows the loss does not end it. */
  renewed: boolean
  /** A result or a push has shown the contact. */
  isShown: boolean
  /**
   * The contact was first named by a push, so it is not known what the push has changed. `gain`: it may belong to a `subscribed`
   * that is yet to come; `loss`: to an `unsubscribed`. A server may push to a session that has not asked for its roster.
   */
  unjudged: 'none' | 'gain' | 'loss'
}

/**
 * Contacts of one ledger; no roster is as long. A client may send requests to any number of contacts. Of contacts beyond this
 * number only what a roster shows is known.
 */
const contactsAtMost = 100_000

const nothing: Visible = { subscription: 'none', ask: false }

export class Ledger {
  /** The whole roster was seen: the state of a contact that is not in it is none. */
  complete = false
  /** The roster version that this ledger stands at, `undefined` for a server without versions. */
  ver: string | undefined
  private readonly contacts = new ContactMap<Contact>()

  /** What is known of a contact, or `undefined`. */
  stateOf(jid: string): Visible | undefined {
    const contact = this.contacts.get(jid)
    if (!this.complete && contact?.isShown !== true) return undefined
    return contact?.visible ?? nothing
  }

  /** The contact was first named by a push, and it is not known what that push has changed. */
  isUnjudged(jid: string): boolean {
    return (this.contacts.get(jid)?.unjudged ?? 'none') !== 'none'
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
    const contact = this.contact(jid)
    if (contact === undefined) return
    contact.request = 'spent'
    if (contact.unjudged === 'gain') contact.unjudged = 'none'
  }

  /** An inbound `unsubscribed` was delivered. */
  deliveredUnsubscribed(jid: string): void {
    const contact = this.contact(jid)
    if (contact === undefined) return
    const { visible, unjudged } = contact
    // The push that shows this loss came first.
    if (unjudged === 'loss') {
      contact.unjudged = 'none'
      return
    }
    // An `unsubscribed` that is due belongs to a loss that a push has shown: an open request is newer.
    if (!visible.ask && !seesContact(visible) && contact.unsubscribedDue) contact.unsubscribedDue = false
    else contact.loss = 'heard'
  }

  /**
   * The user's `subscribe` went out on this stream. Says whether it begins a request: it repeats a pending one, and in state To
   * it acknowledges (RFC 3921 section 9.4).
   */
  asked(jid: string): boolean {
    const contact = this.contact(jid)
    if (contact === undefined) return false
    if (contact.loss === 'none' && (seesContact(contact.visible) || contact.request !== 'none')) return false
    begin(contact)
    return true
  }

  /** A request was begun on another stream of the account. Its answer may not have come on this stream yet. */
  askedElsewhere(jid: string): void {
    const contact = this.contact(jid)
    if (contact !== undefined) begin(contact)
  }

  /** An `unsubscribe` of the user's went out, or a roster remove, which is one (RFC 3921 section 8.6). */
  gaveUp(jid: string): void {
    const contact = this.contacts.get(jid)
    if (contact === undefined) return
    contact.request = 'none'
    contact.renewed = false
    const { visible, loss } = contact
    if (loss === 'none' && (visible.ask || seesContact(visible))) contact.loss = 'made'
  }

  /** A roster push (RFC 6121 section 2.1.6). Gives what the item showed before, `undefined` when nothing was known. */
  push(item: RosterItem, ver: string | undefined): Visible | undefined {
    const before = this.stateOf(item.jid)
    const contact = this.show(item)
    if (before === undefined && contact !== undefined) contact.unjudged = unjudgedOf(contact)
    if (ver !== undefined) this.ver = ver
    return before
  }

  /** A whole roster (RFC 6121 section 2.1.4): contacts that are not in it are removed. */
  replace(items: readonly RosterItem[], ver: string | undefined): void {
    // A request that was just sent is not in the roster yet: a contact that no roster has shown is not removed.
    const left = new Set(this.visibleItems().keys())
    for (const item of items) {
      this.show(item)
      left.delete(keyOf(item.jid))
    }
    for (const jid of left) this.show({ ...nothing, jid, removed: true })
    this.complete = true
    this.ver = ver
  }

  /** The server has said that this version, which another stream has seen, is the present one (RFC 6121 section 2.6.3). */
  adopt(snapshot: RosterSnapshot): void {
    const items = [...snapshot.items].map(([jid, state]) => ({ ...state, jid, removed: false }))
    this.replace(items, snapshot.ver)
  }

  /** The visible states by folded bare JID, without those that are none. */
  visibleItems(): Map<string, Visible> {
    const items = new Map<string, Visible>()
    for (const [jid, { visible }] of this.contacts.entries()) if (visible !== nothing) items.set(jid, visible)
    return items
  }

  private show(item: RosterItem): Contact | undefined {
    const contact = this.contacts.getShown(item.jid) ?? this.made(item.jid)
    if (contact === undefined) return undefined
    contact.isShown = true
    const before = contact.visible
    const after = item.removed ? nothing : { subscription: item.subscription, ask: item.ask }
    contact.visible = after
    const isGained = seesContact(after) || after.ask
    if (contact.unjudged === (isGained ? 'loss' : 'gain')) contact.unjudged = 'none'
    move(contact, before, item)
    return contact
  }

  private contact(jid: string): Contact | undefined {
    return this.contacts.get(jid) ?? this.made(jid)
  }

  private made(jid: string): Contact | undefined {
    if (this.contacts.size >= contactsAtMost) return undefined
    const contact: Contact = {
      ...{ visible: nothing, request: 'none', unsubscribedDue: false, loss: 'none', renewed: false },
      ...{ isShown: false, unjudged: 'none' },
    }
    this.contacts.add(jid, contact)
    return contact
  }
}

function unjudgedOf({ visible, request }: Contact): Contact['unjudged'] {
  if (seesContact(visible)) return 'gain'
  // The request that the item shows may be newer than the one that was answered.
  if (visible.ask) return request === 'spent' ? 'gain' : 'none'
  return 'loss'
}

function begin(contact: Contact): void {
  contact.request = 'open'
  contact.renewed = contact.loss !== 'none' || contact.visible.ask || seesContact(contact.visible)
}

function move(contact: Contact, before: Visible, item: RosterItem): void {
  const after = contact.visible
  const gainedTo = !seesContact(before) && seesContact(after)
  const gainedAsk = !before.ask && after.ask
  const lost = (seesContact(before) && !seesContact(after)) || (before.ask && !after.ask && !gainedTo)
  if (gainedTo || gainedAsk) {
    contact.unsubscribedDue = false
    contact.loss = 'none'
    contact.renewed = false
  } else if (lost || item.removed) {
    if (!contact.renewed) contact.request = 'none'
    if (lost) contact.unsubscribedDue = contact.loss !== 'heard'
    contact.loss = 'none'
    contact.renewed = false
  }
  // A late `ask` belongs to the request that was answered already, unless what was granted is lost with it.
  if (gainedAsk && (contact.request === 'none' || (contact.request === 'spent' && lost))) contact.request = 'open'
}
