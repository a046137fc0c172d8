// A throwaway ejabberd: its own configuration, data and ports in a temporary folder, an Erlang VM as a child in the
// foreground, which is no node (no name, no cookie, no epmd). The system's ejabberd service, its configuration and its
// data are never touched. It ends with stop(), with this process's exit, and, by the end of its standard input, also when
// this process is killed (see modules/stanzagate_test.erl). ejabberdctl is not used: it insists on the user ejabberd.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import {
  accountsOf,
  type EjabberdOptions,
  type EjabberdPorts,
  hostsOf,
  portsWanted,
  writeEjabberdFiles,
} from './ejabberd-config.ts'
import { address } from './prosody-config.ts'

export type { EjabberdOptions, EjabberdPorts } from './ejabberd-config.ts'

export interface Ejabberd {
  readonly address: string
  /** The c2s port, `ports.c2s` in short. */
  readonly port: number
  readonly ports: EjabberdPorts
  readonly pid: number
  /** The temporary folder that holds everything of this server. */
  readonly folder: string
  /**
   * Writes an element straight into a session (full JID) or all sessions of an account (bare JID), past everything that
   * ejabberd would check; resolves when ejabberd has written it. Throws if there is no such session or no such XML.
   */
  inject(jid: string, xml: string): Promise<void>
  /** Evaluates Erlang expressions, as an administrator may at ejabberd's shell; throws when the last one's value is not `ok`. */
  run(expressions: string): Promise<void>
  /** What ejabberd has logged, oldest line first. */
  log(): string
  /** Ends it in good order, and removes the folder. */
  stop(): Promise<void>
}

/** Starts an ejabberd; resolves when every port listens. Throws, with ejabberd's log, if it does not come to that. */
export async function startEjabberd(options: EjabberdOptions = {}): Promise<Ejabberd> {
  let reason = ''
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    const outcome = await attemptStart(options)
    if (typeof outcome !== 'string') return outcome
    reason = outcome // somebody took a port between the kernel's naming it and ejabberd's binding it
  }
  throw new Error(reason)
}

async function attemptStart(options: EjabberdOptions): Promise<Ejabberd | string> {
  const folder = await mkdtemp(join(tmpdir(), 'stanzagate-ejabberd-'))
  const ports = await freePorts(options)
  const environment = await writeEjabberdFiles(folder, ports, options).catch(error => {
    rmSync(folder, { recursive: true, force: true })
    throw error
  })
  const child = new Child(folder, environment)
  try {
    await child.started(portsWanted(options).map(name => ports[name] ?? 0))
    const iterations = String(options.iterations ?? 64)
    const commands = accountsOf(options).map(([jid, password]) => child.command('account', jid, password, iterations))
    await Promise.all(commands)
    if (hasErrors(child.log, options)) throw new Error('ejabberd started, but not as it was told to')
  } catch (error) {
    const failure = `${(error as Error).message}\n${child.log}`
    await child.stop()
    if (/Failed to open socket .* in use/.test(child.log)) return failure
    throw new Error(failure)
  }
  return {
    address,
    port: ports.c2s,
    ports,
    folder,
    pid: child.pid,
    inject: (jid, xml) => child.command('inject', jid, xml),
    run: expressions => child.command('run', '-', expressions),
    log: () => child.log,
    stop: () => child.stop(),
  }
}

/** A certificate that it cannot read is no error to ejabberd. */
function hasErrors(log: string, options: EjabberdOptions): boolean {
  const lines = log.split('\n')
  const uncertified = hostsOf(options).map(host => `No certificate found matching ${host}`)
  return lines.some(line => / \[(error|critical)\] /.test(line) || uncertified.some(words => line.endsWith(words)))
}

/** Asks the kernel for as many ports as are needed, all at once so that no two are the same. */
async function freePorts(options: EjabberdOptions): Promise<EjabberdPorts> {
  const names = portsWanted(options)
  const probes = names.map(() => createServer().listen(0, address))
  await Promise.all(probes.map(probe => once(probe, 'listening')))
  const ports = probes.map(probe => (probe.address() as AddressInfo).port)
  await Promise.all(probes.map(probe => once(probe.close(), 'close')))
  const port = (name: keyof EjabberdPorts) => ports[names.indexOf(name)]
  return {
    c2s: port('c2s') ?? 0,
    directTls: port('directTls'),
    http: port('http'),
    component: port('component'),
    proxied: port('proxied'),
  }
}

// The compiled file is in dist/test/servers, but tsc leaves Erlang where it is: in the repository's test/servers.
const repository = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))
const source = join(repository, 'test', 'servers', 'modules', 'stanzagate_test.erl')

const startLimit = 60_000 // milliseconds; a start takes about 1.2 s
const stopLimit = 10_000

class Child {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #folder: string
  readonly #lines: string[] = []
  readonly #gone: Promise<void>
  #stopped: Promise<void> | undefined
  #waiting: ((answer: Answer) => void)[] = []
  #reading: (() => void) | undefined
  #failure: string | undefined

  constructor(folder: string, environment: Record<string, string>) {
    this.#folder = folder
    // A process group of its own: Ctrl-C in the terminal is for the process that started it, which then stops it.
    this.#process = spawn('erl', erlArguments(folder), {
      cwd: folder,
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    this.#process.stdin.on('error', () => {}) // it ended: told by 'close'
    createInterface(this.#process.stdout).on('line', line => this.#read(line))
    createInterface(this.#process.stderr).on('line', line => this.#lines.push(line))
    this.#gone = new Promise(resolve => {
      this.#process.on('error', error => {
        this.#settle(`cannot run erl (${error.message}); the Debian package ejabberd has to be installed`)
        resolve()
      })
      this.#process.on('close', (status, signal) => {
        this.#settle(`ejabberd ended with ${signal ?? `status ${status}`}`)
        resolve()
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

  /** The listeners come, each with its line, after ejabberd has said that it is started. */
  async started(ports: readonly number[]): Promise<void> {
    const limit = setTimeout(() => {
      this.#failure = `no sign of ejabberd after ${startLimit / 1000} s`
      this.kill()
    }, startLimit)
    try {
      await this.#answer()
      for (;;) {
        if (this.#failure !== undefined) throw new Error(this.#failure)
        const lines = this.log
        if (/Failed to open socket/.test(lines)) throw new Error('ejabberd could not open a port')
        if (ports.every(port => lines.includes(`connections at ${address}:${port} for`))) return
        await new Promise<void>(resolve => {
          this.#reading = resolve
        })
      }
    } finally {
      clearTimeout(limit)
    }
  }

  /** Commands may be given at once: they wait in the pipe, and are answered in their order. */
  async command(word: 'account' | 'inject' | 'run', jid: string, text: string, more = ''): Promise<void> {
    if (/\s/.test(jid)) throw new Error(`ejabberd refused to ${word}: no JID: ${jid}`)
    const answered = this.#answer()
    this.#process.stdin.write(`${word} ${jid} ${Buffer.from(text).toString('base64')} ${more}\n`)
    await answered.catch(error => {
      throw new Error(`ejabberd refused to ${word}: ${error.message}`)
    })
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    const limit = setTimeout(() => this.kill(), stopLimit)
    this.#process.stdin.end()
    await this.#gone
    clearTimeout(limit)
    await rm(this.#folder, { recursive: true, force: true })
    alive.delete(this)
  }

  /** At once and without a word to its clients; for when this process has no time left. Its helpers end with its pipes. */
  kill(): void {
    this.#process.kill('SIGKILL')
  }

  removeFolder(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #read(line: string): void {
    const [, word, rest] = answer.exec(line) ?? []
    if (word === undefined || rest === undefined) this.#lines.push(line)
    else this.#waiting.shift()?.(word === 'ok' ? undefined : rest)
    this.#reading?.()
  }

  #answer(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle: (answer: Answer) => void = error => (error === undefined ? resolve() : reject(new Error(error)))
      if (this.#failure === undefined) this.#waiting.push(settle)
      else settle(this.#failure)
    })
  }

  #settle(failure: string): void {
    this.#failure ??= failure
    for (const waiting of this.#waiting.splice(0)) waiting(this.#failure)
    this.#reading?.()
  }
}

/** `undefined`: done; else why not. */
type Answer = string | undefined

const answer = /^stanzagate-test (\w+) ?(.*)$/

function erlArguments(folder: string): string[] {
  const compiled = `compile:file(${erlang(source)}, [binary, report])`
  return [
    '-noshell',
    ...['+sbwt', 'none', '+sbwtdcpu', 'none', '+sbwtdio', 'none'], // no busy waiting: others need the processor
    ...['-mnesia', 'dir', erlang(join(folder, 'mnesia'))],
    ...['-eval', `{ok, M, B} = ${compiled}, {module, M} = code:load_binary(M, "", B), M:start([${erlang(folder)}])`],
  ]
}

/** A string in Erlang's words: its code points, so that no quotation mark can get out. */
function erlang(text: string): string {
  return `[${[...text].map(character => character.codePointAt(0)).join(',')}]`
}

const alive = new Set<Child>()

process.on('exit', () => {
  for (const child of alive) {
    child.kill()
    child.removeFolder()
  }
})
