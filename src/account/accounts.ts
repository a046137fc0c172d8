/**
 * What the sessions of one account share. A session tells what it has seen, and the account's other sessions are told. One
 * session, the *leader*, is the one whose roster and pushes count for the account: each push reaches every interested session and
 * must be counted once. An account is remembered after its last session, up to a number of accounts, so that a roster version can
 * be recognised at the next login.
 */

import { detachedString } from '../stanza/detached-string.ts'
import { bareOf, foldBare } from '../stanza/jid.ts'
import type { Visible } from '../subscription/state.ts'
import { keyOf as contactKey } from './contact-map.ts'
import { type ContactHash, shownContact } from './hashed-contact.ts'
import { Ledger, type RosterSnapshot } from './ledger.ts'
import type { AccountNews, AccountSnapshot, RequestNews } from './news.ts'
import type { AccountReport } from './report.ts'
import { reveal } from './revealed-contacts.ts'
import { type SubscriptionEvent, SubscriptionHistory } from './subscription-history.ts'
import { type Room, Unacknowledged, type UnacknowledgedStanza } from './unacknowledged.ts'
import type { WaitingRequest } from './waiting-requests.ts'

/** A session, as an object that is only compared by identity. */
export type AccountMember = object

export interface NewsDelivery<M extends AccountMember> {
  /** The sessions to be told, and the news for each. */
  readonly tell: readonly (readonly [M, AccountNews])[]
  readonly reports: readonly AccountReport[]
}

/** What the console shows of an account. */
export interface AccountView {
  /** Sessions at present. */
  readonly sessions: number
  /** The whole roster was seen. */
  readonly complete: boolean
  /** A session sees the roster's pushes: what is known is the present state. */
  readonly live: boolean
  /**
   * Contacts by folded bare JID; `hash:…` for one that was kept as its hash and has not been seen since. `since`: milliseconds since 1970;
   * `undefined`: the state is older than what the gate has seen.
   */
  readonly contacts: readonly {
    readonly contact: string
    readonly state: Visible
    readonly since: number | undefined
  }[]
  /** Contacts whose requests the user has not answered, as far as the gate has seen them. `since`: as above. */
  readonly requests: readonly { readonly contact: string; readonly since: number | undefined }[]
  /** What was delivered and not acknowledged. */
  readonly unacknowledged: readonly UnacknowledgedStanza[]
}

/** The part of an account that may be kept beyond the process. */
export interface KeptAccount {
  /** Its bare JID, folded. */
  readonly key: string
  /** The roster that the leader has seen. */
  readonly ledger: Ledger
  /** When a push has moved a contact to its state, by folded bare JID; milliseconds since 1970. */
  readonly since: Map<string, number>
  readonly unacknowledged: Unacknowledged
}

/** Keeps accounts beyond the process. */
export interface AccountKeeper {
  /** A session of the account begins. `isKnown`: the account was in memory; otherwise `Accounts.recall` may tell what was kept of it. */
  began(account: KeptAccount, isKnown: boolean): void
  /** What a record has of these contacts, by folded bare JID, or the roster's version are others than before. */
  changed(account: KeptAccount, contacts: readonly string[]): void
  /** A session has begun or given up a request. Left out: nobody else must know. */
  told?(account: KeptAccount, news: RequestNews): void
  /** The account is no longer in memory. */
  forgotten(account: KeptAccount): void
  /** Hashes contacts as they are kept of this account, by its folded bare JID; left out, or `undefined`: their JIDs are kept. */
  hashOf?(account: string): ContactHash | undefined
}

interface Account<M> extends KeptAccount {
  readonly members: Set<M>
  /** Members that have seen a whole roster: pushes reach them (RFC 6121 section 2.2). */
  readonly interested: Set<M>
  leader: M | undefined
  readonly history: SubscriptionHistory
}

const told: NewsDelivery<never> = { tell: [], reports: [] }
/** Contacts of whom something is not acknowledged, of all accounts together. */
const unacknowledgedAtMost = 100_000

export class Accounts<M extends AccountMember> {
  private readonly accounts = new Map<string, Account<M>>()
  /** The account of each session. */
  private readonly joined = new Map<M, Account<M>>()
  private readonly atMost: number
  private readonly keeper: AccountKeeper | undefined
  private readonly room: Room = { left: unacknowledgedAtMost }

  /** `atMost`: accounts remembered without a session; the one unused longest goes first. `keeper`: left out: nothing is kept. */
  constructor(atMost: number, keeper?: AccountKeeper) {
    this.atMost = atMost
    this.keeper = keeper
  }

  /** A session of this account begins. */
  attach(jid: string, member: M): AccountSnapshot {
    const known = this.accounts.get(keyOf(jid))
    const account = known ?? this.begin(keyOf(jid))
    account.members.add(member)
    this.joined.set(member, account)
    this.keeper?.began(account, known !== undefined)
    const { hash } = account.ledger
    return { snapshot: snapshot(account.ledger), live: isLed(account), ...(hash && { hash }) }
  }

  /**
   * What the keeper has kept of an account. Gives the sessions to be told. `undefined`: it is not taken, as the account is not in
   * memory, or its whole roster was seen meanwhile; then only the times of contacts count that are in the same state. `unacknowledged`: texts of
   * `Unacknowledged.textOf` by contact.
   */
  recall(
    key: string,
    kept: RosterSnapshot,
    since: ReadonlyMap<string, number>,
    unacknowledged?: ReadonlyMap<string, string>,
  ): NewsDelivery<M> | undefined {
    const account = this.accounts.get(key)
    if (account === undefined) return undefined
    for (const [contact, text] of unacknowledged ?? []) account.unacknowledged.restore(contact, text)
    if (account.ledger.complete) {
      keepTimes(account, kept, since)
      return undefined
    }
    const names = account.ledger.namesOf(kept.items.keys())
    account.ledger.adopt(kept)
    for (const [contact, time] of since) account.since.set(names.get(contact) ?? contact, time)
    for (const [contact, { ask }] of kept.items)
      if (ask) account.history.recalled(names.get(contact) ?? contact, since.get(contact))
    const news = { news: 'recalled', snapshot: kept } as const
    return { tell: [...account.members].map(member => [member, news]), reports: [] }
  }

  /** The accounts that have a session. */
  *present(): Iterable<KeptAccount> {
    for (const account of this.accounts.values()) if (account.members.size > 0) yield account
  }

  /** The requests that wait, of all accounts in memory. */
  *waitingRequests(): Iterable<WaitingRequest> {
    for (const { history } of this.accounts.values()) yield* history.waitingRequests()
  }

  /** What was delivered and not acknowledged, of all accounts in memory. `now`: milliseconds since 1970. */
  *unacknowledged(now: number): Iterable<UnacknowledgedStanza> {
    for (const { unacknowledged } of this.accounts.values()) yield* unacknowledged.list(now)
  }

  /** The requests that were delivered to an account and are not answered; the oldest first. `now`: milliseconds since 1970. */
  unanswered(jid: string, now: number): readonly UnacknowledgedStanza[] {
    const account = this.accounts.get(keyOf(jid))
    return account === undefined ? [] : [...account.unacknowledged.list(now)].filter(({ type }) => type === 'subscribe')
  }

  /** Sessions that the account has at present. */
  sessionsOf(jid: string): number {
    return this.accounts.get(keyOf(jid))?.members.size ?? 0
  }

  /** `undefined`: nothing is known of the account. `now`: milliseconds since 1970; what is unacknowledged for too long by then is left out. */
  known(jid: string, now = 0): AccountView | undefined {
    const account = this.accounts.get(keyOf(jid))
    if (account === undefined) return undefined
    const { members, ledger, since, history } = account
    const items = [...ledger.visibleItems()]
    const contacts = items.map(([contact, state]) => ({
      contact: shownContact(contact),
      state,
      since: since.get(contact),
    }))
    const requests = history.waiting()
    const unacknowledged = [...account.unacknowledged.list(now)]
    return {
      sessions: members.size,
      complete: ledger.complete,
      live: isLed(account),
      contacts,
      requests,
      unacknowledged,
    }
  }

  /** Something is told from beyond the account's sessions here: by a session at another gate, which has counted it, or by the operator. */
  heard(key: string, news: AccountNews): NewsDelivery<M> {
    const account = this.accounts.get(key)
    account?.unacknowledged.told(news, undefined)
    return { tell: [...(account?.members ?? [])].map(member => [member, news]), reports: [] }
  }

  /** `member` tells something. `time`: milliseconds since 1970; left out: the time that a request has waited is not reported. */
  tell(member: M, news: AccountNews, time?: number): NewsDelivery<M> {
    const account = this.joined.get(member)
    if (account === undefined) return told
    if (news.news === 'roster') {
      account.interested.add(member)
      if (!isLed(account)) account.leader = member
    }
    const { history } = account
    reveal(account, news)
    const acknowledged = account.unacknowledged.told(news, time)
    // Without a whole roster there is no record.
    if (acknowledged.length > 0 && account.ledger.complete) this.keeper?.changed(account, acknowledged)
    if (news.news === 'answered') {
      this.keeper?.told?.(account, news)
      return told
    }
    if (news.news === 'subscription') {
      const { direction, type, contact } = news
      if (direction === 'outbound' && type !== 'subscribe') this.keeper?.told?.(account, { news: 'answered', contact })
      const context = { hasPushes: account.leader !== undefined, time }
      return { tell: [], reports: reportsOf(history.passed(direction, type, contact, context)) }
    }
    if (news.news === 'gave-up') history.gaveUp(news.contact)
    if (news.news === 'gave-up' && news.isRemoved) this.keeper?.told?.(account, { ...news, news: 'answered' })
    if (news.news === 'asked' || news.news === 'gave-up') {
      const happened = news.news === 'asked' ? history.asked(news.contact, time) : []
      this.keeper?.told?.(account, news)
      return { tell: toOthers(account, member, news), reports: reportsOf(happened) }
    }
    if (news.news === 'unasked-grant') return { tell: toOthers(account, member, news), reports: [] }
    account.leader ??= member
    if (account.leader !== member) return told
    if (news.news === 'roster') {
      const items = account.ledger.named(news.items)
      const happened = history.replaced(items, contact => account.ledger.stateOf(contact), time)
      const shown = account.since.size > 0 ? account.ledger.visibleItems() : undefined
      const { ver } = account.ledger
      const isFirst = !account.ledger.complete
      const changed = account.ledger.replace(items, news.ver)
      if (shown !== undefined) forgetMoved(account, shown)
      if (isFirst || changed.length > 0 || ver !== news.ver) this.keeper?.changed(account, changed)
      return { tell: toOthers(account, member, news), reports: reportsOf(happened) }
    }
    if (news.news !== 'push') return { tell: toOthers(account, member, news), reports: [] }
    const { item, before, ver } = news
    const after = item.removed ? undefined : { subscription: item.subscription, ask: item.ask }
    // A push says nothing of the roster's other items, so without a whole roster before it the ledger stays incomplete, whatever
    // its version.
    const isHeard = isLed(account)
    if (isHeard) {
      account.ledger.push(item, ver)
      noteMove(account, item.jid, [before, after], time)
      this.keeper?.changed(account, [contactKey(item.jid)])
    }
    const happened = reportsOf(history.pushed(item, before, time))
    // A changed name or group changes no state.
    const moved =
      before !== undefined && isSame(before, after) ? [] : [{ report: 'transition', before, after } as const]
    return { tell: isHeard ? toOthers(account, member, news) : [], reports: [...moved, ...happened] }
  }

  /** A session is over. */
  detach(member: M): NewsDelivery<M> {
    const account = this.joined.get(member)
    if (account === undefined) return told
    this.joined.delete(member)
    account.members.delete(member)
    account.interested.delete(member)
    this.accounts.delete(account.key)
    this.accounts.set(account.key, account)
    this.forgetOldest()
    if (account.leader !== member) return told
    account.leader = account.interested.values().next().value
    // The new leader may have seen more or less than the account: it tells its roster again.
    if (account.leader !== undefined) return { tell: [[account.leader, { news: 'lead' }]], reports: [] }
    return { tell: [...account.members].map(other => [other, { news: 'blind' }]), reports: [] }
  }

  private begin(key: string): Account<M> {
    const account = {
      key,
      members: new Set<M>(),
      interested: new Set<M>(),
      leader: undefined,
      ledger: new Ledger(this.keeper?.hashOf?.(key)),
      history: new SubscriptionHistory(),
      since: new Map<string, number>(),
      unacknowledged: new Unacknowledged(this.room),
    }
    this.accounts.set(key, account)
    return account
  }

  private forgetOldest(): void {
    for (const [key, account] of this.accounts) {
      if (this.accounts.size <= this.atMost) return
      if (account.members.size > 0) continue
      this.accounts.delete(key)
      account.unacknowledged.clear()
      this.keeper?.forgotten(account)
    }
  }
}

/** The news for each member but the one that tells it. */
function toOthers<M>({ members }: Account<M>, member: M, news: AccountNews): (readonly [M, AccountNews])[] {
  const out: (readonly [M, AccountNews])[] = []
  if (members.size > 1) for (const other of members) if (other !== member) out.push([other, news])
  return out
}

function noteMove<M>(
  { since }: Account<M>,
  contact: string,
  [before, after]: readonly [Visible | undefined, Visible | undefined],
  time: number | undefined,
): void {
  const key = contactKey(contact)
  if (after === undefined || time === undefined) since.delete(key)
  else if (!isSame(before, after)) since.set(detachedString(key), time)
}

/** A roster that has come first says nothing of times, and a resumed session's is as old as what was kept. */
function keepTimes<M>(
  { since, ledger, history }: Account<M>,
  kept: RosterSnapshot,
  times: ReadonlyMap<string, number>,
): void {
  const names = ledger.namesOf(times.keys())
  for (const [hashed, time] of times) {
    const state = kept.items.get(hashed)
    const contact = names.get(hashed) ?? hashed
    if (since.has(contact) || state === undefined || !isSame(state, ledger.itemOf(contact))) continue
    since.set(contact, time)
    if (state.ask) history.recalled(contact, time)
  }
}

/** Contacts whose state a roster shows changed: the time of the change is not known. */
function forgetMoved<M>({ since, ledger }: Account<M>, before: ReadonlyMap<string, Visible>): void {
  const now = ledger.visibleItems()
  for (const contact of since.keys()) if (!isSame(before.get(contact), now.get(contact))) since.delete(contact)
}

function isSame(one: Visible | undefined, other: Visible | undefined): boolean {
  return one?.subscription === other?.subscription && one?.ask === other?.ask
}

function reportsOf(happened: readonly SubscriptionEvent[]): AccountReport[] {
  return happened.map(each => ({ report: 'subscription', ...each }))
}

function isLed<M>(account: Account<M>): boolean {
  return account.leader !== undefined && account.interested.has(account.leader)
}

function snapshot(ledger: Ledger): RosterSnapshot | undefined {
  return ledger.complete ? { ver: ledger.ver, items: ledger.visibleItems() } : undefined
}

function keyOf(jid: string): string {
  return foldBare(bareOf(jid)) ?? bareOf(jid)
}
