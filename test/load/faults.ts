/**
 * `npm run faults`: what goes wrong round the gate, at each phase of a client's stream, and what that client saw; beside it honest
 * pairs at another upstream, which must not notice.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { parseArgs } from 'node:util'
import { auth, bind, connectTcp, type RawClient } from '../clients/raw.ts'
import { type Prosody, startProsody } from '../servers/prosody.ts'
import { Forwarder } from './forwarder.ts'
import { GateProcess } from './gate-process.ts'
import { Pairs, quantile } from './pairs.ts'

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } })

const domain = 'faulty.localhost'
const phases = ['header sent', 'negotiating', 'logging in', 'authenticated', 'bound', 'resumable'] as const
type Phase = (typeof phases)[number]

interface Row {
  readonly fault: string
  readonly phase: string
  readonly seen: string
  readonly good: boolean
}

const rows: Row[] = []
const accounts = { romeo: 'secret', juliet: 'secret' }
const wait = (milliseconds: number) => new Promise<void>(resolve => setTimeout(resolve, milliseconds))

function note(row: Row): void {
  rows.push(row)
  process.stderr.write(`${row.good ? 'ok ' : 'BAD'} ${row.fault.padEnd(34)} ${row.phase.padEnd(14)} ${row.seen}\n`)
}

/** A stream error's condition, how the stream ended, or what else there was. */
function outcomeOf(lines: readonly string[]): string {
  const error = /streams\}error\[(?:\{[^}]*\})?([\w-]+)/.exec(lines.join('\n'))?.[1]
  const ends = lines.filter(line => line === 'close' || line.startsWith('gone')).join(', ')
  const errors = lines.filter(line => line.includes('streams}error')).length
  return `${error === undefined ? 'no stream error' : error}${errors > 1 ? ' TWICE' : ''}, ${ends}`
}

async function reach(phase: Phase, port: number): Promise<RawClient> {
  const client = await connectTcp(port)
  if (phase === 'header sent') {
    client.send(client.header(domain))
    return client
  }
  await client.opened(domain)
  if (phase === 'negotiating') return client
  if (phase === 'logging in') {
    client.send(
      `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>${Buffer.from('n,,n=romeo,r=fyko').toString('base64')}</auth>`,
    )
    await client.named('challenge')
    return client
  }
  client.send(auth('romeo'))
  await client.named('success')
  await client.opened(domain)
  if (phase === 'authenticated') return client
  client.send(bind('faulty'))
  await client.withId('bind')
  if (phase === 'bound') return client
  client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
  await client.named('enabled')
  return client
}

/** What a client says next, whatever has happened. */
function say(phase: Phase, client: RawClient): void {
  switch (phase) {
    case 'header sent':
      return
    case 'negotiating':
      return client.send(auth('romeo'))
    case 'logging in':
      return client.send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AAAA</response>")
    case 'authenticated':
      return client.send(bind('faulty'))
    default:
      return client.send(`<iq type='get' id='after' to='${domain}'><ping xmlns='urn:xmpp:ping'/></iq>`)
  }
}

/** The honest pairs of all rows together. */
const others = { before: [] as number[], meanwhile: [] as number[], streamsLost: 0, messagesLost: 0, gates: 0 }

const good = await startProsody({ plain: true, accounts })
const limits = { seconds: { answer: 2, slow: 3 }, connections: { total: 100_000 } }

/** A gate with the good upstream and one that this fault befalls, and the pairs. */
async function withGate(
  upstream: { readonly address: string; readonly port: number },
  act: (gate: GateProcess) => Promise<void>,
): Promise<void> {
  const more = {
    upstreams: {
      main: { address: good.address, port: good.port, tls: { mode: 'none' } },
      faulty: { address: upstream.address, port: upstream.port, tls: { mode: 'none' } },
    },
    routes: [
      { domain: 'localhost', upstream: 'main' },
      { domain, upstream: 'faulty' },
    ],
  }
  const gate = await GateProcess.start({ upstream: good, limits, more })
  const pairs = await Pairs.login(gate.port('plain'), Object.keys(accounts), 5)
  pairs.begin(100)
  await wait(500)
  pairs.take()
  await wait(1_000)
  others.before.push(...pairs.take())
  await act(gate)
  await wait(500)
  others.meanwhile.push(...pairs.take())
  pairs.pause()
  for (let i = 0; i < 50 && pairs.underway > 0; i++) await wait(100)
  others.streamsLost += pairs.lost
  others.messagesLost += pairs.underway
  pairs.end()
  const status = await gate.stop()
  others.gates += 1
  if (status !== 0) note({ fault: 'the gate afterwards', phase: 'SIGTERM', seen: `exit status ${status}`, good: false })
}

const told = ['internal-server-error, close, gone', 'system-shutdown, close, gone']
/** A resumable stream is cut without a word, so that its client comes back (XEP-0198). */
const cutShort = 'no stream error, gone'

async function observe(fault: string, phase: Phase, client: RawClient): Promise<void> {
  let seen: string
  try {
    seen = outcomeOf(await client.toTheEnd())
  } catch (error) {
    seen = String((error as Error).message).slice(0, 100)
  }
  note({ fault, phase, seen, good: told.includes(seen) || (phase === 'resumable' && seen === cutShort) })
}

async function faultyProsody(): Promise<Prosody> {
  return startProsody({ plain: true, accounts, hosts: [domain] })
}

// The server is killed, and comes back.
for (const phase of phases.slice(1)) {
  const faulty = await faultyProsody()
  await withGate(faulty, async gate => {
    const client = await reach(phase, gate.port('plain'))
    process.kill(faulty.pid, 'SIGKILL')
    await observe('upstream killed', phase, client)
    const next = await connectTcp(gate.port('plain'))
    next.send(next.header(domain))
    await observe('and the next client', 'header sent', next)
  })
  await faulty.stop().catch(() => {})
}

// It is stopped (SIGSTOP): whoever waits for an answer is told; an idle stream stays, and is answered when it goes on.
for (const phase of phases) {
  const faulty = await faultyProsody()
  await withGate(faulty, async gate => {
    if (phase === 'header sent') process.kill(faulty.pid, 'SIGSTOP')
    const client = await reach(phase, gate.port('plain'))
    process.kill(faulty.pid, 'SIGSTOP')
    say(phase, client)
    if (phase === 'bound' || phase === 'resumable') {
      await wait(4_000)
      process.kill(faulty.pid, 'SIGCONT')
      const answer = await client.withId('after')
      const seen = `answered (${answer.attrs.get('type')}) once the server goes on`
      note({ fault: 'upstream stopped for 4 s', phase, seen, good: true })
    } else await observe('upstream stopped', phase, client)
  })
  process.kill(faulty.pid, 'SIGCONT')
  await faulty.stop()
}

// The way to it is cut, half closed, or dumb.
const ways = [
  ['upstream connection reset', (way: Forwarder) => way.cut()],
  ['upstream half-closed', (way: Forwarder) => way.halfClose()],
  ['upstream hangs', (way: Forwarder) => way.dumb()],
] as const
for (const [fault, happen] of ways) {
  const faulty = await faultyProsody()
  for (const phase of phases) {
    // An idle stream may hang for as long as it likes, as above.
    if (fault === 'upstream hangs' && (phase === 'bound' || phase === 'resumable')) continue
    const way = await Forwarder.start(faulty)
    await withGate({ address: '127.0.0.1', port: way.port }, async gate => {
      if (phase === 'header sent') {
        way.dumb()
        const client = await reach(phase, gate.port('plain'))
        await wait(200)
        happen(way)
        return observe(fault, phase, client)
      }
      const client = await reach(phase, gate.port('plain'))
      happen(way)
      if (fault === 'upstream hangs') say(phase, client)
      await observe(fault, phase, client)
    })
    way.stop()
  }
  await faulty.stop()
}

// The server takes nothing of what is sent to it.
{
  const faulty = await faultyProsody()
  await withGate(faulty, async gate => {
    const client = await reach('bound', gate.port('plain'))
    process.kill(faulty.pid, 'SIGSTOP')
    const body = 'x'.repeat(200_000)
    for (let i = 0; i < 60; i++)
      client.send(`<message to='juliet@${domain}' type='headline'><body>${body}</body></message>`)
    await observe('upstream stopped, and written to', 'bound', client)
  })
  process.kill(faulty.pid, 'SIGCONT')
  await faulty.stop()
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function pinged(port: number): Promise<string> {
  const client = await (await connectTcp(port)).login('romeo', 'after')
  const lines = await client.settled()
  client.transport.destroy()
  return lines.length === 0 ? 'a login and a ping are answered' : lines.join(' | ')
}

// The disk is full: what the gate writes is lost, and nothing else.
{
  const port = await freePort()
  const more = {
    listeners: [{ kind: 'tcp', name: 'plain', address: '127.0.0.1', port, tls: { mode: 'none' } }],
    audit: { file: '/dev/full', all: true },
    log: { level: 'trace' },
  }
  const gate = await GateProcess.start({
    upstream: good,
    limits,
    more,
    wrapper: ['sh', '-c', 'exec "$0" "$@" >/dev/full 2>/dev/full'],
    listensAt: port,
  })
  const seen = await pinged(port)
  const status = await gate.stop()
  note({
    fault: 'disk full (log and audit)',
    phase: 'bound',
    seen: `${seen}; exit status ${status}`,
    good: seen.startsWith('a login') && status === 0,
  })
}

// Descriptors run out: nobody new is served, whoever is there stays, and afterwards all is as before.
{
  const gate = await GateProcess.start({ upstream: good, limits, wrapper: ['prlimit', '--nofile=100:100'] })
  const port = gate.port('plain')
  const there = await (await connectTcp(port)).login('juliet', 'there')
  const crowd = Array.from({ length: 300 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  await wait(2_000)
  const during = (await there.settled()).length === 0 ? 'who is there is answered' : 'who is there is NOT answered'
  const open = gate.descriptors
  for (const socket of crowd) socket.destroy()
  for (let i = 0; i < 100 && gate.descriptors > 60; i++) await wait(100)
  const seen = `${open} of 100 open; ${during}; afterwards ${await pinged(port)}`
  there.transport.destroy()
  const status = await gate.stop()
  note({
    fault: 'descriptors exhausted',
    phase: 'bound',
    seen: `${seen}; exit status ${status}`,
    good: !seen.includes('NOT') && status === 0,
  })
}

await good.stop()
const felt = (all: readonly number[]) => {
  const sorted = all.toSorted((a, b) => a - b)
  return `p50 ${quantile(sorted, 0.5)?.toFixed(1)} ms, p99 ${quantile(sorted, 0.99)?.toFixed(1)} ms of ${sorted.length}`
}
note({
  fault: 'the honest pairs beside all this',
  phase: `${others.gates} gates`,
  seen: `before ${felt(others.before)}; meanwhile ${felt(others.meanwhile)}; streams lost ${others.streamsLost}, messages lost ${others.messagesLost}`,
  good: others.streamsLost === 0 && others.messagesLost === 0,
})
if (values.json) console.log(JSON.stringify(rows))
else {
  console.log('| fault | phase | observed |\n|---|---|---|')
  for (const row of rows)
    console.log(`| ${row.fault} | ${row.phase} | ${row.good ? '' : '**not as expected**: '}${row.seen} |`)
}
process.exitCode = rows.every(row => row.good) ? 0 : 1
