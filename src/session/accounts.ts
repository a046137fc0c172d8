/**
 * What the sessions of one account share. A session tells what it has seen; the others are told. One of them, the *leader*, is the
 * one whose roster and pushes count for the account: each push reaches every interested session, and must be counted once.
 *
 * Accounts outlive their sessions, a bounded number of them, so that a roster version can be recognised at the next login.
 */
import { bareOf, foldBare } from '../stanza/jid.ts'
import { Ledger, type Snapshot } from '../subscription/roster.ts'
import type { News, Recalled, Report } from './event.ts'

/** Stands for a session: anything that is equal to itself alone. */
export type Member = object

export interface Told<M extends Member> {
  /** Who is to be told what. */
  readonly tell: readonly (readonly [M, News])[]
  readonly reports: readonly Report[]
}

interface Account<M> {
  readonly members: Set<M>
  /** Members that have seen a roster in full: pushes reach them (RFC 6121 section 2.2). */
  readonly interested: Set<M>
  leader: M | undefined
  /** The roster that the leader has seen. */
  readonly ledger: Ledger
}

const told: Told<never> = { tell: [], reports: [] }

export class Accounts<M extends Member> {
  private readonly accounts = new Map<string, Account<M>>()
  private readonly atMost: number

  /** `atMost`: accounts remembered without a session; the one unused longest goes first. */
  constructor(atMost: number) {
    this.atMost = atMost
  }

  /** A session of this account has begun. */
  attach(jid: string, member: M): Recalled {
    const account = this.account(jid)
    account.members.add(member)
    return { snapshot: snapshot(account.ledger), live: isLed(account) }
  }

  tell(jid: string, member: M, news: News): Told<M> {
    const account = this.account(jid)
    if (!account.members.has(member)) return told
    const others = [...account.members].filter(other => other !== member)
    if (news.news === 'roster') {
      account.interested.add(member)
      if (!isLed(account)) account.leader = member
    }
    if (news.news === 'asked' || news.news === 'gave-up')
      return { tell: others.map(other => [other, news]), reports: [] }
    account.leader ??= member
    if (account.leader !== member) return told
    if (news.news === 'roster') account.ledger.replace(news.items, news.ver)
    if (news.news !== 'push') return { tell: others.map(other => [other, news]), reports: [] }
    const { item, before, ver } = news
    const after = item.removed ? undefined : { subscription: item.subscription, ask: item.ask }
    // Without the whole roster before it, a push says nothing of the roster's other items, whatever its version.
    if (isLed(account)) account.ledger.push(item, ver)
    const heard = isLed(account) ? others : []
    return { tell: heard.map(other => [other, news]), reports: [{ report: 'transition', before, after }] }
  }

  /** A session of this account is over. */
  detach(jid: string, member: M): Told<M> {
    const key = keyOf(jid)
    const account = this.accounts.get(key)
    if (account === undefined) return told
    account.members.delete(member)
    account.interested.delete(member)
    this.accounts.delete(key)
    this.accounts.set(key, account)
    this.forgetOldest()
    if (account.leader !== member) return told
    account.leader = account.interested.values().next().value
    // It may be ahead of what the account has seen, or behind: it tells its roster anew.
    if (account.leader !== undefined) return { tell: [[account.leader, { news: 'lead' }]], reports: [] }
    return { tell: [...account.members].map(other => [other, { news: 'blind' }]), reports: [] }
  }

  private account(jid: string): Account<M> {
    const key = keyOf(jid)
    let account = this.accounts.get(key)
    if (account === undefined) {
      account = { members: new Set(), interested: new Set(), leader: undefined, ledger: new Ledger() }
      this.accounts.set(key, account)
    }
    return account
  }

  private forgetOldest(): void {
    for (const [key, account] of this.accounts) {
      if (this.accounts.size <= this.atMost) return
      if (account.members.size === 0) this.accounts.delete(key)
    }
  }
}

function isLed<M>(account: Account<M>): boolean {
  return account.leader !== undefined && account.interested.has(account.leader)
}

function snapshot(ledger: Ledger): Snapshot | undefined {
  return ledger.complete ? { ver: ledger.ver, items: ledger.visibleItems() } : undefined
}

function keyOf(jid: string): string {
  return foldBare(bareOf(jid)) ?? bareOf(jid)
}
