/**
 * `npm run bench`: what a stanza costs in front of a null upstream, side by side: HAProxy, nginx, a bare pipe in Node, the gate. Rounds are
 * interleaved (A B C, then C B A). Processor time is that of the subject's whole process tree for each stanza that was delivered; a
 * delivered stanza crosses the subject twice. Anything lost, repeated or out of order ends the run.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { writeCertificate } from '../servers/certificate.ts'
import { compilePrograms, machine, measureLoad, median, note, startUpstream } from './load-run.ts'
import { type Start, type Subject, servers, subjects, tlsClient, websocketServers } from './subjects.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    json: { type: 'string' },
  },
})

interface Scenario {
  readonly key: string
  readonly name: string
  /** Arguments of load.c behind the port. */
  readonly args: readonly (string | number)[]
  /** What is told: microseconds of processor time, of added latency, or kilobytes. */
  readonly unit: 'cpu' | 'latency' | 'memory'
  /** `tls`: with TLS to the client; `servers`, `websocket`: a server, alone and behind the gate. Left out: plain, in front of the null upstream. */
  readonly against?: 'tls' | 'servers' | 'websocket'
}

compilePrograms()
const part = values.smoke ? 0.01 : values.quick ? 0.25 : 1
const some = (count: number) => Math.max(Math.round(count * part), 200)
const scenarios: readonly Scenario[] = [
  { key: 'chat', name: 'chat, one in flight', args: ['chat', 50, some(60_000), 1], unit: 'cpu' },
  { key: 'chat8', name: 'chat, pipelined by 8', args: ['chat', 50, some(200_000), 8], unit: 'cpu' },
  { key: 'presence', name: 'presence broadcast', args: ['presence', 50, some(60_000), 1], unit: 'cpu' },
  { key: 'subscription', name: 'subscription cycle', args: ['subscription', 50, some(60_000), 1], unit: 'cpu' },
  { key: 'login', name: 'login', args: ['login', 20, some(3_000), 1], unit: 'cpu' },
  { key: 'rate', name: '2,000 stanzas a second: p50', args: ['chat', 50, some(10_000), 1, 2_000], unit: 'latency' },
  // Many, so that what a process keeps for itself does not count: 4,700 pairs are as many as 20,000 descriptors allow.
  {
    key: 'idle',
    name: 'idle session',
    args: ['idle', values.smoke ? 20 : values.quick ? 1_000 : 4_700, 0],
    unit: 'memory',
  },
  {
    key: 'tls-chat',
    name: 'TLS: chat, one in flight',
    args: ['chat', 50, some(40_000), 1],
    unit: 'cpu',
    against: 'tls',
  },
  {
    key: 'tls-chat8',
    name: 'TLS: chat, pipelined by 8',
    args: ['chat', 50, some(120_000), 8],
    unit: 'cpu',
    against: 'tls',
  },
  { key: 'tls-login', name: 'TLS: login', args: ['login', 20, some(1_500), 1], unit: 'cpu', against: 'tls' },
  {
    key: 'tls-idle',
    name: 'TLS: idle session',
    args: ['idle', values.smoke ? 20 : values.quick ? 1_000 : 2_500, 0],
    unit: 'memory',
    against: 'tls',
  },
  {
    key: 'server-chat',
    name: 'chat, one in flight',
    args: ['chat', 50, some(30_000), 1],
    unit: 'cpu',
    against: 'servers',
  },
  {
    key: 'server-login',
    name: 'login',
    args: ['login', 20, some(1_000), 1],
    unit: 'cpu',
    against: 'servers',
  },
  {
    key: 'ws-chat',
    name: 'WebSocket: chat, one in flight',
    args: ['chat', 50, some(30_000), 1],
    unit: 'cpu',
    against: 'websocket',
  },
].filter(({ key }) => values.only === undefined || values.only.includes(key)) as readonly Scenario[]

/**
 * Runs a scenario once without looking, so that what is measured is a process that has served for some seconds: Node compiles what it
 * runs often. Every subject gets the same.
 */
async function warmUp(subject: Subject, scenario: Scenario): Promise<void> {
  if (scenario.unit === 'memory' || values.smoke) return
  const [kind, clients, count, ...rest] = scenario.args
  const args = [kind, clients, Math.ceil(Number(count) / 2), ...(scenario.unit === 'latency' ? rest.slice(0, 1) : rest)]
  await measure(subject, { ...scenario, args: args as Scenario['args'], unit: 'cpu' })
}

async function measure(subject: Subject, { args, unit, against }: Scenario): Promise<number> {
  const environment = against === 'websocket' ? { WEBSOCKET: '/xmpp-websocket' } : {}
  const { cpu, p50, memory } = await measureLoad(subject, { args, environment })
  const figure = { cpu, latency: p50, memory }[unit]
  if (figure === undefined) throw new Error(`${subject.name}: the load did not tell what was to be measured`)
  return figure
}

const isInstalled = hasNginx()
const plain = Object.entries(subjects).filter(([name]) => name !== 'nginx' || isInstalled)
const certificate = await writeCertificate(mkdtempSync(join(tmpdir(), 'stanzagate-bench-')), ['localhost'])

/** The subject with TLS, and in front of it what speaks TLS for the load. */
function withTls(start: Start): Start {
  return async upstream => {
    const subject = await start(upstream, certificate)
    const client = await tlsClient(subject.port)
    const stop = async () => {
      await client.stop()
      await subject.stop()
    }
    return { ...subject, port: client.port, stop }
  }
}

/** Who is compared in a scenario; the first of them that is not `direct` is what the others are divided by. */
function comparedIn({ against }: Scenario): readonly (readonly [string, Start])[] {
  if (against === 'servers') return Object.entries(servers)
  if (against === 'websocket') return Object.entries(websocketServers)
  if (against === 'tls')
    return plain.filter(([name]) => name !== 'direct').map(([name, start]) => [name, withTls(start)])
  return plain
}

const rounds = Number(values.rounds ?? (values.smoke ? 1 : values.quick ? 3 : 5))
/** By scenario and subject: a figure for each round. */
const figures = new Map<string, Map<string, number[]>>(
  scenarios.map(scenario => [scenario.key, new Map(comparedIn(scenario).map(([name]) => [name, []]))]),
)

function hasNginx(): boolean {
  try {
    execFileSync('nginx', ['-v'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const { port, stop } = await startUpstream()
try {
  for (let round = 0; round < rounds; round++) {
    for (const scenario of scenarios) {
      const compared = comparedIn(scenario)
      for (const [name, start] of round % 2 === 0 ? compared : compared.toReversed()) {
        const subject = await start(port)
        try {
          await warmUp(subject, scenario)
          const figure = await measure(subject, scenario)
          figures.get(scenario.key)?.get(name)?.push(figure)
          note(`round ${round + 1}: ${scenario.name}: ${name} ${figure.toFixed(1)}`)
        } finally {
          await subject.stop()
        }
      }
    }
  }
} finally {
  stop()
  rmSync(dirname(certificate.cert), { recursive: true })
}

/** In each round by itself: the subject's figure less the direct one where it is a latency, divided by that of `base`. */
function ratios({ key, unit }: Scenario, name: string, base: string): number[] {
  const of = (subject: string) => figures.get(key)?.get(subject) ?? []
  return of(name).map((figure, round) => {
    const without = unit === 'latency' ? (of('direct')[round] ?? 0) : 0
    return (figure - without) / ((of(base)[round] ?? 0) - without)
  })
}

const units = { cpu: 'µs', latency: 'µs', memory: 'KB' } as const

function table(of: readonly Scenario[]): string[] {
  const [first] = of
  if (first === undefined) return []
  const names = comparedIn(first)
    .map(([name]) => name)
    .filter(name => name !== 'direct')
  const [base = ''] = names
  return [
    `| | ${base} | ${names
      .slice(1)
      .map(name => `${name} | ÷ ${base}`)
      .join(' | ')} |`,
    `|---|--:|${names
      .slice(1)
      .map(() => '--:|--:')
      .join('|')}|`,
    ...of.map(scenario => {
      const figure = (name: string) =>
        `${median(figures.get(scenario.key)?.get(name) ?? []).toFixed(1)} ${units[scenario.unit]}`
      const cells = names.slice(1).map(name => {
        const each = ratios(scenario, name, base)
        const spread = `${Math.min(...each).toFixed(2)}–${Math.max(...each).toFixed(2)}`
        return `${figure(name)} | ${median(each).toFixed(2)} (${spread})`
      })
      return `| ${scenario.name} | ${figure(base)} | ${cells.join(' | ')} |`
    }),
    '',
  ]
}

const tables = [undefined, 'tls', 'servers', 'websocket'].map(kind =>
  scenarios.filter(({ against }) => against === kind),
)
console.log(tables.flatMap(table).join('\n'))
console.log(`${rounds} rounds; ${machine}`)
if (values.json !== undefined) {
  const record = Object.fromEntries([...figures].map(([key, of]) => [key, Object.fromEntries(of)]))
  writeFileSync(
    values.json,
    `${JSON.stringify({ machine, rounds, date: new Date().toISOString(), figures: record })}\n`,
  )
}
