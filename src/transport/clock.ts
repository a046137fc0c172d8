/** Time as the parts that wait are given it: tests have a clock that they set. */
export interface Clock {
  /** Milliseconds, from any beginning. */
  now(): number
  /** Calls back once, after so many milliseconds; what it gives calls that off. */
  after(milliseconds: number, call: () => void): () => void
}

export const systemClock: Clock = clockOf(() => {})
/** The process may end while nothing but its timers is left. */
export const idleClock: Clock = clockOf(timer => void timer.unref())

function clockOf(prepare: (timer: NodeJS.Timeout) => void): Clock {
  return {
    now: () => performance.now(),
    after: (milliseconds, call) => {
      const timer = setTimeout(call, milliseconds)
      prepare(timer)
      return () => clearTimeout(timer)
    },
  }
}
