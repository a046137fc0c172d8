/** What the benchmarks share: the programs in C are compiled and started, and what a subject uses while the load runs is read. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { memoryOf, printedPort, processorTime, type Subject } from './subjects.ts'

const folder = join(dirname(fileURLToPath(import.meta.url)), 'c')
const sources = join(dirname(fileURLToPath(import.meta.url)), '../../../test/bench/c')

export const note = (text: string) => process.stderr.write(`${text}\n`)

export const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} processors, Linux ${release()}, Node ${process.version}`

/** The path of a compiled program. */
export function program(name: 'load' | 'null-upstream' | 'slow-connections'): string {
  return join(folder, name)
}

export function compilePrograms(): void {
  mkdirSync(folder, { recursive: true })
  for (const file of readdirSync(sources).filter(each => each.endsWith('.c')))
    execFileSync('gcc', ['-O2', '-o', join(folder, file.slice(0, -2)), join(sources, file)], { stdio: 'inherit' })
}

/** `environment`: what null-upstream.c may be told. */
export async function startUpstream(environment: Environment = {}): Promise<{ port: number; stop(): void }> {
  const child = spawn(program('null-upstream'), {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  })
  return { port: await printedPort(child), stop: () => void child.kill() }
}

/** Variables of the environment; values are made strings. */
export type Environment = Readonly<Record<string, string>>

export interface Load {
  /** Arguments of load.c behind the port. */
  readonly args: readonly (string | number)[]
  readonly environment?: Environment
}

export interface Measured {
  /** Microseconds of processor time of the subject for each stanza, or login, that was delivered; `undefined` of `idle`. */
  readonly cpu: number | undefined
  /** Microseconds from sending to receiving, where the load has a rate. */
  readonly p50: number
  readonly p99: number
  /** Kilobytes by which the subject has grown for each session, when the load was ready. */
  readonly memory: number
}

/** load.c while it runs. */
export class LoadProcess {
  private readonly child: ChildProcess
  private readonly ended: Promise<number | null>
  private readonly lines: AsyncIterator<string>

  constructor(port: number, { args, environment = {} }: Load) {
    this.child = spawn(program('load'), [String(port), ...args.map(String)], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...environment },
    })
    this.ended = once(this.child, 'exit').then(([status]) => status as number | null)
    this.lines = createInterface({ input: this.child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  }

  /** What it says next. Throws when it has ended instead. */
  async line(): Promise<string> {
    const { done, value } = await this.lines.next()
    if (done === true) throw new Error(`the load ended with status ${await this.ended}`)
    return value
  }

  /** It waits after each line until it is told to go on. */
  goOn(): void {
    this.child.stdin?.write('go\n')
  }

  /** Throws when it was not content. */
  async end(): Promise<void> {
    this.goOn()
    const status = await this.ended
    if (status !== 0) throw new Error(`the load ended with status ${status}`)
  }

  kill(): void {
    this.child.kill()
  }
}

/** Lets the load run against the subject once. */
export async function measureLoad(subject: Subject, load: Load): Promise<Measured> {
  const { pids } = subject
  const [scenario, pairs] = load.args
  const sessions = Number(pairs) * 2 * Number(load.environment?.RESOURCES ?? 1)
  const memoryBefore = sumOf(pids, memoryOf)
  const running = new LoadProcess(subject.port, load)
  try {
    await running.line()
    const memory = (sumOf(pids, memoryOf) - memoryBefore) / sessions
    if (scenario === 'idle') {
      await running.end()
      return { cpu: undefined, p50: 0, p99: 0, memory }
    }
    const before = sumOf(pids, processorTime)
    running.goOn()
    const { delivered, p50 = 0, p99 = 0 } = JSON.parse(await running.line()) as Record<string, number>
    const used = sumOf(pids, processorTime) - before
    await running.end()
    return { cpu: (used * 1e6) / Number(delivered), p50, p99, memory }
  } catch (error) {
    running.kill()
    throw new Error(`${subject.name}, ${load.args.join(' ')}: ${error instanceof Error ? error.message : error}`)
  }
}

export function sumOf(pids: readonly number[], figure: (pid: number) => number): number {
  return pids.reduce((sum, pid) => sum + figure(pid), 0)
}

export function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, two) => one - two)[Math.floor(numbers.length / 2)] ?? 0
}

/** Descriptors that a process of this user may have. */
export function descriptorsAtMost(): number {
  return Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1_024)
}
