/**
 * `npm run soak`: the gate before two real Prosodys, honest pairs at the one, and at the other those who are a burden: slow readers,
 * slowloris, logins that come and go. First undisturbed, then disturbed; what is shown is what the honest ones felt, and the gate's memory and descriptors.
 */
import { fork } from 'node:child_process'
import { setPriority } from 'node:os'
import { parseArgs } from 'node:util'
import { startProsody } from '../servers/prosody.ts'
import { type CrowdOptions, type CrowdReport, domain } from './crowd.ts'
import { GateProcess } from './gate-process.ts'
import { Pairs, quantile } from './pairs.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    pairs: { type: 'string', default: '25' },
    slowloris: { type: 'string', default: '5000' },
    churn: { type: 'string', default: '10' },
    deaf: { type: 'string', default: '3' },
    heap: { type: 'string', default: '1024' },
    semi: { type: 'string', default: '16' },
    json: { type: 'boolean', default: false },
  },
})
const minutes = Number(values.minutes)
const undisturbed = 20_000
const sampleEvery = 5_000
const gathering = 40_000
const names = Array.from({ length: 20 }, (_, i) => `user${i}`)

interface Sample {
  readonly at: number
  readonly memory: number
  readonly descriptors: number
  readonly p50: number | undefined
  readonly p99: number | undefined
  readonly crowd: CrowdReport | undefined
}

const wait = (milliseconds: number) => new Promise<void>(resolve => setTimeout(resolve, milliseconds))
const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1)
const shown = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(2))
const note = (text: string) => process.stderr.write(`${text}\n`)

const accounts = Object.fromEntries(names.map(name => [name, 'secret']))
const prosody = await startProsody({ plain: true, accounts })
const theirs = await startProsody({ plain: true, accounts, hosts: [domain] })
const at = (server: typeof prosody) => ({ address: server.address, port: server.port, tls: { mode: 'none' } })
const more = {
  upstreams: { main: at(prosody), crowd: at(theirs) },
  routes: [
    { domain: 'localhost', upstream: 'main' },
    { domain, upstream: 'crowd' },
  ],
}
const gate = await GateProcess.start({
  upstream: prosody,
  limits: { seconds: { slow: 10 } },
  more,
  nodeFlags: [`--max-old-space-size=${values.heap}`, `--max-semi-space-size=${values.semi}`],
})
const pairs = await Pairs.login(gate.port('plain'), names, Number(values.pairs))
pairs.begin(500)

const latencies: Record<'undisturbed' | 'disturbed', number[]> = { undisturbed: [], disturbed: [] }
/** Of the gate's event loop, the 99th of 100 within each sample: what of the delay is the gate's own. */
const lateness: Record<'undisturbed' | 'disturbed', number[]> = { undisturbed: [], disturbed: [] }
const samples: Sample[] = []
let told: CrowdReport | undefined
const began = performance.now()

async function observe(phase: keyof typeof latencies, until: number): Promise<void> {
  while (performance.now() - began < until) {
    await wait(sampleEvery)
    const felt = pairs.take()
    latencies[phase].push(...felt)
    const at = Math.round((performance.now() - began) / 1_000)
    const { memory, descriptors } = gate
    const [p50, p99] = [quantile(felt, 0.5), quantile(felt, 0.99)]
    const scrape = await gate.metrics()
    const late = 1_000 * scrape.sum('nodejs_eventloop_delay_p99_seconds')
    const latest = 1_000 * scrape.sum('nodejs_eventloop_delay_max_seconds')
    lateness[phase].push(late)
    samples.push({ at, memory, descriptors, p50, p99, crowd: told })
    note(
      `${String(at).padStart(5)} s  ${phase.padEnd(11)}  memory ${megabytes(memory)} MB  descriptors ${descriptors}  p50 ${shown(p50)} ms  p99 ${shown(p99)} ms  loop late p99 ${shown(late)} max ${shown(latest)} ms${told === undefined ? '' : `  slowloris ${told.slowloris}  logins ${told.logins} (${told.failedLogins} failed)  deaf ended ${told.deafEnded}`}`,
    )
  }
}

await wait(2_000)
pairs.take() // the first messages warm the engine
await observe('undisturbed', undisturbed)
const crowd = fork(new URL('crowd.js', import.meta.url))
crowd.on('message', (report: CrowdReport) => {
  told = report
})
const options: CrowdOptions = {
  port: gate.port('plain'),
  names,
  slowloris: Number(values.slowloris),
  churn: Number(values.churn),
  deaf: Number(values.deaf),
}
// In the field they and their server have machines of their own; here they are not to take the gate's.
for (const pid of [crowd.pid, theirs.pid]) if (pid !== undefined) setPriority(pid, 15)
crowd.send(options)
// Until there are as many as there are to be.
await wait(gathering)
pairs.take()
await observe('disturbed', undisturbed + gathering + minutes * 60_000)
crowd.kill('SIGKILL')
// What was cut off gets five seconds from the gate, and the server some time of its own.
const first = samples[0]?.descriptors ?? 0
for (let i = 0; i < 30 && gate.descriptors > first; i++) await wait(1_000)
pairs.pause()
for (let i = 0; i < 10 && pairs.underway > 0; i++) await wait(1_000)
const counts = await gate.metrics()
const heap = counts.sum('nodejs_heap_size_used_bytes')
const end = { memory: gate.memory, descriptors: gate.descriptors }
pairs.end()
const status = await gate.stop()
await prosody.stop()
await theirs.stop()

/** Bytes each second, by least squares, over the second half: the first fills pools and caches. */
function slope(all: readonly Sample[]): number {
  const half = all.slice(Math.floor(all.length / 2))
  const mean = (of: (sample: Sample) => number) => half.reduce((sum, sample) => sum + of(sample), 0) / half.length
  const [at, memory] = [mean(sample => sample.at), mean(sample => sample.memory)]
  const above = half.reduce((sum, sample) => sum + (sample.at - at) * (sample.memory - memory), 0)
  const below = half.reduce((sum, sample) => sum + (sample.at - at) ** 2, 0)
  return below === 0 ? 0 : above / below
}

const felt = (phase: keyof typeof latencies) => {
  const sorted = latencies[phase].toSorted((a, b) => a - b)
  return { count: sorted.length, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: sorted.at(-1) }
}
const disturbed = samples.filter(sample => sample.at * 1_000 > undisturbed + gathering)
const result = {
  node: process.version,
  minutes,
  options,
  pairs: Number(values.pairs),
  lostPairs: pairs.lost,
  undelivered: pairs.underway,
  undisturbed: felt('undisturbed'),
  disturbed: felt('disturbed'),
  memory: {
    first: samples[0]?.memory,
    most: Math.max(...samples.map(sample => sample.memory)),
    end: end.memory,
    heapAtEnd: heap,
    slopeBytesPerSecond: Math.round(slope(disturbed)),
  },
  descriptors: {
    first: samples[0]?.descriptors,
    most: Math.max(...samples.map(sample => sample.descriptors)),
    end: end.descriptors,
  },
  crowd: told,
  faults: counts.sum('session_faults_total'),
  slowClients: counts.sum('sessions_closed_total', { cause: 'slow-client' }),
  timeouts: counts.sum('streams_closed_total', { cause: 'timeout', side: 'client' }),
  exitStatus: status,
}
if (values.json) console.log(JSON.stringify(result))
else {
  const ratio = (result.disturbed.p99 ?? 0) / (result.undisturbed.p99 ?? 1)
  console.log(`
${minutes} min, ${result.pairs} pairs, ${options.slowloris} slowloris, ${options.churn} logins/s, ${options.deaf} slow readers; Node ${process.version}
                undisturbed   disturbed
messages      ${String(result.undisturbed.count).padStart(13)}${String(result.disturbed.count).padStart(12)}
p50 ms        ${shown(result.undisturbed.p50).padStart(13)}${shown(result.disturbed.p50).padStart(12)}
p99 ms        ${shown(result.undisturbed.p99).padStart(13)}${shown(result.disturbed.p99).padStart(12)}   ratio ${ratio.toFixed(2)}
honest streams lost ${result.lostPairs}, messages not delivered ${result.undelivered}
memory: first ${megabytes(result.memory.first ?? 0)} MB, most ${megabytes(result.memory.most)} MB, at the end ${megabytes(result.memory.end)} MB (heap in use ${megabytes(heap)} MB), slope in the second half ${result.memory.slopeBytesPerSecond} bytes/s
descriptors: first ${result.descriptors.first}, most ${result.descriptors.most}, at the end ${result.descriptors.end}
slow readers cut off ${result.slowClients}, timeouts ${result.timeouts}, logins ${told?.logins} of which failed ${told?.failedLogins}, faults ${result.faults}, exit status ${status}`)
}
// No honest stream may end, no message be lost, and nothing may stay open.
const bad = result.lostPairs > 0 || result.undelivered > 0 || result.faults > 0 || status !== 0
process.exitCode = bad || end.descriptors > (result.descriptors.first ?? 0) + 20 ? 1 : 0
