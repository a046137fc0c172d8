import type { Clock } from '../../src/transport/clock.ts'

/** A clock that stands still until the test moves it. */
export class HandClock implements Clock {
  private time = 0
  private readonly calls = new Map<object, { readonly due: number; readonly call: () => void }>()

  now(): number {
    return this.time
  }

  after(milliseconds: number, call: () => void): () => void {
    const key = {}
    this.calls.set(key, { due: this.time + milliseconds, call })
    return () => this.calls.delete(key)
  }

  /** How many calls are still to come. */
  get timers(): number {
    return this.calls.size
  }

  /** What becomes due is called in its order, what that makes due too. */
  advance(milliseconds: number): void {
    const until = this.time + milliseconds
    for (;;) {
      const [next] = [...this.calls].filter(([, { due }]) => due <= until).sort(([, a], [, b]) => a.due - b.due)
      if (next === undefined) break
      const [key, { due, call }] = next
      this.calls.delete(key)
      this.time = Math.max(this.time, due)
      call()
    }
    this.time = until
  }
}
