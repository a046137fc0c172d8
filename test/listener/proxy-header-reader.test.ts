// Proxies in front of the gate and servers behind it, on real sockets: PROXY headers in and out, X-Forwarded-For, host-meta, pings.
import { EventEmitter, once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import fastify, { type FastifyBaseLogger } from 'fastify'
import t from 'tap'
import WebSocket from 'ws'
import type { Listener, Upstream } from '../../src/config/types.ts'
import { Gate } from '../../src/gate.ts'
import { type Refusal, refusals } from '../../src/listener/labels.ts'
import { ProxyHeaderReader } from '../../src/listener/proxy-header-reader.ts'
import { plainServer } from '../../src/listener/tcp.ts'
import { websocketPlugin } from '../../src/listener/websocket.ts'
import { startProxy } from '../../src/proxy.ts'
import type { Addresses } from '../../src/transport/address.ts'
import type { Connection } from '../../src/transport/connection.ts'
import { encodeProxyHeader } from '../../src/transport/proxy-protocol.ts'
import { trustOf } from '../../src/transport/trusted-networks.ts'
import { dial } from '../../src/upstream/dial.ts'
import { within } from '../clients/within.ts'
import { writeCertificate } from '../servers/certificate.ts'

const addresses: Addresses = {
  source: { address: '192.0.2.7', port: 56324 },
  destination: { address: '198.51.100.1', port: 5222 },
}
const line = encodeProxyHeader('v1', addresses)
const binary = encodeProxyHeader('v2', addresses)
const local = encodeProxyHeader('v2', undefined)
const header = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='im.example' version='1.0'>`
const certificate = await writeCertificate(t.testdir(), ['localhost'])
const ca = readFileSync(certificate.cert, 'utf8')

/** A connection as a server is given it, whose every chunk is the test's. */
class Played extends Duplex {
  readonly remotePort = 40000
  readonly localAddress = '127.0.0.1'
  readonly localPort = 5222
  readonly remoteAddress: string

  constructor(remoteAddress: string) {
    super()
    this.remoteAddress = remoteAddress
  }

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: unknown, done: () => void): void {
    done()
  }
}

interface Outcome {
  refused: Refusal | undefined
  passed: Addresses | undefined | 'nobody'
  text: string
  ended: boolean
}

class Stage {
  readonly outcome: Outcome = { refused: undefined, passed: 'nobody', text: '', ended: false }
  readonly socket: Played
  readonly front: ProxyHeaderReader
  /** What the front waits for in milliseconds; `undefined`: nothing. */
  patience: number | undefined
  late: () => void = () => {}

  constructor(peer: string) {
    this.socket = new Played(peer)
    const server = new EventEmitter()
    this.front = new ProxyHeaderReader({
      trusts: trustOf(['10.0.0.0/8']),
      refused: reason => {
        this.outcome.refused = reason
      },
      after: (milliseconds, callback) => {
        this.patience = milliseconds
        this.late = callback
        return () => {
          this.patience = undefined
        }
      },
    })
    server.on('connection', (socket: Socket) => {
      this.outcome.passed = this.front.addressesOf(socket)
      socket.on('data', bytes => {
        this.outcome.text += bytes.toString('latin1')
      })
      socket.on('end', () => {
        this.outcome.ended = true
      })
    })
    this.front.guard(server as Server)
    server.emit('connection', this.socket)
  }

  /** Each chunk is read before the next one comes. */
  async send(chunks: readonly (Buffer | null)[]): Promise<Outcome> {
    for (const chunk of chunks) {
      if (!this.socket.destroyed) this.socket.push(chunk)
      await settled()
    }
    return this.outcome
  }
}

/** Everything that one event of a stream leads to has happened. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
}

function inOnes(bytes: Buffer): Buffer[] {
  return [...bytes].map(byte => Buffer.from([byte]))
}

const trusted = '10.1.2.3'
const mapped = '::ffff:10.1.2.3'
const stranger = '203.0.113.9'
const own = (address: string): Addresses => ({
  source: { address, port: 40000 },
  destination: { address: '127.0.0.1', port: 5222 },
})

t.test('what is passed on, and what is refused', async t => {
  const tls = '\x16\x03\x01\x02\x00'
  const cases: [string, string, Buffer | string, Partial<Outcome>][] = [
    ['v1', trusted, line, { passed: addresses }],
    ['v2', trusted, binary, { passed: addresses }],
    ['v2 from a mapped address', mapped, binary, { passed: addresses }],
    ['v1 and XML', trusted, `${line}<stream>`, { passed: addresses, text: '<stream>' }],
    ['v1 and TLS', trusted, `${line}${tls}`, { passed: addresses, text: tls }],
    ['v1 and a second header', trusted, `${line}${line}`, { passed: addresses, text: line.toString() }],
    ['v2 and a line break', trusted, Buffer.concat([binary, Buffer.from('\r\n')]), { passed: addresses, text: '\r\n' }],
    ['LOCAL', trusted, local, { passed: own(trusted) }],
    ['UNKNOWN', trusted, 'PROXY UNKNOWN\r\nx', { passed: own(trusted), text: 'x' }],
    ['no header', trusted, '<stream>', { refused: 'missing' }],
    ['TLS without a header', trusted, tls, { refused: 'missing' }],
    ['a line of something else', trusted, 'PROXYING', { refused: 'missing' }],
    ['a bad v1', trusted, 'PROXY TCP4 192.0.2.7\r\n', { refused: 'malformed' }],
    ['a bad v2', trusted, Buffer.concat([binary.subarray(0, 12), Buffer.from([0x31])]), { refused: 'malformed' }],
    ['v1 of a stranger', stranger, line, { refused: 'untrusted' }],
    ['v2 of a stranger', stranger, binary, { refused: 'untrusted' }],
    ['the beginning of v1 of a stranger', stranger, 'PROXY ', { refused: 'untrusted' }],
    ['LOCAL of a stranger', stranger, local, { refused: 'untrusted' }],
    ['XML of a stranger', stranger, '<stream>', { passed: own(stranger), text: '<stream>' }],
    ['TLS of a stranger', stranger, tls, { passed: own(stranger), text: tls }],
    ['HTTP of a stranger', stranger, 'POST / HTTP/1.1', { passed: own(stranger), text: 'POST / HTTP/1.1' }],
    ['line breaks of a stranger', stranger, '\r\n\r\n<stream>', { passed: own(stranger), text: '\r\n\r\n<stream>' }],
  ]
  for (const [name, peer, what, expected] of cases) {
    const bytes = typeof what === 'string' ? Buffer.from(what, 'latin1') : what
    for (const [how, chunks] of [['whole', [bytes]] as const, ['byte by byte', inOnes(bytes)] as const]) {
      const stage = new Stage(peer)
      t.equal(stage.patience, 5_000)
      const outcome = await stage.send(chunks)
      t.strictSame(
        outcome,
        { refused: undefined, passed: 'nobody', text: '', ended: false, ...expected },
        `${name}, ${how}`,
      )
      t.equal(stage.patience, undefined, 'it waits no longer')
      t.equal(stage.socket.destroyed, expected.refused !== undefined)
      if (expected.refused !== undefined) continue
      t.match(await stage.send([Buffer.from('more'), null]), { text: `${expected.text ?? ''}more`, ended: true }, name)
    }
  }
})

t.test('those who do not come to the point', async t => {
  const cases: [string, string, (Buffer | null)[], Outcome['refused'] | Outcome['passed']][] = [
    ['a proxy that says nothing', trusted, [], 'timeout'],
    ['a proxy that stops', trusted, inOnes(line.subarray(0, 20)), 'timeout'],
    ['a proxy that ends', trusted, [null], 'missing'],
    ['a proxy that ends in the middle', trusted, [binary.subarray(0, 20), null], 'missing'],
    ['a client that says nothing', stranger, [], own(stranger)],
    ['a client that says a letter', stranger, [Buffer.from('P')], own(stranger)],
    ['a client that ends', stranger, [null], 'nobody'],
    ['a client that ends after a letter', stranger, [Buffer.from('P'), null], 'nobody'],
  ]
  for (const [name, peer, chunks, expected] of cases) {
    const stage = new Stage(peer)
    await stage.send(chunks)
    if (stage.patience !== undefined) stage.late()
    const { refused, passed, text } = stage.outcome
    t.strictSame(refused ?? passed, expected, name)
    t.equal(stage.patience, undefined, name)
    if (passed === 'nobody') {
      t.ok(stage.socket.destroyed, name)
      continue
    }
    t.equal(text + (await stage.send([Buffer.from('<stream>')])).text, `${chunks.join('')}<stream>`, 'nothing is lost')
  }
  const lost = new Stage(trusted)
  lost.socket.destroy(new Error('connection reset'))
  await settled()
  t.equal(lost.outcome.refused, 'missing', 'a proxy whose connection is reset')
  const stopped = new Stage(trusted)
  stopped.front.stop()
  await settled()
  t.ok(stopped.socket.destroyed)
  t.strictSame(
    [stopped.outcome.refused, stopped.patience],
    [undefined, undefined],
    'the gate stops: nobody is to blame',
  )
})

t.test('the gate tells who watches of refused connections, and the client of its sessions', async t => {
  const lines: unknown[] = []
  const note = (line: unknown) => lines.push(line)
  const logger = { info: note, debug: note, warn: note, error: note } as unknown as FastifyBaseLogger
  const tls = { mode: 'none', ca: undefined, servername: undefined } as const
  const rules = { default: 'enforce', modes: new Map(), trustedDomains: [] } as const
  const upstreams = new Map([['main', { name: 'main', address: '127.0.0.1', port: 1, tls }]])
  const gate = new Gate({ upstreams, routes: [{ domain: 'im.example', upstream: 'main' }], rules }, logger)
  t.teardown(() => gate.stop())
  const server = plainServer(undefined, gate.serve('clients', false), gate.proxyHeaders('clients', ['127.0.0.1']))
  const port = await listening(t, server)
  const refused = connect(port, '127.0.0.1').end('<stream>')
  await within('the end', once(refused, 'close'))
  t.strictSame(lines, [{ listener: 'clients', address: '127.0.0.1', reason: 'missing' }])
  const served = connect(port, '127.0.0.1')
  served.write(Buffer.concat([binary, Buffer.from(header)]))
  await within('an answer', once(served, 'data'))
  t.match(lines[1], { listener: 'clients', client: '192.0.2.7', report: 'stream-opened' })
  served.destroy()
  const body = await gate.metrics.registry.metrics()
  const counts = refusals.map(reason => {
    const series = `stanzagate_proxy_protocol_refused_total{listener="clients",reason="${reason}"} `
    return [
      reason,
      body
        .split('\n')
        .find(line => line.startsWith(series))
        ?.slice(series.length),
    ]
  })
  t.strictSame(Object.fromEntries(counts), { untrusted: '0', missing: '1', malformed: '0', timeout: '0' })
})

t.test('from the front to the upstream', async t => {
  const upstream = await startUpstream(t)
  const to = (proxyProtocol: 'v1' | 'v2' | undefined, mode: Upstream['tls']['mode'] = 'none'): Upstream => {
    const tls = { mode, ca: undefined, servername: undefined }
    return { name: 'main', address: '127.0.0.1', port: upstream.port, tls, ...(proxyProtocol && { proxyProtocol }) }
  }
  const at = { address: '127.0.0.1', port: 0 }
  const believed = { proxyProtocol: { trusted: ['127.0.0.1'] } }
  const websocket = { kind: 'websocket', path: '/ws', tls: undefined, origins: undefined, ...at } as const
  const listeners: Listener[] = [
    { kind: 'tcp', name: 'none', tls: { mode: 'none' }, ...at, ...believed },
    { kind: 'tcp', name: 'bare', tls: { mode: 'none' }, ...at },
    { kind: 'tcp', name: 'dual', tls: { mode: 'none' }, address: '::ffff:127.0.0.1', port: 0 },
    { kind: 'tcp', name: 'starttls', tls: { mode: 'starttls', ...certificate }, ...at, ...believed },
    { kind: 'tcp', name: 'direct', tls: { mode: 'direct', ...certificate }, ...at, ...believed },
    { ...websocket, name: 'ws', ...believed },
    { ...websocket, name: 'named', ...believed, address: 'localhost' },
    { ...websocket, name: 'wss', ...believed, tls: certificate },
    { ...websocket, name: 'forwarded', forwardedFor: { trusted: ['127.0.0.1'] } },
    { ...websocket, name: 'both', ...believed, forwardedFor: { trusted: ['192.0.2.7'] } },
    { ...websocket, name: 'plain' },
  ]
  const start = async (upstream: Upstream) => {
    const proxy = await startProxy({
      listeners,
      admin: undefined,
      upstreams: new Map([['main', upstream]]),
      routes: [{ domain: 'im.example', upstream: 'main' }],
      rules: { default: 'enforce', modes: new Map(), trustedDomains: [] },
      log: { level: 'silent' },
    })
    t.teardown(() => proxy.stop())
    return (name: string) => proxy.listeners.find(bound => bound.name === name)?.port ?? 0
  }
  const port = await start(to('v1'))
  const told = 'PROXY TCP4 192.0.2.7 198.51.100.1 56324 5222\r\n'
  const direct = (name: string, own: number | string, source = '127.0.0.1') =>
    `PROXY TCP4 ${source} 127.0.0.1 ${own} ${port(name)}\r\n`
  const seen = async (socket: Socket) => {
    const first = await upstream.next()
    socket.destroy()
    return first.toString('latin1')
  }
  const plain = async (name: string, head: Buffer, options: object = {}, of = port) => {
    const socket = connect({ port: of(name), host: '127.0.0.1', ...options })
    await once(socket, 'connect')
    const { localPort } = socket
    socket.write(Buffer.concat([head, Buffer.from(header)]))
    return { localPort, first: await seen(socket) }
  }
  t.equal((await plain('none', line)).first, told, 'v1 in, v1 out')
  t.equal((await plain('none', binary)).first, told, 'v2 in, v1 out')
  for (const [name, head, options, source] of [
    ['none', local, {}, '127.0.0.1'],
    ['none', Buffer.alloc(0), { localAddress: '127.0.0.2' }, '127.0.0.2'],
    ['bare', Buffer.alloc(0), {}, '127.0.0.1'],
    ['dual', Buffer.alloc(0), {}, '127.0.0.1'],
  ] as const) {
    const { localPort, first } = await plain(name, head, options)
    t.equal(first, direct(name, localPort ?? '', source), `a client without a word about it: ${name} ${source}`)
  }

  const slow = connect(port('direct'), '127.0.0.1').setNoDelay(true)
  for (const byte of inOnes(binary)) await new Promise(resolve => slow.write(byte, resolve))
  const secure = connectTls({ socket: slow, ca, servername: 'localhost', ALPNProtocols: ['xmpp-client'] })
  await within('TLS', once(secure, 'secureConnect'))
  secure.write(header)
  t.equal(await seen(secure), told, 'before TLS')

  const starttls = connect(port('starttls'), '127.0.0.1')
  starttls.write(`${line}${header}`)
  await within('features', said(starttls, '</stream:features>'))
  starttls.write(`<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`)
  await within('proceed', said(starttls, '<proceed'))
  starttls.removeAllListeners('data')
  const upgraded = connectTls({ socket: starttls, ca, servername: 'localhost' })
  await within('STARTTLS', once(upgraded, 'secureConnect'))
  upgraded.write(header)
  t.equal(await seen(upgraded), told, 'before STARTTLS')

  /** Over a connection that begins with `head`; what the upstream is told, and from which port the client came. */
  const overWebsocket = async (name: string, head: Buffer, headers: Record<string, string> = {}, source?: string) => {
    const isSecure = name === 'wss'
    const below = connect({ port: port(name), host: '127.0.0.1', ...(source && { localAddress: source }) })
    await once(below, 'connect')
    const { localPort } = below
    below.write(head)
    const createConnection = () =>
      isSecure ? connectTls({ socket: below, ca, servername: 'localhost', ALPNProtocols: ['http/1.1'] }) : below
    const socket = new WebSocket(`${isSecure ? 'wss' : 'ws'}://localhost/ws`, ['xmpp'], { createConnection, headers })
    await within('a WebSocket', once(socket, 'open'))
    socket.send(`<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='im.example' version='1.0'/>`)
    const first = (await upstream.next()).toString('latin1')
    socket.terminate()
    return { localPort, first }
  }
  const nothing = Buffer.alloc(0)
  const forwarded = { 'x-forwarded-for': '203.0.113.66, 203.0.113.5' }
  for (const name of ['ws', 'wss', 'named']) {
    t.equal((await overWebsocket(name, line)).first, told, `${name}: v1 before HTTP`)
    t.equal(
      (await overWebsocket(name, binary, forwarded)).first,
      told,
      `${name}: v2, and X-Forwarded-For is nobody's word`,
    )
  }
  t.equal((await overWebsocket('both', binary, forwarded)).first, `PROXY TCP4 203.0.113.5 198.51.100.1 0 5222\r\n`)
  const untold = await overWebsocket('both', nothing, forwarded, '127.0.0.2')
  t.equal(untold.first, direct('both', untold.localPort ?? '', '127.0.0.2'), 'a stranger is believed nothing')
  t.equal((await overWebsocket('forwarded', nothing, forwarded)).first, direct('forwarded', 0, '203.0.113.5'))
  const six = { 'x-forwarded-for': '2001:db8::7' }
  t.equal(
    (await overWebsocket('forwarded', nothing, six)).first,
    `PROXY TCP6 2001:db8::7 ::ffff:127.0.0.1 0 ${port('forwarded')}\r\n`,
  )
  const distrusted = await overWebsocket('forwarded', nothing, forwarded, '127.0.0.3')
  t.equal(distrusted.first, direct('forwarded', distrusted.localPort ?? '', '127.0.0.3'))
  const unasked = await overWebsocket('plain', nothing, forwarded)
  t.equal(unasked.first, direct('plain', unasked.localPort ?? ''), 'nobody is trusted unless configured')

  const portOfTwo = await start(to('v2'))
  t.equal((await plain('none', line, {}, portOfTwo)).first, binary.toString('latin1'), 'v1 in, v2 out')
  const portOfTls = await start(to('v2', 'direct'))
  const { first } = await plain('none', line, {}, portOfTls)
  t.equal(first, `${binary.toString('latin1')}\x16`, 'before the TLS to the upstream')
  const portOfNone = await start(to(undefined))
  t.equal((await plain('none', line, {}, portOfNone)).first, '<', 'an upstream that expects none is told none')
})

t.test('stop waits for no header', async t => {
  const proxy = await startProxy({
    listeners: [
      {
        kind: 'tcp',
        name: 'tcp',
        tls: { mode: 'none' },
        address: '127.0.0.1',
        port: 0,
        proxyProtocol: { trusted: ['127.0.0.1'] },
      },
    ],
    admin: undefined,
    upstreams: new Map(),
    routes: [],
    rules: { default: 'enforce', modes: new Map(), trustedDomains: [] },
    log: { level: 'silent' },
  })
  const silent = connect(proxy.listeners[0]?.port ?? 0, '127.0.0.1')
  await once(silent, 'connect')
  silent.write('PROXY ')
  await settled()
  await within('the end of the gate', proxy.stop(), 4_000)
  t.pass()
})

t.test('an upstream behind TLS is dialled with the header in front of it', async t => {
  const server = createTlsServer({ cert: ca, key: readFileSync(certificate.key) }, socket => socket.end())
  const front = new ProxyHeaderReader({ trusts: () => true, refused: () => {} })
  front.guard(server)
  const port = await listening(t, server)
  const target = { address: '127.0.0.1', port, ca, servername: 'localhost', mode: 'direct' } as const
  const asked = within('a client', once(server, 'secureConnection'))
  const connection = await new Promise<Connection>((resolve, reject) => {
    dial({ ...target, proxyProtocol: 'v2' }, { domain: 'im.example', client: addresses }, resolve, reject)
  })
  t.teardown(() => connection.abort())
  t.match(connection, { wire: 'tcp', addresses: undefined })
  const [socket] = await asked
  t.strictSame(front.addressesOf(socket), addresses)
  const reasons: string[] = []
  for (const [servername, at] of [
    ['other.example', port],
    ['localhost', await closedPort()],
  ] as const) {
    const toNobody = { ...target, servername, port: at, proxyProtocol: 'v1' } as const
    reasons.push(
      await new Promise<string>((resolve, reject) => {
        dial(toNobody, { domain: 'im.example', client: addresses }, () => reject(new Error('connected')), resolve)
      }),
    )
  }
  t.strictSame(reasons, ['tls', 'refused'])
})

t.test('host-meta names the WebSocket to any web page; nothing else does', async t => {
  const url = 'wss://chat.example/ws?a=1&b=2'
  const at = {
    kind: 'websocket',
    address: '127.0.0.1',
    port: 0,
    tls: undefined,
    origins: ['https://chat.example'],
  } as const
  const proxy = await startProxy({
    listeners: [
      { ...at, name: 'told', path: '/ws', url },
      { ...at, name: 'untold', path: '/ws' },
    ],
    admin: undefined,
    upstreams: new Map(),
    routes: [],
    rules: { default: 'enforce', modes: new Map(), trustedDomains: [] },
    log: { level: 'silent' },
  })
  t.teardown(() => proxy.stop())
  const ask = async (listener: number, path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${proxy.listeners[listener]?.port}${path}`, {
      method,
      headers: { origin: 'https://elsewhere.example' },
    })
    const { status, headers } = response
    const [type, origin] = [headers.get('content-type'), headers.get('access-control-allow-origin')]
    return { status, type, origin, body: await response.text() }
  }
  const xrd = await ask(0, '/.well-known/host-meta')
  t.strictSame(xrd, {
    status: 200,
    type: 'application/xrd+xml; charset=utf-8',
    origin: '*',
    body: `<?xml version="1.0" encoding="utf-8"?>
<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">
  <Link rel="urn:xmpp:alt-connections:websocket" href="wss://chat.example/ws?a=1&amp;b=2"/>
</XRD>
`,
  })
  const jrd = await ask(0, '/.well-known/host-meta.json')
  t.match(jrd, { status: 200, type: 'application/json; charset=utf-8', origin: '*' })
  t.strictSame(JSON.parse(jrd.body), { links: [{ rel: 'urn:xmpp:alt-connections:websocket', href: url }] })
  for (const [listener, path, method, status] of [
    [0, '/ws', 'GET', 426],
    [0, '/', 'GET', 404],
    [0, '/.well-known/', 'GET', 404],
    [0, '/.well-known/host-meta', 'POST', 404],
    [1, '/.well-known/host-meta', 'GET', 404],
    [1, '/.well-known/host-meta.json', 'GET', 404],
  ] as const) {
    const { status: answered, origin } = await ask(listener, path, method)
    t.strictSame([answered, origin], [status, null], `${method} ${path} at ${listener}`)
  }
})

t.test('WebSockets are pinged, and those that are gone are ended', async t => {
  const app = fastify()
  t.teardown(() => app.close())
  const every: [number, () => void][] = []
  const served: string[] = []
  const sockets: Socket[] = []
  app.server.on('upgrade', (_request, socket: Socket) => sockets.push(socket))
  let stopped = false
  await app.register(websocketPlugin, {
    path: '/ws',
    origins: undefined,
    maxMessage: 1_000,
    serve: connection => {
      served.push(connection.addresses?.source.address ?? 'nobody')
      connection.start({
        data() {},
        drained() {},
        stalled() {},
        secured() {},
        ended() {},
        closed: () => served.push('closed'),
        wrote() {},
      })
    },
    every: (milliseconds, callback) => {
      every.push([milliseconds, callback])
      return () => {
        stopped = true
      }
    },
  })
  const url = `${(await app.listen({ host: '127.0.0.1', port: 0 })).replace('http', 'ws')}/ws`
  const open = async (autoPong: boolean) => {
    const client = new WebSocket(url, ['xmpp'], { autoPong })
    t.teardown(() => client.terminate())
    await within('a WebSocket', once(client, 'open'))
    return client
  }
  const silent = await open(false)
  const ended = once(silent, 'close')
  const answering = await open(true)
  t.strictSame(
    every.map(([milliseconds]) => milliseconds),
    [45_000],
    'one timer for all, below the 60 s of proxies',
  )
  const round = every[0]?.[1] ?? (() => {})
  for (let number = 1; number <= 2; number++) {
    const pong = within('a pong', once(sockets[1] as Socket, 'data'))
    const pings = [silent, answering].map(client => within('a ping', once(client, 'ping')))
    round()
    await Promise.all([...pings, pong])
  }
  const third = once(answering, 'ping')
  round()
  t.equal((await within('the end of the silent one', ended))[0], 1006)
  await within('a third ping', third)
  t.equal(answering.readyState, answering.OPEN)
  t.strictSame(served, ['127.0.0.1', '127.0.0.1', 'closed'])
  answering.terminate()
  await app.close()
  t.ok(stopped)
})

t.test('in an application, the client is whom the application takes it for', async t => {
  const app = fastify({ trustProxy: '127.0.0.1' })
  t.teardown(() => app.close())
  const clients: (Addresses | undefined)[] = []
  await app.register(websocketPlugin, {
    path: '/ws',
    origins: undefined,
    maxMessage: 1_000,
    serve: connection => {
      clients.push(connection.addresses)
      connection.abort()
    },
  })
  const origin = await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const ports: (number | undefined)[] = []
  for (const told of ['192.0.2.7', 'nonsense', undefined]) {
    const headers = {
      ...{ connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
      ...{ 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-protocol': 'xmpp' },
      ...(told !== undefined && { 'x-forwarded-for': told }),
    }
    const asking = request(`${origin}/ws`, { headers }).end()
    const [, socket] = await within('an upgrade', once(asking, 'upgrade'))
    ports.push(socket.localPort)
    socket.destroy()
  }
  const destination = { address: '127.0.0.1', port }
  t.strictSame(clients, [
    { source: { address: '192.0.2.7', port: 0 }, destination },
    undefined,
    { source: { address: '127.0.0.1', port: ports[2] }, destination },
  ])
})

interface Teardowns {
  teardown(action: () => unknown): unknown
}

async function listening(t: Teardowns, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Takes what each connection begins with: a PROXY header if there is one, and else a byte; then one of TLS. */
async function startUpstream(t: Teardowns): Promise<{ port: number; next(): Promise<Buffer> }> {
  const firsts: Buffer[] = []
  const news = new EventEmitter()
  const server = createServer(socket => {
    let held = Buffer.alloc(0)
    socket.on('error', () => {}) // the client goes as soon as it is seen
    socket.on('data', function read(bytes) {
      held = Buffer.concat([held, bytes])
      const first = beginning(held)
      if (first === undefined) return
      socket.off('data', read).destroy()
      firsts.push(first)
      news.emit('first')
    })
  })
  const port = await listening(t, server)
  const next = async () => {
    if (firsts.length === 0) await within('a connection to the upstream', once(news, 'first'))
    return firsts.shift() as Buffer
  }
  return { port, next }
}

function beginning(bytes: Buffer): Buffer | undefined {
  const isBinary = bytes[0] === 0x0d
  const end = isBinary
    ? 16 + (bytes.length < 16 ? 0 : bytes.readUInt16BE(14))
    : bytes[0] === 0x50
      ? bytes.indexOf('\n') + 1
      : 0
  if (bytes.length <= end || (bytes[0] === 0x50 && end === 0)) return undefined
  return bytes.subarray(0, bytes[end] === 0x16 || end === 0 ? end + 1 : end)
}

/** Everything said until it holds the text. */
async function said(socket: Socket, text: string): Promise<void> {
  let heard = ''
  while (!heard.includes(text)) heard += String((await once(socket, 'data'))[0])
}
