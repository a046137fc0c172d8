/**
 * Sessions that can be resumed, by the server's SM-ID. A session is added when the server grants resumption. When its stream is
 * lost it waits here for as long as the server does. When its stream is closed it is removed (XEP-0198 section 5).
 */
import { type BoundOptions, BoundSession } from './bound.ts'
import type { ResumableSession } from './resumable-session.ts'
import type { KeptSession } from './session-keeper.ts'
import type { SessionRecord } from './session-record.ts'

interface Entry<M> {
  readonly bound: ResumableSession
  /** The relay that the session is on; `undefined`: its stream is lost. */
  readonly holder: M | undefined
  /** Milliseconds that it waits without a stream, and the time when that ends. */
  readonly resumableFor: number
  readonly until: number
}

export class ResumableSessions<M extends object> {
  private readonly entries = new Map<string, Entry<M>>()
  private readonly keys = new Map<M, string>()
  /** Keys of sessions without a stream, all and by account; the one that has waited longest comes first. */
  private readonly idle = new Set<string>()
  private readonly idleOf = new Map<string, Set<string>>()
  private readonly atMost: number
  private readonly ofAccount: number

  /** `atMost`: sessions that wait without a stream, in all and of one account; the one that waits longest goes first. */
  constructor(atMost: number, ofAccount = atMost) {
    this.atMost = atMost
    this.ofAccount = ofAccount
  }

  /** The server lets this session be resumed. `resumableFor` in milliseconds. */
  offer(key: string, bound: ResumableSession, holder: M, resumableFor: number): void {
    this.withdraw(holder)
    this.forget(key)
    this.entries.set(key, { bound, holder, resumableFor, until: Number.POSITIVE_INFINITY })
    this.keys.set(holder, key)
  }

  /** A session that another process has kept waits here. `false`: it is no session of this version. */
  restore({ key, record, resumableFor, left }: KeptSession, options: BoundOptions, now: number): boolean {
    if (this.entries.has(key)) return true
    const bound = restoredSession(record, options)
    if (bound === undefined) return false
    this.wait(key, { bound, holder: undefined, resumableFor, until: now + left })
    this.expire(now)
    return true
  }

  /** Gives what another process needs to go on with the holder's session, which is no longer offered here; `undefined`: it cannot be resumed. */
  takeOut(holder: M): KeptSession | undefined {
    const key = this.keys.get(holder)
    const entry = key === undefined ? undefined : this.entries.get(key)
    const kept = key === undefined || entry === undefined ? undefined : keptOf(key, entry, entry.resumableFor)
    if (kept !== undefined) this.withdraw(holder)
    return kept
  }

  /** The same of the sessions that wait without a stream. */
  takeOutIdle(now: number): KeptSession[] {
    const all: KeptSession[] = []
    for (const key of this.idle) {
      const entry = this.entries.get(key)
      const kept = entry === undefined || entry.until <= now ? undefined : keptOf(key, entry, entry.until - now)
      if (kept !== undefined) all.push(kept)
      this.forget(key)
    }
    return all
  }

  find(key: string, now: number): ResumableSession | undefined {
    const entry = this.entries.get(key)
    if (entry === undefined) return undefined
    if (now < entry.until) return entry.bound
    this.forget(key)
    return undefined
  }

  /** The session goes on with another holder. Gives the one that had it, if its streams still exist. */
  takeOver(key: string, holder: M): M | undefined {
    const entry = this.entries.get(key)
    if (entry === undefined) return undefined
    const before = entry.holder
    if (before !== undefined) this.keys.delete(before)
    this.withdraw(holder)
    this.forget(key)
    this.entries.set(key, { ...entry, holder, until: Number.POSITIVE_INFINITY })
    this.keys.set(holder, key)
    return before
  }

  /** The holder's streams are lost: the session waits for so many milliseconds; `undefined`: there is none. */
  suspend(holder: M, now: number): number | undefined {
    const key = this.keys.get(holder)
    const entry = key === undefined ? undefined : this.entries.get(key)
    if (key === undefined || entry === undefined) return undefined
    this.keys.delete(holder)
    this.wait(key, { ...entry, holder: undefined, until: now + entry.resumableFor })
    this.expire(now)
    return entry.resumableFor
  }

  private wait(key: string, entry: Entry<M>): void {
    this.entries.set(key, entry)
    const { bare } = entry.bound
    const own = this.idleOf.get(bare) ?? new Set()
    this.idleOf.set(bare, own.add(key))
    this.idle.add(key)
    if (own.size > this.ofAccount) this.forget(first(own))
  }

  /** The holder's stream is closed: nothing can be resumed. */
  withdraw(holder: M): void {
    const key = this.keys.get(holder)
    if (key === undefined) return
    this.keys.delete(holder)
    this.entries.delete(key)
  }

  /**
   * Removes the sessions whose time is over, and the oldest while there are too many. One whose time is over may stay behind one
   * whose is not; it is not found any more.
   */
  expire(now: number): void {
    for (const key of this.idle) {
      if (now < (this.entries.get(key)?.until ?? 0) && this.waiting <= this.atMost) return
      this.forget(key)
    }
  }

  /** Removes the session that has waited longest; says whether there was one. */
  giveUp(): boolean {
    return this.forget(first(this.idle))
  }

  /** Sessions that wait without a stream. */
  get waiting(): number {
    return this.idle.size
  }

  private forget(key: string | undefined): boolean {
    const entry = key === undefined ? undefined : this.entries.get(key)
    if (key === undefined || entry === undefined) return false
    this.entries.delete(key)
    this.idle.delete(key)
    const { bare } = entry.bound
    const own = this.idleOf.get(bare)
    own?.delete(key)
    if (own?.size === 0) this.idleOf.delete(bare)
    return true
  }
}

function keptOf(key: string, { bound, resumableFor }: Entry<unknown>, left: number): KeptSession | undefined {
  const { record } = bound
  return record && { key, record, resumableFor, left }
}

/** The session of a record; `undefined`: it is no session of this version. */
export function restoredSession(record: unknown, options: BoundOptions): ResumableSession | undefined {
  try {
    return BoundSession.restored(options, record as SessionRecord)
  } catch {
    return undefined
  }
}

function first(keys: ReadonlySet<string>): string | undefined {
  for (const key of keys) return key
  return undefined
}
