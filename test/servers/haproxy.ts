// A throwaway HAProxy: a configuration in a temporary folder and a child in the foreground. It ends with stop(), and by the kernel's
// doing with the process that started it, however that one ends. The system's HAProxy service is never touched.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { within } from '../clients/within.ts'
import { address } from './prosody-config.ts'

/** One port of HAProxy's, and the server behind it. */
export interface Frontend {
  /** A word. */
  readonly name: string
  /** The server's port on loopback. */
  readonly to: number
  /** The header that the server is sent first. */
  readonly send?: 'send-proxy' | 'send-proxy-v2'
  /** The loopback address that HAProxy connects from. */
  readonly source: string
  /** HTTP is read and written again; default: bytes are passed on. */
  readonly http?: boolean
  /** The server's health is checked every so many milliseconds; default: never. */
  readonly checkEvery?: number
}

export interface Haproxy {
  readonly pid: number
  readonly folder: string
  /** The port of the frontend of this name. */
  port(name: string): number
  /** What it has logged, oldest line first. */
  log(): string
  /** Resolves when it has logged such a line. */
  logged(pattern: RegExp): Promise<void>
  stop(): Promise<void>
}

/** Starts an HAProxy with this configuration; resolves when every port listens. Throws, with HAProxy's log, if it does not come to that. */
export async function startHaproxyWith(configuration: string): Promise<Pick<Haproxy, 'log' | 'stop'>> {
  const folder = await mkdtemp(join(tmpdir(), 'stanzagate-haproxy-'))
  const config = join(folder, 'haproxy.cfg')
  await writeFile(config, configuration)
  const child = new Child(config, folder)
  if (await child.started()) return { log: () => child.log, stop: () => child.stop() }
  const failure = child.log
  await child.stop()
  throw new Error(failure)
}

/** Starts an HAProxy; resolves when every port listens. Throws, with HAProxy's log, if it does not come to that. */
export async function startHaproxy(frontends: readonly Frontend[]): Promise<Haproxy> {
  let reason = ''
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    const outcome = await attemptStart(frontends)
    if (typeof outcome !== 'string') return outcome
    reason = outcome // somebody took a port between the kernel's naming it and HAProxy's binding it
  }
  throw new Error(reason)
}

async function attemptStart(frontends: readonly Frontend[]): Promise<Haproxy | string> {
  const folder = await mkdtemp(join(tmpdir(), 'stanzagate-haproxy-'))
  const ports = await freePorts(frontends)
  const config = join(folder, 'haproxy.cfg')
  await writeFile(config, configuration(frontends, ports))
  const child = new Child(config, folder)
  if (!(await child.started())) {
    const failure = child.log
    await child.stop()
    if (/cannot bind socket/i.test(failure)) return failure
    throw new Error(failure)
  }
  return {
    pid: child.pid,
    folder,
    port: name => ports.get(name) ?? 0,
    log: () => child.log,
    logged: pattern => child.logged(pattern),
    stop: () => child.stop(),
  }
}

/** Asks the kernel for as many ports as are needed, all at once so that no two are the same. */
async function freePorts(frontends: readonly Frontend[]): Promise<ReadonlyMap<string, number>> {
  const probes = frontends.map(() => createServer().listen(0, address))
  await Promise.all(probes.map(probe => once(probe, 'listening')))
  const ports = probes.map(probe => (probe.address() as AddressInfo).port)
  await Promise.all(probes.map(probe => once(probe.close(), 'close')))
  return new Map(frontends.map(({ name }, i) => [name, ports[i] ?? 0]))
}

function configuration(frontends: readonly Frontend[], ports: ReadonlyMap<string, number>): string {
  const sections = frontends.map(({ name, to, send, source, http, checkEvery }) => {
    const check = checkEvery === undefined ? '' : `check inter ${checkEvery}`
    return `listen ${name}
  mode ${http === true ? 'http' : 'tcp'}
  bind ${address}:${ports.get(name)}
  server gate ${address}:${to} source ${source} ${send ?? ''} ${check}
`
  })
  return `global
  log stderr format raw local0 info
defaults
  log global
  option log-health-checks
  timeout connect 10s
  timeout client 60s
  timeout server 60s
${sections.join('')}`
}

const startLimit = 30_000 // milliseconds; a start takes about 0.1 s
const stopLimit = 10_000

class Child {
  readonly #process: ChildProcessByStdio<null, null, Readable>
  readonly #folder: string
  readonly #lines: string[] = []
  readonly #gone: Promise<void>
  #stopped: Promise<void> | undefined
  #hasEnded = false
  #read: () => void = () => {}

  constructor(config: string, folder: string) {
    this.#folder = folder
    // -W has a master say when its worker serves; when the master ends, so does the worker.
    const haproxy = ['haproxy', '-W', '-db', '-f', config]
    this.#process = spawn('setpriv', ['--pdeathsig', 'TERM', ...haproxy], { stdio: ['ignore', 'ignore', 'pipe'] })
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
        end(`HAProxy ended with ${signal ?? `status ${status}`}; the Debian package haproxy has to be installed`),
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
    await this.#until(() => this.#hasEnded || this.log.includes('Loading success'))
    clearTimeout(limit)
    return !this.#hasEnded
  }

  async logged(pattern: RegExp): Promise<void> {
    await within(
      `${pattern} in HAProxy's log`,
      this.#until(() => pattern.test(this.log)),
    )
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo())
      await new Promise<void>(resolve => {
        this.#read = resolve
      })
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
