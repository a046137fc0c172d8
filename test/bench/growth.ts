/**
 * `npm run bench:growth`: what a stanza, a login and a session cost as there are more sessions, longer rosters, larger stanzas and more
 * sessions of one account; the gate beside HAProxy, both in front of the null upstream. Rounds are interleaved, and each figure is the median
 * of its rounds. Anything lost, repeated or out of order ends the run.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import {
  compilePrograms,
  descriptorsAtMost,
  type Environment,
  machine,
  measureLoad,
  median,
  note,
  startUpstream,
} from './load-run.ts'
import { type Subject, subjects } from './subjects.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    json: { type: 'string' },
  },
})

/** What load.c and null-upstream.c are told for one point. */
interface Point {
  readonly args: readonly (string | number)[]
  readonly environment?: Environment
}

/** A column of a table and a curve of a plot. */
interface Series {
  readonly key: string
  readonly name: string
  /** Microseconds of processor time of the subject for each stanza or login, or kilobytes of its memory for each session or contact. */
  readonly unit: 'cpu' | 'memory'
  readonly at: (point: number) => Point
  /** What runs first without being looked at, so that Node has compiled what it runs often; left out: the same, half as long. */
  readonly warm?: (point: number) => Point
  /** Memory for each contact: what one more than this many costs; left out: memory for each session. */
  readonly beyond?: number
}

interface Growth {
  readonly key: string
  readonly name: string
  readonly points: readonly number[]
  readonly series: readonly Series[]
}

const part = values.smoke ? 0.004 : values.quick ? 0.25 : 1
const some = (count: number, least = 200) => Math.max(Math.round(count * part), values.smoke ? 1 : least)
/** A session has a descriptor in the load, and two in the gate. */
const sessionsAtMost = Math.floor((descriptorsAtMost() - 200) / 2)
const of = (points: readonly number[]) => (values.smoke ? points.slice(1, 2) : points)

/** Clients that have a stanza in flight, however many are logged in. */
const talking = '100'
const sessions: Growth = {
  key: 'sessions',
  name: 'sessions',
  points: of([100, 300, 1_000, 3_000, 9_400].filter(count => count <= sessionsAtMost)),
  series: [
    {
      key: 'few',
      name: 'chat message, 50 pairs talk',
      unit: 'cpu',
      at: count => ({ args: ['chat', count / 2, some(60_000), 1], environment: { TALKING: talking } }),
      warm: () => ({ args: ['chat', 50, some(30_000), 1] }),
    },
    {
      key: 'all',
      name: 'chat message, all talk in turn',
      unit: 'cpu',
      at: count => ({ args: ['chat', count / 2, some(60_000), 1], environment: { TALKING: talking, IN_TURN: '1' } }),
      warm: () => ({ args: ['chat', 50, some(30_000), 1] }),
    },
    { key: 'memory', name: 'session', unit: 'memory', at: count => ({ args: ['idle', count / 2, 0] }) },
  ],
}

const withRoster = (contacts: number): Environment => ({ ROSTER: String(contacts) })
/** So many that they have 200,000 contacts together, or as many as a short run allows: the few KB of a session's own move from run to run. */
const pairsWith = (contacts: number) =>
  values.smoke ? 5 : Math.min(Math.max(100_000 / contacts, 10), values.quick ? 2_000 : 4_000, sessionsAtMost / 2)
const roster: Growth = {
  key: 'roster',
  name: 'contacts in the roster',
  points: of([10, 100, 1_000, 10_000]),
  series: [
    {
      key: 'login',
      name: 'login with the roster',
      unit: 'cpu',
      // Two pairs: a roster of 10,000 takes the gate a tenth of a second, and while it is late by more than `limits.overload.lag` it lets nobody in.
      at: contacts => ({
        args: ['login', 2, some(Math.min(2_000, 1_500_000 / contacts), 40), 1],
        environment: withRoster(contacts),
      }),
    },
    {
      key: 'subscription',
      name: 'step of a subscription',
      unit: 'cpu',
      at: contacts => ({ args: ['subscription', 10, some(12_000), 1], environment: withRoster(contacts) }),
    },
    {
      key: 'presence',
      name: 'presence',
      unit: 'cpu',
      at: contacts => ({ args: ['presence', 10, some(40_000), 1], environment: withRoster(contacts) }),
    },
    {
      key: 'memory',
      name: 'contact',
      unit: 'memory',
      at: contacts => ({ args: ['idle', pairsWith(contacts), 0], environment: withRoster(contacts) }),
      beyond: 1,
    },
  ],
}

const size: Growth = {
  key: 'size',
  name: 'bytes of the body',
  points: of([60, 256, 1_024, 4_096, 16_384, 65_536, 131_072, 250_000]),
  series: [
    {
      key: 'chat',
      name: 'chat message',
      unit: 'cpu',
      at: bytes => ({
        args: ['chat', 10, some(Math.min(40_000, 400_000_000 / bytes)), 1],
        environment: { BODY: String(bytes) },
      }),
    },
  ],
}

const resources: Growth = {
  key: 'resources',
  name: 'sessions of an account',
  points: of([1, 2, 5, 10, 20]),
  series: [
    {
      key: 'subscription',
      name: 'step of a subscription',
      unit: 'cpu',
      at: count => ({
        args: ['subscription', 20, some(Math.min(18_000, 36_000 / count)), 1],
        environment: { RESOURCES: String(count) },
      }),
    },
  ],
}

const growths = [sessions, roster, size, resources].filter(
  ({ key }) => values.only === undefined || values.only.includes(key),
)
const compared = Object.entries(subjects).filter(([name]) => name === 'haproxy' || name === 'gate')
const rounds = Number(values.rounds ?? (values.smoke ? 1 : 3))

/** Runs on a subject of its own, since what it has kept of one run is there in the next. */
async function fresh<T>(upstream: number, name: string, use: (subject: Subject) => Promise<T>): Promise<T> {
  const subject = await (subjects[name] as (typeof subjects)[string])(upstream)
  try {
    return await use(subject)
  } finally {
    await subject.stop()
  }
}

function halfOf({ args: [scenario = '', pairs = 1, count, ...rest], environment }: Point): Point {
  return { args: [scenario, pairs, Math.ceil(Number(count) / 2), ...rest], ...(environment && { environment }) }
}

async function withUpstream<T>(environment: Environment | undefined, use: (port: number) => Promise<T>): Promise<T> {
  const { port, stop } = await startUpstream(environment)
  try {
    return await use(port)
  } finally {
    stop()
  }
}

async function figureOf(name: string, series: Series, point: number): Promise<number> {
  const { at, warm, unit, beyond } = series
  const { args, environment } = at(point)
  const measured = await withUpstream(environment, port =>
    fresh(port, name, async subject => {
      if (unit === 'cpu' && !values.smoke) await measureLoad(subject, warm?.(point) ?? halfOf(at(point)))
      return await measureLoad(subject, { args, ...(environment && { environment }) })
    }),
  )
  if (unit === 'cpu') return measured.cpu ?? 0
  if (beyond === undefined) return measured.memory
  const less = withRoster(beyond)
  const without = await withUpstream(less, port =>
    fresh(port, name, subject => measureLoad(subject, { args, environment: less })),
  )
  return (measured.memory - without.memory) / (point - beyond)
}

/** By growth, series, subject and point: a figure for each round. */
const figures: Record<string, Record<string, Record<string, Record<string, number[]>>>> = {}

function put(keys: readonly [string, string, string, string], figure: number): void {
  const [growth, series, name, point] = keys
  figures[growth] ??= {}
  const ofGrowth = figures[growth] as Record<string, Record<string, Record<string, number[]>>>
  ofGrowth[series] ??= {}
  const ofSeries = ofGrowth[series] as Record<string, Record<string, number[]>>
  ofSeries[name] ??= {}
  const ofSubject = ofSeries[name] as Record<string, number[]>
  ofSubject[point] = [...(ofSubject[point] ?? []), figure]
}

compilePrograms()
for (let round = 0; round < rounds; round++)
  for (const growth of growths)
    for (const series of growth.series)
      for (const point of growth.points)
        for (const [name] of round % 2 === 0 ? compared : compared.toReversed()) {
          const figure = await figureOf(name, series, point)
          put([growth.key, series.key, name, String(point)], figure)
          note(`round ${round + 1}: ${point} ${growth.name}: ${series.name}: ${name} ${figure.toFixed(2)}`)
        }

const units = { cpu: 'µs', memory: 'KB' } as const

function shown(figure: number, unit: Series['unit']): string {
  const digits = Math.abs(figure) < 10 ? 2 : Math.abs(figure) < 1_000 ? 1 : 0
  // A difference of nothing is not to be told as less than nothing.
  const rounded = Math.abs(figure) < 0.005 ? 0 : figure
  return `${rounded.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${units[unit]}`
}

function table({ key, name, points, series }: Growth): string[] {
  const names = compared.map(([each]) => each)
  const columns = series.flatMap(each => names.map(subject => ({ each, subject })))
  const figure = (each: Series, subject: string, point: number) =>
    median(figures[key]?.[each.key]?.[subject]?.[String(point)] ?? [])
  return [
    `| ${name} | ${columns.map(({ each, subject }) => `${each.name}: ${subject}`).join(' | ')} |`,
    `|--:|${columns.map(() => '--:').join('|')}|`,
    ...points.map(
      point =>
        `| ${point.toLocaleString('en')} | ${columns.map(({ each, subject }) => shown(figure(each, subject, point), each.unit)).join(' | ')} |`,
    ),
    '',
  ]
}

console.log(growths.flatMap(table).join('\n'))
console.log(`${rounds} rounds${values.quick ? ' of --quick' : ''}; ${machine}`)
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ machine, rounds, date: new Date().toISOString(), figures })}\n`)
