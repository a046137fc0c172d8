/** Time as the parts that wait are given it: tests have a clock that they set. */
export interface Clock {
  /** Milliseconds, from any beginning. */
  now(): number
  /** Calls back once, after so many milliseconds; what it gives calls that off. */
  after(milliseconds: number, call: () => void): () => void
}
