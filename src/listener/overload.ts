/**
 * Whether the gate has more to do than it can do well: the event loop is late, or the heap is nearly full. Then nobody new is let in;
 * and when the heap is about to overflow, which would end every session, the dearest are closed, a few each second.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { Limits } from '../config/limits.ts'
import type { Clock } from '../transport/clock.ts'
import type { Strain } from './labels.ts'

export interface Readings {
  /** Milliseconds by which the event loop was late since the last reading, in the middle: one long collection is no overload. */
  lag(): number
  /** The part of the heap's limit that is in use, 0 to 1. */
  heap(): number
  stop(): void
}

export interface OverloadOptions {
  readonly limits: Pick<Limits['overload'], 'lag' | 'refuseAt' | 'closeAt'>
  readonly readings: Readings
  readonly clock: Clock
  /** Closes the dearest session. */
  shed(): void
}

/** Milliseconds between two looks, and between two sessions that are closed. */
const interval = 250
/** Looks in a row: a collection, or one long burst, is over before that; nobody honest is turned away for it. */
const lateAtLeast = 4

export class Overload {
  /** `undefined`: all is well. */
  strain: Strain | undefined
  private readonly options: OverloadOptions
  private wasFull = false
  /** Looks in a row at which the event loop was late. */
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
    // Seen once it may be what the collector has not come to yet.
    if (isFull && this.wasFull) shed()
    this.wasFull = isFull
    this.cancel = clock.after(interval, () => this.look())
  }
}

/** Milliseconds between two looks of Node's at the event loop. */
const resolution = 20

/** What Node says of this process. */
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
