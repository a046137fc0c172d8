/**
 * Keeps requests of strangers in a store: loads what was kept when a session of an account begins, and writes what changes, some of it together.
 * Nothing waits for the store; what cannot be written is written later. Whatever is lost, the server delivers again at the next login.
 */
import {
  type AccountRequests,
  decisionField,
  forgetFields,
  type QuarantineKeeper,
  requestField,
  requestFieldsOf,
  requestsOf,
} from '../account/account-requests.ts'
import { keyOf } from '../account/contact-map.ts'
import type { Quarantine } from '../account/quarantine.ts'
import { detachedString } from '../stanza/detached-string.ts'
import type { Clock } from '../transport/clock.ts'
import { hiddenFields, shownFields } from './hidden-accounts.ts'
import type { RecordChange, Store } from './store.ts'
import type { StoreCalls } from './store-calls.ts'
import type { StoreKey } from './store-key.ts'

export interface StoredQuarantineOptions {
  readonly store: Store
  readonly calls: StoreCalls
  readonly clock: Clock
  /** Milliseconds since 1970. */
  readonly time: () => number
  /** Days that an account's requests are kept after their last change. */
  readonly days: number
  readonly quarantine: Quarantine
  /** Names and texts are hidden with this key. Left out: they are written as they are. */
  readonly key?: StoreKey | undefined
  /** Whether a session of this account is here. Without one, the store knows better: another gate may have changed it. */
  isHere(account: string): boolean
}

/** Milliseconds from a change until it is written, and until a store that has failed is asked again. */
const writeAfter = 500
const retryAfter = 5_000
/** Accounts whose changes wait. Of more, those of the account that waits longest are given up. */
const waitingAtMost = 10_000
/** Fields that are written together, but for those of one account. */
const fieldsTogether = 500
/** Milliseconds. */
const day = 86_400_000
/** What gates tell each other of an account by the store's channel. */
export const requestsDecided = 'requests-decided'

export class StoredQuarantine implements QuarantineKeeper {
  private readonly options: StoredQuarantineOptions
  /** Names of fields, by the account's key. */
  private readonly waiting = new Map<string, Set<string>>()
  /** Of each load under way: fields that have changed since it began. */
  private readonly loads = new Set<{ readonly account: string; readonly changed: Set<string> }>()
  private cancel: (() => void) | undefined
  private writing: Promise<void> = Promise.resolve()
  private isStopped = false

  constructor(options: StoredQuarantineOptions) {
    this.options = options
  }

  began(account: string): void {
    void this.load(account)
  }

  changed(account: string, contact: string): void {
    this.waits(account, requestField(contact))
  }

  decided(account: string, contact: string): void {
    this.waits(account, decisionField(contact))
  }

  private waits(account: string, name: string): void {
    let names = this.waiting.get(account)
    if (names === undefined) {
      names = new Set()
      this.waiting.set(detachedString(account), names)
      if (this.waiting.size > waitingAtMost)
        for (const oldest of this.waiting.keys()) if (this.waiting.delete(oldest)) break
    }
    names.add(detachedString(name))
    for (const load of this.loads) if (load.account === account) load.changed.add(name)
    this.writeLater(writeAfter)
  }

  /** Takes in what is kept of an account. Resolves when that is done, or has failed. */
  async load(account: string): Promise<void> {
    const { store, calls, quarantine, isHere, key: storeKey } = this.options
    const key = keyOf(account)
    if (this.waiting.has(key)) void this.write()
    await this.writing
    const load = { account: key, changed: new Set(this.waiting.get(key)) }
    this.loads.add(load)
    const kept = await calls.call('load', async () => {
      const hidden = await store.load(this.recordName(key))
      const fields = storeKey === undefined ? hidden : shownFields(storeKey, key, hidden)
      if (fields === undefined) throw new Error('requests were written with another key')
      return fields.size === 0 ? undefined : requestsOf(key, fields)
    })
    this.loads.delete(load)
    if (kept === undefined) return
    if (load.changed.size === 0 && !isHere(key)) quarantine.forget(key)
    // What the store has of these is out of date.
    forgetFields(kept, load.changed)
    quarantine.recall(key, kept)
  }

  /** Writes what waits. Resolves when that is done, or has failed; it is tried again then. */
  write(): Promise<void> {
    this.cancel?.()
    this.cancel = undefined
    this.writing = this.writing.then(() => this.writeAll())
    return this.writing
  }

  /** Other gates take in what is kept of this account's requests. */
  tell(account: string): void {
    this.options.store.channel?.tell(JSON.stringify([account, requestsDecided]))
  }

  stop(): Promise<void> {
    this.isStopped = true
    return this.write()
  }

  private writeLater(delay: number): void {
    if (this.cancel !== undefined || this.isStopped) return
    this.cancel = this.options.clock.after(delay, () => {
      this.cancel = undefined
      void this.write()
    })
  }

  private async writeAll(): Promise<void> {
    const { store, calls } = this.options
    const all = [...this.waiting]
    this.waiting.clear()
    for (let next = 0; next < all.length; ) {
      const first = next
      const changes: RecordChange[] = []
      for (let fields = 0; next < all.length && fields < fieldsTogether; next++) {
        const change = this.changeOf(...(all[next] as (typeof all)[number]))
        if (change === undefined) continue
        fields += change.fields.size
        changes.push(change)
      }
      if (changes.length === 0 || (await calls.call('save', () => store.save(changes))) !== undefined) continue
      for (const [account, names] of all.slice(first)) for (const name of names) this.waits(account, name)
      this.cancel?.()
      this.cancel = undefined
      return this.writeLater(retryAfter)
    }
  }

  /** `undefined`: the account is no longer in memory, and nothing is known of it. */
  private changeOf(account: string, names: ReadonlySet<string>): RecordChange | undefined {
    const { quarantine, key, time, days } = this.options
    const requests: AccountRequests | undefined = quarantine.requestsOf(account)
    if (requests === undefined) return undefined
    const shown = requestFieldsOf(requests, names)
    const fields = key === undefined ? shown : hiddenFields(key, account, shown)
    return { record: this.recordName(account), fields, isWhole: false, until: Math.floor(time() / day) + days }
  }

  private recordName(account: string): string {
    const { key } = this.options
    return key === undefined ? `requests:${account}` : `hashed-requests:${key.nameOf('requests', account)}`
  }
}
