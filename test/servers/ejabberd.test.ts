import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { setInterval } from 'node:timers/promises'
import t from 'tap'
import { connectTcp } from '../clients/raw.ts'
import { StropheClient } from '../clients/strophe.ts'
import type { Target } from '../clients/test-client.ts'
import { patience } from '../clients/within.ts'
import { XmppClient } from '../clients/xmpp-client.ts'
import { trust, writeCertificate } from './certificate.ts'
import { type EjabberdOptions, startEjabberd } from './ejabberd.ts'

const closed = { directTls: undefined, http: undefined, component: undefined, proxied: undefined }

type Test = Pick<typeof t, 'teardown'>

async function started(test: Test, options?: EjabberdOptions) {
  const ejabberd = await startEjabberd(options)
  test.teardown(() => ejabberd.stop())
  return ejabberd
}

async function login(test: Test, target: Partial<Target> & { readonly port: number }): Promise<XmppClient> {
  const client = new XmppClient()
  test.teardown(() => client.stop())
  await client.connect({ wire: 'starttls', domain: 'localhost', user: 'juliet', password: 'secret', ...target })
  return client
}

/** What a component is told that says it is `stranger.localhost` and knows this secret (XEP-0114). */
async function handshake(port: number, secret: string): Promise<string> {
  const socket = createConnection(port, '127.0.0.1').setEncoding('utf8')
  let said = ''
  const until = async (pattern: RegExp) => {
    for (;;) {
      const found = pattern.exec(said)
      if (found !== null) return found
      const [data] = (await once(socket, 'data')) as [string]
      said += data
    }
  }
  const namespaces = `xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'`
  socket.write(`<stream:stream ${namespaces} to='stranger.localhost'>`)
  const [, id] = await until(/ id='([^']*)'/)
  socket.write(`<handshake>${createHash('sha1').update(`${id}${secret}`).digest('hex')}</handshake>`)
  await until(/<handshake|<stream:error.*<.stream:error>/)
  socket.destroy()
  return said
}

t.test('logs in over plain TCP, and stop leaves neither process nor folder', async t => {
  const ejabberd = await startEjabberd()
  t.strictSame(ejabberd.ports, { c2s: ejabberd.port, ...closed }, 'nothing is opened unasked')
  const juliet = await connectTcp(ejabberd.port)
  juliet.send(juliet.header())
  const features = JSON.stringify(await juliet.named('features'))
  t.match(features, '"SCRAM-SHA-1"')
  for (const unasked of ['"PLAIN"', 'urn:ietf:params:xml:ns:xmpp-tls', 'http://jabber.org/features/iq-register']) {
    t.notMatch(features, unasked)
  }
  juliet.send(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldABzZWNyZXQ=</auth>`)
  t.match(await juliet.named('failure'), { name: 'failure' }, 'nor accepted')
  const romeo = await login(t, { port: ejabberd.port, user: 'romeo', resource: 'garden' })
  await romeo.send('<presence/>')
  t.match(await romeo.waitFor(/^<presence/, 'the own presence'), 'from="romeo@localhost/garden"')
  t.match(ejabberd.log(), 'is started in the node nonode@nohost', 'no node, so that no epmd is started')
  t.doesNotThrow(() => process.kill(-ejabberd.pid, 0), 'a process group of its own')
  t.ok(existsSync(ejabberd.folder))

  await ejabberd.stop()
  t.throws(() => process.kill(-ejabberd.pid, 0), { code: 'ESRCH' })
  t.notOk(existsSync(ejabberd.folder))
  t.notMatch(ejabberd.log(), 'secret')
  t.match(await juliet.toTheEnd(), [/system-shutdown|gone/])
  await t.rejects(ejabberd.inject('juliet@localhost', '<presence/>'), /ended with/)
  await ejabberd.stop()
})

t.test('inject writes what no honest server would', async t => {
  const ejabberd = await started(t)
  const juliet = await login(t, { port: ejabberd.port, resource: 'balcony' })
  const other = await login(t, { port: ejabberd.port, resource: 'chamber' })

  const forged = `<presence from='romeo@montague.example' type='bogus' to='x'><status>Ju\u2764liet &amp; co</status></presence>`
  await ejabberd.inject('juliet@localhost/balcony', forged)
  t.equal(
    await juliet.waitFor(/^<presence/, 'the forged presence'),
    `<presence xmlns="jabber:client" from="romeo@montague.example" type="bogus" to="x"><status>Ju\u2764liet &amp; co</status></presence>`,
    'as it stands',
  )
  const push = `<iq xmlns='jabber:client' id='p' type='set' from='thief@montague.example'>
    <query xmlns='jabber:iq:roster'><item jid='thief@montague.example' subscription='both'/></query></iq>`
  await ejabberd.inject('juliet@localhost', push)
  for (const session of [juliet, other]) {
    const received = await session.waitFor(/ id="p"/, 'the forged push')
    t.match(received, '<item jid="thief@montague.example" subscription="both"/>', 'a bare JID reaches every session')
  }

  const numbers = Array.from({ length: 50 }, (_, index) => String(index))
  const injected = numbers.map(number =>
    ejabberd.inject('juliet@localhost/balcony', `<message><body>${number}</body></message>`),
  )
  await Promise.all(injected)
  await juliet.waitFor(/<body>49</, 'the last of many')
  const bodies = juliet.received().flatMap(xml => /^<message.*<body>(\d+)</.exec(xml)?.[1] ?? [])
  t.strictSame(bodies, numbers, 'many at once arrive in their order')
  await ejabberd.inject('juliet@localhost/balcony', `<message><body>${'x'.repeat(200_000)}</body></message>`)
  await juliet.waitFor(/<body>x{200000}</, 'a long one')

  // Stream management counts it, and keeps it for a session that is cut off.
  await juliet.cut()
  await ejabberd.inject('juliet@localhost/balcony', `<message type='bogus' id='late'/>`)
  const { port } = ejabberd
  const again = { wire: 'starttls', port, domain: 'localhost', user: 'juliet', password: 'secret' } as const
  t.strictSame(await juliet.connect(again), { jid: 'juliet@localhost/balcony', resumed: true })
  await juliet.waitFor(/^<message[^>]* id="late"/, 'what was written meanwhile')

  for (const [jid, xml, reason] of [
    ['nurse@localhost', '<presence/>', /no session of nurse@localhost/],
    ['juliet@localhost/orchard', '<presence/>', /no session of juliet@localhost\/orchard/],
    ['juliet@localhost', '<presence', /no well-formed element/],
    ['juliet@localhost', '', /no command|no well-formed element/],
    ['juliet @localhost', '<presence/>', /no JID/],
    ['@localhost', '<presence/>', /bad_jid/],
  ] as const) {
    await t.rejects(ejabberd.inject(jid, xml), reason, `${jid} ${xml}`)
  }
})

t.test('TLS, HTTP, a component port, PROXY protocol and registration, when asked for', async t => {
  const certificate = await writeCertificate(t.testdir(), ['localhost'])
  t.teardown(trust(certificate))
  const { ports, log } = await started(t, {
    certificate,
    requireEncryption: true,
    http: true,
    registration: true,
    componentSecret: 'mellon',
    proxyProtocol: true,
    plain: true,
    iterations: 4096,
    accounts: { juliet: 'secret', 'nurse-2': 'p"a\\ss\u00e9' },
  })
  const port = ports.directTls ?? 0

  await login(t, { port: ports.c2s })
  const direct = await login(t, { port, wire: 'direct' })
  await login(t, { port, wire: 'direct', user: 'nurse-2', password: 'p"a\\ss\u00e9' })
  await login(t, { port: ports.http ?? 0, wire: 'ws' })
  const strophe = new StropheClient()
  t.teardown(() => strophe.stop())
  const account = { domain: 'localhost', user: 'juliet', password: 'secret' }
  await strophe.connect({ wire: 'ws', port: ports.http ?? 0, ...account })

  const plain = await connectTcp(ports.c2s)
  plain.send(plain.header())
  const features = JSON.stringify(await plain.named('features'))
  t.match(features, '"required"')
  t.notMatch(features, '"mechanism"', 'no login without TLS')

  const room = 'balcony@conference.localhost/J'
  await direct.send(`<presence to='${room}'><x xmlns='http://jabber.org/protocol/muc'/></presence>`)
  t.match(
    await direct.waitFor(/^<presence[^>]* from="[^"]*balcony[^>]*J"/, 'the own occupant'),
    /<status code="110"\/>/,
  )
  await direct.send(`<iq type='get' id='ver'><query xmlns='jabber:iq:roster' ver=''/></iq>`)
  t.match(await direct.waitFor(/id="ver"/, 'the roster'), /<query[^>]* ver="[^"]+/, 'roster versioning')
  await direct.send(
    `<iq type='get' id='own' to='juliet@localhost'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>`,
  )
  const accountFeatures = await direct.waitFor(/id="own"/, "the account's features")
  for (const feature of ['http://jabber.org/protocol/pubsub#publish', 'urn:xmpp:mam:2']) {
    t.match(accountFeatures, `var="${feature}"`)
  }
  await direct.send(
    `<iq type='get' id='host' to='localhost'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>`,
  )
  const hostFeatures = await direct.waitFor(/id="host"/, "the server's features")
  for (const feature of ['urn:xmpp:blocking', 'urn:xmpp:carbons:2', 'jabber:iq:register']) {
    t.match(hostFeatures, `var="${feature}"`)
  }

  t.match(await handshake(ports.component ?? 0, 'mellon'), /<handshake\/>$/)
  t.match(await handshake(ports.component ?? 0, 'friend'), /not-authorized/)

  const proxied = await connectTcp(ports.proxied ?? 0)
  proxied.send('PROXY TCP4 192.0.2.7 198.51.100.1 40000 5222\r\n')
  await proxied.login('juliet', 'behind')
  t.match(log(), /Accepted proxied connection 192\.0\.2\.7:40000 ->/)
  const headless = await connectTcp(ports.proxied ?? 0)
  headless.send(headless.header())
  t.strictSame(await headless.toTheEnd(), ['gone'], 'no header, no answer')
})

t.test('no ejabberd outlives the process that started it, nor does its folder', async t => {
  const module = JSON.stringify(new URL('ejabberd.js', import.meta.url).href)
  for (const end of ["process.kill(process.pid, 'SIGKILL')", 'process.exit()']) {
    const script = `const { startEjabberd } = await import(${module})
      const { port, folder } = await startEjabberd()
      console.log(JSON.stringify({ port, folder }))
      process.stdin.once('data', () => ${end})`
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const { port, folder } = JSON.parse(String(line)) as { port: number; folder: string }
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    parent.stdin.write('now')
    const limit = { signal: AbortSignal.timeout(patience) }
    for await (const _ of setInterval(20, undefined, limit)) if (!existsSync(folder)) break
    await t.rejects(once(createConnection(port, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' }, end)
  }
})

t.test('what keeps it from starting is told', async t => {
  await t.rejects(
    startEjabberd({ certificate: { cert: '/nowhere/cert.pem', key: '/nowhere/key.pem' } }),
    /ejabberd[\s\S]*\/nowhere/,
  )
  const path = process.env.PATH
  process.env.PATH = t.testdir()
  t.teardown(() => {
    process.env.PATH = path
  })
  await t.rejects(startEjabberd(), /cannot run erl .*Debian package ejabberd/)
})
