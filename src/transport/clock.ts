/** Time, as an interface, so that tests can use a clock that they set themselves. */
export interface Clock {
  /** Milliseconds, from any beginning. */
  now(): number
  /** Calls back once, after so many milliseconds. The function returned cancels that. */
  after(milliseconds: number, call: () => void): () => void
}

export const systemClock: Clock = clockOf(() => {})
/** The same, but its timers do not keep the process running. */
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
