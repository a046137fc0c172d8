// A kept session goes to the client that the server resumes it for, and to one gate alone: who only knows its SM-ID changes nothing.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { ManagedClient } from '../clients/managed-client.ts'
import { auth, connectTcp, type RawClient } from '../clients/raw.ts'
import { GateProcess } from '../load/gate-process.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { startProsody } from '../servers/prosody.ts'
import { RedisServer } from '../servers/redis.ts'

t.setTimeout(180_000)

const sm = 'urn:xmpp:sm:3'
const options = { plain: true, accounts: { romeo: 'secret', mallory: 'secret' } }
const [prosody, ejabberd, redis] = await Promise.all([
  startProsody(options),
  startEjabberd(options),
  RedisServer.start(),
])
t.teardown(() => Promise.all([prosody.stop(), ejabberd.stop(), redis.stop()]))
const store = { redis: redis.url }

async function started(t: Test, upstream: { readonly address: string; readonly port: number }): Promise<GateProcess> {
  const gate = await GateProcess.start({ upstream, more: { store } })
  t.teardown(() => gate.stop('SIGKILL'))
  return gate
}

async function authenticated(port: number, user: string): Promise<RawClient> {
  const client = await connectTcp(port)
  await client.opened()
  client.send(auth(user))
  await client.named('success')
  await client.opened()
  return client
}

function resumption(id: string): string {
  return `<resume xmlns='${sm}' previd='${id}' h='0'/>`
}

for (const [name, server] of [
  ['Prosody', prosody],
  ['ejabberd', ejabberd],
] as const) {
  t.test(`${name}: another account that knows the SM-ID`, async t => {
    const first = await started(t, server)
    const romeo = new ManagedClient('romeo', 'orchard')
    await romeo.login(first.port('plain'))
    await first.stop('SIGTERM')
    await romeo.gone
    const [second, third] = await Promise.all([started(t, server), started(t, server)])
    const mallory = await authenticated(second.port('plain'), 'mallory')
    for (let attempts = 0; attempts < 10; attempts++) {
      mallory.send(resumption(romeo.id))
      await mallory.named('failed')
    }
    t.equal(
      (await second.metrics()).sum('store_seconds_count', { operation: 'take-session' }),
      5,
      'it is not asked on and on',
    )
    t.equal(await romeo.resume(third.port('plain')), 'resumed')
    await romeo.leave()
  })
}

/** A server that resumes any session, and lets the first one who asks wait. Over SASL2 it says nothing to a login. */
class SlowServer {
  readonly address = '127.0.0.1'
  readonly asked: Socket[] = []
  private readonly server = createServer(socket => this.serve(socket.on('error', () => {})))

  async start(): Promise<this> {
    this.server.listen(0, this.address)
    await once(this.server, 'listening')
    return this
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  stop(): void {
    this.server.close()
  }

  private serve(socket: Socket): void {
    const header = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='x' version='1.0'>`
    const features = `<stream:features><authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism></authentication></stream:features>`
    const bound = `<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>romeo@localhost/x</jid></bind>`
    const answers: [when: RegExp, answer: () => string][] = [
      [/<stream:stream /, () => header + features],
      [/<auth /, () => `<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>`],
      [/<bind /, () => `<iq type='result' id='bind'>${bound}</iq>`],
      [/<enable /, () => `<enabled xmlns='${sm}' id='id-1' resume='true'/>`],
      [/<resume /, () => (this.asked.push(socket) === 1 ? '' : resumed)],
    ]
    socket.on('data', bytes => {
      for (const [when, answer] of answers) if (when.test(String(bytes))) socket.write(answer())
    })
  }
}

const resumed = `<resumed xmlns='${sm}' previd='id-1' h='0'/><message from='juliet@localhost' id='new'/>`

async function kept(t: Test, server: SlowServer): Promise<void> {
  const gate = await started(t, server)
  const client = await (await connectTcp(gate.port('plain'))).login('romeo', 'x')
  client.send(`<enable xmlns='${sm}' resume='true'/>`)
  await client.named('enabled')
  await gate.stop('SIGTERM')
}

t.test('who was too late with the same session is cut off, and told nothing', async t => {
  const server = await new SlowServer().start()
  t.teardown(() => server.stop())
  await kept(t, server)
  const [one, other] = await Promise.all([started(t, server), started(t, server)])
  const slow = await authenticated(one.port('plain'), 'romeo')
  slow.send(resumption('id-1'))
  while (server.asked.length === 0) await new Promise(resolve => setImmediate(resolve))
  const quick = await authenticated(other.port('plain'), 'romeo')
  quick.send(resumption('id-1'))
  await quick.named('resumed')
  await quick.withId('new')
  server.asked[0]?.write(resumed)
  t.same(await slow.toTheEnd(), ['gone'])
  t.equal((await one.metrics()).sum('kept_sessions_total', { event: 'found' }), 0)
  t.equal((await other.metrics()).sum('kept_sessions_total', { event: 'found' }), 1)
})

t.test('who asks for it inside a login that does not come to an end', async t => {
  const server = await new SlowServer().start()
  t.teardown(() => server.stop())
  await kept(t, server)
  const [one, other] = await Promise.all([started(t, server), started(t, server)])
  const mallory = await connectTcp(one.port('plain'))
  await mallory.opened()
  mallory.send(`<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>${resumption('id-1')}</authenticate>`)
  while (server.asked.length === 0) await new Promise(resolve => setImmediate(resolve))
  const romeo = await authenticated(other.port('plain'), 'romeo')
  romeo.send(resumption('id-1'))
  await romeo.named('resumed')
})
