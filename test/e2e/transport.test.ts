// The edges of the wires: what a client may do to its transport, and what it may not.
import t from 'tap'
import { child } from '../../src/xml/element.ts'
import { connectPipelined } from '../clients/pipelined.ts'
import { auth, bind, connectTcp, connectWebsocket, outline, type RawClient, starttls } from '../clients/raw.ts'
import { Gate, makeCertificate, makeProsody, wires, writeRoster } from './gate.ts'

const certificate = await makeCertificate(t)
const users = ['romeo', 'juliet', 'popular']
const prosody = await makeProsody(t, {
  registration: true,
  accounts: Object.fromEntries(users.map(user => [user, 'secret'])),
})
const gate = await Gate.start(t, certificate, prosody, { origins: ['https://chat.example'] })
const { ca } = gate

/** What it gets to the end of the connection, texts of errors cut off. */
async function rest(client: RawClient): Promise<string[]> {
  const lines = await client.toTheEnd()
  return lines.map(line => line.replace(/^\{http:\/\/etherx.jabber.org\/streams\}error\[([\w-]+).*/, 'error $1'))
}

t.test('direct TLS and ALPN (XEP-0368)', async t => {
  for (const alpn of [undefined, ['xmpp-client'], ['http/1.1', 'xmpp-client']]) {
    const client = await connectTcp(gate.port('direct'), { ca, ...(alpn && { alpn }) })
    await client.login('romeo', `alpn-${alpn?.length ?? 0}`)
    t.match(client.jid, 'romeo@localhost/alpn')
    client.transport.destroy()
  }
  await t.rejects(connectTcp(gate.port('direct'), { ca, alpn: ['http/1.1'] }), /no application protocol/i)
})

t.test('STARTTLS comes first, and nothing said before it counts', async t => {
  const early = await connectTcp(gate.port('starttls'))
  await early.opened()
  early.send(auth('romeo'))
  t.strictSame(await rest(early), ['error not-authorized', 'close', 'gone'])

  const injected = await connectTcp(gate.port('starttls'))
  await injected.opened()
  injected.send(`${starttls}<stream:stream to='localhost' version='1.0'>${auth('romeo')}`)
  await injected.named('proceed')
  t.strictSame(await rest(injected), ['gone'], 'what follows the command is TLS or nothing')

  const pipelined = await connectPipelined(gate.port('starttls'), injected.header(), ca)
  t.equal(pipelined.authorized, true, 'a ClientHello in the same packet as the command')
  pipelined.destroy()
})

t.test('no WebSocket for those who may not have one', async t => {
  const url = gate.url('wss')
  await t.rejects(connectWebsocket(url, { ca, protocols: [] }), /400/, 'no subprotocol')
  await t.rejects(connectWebsocket(url, { ca, protocols: ['xmpp2', 'XMPP'] }), /400/)
  await t.rejects(connectWebsocket(url, { ca, origin: 'https://evil.example' }), /403/)
  await t.rejects(connectWebsocket(url, { ca, origin: 'https://chat.example.evil.example' }), /403/)
  await t.rejects(connectWebsocket(url.replace('xmpp-websocket', 'other'), { ca }), /404/)
  for (const options of [{ ca }, { ca, origin: 'https://chat.example' }, { ca, protocols: ['soap', 'xmpp'] }]) {
    const client = await connectWebsocket(url, options)
    await client.login('romeo', 'browser')
    client.transport.destroy()
  }
})

const framingErrors: readonly (readonly [what: string, message: string, condition: string])[] = [
  [
    'two elements',
    `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/><a xmlns='urn:a'/>`,
    'not-well-formed',
  ],
  ['half an element', `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost'`, 'not-well-formed'],
  [
    'white space first',
    ` <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>`,
    'not-well-formed',
  ],
  ['nothing', '', 'not-well-formed'],
  ['another namespace', `<open xmlns='jabber:client' to='localhost' version='1.0'/>`, 'invalid-namespace'],
  ['no namespace', `<open to='localhost' version='1.0'/>`, 'invalid-namespace'],
  [
    "TCP's header",
    `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'/>`,
    'invalid-namespace',
  ],
  ['a stanza before it', `<presence xmlns='jabber:client'/>`, 'bad-format'],
  ['no domain', `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' version='1.0'/>`, 'improper-addressing'],
  [
    'another domain',
    `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='elsewhere.example' version='1.0'/>`,
    'host-unknown',
  ],
  ['no version', `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost'/>`, 'unsupported-version'],
  [
    'a comment',
    `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'><!-- --></open>`,
    'restricted-xml',
  ],
]

t.test('the first message on a WebSocket', async t => {
  for (const [what, message, condition] of framingErrors) {
    const client = await gate.connect('ws')
    client.send(message)
    t.strictSame(await rest(client), ['open', `error ${condition}`, 'close', 'gone 1000'], what)
  }
  const declared = await gate.connect('ws')
  declared.send(`<?xml version='1.0' encoding='UTF-8'?>${declared.header()}`)
  await declared.named('features')
  declared.send(Buffer.from(auth('romeo')))
  t.strictSame(await rest(declared), ['gone 1003'], 'a binary message')
})

const headerErrors: readonly (readonly [what: string, text: string, condition: string])[] = [
  [
    'another domain',
    `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='elsewhere.example' version='1.0'>`,
    'host-unknown',
  ],
  [
    'a server',
    `<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>`,
    'invalid-namespace',
  ],
  ['no stream', `<html>`, 'invalid-namespace'],
  ['HTTP', `GET / HTTP/1.1\r\nHost: localhost\r\n\r\n`, 'not-well-formed'],
  ['DOCTYPE', `<!DOCTYPE x [<!ENTITY a 'b'>]><stream:stream>`, 'restricted-xml'],
  ['UTF-16', `<?xml version='1.0' encoding='UTF-16'?><stream:stream>`, 'unsupported-encoding'],
  ['an endless header', `<stream:stream to='${'x'.repeat(11_000)}`, 'policy-violation'],
]

t.test('the first bytes on TCP', async t => {
  for (const [what, text, condition] of headerErrors) {
    const client = await gate.connect('plain')
    client.send(text)
    t.strictSame(await rest(client), ['open', `error ${condition}`, 'close', 'gone'], what)
  }
})

for (const wire of wires) {
  t.test(`limits and order, ${wire}`, async t => {
    const connectionsAt = `limits-${wire}`
    const large = await gate.connect(wire)
    await large.opened()
    large.send(padded(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>`, '</auth>', 10_000))
    await large.named('failure')
    large.send(padded(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>`, '</auth>', 10_001))
    t.strictSame(await rest(large), ['error policy-violation', ...ends(large)], '10,001 bytes before authentication')

    const romeo = await gate.login(wire, 'romeo', connectionsAt)
    const start = `<message xmlns='jabber:client' to='${romeo.jid}' id='large'><body>`
    romeo.send(padded(start, '</body></message>', 262_144))
    const received = await romeo.withId('large')
    t.equal(String(child(received, 'body', 'jabber:client')?.children[0]).length, 262_144 - start.length - 17)
    romeo.send(padded(start, '</body></message>', 262_145))
    t.strictSame(await rest(romeo), ['error policy-violation', ...ends(romeo)], '262,145 bytes after it')

    const unbound = await gate.connect(wire)
    await unbound.opened()
    unbound.send(auth('romeo'))
    await unbound.named('success')
    await unbound.opened()
    unbound.send(`<message xmlns='jabber:client' to='juliet@localhost'><body>early</body></message>`)
    t.strictSame(
      await rest(unbound),
      ['error not-authorized', ...ends(unbound)],
      'no stanza before a resource is bound',
    )

    const impostor = await gate.connect(wire)
    await impostor.opened()
    impostor.send(auth('romeo'))
    await impostor.named('success')
    await impostor.opened()
    impostor.send(bind('forged').replace(' id=', ` from='juliet@localhost' id=`))
    t.notMatch(outline(await impostor.withId('bind')), 'juliet', 'who has no address yet cannot speak from another')
    impostor.transport.destroy()

    const errant = await gate.connect(wire)
    await errant.opened()
    errant.send(auth('romeo'))
    await errant.named('success')
    await errant.opened()
    errant.send(bind('errant').replace(' id=', ` to='juliet@localhost' id=`))
    t.strictSame(
      await rest(errant),
      ['error not-authorized', ...ends(errant)],
      'a resource is bound by the server alone',
    )

    const elsewhere = await gate.connect(wire)
    await elsewhere.opened()
    elsewhere.send(auth('romeo'))
    await elsewhere.named('success')
    elsewhere.send(elsewhere.header('elsewhere.example'))
    t.strictSame(
      await rest(elsewhere),
      ['open', 'error host-unknown', ...ends(elsewhere)],
      'another domain after authentication',
    )

    const wrong = await gate.connect(wire)
    await wrong.opened()
    wrong.send(auth('romeo', 'wrong'))
    await wrong.named('failure')
    wrong.send(auth('romeo'))
    await wrong.named('success')
    t.pass('a second try')
    wrong.transport.destroy()

    const busy = await gate.login(wire, 'romeo', `busy-${wire}`)
    const second = busy.transport.wire === 'tcp' ? 'restricted-xml' : 'bad-format'
    busy.send(busy.header())
    t.strictSame(await rest(busy), [`error ${second}`, ...ends(busy)], 'a second header')
  })

  t.test(`a login that waits for nothing, ${wire} (XEP-0305)`, async t => {
    const client = await gate.connect(wire)
    const get = `<iq xmlns='jabber:client' type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>`
    const words = [
      client.header(),
      auth('romeo'),
      client.header(),
      bind('hasty'),
      get,
      `<presence xmlns='jabber:client'/>`,
    ]
    if (client.transport.wire === 'tcp') client.send(words.join(''))
    else for (const word of words) client.send(word)
    t.equal((await client.withId('roster')).attrs.get('type'), 'result')
    await client.element('the own presence', element => element.attrs.get('from') === 'romeo@localhost/hasty')
    client.send(client.endTag)
    t.strictSame((await rest(client)).slice(-2), ends(client))
  })

  t.test(`goodbyes, ${wire}`, async t => {
    await writeRoster(prosody, 'juliet', { 'romeo@localhost': 'both' })
    await writeRoster(prosody, 'romeo', { 'juliet@localhost': 'both' })
    const romeo = await gate.login('plain', 'romeo', 'watching')
    await romeo.appear()
    const gone = (jid: string) =>
      romeo.element(
        `that ${jid} is gone`,
        element => element.attrs.get('type') === 'unavailable' && element.attrs.get('from') === jid,
      )
    const polite = await gate.login(wire, 'juliet', 'polite')
    await polite.appear()
    polite.send(`<presence xmlns='jabber:client' type='unavailable'><status>bye</status></presence>`)
    polite.send(polite.endTag)
    if (polite.transport.wire === 'tcp') polite.transport.end()
    t.strictSame(
      (await rest(polite)).slice(-2),
      ends(polite),
      'the end tag, then no more to send, and the answer comes',
    )
    t.equal((await gone('juliet@localhost/polite')).children.length, 1)

    const half = await gate.login(wire, 'juliet', 'half')
    await half.appear()
    half.transport.end()
    t.match((await rest(half)).at(-1), /^gone/, 'half closed without an end tag')
    await gone('juliet@localhost/half')

    const lost = await gate.login(wire, 'juliet', 'lost')
    await lost.appear()
    lost.transport.destroy()
    await gone('juliet@localhost/lost')
    romeo.transport.destroy()
  })

  t.test(`a roster of 10,000 contacts, ${wire}`, async t => {
    if (wire === 'starttls') {
      const items = Array.from({ length: 10_000 }, (_, index) => [`contact-number-${index}@montague.example`, 'both'])
      await writeRoster(prosody, 'popular', Object.fromEntries(items))
    }
    const popular = await gate.login(wire, 'popular', wire)
    const result = await popular.roster()
    t.equal(child(result, 'query', 'jabber:iq:roster')?.children.length, 10_000)
    await prosody.inject(popular.jid, `<presence from='contact-number-9999@montague.example' type='subscribed'/>`)
    await prosody.inject(popular.jid, `<presence from='contact-number-9999@montague.example' type='unsubscribed'/>`)
    t.strictSame(await popular.settled(), ['presence(from=contact-number-9999@montague.example type=unsubscribed)'])
    popular.transport.destroy()
  })
}

t.test('who has no account gets one', async t => {
  for (const wire of ['starttls', 'ws'] as const) {
    const user = `new${wire}`
    const client = await gate.connect(wire)
    await client.opened()
    client.send(
      `<iq xmlns='jabber:client' type='set' id='r' from='romeo@localhost'><query xmlns='jabber:iq:register'><username>${user}</username><password>secret</password></query></iq>`,
    )
    t.equal(outline(await client.withId('r')), 'iq(id=r type=result)')
    client.send(auth(user))
    await client.named('success')
    client.transport.destroy()
  }
})

t.test('everything that was opened is closed', async t => {
  const counts = await gate.counted(
    'every stream is closed',
    now => now.sum('streams_active') === 0 && now.sum('sessions_active') === 0,
  )
  t.equal(counts.sum('streams_opened_total'), counts.sum('streams_closed_total'))
  t.equal(counts.sum('sessions_opened_total'), counts.sum('sessions_closed_total'))
  t.equal(counts.sum('session_faults_total'), 0)
})

function ends(client: RawClient): string[] {
  return ['close', client.transport.wire === 'tcp' ? 'gone' : 'gone 1000']
}

function padded(start: string, end: string, bytes: number): string {
  return `${start}${'x'.repeat(bytes - start.length - end.length)}${end}`
}
