/**
 * Keeps accounts in a store: loads what was kept when a session of an account begins, and writes what changes, some of it together.
 * A store that is slow or fails stops nothing: what is not loaded is not known, and what is not written waits, is written when the store
 * works again, and is counted.
 */
import { accountOf, fieldsOf, rosterField, rosterText, wholeRecordOf } from '../account/account-record.ts'
import type { AccountKeeper, KeptAccount } from '../account/accounts.ts'
import type { ContactHash } from '../account/hashed-contact.ts'
import type { RosterSnapshot } from '../account/ledger.ts'
import type { RequestNews } from '../account/news.ts'
import { detachedString } from '../stanza/detached-string.ts'
import type { Clock } from '../transport/clock.ts'
import { hashesAhead, hiddenFields, hiddenRecordName, shownFields } from './hidden-accounts.ts'
import type { RecallOutcome } from './labels.ts'
import type { RecordChange, Store } from './store.ts'
import type { StoreCalls } from './store-calls.ts'
import type { StoreKey } from './store-key.ts'
import { requestsDecided } from './stored-quarantine.ts'

/** Is told what the store does. */
export interface StoreWatcher {
  /** What was found of an account whose session begins. */
  recalled(outcome: RecallOutcome): void
  /** So many accounts have changes that are not in the store. */
  storeWaits(accounts: number): void
  /** Changes of so many accounts were given up: the store has what it had of them before. */
  storeGaveUp(accounts: number): void
}

export interface StoredAccountsOptions {
  readonly store: Store
  readonly calls: StoreCalls
  readonly clock: Clock
  /** Milliseconds since 1970. */
  readonly time: () => number
  /** Days that an account is kept after its last session. */
  readonly days: number
  readonly watcher: StoreWatcher
  /** The store holds no JIDs, but hashes with this key. Left out: JIDs are written as they are. */
  readonly key?: StoreKey | undefined
  /** The accounts that have a session. */
  present(): Iterable<KeptAccount>
  /** Tells the account's sessions what was kept. Says whether it was taken. */
  recall(
    account: string,
    roster: RosterSnapshot,
    since: ReadonlyMap<string, number>,
    unacknowledged: ReadonlyMap<string, string>,
  ): boolean
  /** A session of the account at another gate has told this. */
  heard(account: string, news: RequestNews): void
  /** The operator has decided about requests to the account, at another gate, which has written it. */
  decided(account: string): void
  /** Accounts whose changes may wait. Left out: `waitingAtMost`. */
  readonly atMost?: number
}

interface Change {
  readonly account: KeptAccount
  /** Contacts by folded bare JID; `whole`: all. */
  contacts: Set<string> | 'whole'
}

/** Milliseconds from a change until it is written. With the write itself it is less than a second. */
const writeAfter = 500
/** Milliseconds until a store that has failed is asked again; twice as long each time. */
const retryAfter = { least: 1_000, most: 30_000 }
/** Accounts whose changes wait for the store. An account's ledger stays in memory as long. */
const waitingAtMost = 10_000
/** Of one account: beyond this number the whole record is written. */
const contactsAtMost = 1_000
/** Milliseconds that the last write may take when the gate stops. */
const lastWords = 2_000
/** Fields that are written together, but for those of one record. A store makes no stanza wait longer than these take: some milliseconds. */
const fieldsTogether = 500
/** Milliseconds. */
const day = 86_400_000

export class StoredAccounts implements AccountKeeper {
  private readonly options: StoredAccountsOptions
  /** By the account's name. */
  private readonly waiting = new Map<string, Change>()
  /** The text of the field `roster` in the store, of accounts whose record this process has loaded or written. Changes of that are written. */
  private readonly known = new WeakMap<KeptAccount, string>()
  /** Accounts with a session today. The store knows of it. */
  private touched = new Set<string>()
  private today: number
  /** Accounts of which the store could not be asked. */
  private readonly unasked = new Map<string, KeptAccount>()
  private cancelWork: (() => void) | undefined
  private cancelForget: (() => void) | undefined
  private working: Promise<void> | undefined
  private retry = retryAfter.least
  private readonly calls: StoreCalls
  private stopped = false

  constructor(options: StoredAccountsOptions) {
    this.options = options
    this.calls = options.calls
    this.today = this.dayNow()
    this.forgetLater(0)
    options.store.channel?.listen(text => this.hear(text))
  }

  began(account: KeptAccount, isKnown: boolean): void {
    if (!isKnown) return void this.load(account)
    if (this.known.has(account)) this.touch(account)
  }

  changed(account: KeptAccount, contacts: readonly string[]): void {
    const change = this.waiting.get(account.key)
    // The change of an account that was forgotten meanwhile is older than what this one has seen.
    if (change === undefined || change.account !== account)
      this.wait(account, this.known.has(account) ? new Set(contacts.map(detachedString)) : 'whole')
    else if (change.contacts !== 'whole') {
      for (const contact of contacts) change.contacts.add(detachedString(contact))
      if (change.contacts.size > contactsAtMost) change.contacts = 'whole'
    }
    this.workLater(writeAfter)
  }

  told({ key }: KeptAccount, { news, contact }: RequestNews): void {
    this.options.store.channel?.tell(JSON.stringify([key, news, contact]))
  }

  hashOf(account: string): ContactHash | undefined {
    return this.options.key?.contactHash(account)
  }

  forgotten(account: KeptAccount): void {
    this.unasked.delete(account.key)
  }

  /** Writes what waits, and closes the store. Resolves when that is done, cannot be done, or takes too long. */
  async stop(): Promise<void> {
    let cancel = () => {}
    const enough = new Promise<void>(resolve => {
      cancel = this.options.clock.after(lastWords, resolve)
    })
    await Promise.race([this.end(), enough])
    cancel()
  }

  private async end(): Promise<void> {
    this.stopped = true
    this.cancelWork?.()
    this.cancelForget?.()
    await this.working
    // Twice: a record that another gate has changed is written as a whole then.
    if ((await this.write()) && this.waiting.size > 0) await this.write()
    await this.options.store.close().catch(() => {})
  }

  private async load(account: KeptAccount): Promise<void> {
    const { store, watcher, recall } = this.options
    const fields = await this.calls.call('load', () => store.load(this.recordName(account)))
    if (fields === undefined) {
      watcher.recalled('failed')
      if (this.unasked.size < waitingAtMost) this.unasked.set(account.key, account)
      return this.workLater(this.retry)
    }
    this.unasked.delete(account.key)
    if (fields.size === 0) return watcher.recalled('nothing')
    const { key } = this.options
    const shown = key === undefined ? fields : shownFields(key, account.key, fields)
    const kept = shown && accountOf(shown)
    if (kept === undefined) return watcher.recalled('unreadable')
    if (!recall(account.key, kept.roster, kept.since, kept.unacknowledged)) return watcher.recalled('late')
    watcher.recalled('found')
    this.known.set(account, rosterText(kept.roster.ver))
    this.touch(account)
  }

  private hear(text: string): void {
    const said: unknown = parsed(text)
    if (!Array.isArray(said)) return
    const [account, news, contact] = said
    if (typeof account !== 'string') return
    if (news === requestsDecided) return this.options.decided(account)
    if (typeof contact !== 'string') return
    if (news === 'asked' || news === 'gave-up' || news === 'answered') this.options.heard(account, { news, contact })
  }

  /** The account was used today. */
  private touch(account: KeptAccount): void {
    const today = this.dayNow()
    if (today !== this.today) {
      this.today = today
      this.touched = new Set()
    }
    if (this.touched.has(account.key)) return
    this.touched.add(account.key)
    this.changed(account, [])
  }

  private wait(account: KeptAccount, contacts: Change['contacts']): void {
    const { waiting } = this
    if (!waiting.has(account.key) && waiting.size >= (this.options.atMost ?? waitingAtMost)) this.giveUpOldest()
    waiting.set(account.key, { account, contacts })
    this.options.watcher.storeWaits(waiting.size)
  }

  private giveUpOldest(): void {
    for (const [key, { account }] of this.waiting) {
      this.waiting.delete(key)
      // Later changes do not fit what the store has.
      this.known.delete(account)
      return this.options.watcher.storeGaveUp(1)
    }
  }

  private workLater(delay: number): void {
    if (this.cancelWork !== undefined || this.working !== undefined || this.stopped) return
    this.cancelWork = this.options.clock.after(delay, () => {
      this.cancelWork = undefined
      this.working = this.work().then(works => {
        this.working = undefined
        this.retry = works ? retryAfter.least : Math.min(2 * this.retry, retryAfter.most)
        if (this.waiting.size > 0 || this.unasked.size > 0) this.workLater(works ? writeAfter : this.retry)
      })
    })
  }

  /** Writes what waits, then asks for what could not be asked. Says whether the store works. */
  private async work(): Promise<boolean> {
    if (!(await this.write())) return false
    for (const account of this.unasked.values()) {
      this.unasked.delete(account.key)
      if (account.ledger.complete) continue
      await this.load(account)
      if (this.unasked.has(account.key)) return false
    }
    return true
  }

  /** Writes what waits now; what changes meanwhile waits for the next time. Says whether the store works. Never rejects. */
  private async write(): Promise<boolean> {
    const all = [...this.waiting.values()]
    for (let next = 0; next < all.length; ) {
      const changes: Change[] = []
      const records: RecordChange[] = []
      const { key } = this.options
      const ahead = key && (await this.hashesOf(key, all, next))
      // Without waiting: what changes after its record was made must not be taken for written.
      for (let fields = 0; next < all.length && fields < fieldsTogether; next++) {
        const change = all[next] as Change
        // It may have been given up meanwhile.
        if (this.waiting.get(change.account.key) !== change) continue
        const record = this.recordOf(change, ahead?.get(change))
        fields += record.fields.size
        changes.push(change)
        records.push(record)
      }
      if (!(await this.writeTogether(changes, records))) return false
    }
    return true
  }

  private async writeTogether(changes: readonly Change[], records: readonly RecordChange[]): Promise<boolean> {
    const { store, watcher } = this.options
    for (const { account } of changes) this.waiting.delete(account.key)
    const unfit = await this.calls.call('save', () => store.save(records))
    if (unfit === undefined) for (const change of changes) this.waitAgain(change)
    else {
      const left = new Set(unfit)
      for (const [index, { account }] of changes.entries()) {
        const { record, fields } = records[index] as RecordChange
        if (left.has(record)) this.waitAgain({ account, contacts: 'whole' })
        else this.known.set(account, fields.get(rosterField) ?? '')
      }
    }
    watcher.storeWaits(this.waiting.size)
    return unfit !== undefined
  }

  /** What changed meanwhile is written with it. */
  private waitAgain({ account, contacts }: Change): void {
    const newer = this.waiting.get(account.key)
    if (newer === undefined) return this.wait(account, contacts)
    if (newer.account !== account) return
    if (contacts === 'whole') newer.contacts = 'whole'
    else if (newer.contacts !== 'whole') for (const contact of contacts) newer.contacts.add(contact)
  }

  /** The hashes of contacts of the changes from `next` on that are written together. */
  private async hashesOf(
    key: StoreKey,
    all: readonly Change[],
    next: number,
  ): Promise<ReadonlyMap<Change, ReadonlyMap<string, string>>> {
    const hashes = new Map<Change, ReadonlyMap<string, string>>()
    let fields = 0
    for (let at = next; at < all.length && fields < fieldsTogether; at++) {
      const change = all[at] as Change
      const { account, contacts } = change
      const names = contacts === 'whole' ? account.ledger.visibleItems().keys() : contacts
      const found = await hashesAhead(key, account.key, names)
      fields += found.size + 1
      hashes.set(change, found)
    }
    return hashes
  }

  private recordOf({ account, contacts }: Change, ahead: ReadonlyMap<string, string> | undefined): RecordChange {
    const isWhole = contacts === 'whole'
    const shown = isWhole ? wholeRecordOf(account) : fieldsOf(account, contacts)
    const { key } = this.options
    const fields = key === undefined ? shown : hiddenFields(key, account.key, shown, ahead)
    // Another gate may have written this version already.
    const texts = [this.known.get(account) ?? '', fields.get(rosterField) ?? '']
    return {
      record: this.recordName(account),
      fields,
      isWhole,
      expects: isWhole ? undefined : { name: rosterField, texts },
      until: this.dayNow() + this.options.days,
    }
  }

  /** Old records are looked for when the gate starts, and once a day. Accounts whose session lasts are used until then. */
  private forgetLater(delay: number): void {
    this.cancelForget = this.options.clock.after(delay, () => {
      const { store, present } = this.options
      for (const account of present()) if (this.known.has(account)) this.touch(account)
      void this.calls
        .call('forget', () => store.forgetBefore(this.dayNow()))
        .then(forgotten => {
          if (!this.stopped) this.forgetLater(forgotten === undefined ? retryAfter.most : day)
        })
    })
  }

  private recordName({ key: account }: KeptAccount): string {
    const { key } = this.options
    return key === undefined ? `account:${account}` : hiddenRecordName(key, account)
  }

  private dayNow(): number {
    return Math.floor(this.options.time() / day)
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
