// The store in a real Redis: what every store does, a Redis that is gone for a while, one that has lost what it had, and one of others.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { openRedisStore } from '../../src/store/redis-store.ts'
import type { RecordChange, Store } from '../../src/store/store.ts'
import { RedisServer } from '../servers/redis.ts'
import { plays } from './contract.ts'

const today = Math.floor(Date.now() / 86_400_000)

async function serverFor(t: Test): Promise<{ server: RedisServer; client: Redis }> {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())
  const client = new Redis(server.url)
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  return { server, client }
}

/** Asks until the store works. */
async function working(store: Store): Promise<void> {
  for (;;) {
    try {
      return void (await store.load('a'))
    } catch {
      await new Promise(resolve => setImmediate(resolve))
    }
  }
}

const change: RecordChange = {
  record: 'account:a@localhost',
  fields: new Map([['roster', 'version 1']]),
  isWhole: true,
  until: today + 3,
}

t.test('what every store does', async t => {
  const { server, client } = await serverFor(t)
  const store = await openRedisStore(server.url)
  await plays(t, store, today)
  t.equal(store.place, `redis://127.0.0.1:${server.port}/0`)
  await store.save([change])
  const left = await client.ttl('stanzagate:account:a@localhost')
  t.ok(left > 3 * 86_400 && left <= 4 * 86_400, 'Redis forgets it by itself')
  t.equal(await store.forgetBefore(today + 100), 0)
  t.equal((await store.load('account:a@localhost')).size, 1)
  await store.close()
})

t.test('a Redis that is gone for a while', async t => {
  const { server } = await serverFor(t)
  const store = await openRedisStore(server.url)
  await store.save([change])
  await server.end()
  await t.rejects(store.save([change]), { message: /ECONNREFUSED|closed|writeable/ })
  await t.rejects(store.load('account:a@localhost'), { message: /ECONNREFUSED|closed|writeable/ })
  await server.begin()
  await working(store)
  t.same([...(await store.load('account:a@localhost'))], [['roster', 'version 1']])
  await store.close()
  await t.rejects(store.load('a'))
})

t.test('a Redis that is not there when the gate starts', async t => {
  const { server } = await serverFor(t)
  await server.end()
  const store = await openRedisStore(`redis://user:s3cret@127.0.0.1:${server.port}/0`)
  const refused = await store.load('a').catch(String)
  t.match(refused, /ECONNREFUSED|writeable/)
  t.notMatch(`${store.place} ${refused}`, /s3cret/)
  await store.close()
  const other = await openRedisStore(server.url)
  await server.begin()
  await working(other)
  await other.save([change])
  t.equal((await other.load(change.record)).size, 1)
  await other.close()
})

t.test('a Redis that is flushed', async t => {
  const { server, client } = await serverFor(t)
  const store = await openRedisStore(server.url)
  await store.save([change])
  await client.flushall()
  t.equal((await store.load(change.record)).size, 0)
  const expects = { name: 'roster', texts: ['version 1'] }
  t.same(await store.save([{ ...change, isWhole: false, expects }]), [change.record], 'it is noticed')
  t.same(await store.save([change]), [])
  t.equal(await client.get('stanzagate:format'), '1', 'what it is is said again')
  await store.close()
})

t.test('a Redis that hangs', async t => {
  const { server, client } = await serverFor(t)
  const store = await openRedisStore(server.url)
  await store.save([change])
  // Longer than two commands may take; nobody can end it before.
  await client.call('CLIENT', 'PAUSE', '8000', 'ALL')
  await t.rejects(store.load(change.record), { message: /timed out/ })
  // What was asked before is not asked again; the connection is another one.
  await t.rejects(store.save([change]))
  await working(store)
  t.equal((await store.load(change.record)).size, 1)
  await store.close()
})

t.test('what gates tell each other', async t => {
  const { server } = await serverFor(t)
  const [one, other] = [await openRedisStore(server.url), await openRedisStore(server.url)]
  const heard = new Map<string, string[]>([
    ['one', []],
    ['other', []],
  ])
  /** Tells until it is heard: the other may not be listening yet. */
  const toldUntilHeard = async (store: Store, by: string, text: string) => {
    while (heard.get(by)?.includes(text) !== true) {
      store.channel?.tell(text)
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  one.channel?.listen(text => heard.get('one')?.push(text))
  other.channel?.listen(text => heard.get('other')?.push(text))
  await toldUntilHeard(one, 'other', 'a text with spaces\nand lines')
  await toldUntilHeard(other, 'one', 'an answer')
  const stranger = await openRedisStore(server.url.replace(/0$/, '1'))
  stranger.channel?.tell('of another database')
  await stranger.save([change])
  await toldUntilHeard(one, 'other', 'after the stranger')
  t.notOk(heard.get('other')?.includes('of another database'), 'gates of another database are strangers')
  await stranger.close()
  t.notOk(heard.get('one')?.includes('a text with spaces\nand lines'), 'nobody hears what he has told himself')
  await server.end()
  one.channel?.tell('into the void')
  await server.begin()
  await toldUntilHeard(one, 'other', 'again')
  t.notOk(heard.get('other')?.includes('into the void'))
  await one.close()
  await other.close()
})

t.test('what must not be used', async t => {
  const { server, client } = await serverFor(t)
  for (const [format, message] of [
    ['3', /redis:.*\/0 is of a newer version of Stanzagate \(format 3; this one knows 2\)/],
    ['new', /redis:.*\/0 holds a key stanzagate:format of another program/],
  ] as const) {
    await client.set('stanzagate:format', format)
    await t.rejects(openRedisStore(server.url), { name: 'Error', message }, format)
  }
  await client.del('stanzagate:format')
  await client.hset('stanzagate:format', 'a', 'b')
  await t.rejects(openRedisStore(server.url), { message: /holds a key stanzagate:format of another program/ })
  await client.del('stanzagate:format')
  await t.rejects(openRedisStore(server.url.replace(/0$/, '99')), {
    message: /\/99 is a database that this Redis does not have/,
    remedy: /name another one/,
  })
  const store = await openRedisStore(server.url)
  await client.set(`stanzagate:${change.record}`, 'no hash')
  await t.rejects(store.load(change.record), { message: /WRONGTYPE/ })
  await store.close()
})

t.test('a Redis that asks for a password', async t => {
  const { server, client } = await serverFor(t)
  await client.config('SET', 'requirepass', 's3cret')
  const store = await openRedisStore(server.url)
  await t.rejects(store.load('a'), { message: /NOAUTH/ })
  await store.close()
  const known = await openRedisStore(server.url.replace('://', '://:s3cret@'))
  await known.save([change])
  t.equal((await known.load(change.record)).size, 1)
  await known.close()
})
