/** What stands between the load and the null upstream: nothing, HAProxy, nginx, a bare pipe in Node, and the gate. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { GateProcess } from '../load/gate-process.ts'
import { isListening } from '../servers/listening.ts'

export interface Subject {
  readonly name: string
  readonly port: number
  /** The process whose tree is measured; `undefined`: there is none. */
  readonly pid: number | undefined
  stop(): Promise<void>
}

/** Gives its name and starts it in front of the upstream's port. */
export type Start = (upstream: number) => Promise<Subject>

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  return port
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

async function listening(port: number): Promise<void> {
  while (!(await isListening(port)));
}

/** The port that a program prints first. */
export async function printedPort(child: ChildProcess): Promise<number> {
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) return Number(line)
  throw new Error(`${child.spawnfile} ended without naming its port`)
}

/** A program that is told its port in a file of a folder of its own. */
async function configured(
  name: string,
  command: (file: string, folder: string) => readonly string[],
  configuration: (port: number, folder: string) => string,
): Promise<Subject> {
  const folder = mkdtempSync(join(tmpdir(), `stanzagate-bench-${name}-`))
  mkdirSync(join(folder, 'temporary'))
  const port = await freePort()
  const file = join(folder, `${name}.conf`)
  writeFileSync(file, configuration(port, folder))
  const [program = '', ...args] = command(file, folder)
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr?.on('data', text => {
    said += text
  })
  const failed = once(child, 'exit').then(() => {
    throw new Error(`${name} ended: ${said}`)
  })
  failed.catch(() => {})
  await Promise.race([listening(port), failed])
  return {
    name,
    port,
    pid: child.pid,
    stop: async () => {
      await ended(child)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const direct: Start = async upstream => ({ name: 'direct', port: upstream, pid: undefined, stop: async () => {} })

const haproxy: Start = upstream =>
  configured(
    'haproxy',
    file => ['haproxy', '-db', '-f', file],
    port => `global
  nbthread 1
defaults
  mode tcp
  timeout connect 10s
  timeout client 10m
  timeout server 10m
listen xmpp
  bind 127.0.0.1:${port}
  server upstream 127.0.0.1:${upstream}
`,
  )

const nginx: Start = upstream =>
  configured(
    'nginx',
    (file, folder) => ['nginx', '-c', file, '-p', folder, '-e', 'stderr'],
    (port, folder) => `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
master_process off;
worker_processes 1;
error_log stderr error;
pid ${folder}/nginx.pid;
events { worker_connections 40000; }
stream { server { listen 127.0.0.1:${port}; proxy_pass 127.0.0.1:${upstream}; tcp_nodelay on; proxy_timeout 10m; } }
`,
  )

const pipe: Start = async upstream => {
  const script = fileURLToPath(new URL('pipe.js', import.meta.url))
  const child = spawn(process.execPath, [script, String(upstream)], { stdio: ['ignore', 'pipe', 'inherit'] })
  return { name: 'pipe', port: await printedPort(child), pid: child.pid, stop: () => ended(child) }
}

const gate: Start = async upstream => {
  const limits = {
    resources: 100_000,
    connections: { total: 100_000, perAddress: 100_000, newPerSecond: 100_000, newBurst: 1_000_000 },
    overload: { admittedPerSecond: 100_000 },
    rate: { stanzas: 1_000_000, stanzaBurst: 10_000_000, bytes: 1_000_000_000, byteBurst: 10_000_000_000 },
  }
  const gate = await GateProcess.start({ upstream: { address: '127.0.0.1', port: upstream }, limits })
  return { name: 'gate', port: gate.port('plain'), pid: gate.pid, stop: async () => void (await gate.stop()) }
}

export const subjects: Readonly<Record<string, Start>> = { direct, haproxy, nginx, pipe, gate }

/** Seconds of processor time that a process and its children have used so far, user and system. */
export function processorTime(pid: number): number {
  const ticks = treeOf(pid).map(each => {
    // The name in parentheses may hold spaces.
    const fields = readFileSync(`/proc/${each}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return Number(fields[11]) + Number(fields[12])
  })
  return ticks.reduce((sum, each) => sum + each, 0) / 100
}

/** Kilobytes of memory that a process and its children hold. */
export function memoryOf(pid: number): number {
  return treeOf(pid)
    .map(each => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${each}/status`, 'utf8'))?.[1] ?? 0))
    .reduce((sum, each) => sum + each, 0)
}

function treeOf(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap(task =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number),
  )
  return [pid, ...children.flatMap(treeOf)]
}
