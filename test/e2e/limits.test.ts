// What each limit does on a real connection. Limits are small here; what is waited for is what has to happen, not time.
import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import WebSocket from 'ws'
import { defaultLimits, type Limits } from '../../src/config/limits.ts'
import { auth, bind, type Item, type RawClient } from '../clients/raw.ts'
import { within } from '../clients/within.ts'
import { Gate, makeCertificate, makeProsody, wires } from './gate.ts'

const certificate = await makeCertificate(t)
const prosody = await makeProsody(t, { accounts: { romeo: 'secret', juliet: 'secret' } })

/** A gate whose limits are the usual ones but for these. */
function gateWith(limits: { [K in keyof Limits]?: Partial<Limits[K]> }): Promise<Gate> {
  const all = Object.entries(defaultLimits).map(([key, value]) => {
    const own = limits[key as keyof Limits]
    return [key, typeof value === 'object' && !Array.isArray(value) ? { ...value, ...(own as object) } : (own ?? value)]
  })
  return Gate.start(t, certificate, prosody, { limits: Object.fromEntries(all) })
}

/** The stream error among the last things said. */
function conditionOf(lines: readonly string[]): string {
  return /streams\}error\[(?:\{[^}]*\})?([\w-]+)/.exec(lines.join('\n'))?.[1] ?? lines.join(' | ')
}

t.test('a header is due', async t => {
  const gate = await gateWith({ times: { header: 50 } })
  for (const wire of ['plain', ...wires] as const) {
    const client = await gate.connect(wire)
    const said = await client.toTheEnd()
    t.equal(conditionOf(said), 'connection-timeout', wire)
    t.equal(said[0], 'open', `${wire}: the gate's own header comes first`)
  }
  const counts = await gate.counted('streams', counts => counts.sum('streams_active') === 0)
  t.ok(counts.sum('streams_closed_total', { cause: 'timeout' }) >= 5)
})

t.test('a resource is to be bound', async t => {
  const gate = await gateWith({ times: { bound: 500 } })
  const client = await gate.connect('plain')
  await client.opened()
  t.equal(conditionOf(await client.toTheEnd()), 'connection-timeout')
  const bound = await gate.login('plain', 'romeo', 'quick')
  t.same(await bound.settled(), [], 'who is bound is no longer asked')
})

t.test('a TLS handshake is to be made', async t => {
  const gate = await gateWith({ times: { tls: 50 } })
  const direct = connect(gate.port('direct'), '127.0.0.1')
  direct.on('error', () => {})
  await within('the end of a connection without a handshake', once(direct, 'close'))
  const starttls = await gate.connect('plain')
  starttls.transport.destroy()
  const raw = connect(gate.port('starttls'), '127.0.0.1')
  raw.on('error', () => {})
  raw.write(
    "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
  )
  raw.resume()
  await within('the end of a connection after <starttls/>', once(raw, 'close'))
  t.pass('both ended')
})

t.test('an element that was begun has to be ended', async t => {
  const gate = await gateWith({ times: { stanza: 100 } })
  for (const wire of ['plain', 'direct'] as const) {
    const client = await gate.login(wire, 'romeo', 'slow')
    client.send("<message to='juliet@localhost'><body>half")
    t.equal(conditionOf(await client.toTheEnd()), 'connection-timeout', wire)
  }
  const socket = new WebSocket(gate.url('ws'), ['xmpp'])
  await within('a WebSocket', once(socket, 'open'))
  const said: string[] = []
  socket.on('message', data => said.push(String(data)))
  socket.send("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' ", { fin: false })
  await within('the end', once(socket, 'close'))
  t.match(said.join(''), /^<open [^>]*>.*<connection-timeout/s, 'a message in fragments')
  const trickler = new WebSocket(gate.url('ws'), ['xmpp'])
  await within('a WebSocket', once(trickler, 'open'))
  const trickle = setInterval(() => {
    if (trickler.readyState !== WebSocket.OPEN) return
    trickler.send(' ', { fin: false })
    trickler.ping()
  }, 20)
  await within('the end of one that pings between fragments', once(trickler, 'close'))
  clearInterval(trickle)
})

t.test('who takes nothing is cut off, and the others go on', async t => {
  const gate = await gateWith({ times: { slow: 1_000 } })
  const peer = await gate.login('plain', 'juliet', 'peer')
  for (const wire of ['direct', 'ws'] as const) {
    const deaf = await gate.login(wire, 'romeo', 'deaf')
    await deaf.appear()
    deaf.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
    const id = (await deaf.named('enabled')).attrs.get('id')
    deaf.transport.pause()
    const before = (await gate.metrics()).sum('sessions_closed_total', { cause: 'slow-client' })
    const body = 'x'.repeat(200_000)
    // Until the kernel's buffers are full, whose size it chooses itself; the peer is answered all the while.
    const message = `<message xmlns='jabber:client' to='${deaf.jid}' type='headline'><body>${body}</body></message>`
    const isClosed = async () => (await gate.metrics()).sum('sessions_closed_total', { cause: 'slow-client' }) > before
    while (!(await isClosed())) {
      for (let i = 0; i < 5; i++) peer.send(message)
      t.ok(Array.isArray(await peer.settled()), `${wire}: the others are answered`)
    }
    deaf.transport.destroy()

    const again = await gate.connect(wire)
    await again.opened()
    again.send(auth('romeo'))
    await again.named('success')
    await again.opened()
    again.send(`<resume xmlns='urn:xmpp:sm:3' previd='${id}' h='0'/>`)
    t.equal((await again.named('resumed')).attrs.get('previd'), id, `${wire}: the session is resumed`)
    again.send(again.endTag)
    await again.toTheEnd()
  }
})

t.test('who says too much is read more slowly, and nothing is lost', async t => {
  const gate = await gateWith({ rate: { stanzas: { perSecond: 50, burst: 10 } } })
  const many = await gate.login('plain', 'romeo', 'many')
  const other = await gate.login('plain', 'juliet', 'other')
  const pings = Array.from({ length: 100 }, (_, i) => `<iq type='get' id='p${i}'><ping xmlns='urn:xmpp:ping'/></iq>`)
  many.send(pings.join(''))
  t.same(await other.settled(), [], 'another is not held up')
  const shown = many.inbox.until(
    'the last answer',
    item => item.item === 'element' && item.element.attrs.get('id') === 'p99',
  )
  const ids = (await shown).flatMap(item => (item.item === 'element' ? [item.element.attrs.get('id')] : []))
  t.same(
    ids,
    pings.map((_, i) => `p${i}`),
    'in order',
  )
})

t.test('who has not logged in is read more slowly still, and nobody waits for who says much', async t => {
  const gate = await gateWith({ rate: { beforeLogin: { perSecond: 200, burst: 10 } } })
  const stranger = await gate.connect('plain')
  await stranger.opened()
  const asks = Array.from({ length: 60 }, (_, i) => `<iq type='get' id='a${i}'><query xmlns='jabber:iq:auth'/></iq>`)
  stranger.send(asks.join(''))
  const honest = await gate.login('ws', 'romeo', 'honest')
  t.same(await honest.settled(), [])
  const isLast = (item: Item) => item.item === 'element' && item.element.attrs.get('id') === 'a59'
  const answers = await stranger.inbox.until('the last answer', isLast)
  t.equal(answers.filter(item => item.item === 'element').length, asks.length, 'each is answered')

  const many = await gate.login('plain', 'juliet', 'many')
  const bad = `<presence type='x'/>`.repeat(20_000)
  many.send(`${bad}<iq type='get' id='behind'><ping xmlns='urn:xmpp:ping'/></iq>`)
  t.same(await honest.settled(), [], 'a flood of one is no silence for another')
  const isBehind = (item: Item) => item.item === 'element' && item.element.attrs.get('id') === 'behind'
  const all = await many.inbox.until('what stands behind the flood', isBehind)
  t.equal(
    all.filter(item => item.item === 'element' && item.element.name === 'presence').length,
    20_000,
    'all in order',
  )
})

t.test('what was said before the end of a connection is heard', async t => {
  const gate = await gateWith({})
  const juliet = await gate.login('plain', 'juliet', 'listening')
  for (const wire of ['plain', 'ws'] as const) {
    const romeo = await gate.login(wire, 'romeo', wire)
    const message = (id: string) => `<message xmlns='jabber:client' to='${juliet.jid}' id='${id}' type='headline'/>`
    for (let i = 0; i < 500; i++) romeo.send(message(`${wire}-${i}`))
    romeo.transport.end()
    await juliet.withId(`${wire}-499`)
    t.pass(wire)
  }
})

t.test('logins, sessions and what an element may have', async t => {
  const gate = await gateWith({ loginFailures: 2, resources: 2, client: { bytes: 10_000, elements: 20 } })
  const guesser = await gate.connect('plain')
  await guesser.opened()
  for (let i = 0; i < 2; i++) {
    guesser.send(auth('romeo', 'wrong'))
    await guesser.named('failure')
  }
  t.equal(conditionOf(await guesser.toTheEnd()), 'policy-violation', 'the second failure')

  const first = await gate.login('plain', 'romeo', 'one')
  const second = await gate.login('ws', 'romeo', 'two')
  const third = await gate.connect('plain')
  await third.opened()
  third.send(auth('romeo'))
  await third.named('success')
  await third.opened()
  third.send(bind('three'))
  const lines = await third.toTheEnd()
  t.match(
    lines[0],
    /^iq\(id=bind type=error\)\[error\(by=localhost type=wait\)\[resource-constraint/,
    'the third session',
  )
  t.equal(conditionOf(lines), 'policy-violation')
  t.same(await first.settled(), [])
  second.transport.destroy()
  await gate.counted('one session', counts => counts.sum('sessions_active') === 1)
  t.same(await (await gate.login('plain', 'romeo', 'four')).settled(), [], 'one has gone, another may come')

  const wide = (elements: number) =>
    `<message xmlns='jabber:client' to='juliet@localhost'>${'<a xmlns="x"/>'.repeat(elements - 1)}</message>`
  first.send(wide(20))
  t.same(await first.settled(), [])
  first.send(wide(21))
  t.equal(conditionOf(await first.toTheEnd()), 'policy-violation', 'an element too many')
})

t.test('a silent client is pinged', async t => {
  const gate = await gateWith({ times: { idle: 100 } })
  const client = await gate.login('plain', 'romeo', 'silent')
  await client.inbox.find('white space', item => item.item === 'whitespace')
  t.same(await client.settled(), [])
})

t.test('requests for a WebSocket', async t => {
  const gate = await gateWith({ http: { headerBytes: 1_024, header: 100, request: 100 }, fragments: 3 })
  const answerTo = async (request: string) => {
    const socket = connect(gate.port('ws'), '127.0.0.1')
    const bytes: Buffer[] = []
    socket.on('data', data => bytes.push(data)).on('error', () => {})
    socket.write(request)
    await within('the end of a request', once(socket, 'close'))
    return Buffer.concat(bytes).toString().split('\r\n')[0]
  }
  const path = 'GET /xmpp-websocket HTTP/1.1\r\nHost: localhost\r\n'
  t.match(await answerTo(`${path}X: ${'x'.repeat(1_100)}\r\n\r\n`), /^HTTP\/1.1 431/, 'a long header')
  t.match(await answerTo(path), /^HTTP\/1.1 408/, 'a header without end')
  const old =
    'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n'
  t.match(await answerTo(`${path.replace('1.1', '1.0')}${old}`), /^HTTP\/1.1 400/, 'an upgrade of HTTP/1.0')
  const socket = new WebSocket(gate.url('ws'), ['xmpp'])
  await within('a WebSocket', once(socket, 'open'))
  for (let i = 0; i < 5; i++) socket.send(' ', { fin: false })
  const [code] = await within('the end', once(socket, 'close'))
  t.equal(code, 1008, 'fragments')
})

t.test('subscription requests of an account within an hour', async t => {
  const gate = await Gate.start(t, certificate, prosody, { limits: { requestsPerHour: 2 } })
  const one = await gate.login('starttls', 'romeo', 'one')
  const two = await gate.login('ws', 'romeo', 'two')
  const juliet = await gate.login('ws', 'juliet', 'balcony')
  const asks = (client: RawClient, id: string) => {
    client.send(`<presence xmlns='jabber:client' id='${id}' to='${id}@stanzagate.invalid' type='subscribe'/>`)
    return client.settled()
  }
  for (const [client, id] of [
    [one, 'a'],
    [two, 'b'],
  ] as const)
    t.notMatch((await asks(client, id)).join('\n'), /policy-violation/, 'what it may')
  for (const client of [one, two]) {
    const [refusal] = (await asks(client, 'c')).filter(line => line.includes('policy-violation'))
    t.match(refusal, /presence\(from=c@stanzagate\.invalid.*id=c.*type=error.*\berror\(.*type=wait.*Try again later/)
  }
  t.notMatch((await asks(juliet, 'd')).join('\n'), /policy-violation/, 'another account asks for itself')
  const counts = await gate.metrics()
  t.equal(counts.sum('rule_decisions_total', { rule: 'outbound-requests', verdict: 'reject' }), 2)
  for (const client of [one, two, juliet]) client.transport.destroy()
})
