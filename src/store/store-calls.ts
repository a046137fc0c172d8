/** Calls of a store, timed and counted. A call that fails is told, and nothing follows from it. */
import type { Clock } from '../transport/clock.ts'
import type { StoreOperation } from './labels.ts'

export interface StoreCallsOptions {
  readonly clock: Clock
  /** A call has worked, or has failed with this error; `seconds`: how long it took. `fails`: this one, or another operation's last one, has failed. */
  called(operation: StoreOperation, seconds: number, fails: boolean, error?: unknown): void
}

export class StoreCalls {
  private readonly options: StoreCallsOptions
  /** Operations whose last call has failed. */
  private readonly failing = new Set<StoreOperation>()

  constructor(options: StoreCallsOptions) {
    this.options = options
  }

  /** `undefined`: the call has failed. */
  async call<Result>(operation: StoreOperation, ask: () => Promise<Result>): Promise<Result | undefined> {
    const { clock } = this.options
    const began = clock.now()
    try {
      const result = await ask()
      // What can be written can be read.
      if (operation === 'save') this.failing.clear()
      this.failing.delete(operation)
      this.options.called(operation, (clock.now() - began) / 1_000, this.failing.size > 0)
      return result
    } catch (error) {
      this.failing.add(operation)
      this.options.called(operation, (clock.now() - began) / 1_000, true, error)
      return undefined
    }
  }
}
