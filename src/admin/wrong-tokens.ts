/** Counts wrong tokens by the address that they came from; after too many the address has to wait. */

/** Wrong tokens that are answered within `window` milliseconds. */
const guessesAtMost = { ofAddress: 5, ofAll: 100 } as const
const window = 60_000
const addressesAtMost = 1_000

interface Count {
  count: number
  until: number
}

export class WrongTokens {
  private readonly now: () => number
  private readonly counts = new Map<string, Count>()
  private all: Count = { count: 0, until: 0 }

  /** `now`: milliseconds, from any beginning. */
  constructor(now: () => number = () => performance.now()) {
    this.now = now
  }

  /** Seconds that this address has to wait; `undefined`: it need not. */
  waitOf(address: string): number | undefined {
    const own = this.counts.get(address)
    const now = this.now()
    for (const [so, atMost] of [[own, guessesAtMost.ofAddress] as const, [this.all, guessesAtMost.ofAll] as const])
      if (so !== undefined && so.until > now && so.count >= atMost) return Math.ceil((so.until - now) / 1_000)
    return undefined
  }

  /** One was wrong. */
  add(address: string): void {
    const now = this.now()
    if (this.all.until <= now) this.all = { count: 0, until: now + window }
    this.all.count++
    const own = this.counts.get(address)
    if (own !== undefined && own.until > now) own.count++
    else {
      this.counts.delete(address)
      this.counts.set(address, { count: 1, until: now + window })
    }
    if (this.counts.size > addressesAtMost)
      for (const oldest of this.counts.keys()) if (this.counts.delete(oldest)) break
  }

  /** A right token: the wrong ones before are forgotten. */
  forget(address: string): void {
    this.counts.delete(address)
  }
}
