// A store without JIDs (`store.hash`), behind a real Prosody: nothing at rest names anybody, and what outlives a process otherwise outlives it so too.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { child } from '../../src/xml/element.ts'
import { ManagedClient } from '../clients/managed-client.ts'
import { connectTcp, type RawClient } from '../clients/raw.ts'
import { GateProcess } from '../load/gate-process.ts'
import { RedisServer } from '../servers/redis.ts'
import { makeProsody, writeRoster } from './gate.ts'

const hash = 'a secret of sixteen and more'
const users = ['juliet', 'lonely', 'capulet']
const prosody = await makeProsody(t, { accounts: Object.fromEntries(users.map(user => [user, 'secret'])) })

type StoreKeys = { readonly path: string } | { readonly redis: string }

interface Place {
  readonly store: StoreKeys
  /** All bytes that are on the disk, or in Redis. */
  bytes(): Promise<string>
}

function inFolder(t: Test): Place {
  const path = join(t.testdir(), 'store')
  return { store: { path }, bytes: async () => bytesOf(path) }
}

async function inRedis(t: Test): Promise<Place> {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())
  const client = new Redis(server.url)
  t.teardown(() => client.disconnect())
  const bytes = async () => {
    await client.save()
    const [, folder = ''] = (await client.config('GET', 'dir')) as string[]
    const keys = await client.keys('*')
    const dumps = await Promise.all(keys.map(key => client.dumpBuffer(key)))
    return [bytesOf(folder), ...keys, ...dumps.map(dump => dump?.toString('latin1'))].join('\n')
  }
  return { store: { redis: server.url }, bytes }
}

function bytesOf(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(each => each.isFile())
  return files.map(file => readFileSync(join(file.parentPath, file.name), 'latin1')).join('\n')
}

async function started(t: Test, store: object): Promise<GateProcess> {
  const limits = { pendingRequests: { perLogin: 1, perDay: 1 } }
  const rules = { 'pending-requests': 'enforce' }
  const gate = await GateProcess.start({ upstream: prosody, limits, more: { store, rules } })
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

/** What the gate knows of an account's contacts: `CONTACT STATE`, sorted; and whether it knows since when. */
async function contactsOf(gate: GateProcess, account: string): Promise<string[]> {
  const response = await fetch(`http://127.0.0.1:${gate.port('admin')}/api/accounts/${account}`)
  const { contacts } = (await response.json()) as { contacts: { contact: string; state: string; since?: string }[] }
  return contacts.map(({ contact, state, since }) => `${contact} ${state}${since ? ' since' : ''}`).toSorted()
}

async function until(gate: GateProcess, name: string, labels: Record<string, string>, value: number): Promise<void> {
  while ((await gate.metrics()).sum(name, labels) !== value);
}

const roster = 'jabber:iq:roster'
const named = /romeo|mercutio|tybalt|juliet|lonely|stranger|localhost|example|a text of a request/i

for (const [what, make] of [
  ['embedded', async (t: Test) => inFolder(t)],
  ['Redis', inRedis],
] as const)
  t.test(`${what}: nothing names anybody, and all comes back`, async t => {
    const { store, bytes } = await make(t)
    await writeRoster(prosody, 'juliet', { 'romeo@localhost': 'both', 'tybalt@elsewhere.example': 'none' })
    const first = await started(t, { ...store, hash })
    const before = await login(first, 'juliet', 'one')
    await before.roster('')
    before.send(`<presence xmlns='jabber:client' type='subscribe' to='mercutio@localhost'/>`)
    const push = await before.element('a roster push', each => child(each, 'query', roster) !== undefined)
    const ver = child(push, 'query', roster)?.attrs.get('ver') ?? ''
    const lonely = new ManagedClient('lonely', 'one')
    await lonely.login(first.port('plain'))
    const { gone } = lonely
    // The second one is held, and is in the record of the session with its text.
    for (const stranger of ['stranger@a.example', 'stranger@b.example'])
      await prosody.inject(
        lonely.jid,
        `<presence from='${stranger}' type='subscribe'><status>a text of a request</status></presence>`,
      )
    await until(first, 'store_waiting_accounts', {}, 0)
    t.notMatch(await bytes(), named, 'while it runs')
    await first.stop('SIGTERM')
    await gone
    const atRest = await bytes()
    t.notMatch(atRest, named, 'after its end')
    t.notMatch(atRest, new RegExp(hash), 'nor is the secret there')
    t.ok(atRest.includes('session:') && atRest.includes('hashed-account:'), 'there is something')

    const second = await started(t, { ...store, hash })
    t.equal(await lonely.resume(second.port('plain')), 'resumed')
    const after = await login(second, 'juliet', 'two')
    // A client that is faster than Redis gets its whole roster.
    await until(second, 'store_recalls_total', { outcome: 'found' }, 1)
    t.equal(child(await after.roster(ver), 'query', roster), undefined, 'its version is known')
    t.match(await contactsOf(second, 'juliet@localhost'), [
      /^hash:[0-9a-f]{32} \S+( since)?$/,
      /^hash:[0-9a-f]{32} \S+( since)?$/,
      /^hash:[0-9a-f]{32} \S+( since)?$/,
    ])
    for (const [from, type] of [
      ['stranger@evil.example', 'subscribed'],
      ['tybalt@elsewhere.example', 'subscribed'],
      ['tybalt@elsewhere.example', 'unsubscribed'],
      ['romeo@localhost', 'subscribed'],
      ['Romeo@localhost', 'unsubscribed'],
      ['mercutio@localhost', 'subscribed'],
    ] as const)
      await prosody.inject(after.jid, `<presence from='${from}' type='${type}'/>`)
    const passed = (await after.settled()).map(line => line.replace(/^presence\(from=(\S+) type=(\w+)\)$/, '$2 $1'))
    t.same(passed, ['unsubscribed Romeo@localhost', 'subscribed mercutio@localhost'], 'each is judged by what was kept')
    t.equal((await second.metrics()).sum('subscription_undecided_total'), 0)
    const contacts = await contactsOf(second, 'juliet@localhost')
    t.match(contacts[0], /^hash:[0-9a-f]{32} none$/, 'he was not believed')
    t.same(contacts.slice(1), ['mercutio@localhost none+ask since', 'romeo@localhost both'], 'who was seen has a JID')
    await until(second, 'store_waiting_accounts', {}, 0)
    t.notMatch(await bytes(), named, 'while the second one runs')
    for (const gate of [first, second]) t.notMatch(gate.lines.join('\n'), new RegExp(hash), 'the log says no secret')
    await lonely.leave()
  })

t.test('a store that was begun with another secret, or without one', async t => {
  const root = t.testdir()
  const folder = (name: string) => ({ path: join(root, name) })
  for (const [name, store] of [
    ['clear', folder('clear')],
    ['hashed', { ...folder('hashed'), hash }],
  ] as const) {
    const gate = await started(t, store)
    const client = await login(gate, 'capulet', name)
    await client.roster('')
    await leave(client)
    await gate.stop('SIGTERM')
  }
  t.match(bytesOf(join(root, 'clear')), /capulet@localhost/, 'without a secret a search finds whom it is looking for')
  const bad: readonly (readonly [object, RegExp])[] = [
    [
      { ...folder('clear'), hash },
      /ended with 2:\nstanzagate: .*clear was written without store\.hash.*; move .* away/,
    ],
    [folder('hashed'), /ended with 2:\nstanzagate: .*hashed was written with store\.hash, which .*; put store\.hash/],
    [
      { ...folder('hashed'), hash: 'another secret of sixteen' },
      /ended with 2:\nstanzagate: .* another store\.hash; put/,
    ],
  ]
  for (const [store, message] of bad) await t.rejects(started(t, store), { message })
  for (const store of [folder('clear'), { ...folder('hashed'), hash }]) {
    const gate = await started(t, store)
    const client = await login(gate, 'capulet', 'again')
    await until(gate, 'store_recalls_total', { outcome: 'found' }, 1)
    await leave(client)
    await gate.stop('SIGTERM')
  }
})
