/**
 * `npm run bench:scrape`: what a scrape costs a gate that carries many sessions, before a real Prosody: how long it takes, how large it is, and
 * whether those who talk meanwhile feel it. Ratios side by side; nothing passes or fails.
 */
import { parseArgs } from 'node:util'
import { connectTcp, type RawClient } from '../clients/raw.ts'
import { GateProcess } from '../load/gate-process.ts'
import { Pairs, quantile } from '../load/pairs.ts'
import { startProsody } from '../servers/prosody.ts'
import { descriptorsAtMost } from './load-run.ts'

const { values } = parseArgs({
  options: {
    sessions: { type: 'string', default: '10000' },
    scrapes: { type: 'string', default: '50' },
    json: { type: 'boolean', default: false },
  },
})
/** A session has two descriptors in the gate. */
const room = Math.floor((descriptorsAtMost() - 200) / 2)
const wanted = Math.min(Number(values.sessions), room)
const scrapes = Number(values.scrapes)
/** Logins that are under way at a time. */
const atOnce = 50
const names = Array.from({ length: 100 }, (_, i) => `user${i}`)
const note = (text: string) => process.stderr.write(`${text}\n`)
const wait = (milliseconds: number) => new Promise<void>(resolve => setTimeout(resolve, milliseconds))

const accounts = Object.fromEntries(names.map(name => [name, 'secret']))
const prosody = await startProsody({ plain: true, accounts })
if (wanted < Number(values.sessions)) note(`this machine's limit of descriptors has room for ${wanted} sessions`)
const limits = {
  resources: 100_000,
  connections: { total: 100_000 },
  seconds: { bound: 300, answer: 300, header: 300 },
}
const wrapper = ['sh', '-c', 'ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"']
const gate = await GateProcess.start({ upstream: prosody, limits, wrapper })

interface Cost {
  readonly sessions: number
  readonly bytes: number
  readonly milliseconds: readonly number[]
  /** Messages of the pairs, sorted: without scrapes, and with one after the other. */
  readonly quiet: readonly number[]
  readonly scraped: readonly number[]
  readonly memory: number
}

const pairs = await Pairs.login(gate.port('plain'), names, 10)
pairs.begin(200)

async function scrape(): Promise<{ bytes: number; took: number }> {
  const began = performance.now()
  const text = await (await fetch(`http://127.0.0.1:${gate.port('admin')}/metrics`)).text()
  return { bytes: text.length, took: performance.now() - began }
}

async function costAt(sessions: number): Promise<Cost> {
  for (let i = 0; i < 5; i++) await scrape() // warms the engine
  await wait(1_000)
  pairs.take()
  await wait(8_000)
  const quiet = pairs.take()
  const milliseconds: number[] = []
  let bytes = 0
  const began = performance.now()
  for (let i = 0; i < scrapes || performance.now() - began < 8_000; i++) {
    const one = await scrape()
    bytes = one.bytes
    milliseconds.push(one.took)
    await wait(50)
  }
  return {
    sessions,
    bytes,
    milliseconds: milliseconds.sort((a, b) => a - b),
    quiet,
    scraped: pairs.take(),
    memory: gate.memory,
  }
}

const clients: RawClient[] = []
async function fill(count: number): Promise<void> {
  let next = 0
  const one = async () => {
    while (next < count) {
      const index = next++
      const client = await connectTcp(gate.port('plain'))
      await client.login(names[index % names.length] as string, `idle-${index}`)
      clients.push(client)
      if (clients.length % 1_000 === 0) note(`${clients.length} sessions`)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, one))
}

const few = await costAt(20)
await fill(wanted)
const many = await costAt(20 + wanted)
pairs.end()
for (const client of clients) client.transport.destroy()
await gate.stop()
await prosody.stop()

const shown = (value: number | undefined, digits = 2) => (value ?? 0).toFixed(digits)
const row = (cost: Cost) => ({
  sessions: cost.sessions,
  kilobytes: Math.round(cost.bytes / 1_024),
  scrapeP50: quantile(cost.milliseconds, 0.5),
  scrapeP99: quantile(cost.milliseconds, 0.99),
  messageP50: quantile(cost.quiet, 0.5),
  messageP99: quantile(cost.quiet, 0.99),
  messageP50Scraped: quantile(cost.scraped, 0.5),
  messageP99Scraped: quantile(cost.scraped, 0.99),
  megabytes: Math.round(cost.memory / 2 ** 20),
})
const result = { node: process.version, few: row(few), many: row(many) }
if (values.json) console.log(JSON.stringify(result))
else {
  const rows = Object.keys(result.few) as (keyof typeof result.few)[]
  console.log(`${''.padEnd(20)}${'few'.padStart(12)}${'many'.padStart(12)}${'ratio'.padStart(9)}`)
  for (const key of rows) {
    const [one, other] = [result.few[key] ?? 0, result.many[key] ?? 0]
    const digits = Number.isInteger(one) && Number.isInteger(other) ? 0 : 2
    console.log(
      `${key.padEnd(20)}${shown(one, digits).padStart(12)}${shown(other, digits).padStart(12)}${shown(other / one).padStart(9)}`,
    )
  }
}
