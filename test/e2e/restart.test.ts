// What a gate knows of accounts outlives its process, however that ends, and two gates may have one store.
import { cpSync, existsSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { child } from '../../src/xml/element.ts'
import { connectTcp, type RawClient } from '../clients/raw.ts'
import { GateProcess } from '../load/gate-process.ts'
import { RedisServer } from '../servers/redis.ts'
import { makeProsody, writeRoster } from './gate.ts'
import { Upstream } from './upstream.ts'

const users = ['killed', 'stopped', 'unnamed', 'nameless', 'forgetful', 'changed', 'shared', 'apart', 'romeo']
const prosody = await makeProsody(t, { accounts: Object.fromEntries(users.map(user => [user, 'secret'])) })

async function started(t: Test, store: unknown): Promise<GateProcess> {
  const gate = await GateProcess.start({ upstream: prosody, more: { store } })
  t.teardown(() => gate.stop('SIGKILL'))
  return gate
}

async function login(gate: GateProcess, user: string, resource: string): Promise<RawClient> {
  return (await connectTcp(gate.port('plain'))).login(user, resource)
}

async function leave(client: RawClient): Promise<void> {
  client.send(client.endTag)
  await client.toTheEnd()
}

/** The version of the roster that the server answers with; the items come with it. */
async function versionOf(client: RawClient): Promise<string> {
  return child(await client.roster(''), 'query', 'jabber:iq:roster')?.attrs.get('ver') ?? ''
}

async function kept(gate: GateProcess): Promise<void> {
  while ((await gate.metrics()).sum('store_waiting_accounts') > 0);
}

/** A client whose request for its roster is faster than Redis gets the whole of it. */
async function found(gate: GateProcess): Promise<void> {
  while ((await gate.metrics()).sum('store_recalls_total', { outcome: 'found' }) === 0);
}

async function contactsOf(
  gate: GateProcess,
  account: string,
): Promise<Record<string, { state: string; since?: string }>> {
  const response = await fetch(`http://127.0.0.1:${gate.port('admin')}/api/accounts/${account}`)
  const { contacts } = (await response.json()) as { contacts: { contact: string; state: string; since?: string }[] }
  return Object.fromEntries(contacts.map(each => [each.contact, each]))
}

const from = (jid: string, type: string) => `<presence from='${jid}' type='${type}'/>`

/** The subscription types that reach a client out of forged ones, each as `type from`. */
async function forged(client: RawClient): Promise<string[]> {
  const stanzas = [
    from('tybalt@localhost', 'subscribed'),
    from('stranger@evil.example', 'subscribed'),
    from('tybalt@localhost', 'unsubscribed'),
    from('romeo@localhost', 'unsubscribed'),
  ]
  for (const stanza of stanzas) await prosody.inject(client.jid, stanza)
  return (await client.settled()).map(line => line.replace(/^presence\(from=(\S+) type=(\w+)\)$/, '$2 $1'))
}

const hash = 'a secret of sixteen and more'

for (const [user, signal, more] of [
  ['killed', 'SIGKILL', {}],
  ['stopped', 'SIGTERM', {}],
  ['unnamed', 'SIGKILL', { hash }],
  ['nameless', 'SIGTERM', { hash }],
] as const) {
  t.test(`a gate that ends with ${signal}${'hash' in more ? ', whose store holds no JIDs' : ''}`, async t => {
    const store = { path: join(t.testdir(), 'store'), ...more }
    await writeRoster(prosody, user, { 'romeo@localhost': 'both', 'tybalt@localhost': 'none' })
    const first = await started(t, store)
    const before = await login(first, user, 'one')
    await versionOf(before)
    before.send(`<presence xmlns='jabber:client' type='subscribe' to='mercutio@localhost'/>`)
    const push = await before.element('a roster push', each => child(each, 'query', 'jabber:iq:roster') !== undefined)
    const ver = child(push, 'query', 'jabber:iq:roster')?.attrs.get('ver') ?? ''
    // What is told to stop writes what waits; what is killed has written it before.
    if (signal === 'SIGKILL') await kept(first)
    await first.stop(signal)

    const second = await started(t, store)
    const after = await login(second, user, 'two')
    t.equal(
      child(await after.roster(ver), 'query', 'jabber:iq:roster'),
      undefined,
      'the server says that nothing has changed',
    )
    t.strictSame(await forged(after), ['unsubscribed romeo@localhost'])
    const counts = await second.metrics()
    t.equal(counts.sum('store_recalls_total', { outcome: 'found' }), 1)
    t.equal(counts.sum('store_recalls_total'), 1)
    t.equal(counts.sum('subscription_undecided_total'), 0)
    const contacts = await contactsOf(second, `${user}@localhost`)
    const mercutio = Object.values(contacts).find(each => each.state === 'none+ask')
    t.equal(contacts['mercutio@localhost'], 'hash' in more ? undefined : mercutio, 'he has a name, or none yet')
    const since = Date.parse(mercutio?.since ?? '')
    t.ok(since > Date.now() - 60_000 && since < Date.now(), 'its time came back too')
    await leave(after)
  })
}

t.test('without a store', async t => {
  await writeRoster(prosody, 'forgetful', { 'romeo@localhost': 'both' })
  const first = await started(t, 'none')
  const before = await login(first, 'forgetful', 'one')
  const ver = await versionOf(before)
  await first.stop('SIGTERM')
  t.match(first.lines.join('\n'), /store: none: after a restart, approvals pass unverified/)
  const second = await started(t, 'none')
  const after = await login(second, 'forgetful', 'two')
  const query = child(await after.roster(ver), 'query', 'jabber:iq:roster')
  t.equal(query?.children.length, 1, 'a version that the gate does not know is not asked with')
  t.notOk(existsSync(join(second.folder, 'stanzagate.store')))
  await leave(after)
})

t.test('a default place where nothing can be kept', async t => {
  process.env.STATE_DIRECTORY = '/proc/stanzagate'
  const gate = await GateProcess.start({ upstream: prosody })
  delete process.env.STATE_DIRECTORY
  t.teardown(() => gate.stop('SIGKILL'))
  const client = await login(gate, 'romeo', 'one')
  t.equal((await client.roster('')).attrs.get('type'), 'result', 'the gate works as it did without a store')
  await gate.stop('SIGTERM')
  t.match(
    gate.lines.join('\n'),
    /nothing is kept across restarts: \/proc\/stanzagate\/stanzagate\.store cannot be used/,
  )
  await t.rejects(started(t, { path: '/proc/stanzagate/kept' }), {
    message:
      /ended with 1:\nstanzagate: \/proc\/stanzagate\/kept cannot be used as the store: .*; name a folder that the gate may write/,
  })
})

t.test('a roster that has changed while there was no gate', async t => {
  const store = { path: join(t.testdir(), 'store') }
  await writeRoster(prosody, 'changed', { 'romeo@localhost': 'both', 'tybalt@localhost': 'none' })
  const first = await started(t, store)
  const before = await login(first, 'changed', 'one')
  const old = await versionOf(before)
  await kept(first)
  await first.stop('SIGKILL')
  // Past the gate.
  const direct = await (await connectTcp(prosody.port)).login('changed', 'direct')
  direct.send(
    `<iq xmlns='jabber:client' type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='romeo@localhost' subscription='remove'/></query></iq>`,
  )
  await direct.withId('s')
  await leave(direct)
  const second = await started(t, store)
  const after = await login(second, 'changed', 'two')
  const query = child(await after.roster(old), 'query', 'jabber:iq:roster')
  t.equal(query?.children.length, 1, 'the server sends what there is now')
  t.strictSame(await forged(after), [], 'what was kept is not believed')
  await kept(second)
  await second.stop('SIGKILL')
  const third = await started(t, store)
  const last = await login(third, 'changed', 'three')
  const now = query?.attrs.get('ver') ?? ''
  t.equal(child(await last.roster(now), 'query', 'jabber:iq:roster'), undefined)
  t.same(Object.keys(await contactsOf(third, 'changed@localhost')), ['tybalt@localhost'])
  await leave(last)
})

for (const more of [{}, { hash }])
  t.test(`two gates with one store${'hash' in more ? ', which holds no JIDs' : ''}`, async t => {
    const store = { path: join(t.testdir(), 'store'), ...more }
    await writeRoster(prosody, 'shared', { 'romeo@localhost': 'both', 'tybalt@localhost': 'none' })
    const [first, second] = [await started(t, store), await started(t, store)]
    const before = await login(first, 'shared', 'one')
    const ver = await versionOf(before)
    await kept(first)
    const after = await login(second, 'shared', 'two')
    t.equal(
      child(await after.roster(ver), 'query', 'jabber:iq:roster'),
      undefined,
      'the other gate has seen this version',
    )
    t.strictSame(await forged(after), ['unsubscribed romeo@localhost'])
    await leave(after)
  })

t.test('two gates with one Redis, which is gone for a while', async t => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const store = { redis: redis.url }
  await writeRoster(prosody, 'apart', { 'romeo@localhost': 'both', 'tybalt@localhost': 'none' })
  const [first, second] = [await started(t, store), await started(t, store)]
  const before = await login(first, 'apart', 'one')
  const ver = await versionOf(before)
  await kept(first)
  await first.stop('SIGKILL')
  const after = await login(second, 'apart', 'two')
  await found(second)
  t.equal(
    child(await after.roster(ver), 'query', 'jabber:iq:roster'),
    undefined,
    'what the other gate had acknowledged',
  )
  t.strictSame(await forged(after), ['unsubscribed romeo@localhost'])

  await redis.end()
  after.send(`<presence xmlns='jabber:client' type='subscribe' to='mercutio@localhost'/>`)
  const push = await after.element('a roster push', each => child(each, 'query', 'jabber:iq:roster') !== undefined)
  const failing = async () => (await second.metrics()).sum('store_failing') === 1
  while (!(await failing()));
  t.same(await after.settled(), [], 'the session lives on')
  const third = await started(t, store)
  const other = await login(third, 'apart', 'three')
  t.equal((await other.roster('')).attrs.get('type'), 'result', 'and another begins')
  await leave(other)
  await redis.begin()
  await kept(second)
  t.equal((await second.metrics()).sum('store_failing'), 0)
  await second.stop('SIGKILL')
  const last = await started(t, store)
  const again = await login(last, 'apart', 'four')
  await found(last)
  const newest = child(push, 'query', 'jabber:iq:roster')?.attrs.get('ver') ?? ''
  t.equal(child(await again.roster(newest), 'query', 'jabber:iq:roster'), undefined, 'what came meanwhile is kept')
  t.equal((await contactsOf(last, 'apart@localhost'))['mercutio@localhost']?.state, 'none+ask')
  for (const gate of [second, last]) t.notMatch(gate.lines.join('\n'), /unhandled|TypeError/i)
  await leave(again)
})

t.test('what a session asks for at one gate is believed at the other, before a roster shows it', async t => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const upstream = new Upstream()
  t.teardown(() => upstream.server.close())
  const to = { address: '127.0.0.1', port: await upstream.port() }
  const gateTo = async () => {
    const gate = await GateProcess.start({ upstream: to, more: { store: { redis: redis.url } } })
    t.teardown(() => gate.stop('SIGKILL'))
    return gate
  }
  const [here, there] = [await gateTo(), await gateTo()]
  const asking = await (await connectTcp(here.port('plain'))).login('juliet', 'a')
  const hearing = await (await connectTcp(there.port('plain'))).login('juliet', 'b')
  const { socket } = upstream
  const roster = hearing.roster()
  const empty = `<iq type='result' id='roster'><query xmlns='jabber:iq:roster'/></iq>`
  socket?.on('data', bytes => {
    if (String(bytes).includes(`id='roster'`)) socket.write(empty)
  })
  await roster
  const approval = `<presence from='mercutio@localhost' to='juliet@localhost' type='subscribed'/>`
  const mark = (id: number) => `<message from='localhost' id='mark-${id}'/>`
  socket?.write(approval + mark(0))
  const isMark = (line: string) => line.includes('id=mark-')
  const next = async () => {
    const lines: string[] = []
    for (;;) {
      const element = await hearing.element('a stanza', () => true)
      const line = `${element.name} ${element.attrs.get('type') ?? ''} id=${element.attrs.get('id') ?? ''}`
      if (isMark(line)) return lines
      lines.push(line)
    }
  }
  t.same(await next(), [], 'nobody has asked')
  asking.send(`<presence xmlns='jabber:client' to='mercutio@localhost' type='subscribe'/>`)
  // The news takes its time; what comes before it is dropped.
  for (let id = 1; ; id++) {
    socket?.write(approval + mark(id))
    const lines = await next()
    if (lines.length === 0) continue
    t.same(lines, ['presence subscribed id='])
    break
  }
  socket?.write(approval + mark(0))
  t.same(await next(), [], 'once')
})

t.test('a store that must not be used', async t => {
  const path = join(t.testdir(), 'store')
  const gate = await started(t, { path })
  const client = await login(gate, 'romeo', 'one')
  await versionOf(client)
  await kept(gate)
  await gate.stop('SIGTERM')
  const damaged = `${path}.damaged`
  cpSync(path, damaged, { recursive: true })
  truncateSync(join(damaged, 'data.mdb'), 5_000)
  await t.rejects(started(t, { path: damaged }), {
    message: /ended with 1:\nstanzagate: .*data\.mdb is damaged \(.*\); put back a copy, or move .*\.damaged away/,
  })
  const foreign = `${path}.foreign`
  cpSync(path, foreign, { recursive: true })
  writeFileSync(join(foreign, 'data.mdb'), 'text')
  await t.rejects(started(t, { path: foreign }), { message: /ended with 1:\nstanzagate: .*data\.mdb is damaged/ })
})
