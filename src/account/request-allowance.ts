/** How many subscription requests, or whatever is counted, each account may still make: a token bucket for each, which a period fills. */
import { detachedString } from '../stanza/detached-string.ts'

interface Bucket {
  /** Requests that may be made at `at`. */
  left: number
  /** Milliseconds, from any beginning. */
  at: number
}

const hour = 3_600_000
/** Accounts that are remembered. Of more the one that asked longest ago is forgotten, and may ask as if it had not. */
const accountsAtMost = 100_000

export class RequestAllowance {
  private readonly amount: number
  private readonly period: number
  private readonly atMost: number
  /** Those that asked last come last. */
  private readonly buckets = new Map<string, Bucket>()

  /** `amount`: within `period` milliseconds, and at once. */
  constructor(amount: number, atMost = accountsAtMost, period = hour) {
    this.amount = amount
    this.period = period
    this.atMost = atMost
  }

  /** Takes one request from the account's allowance; `false`: there is none left. `now`: milliseconds, from any beginning. */
  take(account: string, now: number): boolean {
    const bucket = this.buckets.get(account) ?? { left: this.amount, at: now }
    bucket.left = this.leftIn(bucket, now)
    bucket.at = now
    this.buckets.delete(account)
    this.buckets.set(detachedString(account), bucket)
    if (this.buckets.size > this.atMost)
      for (const oldest of this.buckets.keys()) if (this.buckets.delete(oldest)) break
    if (bucket.left < 1) return false
    bucket.left -= 1
    return true
  }

  /** Whether `take` would be allowed to. */
  has(account: string, now: number): boolean {
    const bucket = this.buckets.get(account)
    return bucket === undefined ? this.amount >= 1 : this.leftIn(bucket, now) >= 1
  }

  private leftIn({ left, at }: Bucket, now: number): number {
    // The time of day may be set back.
    return Math.min(this.amount, left + (Math.max(0, now - at) * this.amount) / this.period)
  }
}
