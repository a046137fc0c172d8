// The other side of the gate: an upstream behind TLS, one that is not there, one that dies, clients that do not read, crowds, and
// the gate's own end.
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { defaultLimits } from '../../src/config/limits.ts'
import type { RawClient } from '../clients/raw.ts'
import { within } from '../clients/within.ts'
import { Gate, makeCertificate, makeProsody, type WireName, wires } from './gate.ts'
import { Upstream } from './upstream.ts'

const certificate = await makeCertificate(t)
const theirs = await makeCertificate(t)
const prosody = await makeProsody(t, { certificate: theirs, requireEncryption: true })
const own = { mode: 'direct', ca: theirs.cert, servername: undefined } as const

async function rest(client: RawClient): Promise<string[]> {
  const lines = await client.toTheEnd()
  return lines.map(line =>
    line.replace(/^\{http:\/\/etherx.jabber.org\/streams\}error\[(?:\{[^}]*\})?([\w-]+).*/, 'error $1'),
  )
}

function ends(client: RawClient): string[] {
  return ['close', client.transport.wire === 'tcp' ? 'gone' : 'gone 1000']
}

for (const mode of ['starttls', 'direct'] as const) {
  t.test(`an upstream with ${mode}`, async t => {
    const port = (mode === 'direct' ? prosody.ports.directTls : prosody.ports.c2s) ?? 0
    const upstream = (tls: { ca?: string | undefined; servername?: string }) => ({
      upstream: { port, tls: { mode, ca: theirs.cert, servername: undefined, ...tls } },
    })
    const gate = await Gate.start(t, certificate, prosody, upstream({}))
    for (const wire of wires) {
      const juliet = await gate.login(wire, 'juliet', wire)
      t.equal((await juliet.roster()).attrs.get('type'), 'result')
      juliet.send(juliet.endTag)
      t.strictSame(await rest(juliet), ends(juliet))
    }
    t.equal((await gate.metrics()).sum('upstream_connect_errors_total'), 0)

    for (const [what, options] of [
      ['another name', upstream({ servername: 'elsewhere.example' })],
      ["an authority that is not the upstream's", upstream({ ca: certificate.cert })],
      ["the system's authorities", upstream({ ca: undefined })],
    ] as const) {
      const wary = await Gate.start(t, certificate, prosody, options)
      for (const wire of ['starttls', 'ws'] as const) {
        const client = await wary.connect(wire)
        client.send(client.header())
        t.strictSame(await rest(client), ['open', 'error internal-server-error', ...ends(client)], `${what}, ${wire}`)
      }
      const counts = await wary.metrics()
      t.equal(counts.sum('upstream_connect_errors_total', { upstream: 'main', reason: 'tls' }), 2, `${what}: counted`)
    }
  })
}

t.test('an upstream that should offer STARTTLS and does not', async t => {
  const plain = await makeProsody(t, {})
  const tls = { mode: 'starttls', ca: theirs.cert, servername: undefined } as const
  const gate = await Gate.start(t, certificate, plain, { upstream: { tls } })
  const client = await gate.connect('direct')
  client.send(client.header())
  t.strictSame(await rest(client), ['open', 'error internal-server-error', ...ends(client)], 'no login in the clear')
  t.equal((await gate.metrics()).sum('upstream_connect_errors_total', { reason: 'starttls' }), 1)
})

t.test('an upstream that hangs up, and one that is no XMPP server', async t => {
  for (const [what, reason, words] of [
    ['hangs up', 'lost', ''],
    ['HTTP', undefined, 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    [
      'another version',
      'version',
      `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='x'>`,
    ],
  ] as const) {
    const server = createServer(socket => socket.on('error', () => {}).end(words)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const { port } = server.address() as AddressInfo
    const gate = await Gate.start(t, certificate, { address: '127.0.0.1', port })
    for (const wire of ['plain', 'ws'] as const) {
      const client = await gate.connect(wire)
      client.send(client.header())
      t.strictSame(await rest(client), ['open', 'error internal-server-error', ...ends(client)], what)
    }
    const counts = await gate.metrics()
    t.equal(
      counts.sum('upstream_connect_errors_total', reason && { reason }),
      reason === undefined ? 0 : 2,
      `${what}: counted`,
    )
  }
})

t.test('an upstream that dies, and then is not there', async t => {
  const mortal = await makeProsody(t, {})
  const gate = await Gate.start(t, certificate, mortal)
  const clients = await Promise.all(wires.map(wire => gate.login(wire, 'juliet', wire)))
  process.kill(mortal.pid, 'SIGKILL')
  for (const client of clients) t.strictSame(await rest(client), ['error internal-server-error', ...ends(client)])
  for (const wire of wires) {
    const late = await gate.connect(wire)
    late.send(late.header())
    t.strictSame(await rest(late), ['open', 'error internal-server-error', ...ends(late)], wire)
  }
  const counts = await gate.counted('all are gone', now => now.sum('streams_active') === 0)
  // Refused, or lost when the dying server's port still took it.
  t.equal(counts.sum('upstream_connect_errors_total', { upstream: 'main' }), wires.length)
  t.equal(counts.sum('sessions_closed_total', { cause: 'upstream-lost' }), wires.length)
  t.equal(counts.sum('session_faults_total'), 0)
})

t.test('an upstream that says goodbye', async t => {
  const mortal = await makeProsody(t, {})
  const gate = await Gate.start(t, certificate, mortal)
  const clients = await Promise.all(wires.map(wire => gate.login(wire, 'juliet', wire)))
  await mortal.stop()
  for (const client of clients) {
    const heard = await rest(client)
    if (!t.strictSame(heard, ['error system-shutdown', ...ends(client)]))
      t.comment((await gate.metrics()).text, mortal.log())
  }
})

t.test('the gate stops', async t => {
  const gate = await Gate.start(t, certificate, prosody, { upstream: { port: prosody.ports.directTls ?? 0, tls: own } })
  const bound = await Promise.all(wires.map(wire => gate.login(wire, 'juliet', `stop-${wire}`)))
  const silent = await gate.connect('plain')
  const waiting = await gate.connect('ws')
  await waiting.opened()
  await within('the end of the gate', gate.proxy.stop())
  for (const client of bound) t.strictSame(await rest(client), ['error system-shutdown', ...ends(client)])
  t.strictSame(await rest(waiting), ['error system-shutdown', ...ends(waiting)])
  t.strictSame(await rest(silent), ['open', 'error system-shutdown', ...ends(silent)])
  await t.rejects(gate.connect('plain'), { code: 'ECONNREFUSED' })
})

t.test('a client that does not read', async t => {
  const talkative = await makeProsody(t, {})
  const gate = await Gate.start(t, certificate, talkative)
  const readOf = async (side: string) => (await gate.metrics()).sum('transport_bytes_total', { side, way: 'received' })
  const count = 100
  const size = 200_000
  // The kernel's own buffers take some megabytes; what it will not take has to stay with the server.
  const bounded = (count * size) / 2
  const flooded = async (wire: WireName) => {
    const slow = await gate.login(wire, 'juliet', wire)
    const before = await readOf('upstream')
    slow.transport.pause()
    for (let number = 0; number < count; number++)
      await talkative.inject(slow.jid, `<message id='${number}'><body>${'x'.repeat(size)}</body></message>`)
    const other = await gate.login('plain', 'romeo', wire)
    t.strictSame(await other.settled(), [], 'others are served meanwhile')
    t.ok((await readOf('upstream')) - before < bounded, `${wire}: the server is not read further`)
    return slow
  }

  const slow = await flooded('direct')
  slow.transport.resume()
  const ids: (string | undefined)[] = []
  while (ids.length < count) ids.push((await slow.named('message')).attrs.get('id'))
  t.strictSame(
    ids,
    Array.from({ length: count }, (_, number) => String(number)),
    'everything comes, in order',
  )
  slow.transport.destroy()

  await flooded('ws')
  await within('the end of the gate', gate.proxy.stop())
  t.pass('and does not hold up the end of the gate')
})

t.test('an upstream that does not read', async t => {
  const upstream = new Upstream()
  t.teardown(() => upstream.server.close())
  const gate = await Gate.start(t, certificate, { address: '127.0.0.1', port: await upstream.port() })
  const readOf = async () => (await gate.metrics()).sum('transport_bytes_total', { side: 'client', way: 'received' })
  for (const wire of ['direct', 'ws'] as const) {
    const client = await gate.login(wire, 'juliet', wire)
    const before = await readOf()
    const [count, size] = [100, 200_000]
    upstream.socket?.pause()
    const message = `<message xmlns='jabber:client' to='juliet@localhost'><body>${'x'.repeat(size)}</body></message>`
    for (let number = 0; number < count; number++) client.send(message)
    // Nothing tells that somebody reads no more: many scrapes with one and the same result do.
    let read = -1
    for (let same = 0; same < 20; ) {
      const now = await readOf()
      same = now === read ? same + 1 : 0
      read = now
    }
    t.ok(read - before < (count * size) / 2, `${wire}: the client is not read further`)
    const all = upstream.bytesUntil('</stream:stream>')
    client.send(client.endTag)
    upstream.socket?.resume()
    t.ok((await within('everything', all)) > count * size, 'and everything comes')
    t.strictSame(await rest(client), ends(client))
  }
})

t.test('200 sessions come and go', async t => {
  const upstream = { port: prosody.ports.directTls ?? 0, tls: own }
  const limits = { ...defaultLimits, resources: 200 }
  const gate = await Gate.start(t, certificate, prosody, { upstream, limits })
  const before = await gate.metrics()
  t.equal(before.sum('streams_opened_total'), 0)
  const count = 200
  const wireOf = (index: number) => wires[index % wires.length] as WireName
  const clients: RawClient[] = []
  for (let index = 0; index < count; index += 25)
    clients.push(
      ...(await Promise.all(
        Array.from({ length: 25 }, (_, more) => gate.login(wireOf(index + more), 'romeo', `r${index + more}`)),
      )),
    )
  const there = await gate.metrics()
  t.equal(there.sum('sessions_active'), count)
  t.equal(there.sum('streams_active', { side: 'client' }), count)
  t.equal(there.sum('streams_active', { side: 'upstream' }), count)
  for (const [index, client] of clients.entries()) {
    if (index % 3 === 0) client.transport.destroy()
    else if (index % 3 === 1) client.transport.end()
    else client.send(client.endTag)
  }
  await Promise.all(clients.map(client => client.toTheEnd()))
  const after = await gate.counted('nobody is left', now => now.sum('streams_active') === 0)
  t.equal(after.sum('sessions_active'), 0)
  t.equal(after.sum('sessions_opened_total'), count)
  t.equal(after.sum('sessions_closed_total'), count)
  t.equal(after.sum('streams_opened_total'), 2 * count)
  t.equal(after.sum('streams_closed_total'), 2 * count)
  t.equal(after.sum('session_faults_total'), 0)
})
