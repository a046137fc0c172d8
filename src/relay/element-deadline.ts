/**
 * Limits the time in which an element must be complete. Single bytes do not prolong it, but a long element has the time that a
 * slow line needs.
 */
import type { Clock } from '../transport/clock.ts'

/** Bytes each second of the slowest line that is allowed for. */
const slowest = 10 * 1_024

export class ElementDeadline {
  private readonly clock: Clock
  private readonly allowed: number
  private readonly pending: () => number
  private readonly late: () => void
  private begun: number | undefined
  private heldSince: number | undefined
  private cancel: (() => void) | undefined

  /** `pending`: bytes of the unfinished element that have come. `late` is called at most once. */
  constructor(clock: Clock, allowed: number, pending: () => number, late: () => void) {
    this.clock = clock
    this.allowed = allowed
    this.pending = pending
    this.late = late
  }

  /** Bytes have come; `ended`: an element has ended with them. */
  read(ended: boolean): void {
    if (ended) this.begun = undefined
    if (this.pending() === 0) this.begun = undefined
    else this.begun ??= this.clock.now()
    if (this.begun !== undefined) this.cancel ??= this.clock.after(this.allowed, () => this.look())
  }

  /** The gate stops reading the connection, or reads it again. */
  hold(isHeld: boolean): void {
    if (isHeld) this.heldSince ??= this.clock.now()
    else if (this.heldSince !== undefined) {
      if (this.begun !== undefined) this.begun += this.clock.now() - Math.max(this.heldSince, this.begun)
      this.heldSince = undefined
    }
  }

  stop(): void {
    this.cancel?.()
    this.cancel = undefined
    this.begun = undefined
  }

  private look(): void {
    this.cancel = undefined
    if (this.begun === undefined) return
    const allowedNow = this.allowed + (this.pending() / slowest) * 1_000
    const left = this.begun + allowedNow - this.clock.now()
    // While the gate does not read, the element cannot be completed.
    if (this.heldSince !== undefined) this.cancel = this.clock.after(this.allowed, () => this.look())
    else if (left > 0) this.cancel = this.clock.after(left, () => this.look())
    else {
      this.begun = undefined
      this.late()
    }
  }
}
