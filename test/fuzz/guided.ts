/**
 * Guided by coverage: inputs that reach code which none before them has reached, or bring about something new, are kept and changed
 * further. The coverage is V8's own, by blocks, of src/ and of saxes; nothing is instrumented and nothing native is needed.
 */
import { Session } from 'node:inspector'
import { performance } from 'node:perf_hooks'
import { type Random, randomOf } from './random.ts'
import { reader } from './targets/reader.ts'
import { session } from './targets/session.ts'
import type { Target } from './targets/target.ts'

export const targets: Readonly<Record<string, Target>> = { reader, session }

export interface ExploreOptions {
  readonly seconds: number
  readonly seed: number
  /** No more than so many inputs, however long they take; then nothing depends on the clock. */
  readonly inputs?: number | undefined
  /** Seconds since the beginning. */
  progress?(seconds: number): void
}

export interface Finding {
  /** In hexadecimal, as short as it could be made. */
  readonly input: string
  readonly error: string
}

export interface Explored {
  readonly seed: number
  readonly seconds: number
  readonly executions: number
  readonly seeds: number
  /** Inputs that were kept, seeds among them. */
  readonly kept: number
  /** Blocks of code that were reached, and kinds of outcome that were seen. */
  readonly blocks: number
  readonly features: number
  readonly findings: readonly Finding[]
}

const batchSize = 32
/** Longer inputs than this are seldom worth their time. */
const longest = 8_192
/** Milliseconds that one input may take: a hundred times what any has taken. */
const patience = 2_000
const findingsAtMost = 5

/** Explores one target; every input that breaks a promise, throws, or takes too long is a finding. */
export function explore(target: Target, { seconds, seed, inputs = Infinity, progress }: ExploreOptions): Explored {
  const coverage = new Coverage()
  const kept: Buffer[] = []
  const features = new Set<string>()
  const findings = new Map<string, Finding>()
  const begun = performance.now()
  let executions = 0
  const execute = (input: Buffer): boolean => {
    executions++
    const { seen, error } = attempt(target, input)
    if (error !== undefined && !findings.has(kindOf(error)))
      findings.set(kindOf(error), { input: shortest(target, input, error).toString('hex'), error })
    const before = features.size
    for (const feature of seen) features.add(feature)
    return features.size > before
  }
  const batch = (all: readonly Buffer[]) => {
    const fresh = new Set(all.filter(execute))
    // Who of them reached the new blocks is found by asking again, until all blocks are found.
    if (coverage.grew()) for (const input of all) if (coverage.first(() => execute(input))) fresh.add(input)
    kept.push(...fresh)
  }
  for (let at = 0; at < target.seeds.length; at += batchSize) batch(target.seeds.slice(at, at + batchSize))
  kept.push(...target.seeds)
  const spent = () => (performance.now() - begun) / 1000
  for (let round = 0; executions < inputs && spent() < seconds && findings.size < findingsAtMost; round++) {
    const random = randomOf(seed, round)
    batch(Array.from({ length: batchSize }, () => changed(kept, target.tokens, random)))
    progress?.(spent())
  }
  coverage.end()
  return {
    seed,
    seconds: Math.round(spent() * 10) / 10,
    executions,
    seeds: target.seeds.length,
    kept: kept.length,
    blocks: coverage.size,
    features: features.size,
    findings: [...findings.values()],
  }
}

function attempt(target: Target, input: Buffer): { readonly seen: Iterable<string>; readonly error?: string } {
  const begun = performance.now()
  try {
    const seen = target.run(input)
    const took = performance.now() - begun
    return took > patience ? { seen, error: `it took ${Math.round(took)} ms` } : { seen }
  } catch (error) {
    return { seen: [], error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

/** One finding of each kind is enough. */
function kindOf(error: string): string {
  return error.split('\n', 1)[0]?.replace(/\d+/g, 'N').slice(0, 40) ?? ''
}

function shortest(target: Target, input: Buffer, error: string): Buffer {
  let least = input
  for (let size = least.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at < least.length; ) {
      const shorter = Buffer.concat([least.subarray(0, at), least.subarray(at + size)])
      const again = attempt(target, shorter).error
      if (again !== undefined && kindOf(again) === kindOf(error)) least = shorter
      else at += size
    }
  }
  return least
}

function changed(kept: readonly Buffer[], tokens: readonly Buffer[], random: Random): Buffer {
  const one = <T>(of: readonly T[]): T => of[random(of.length)] as T
  // The newest are the least explored.
  let input = random(2) === 0 ? one(kept) : one(kept.slice(-40))
  for (let count = 1 + random(4); count > 0; count--) {
    const at = random(input.length + 1)
    const other = one(kept)
    const put = [
      () => one(tokens),
      () => Buffer.from([random(256)]),
      () => other.subarray(random(other.length + 1)),
      () => input.subarray(random(at + 1), at),
      () => Buffer.alloc(0),
    ][random(5)] as () => Buffer
    input = Buffer.concat([input.subarray(0, at), put(), input.subarray(at + (random(2) === 0 ? 0 : random(12)))])
  }
  return input.subarray(0, longest)
}

/** The blocks that V8 has seen run, of the code that is explored. */
class Coverage {
  private readonly inspector = new Session()
  private readonly seen = new Set<string>()
  /** New a moment ago, and not yet known by whom. */
  private pending: string[] = []

  constructor() {
    this.inspector.connect()
    this.post('Profiler.enable')
    this.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  get size(): number {
    return this.seen.size
  }

  /** Whether anything was reached since it was asked last that never was before; it counts as reached from then on. */
  grew(): boolean {
    const fresh = this.take().filter(block => !this.seen.has(block))
    this.pending = fresh
    for (const block of fresh) this.seen.add(block)
    return fresh.length > 0
  }

  /** Whether this reaches blocks that are new and that nobody before it has reached. */
  first(run: () => void): boolean {
    if (this.pending.length === 0) return false
    this.take()
    run()
    const reached = new Set(this.take())
    const left = this.pending.filter(block => !reached.has(block))
    const isFirst = left.length < this.pending.length
    this.pending = left
    return isFirst
  }

  end(): void {
    this.inspector.disconnect()
  }

  private take(): string[] {
    const blocks: string[] = []
    for (const { url, functions } of this.post('Profiler.takePreciseCoverage').result) {
      if (!/\/dist\/src\/|\/saxes\//.test(url)) continue
      const file = url.slice(url.lastIndexOf('/') + 1)
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          if (count > 0) blocks.push(`${file}:${startOffset}-${endOffset}`)
        }
      }
    }
    return blocks
  }

  /** The profiler answers before `post` returns. */
  private post(method: string, parameters: object = {}): { readonly result: readonly ScriptCoverage[] } {
    let answer: { readonly result: readonly ScriptCoverage[] } = { result: [] }
    this.inspector.post(method, parameters, (error, result) => {
      if (error !== null) throw error
      answer = result as typeof answer
    })
    return answer
  }
}

interface ScriptCoverage {
  readonly url: string
  readonly functions: readonly {
    readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number; readonly count: number }[]
  }[]
}
