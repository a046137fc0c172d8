/** The gate as a process of its own, as an operator runs it, so that its memory and descriptors are its own too. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { within } from '../clients/within.ts'
import { Counts } from '../e2e/gate.ts'
import { isListening } from '../servers/listening.ts'

export interface GateProcessOptions {
  readonly upstream: { readonly address: string; readonly port: number }
  /** As under `limits:` in the configuration file. */
  readonly limits?: object
  /** More keys of the configuration file. */
  readonly more?: object
  readonly nodeFlags?: readonly string[]
  /** What stands before `node`, such as `prlimit`. */
  readonly wrapper?: readonly string[]
  /** The port of its listener, where its log is not to be read; it serves once somebody listens there. */
  readonly listensAt?: number
}

const linesAtMost = 100
const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

export class GateProcess {
  /** What it has written to standard error, and its first lines on standard output. */
  readonly lines: string[] = []
  readonly folder: string
  private readonly ports = new Map<string, number>()
  private readonly child: ChildProcessByStdio<null, Readable, Readable>
  private readonly ended: Promise<number | null>

  private constructor(options: GateProcessOptions) {
    this.folder = mkdtempSync(join(tmpdir(), 'stanzagate-load-'))
    const at = { address: '127.0.0.1', port: 0 }
    const file = join(this.folder, 'stanzagate.yaml')
    const config = {
      listeners: [
        { kind: 'tcp', name: 'plain', tls: { mode: 'none' }, ...at },
        { kind: 'websocket', name: 'ws', ...at },
      ],
      admin: at,
      upstreams: { main: { address: options.upstream.address, port: options.upstream.port, tls: { mode: 'none' } } },
      routes: [{ domain: '*', upstream: 'main' }],
      limits: options.limits ?? {},
      ...options.more,
    }
    writeFileSync(file, JSON.stringify(config))
    const command = [...(options.wrapper ?? []), process.execPath, ...(options.nodeFlags ?? []), cli, 'serve']
    const [program = '', ...rest] = [...command, '--config', file]
    this.child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.ended = new Promise(resolve => this.child.on('exit', resolve))
  }

  /** Rejects with what it said when it does not serve. */
  static async start(options: GateProcessOptions): Promise<GateProcess> {
    const gate = new GateProcess(options)
    const { listensAt } = options
    await within('the gate to serve', listensAt === undefined ? gate.serving() : gate.listening(listensAt))
    return gate
  }

  port(listener: 'plain' | 'ws' | 'admin'): number {
    return this.ports.get(listener) ?? 0
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  async metrics(): Promise<Counts> {
    const response = await fetch(`http://127.0.0.1:${this.port('admin')}/metrics`)
    return new Counts(await response.text())
  }

  /** Bytes that are in RAM. */
  get memory(): number {
    const pages = Number(readFileSync(`/proc/${this.pid}/statm`, 'utf8').split(' ')[1])
    return pages * 4_096
  }

  get descriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** Its exit status; `null`: it was killed. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal)
    const status = await this.ended
    rmSync(this.folder, { recursive: true, force: true })
    return status
  }

  private async listening(port: number): Promise<void> {
    while (!(await isListening(port)));
  }

  private serving(): Promise<void> {
    return new Promise((resolve, reject) => {
      createInterface(this.child.stderr).on('line', line => this.lines.push(line))
      createInterface(this.child.stdout).on('line', line => {
        if (this.lines.length < linesAtMost) this.lines.push(line)
        const said = parsed(line)
        if (said?.msg !== 'serving') return
        for (const { name, port } of [...said.listeners, said.admin]) this.ports.set(name, port)
        resolve()
      })
      this.child.on('exit', status => reject(new Error(`the gate ended with ${status}:\n${this.lines.join('\n')}`)))
    })
  }
}

interface Serving {
  readonly msg: string
  readonly listeners: readonly { readonly name: string; readonly port: number }[]
  readonly admin: { readonly name: string; readonly port: number }
}

function parsed(line: string): Serving | undefined {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
