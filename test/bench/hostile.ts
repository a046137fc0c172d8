/**
 * `npm run bench:hostile`: what one who does not read, and those who do not finish, cost the others.
 * - A reader that stalls: 100 MB of chat messages go to a client that logs in and reads nothing. Measured is by how much the subject's
 *   resident memory grows at most; beside it the same 100 MB to a client that reads them.
 * - Slow connections: 5,000 that say a stream header byte by byte and never finish it. Measured is the p99 of honest pairs beside them,
 *   divided by their p99 without them, by the same subject.
 * All limits of the gate have their defaults but those of subjects.ts: rates and admission, without which the load would be slowed down or
 * not be let in. Whatever is lost, repeated or out of order ends the run.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import {
  compilePrograms,
  LoadProcess,
  machine,
  measureLoad,
  median,
  note,
  program,
  startUpstream,
  sumOf,
} from './load-run.ts'
import { gateWith, memoryOf, type Start, type Subject, subjects } from './subjects.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    json: { type: 'string' },
  },
})
const rounds = Number(values.rounds ?? (values.smoke ? 1 : values.quick ? 3 : 5))

/** Bytes of the body of each message to the reader, and how many there are: 100 MB. */
const body = 1_000
const messages = values.smoke ? 2_000 : 100_000
/**
 * Seconds for which a subject is watched once everything is sent, unless it cuts the reader off before. The gate does so after
 * `limits.seconds.slow`, 60, or twice that time: Node takes the part of a write that the kernel has taken at once for progress. The others do not.
 */
const watchedFor = (name: string) => (values.smoke ? 0 : values.quick || name !== 'gate' ? 3 : 150)
/** Milliseconds between two looks at the memory. */
const lookEvery = 20

const slowConnections = values.smoke ? 50 : 5_000
/**
 * Milliseconds within which they are opened. The gate closes each after five seconds (`limits.seconds.header`), and it is opened again: they come
 * and go one by one.
 */
const opening = values.smoke ? 50 : 4_500
const perSecond = 2_000
const seconds = values.smoke ? 0.1 : values.quick ? 5 : 10

const wait = (milliseconds: number) => new Promise<void>(resolve => setTimeout(resolve, milliseconds))

interface Stall {
  /** Megabytes by which resident memory has grown at most. */
  readonly grown: number
  /** Seconds after which the subject has cut the reader off; `undefined`: it has not. */
  readonly cutAfter: number | undefined
  /** Messages that the reader found when it read at last. */
  readonly delivered: number
}

/** Descriptors of the subject: it has cut the reader off when it has two less. */
function descriptorsOf({ pids }: Subject): number {
  return sumOf(pids, pid => readdirSync(`/proc/${pid}/fd`).length)
}

async function stall(subject: Subject, scenario: 'flood' | 'stall'): Promise<Stall> {
  const load = new LoadProcess(subject.port, {
    args: [scenario, 1, messages],
    environment: { BODY: String(body) },
  })
  try {
    await load.line()
    const before = sumOf(subject.pids, memoryOf)
    const opened = descriptorsOf(subject)
    const began = performance.now()
    let most = before
    const look = () => {
      most = Math.max(most, sumOf(subject.pids, memoryOf))
    }
    const looking = setInterval(look, lookEvery)
    try {
      load.goOn()
      const said = await load.line()
      if (scenario === 'flood') {
        look()
        await load.end()
        return { grown: (most - before) / 1_024, cutAfter: undefined, delivered: JSON.parse(said).delivered }
      }
      let cutAfter: number | undefined
      const sent = performance.now()
      while (cutAfter === undefined && performance.now() - sent < watchedFor(subject.name) * 1_000) {
        await wait(100)
        if (descriptorsOf(subject) <= opened - 2) cutAfter = (performance.now() - began) / 1_000
      }
      look()
      clearInterval(looking)
      // It reads at last; the load checks what comes.
      load.goOn()
      const { delivered } = JSON.parse(await load.line())
      await load.end()
      if (cutAfter === undefined && delivered !== messages)
        throw new Error(
          `${subject.name} delivered ${delivered} of ${messages} messages to a reader that it had not cut off`,
        )
      return { grown: (most - before) / 1_024, cutAfter, delivered }
    } finally {
      clearInterval(looking)
    }
  } catch (error) {
    load.kill()
    throw error
  }
}

interface Slow {
  /** Microseconds of the honest pairs. */
  readonly undisturbed: number
  readonly disturbed: number
  /** Slow connections that were open before and after, the fewer of both; those that were opened altogether, since they are closed. */
  readonly open: number
  readonly opened: number
}

const honest = { args: ['chat', 50, Math.round(perSecond * seconds), 1, perSecond] }

async function beside(subject: Subject): Promise<Slow> {
  if (!values.smoke) await measureLoad(subject, { args: ['chat', 50, values.quick ? 15_000 : 30_000, 1] })
  const undisturbed = await measureLoad(subject, honest)
  const slow = spawn(program('slow-connections'), [subject.port, slowConnections, opening].map(String), {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(slow, 'exit')
  // In the field they have machines of their own; here they are not to take the time of those that are measured.
  if (slow.pid !== undefined) setPriority(slow.pid, 15)
  const lines = createInterface({ input: slow.stdout })[Symbol.asyncIterator]()
  try {
    const report = async () => {
      slow.stdin.write('\n')
      return JSON.parse((await lines.next()).value) as { open: number; opened: number; closed: number }
    }
    await lines.next()
    const first = await report()
    const disturbed = await measureLoad(subject, honest)
    const last = await report()
    const open = Math.min(first.open, last.open)
    if (open < slowConnections * 0.9) throw new Error(`${subject.name}: only ${open} slow connections were open`)
    return { undisturbed: undisturbed.p99, disturbed: disturbed.p99, open, opened: last.opened }
  } finally {
    slow.stdin.end()
    await ended
  }
}

/** HAProxy closes none of the slow connections within the run. The gate does, and the second row shows what it costs to keep them. */
const kept = 'gate, none closed'
const starts: Readonly<Record<string, Start>> = {
  ...subjects,
  [kept]: gateWith({ seconds: { header: 3_600, bound: 3_600 } }),
}

async function fresh<T>(upstream: number, name: string, use: (subject: Subject) => Promise<T>): Promise<T> {
  const subject = await (starts[name] as Start)(upstream)
  try {
    return await use(subject)
  } finally {
    await subject.stop()
  }
}

const names = { stall: ['haproxy', 'pipe', 'gate'], slow: ['haproxy', 'gate', kept] } as const
const isWanted = (key: keyof typeof names) => values.only === undefined || values.only.includes(key)
/** By subject: the figures of each round. */
const reading = new Map<string, Stall[]>()
const stalled = new Map<string, Stall[]>()
const slow = new Map<string, Slow[]>()

function add<T>(to: Map<string, T[]>, name: string, figure: T): void {
  to.set(name, [...(to.get(name) ?? []), figure])
  note(`${name}: ${JSON.stringify(figure)}`)
}

compilePrograms()
const inTurn = (all: readonly string[], round: number) => (round % 2 === 0 ? all : all.toReversed())
const upstream = await startUpstream()
try {
  for (let round = 0; round < rounds; round++) {
    if (isWanted('stall'))
      for (const name of inTurn(names.stall, round)) {
        add(reading, name, await fresh(upstream.port, name, subject => stall(subject, 'flood')))
        add(stalled, name, await fresh(upstream.port, name, subject => stall(subject, 'stall')))
      }
    if (isWanted('slow'))
      for (const name of inTurn(names.slow, round))
        add(slow, name, await fresh(upstream.port, name, subject => beside(subject)))
  }
} finally {
  upstream.stop()
}

function spread(figures: readonly number[], digits: number): string {
  const [middle, least, most] = [median(figures), Math.min(...figures), Math.max(...figures)]
  return `${middle.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`
}

function outcome(all: readonly Stall[]): string {
  const cuts = all.flatMap(({ cutAfter }) => cutAfter ?? [])
  const found = median(all.map(({ delivered }) => delivered)).toLocaleString('en')
  if (cuts.length === 0) return `kept; all ${found} arrive when it reads again`
  return `cut off after ${median(cuts).toFixed(0)} s; ${found} of ${messages.toLocaleString('en')} had left the subject`
}

if (isWanted('stall')) {
  const title = `${((messages * body) / 1e6).toFixed(0)} MB to a reader`
  console.log(`| ${title} | that reads: memory grows by | that stalls: memory grows by | the reader that stalls |`)
  console.log('|---|--:|--:|---|')
  for (const name of names.stall) {
    const grown = (of: Map<string, Stall[]>) =>
      `${spread(
        (of.get(name) ?? []).map(each => each.grown),
        1,
      )} MB`
    console.log(`| ${name} | ${grown(reading)} | ${grown(stalled)} | ${outcome(stalled.get(name) ?? [])} |`)
  }
  console.log('')
}
if (isWanted('slow')) {
  const title = `${perSecond.toLocaleString('en')} stanzas a second of 50 pairs`
  const many = slowConnections.toLocaleString('en')
  console.log(`| ${title} | p99 undisturbed | p99 beside ${many} slow connections | ÷ undisturbed | opened |`)
  console.log('|---|--:|--:|--:|--:|')
  for (const name of names.slow) {
    const all = slow.get(name) ?? []
    const cells = [
      `${spread(
        all.map(each => each.undisturbed),
        0,
      )} µs`,
      `${spread(
        all.map(each => each.disturbed),
        0,
      )} µs`,
      spread(
        all.map(each => each.disturbed / each.undisturbed),
        2,
      ),
      median(all.map(each => each.opened)).toLocaleString('en'),
    ]
    console.log(`| ${name} | ${cells.join(' | ')} |`)
  }
  console.log('')
}
console.log(`${rounds} rounds${values.quick ? ' of --quick' : ''}; ${machine}`)
if (values.json !== undefined) {
  const all = { reading, stalled, slow }
  const figures = Object.fromEntries(Object.entries(all).map(([key, of]) => [key, Object.fromEntries(of)]))
  writeFileSync(values.json, `${JSON.stringify({ machine, rounds, date: new Date().toISOString(), figures })}\n`)
}
