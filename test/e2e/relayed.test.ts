/** What a server relays reaches whom it is meant for, and ends nobody's stream; and who does not read cannot fill the gate's memory. */
import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { within } from '../clients/within.ts'
import { Gate, makeCertificate, makeProsody } from './gate.ts'

const certificate = await makeCertificate(t)
const prosody = await makeProsody(t, { accounts: { romeo: 'secret', juliet: 'secret' } })
const gate = await Gate.start(t, certificate, prosody)

const attributes = (count: number) => Array.from({ length: count }, (_, i) => `a${i}='1'`).join(' ')
const nested = (depth: number) => `${'<a>'.repeat(depth)}${'</a>'.repeat(depth)}`

t.test('as much as a client may send, and what servers add', async t => {
  const romeo = await gate.login('direct', 'romeo', 'orchard')
  const juliet = await gate.login('ws', 'juliet', 'balcony')
  const rows = [
    ['attributes', `<message xmlns='jabber:client' to='${juliet.jid}' id='1' ${attributes(61)}/>`],
    ['depth', `<message xmlns='jabber:client' to='${juliet.jid}' id='2'><x xmlns='urn:x'>${nested(62)}</x></message>`],
    [
      'many small elements',
      `<message xmlns='jabber:client' to='${juliet.jid}' id='3'><x xmlns='urn:x'>${'<a/>'.repeat(1_998)}</x></message>`,
    ],
  ] as const
  for (const [i, [what, sent]] of rows.entries()) {
    romeo.send(sent)
    t.equal((await juliet.withId(String(i + 1))).name, 'message', what)
  }
  romeo.send(`<presence xmlns='jabber:client' to='juliet@localhost' type='subscribe' ${attributes(61)}/>`)
  for (const login of ['first', 'second']) {
    const again = await gate.login('starttls', 'juliet', login)
    await again.appear()
    const request = await again.element('the request', found => found.attrs.get('type') === 'subscribe')
    t.equal(request.attrs.get('from'), 'romeo@localhost', `repeated at each login: the ${login}`)
    again.send(again.endTag)
    await again.toTheEnd()
  }
  for (const client of [romeo, juliet]) {
    t.same(await client.settled(), [])
    client.send(client.endTag)
    await client.toTheEnd()
  }
})

t.test('what others may send round the gate', async t => {
  const juliet = await gate.login('direct', 'juliet', 'tomb')
  await juliet.roster()
  const rows: [what: string, inner: string, attrs?: string][] = [
    ['a deep one', `<x xmlns='urn:x'>${nested(300)}</x>`],
    ['many attributes', '', attributes(300)],
    ['names in other letters', "<größe xmlns='urn:x' höhe='1'/>"],
    ['a long name', `<x xmlns='urn:x'><${'n'.repeat(300)}/></x>`],
    ['a namespace with white space', "<q:x xmlns:q='urn:q '><q:y/></q:x>"],
    ['a namespace with a control character', "<x xmlns='urn:&#x7f;'/>"],
  ]
  for (const [i, [what, inner, attrs = '']] of rows.entries()) {
    await prosody.inject(
      juliet.jid,
      `<message xmlns='jabber:client' id='m${i}' from='tybalt@capulet.example' ${attrs}>${inner}</message>`,
    )
    t.equal((await juliet.withId(`m${i}`)).name, 'message', what)
  }
  // Looks like an approval, and is none of jabber:client; names no sender, and so nobody who was asked.
  await prosody.inject(juliet.jid, "<presence xmlns='jabber:server' from='tybalt@capulet.example' type='subscribed'/>")
  await prosody.inject(juliet.jid, "<presence xmlns='urn:x' from='tybalt@capulet.example' type='subscribed'/>")
  await prosody.inject(juliet.jid, "<presence xmlns='jabber:client' type='subscribed'/>")
  t.same(await juliet.settled(), [])
  juliet.send(juliet.endTag)
  await juliet.toTheEnd()
})

t.test('a client that asks and asks, and does not read', async t => {
  const flooder = connect(gate.port('plain'), '127.0.0.1')
  t.teardown(() => flooder.destroy())
  flooder.on('error', () => {})
  await once(flooder, 'connect')
  const header =
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>"
  flooder.write(header)
  await within('features', once(flooder, 'readable'))
  const ask = Buffer.from("<compress xmlns='http://jabber.org/protocol/compress'/>".repeat(10_000))
  // Written as long as the gate reads: the kernel's buffers are full when it has stopped.
  let written = 0
  const stopped = new Promise<void>(resolve => {
    const more = () => {
      while (written < 200) {
        written++
        if (!flooder.write(ask)) break
      }
      if (written >= 200) resolve()
    }
    flooder.on('drain', more)
    more()
    const check = async () => {
      for (let before = -1, same = 0; same < 3; ) {
        const now = (await gate.metrics()).sum('transport_bytes_total', { side: 'client', way: 'received' })
        same = now === before ? same + 1 : 0
        before = now
      }
      resolve()
    }
    void check()
  })
  await within('the gate to stop reading', stopped)
  t.ok(written < 200, `${written} of 200 writes went through`)
})

t.test('the gate stops although somebody has connected and says nothing', async t => {
  const other = await Gate.start(t, certificate, prosody)
  const ports = [
    other.port('ws'),
    other.port('wss'),
    other.port('plain'),
    other.port('direct'),
    other.proxy.admin?.port ?? 0,
  ]
  for (const port of ports) {
    const silent = connect(port, '127.0.0.1')
    silent.on('error', () => {})
    t.teardown(() => silent.destroy())
    await once(silent, 'connect')
    if (port === other.port('ws')) silent.write('GET /xmpp-websocket HTTP/1.1\r\nHost:')
  }
  await within('the end', other.proxy.stop())
  t.pass('it stopped')
})
