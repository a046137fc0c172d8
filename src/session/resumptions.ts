/**
 * Sessions that can be resumed, by the server's SM-ID. A session is entered when the server grants resumption; when its stream is
 * lost it waits here for as long as the server does; when its stream is closed it is gone (XEP-0198 section 5).
 */
import type { Bound } from './bound.ts'

interface Entry<M> {
  readonly bound: Bound
  /** The session whose streams it is, as long as they last. */
  holder: M | undefined
  /** Milliseconds that it waits without a holder, and the time when it is over. */
  readonly patience: number
  until: number
}

export class Resumptions<M extends object> {
  private readonly entries = new Map<string, Entry<M>>()
  private readonly keys = new Map<M, string>()
  private readonly atMost: number

  /** `atMost`: sessions that wait without a stream; the one that waits longest goes first. */
  constructor(atMost: number) {
    this.atMost = atMost
  }

  /** The server lets this session be resumed. `patience` in milliseconds. */
  enter(key: string, bound: Bound, holder: M, patience: number): void {
    this.leave(holder)
    this.entries.set(key, { bound, holder, patience, until: Number.POSITIVE_INFINITY })
    this.keys.set(holder, key)
  }

  find(key: string, now: number): Bound | undefined {
    const entry = this.entries.get(key)
    if (entry === undefined) return undefined
    if (now < entry.until) return entry.bound
    this.entries.delete(key)
    return undefined
  }

  /** The session goes on with another holder; gives the one that had it, if its streams still last. */
  take(key: string, holder: M): M | undefined {
    const entry = this.entries.get(key)
    if (entry === undefined) return undefined
    const before = entry.holder
    if (before !== undefined) this.keys.delete(before)
    this.leave(holder)
    entry.holder = holder
    entry.until = Number.POSITIVE_INFINITY
    this.keys.set(holder, key)
    return before
  }

  /** The holder's streams are lost: the session waits. */
  lose(holder: M, now: number): void {
    const key = this.keys.get(holder)
    const entry = key === undefined ? undefined : this.entries.get(key)
    if (key === undefined || entry === undefined) return
    this.keys.delete(holder)
    this.entries.delete(key)
    this.entries.set(key, { ...entry, holder: undefined, until: now + entry.patience })
    this.makeRoom(now)
  }

  /** The holder's stream is closed: nothing can be resumed. */
  leave(holder: M): void {
    const key = this.keys.get(holder)
    if (key === undefined) return
    this.keys.delete(holder)
    this.entries.delete(key)
  }

  /** Sessions that wait without a stream. */
  get waiting(): number {
    return this.entries.size - this.keys.size
  }

  private makeRoom(now: number): void {
    for (const [key, entry] of this.entries) {
      if (entry.holder !== undefined) continue
      if (now >= entry.until || this.waiting > this.atMost) this.entries.delete(key)
      else return
    }
  }
}
