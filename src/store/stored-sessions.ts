/**
 * Keeps resumable sessions in a store, from the end of one process until the client comes back at another. A session is taken out before
 * it is used: what is in the store is never older than the session.
 */
import { createHash } from 'node:crypto'
import type { KeptSession, SessionKeeper } from '../session/session-keeper.ts'
import type { KeptSessionEvent } from './labels.ts'
import type { RecordChange, Store } from './store.ts'
import type { StoreCalls } from './store-calls.ts'
import type { StoreKey } from './store-key.ts'

export interface StoredSessionsOptions {
  readonly store: Store
  readonly calls: StoreCalls
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

const field = 'session'
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

  async take(key: string): Promise<KeptSession | undefined> {
    const { store, calls, time, counted } = this.options
    const record = this.recordName(key)
    const text = await calls.call('take-session', async () => {
      const found = (await store.load(record)).get(field)
      if (found === undefined) return found
      // Of two that ask at once one gets it.
      const expects = { name: field, texts: [found] }
      const unfit = await store.save([{ record, fields: new Map(), isWhole: true, expects, until: 0 }])
      return unfit.length === 0 ? found : undefined
    })
    if (text === undefined) return undefined
    const { key: storeKey } = this.options
    const entry = entryOf(storeKey === undefined ? text : storeKey.unseal(record, text))
    if (entry === undefined) {
      this.unreadable()
      return undefined
    }
    const left = entry.until - time()
    counted(left > 0 ? 'found' : 'expired', 1)
    return left > 0 ? { key, record: entry.record, resumableFor: entry.resumableFor, left } : undefined
  }

  unreadable(): void {
    this.options.counted('unreadable', 1)
  }

  private changeOf({ key, record, resumableFor, left }: KeptSession): RecordChange {
    const until = this.options.time() + left
    const entry: Entry = { record, resumableFor, until }
    const name = this.recordName(key)
    const text = JSON.stringify(entry)
    const fields = new Map([[field, this.options.key?.seal(name, text) ?? text]])
    return { record: name, fields, isWhole: true, until: Math.floor(until / day) }
  }

  /** SM-IDs are not written: who reads the store does not learn them. */
  private recordName(key: string): string {
    const hash = this.options.key?.nameOf('session', key) ?? createHash('sha256').update(key).digest('base64url')
    return `session:${hash}`
  }
}

/** `undefined`: it is none. */
function entryOf(text: string | undefined): Entry | undefined {
  if (text === undefined) return undefined
  try {
    const { record, resumableFor, until } = JSON.parse(text) as Entry
    return Number.isFinite(resumableFor) && Number.isFinite(until) ? { record, resumableFor, until } : undefined
  } catch {
    return undefined
  }
}
