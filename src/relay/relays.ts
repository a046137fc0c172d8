/** The relays of a gate. Each is here from its client's connection until both its connections are gone. */

import type { KeptSession } from '../session/session-keeper.ts'
import type { Clock } from '../transport/clock.ts'
import { FlushQueue } from './flush-queue.ts'
import { type Incoming, Relay, type RelayContext } from './relay.ts'
import type { SessionView, StreamState } from './watcher.ts'

/** How streams are ended when the gate stops; milliseconds. */
export interface Drain {
  readonly spread: number
  readonly deadline: number
  /** Sessions that can be resumed are kept for another process. */
  readonly resumable: boolean
}

/** Sessions that are kept in one go, and milliseconds of the spread in which others are kept with them. */
const keptAtOnce = 200
const together = 50

export class Relays {
  private readonly context: RelayContext
  private readonly clock: Clock
  private readonly relays = new Set<Relay>()
  private count = 0
  /** Called when the last relay is gone. */
  private emptied: (() => void) | undefined

  constructor(context: Omit<RelayContext, 'finished' | 'flushes'>, clock: Clock) {
    this.context = { ...context, flushes: new FlushQueue(), finished: relay => this.finished(relay) }
    this.clock = clock
  }

  add(incoming: Omit<Incoming, 'id'>): void {
    this.context.resumableSessions.expire(performance.now())
    this.relays.add(new Relay({ ...incoming, id: ++this.count }, this.context))
  }

  /** Every client's stream, oldest first. */
  *views(): Iterable<SessionView> {
    for (const relay of this.relays) yield relay.view
  }

  *states(): Iterable<StreamState> {
    for (const relay of this.relays) yield relay.state
  }

  /**
   * Frees memory. A hundred sessions that wait for a resumption are given up. If none waits, the stream is ended for which most
   * bytes wait to be written; of equals, the newest.
   */
  shed(): void {
    let given = 0
    while (given < 100 && this.context.resumableSessions.giveUp()) given += 1
    if (given === 0) this.withMostWaiting()?.shed()
  }

  /** Ends all streams, spread over so many milliseconds; what is left after the deadline, in milliseconds, is cut off. */
  async drain({ spread, deadline, resumable }: Drain): Promise<void> {
    const { clock } = this
    let mayKeep = resumable && this.context.keeper !== undefined
    const relays = [...this.relays]
    const atOnce = Math.min(keptAtOnce, Math.max(1, Math.floor((relays.length * together) / spread)))
    const began = clock.now()
    for (let index = 0; index < relays.length; index += atOnce) {
      const due = began + (index * spread) / relays.length
      if (due > clock.now()) await this.emptiedWithin(due - clock.now())
      // A store that has failed is not waited for again.
      mayKeep &&= await this.keepIdle(deadline)
      mayKeep = await this.end(relays.slice(index, index + atOnce), deadline, mayKeep)
    }
    if (mayKeep) await this.keepIdle(deadline)
    await this.emptiedWithin(deadline)
    for (const relay of this.relays) relay.abort()
  }

  /** Ends these: those that can be resumed are kept for another process first, if they may be. Says whether others may be. */
  private async end(relays: readonly Relay[], deadline: number, mayKeep: boolean): Promise<boolean> {
    const kept = new Map<Relay, KeptSession>()
    for (const relay of mayKeep ? relays : []) {
      const session = this.relays.has(relay) ? relay.freeze() : undefined
      if (session !== undefined) kept.set(relay, session)
    }
    const isKept = kept.size > 0 && (await this.keep([...kept.values()], deadline))
    for (const relay of relays) {
      if (!this.relays.has(relay)) continue
      if (isKept && kept.has(relay)) relay.handOver()
      else relay.stop(deadline)
    }
    return mayKeep && (isKept || kept.size === 0)
  }

  /** Sessions that wait for their client, some since a moment ago, can be resumed at another process too. Says whether others may be kept. */
  private async keepIdle(deadline: number): Promise<boolean> {
    const kept = this.context.resumableSessions.takeOutIdle(performance.now())
    for (let index = 0; index < kept.length; index += keptAtOnce)
      if (!(await this.keep(kept.slice(index, index + keptAtOnce), deadline))) return false
    return true
  }

  /** Says whether they are kept. A store that does not answer within so many milliseconds has not. */
  private keep(sessions: readonly KeptSession[], deadline: number): Promise<boolean> {
    const { keeper } = this.context
    if (keeper === undefined) return Promise.resolve(false)
    return new Promise(resolve => {
      const cancel = this.clock.after(deadline, () => resolve(false))
      void keeper.keep(sessions).then(isKept => {
        cancel()
        resolve(isKept)
      })
    })
  }

  private withMostWaiting(): Relay | undefined {
    let found: Relay | undefined
    let most = 0
    for (const relay of this.relays) {
      const { waiting } = relay
      if (waiting === undefined || waiting < most) continue
      found = relay
      most = waiting
    }
    return found
  }

  private emptiedWithin(milliseconds: number): Promise<void> {
    if (this.relays.size === 0) return Promise.resolve()
    return new Promise(resolve => {
      const cancel = this.clock.after(milliseconds, resolve)
      this.emptied = () => {
        cancel()
        resolve()
      }
    })
  }

  private finished(relay: Relay): void {
    this.relays.delete(relay)
    if (this.relays.size === 0) this.emptied?.()
  }
}
