/**
 * Subscriptions that the server has granted for an unasked `subscribed` (RFC 6121 section 3.1.6 forbids it; ejabberd does it in state From), and
 * how they are taken back. The roster push may come before the `subscribed` or after it, and an administrator may grant a subscription with a push
 * alone. So a push that grants what nobody has asked for is held until the `subscribed` comes, or its time is over. Roster pushes behind it are
 * held with it: a client that has seen a later version must have seen the earlier ones (RFC 6121 section 2.6.3).
 *
 * No IQ request of the gate's own could end the wait: ejabberd sends push and `subscribed` from one process and answers requests in another, and
 * under load answers have overtaken the `subscribed` up to four times in a row. The time between the two was never more than 10 ms.
 */
import { keyOf } from '../account/contact-map.ts'
import { isAccountItself } from '../stanza/own-addresses.ts'
import { type RosterItem, rosterItemsOf, rosterSetOf } from '../stanza/roster-iq.ts'
import { type Stanza, stanzaOf } from '../stanza/stanza.ts'
import { ns } from '../stream/namespaces.ts'
import { seesContact } from '../subscription/state.ts'
import { child } from '../xml/element.ts'
import { elementOfRecord, recordOfElement } from '../xml/element-record.ts'
import type { Due, GrantedRoster } from './compensation-due.ts'
import { type CompensationRecord, type Grant, type GrantPhase, grantOf, recordOfGrant } from './compensation-record.ts'
import { Grants } from './grants.ts'

/** Stanzas that are held in one session, and resources of one contact that are remembered. */
const heldAtMost = 500

export class Compensation {
  /** To be taken, in this order, after each call. */
  due: Due[] = []
  private readonly bare: string
  private readonly roster: GrantedRoster
  private readonly mayUndo: () => boolean
  private readonly grants = new Grants()
  private held: { readonly key: string; readonly stanza: Stanza }[] = []

  /** `bare`: the account's JID. `mayUndo`: takes one from what the account may take back; `false`: there is none left. */
  constructor(bare: string, roster: GrantedRoster, mayUndo: () => boolean) {
    this.bare = bare
    this.roster = roster
    this.mayUndo = mayUndo
  }

  /** `undefined`: there is nothing to remember. */
  get record(): CompensationRecord | undefined {
    if (this.grants.size === 0 && this.held.length === 0) return undefined
    const grants = [...this.grants.entries()].map(([key, grant]) => recordOfGrant(key, grant))
    return { grants, held: this.held.map(({ key, stanza }) => ({ key, element: recordOfElement(stanza.element) })) }
  }

  /** Takes in what another process has kept of this session. Throws when it is no record. */
  restore({ grants, held }: CompensationRecord): void {
    for (const kept of grants) this.grants.put(kept.key, grantOf(kept))
    for (const { key, element } of held) {
      const stanza = stanzaOf(elementOfRecord(element))
      if (typeof key !== 'string' || stanza === undefined) throw new TypeError('only stanzas are held')
      this.held.push({ key, stanza })
    }
  }

  /** Whether this `subscribed` or push completes the pair that shows an unasked grant. It changes nothing. */
  isGrantedUnasked(stanza: Stanza): boolean {
    if (this.grants.size === 0) return false
    if (stanza.kind === 'iq') {
      const item = this.itemOf(stanza)
      return item !== undefined && this.grants.get(keyOf(item.jid))?.phase === 'heard' && this.isUnaskedGain(item)
    }
    const { from } = stanza
    const phase = from === undefined ? undefined : this.grants.get(keyOf(from))?.phase
    if (from === undefined || phase === undefined || phase === 'heard' || phase === 'undone') return false
    return this.roster.answersRequest(from) !== 'accept'
  }

  /** A stanza of the server's has come, and is not judged yet: a denial ends what is held of its contact. */
  comes({ kind, type, from }: Stanza): void {
    if (this.held.length === 0 || kind !== 'presence' || type !== 'unsubscribed' || from === undefined) return
    const key = keyOf(from)
    if (this.grants.get(key)?.phase === 'undecided') this.leave(key)
  }

  /** A stanza of the server's was left out by a rule. `isEnforced`: the rule is in mode `enforce`. */
  refused(stanza: Stanza, isEnforced: boolean): void {
    if (stanza.kind === 'presence') return this.subscribed(stanza, isEnforced)
    const item = this.isGrantedUnasked(stanza) ? this.itemOf(stanza) : undefined
    if (item === undefined) return
    const key = keyOf(item.jid)
    const grant = this.begin(key, item, 'undecided')
    this.held.push({ key, stanza })
    this.decide(key, grant, isEnforced)
  }

  /**
   * A stanza of the server's has passed the rules. Says whether it is not for the client, or not yet. `isUnseen`: the client never sees this
   * push, which the gate answers already.
   */
  received(stanza: Stanza, isEnforced: boolean, isUnseen: boolean): boolean {
    switch (stanza.kind) {
      case 'message':
        return false
      case 'presence':
        return this.presence(stanza, isEnforced)
      case 'iq':
        if (stanza.type === 'set') return this.push(stanza, isEnforced, isUnseen)
        // A whole roster shows what the pushes before it have changed.
        if (this.grants.size > 0 && child(stanza.element, 'query', ns.roster) !== undefined && !isUnseen) this.show()
        return false
    }
  }

  /** Another session of the account has taken a grant back, or has left it. */
  told(contact: string, isUndone: boolean): void {
    const key = keyOf(contact)
    const grant = this.grants.get(key)
    switch (grant?.phase) {
      case 'undecided':
        if (isUndone) this.grants.enter(grant, 'undoing')
        else this.leave(key)
        return
      case 'seen':
        if (isUndone) this.grants.enter(grant, 'undoing')
        else this.grants.delete(key)
        return
      case 'undoing':
        // The other session is ahead: it has seen this grant end, and another.
        grant.isRepeated = isUndone
        return
      default:
        if (!this.roster.isUnasked(contact)) return
        this.begin(key, { jid: contact }, isUndone ? 'expected' : 'left')
    }
  }

  /** The time of the next call of `late`, in milliseconds; `undefined`: none is wanted. `now`: milliseconds, from any beginning. */
  until(now: number): number | undefined {
    return this.grants.until(now)
  }

  /** The time of some may be over. */
  late(now: number): void {
    for (const [key, grant] of this.grants.lapsed(now)) this.lapse(key, grant)
    this.flush()
  }

  /** The session goes on with other streams: time counts anew. */
  resumed(): void {
    this.grants.restart()
  }

  private lapse(key: string, grant: Grant): void {
    const { contact, before, phase } = grant
    switch (phase) {
      case 'undecided':
        this.due.push({ due: 'report', outcome: 'passed', contact, before })
        grant.isShown = true
        return this.grants.enter(grant, 'seen')
      case 'undoing':
        // The server has not taken it back: the client is to see what is so.
        this.due.push({ due: 'report', outcome: 'failed', contact, before })
        break
      case 'undone':
        if (grant.resources.length === 0) break
        grant.until = Infinity
        return
    }
    this.grants.delete(key)
  }

  private presence(stanza: Stanza, isEnforced: boolean): boolean {
    const { from, type, id } = stanza
    if (from === undefined) return false
    if (type === 'subscribed') {
      this.subscribed(stanza, isEnforced)
      return false
    }
    const key = this.grants.size === 0 ? '' : keyOf(from)
    const grant = this.grants.get(key)
    if (grant === undefined) return false
    if (type === 'error') return grant.id !== undefined && grant.id === id
    const { phase } = grant
    if (phase === 'undecided' || phase === 'undoing')
      return (type === undefined || type === 'unavailable') && this.hold(key, stanza)
    if (type === 'unsubscribed') return phase === 'undone' && this.roster.endsSubscription(from) === 'refuse'
    return this.isEcho(grant, type, from)
  }

  /** Presence that the contact's server sends because of the grant, and its end. */
  private isEcho(grant: Grant, type: string | undefined, from: string): boolean {
    const isKnown = grant.resources.includes(from)
    if (type === undefined && grant.phase === 'undone' && grant.until !== Infinity) {
      if (!isKnown && grant.resources.length < heldAtMost) grant.resources.push(from)
      return true
    }
    if (isKnown) grant.resources = grant.resources.filter(each => each !== from)
    return type === 'unavailable' && isKnown
  }

  private subscribed({ type, from }: Stanza, isEnforced: boolean): void {
    if (type !== 'subscribed' || from === undefined || this.roster.trusts(from)) return
    const key = keyOf(from)
    const grant = this.grants.get(key)
    if (grant?.phase === 'undecided' || grant?.phase === 'seen') {
      if (this.roster.answersRequest(from) === 'accept') this.leave(key)
      else this.decide(key, grant, isEnforced)
    } else if ((grant === undefined || grant.phase === 'undone') && this.roster.isUnasked(from))
      this.begin(key, { jid: from }, 'heard')
  }

  private decide(key: string, grant: Grant, isEnforced: boolean): void {
    const { contact, before, isShown } = grant
    const outcome = !isEnforced ? 'observed' : this.mayUndo() ? 'undone' : 'limited'
    this.due.push({ due: 'report', outcome, contact, before })
    this.due.push({ due: 'tell', contact, isUndone: outcome === 'undone' })
    if (outcome !== 'undone') return this.leave(key)
    this.grants.enter(grant, 'undoing')
    this.due.push({ due: 'unsubscribe', contact, isShown, grant })
  }

  private push(stanza: Stanza, isEnforced: boolean, isUnseen: boolean): boolean {
    const item = this.itemOf(stanza)
    if (item === undefined) return this.heldBehind(stanza, isUnseen)
    const key = keyOf(item.jid)
    const grant = this.grants.get(key)
    const phase = grant?.phase
    if (phase === 'undecided' && !isUnseen) return this.hold(key, stanza)
    if (grant !== undefined && phase === 'undoing') {
      if (!seesContact(item)) return this.takenBack(key, grant, { stanza, item, isUnseen })
      return !isUnseen && this.hold(key, stanza)
    }
    if (!this.isUnaskedGain(item)) {
      if (phase === 'expected' || phase === 'left') this.grants.delete(key)
      return this.heldBehind(stanza, isUnseen)
    }
    if (phase === 'left') {
      this.grants.delete(key)
      return this.heldBehind(stanza, isUnseen)
    }
    return this.gained(stanza, item, isEnforced, isUnseen)
  }

  /** The push grants what nobody has asked for. */
  private gained(stanza: Stanza, item: RosterItem, isEnforced: boolean, isUnseen: boolean): boolean {
    const key = keyOf(item.jid)
    const phase = this.grants.get(key)?.phase
    if (!this.grants.hasRoom()) return this.heldBehind(stanza, isUnseen)
    const isSeen = isUnseen || !isEnforced
    const grant = this.begin(key, item, phase === 'expected' ? 'undoing' : isSeen ? 'seen' : 'undecided')
    grant.isShown = isSeen
    if (phase === 'heard') this.decide(key, grant, isEnforced)
    return !isSeen && this.hold(key, stanza)
  }

  /** The push that takes a grant back has come. It shows the client nothing new, unless the client has seen what was granted. */
  private takenBack(
    key: string,
    grant: Grant,
    { stanza, item, isUnseen }: { stanza: Stanza; item: RosterItem; isUnseen: boolean },
  ): boolean {
    const mine = this.held.filter(each => each.key === key).map(each => each.stanza)
    const pushes = mine.filter(({ kind }) => kind === 'iq')
    for (const push of pushes) this.due.push({ due: 'answer', push })
    this.held = this.held.filter(each => each.key !== key)
    this.grants.enter(grant, 'undone')
    for (const { kind, type, from } of mine)
      if (kind === 'presence' && from !== undefined) this.isEcho(grant, type, from)
    const { before } = grant
    const isAsBefore = !item.removed && item.subscription === before.subscription && item.ask === before.ask
    const isHidden = isAsBefore && grant.isItem && !grant.isShown && pushes.length === 1 && !isUnseen
    if (isHidden) this.due.push({ due: 'answer', push: stanza }, { due: 'read', push: stanza })
    if (grant.isRepeated === true) this.grants.enter(grant, 'expected')
    grant.isRepeated = false
    const isTaken = isHidden || this.heldBehind(stanza, isUnseen)
    this.flush()
    return isTaken
  }

  /** The client sees all that is held: a grant that it has seen can still be taken back. */
  private show(): void {
    for (const grant of this.grants.values()) {
      if (grant.phase !== 'undecided' && grant.phase !== 'undoing') continue
      grant.isShown = true
      if (grant.phase === 'undecided') this.grants.enter(grant, 'seen')
    }
    this.deliver(this.held.length)
  }

  private leave(key: string): void {
    this.grants.delete(key)
    this.flush()
  }

  /** Roster pushes keep their order. */
  private heldBehind(stanza: Stanza, isUnseen: boolean): boolean {
    return this.held.length > 0 && !isUnseen && this.hold('', stanza)
  }

  private hold(key: string, stanza: Stanza): boolean {
    if (this.held.length >= heldAtMost) {
      this.show()
      return false
    }
    this.held.push({ key, stanza })
    return true
  }

  /** What is held behind nothing that is undecided goes to the client. */
  private flush(): void {
    const first = this.held.findIndex(({ key }) => this.grants.isOpen(key))
    this.deliver(first === -1 ? this.held.length : first)
  }

  private deliver(count: number): void {
    for (const { stanza } of this.held.splice(0, count)) this.due.push({ due: 'deliver', stanza })
  }

  private begin(key: string, { jid }: Pick<RosterItem, 'jid'>, phase: GrantPhase): Grant {
    const before = this.roster.stateOf(jid) ?? { subscription: 'none', ask: false }
    const isItem = this.roster.isContact(jid) && !this.isBehind(key)
    const resources = this.grants.get(key)?.resources ?? []
    const grant: Grant = { contact: jid, phase, before, isItem, isShown: false, resources }
    this.grants.put(key, grant)
    return grant
  }

  /** Another push about the contact waits: what the roster shows is not what the client will have seen. */
  private isBehind(key: string): boolean {
    return this.held.some(({ stanza }) => {
      const item = this.itemOf(stanza)
      return item !== undefined && keyOf(item.jid) === key
    })
  }

  private isUnaskedGain(item: RosterItem): boolean {
    return seesContact(item) && this.roster.isUnasked(item.jid) && !this.roster.trusts(item.jid)
  }

  /** The item of a roster push, which has exactly one (RFC 6121 section 2.1.6). */
  private itemOf(stanza: Stanza): RosterItem | undefined {
    const set = isAccountItself(stanza.from, this.bare) ? rosterSetOf(stanza) : undefined
    const items = set === undefined ? [] : rosterItemsOf(set)
    return items.length === 1 ? items[0] : undefined
  }
}
