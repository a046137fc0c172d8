// A throwaway Prosody: its own configuration, data and ports in a temporary folder, a child in the foreground. The
// system's Prosody service, its configuration and its data are never touched. It ends with stop(), with this process's
// exit, and, by the end of its standard input, also when this process is killed (see modules/mod_stanzagate_test.lua).
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { address, type ProsodyOptions, type ProsodyPorts, portsWanted, writeProsodyFiles } from './prosody-config.ts'

export type { ProsodyOptions, ProsodyPorts } from './prosody-config.ts'

export interface Prosody {
  readonly address: string
  /** The c2s port, `ports.c2s` in short. */
  readonly port: number
  readonly ports: ProsodyPorts
  readonly pid: number
  /** The temporary folder that holds everything of this server. */
  readonly folder: string
  /**
   * Writes an element straight into a session (full JID) or all sessions of an account (bare JID), past everything that
   * Prosody would check; resolves when Prosody has written it. Throws if there is no such session or no such XML.
   */
  inject(jid: string, xml: string): Promise<void>
  /** Runs Lua, as an administrator may at Prosody's console; throws when it does not return a number. */
  run(lua: string): Promise<void>
  /** What Prosody has logged, oldest line first. */
  log(): string
  /** Lets it end in order, its sessions with `system-shutdown` (none for a session with stream management), and removes the folder. */
  stop(): Promise<void>
}

/** Starts a Prosody; resolves when every port listens. Throws, with Prosody's log, if it does not come to that. */
export async function startProsody(options: ProsodyOptions = {}): Promise<Prosody> {
  let reason = ''
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    const outcome = await attemptStart(options)
    if (typeof outcome !== 'string') return outcome
    reason = outcome // somebody took a port between the kernel's naming it and Prosody's binding it
  }
  throw new Error(reason)
}

async function attemptStart(options: ProsodyOptions): Promise<Prosody | string> {
  const folder = await mkdtemp(join(tmpdir(), 'stanzagate-prosody-'))
  const ports = await freePorts(options)
  const config = await writeProsodyFiles(folder, ports, options)
  const child = new Child(config, folder)
  const started = await child.started()
  const errors = /^\S+ +error\t/m.test(child.log)
  if (started && !errors) return running(child, folder, ports)
  const what = started ? 'Prosody started, but not as it was told to' : `Prosody did not start: ${child.failure}`
  const failure = `${what}\n${child.log}`
  await child.stop()
  if (/Failed to open server port .* in use/.test(child.log)) return failure
  throw new Error(failure)
}

function running(child: Child, folder: string, ports: ProsodyPorts): Prosody {
  return {
    address,
    port: ports.c2s,
    ports,
    folder,
    pid: child.pid,
    inject: (jid, xml) => child.command(`${jid} ${Buffer.from(xml).toString('base64')}`),
    run: lua => child.command(`run ${Buffer.from(lua).toString('base64')}`),
    log: () => child.log,
    stop: () => child.stop(),
  }
}

/** Asks the kernel for as many ports as are needed, all at once so that no two are the same. */
async function freePorts(options: ProsodyOptions): Promise<ProsodyPorts> {
  const names = portsWanted(options)
  const probes = names.map(() => createServer().listen(0, address))
  await Promise.all(probes.map(probe => once(probe, 'listening')))
  const ports = probes.map(probe => (probe.address() as AddressInfo).port)
  await Promise.all(probes.map(probe => once(probe.close(), 'close')))
  const port = (name: keyof ProsodyPorts) => ports[names.indexOf(name)]
  return { c2s: port('c2s') ?? 0, directTls: port('directTls'), http: port('http'), component: port('component') }
}

const answer = /^stanzagate-test (\w+) ?(.*)$/
const startLimit = 30_000 // milliseconds; a start takes about 0.3 s
const stopLimit = 10_000

class Child {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #folder: string
  readonly #lines: string[] = []
  readonly #gone: Promise<void>
  #stopped: Promise<void> | undefined
  #hasStarted = false
  #waiting: ((answer: Answer) => void)[] = []
  #commands: Promise<unknown> = Promise.resolve()
  failure = 'no reason given'

  constructor(config: string, folder: string) {
    this.#folder = folder
    // A process group of its own: Ctrl-C in the terminal is for the process that started it, which then stops it.
    this.#process = spawn('prosody', ['-F', '--config', config], {
      cwd: folder,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    this.#process.stdin.on('error', () => {}) // it ended: told by 'close'
    createInterface(this.#process.stdout).on('line', line => this.#read(line))
    createInterface(this.#process.stderr).on('line', line => this.#lines.push(line))
    this.#gone = new Promise(resolve => {
      this.#process.on('error', error => {
        this.failure = `cannot run prosody (${error.message}); the Debian package prosody has to be installed`
        this.#settle(resolve)
      })
      this.#process.on('close', (status, signal) => {
        this.failure = `it ended with ${signal ?? `status ${status}`}`
        this.#settle(resolve)
      })
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
    const limit = setTimeout(() => {
      this.failure = `no sign of it after ${startLimit / 1000} s`
      this.kill()
    }, startLimit)
    const { word } = await this.#answer()
    clearTimeout(limit)
    this.#hasStarted = word === 'started'
    return this.#hasStarted
  }

  /** One at a time: the module reads the next line only after its answer to the last. */
  command(line: string): Promise<void> {
    const done = this.#commands.then(async () => {
      const answered = this.#answer()
      this.#process.stdin.write(`${line}\n`)
      const { word, rest } = await answered
      if (word !== 'ok') throw new Error(`Prosody refused to inject: ${rest}`)
    })
    this.#commands = done.catch(() => {}) // told to whoever gave that command
    return done
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    const limit = setTimeout(() => this.kill(), stopLimit)
    // Prosody 0.12 closes its sessions inside its signal handler. A signal that arrives while it is in the middle of a write makes
    // it forget the stream error of that session. The end of its standard input is read in its main loop.
    if (this.#hasStarted) this.#process.stdin.end()
    else this.#process.kill('SIGTERM')
    await this.#gone
    clearTimeout(limit)
    await rm(this.#folder, { recursive: true, force: true })
    alive.delete(this)
  }

  /** At once and without a word to its clients; for when this process has no time left. */
  kill(): void {
    this.#process.kill('SIGKILL')
  }

  removeFolder(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #read(line: string): void {
    const [, word, rest] = answer.exec(line) ?? []
    if (word === undefined || rest === undefined) this.#lines.push(line)
    else this.#waiting.shift()?.({ word, rest })
  }

  #answer(): Promise<Answer> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) {
      return Promise.resolve({ word: 'error', rest: this.failure })
    }
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  #settle(resolve: () => void): void {
    for (const waiting of this.#waiting.splice(0)) waiting({ word: 'error', rest: this.failure })
    resolve()
  }
}

interface Answer {
  readonly word: string
  readonly rest: string
}

const alive = new Set<Child>()

process.on('exit', () => {
  for (const child of alive) {
    child.kill()
    child.removeFolder()
  }
})
