/**
 * What stands between the load and the null upstream: nothing, HAProxy, nginx, a bare pipe in Node, and the gate; each also with TLS to
 * the client. And what stands in the place of both: Prosody alone, with mod_firewall, and behind the gate.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { GateProcess } from '../load/gate-process.ts'
import type { Certificate } from '../servers/certificate.ts'
import { isListening } from '../servers/listening.ts'
import { type ProsodyOptions, startProsody } from '../servers/prosody.ts'

export interface Subject {
  readonly name: string
  readonly port: number
  /** Its port for WebSockets; left out: it has none. */
  readonly websocket?: number
  /** The processes whose trees are measured; none where nothing stands between. */
  readonly pids: readonly number[]
  stop(): Promise<void>
}

/** Gives its name and starts it in front of the upstream's port. `tls`: with TLS to the client. */
export type Start = (upstream: number, tls?: Certificate) => Promise<Subject>

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
    pids: child.pid === undefined ? [] : [child.pid],
    stop: async () => {
      await ended(child)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const haproxyDefaults = `global
  nbthread 1
defaults
  mode tcp
  timeout connect 10s
  timeout client 10m
  timeout server 10m
`

const direct: Start = async upstream => ({ name: 'direct', port: upstream, pids: [], stop: async () => {} })

const haproxy: Start = (upstream, tls) =>
  configured(
    'haproxy',
    file => ['haproxy', '-db', '-f', file],
    (port, folder) => `${haproxyDefaults}listen xmpp
  bind 127.0.0.1:${port}${tls === undefined ? '' : ` ssl crt ${bundle(tls, folder)}`}
  server upstream 127.0.0.1:${upstream}
`,
  )

const nginx: Start = (upstream, tls) =>
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
stream { server { listen 127.0.0.1:${port}${tls === undefined ? '' : ` ssl; ssl_certificate ${tls.cert}; ssl_certificate_key ${tls.key}`}; proxy_pass 127.0.0.1:${upstream}; tcp_nodelay on; proxy_timeout 10m; } }
`,
  )

const pipe: Start = async (upstream, tls) => {
  const script = fileURLToPath(new URL('pipe.js', import.meta.url))
  const child = spawn(process.execPath, [script, String(upstream), ...(tls === undefined ? [] : [tls.cert, tls.key])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return { name: 'pipe', port: await printedPort(child), pids: [child.pid ?? 0], stop: () => ended(child) }
}

/** The gate, with these keys of `limits` besides those without which the load would be slowed down or not be let in. */
export const gateWith =
  (own: object): Start =>
  async (upstream, tls) => {
    const limits = {
      ...own,
      resources: 100_000,
      connections: { total: 100_000, perAddress: 100_000, newPerSecond: 100_000, newBurst: 1_000_000 },
      overload: { admittedPerSecond: 100_000 },
      rate: { stanzas: 1_000_000, stanzaBurst: 10_000_000, bytes: 1_000_000_000, byteBurst: 10_000_000_000 },
    }
    const at = { address: '127.0.0.1', port: 0 }
    const listeners = [{ kind: 'tcp', name: 'plain', tls: { mode: 'direct', ...tls }, ...at }]
    const more = tls === undefined ? {} : { more: { listeners } }
    const gate = await GateProcess.start({ upstream: { address: '127.0.0.1', port: upstream }, limits, ...more })
    return {
      name: 'gate',
      port: gate.port('plain'),
      websocket: gate.port('ws'),
      pids: [gate.pid],
      stop: async () => void (await gate.stop()),
    }
  }

const gate = gateWith({})

/** A certificate and its key in one file, as HAProxy wants them. */
function bundle({ cert, key }: Certificate, folder: string): string {
  const file = join(folder, 'bundle.pem')
  writeFileSync(file, `${readFileSync(cert, 'utf8')}\n${readFileSync(key, 'utf8')}`)
  return file
}

/** A HAProxy that lays TLS on what the load sends, so that the load need not know TLS. It is not measured. */
export const tlsClient: Start = subject =>
  configured(
    'haproxy',
    file => ['haproxy', '-db', '-f', file],
    port => `${haproxyDefaults}listen tls
  bind 127.0.0.1:${port}
  server subject 127.0.0.1:${subject} ssl verify none
`,
  )

const users = Array.from({ length: 100 }, (_, n) => [`u${n}`, 'secret'] as const)

async function prosodyWith(options: ProsodyOptions): Promise<Subject> {
  const server = await startProsody({ plain: true, accounts: Object.fromEntries(users), ...options })
  return { name: 'prosody', port: server.port, pids: [server.pid], stop: () => server.stop() }
}

const prosody: Start = () => prosodyWith({})

/** One rule about subscriptions, one about who sends too much, as operators have them. */
const firewall: Start = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'stanzagate-bench-firewall-'))
  const file = join(folder, 'bench.pfw')
  writeFileSync(
    file,
    `%RATE everything: 100000 (burst 10)
::deliver
KIND: presence
TYPE: subscribed
FROM: spammer@evil.example
DROP.

::preroute
KIND: message|presence
LIMIT: everything
BOUNCE=policy-violation
`,
  )
  const server = await prosodyWith({ modules: ['firewall'], settings: `firewall_scripts = { "${file}" }` })
  const stop = async () => {
    await server.stop()
    rmSync(folder, { recursive: true })
  }
  return { ...server, stop }
}

const gateAndProsody: Start = async () => {
  const server = await prosodyWith({})
  const before = await gate(server.port)
  const stop = async () => {
    await before.stop()
    await server.stop()
  }
  return { ...before, pids: [...before.pids, ...server.pids], stop }
}

const prosodyWebsocket: Start = async () => {
  const options = { plain: true, http: true, accounts: Object.fromEntries(users) }
  const server = await startProsody({ ...options, settings: 'consider_websocket_secure = true' })
  return { name: 'prosody', port: server.ports.http ?? 0, pids: [server.pid], stop: () => server.stop() }
}

const gateWebsocket: Start = async () => {
  const server = await prosodyWith({})
  const before = await gate(server.port)
  const stop = async () => {
    await before.stop()
    await server.stop()
  }
  return { ...before, port: before.websocket ?? 0, pids: [...before.pids, ...server.pids], stop }
}

/** The same over WebSocket. */
export const websocketServers: Readonly<Record<string, Start>> = {
  'prosody, mod_websocket': prosodyWebsocket,
  'gate and prosody': gateWebsocket,
}

/** In the place of subject and upstream. */
export const servers: Readonly<Record<string, Start>> = {
  prosody,
  'prosody, mod_firewall': firewall,
  'gate and prosody': gateAndProsody,
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
