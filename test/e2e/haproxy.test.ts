/** Who the client is, through HAProxy, the gate and a real ejabberd, each of which is told so by the PROXY protocol alone. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import type { Config } from '../../src/config/types.ts'
import { type Proxy as Running, startProxy } from '../../src/proxy.ts'
import { connectStarttls, connectTcp, connectWebsocket, type RawClient } from '../clients/raw.ts'
import { patience, within } from '../clients/within.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { startHaproxy } from '../servers/haproxy.ts'
import { Counts, makeCertificate, type WireName, wires } from './gate.ts'

/** Where HAProxy connects from: trusted, and not. */
const haproxyAt = '127.0.0.2'
const strangerAt = '127.0.0.3'
const versions = ['v1', 'v2'] as const
const sends = { v1: 'send-proxy', v2: 'send-proxy-v2' } as const

const certificate = await makeCertificate(t)
const ca = readFileSync(certificate.cert, 'utf8')
const ejabberd = await startEjabberd({ plain: true, proxyProtocol: true })
t.teardown(() => ejabberd.stop())

/** A gate that believes HAProxy, and tells ejabberd by this version who the client is. */
async function startGate(proxyProtocol: 'v1' | 'v2'): Promise<Running> {
  const at = { address: '127.0.0.1', port: 0, proxyProtocol: { trusted: [`${haproxyAt}/32`] } } as const
  const websocket = { kind: 'websocket', path: '/xmpp-websocket', origins: undefined, ...at } as const
  const tls = { mode: 'none', ca: undefined, servername: undefined } as const
  const config: Config = {
    listeners: [
      { kind: 'tcp', name: 'starttls', tls: { mode: 'starttls', ...certificate }, ...at },
      { kind: 'tcp', name: 'direct', tls: { mode: 'direct', ...certificate }, ...at },
      { ...websocket, name: 'ws', tls: undefined },
      { ...websocket, name: 'wss', tls: certificate },
    ],
    admin: { token: undefined, address: '127.0.0.1', port: 0 },
    upstreams: new Map([
      ['main', { name: 'main', address: ejabberd.address, port: ejabberd.ports.proxied ?? 0, tls, proxyProtocol }],
    ]),
    routes: [{ domain: 'localhost', upstream: 'main' }],
    rules: { default: 'enforce', modes: new Map(), trustedDomains: [] },
    log: { level: 'silent' },
  }
  const gate = await startProxy(config)
  t.teardown(() => gate.stop())
  return gate
}

const gates = { v1: await startGate('v1'), v2: await startGate('v2') }

const portOf = (gate: Running, wire: WireName) => gate.listeners.find(({ name }) => name === wire)?.port ?? 0
const pairs = versions.flatMap(front => versions.flatMap(back => wires.map(wire => ({ front, back, wire }))))
const nameOf = (front: string, back: string, wire: string) => `${wire}-${front}-${back}`

const frontends = wires.flatMap(wire => [
  ...pairs
    .filter(pair => pair.wire === wire)
    .map(({ front, back }) => ({
      name: nameOf(front, back, wire),
      to: portOf(gates[back], wire),
      send: sends[front],
      source: haproxyAt,
      http: wire === 'ws',
    })),
  { name: `silent-${wire}`, to: portOf(gates.v1, wire), source: haproxyAt },
  ...versions.map(front => ({
    name: `stranger-${wire}-${front}`,
    to: portOf(gates.v1, wire),
    send: sends[front],
    source: strangerAt,
  })),
])
const haproxy = await startHaproxy(frontends)
t.teardown(() => haproxy.stop())

/** A router before a client: what connects to its port reaches HAProxy from this loopback address. Gives the port. */
async function routed(from: string, to: number): Promise<number> {
  const server = createServer(inner => {
    const outer = connect({ port: to, host: '127.0.0.1', localAddress: from })
    for (const [one, other] of [
      [inner, outer],
      [outer, inner],
    ] as [Socket, Socket][])
      one
        .on('error', () => {})
        .on('close', () => other.destroy())
        .pipe(other)
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function connected(wire: WireName, port: number): Promise<RawClient> {
  if (wire === 'starttls') return connectStarttls(port, { ca })
  if (wire === 'direct') return connectTcp(port, { ca, alpn: ['xmpp-client'] })
  return connectWebsocket(`${wire}://localhost:${port}/xmpp-websocket`, { ca })
}

async function metricsOf(gate: Running): Promise<Counts> {
  const response = await fetch(`http://127.0.0.1:${gate.admin?.port}/metrics`)
  return new Counts(await response.text())
}

const refused = 'proxy_protocol_refused_total'

for (const [i, { front, back, wire }] of pairs.entries())
  t.test(`${wire}: HAProxy tells the gate by ${front}, the gate tells ejabberd by ${back}`, async t => {
    const address = `127.0.0.${100 + i}`
    const port = await routed(address, haproxy.port(nameOf(front, back, wire)))
    const resource = nameOf(front, back, wire)
    const client = await (await connected(wire, port)).login('juliet', resource)
    t.equal(client.jid, `juliet@localhost/${resource}`)
    const escaped = address.replaceAll('.', '\\.')
    t.same(await client.settled(), [], 'the session answers')
    // ejabberd writes its log when it comes to it.
    const lines = [
      `Accepted proxied connection ${escaped}:\\d+ -> 127\\.0\\.0\\.1:\\d+`,
      `authentication for juliet@localhost by mnesia backend from ${escaped}\\b`,
    ]
    for (const line of lines) {
      const written = async () => {
        while (!new RegExp(line).test(ejabberd.log())) await client.settled()
      }
      await within(line, written())
      t.pass(line)
    }
    client.send(client.endTag)
    await client.toTheEnd()
    t.equal((await metricsOf(gates[back])).sum(refused), 0)
  })

/** Asks again until a metric of the gate's is as wanted. */
async function counted(gate: Running, what: string, isWanted: (counts: Counts) => boolean): Promise<void> {
  const until = performance.now() + patience
  for (;;) {
    const counts = await metricsOf(gate)
    if (isWanted(counts)) return
    if (performance.now() > until) throw new Error(`${what}: not within ${patience} ms\n${counts.text}`)
  }
}

for (const wire of wires)
  for (const [frontend, reason] of [
    [`stranger-${wire}-v1`, 'untrusted'],
    [`stranger-${wire}-v2`, 'untrusted'],
    [`silent-${wire}`, 'missing'],
  ] as const)
    t.test(`${frontend}: closed and counted as ${reason}`, async t => {
      const labels = { listener: wire, reason }
      const before = await metricsOf(gates.v1)
      const client = await connectTcp(haproxy.port(frontend))
      client.send(client.header())
      t.strictSame(await client.toTheEnd(), ['gone'], 'without a word')
      await counted(gates.v1, 'it is counted', counts => counts.sum(refused, labels) > before.sum(refused, labels))
      const after = await metricsOf(gates.v1)
      t.equal(after.sum(refused), before.sum(refused) + 1, 'once, and as nothing else')
      t.equal(after.sum('streams_opened_total'), before.sum('streams_opened_total'), 'and is no stream')
    })

t.test('who comes past HAProxy and says nothing of it is served, as who it is', async t => {
  const [address, before] = ['127.0.0.99', await metricsOf(gates.v2)]
  for (const wire of wires) {
    const client = await (await connected(wire, await routed(address, portOf(gates.v2, wire)))).login('romeo', wire)
    t.equal(client.jid, `romeo@localhost/${wire}`)
    t.match(ejabberd.log(), /authentication for romeo@localhost by mnesia backend from 127\.0\.0\.99\b/)
    client.send(client.endTag)
    await client.toTheEnd()
  }
  t.equal((await metricsOf(gates.v2)).sum(refused), before.sum(refused))
})

for (const front of versions)
  t.test(`HAProxy's health checks by ${front} find the gate well, and are no offence`, async t => {
    const before = await metricsOf(gates.v2)
    const checks = wires.map(wire => ({
      name: wire,
      to: portOf(gates.v2, wire),
      send: sends[front],
      source: haproxyAt,
      checkEvery: 20,
    }))
    const checking = await startHaproxy(checks)
    t.teardown(() => checking.stop())
    for (const wire of wires) {
      await checking.logged(new RegExp(`Health check for server ${wire}/gate succeeded`))
      // The gate accepts connections in their order: it has met the check before this one.
      const client = await (await connected(wire, checking.port(wire))).login('juliet', `checked-${wire}`)
      client.send(client.endTag)
      await client.toTheEnd()
    }
    t.notMatch(checking.log(), /DOWN/)
    t.equal((await metricsOf(gates.v2)).sum(refused), before.sum(refused))
  })
