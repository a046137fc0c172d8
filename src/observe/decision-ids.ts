/** Ids of decisions: the same in the log, the audit, the console and OpenMetrics. */
import { randomInt } from 'node:crypto'

/** Crockford's base 32: digits sort before letters as in ASCII, so ids sort as their numbers do, and no character looks like another. */
const digits = '0123456789abcdefghjkmnpqrstvwxyz'
const countAtMost = 32 ** 3
const chanceBelow = 32 ** 4

export interface RandomSource {
  /** Milliseconds since 1970. */
  readonly time: () => number
  /** A whole number from 0 to below this one, which nobody can foresee. */
  readonly below: (most: number) => number
}

/** Sixteen characters: the time, a counter and a random part, so that no id can be guessed from another. Ids sort by time. */
export class DecisionIds {
  private readonly chance: RandomSource
  private at = 0
  /** The id's part for the time, written for `at`. */
  private atWritten = written(0, 9)
  private count = 0

  constructor(chance: Partial<RandomSource> = {}) {
    this.chance = { time: Date.now, below: most => randomInt(most), ...chance }
  }

  next(): string {
    const time = this.chance.time()
    this.count++
    // A clock that is set back does not turn the order round.
    if (time > this.at || this.count === countAtMost) {
      this.at = Math.max(time, this.at + 1)
      this.atWritten = written(this.at, 9)
      this.count = 0
    }
    return this.atWritten + written(this.count, 3) + written(this.chance.below(chanceBelow), 4)
  }
}

function written(number: number, length: number): string {
  let out = ''
  for (let rest = number; out.length < length; rest = Math.floor(rest / 32)) out = digits[rest % 32] + out
  return out
}
