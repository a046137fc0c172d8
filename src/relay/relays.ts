/** The relays of a gate. Each is here from its client's connection until both its connections are gone. */
import type { Clock } from '../transport/clock.ts'
import { FlushQueue } from './flush-queue.ts'
import { type Incoming, Relay, type RelayContext } from './relay.ts'
import type { SessionView, StreamState } from './watcher.ts'

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
  async drain({ spread, deadline }: { readonly spread: number; readonly deadline: number }): Promise<void> {
    const { clock } = this
    const relays = [...this.relays]
    const began = clock.now()
    for (const [index, relay] of relays.entries()) {
      const due = began + (index * spread) / relays.length
      if (due > clock.now()) await this.emptiedWithin(due - clock.now())
      if (this.relays.has(relay)) relay.stop(deadline)
    }
    await this.emptiedWithin(deadline)
    for (const relay of this.relays) relay.abort()
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
