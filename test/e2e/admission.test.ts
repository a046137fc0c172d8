// Who is let in by a real gate, what the others see, and how the gate goes: on real sockets, by the test's clock and readings.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { connect as connectTls } from 'node:tls'
import { fileURLToPath } from 'node:url'
import fastify from 'fastify'
import t from 'tap'
import WebSocket from 'ws'
import { defaultLimits, type Limits } from '../../src/config/limits.ts'
import type { Listener } from '../../src/config/types.ts'
import { stanzagate } from '../../src/plugin.ts'
import { type Proxy as Running, startProxy } from '../../src/proxy.ts'
import { encodeProxyHeader } from '../../src/transport/proxy-protocol.ts'
import { HandClock } from '../clients/hand-clock.ts'
import { connectTcp, connectWebsocket, type RawClient } from '../clients/raw.ts'
import { patience, within } from '../clients/within.ts'
import { writeCertificate } from '../servers/certificate.ts'
import { Counts, makeCertificate } from './gate.ts'
import { Upstream } from './upstream.ts'

const certificate = await makeCertificate(t)
const ca = readFileSync(certificate.cert, 'utf8')
const header = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>`
const features = '</stream:features>'

type Given = { readonly [Key in 'connections' | 'overload' | 'drain']?: Partial<Limits[Key]> } & {
  readonly exempt?: readonly string[]
}

const at = { address: '127.0.0.1', port: 0 } as const
const proxyProtocol = { trusted: ['127.0.0.1'] }
const websocket = { kind: 'websocket', path: '/ws', tls: undefined, origins: undefined, ...at } as const
const listeners: readonly Listener[] = [
  { kind: 'tcp', name: 'plain', tls: { mode: 'none' }, ...at },
  { kind: 'tcp', name: 'starttls', tls: { mode: 'starttls', ...certificate }, ...at },
  { kind: 'tcp', name: 'direct', tls: { mode: 'direct', ...certificate }, ...at },
  { kind: 'tcp', name: 'fronted', tls: { mode: 'none' }, proxyProtocol, ...at },
  { ...websocket, name: 'ws' },
  { ...websocket, name: 'wss', tls: certificate },
  { ...websocket, name: 'forwarded', forwardedFor: { trusted: ['127.0.0.1'] } },
  { ...websocket, name: 'both', proxyProtocol, forwardedFor: { trusted: ['192.0.2.99'] } },
]
type Name = 'plain' | 'starttls' | 'direct' | 'fronted' | 'ws' | 'wss' | 'forwarded' | 'both'

interface Teardowns {
  teardown(action: () => unknown): unknown
}

class House {
  readonly clock = new HandClock()
  readonly readings = { lag: 0, heap: 0 }
  readonly upstream = new Upstream()
  proxy!: Running

  /** Loopback is counted. */
  static async open(t: Teardowns, given: Given): Promise<House> {
    const house = new House()
    const port = await house.upstream.port()
    const { connections, overload, drain } = given
    const limits: Limits = {
      ...defaultLimits,
      connections: { ...defaultLimits.connections, ...connections },
      exempt: given.exempt ?? [],
      overload: { ...defaultLimits.overload, ...overload },
      drain: { ...defaultLimits.drain, ...drain },
    }
    const tls = { mode: 'none', ca: undefined, servername: undefined } as const
    const config = {
      listeners,
      admin: { token: undefined, ...at },
      upstreams: new Map([['main', { name: 'main', address: '127.0.0.1', port, tls }]]),
      routes: [{ domain: 'localhost', upstream: 'main' }],
      rules: { default: 'enforce', modes: new Map(), trustedDomains: [] },
      log: { level: 'silent' },
      limits,
    } as const
    const { readings } = house
    const senses = { lag: () => readings.lag, heap: () => readings.heap, stop: () => {} }
    house.proxy = await startProxy(config, [], { clock: house.clock, readings: senses })
    t.teardown(async () => {
      const gone = house.proxy.stop()
      // Whatever it waits for.
      const pass = setInterval(() => house.clock.advance(60_000), 5)
      await gone
      clearInterval(pass)
      house.upstream.server.close()
    })
    return house
  }

  port(name: Name): number {
    return this.proxy.listeners.find(bound => bound.name === name)?.port ?? 0
  }

  calls(name: Name, begin: string | Buffer = header, from?: string): Caller {
    return new Caller(connect({ port: this.port(name), host: '127.0.0.1', ...(from && { localAddress: from }) }), begin)
  }

  async counts(): Promise<Counts> {
    return new Counts(await (await fetch(`http://127.0.0.1:${this.proxy.admin?.port}/metrics`)).text())
  }

  async counted(what: string, name: string, wanted: number, labels?: Record<string, string>): Promise<void> {
    await until(`${what}: ${name} ${wanted}`, async () => (await this.counts()).sum(name, labels) === wanted)
  }

  refused(reason: string, listener: Name, wanted: number): Promise<void> {
    return this.counted('refused', 'connections_refused_total', wanted, { reason, listener })
  }

  async ready(): Promise<number> {
    return (await fetch(`http://127.0.0.1:${this.proxy.admin?.port}/readyz`)).status
  }
}

/** Asks again and again: for what no client can see. */
async function until(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + patience
  while (!(await isSo())) if (performance.now() > end) throw new Error(`${what}: not within ${patience} ms`)
}

/** Says what it is given at once, and keeps what it hears. */
class Caller {
  readonly socket: Socket
  text = ''
  ended = false

  constructor(socket: Socket, begin: string | Buffer) {
    this.socket = socket
    socket.on('data', bytes => {
      this.text += bytes
    })
    socket.on('error', () => {}) // its end is told
    socket.on('close', () => {
      this.ended = true
    })
    if (begin.length > 0) socket.write(begin)
  }

  async hears(words: string): Promise<this> {
    await until(`'${words}'`, () => {
      if (this.ended && !this.text.includes(words)) throw new Error(`the end instead of '${words}': '${this.text}'`)
      return turn(this.text.includes(words))
    })
    return this
  }

  /** What it was told before the end. */
  async end(): Promise<string> {
    await until('the end', () => turn(this.ended))
    return this.text
  }

  async leaves(): Promise<void> {
    this.socket.destroy()
    await this.end()
  }
}

async function turn<Value>(value: Value): Promise<Value> {
  await new Promise(setImmediate)
  return value
}

interface Upgrade {
  readonly status: number
  readonly after: string | undefined
  readonly body: string
  readonly socket: Socket
}

/** Asks for a WebSocket at this port, and shows the answer. */
async function upgrade(port: number, forwarded?: string, path = '/ws'): Promise<Upgrade> {
  const sent = asked(port, forwarded, path)
  const [response, socket] = (await within(
    'an answer',
    Promise.race([once(sent, 'upgrade'), once(sent, 'response')]),
  )) as [{ statusCode: number; headers: Record<string, string>; socket: Socket }, Socket?]
  let body = ''
  if (socket === undefined) for await (const part of response as unknown as AsyncIterable<Buffer>) body += String(part)
  const { statusCode: status, headers } = response
  return { status, after: headers['retry-after'], body, socket: socket ?? response.socket }
}

function asked(port: number, forwarded?: string, path = '/ws') {
  const sent = request({
    port,
    host: '127.0.0.1',
    path,
    // A refusal is the end of a connection: none is used twice.
    agent: false,
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-protocol': 'xmpp',
      ...(forwarded && { 'x-forwarded-for': forwarded }),
    },
  })
  sent.on('error', () => {}) // the end of the gate
  sent.end()
  return sent
}

function named(address: string, version: 'v1' | 'v2' = 'v2'): Buffer {
  const source = { address, port: 4711 }
  const own = address.includes(':') ? '2001:db8::5222' : '198.51.100.1'
  return encodeProxyHeader(version, { source, destination: { address: own, port: 5222 } })
}

function behind(address: string, version?: 'v1' | 'v2'): Buffer {
  return Buffer.concat([named(address, version), Buffer.from(header)])
}

t.test('so many of one address at a time, whatever they speak', async t => {
  const house = await House.open(t, { connections: { perAddress: 3 } })
  const plain = await house.calls('plain').hears(features)
  const direct = await connectTcp(house.port('direct'), { ca })
  await direct.opened()
  const ws = await connectWebsocket(`ws://127.0.0.1:${house.port('ws')}/ws`)
  for (const name of ['plain', 'starttls', 'direct', 'ws', 'wss'] as const) {
    t.equal(await house.calls(name).end(), '', `${name}: closed without a word`)
    await house.refused('address', name, 1)
  }
  await (await house.calls('plain', header, '127.0.0.2').hears(features)).leaves()
  const comeBack = async (gone: () => void, what: string) => {
    gone()
    let next: Caller | undefined
    await until(`the place of ${what}`, async () => {
      next = house.calls('plain')
      await until('a word', () => turn(next?.ended === true || next?.text.includes(features) === true))
      return !next.ended
    })
    return next as Caller
  }
  const second = await comeBack(() => plain.socket.destroy(), 'plain')
  const third = await comeBack(() => direct.transport.destroy(), 'direct TLS')
  const fourth = await comeBack(() => ws.transport.destroy(), 'a WebSocket')
  const wss = new WebSocket(`wss://localhost:${house.port('wss')}/ws`, ['xmpp'], { ca })
  await t.rejects(once(wss, 'open'), 'wss: the connection ends before TLS')
  for (const caller of [second, third, fourth]) await caller.leaves()
  await house.counted('nobody is left', 'streams_active', 0)
})

t.test('so many new ones of one address; so many in all', async t => {
  const house = await House.open(t, { connections: { newPerSecond: 1, newBurst: 3, total: 5 } })
  for (let n = 0; n < 3; n++) await house.calls('plain').hears(features)
  t.equal(await house.calls('starttls').end(), '')
  await house.refused('address-rate', 'starttls', 1)
  house.clock.advance(1_100)
  await house.calls('starttls').hears(features)
  await house.calls('plain', header, '127.0.0.2').hears(features)
  t.equal(await house.calls('plain', header, '127.0.0.3').end(), '')
  await house.refused('total', 'plain', 1)
})

t.test('exempt by default: loopback', async t => {
  const house = await House.open(t, { connections: { perAddress: 1, newBurst: 1 }, exempt: [...defaultLimits.exempt] })
  for (let n = 0; n < 3; n++) await house.calls('plain').hears(features)
})

t.test('one after the other, in the order of coming', async t => {
  const house = await House.open(t, { overload: { admittedPerSecond: 1, queue: 4 } })
  const waits = (count: number) => house.counted('waiting', 'connections_waiting', count)
  await house.calls('plain').hears(features)
  const secure = connectTls({ port: house.port('direct'), host: '127.0.0.1', ca, servername: 'localhost' })
  const a = new Caller(secure, header)
  await waits(1)
  const b = house.calls('starttls')
  await waits(2)
  const url = `wss://localhost:${house.port('wss')}/ws`
  const c = new WebSocket(url, ['xmpp'], { ca })
  const opened = once(c, 'open')
  await waits(3)
  const d = house.calls('plain')
  await waits(4)
  t.equal(await house.calls('ws').end(), '')
  await house.refused('queue', 'ws', 1)
  await b.leaves()
  await waits(3)
  t.strictSame([a.text, c.readyState, d.text], ['', WebSocket.CONNECTING, ''], 'nobody was told anything')
  house.clock.advance(1_000)
  await a.hears(features)
  await waits(2)
  t.strictSame([c.readyState, d.text], [WebSocket.CONNECTING, ''], 'a TLS handshake was waiting too')
  house.clock.advance(1_000)
  await within('the WebSocket', opened)
  await waits(1)
  t.equal(d.text, '')
  house.clock.advance(1_000)
  await d.hears(features)
  await waits(0)
  const e = house.calls('plain', '')
  await waits(1)
  e.socket.end()
  await waits(0)
  await e.end()
  c.terminate()
})

t.test('whoever waits is refused when the gate stops', async t => {
  const house = await House.open(t, { overload: { admittedPerSecond: 1, queue: 4 } })
  const first = await house.calls('plain').hears(features)
  const second = house.calls('plain')
  const third = upgrade(house.port('forwarded'), '192.0.2.1')
  await house.counted('waiting', 'connections_waiting', 2)
  const stopped = house.proxy.stop()
  t.equal(await second.end(), '')
  t.match(await third, { status: 503, after: '10' })
  t.match(await first.end(), /system-shutdown.*<\/stream:stream>/)
  await within('the end of the gate', stopped)
})

t.test('a request is answered where it names the client', async t => {
  const house = await House.open(t, { connections: { perAddress: 1, total: 5 } })
  const ask = (forwarded?: string) => upgrade(house.port('forwarded'), forwarded)
  const first = await ask('192.0.2.1')
  t.equal(first.status, 101)
  t.match(await ask('192.0.2.1'), { status: 429, after: '10', body: 'too many connections from this address\n' })
  t.match(await ask('203.0.113.9, 192.0.2.1'), { status: 429 }, 'what stands left of it is anybody’s invention')
  await house.refused('address', 'forwarded', 2)
  t.equal((await ask('2001:db8::1')).status, 101)
  t.equal((await ask('2001:db8::2')).status, 429, 'of one /64')
  t.equal((await ask('2001:db8:0:1::1')).status, 101)
  t.strictSame([(await ask()).status, (await ask()).status], [101, 101], 'the proxy for itself is not counted')
  t.match(await ask('192.0.2.3'), { status: 503, after: '10', body: 'not now\n' })
  await house.refused('total', 'forwarded', 1)
  first.socket.destroy()
  await until('its place', async () => (await ask('192.0.2.1')).status === 101)

  const busy = await House.open(t, { overload: { admittedPerSecond: 1, queue: 1 } })
  t.equal((await upgrade(busy.port('forwarded'), '192.0.2.1')).status, 101)
  const gone = asked(busy.port('forwarded'), '192.0.2.2')
  await busy.counted('waiting', 'connections_waiting', 1)
  gone.destroy()
  await busy.counted('who waited has gone', 'connections_waiting', 0)
  const waiting = upgrade(busy.port('forwarded'), '192.0.2.3')
  await busy.counted('waiting', 'connections_waiting', 1)
  t.equal((await upgrade(busy.port('forwarded'), '192.0.2.4')).status, 503)
  await busy.refused('queue', 'forwarded', 1)
  busy.clock.advance(1_000)
  t.equal((await waiting).status, 101)
})

t.test('behind a PROXY header counts whom it names', async t => {
  const house = await House.open(t, { connections: { perAddress: 1 } })
  const first = await house.calls('fronted', behind('192.0.2.1')).hears(features)
  t.equal(await house.calls('fronted', behind('192.0.2.1', 'v1')).end(), '')
  t.equal(await house.calls('fronted', behind('::ffff:192.0.2.1')).end(), '', 'a mapped address')
  await house.refused('address', 'fronted', 2)
  await house.calls('fronted', behind('192.0.2.2')).hears(features)
  await house.calls('fronted', behind('2001:db8::1')).hears(features)
  t.equal(await house.calls('fronted', behind('2001:db8::ffff:1')).end(), '', 'of one /64')
  await house.calls('fronted', behind('2001:db8:0:1::1')).hears(features)
  const itself = Buffer.concat([encodeProxyHeader('v2', undefined), Buffer.from(header)])
  for (let n = 0; n < 3; n++) await house.calls('fronted', itself).hears(features)
  await house.calls('fronted', header, '127.0.0.2').hears(features)
  t.equal(await house.calls('fronted', header, '127.0.0.2').end(), '', 'who comes without a proxy')
  await house.refused('address', 'fronted', 4)
  await first.leaves()
  await until('its place', async () => {
    const next = house.calls('fronted', behind('192.0.2.1'))
    await until('a word', () => turn(next.ended || next.text.includes(features)))
    return !next.ended
  })

  const get = (forwarded: string, by: string) => {
    const lines = ['GET /ws HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket']
    lines.push('Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')
    lines.push('Sec-WebSocket-Protocol: xmpp', `X-Forwarded-For: ${forwarded}`, '', '')
    return house.calls('both', Buffer.concat([named(by), Buffer.from(lines.join('\r\n'))]))
  }
  await get('192.0.2.50', '192.0.2.99').hears(' 101 ')
  await get('192.0.2.50', '192.0.2.99').hears(' 429 ')
  await get('192.0.2.51', '192.0.2.99').hears(' 101 ')
  await get('192.0.2.52', '192.0.2.98').hears(' 101 ')
  t.equal(await get('192.0.2.53', '192.0.2.98').end(), '', 'whose X-Forwarded-For is nobody’s word')
})

t.test('a gate with enough to do lets nobody in, and closes what is dearest', async t => {
  const house = await House.open(t, {})
  const reads = async (lag: number, heap: number) => {
    Object.assign(house.readings, { lag, heap })
    house.clock.advance(250)
  }
  const others: RawClient[] = []
  let dear: RawClient | undefined
  for (const name of ['plain', 'direct', 'plain'] as const) {
    const client = await connectTcp(house.port(name), name === 'direct' ? { ca } : undefined)
    await client.login('juliet', 'x')
    if (name !== 'direct') {
      others.push(client)
      continue
    }
    dear = client
    // The kernel's buffers take some megabytes; what they do not take waits in the gate.
    client.transport.pause()
    const message = `<message xmlns='jabber:client' from='localhost'><body>${'x'.repeat(200_000)}</body></message>`
    for (let n = 0; n < 100; n++) house.upstream.socket?.write(message)
    let read = -1
    for (let same = 0; same < 20; ) {
      const now = (await house.counts()).sum('transport_bytes_total', { side: 'upstream', way: 'received' })
      same = now === read ? same + 1 : 0
      read = now
    }
    t.ok(read < 100 * 200_000, 'the server is not read further')
  }
  for (let look = 0; look < 4; look++) await reads(201, 0)
  t.equal(await house.calls('starttls').end(), '')
  await house.refused('lag', 'starttls', 1)
  await reads(0, 0.81)
  t.equal(await house.calls('starttls').end(), '')
  t.match(await upgrade(house.port('forwarded'), '192.0.2.1'), { status: 503, after: '10' })
  await house.refused('heap', 'starttls', 1)
  await house.refused('heap', 'forwarded', 1)
  t.equal((await house.counts()).sum('sessions_active'), 3)
  await reads(0, 0.91)
  await reads(0, 0.91)
  await reads(0, 0.5)
  await house.counted('closed', 'stream_errors_total', 1, { condition: 'resource-constraint', by: 'gate' })
  dear?.transport.resume()
  const last = (await dear?.toTheEnd())?.slice(-3)
  t.match(last, [/error\[resource-constraint text.*memory/, 'close', 'gone'], 'it is told why')
  await house.counted('closed', 'sessions_closed_total', 1, { cause: 'overload', listener: 'direct' })
  for (const client of others) client.transport.destroy()
  await house.counted('the others went by themselves', 'sessions_closed_total', 2, { cause: 'client-lost' })
  await house.calls('plain').hears(features)

  const quiet = await House.open(t, {})
  const oldest = await quiet.calls('plain').hears(features)
  const newest = await quiet.calls('plain').hears(features)
  quiet.readings.heap = 0.99
  quiet.clock.advance(500)
  t.match(await newest.end(), /<resource-constraint .*<\/stream:error><\/stream:stream>$/)
  t.notOk(oldest.ended, 'one at a time')
  quiet.clock.advance(250)
  t.match(await oldest.end(), /<resource-constraint /)
  await quiet.counted('closed', 'streams_closed_total', 2, { cause: 'overload', side: 'client' })
})

t.test('the gate goes in an orderly way', async t => {
  const house = await House.open(t, { drain: { notReady: 10_000, spread: 6_000, deadline: 4_000 } })
  const callers = [await house.calls('plain').hears(features), await house.calls('starttls').hears('</starttls>')]
  t.equal(await house.ready(), 200)
  let isOver = false
  const stopped = house.proxy.stop().then(() => {
    isOver = true
  })
  t.equal(await house.ready(), 503, 'not ready at once')
  callers.push(await house.calls('plain').hears(features))
  t.equal((await upgrade(house.port('forwarded'), '192.0.2.1')).status, 101, 'who comes all the same is served')
  house.clock.advance(9_999)
  await (await house.calls('plain').hears(features)).leaves()
  await house.counted('served', 'streams_active', 4, { side: 'client' })
  house.clock.advance(1)
  for (const name of ['plain', 'direct', 'ws', 'forwarded'] as const)
    await until(`${name} is closed`, async () => {
      const late = house.calls(name, '')
      const code = await new Promise(resolve => {
        late.socket.once('error', error => resolve((error as { code?: string }).code))
        late.socket.once('connect', () => resolve(undefined))
      })
      late.socket.destroy()
      return code === 'ECONNREFUSED'
    })
  const told = () => callers.map(({ text }) => text.includes('system-shutdown'))
  await callers[0]?.hears('system-shutdown')
  t.strictSame(told(), [true, false, false], 'one after the other')
  house.clock.advance(1_499)
  t.equal(await house.ready(), 503)
  t.strictSame(told(), [true, false, false])
  house.clock.advance(1)
  await callers[1]?.hears('system-shutdown')
  t.strictSame(told(), [true, true, false])
  await until('the next wait', () => turn(house.clock.timers === 2))
  house.clock.advance(1_500)
  await callers[2]?.hears('system-shutdown')
  for (const caller of callers) t.match(await caller.end(), /<\/stream:stream>$/, 'nothing was cut off')
  // The WebSocket does not answer.
  await until('the next wait', () => turn(house.clock.timers === 2))
  house.clock.advance(1_500)
  await house.counted('told', 'stream_errors_total', 4, { condition: 'system-shutdown', by: 'gate' })
  await until('the last wait', () => turn(house.clock.timers === 2))
  house.clock.advance(3_999)
  await house.counted('it is waited for', 'streams_active', 1)
  t.notOk(isOver)
  house.clock.advance(1)
  await within('the end', stopped)
})

t.test('a second signal, whichever, ends it at once', async t => {
  const folder = t.testdir({
    'gate.yaml': `
listeners:
  - { kind: tcp, address: 127.0.0.1, port: 0, tls: { mode: none } }
admin: { address: 127.0.0.1, port: 0 }
upstreams:
  main: { address: 127.0.0.1, port: 1, tls: { mode: none } }
routes:
  - { domain: localhost, upstream: main }
limits:
  drain: { notReadySeconds: 3600 }
`,
  })
  await writeCertificate(folder, ['localhost'])
  const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url))
  for (const [first, second] of [
    ['SIGTERM', 'SIGTERM'],
    ['SIGTERM', 'SIGINT'],
  ] as const) {
    const child = spawn(process.execPath, [cli, 'serve', '--config', 'gate.yaml'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(() => child.kill('SIGKILL'))
    let admin = 0
    for await (const line of createInterface({ input: child.stdout })) {
      admin = JSON.parse(line).admin?.port ?? 0
      if (admin > 0) break
    }
    child.kill(first)
    const ready = async () => (await fetch(`http://127.0.0.1:${admin}/readyz`)).status
    await until('not ready', async () => (await ready()) === 503)
    child.kill(second)
    const [status, signal] = await within('the end', once(child, 'exit'))
    t.strictSame([status, signal], [null, second])
  }
})

t.test('in an application of one’s own it is asked at the upgrade', async t => {
  const app = fastify({ trustProxy: '127.0.0.1' })
  t.teardown(() => app.close())
  app.get('/', async () => 'the application')
  const upstream = new Upstream()
  t.teardown(() => upstream.server.close())
  await app.register(stanzagate, {
    upstreams: { main: { address: '127.0.0.1', port: await upstream.port(), tls: { mode: 'none' } } },
    routes: [{ domain: 'localhost', upstream: 'main' }],
    limits: { exempt: [], connections: { perAddress: 1 } },
    metricsPath: '/metrics',
  })
  const base = await app.listen({ host: '127.0.0.1', port: 0 })
  const port = Number(new URL(base).port)
  const granted: Socket[] = []
  const ask = async (forwarded?: string) => {
    const answer = await upgrade(port, forwarded, '/xmpp-websocket')
    if (answer.status === 101) granted.push(answer.socket)
    return answer
  }
  t.equal((await ask()).status, 101)
  t.match(await ask(), { status: 429, after: '10' })
  t.equal((await ask('192.0.2.1')).status, 101)
  t.equal((await ask('192.0.2.1')).status, 429)
  t.equal(await (await fetch(base)).text(), 'the application', 'whose other visitors are its own')
  const counts = new Counts(await (await fetch(`${base}/metrics`)).text())
  t.equal(counts.sum('connections_refused_total', { listener: 'fastify', reason: 'address' }), 2)
  for (const socket of granted) socket.destroy()
})
