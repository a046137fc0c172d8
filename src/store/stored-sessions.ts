/**
 * Keeps resumable sessions in a store, from the end of one process until the client comes back at another. A session is read first, and taken
 * out when the server has resumed it for the client that has asked: whoever knows an SM-ID, but is not its owner, changes nothing. What is in the store is never
 * older than the session.
 */
import { createHash, randomUUID } from 'node:crypto'
import type { Fields } from '../account/account-record.ts'
import type { FoundSession, KeptSession, SessionKeeper } from '../session/session-keeper.ts'
import type { Clock } from '../transport/clock.ts'
import type { KeptSessionEvent } from './labels.ts'
import type { RecordChange, Store } from './store.ts'
import type { StoreCalls } from './store-calls.ts'
import type { StoreKey } from './store-key.ts'

export interface StoredSessionsOptions {
  readonly store: Store
  readonly calls: StoreCalls
  readonly clock: Clock
  /** Milliseconds since 1970. */
  readonly time: () => number
  /** Sessions are encrypted with this key. Left out: they are written as they are. */
  readonly key?: StoreKey | undefined
  /** This has become of so many sessions. */
  counted(event: KeptSessionEvent, sessions: number): void
}

/** What the field holds, as JSON, which may be encrypted. */
interface Entry {
  readonly record: unknown
  readonly resumableFor: number
  /** Milliseconds since 1970 at which the server forgets the session. */
  readonly until: number
}

interface Read {
  readonly entry: Entry
  readonly hash: string
}

const field = 'session'
/** Of the text of the session: a count that is damaged may still look like one. */
const hashField = 'hash'
/** Who asks the server for the session at present; `nobody`. */
const turnField = 'turn'
const nobody = '-'
/** Milliseconds that one who asks waits for another's turn, and between two looks. A server answers sooner. */
const turn = { atMost: 1_000, look: 50 }
const day = 86_400_000

export class StoredSessions implements SessionKeeper {
  private readonly options: StoredSessionsOptions

  constructor(options: StoredSessionsOptions) {
    this.options = options
  }

  async keep(sessions: readonly KeptSession[]): Promise<boolean> {
    const { store, calls, counted } = this.options
    const changes = sessions.map(session => this.changeOf(session))
    const isKept = (await calls.call('keep-sessions', () => store.save(changes))) !== undefined
    counted(isKept ? 'kept' : 'lost', sessions.length)
    return isKept
  }

  async find(key: string): Promise<FoundSession | undefined> {
    const { calls, time, counted } = this.options
    const record = this.recordName(key)
    const own = randomUUID()
    const read = await calls.call('take-session', () => this.read(record, own))
    if (read === undefined || read === 'nothing') return undefined
    if (read === 'unreadable') {
      this.unreadable()
      return undefined
    }
    const { entry, hash } = read
    const release = () => this.release(record, entry, own)
    // A clock that was set back does not make it longer.
    const left = Math.min(entry.until - time(), entry.resumableFor)
    if (left <= 0) {
      counted('expired', 1)
      await release()
      return undefined
    }
    const { resumableFor } = entry
    return { key, record: entry.record, resumableFor, left, claim: () => this.claim(record, hash), release }
  }

  unreadable(): void {
    this.options.counted('unreadable', 1)
  }

  /**
   * Reads the session when nobody else asks the server for it. One who asks for long, and may be no owner, does not keep others
   * from it: a claim is what counts.
   */
  private async read(record: string, own: string): Promise<Read | 'nothing' | 'unreadable'> {
    const { store, clock } = this.options
    const began = clock.now()
    let read: Read | undefined
    for (;;) {
      const fields = await store.load(record)
      const hash = fields.get(hashField)
      if (fields.size === 0) return 'nothing'
      if (read?.hash !== hash) read = this.readOf(record, fields)
      if (read === undefined) return 'unreadable'
      const other = fields.get(turnField) ?? nobody
      const isLate = clock.now() - began >= turn.atMost
      const isOwn = (isLate || other === nobody) && (await this.takeTurn(record, read.entry, other, own))
      if (isLate || isOwn) return read
      await new Promise<void>(resolve => clock.after(turn.look, resolve))
    }
  }

  private async takeTurn(record: string, { until }: Entry, from: string, to: string): Promise<boolean> {
    const change = { record, fields: new Map([[turnField, to]]), isWhole: false, until: Math.floor(until / day) }
    const unfit = await this.options.store.save([{ ...change, expects: { name: turnField, texts: [from] } }])
    return unfit.length === 0
  }

  private async release(record: string, entry: Entry, own: string): Promise<void> {
    // Others wait their time if it fails.
    await this.takeTurn(record, entry, own, nobody).catch(() => {})
  }

  private async claim(record: string, hash: string): Promise<boolean> {
    const { store, calls, counted } = this.options
    const change = { record, fields: new Map(), isWhole: true, expects: { name: hashField, texts: [hash] }, until: 0 }
    const unfit = await calls.call('take-session', () => store.save([change]))
    const isClaimed = unfit?.length === 0
    if (isClaimed) counted('found', 1)
    return isClaimed
  }

  private changeOf({ key, record, resumableFor, left }: KeptSession): RecordChange {
    const until = this.options.time() + left
    const entry: Entry = { record, resumableFor, until }
    const name = this.recordName(key)
    const shown = JSON.stringify(entry)
    const text = this.options.key?.seal(name, shown) ?? shown
    const fields = new Map([
      [field, text],
      [hashField, hashOf(text)],
      [turnField, nobody],
    ])
    return { record: name, fields, isWhole: true, until: Math.floor(until / day) }
  }

  /** SM-IDs are not written: who reads the store does not learn them. */
  private recordName(key: string): string {
    const hash = this.options.key?.nameOf('session', key) ?? createHash('sha256').update(key).digest('base64url')
    return `session:${hash}`
  }

  /** `undefined`: it is no session. */
  private readOf(record: string, fields: Fields): Read | undefined {
    const { key } = this.options
    const text = fields.get(field) ?? ''
    const hash = hashOf(text)
    const shown = key === undefined ? text : key.unseal(record, text)
    const entry = fields.get(hashField) === hash && shown !== undefined ? entryOf(shown) : undefined
    return entry && { entry, hash }
  }
}

/** `undefined`: it is none. */
function entryOf(text: string): Entry | undefined {
  try {
    const { record, resumableFor, until } = JSON.parse(text) as Entry
    return Number.isFinite(resumableFor) && Number.isFinite(until) ? { record, resumableFor, until } : undefined
  } catch {
    return undefined
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
