/**
 * Whether the process is overloaded: the event loop is late, or the heap is nearly full. Then no new connection is accepted. When
 * the heap is about to overflow, which would end every session, single sessions are ended, a few each second: those that cost
 * most memory.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { Limits } from '../config/limits.ts'
import type { Clock } from '../transport/clock.ts'
import type { Strain } from './labels.ts'

export interface Readings {
  /**
   * Median of the milliseconds by which the event loop was late since the last reading; one long garbage collection does not show
   * in it.
   */
  lag(): number
  /** The part of the heap's limit that is in use, 0 to 1. */
  heap(): number
  stop(): void
}

export interface OverloadOptions {
  readonly limits: Pick<Limits['overload'], 'lag' | 'refuseAt' | 'closeAt'>
  readonly readings: Readings
  readonly clock: Clock
  /** Ends the session that costs most memory. */
  shed(): void
}

/** Milliseconds between two readings, and between two sessions that are ended. */
const interval = 250
/** Late readings in a row that make an overload. A garbage collection or one long burst is over before that. */
const lateAtLeast = 4

export class Overload {
  /** Why no connection is accepted at present; `undefined`: it is not overloaded. */
  strain: Strain | undefined
  private readonly options: OverloadOptions
  private wasFull = false
  /** Readings in a row at which the event loop was late. */
  private late = 0
  private cancel: () => void

  constructor(options: OverloadOptions) {
    this.options = options
    this.cancel = options.clock.after(interval, () => this.look())
  }

  stop(): void {
    this.cancel()
    this.options.readings.stop()
  }

  private look(): void {
    const { limits, readings, clock, shed } = this.options
    const heap = readings.heap()
    this.late = readings.lag() > limits.lag ? this.late + 1 : 0
    this.strain = this.late >= lateAtLeast ? 'lag' : heap > limits.refuseAt ? 'heap' : undefined
    const isFull = heap > limits.closeAt
    // A single reading may count garbage that was not collected yet.
    if (isFull && this.wasFull) shed()
    this.wasFull = isFull
    this.cancel = clock.after(interval, () => this.look())
  }
}

/** Milliseconds between two samples that Node takes of the event loop. */
const resolution = 20

/** Readings of this process. */
export class ProcessReadings implements Readings {
  private readonly delays: IntervalHistogram = monitorEventLoopDelay({ resolution })

  constructor() {
    this.delays.enable()
  }

  lag(): number {
    const late = this.delays.percentile(50) / 1e6 - resolution
    this.delays.reset()
    return Math.max(late, 0)
  }

  heap(): number {
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
    return used / limit
  }

  stop(): void {
    this.delays.disable()
  }
}
