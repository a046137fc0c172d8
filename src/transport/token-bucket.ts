export interface Pace {
  readonly perSecond: number
  readonly burst: number
}

/** A token bucket. What is taken has already happened, so the bucket may go into debt; the debt is the time to wait. */
export class TokenBucket {
  private readonly pace: Pace
  private level: number
  private last: number

  /** The bucket is full at first. `now`: milliseconds, from any beginning. */
  constructor(pace: Pace, now: number) {
    this.pace = pace
    this.level = pace.burst
    this.last = now
  }

  take(amount: number, now: number): void {
    const { perSecond, burst } = this.pace
    this.level = Math.min(burst, this.level + ((now - this.last) / 1_000) * perSecond) - amount
    this.last = now
  }

  /** Milliseconds until it is out of debt; 0: it is. */
  wait(now: number): number {
    this.take(0, now)
    return this.level >= 0 ? 0 : Math.ceil((-this.level / this.pace.perSecond) * 1_000)
  }
}
