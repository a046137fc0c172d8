// Each client straight at each server: what the comparison through the gate stands on.
import t from 'tap'
import { type Certificate, trust, writeCertificate } from '../servers/certificate.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { startProsody } from '../servers/prosody.ts'
import { clientKinds } from './all.ts'
import { type ConsoleTarget, listenOnConsole, sendFromConsole } from './console.ts'
import { type ClientWire, type Target, Transcript } from './test-client.ts'
import { XmppClient } from './xmpp-client.ts'

const certificate: Certificate = await writeCertificate(t.testdir(), ['localhost'])
t.teardown(trust(certificate))

const options = { certificate, http: true, plain: true }
const [prosody, ejabberd] = await Promise.all([startProsody(options), startEjabberd(options)])
t.teardown(() => Promise.all([prosody.stop(), ejabberd.stop()]))
const servers = [
  { name: 'Prosody', server: prosody },
  { name: 'ejabberd', server: ejabberd },
]

/** How go-sendxmpp says it, with either server's text. */
const unauthorized = /go-sendxmpp ended with 1: .*auth failure: (Unable to authorize you|Invalid username or password)/s

/** How the other clients say it. */
const refused = /not-authorized|failed_all_auth|status 4/

const words = `<body>e\u0301 &lt;&amp;> \u{1f9e1}</body><x xmlns='urn:example'><y xmlns='urn:example:inner'>1</y></x>`

for (const { name, server } of servers) {
  const ports: Record<ClientWire, number> = {
    starttls: server.ports.c2s,
    direct: server.ports.directTls ?? 0,
    ws: server.ports.http ?? 0,
    wss: 0, // the servers have none: this is for the gate
  }
  const target = (wire: ClientWire, user = 'romeo'): Target => {
    return { wire, port: ports[wire], domain: 'localhost', user, password: 'secret', resource: 'garden' }
  }

  for (const kind of clientKinds) {
    for (const wire of kind.wires.filter(wire => wire !== 'wss')) {
      t.test(`${kind.name} at ${name} over ${wire}`, async t => {
        const client = kind.make(certificate.cert)
        t.teardown(() => client.stop())
        const { jid, resumed } = await client.connect(target(wire))
        t.equal(jid, 'romeo@localhost/garden')
        t.equal(resumed, false)

        await client.send('<presence/>')
        const presence = await client.waitFor(/^<presence/, 'the own presence')
        t.match(presence, `from="${jid}"`)
        await client.send(`<message type='chat' to='${jid}' id='first' xml:lang='fr'>${words}</message>`)
        const message = await client.waitFor(/^<message/, 'the message to itself')
        for (const part of ['xmlns="jabber:client"', `from="${jid}"`, 'id="first"', 'xml:lang="fr"']) {
          t.match(message, part)
        }
        t.match(message, '<body>e\u0301 &lt;&amp;')
        t.match(message, /<x xmlns="urn:example"><y xmlns="urn:example:inner">1<\/y><\/x>/)
        t.strictSame(client.received().slice(-2), [presence, message], 'in order, and nothing else since')
        await t.rejects(client.send('<message/><message/>'), 'one stanza at a time')

        // ejabberd 23.01 takes 15 s to see that a WebSocket is gone when it is writing to it at that moment (its
        // websocket process is gone, and the session waits for its answer): now and then nothing could be resumed.
        if (name === 'ejabberd' && wire === 'ws') return
        await client.cut()
        const again = await client.connect(target(wire))
        t.strictSame(again, { jid, resumed: true }, 'the same session on a new connection')
        await client.send(`<message type='chat' to='${jid}' id='second'><body>I am here</body></message>`)
        await client.waitFor(/^<message[^>]* id="second"/, 'a message in the resumed session')
      })
    }
  }

  t.test(`a wrong password at ${name}`, async t => {
    for (const { name, wires, make } of clientKinds) {
      const stranger = make(certificate.cert)
      t.teardown(() => stranger.stop())
      const wire = wires[0] ?? 'ws'
      await t.rejects(stranger.connect({ ...target(wire), password: 'wrong' }), refused, name)
    }
    const account: ConsoleTarget = { ...target('direct'), wire: 'direct', certificate: certificate.cert, password: 'x' }
    await t.rejects(sendFromConsole(account, 'juliet@localhost', 'x'), unauthorized)
    await t.rejects(listenOnConsole(account), unauthorized)
  })

  for (const wire of ['starttls', 'direct'] as const) {
    t.test(`go-sendxmpp at ${name} over ${wire}`, async t => {
      const witness = new XmppClient()
      t.teardown(() => witness.stop())
      const { jid } = await witness.connect({ ...target('starttls'), resource: wire })
      await witness.send('<presence/>')
      await witness.waitFor(/^<presence/, 'the own presence')

      const account = (user: string): ConsoleTarget => ({ ...target(wire, user), wire, certificate: certificate.cert })
      const juliet = await listenOnConsole(account('juliet'))
      t.teardown(() => juliet.stop())
      t.match(juliet.jid, /^juliet@localhost\/./)
      await sendFromConsole(account('romeo'), 'juliet@localhost', 'e\u0301 <&> \u{1f9e1}')
      await juliet.printed(/romeo@localhost: e\u0301 <&> \u{1f9e1}/u)
      await witness.waitFor(/^<presence[^>]* from="romeo@localhost\/go-sendxmpp[^>]*>/, 'its presence')

      await sendFromConsole(account('juliet'), jid, 'good night')
      t.match(await witness.waitFor(/^<message/, 'its message'), '<body>good night</body>')
      await juliet.stop()
    })
  }
}

t.test('a stanza is waited for in any order, and given once', async t => {
  const transcript = new Transcript()
  const second = transcript.find(/2/, 'the second')
  for (const xml of ['<iq id="1"/>', '<iq id="2"/>', '<iq id="22"/>']) transcript.push(xml)
  t.equal(await second, '<iq id="2"/>')
  t.equal(await transcript.find(() => true, 'any'), '<iq id="1"/>')
  t.equal(await transcript.find(/2/, 'another'), '<iq id="22"/>')
  t.strictSame(transcript.all(), ['<iq id="1"/>', '<iq id="2"/>', '<iq id="22"/>'])
})
