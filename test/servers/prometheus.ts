// A throwaway Prometheus: its configuration and data in a temporary folder, a port of its own on loopback. It ends with stop(), and by
// the kernel's doing with the process that started it, however that one ends. The system's Prometheus service is never touched.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { patience } from '../clients/within.ts'
import { address } from './prosody-config.ts'

export interface PrometheusOptions {
  /** The job `stanzagate`: ports on loopback that serve /metrics. */
  readonly targets: readonly number[]
  /** Files of recording and alert rules. */
  readonly rules: readonly string[]
  /** Of scrapes and of rules; milliseconds. */
  readonly every: number
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Rule {
  readonly name: string
  readonly health: string
  readonly lastError?: string
}

export interface Alert {
  readonly state: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export class Prometheus {
  readonly pid: number
  readonly folder: string
  private readonly child: Child
  private readonly base: string

  constructor(child: Child, folder: string, port: number) {
    this.child = child
    this.pid = child.pid
    this.folder = folder
    this.base = `http://${address}:${port}/api/v1`
  }

  /** What the expression gives at this moment. Throws, with Prometheus' word of why, when it is wrong. */
  async query(expr: string): Promise<Sample[]> {
    const { result } = (await this.ask(`query?${new URLSearchParams({ query: expr })}`)) as {
      result: readonly { metric: Record<string, string>; value: readonly [number, string] }[]
    }
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }))
  }

  /** Asks again until the answer is as wanted: what was counted is there only after the next scrape, or the next round of the rules. */
  async until(expr: string, isWanted: (samples: Sample[]) => boolean): Promise<Sample[]> {
    const end = performance.now() + patience
    for (;;) {
      const samples = await this.query(expr)
      if (isWanted(samples)) return samples
      if (performance.now() > end)
        throw new Error(`${expr}: not within ${patience} ms; last ${JSON.stringify(samples)}`)
    }
  }

  async rules(): Promise<Rule[]> {
    const { groups } = (await this.ask('rules')) as { groups: readonly { rules: readonly Rule[] }[] }
    return groups.flatMap(group => group.rules)
  }

  async alerts(): Promise<readonly Alert[]> {
    return ((await this.ask('alerts')) as { alerts: readonly Alert[] }).alerts
  }

  stop(): Promise<void> {
    return this.child.stop()
  }

  private async ask(path: string): Promise<unknown> {
    const response = await fetch(`${this.base}/${path}`)
    const { status, error, data } = (await response.json()) as { status: string; error?: string; data: unknown }
    if (status !== 'success') throw new Error(`${decodeURIComponent(path)}: ${error}`)
    return data
  }
}

/** Starts a Prometheus; resolves when it answers. Throws, with its log, if it does not come to that. */
export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  let reason = ''
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    const outcome = await attemptStart(options)
    if (typeof outcome !== 'string') return outcome
    reason = outcome // somebody took the port between the kernel's naming it and Prometheus' binding it
  }
  throw new Error(reason)
}

async function attemptStart(options: PrometheusOptions): Promise<Prometheus | string> {
  const folder = await mkdtemp(join(tmpdir(), 'stanzagate-prometheus-'))
  const port = await freePort()
  const config = join(folder, 'prometheus.yml')
  await writeFile(config, configuration(options))
  const child = new Child(config, folder, port)
  if (await child.started()) return new Prometheus(child, folder, port)
  const failure = child.log
  await child.stop()
  if (/address already in use/.test(failure)) return failure
  throw new Error(failure)
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, address)
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  await once(probe.close(), 'close')
  return port
}

/** JSON is YAML. */
function configuration({ targets, rules, every }: PrometheusOptions): string {
  const interval = `${every}ms`
  return JSON.stringify({
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    rule_files: rules,
    scrape_configs: [
      { job_name: 'stanzagate', static_configs: [{ targets: targets.map(port => `${address}:${port}`) }] },
    ],
  })
}

const startLimit = 30_000 // milliseconds; a start takes about 0.3 s
const stopLimit = 10_000

class Child {
  readonly #process: ChildProcessByStdio<null, null, Readable>
  readonly #folder: string
  readonly #lines: string[] = []
  readonly #gone: Promise<void>
  #stopped: Promise<void> | undefined
  #hasEnded = false
  #read: () => void = () => {}

  constructor(config: string, folder: string, port: number) {
    this.#folder = folder
    const prometheus = [
      'prometheus',
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${address}:${port}`,
    ]
    // What outlives its parent would go on scraping.
    this.#process = spawn('setpriv', ['--pdeathsig', 'TERM', ...prometheus], { stdio: ['ignore', 'ignore', 'pipe'] })
    createInterface(this.#process.stderr).on('line', line => {
      this.#lines.push(line)
      this.#read()
    })
    this.#gone = new Promise(resolve => {
      const end = (why: string) => {
        this.#lines.push(why)
        this.#hasEnded = true
        this.#read()
        resolve()
      }
      this.#process.on('error', error => end(`cannot run setpriv (${error.message}); it is in Debian's util-linux`))
      this.#process.on('close', (status, signal) =>
        end(`Prometheus ended with ${signal ?? `status ${status}`}; the Debian package prometheus has to be installed`),
      )
    })
    alive.add(this)
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  get log(): string {
    return this.#lines.join('\n')
  }

  async started(): Promise<boolean> {
    const limit = setTimeout(() => this.kill(), startLimit)
    while (!this.#hasEnded && !this.log.includes('Server is ready to receive web requests'))
      await new Promise<void>(resolve => {
        this.#read = resolve
      })
    clearTimeout(limit)
    return !this.#hasEnded
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    const limit = setTimeout(() => this.kill(), stopLimit)
    this.#process.kill('SIGTERM')
    await this.#gone
    clearTimeout(limit)
    await rm(this.#folder, { recursive: true, force: true })
    alive.delete(this)
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }

  removeFolder(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

const alive = new Set<Child>()

process.on('exit', () => {
  for (const child of alive) {
    child.kill()
    child.removeFolder()
  }
})
