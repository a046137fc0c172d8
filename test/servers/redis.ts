// A throwaway Redis that keeps what it is told on disk, so that it can be ended and started again. It ends with stop(), and when the process
// that started it ends: it then reads the end of its standard input.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isListening } from './listening.ts'
import { address } from './prosody-config.ts'

export class RedisServer {
  readonly port: number
  private readonly folder: string
  private child: ChildProcess | undefined

  private constructor(port: number, folder: string) {
    this.port = port
    this.folder = folder
  }

  static async start(): Promise<RedisServer> {
    const probe = createServer().listen(0, address)
    await once(probe, 'listening')
    const { port } = probe.address() as AddressInfo
    await once(probe.close(), 'close')
    const server = new RedisServer(port, await mkdtemp(join(tmpdir(), 'stanzagate-redis-')))
    await server.begin()
    return server
  }

  get url(): string {
    return `redis://${address}:${this.port}/0`
  }

  /** Starts it, again after `end`. */
  async begin(): Promise<void> {
    const settings = ['--port', String(this.port), '--bind', address, '--dir', this.folder]
    const kept = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', '']
    // The shell ends Redis when its own standard input ends, however this process ends.
    const script = 'redis-server "$@" </dev/null >/dev/null 2>&1 & read line; kill $!; wait $!'
    this.child = spawn('sh', ['-c', script, 'sh', ...settings, ...kept], { stdio: ['pipe', 'ignore', 'inherit'] })
    while (!(await isListening(this.port)))
      if (this.child.exitCode !== null) throw new Error('redis-server does not start')
  }

  async end(): Promise<void> {
    const { child } = this
    if (child === undefined) return
    this.child = undefined
    child.stdin?.end()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }

  async stop(): Promise<void> {
    await this.end()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
