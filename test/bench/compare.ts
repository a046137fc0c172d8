/**
 * `npm run bench`: what a stanza costs in front of a null upstream, side by side: HAProxy, nginx, a bare pipe in Node, the gate. Rounds are
 * interleaved (A B C, then C B A). Processor time is that of the subject's whole process tree for each stanza that was delivered; a
 * delivered stanza crosses the subject twice. Anything lost, repeated or out of order ends the run.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { memoryOf, printedPort, processorTime, type Subject, subjects } from './subjects.ts'

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
}

const part = values.smoke ? 0.01 : values.quick ? 0.25 : 1
const some = (count: number) => Math.max(Math.round(count * part), 200)
const scenarios: readonly Scenario[] = [
  { key: 'chat', name: 'chat, one in flight', args: ['chat', 50, some(60_000), 1], unit: 'cpu' },
  { key: 'chat8', name: 'chat, pipelined by 8', args: ['chat', 50, some(200_000), 8], unit: 'cpu' },
  { key: 'presence', name: 'presence broadcast', args: ['presence', 50, some(60_000), 1], unit: 'cpu' },
  { key: 'subscription', name: 'subscription cycle', args: ['subscription', 50, some(24_000), 1], unit: 'cpu' },
  { key: 'login', name: 'login', args: ['login', 20, some(3_000), 1], unit: 'cpu' },
  { key: 'rate', name: '2,000 stanzas a second: p50', args: ['chat', 50, some(10_000), 1, 2_000], unit: 'latency' },
  { key: 'idle', name: 'idle session', args: ['idle', values.smoke ? 20 : 1_000, 0], unit: 'memory' },
].filter(({ key }) => values.only === undefined || values.only.includes(key)) as readonly Scenario[]

const note = (text: string) => process.stderr.write(`${text}\n`)
const folder = join(dirname(fileURLToPath(import.meta.url)), 'c')
const sources = join(dirname(fileURLToPath(import.meta.url)), '../../../test/bench/c')
mkdirSync(folder, { recursive: true })
for (const program of ['load', 'null-upstream'])
  execFileSync('gcc', ['-O2', '-o', join(folder, program), join(sources, `${program}.c`)], { stdio: 'inherit' })

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

/** One measurement: the figure, and the stanzas that were delivered. */
async function measure(subject: Subject, { args, unit }: Scenario): Promise<number> {
  const child = spawn(join(folder, 'load'), [String(subject.port), ...args.map(String)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = new Promise<number | null>(resolve => child.on('exit', resolve))
  const { pid } = subject
  const idleBefore = pid === undefined ? 0 : memoryOf(pid)
  let before = 0
  let figure: number | undefined
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'ready') {
      before = pid === undefined ? 0 : processorTime(pid)
      if (unit === 'memory') {
        figure = pid === undefined ? 0 : (memoryOf(pid) - idleBefore) / (Number(args[1]) * 2)
        child.stdin.end('end\n')
        break
      }
    } else {
      const used = pid === undefined ? 0 : processorTime(pid) - before
      const { delivered, p50 } = JSON.parse(line) as { delivered: number; p50: number }
      figure = unit === 'latency' ? p50 : (used * 1e6) / delivered
    }
    child.stdin.write('go\n')
  }
  const status = await ended
  if (status !== 0 || figure === undefined) throw new Error(`${subject.name}: the load ended with status ${status}`)
  return figure
}

const wanted = Object.entries(subjects).filter(([name]) => name !== 'nginx' || hasNginx())
const rounds = Number(values.rounds ?? (values.smoke ? 1 : values.quick ? 3 : 5))
/** By scenario and subject: a figure for each round. */
const figures = new Map<string, Map<string, number[]>>(
  scenarios.map(({ key }) => [key, new Map(wanted.map(([name]) => [name, []]))]),
)

function hasNginx(): boolean {
  try {
    execFileSync('nginx', ['-v'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const upstream = spawn(join(folder, 'null-upstream'), { stdio: ['ignore', 'pipe', 'inherit'] })
try {
  const port = await printedPort(upstream)
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? wanted : wanted.toReversed()
    for (const scenario of scenarios)
      for (const [name, start] of order) {
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
} finally {
  upstream.kill()
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, two) => one - two)[Math.floor(numbers.length / 2)] ?? 0
}

/** In each round by itself: the subject's figure less the direct one where it is a latency, divided by HAProxy's. */
function ratios({ key, unit }: Scenario, name: string): number[] {
  const of = (subject: string) => figures.get(key)?.get(subject) ?? []
  return of(name).map((figure, round) => {
    const base = unit === 'latency' ? (of('direct')[round] ?? 0) : 0
    return (figure - base) / ((of('haproxy')[round] ?? 0) - base)
  })
}

const units = { cpu: 'µs', latency: 'µs', memory: 'KB' } as const
const names = wanted.map(([name]) => name).filter(name => name !== 'direct')
const lines = [
  `| | ${names.map(name => `${name} | ÷ haproxy`).join(' | ')} |`,
  `|---|${names.map(() => '--:|--:').join('|')}|`,
  ...scenarios.map(scenario => {
    const cells = names.map(name => {
      const own = figures.get(scenario.key)?.get(name) ?? []
      const each = ratios(scenario, name)
      const spread = `${Math.min(...each).toFixed(2)}–${Math.max(...each).toFixed(2)}`
      return `${median(own).toFixed(1)} ${units[scenario.unit]} | ${median(each).toFixed(2)} (${spread})`
    })
    return `| ${scenario.name} | ${cells.join(' | ')} |`
  }),
]
console.log(lines.join('\n'))
const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} processors, Linux ${release()}, Node ${process.version}`
console.log(`\n${rounds} rounds; ${machine}`)
if (values.json !== undefined) {
  const record = Object.fromEntries([...figures].map(([key, of]) => [key, Object.fromEntries(of)]))
  writeFileSync(
    values.json,
    `${JSON.stringify({ machine, rounds, date: new Date().toISOString(), figures: record })}\n`,
  )
}
