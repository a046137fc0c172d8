import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { type Client, type ClientOptions, client, type XmlElement, xml } from '@xmpp/client'
import t from 'tap'
import WebSocket from 'ws'
import { trust, writeCertificate } from './certificate.ts'
import { isListening, silence } from './listening.ts'
import { type ProsodyOptions, startProsody } from './prosody.ts'

Object.assign(globalThis, { WebSocket }) // Node 20 has none

type Test = Pick<typeof t, 'teardown'>

async function started(test: Test, options?: ProsodyOptions) {
  const prosody = await startProsody(options)
  test.teardown(() => prosody.stop())
  return prosody
}

async function login(test: Test, options: Partial<ClientOptions> & { service: string }): Promise<Client> {
  const entity = client({ domain: 'localhost', username: 'juliet', password: 'secret', ...options })
  entity.reconnect.stop()
  entity.on('error', () => {}) // what start() rejects with
  test.teardown(() => entity.stop().catch(() => {})) // may be closed already
  await entity.start()
  return entity
}

async function nextStanza(entity: Client): Promise<XmlElement> {
  const [stanza] = (await once(entity, 'stanza')) as [XmlElement]
  return stanza
}

async function readUntil(socket: Socket, end: string): Promise<string> {
  let read = ''
  while (!read.includes(end)) read += String((await once(socket, 'data'))[0])
  return read
}

t.test('logs in over plain TCP, and stop leaves neither process nor folder', async t => {
  const prosody = await startProsody()
  const juliet = client({
    service: `xmpp://${prosody.address}:${prosody.port}`,
    domain: 'localhost',
    username: 'juliet',
    password: 'secret',
    resource: 'balcony',
  })
  juliet.reconnect.stop()
  juliet.on('error', () => {}) // that the server is going
  t.equal(String(await juliet.start()), 'juliet@localhost/balcony')
  t.equal(juliet.isSecure(), false)
  t.ok(existsSync(prosody.folder))
  t.doesNotThrow(() => process.kill(prosody.pid, 0))

  const disconnected = new Promise(resolve => juliet.on('disconnect', resolve))
  await prosody.stop()
  await disconnected
  t.throws(() => process.kill(prosody.pid, 0), { code: 'ESRCH' })
  t.notOk(existsSync(prosody.folder))
  t.notMatch(prosody.log(), 'secret')
  await t.rejects(prosody.inject('juliet@localhost', '<presence/>'), /it ended/)
  await prosody.stop()
})

t.test('inject writes what no honest server would', async t => {
  const prosody = await started(t)
  const service = `xmpp://${prosody.address}:${prosody.port}`
  const juliet = await login(t, { service, resource: 'balcony' })
  const other = await login(t, { service, resource: 'chamber' })

  const forged = `<presence from='romeo@montague.example' type='subscribed'><status>Ju\u2764liet &amp; co</status></presence>`
  const [stanza] = await Promise.all([nextStanza(juliet), prosody.inject('juliet@localhost/balcony', forged)])
  t.equal(stanza.name, 'presence')
  t.strictSame({ ...stanza.attrs }, { from: 'romeo@montague.example', type: 'subscribed' })
  t.equal(stanza.getChildText('status'), 'Ju\u2764liet & co')

  const push = `<iq xmlns='jabber:client' id='p' type='set' from='thief@montague.example'>
    <query xmlns='jabber:iq:roster'><item jid='thief@montague.example' subscription='both'/></query></iq>`
  const [here, there] = await Promise.all([
    nextStanza(juliet),
    nextStanza(other),
    prosody.inject('juliet@localhost', push),
  ])
  for (const received of [here, there]) {
    t.equal(received.attrs.from, 'thief@montague.example', 'a bare JID reaches every session')
    t.ok(received.getChild('query', 'jabber:iq:roster')?.getChild('item'))
  }

  // Many at once arrive in their order, and each command gets its own answer.
  const bodies: (string | null)[] = []
  const count = 50
  const all = new Promise<void>(resolve => {
    juliet.on('stanza', (received: XmlElement) => {
      if (bodies.push(received.getChildText('body')) === count) resolve()
    })
  })
  const numbers = Array.from({ length: count }, (_, index) => String(index))
  await Promise.all(
    numbers.map(number => prosody.inject('juliet@localhost/balcony', `<message><body>${number}</body></message>`)),
  )
  await all
  t.strictSame(bodies, numbers)
  await prosody.inject('juliet@localhost/balcony', `<message><body>${'x'.repeat(200_000)}</body></message>`)

  for (const [jid, xml, reason] of [
    ['nurse@localhost', '<presence/>', /no session of nurse@localhost/],
    ['juliet@localhost/orchard', '<presence/>', /no session of juliet@localhost\/orchard/],
    ['juliet@localhost', '<presence', /no well-formed element/],
    ['juliet@localhost', '', /no command/],
    ['juliet @localhost', '<presence/>', /no command/],
  ] as const) {
    await t.rejects(prosody.inject(jid, xml), reason, `${jid} ${xml}`)
  }
})

t.test('TLS, HTTP, a component port and registration, when asked for', async t => {
  const certificate = await writeCertificate(t.testdir(), ['localhost'])
  t.teardown(trust(certificate))
  const prosody = await started(t, {
    certificate,
    requireEncryption: true,
    http: true,
    registration: true,
    componentSecret: 'mellon',
    accounts: { juliet: 'secret', 'nurse-2': 'p"a\\ss\u00e9' },
  })
  const { address, ports } = prosody

  const starttls = await login(t, { service: `xmpp://${address}:${ports.c2s}` })
  t.equal(starttls.isSecure(), true, 'STARTTLS')
  const direct = await login(t, { service: `xmpps://localhost:${ports.directTls}` })
  t.equal(direct.isSecure(), true, 'direct TLS')
  const quoted = await login(t, {
    service: `xmpps://localhost:${ports.directTls}`,
    username: 'nurse-2',
    password: 'p"a\\ss\u00e9',
  })
  t.match(String(quoted.jid), 'nurse-2@localhost/')
  const muc = await direct.iqCaller.request(
    xml(
      'iq',
      { type: 'get', to: 'conference.localhost' },
      xml('query', { xmlns: 'http://jabber.org/protocol/disco#info' }),
    ),
  )
  t.ok(
    muc
      .getChild('query')
      ?.getChildren('feature')
      .some(feature => feature.attrs.var === 'http://jabber.org/protocol/muc'),
  )

  const component = createConnection(ports.component ?? 0, address)
  component.write(
    `<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='stranger.localhost'>`,
  )
  const [header] = (await once(component, 'data')) as [Buffer]
  t.match(String(header), /from='stranger\.localhost'/)
  component.destroy()
})

t.test('without TLS: WebSocket, several hosts, PLAIN', async t => {
  const prosody = await started(t, { http: true, plain: true, hosts: ['localhost', 'montague.example'] })
  const websocket = await login(t, { service: `ws://${prosody.address}:${prosody.ports.http}/xmpp-websocket` })
  t.match(String(websocket.jid), 'juliet@localhost/')
  const elsewhere = await login(t, {
    service: `xmpp://${prosody.address}:${prosody.port}`,
    domain: 'montague.example',
    username: 'romeo',
  })
  t.match(String(elsewhere.jid), 'romeo@montague.example/')

  const raw = createConnection(prosody.port, prosody.address)
  raw.write(
    `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>`,
  )
  const features = await readUntil(raw, '</stream:features>')
  t.match(features, '<mechanism>PLAIN</mechanism>')
  t.match(features, '<mechanism>SCRAM-SHA-1</mechanism>')
  t.notMatch(features, 'urn:ietf:params:xml:ns:xmpp-tls')
  for (const [password, outcome] of [
    ['Secret', '</failure>'],
    ['secret', '<success'],
  ] as const) {
    const initial = Buffer.from(`\0juliet\0${password}`).toString('base64')
    raw.write(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${initial}</auth>`)
    t.match(await readUntil(raw, outcome), outcome)
  }
  raw.destroy()
})

t.test('no Prosody outlives the process that started it', async t => {
  const module = JSON.stringify(new URL('prosody.js', import.meta.url).href)
  for (const end of ["process.kill(process.pid, 'SIGKILL')", 'process.exit()']) {
    const script = `const { startProsody } = await import(${module})
      const { port, folder } = await startProsody()
      console.log(JSON.stringify({ port, folder }))
      process.stdin.once('data', () => ${end})`
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const { port, folder } = JSON.parse(String(line)) as { port: number; folder: string }
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    t.ok(await isListening(port))
    parent.stdin.write('now')
    await silence(port)
    t.pass(end)
  }
})

t.test('what keeps it from starting is told', async t => {
  await t.rejects(
    startProsody({ certificate: { cert: '/nowhere/cert.pem', key: '/nowhere/key.pem' } }),
    /not as it was told to[\s\S]*Failed to load '\/nowhere/,
  )
  const path = process.env.PATH
  process.env.PATH = t.testdir()
  t.teardown(() => {
    process.env.PATH = path
  })
  await t.rejects(startProsody(), /cannot run prosody .*Debian package prosody/)
})
