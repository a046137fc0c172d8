/**
 * Metrics of the process and of Node. prom-client's own collection is not used: its observers of garbage collection and of the
 * event loop cannot be stopped, it lists every socket at each scrape, and some of its gauges are named as counters. The observers
 * start with the first scrape, so that a gate without scrapes has no cost, and end with `stop`.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import {
  constants,
  type IntervalHistogram,
  monitorEventLoopDelay,
  PerformanceObserver,
  performance,
} from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import { LabelCounts, type Series } from './label-counts.ts'
import type { MetricInfo } from './metric-definitions.ts'

const gcKinds: ReadonlyMap<number, string> = new Map([
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weakcb'],
])
const gcLabels = [...gcKinds.values(), 'other']

export const processMetrics = {
  cpu: counter('process_cpu_seconds', 'seconds', 'Processor time used, user and system.'),
  started: gauge('process_start_time_seconds', 'seconds since 1970', 'When the process began.'),
  resident: gauge('process_resident_memory_bytes', 'bytes', 'Memory of the process that is in RAM.'),
  openFiles: gauge('process_open_fds', 'descriptors', 'Open file descriptors; one for each transport. Linux only.'),
  maxFiles: gauge('process_max_fds', 'descriptors', 'File descriptors that the process may open. Linux only.'),
  heapUsed: gauge('nodejs_heap_size_used_bytes', 'bytes', "Memory of JavaScript's heap in use."),
  heapTotal: gauge('nodejs_heap_size_total_bytes', 'bytes', "Memory of JavaScript's heap."),
  heapLimit: gauge(
    'nodejs_heap_size_limit_bytes',
    'bytes',
    "The most that JavaScript's heap may have: --max-old-space-size.",
  ),
  external: gauge('nodejs_external_memory_bytes', 'bytes', 'Memory of buffers and other objects outside the heap.'),
  loop: counter('nodejs_eventloop_seconds', 'seconds', 'Time of the event loop, at work and waiting.', {
    state: ['active', 'idle'],
  }),
  delay: gauge('nodejs_eventloop_delay_p99_seconds', 'seconds', 'Lateness of timers since the last scrape, 99 of 100.'),
  longestDelay: gauge(
    'nodejs_eventloop_delay_max_seconds',
    'seconds',
    'Lateness of timers since the last scrape, worst.',
  ),
  gc: counter('nodejs_gc_seconds', 'seconds', 'Time taken by garbage collection.', { kind: gcLabels }),
} as const satisfies Record<string, MetricInfo>

export type ProcessKey = keyof typeof processMetrics

/** Node's types do not know what an entry of type `gc` says besides. */
interface GcEntry {
  readonly duration: number
  readonly detail: { readonly kind: number }
}

/** Milliseconds between two looks at the event loop's lateness. */
const resolution = 20

export class ProcessWatch {
  private readonly gc = new LabelCounts()
  private observer: PerformanceObserver | undefined
  private lateness: IntervalHistogram | undefined
  private stopped = false
  private longest = 0

  constructor() {
    for (const kind of gcLabels) this.gc.add([kind], 0)
  }

  read(key: ProcessKey): Iterable<Series> {
    this.begin()
    switch (key) {
      case 'cpu': {
        const { user, system } = process.cpuUsage()
        return one((user + system) / 1e6)
      }
      case 'started':
        return one(performance.timeOrigin / 1_000)
      case 'resident':
        return one(process.memoryUsage.rss())
      case 'openFiles':
        return one(openFiles())
      case 'maxFiles':
        return one(maxFiles)
      case 'heapUsed':
        return one(process.memoryUsage().heapUsed)
      case 'heapTotal':
        return one(process.memoryUsage().heapTotal)
      case 'heapLimit':
        return one(getHeapStatistics().heap_size_limit)
      case 'external':
        return one(process.memoryUsage().external)
      case 'loop': {
        const { active, idle } = performance.eventLoopUtilization()
        return [
          { values: ['active'], count: active / 1_000 },
          { values: ['idle'], count: idle / 1_000 },
        ]
      }
      case 'delay':
        return one(this.readDelays())
      case 'longestDelay':
        return one(this.longest)
      case 'gc':
        return this.gc.series
    }
  }

  stop(): void {
    this.stopped = true
    this.observer?.disconnect()
    this.lateness?.disable()
  }

  private begin(): void {
    if (this.stopped || this.observer !== undefined) return
    this.lateness = monitorEventLoopDelay({ resolution })
    this.lateness.enable()
    this.observer = new PerformanceObserver(list => {
      for (const entry of list.getEntries() as unknown as GcEntry[])
        this.gc.add([gcKinds.get(entry.detail.kind) ?? 'other'], entry.duration / 1_000)
    })
    this.observer.observe({ entryTypes: ['gc'] })
  }

  /** Both readings are of one stretch of time: the registry asks for them in the table's order. */
  private readDelays(): number {
    const { lateness } = this
    if (lateness === undefined) return 0
    const late = (nanoseconds: number) => Math.max(nanoseconds / 1e9 - resolution / 1_000, 0)
    const usual = late(lateness.percentile(99))
    this.longest = late(lateness.max)
    lateness.reset()
    return usual
  }
}

function counter(name: string, unit: string, help: string, labels: MetricInfo['labels'] = {}) {
  const full = `stanzagate_${name}_total`
  return { name: full, kind: 'counter', unit, help, labels, example: `rate(${full}[5m])` } as const
}

function gauge(name: string, unit: string, help: string) {
  const full = `stanzagate_${name}`
  return { name: full, kind: 'gauge', unit, help, labels: {}, example: full } as const
}

/** No series at all where the number is not to be had. */
function one(count: number | undefined): Series[] {
  return count === undefined ? [] : [{ values: [], count }]
}

/** Linux 6.2 and later say the number as the folder's size; before, the entries are counted, the reading's own left out. */
function openFiles(): number | undefined {
  try {
    return statSync('/proc/self/fd').size || readdirSync('/proc/self/fd').length - 1
  } catch {
    // No such folder, or no descriptor left to read it with.
    return undefined
  }
}

/** Descriptors that the process may open, set before it began; Node has raised it to the hard limit. `undefined`: not known. */
export const maxFiles = readMaxFiles()

function readMaxFiles(): number | undefined {
  try {
    const [, limit] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return limit === undefined ? undefined : Number(limit)
  } catch {
    // No such file: not Linux.
    return undefined
  }
}
