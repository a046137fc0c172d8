// A store without JIDs: what is written in their place, what can be read again and by whom, and stores that were begun with another key.
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { contactPrefix } from '../../src/account/account-record.ts'
import { hashedContact, isHashed, shownContact } from '../../src/account/hashed-contact.ts'
import { hiddenFields, hiddenRecordName, shownFields } from '../../src/store/hidden-accounts.ts'
import { openLmdbStore } from '../../src/store/lmdb-store.ts'
import { openRedisStore } from '../../src/store/redis-store.ts'
import { type Store, StoreKeyError } from '../../src/store/store.ts'
import { StoreKey } from '../../src/store/store-key.ts'
import { RedisServer } from '../servers/redis.ts'

const key = new StoreKey('one secret of a test')
const again = new StoreKey('one secret of a test')
const other = new StoreKey('another secret of a test')

t.test('names', async t => {
  const hash = key.contactHash('juliet@im.example')
  t.match(hash('romeo@im.example'), /^[0-9a-f]{32}$/)
  t.equal(hash('romeo@im.example'), again.contactHash('juliet@im.example')('romeo@im.example'))
  const others = [
    hash('tybalt@im.example'),
    key.contactHash('nurse@im.example')('romeo@im.example'),
    key.nameOf('account', 'romeo@im.example'),
    other.contactHash('juliet@im.example')('romeo@im.example'),
  ]
  t.notOk(others.includes(hash('romeo@im.example')), 'another contact, account, kind or key')
  t.equal(new Set(others).size, others.length)
  t.not(key.check, other.check)
  const gateway = hashedContact('im.example', hash)
  t.notOk(hashedContact('romeo@im.example', hash).includes(gateway.slice(1, 33)), 'a domain is no contact')
  t.equal(hashedContact(gateway, hash), gateway)
  t.match(shownContact(gateway), /^hash:[0-9a-f]{32}$/)
})

t.test('texts', async t => {
  const sealed = key.seal('place', 'a text, and \u{1f600}')
  t.not(key.seal('place', 'a text, and \u{1f600}'), sealed, 'each has its own nonce')
  t.equal(again.unseal('place', sealed), 'a text, and \u{1f600}')
  t.equal(key.unseal('place', key.seal('place', '')), '')
  const bad: readonly (readonly [string, StoreKey, string, string])[] = [
    ['another key', other, 'place', sealed],
    ['another place', key, 'a place', sealed],
    ['a bit is another', key, 'place', (sealed.startsWith('A') ? 'B' : 'A') + sealed.slice(1)],
    ['cut off', key, 'place', sealed.slice(0, -4)],
    ['no such text', key, 'place', '{"record":1}'],
    ['nothing', key, 'place', ''],
  ]
  for (const [what, by, place, text] of bad) t.equal(by.unseal(place, text), undefined, what)
})

t.test('the fields of an account', async t => {
  const account = 'juliet@im.example'
  const fields = new Map([
    ['roster', 'version 7'],
    ['contact:romeo@im.example', 'both 1764300000000'],
    ['contact:stra\u00dfe@im.example', 'to'],
    ['later:mercutio@im.example', 'whatever is kept of mercutio@im.example'],
  ])
  const hidden = hiddenFields(key, account, fields)
  t.notMatch(JSON.stringify([...hidden]), /im\.example|romeo|mercutio|whatever/)
  t.equal(hidden.get('roster'), 'version 7')
  t.equal(hidden.size, fields.size)
  const shown = shownFields(again, account, new Map(hidden as Map<string, string>))
  t.equal(shown?.get('later:mercutio@im.example'), 'whatever is kept of mercutio@im.example')
  t.equal(shown?.size, fields.size)
  const contacts = [...(shown?.keys() ?? [])].filter(name => name.startsWith(contactPrefix))
  for (const contact of contacts) t.ok(isHashed(contact.slice(contactPrefix.length)))
  t.same(hiddenFields(key, account, new Map(contacts.map(name => [name, shown?.get(name)]))).size, 2, 'a second time')
  t.equal(shownFields(other, account, new Map(hidden as Map<string, string>)), undefined)
  t.equal(shownFields(key, account, new Map([['hash:romeo', 'to']])), undefined)
  t.notMatch(hiddenRecordName(key, account), /juliet/)

  const twice = new Map([
    ['contact:romeo@im.example', 'both'],
    [`contact:${hashedContact('romeo@im.example', key.contactHash(account))}`, undefined],
    ['later:a', undefined],
  ])
  for (const order of [[...twice], [...twice].toReversed()])
    t.same([...hiddenFields(key, account, new Map(order)).values()].toSorted(), ['both', undefined], 'a JID counts')
})

const withoutKey = { name: 'Error', message: /was written with store\.hash, which the configuration does not have$/ }
const clear = { message: /was written without store\.hash, and holds JIDs as they are$/, remedy: /and remove what was/ }
const another = { message: /was written with another store\.hash$/, remedy: /put the former store\.hash back, or / }

/** The key that a store was begun with, the one that it is opened with, and what is refused. */
const openings: readonly (readonly [StoreKey | undefined, StoreKey | undefined, object | undefined])[] = [
  [undefined, undefined, undefined],
  [key, again, undefined],
  [undefined, key, clear],
  [key, undefined, withoutKey],
  [key, other, another],
]

async function playsOpenings(t: Test, open: (key: StoreKey | undefined, index: number) => Promise<Store>) {
  const change = { record: 'a', fields: new Map([['roster', 'version 1']]), isWhole: true, until: 40_000 }
  for (const [index, [first, second, refusal]] of openings.entries()) {
    const store = await open(first, index)
    await store.save([change])
    await store.close()
    if (refusal === undefined) {
      const same = await open(second, index)
      t.equal((await same.load('a')).size, 1)
      await same.close()
      continue
    }
    const error = await open(second, index).catch(error => error)
    t.type(error, StoreKeyError)
    t.match(error, refusal)
    const same = await open(first, index)
    t.equal((await same.load('a')).size, 1, 'nothing was changed')
    await same.close()
  }
}

t.test('an embedded store that was begun with another key', async t => {
  const root = t.testdir()
  await playsOpenings(t, (key, index) => openLmdbStore(join(root, `store${index}`), key))
})

t.test('a Redis that was begun with another key', async t => {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())
  await playsOpenings(t, (key, index) => openRedisStore(server.url.replace(/0$/, String(index)), key))
  // It is another one after a failover: it was flushed, and a gate with another key has begun it.
  const store = await openRedisStore(server.url.replace(/0$/, '9'), key)
  const client = new Redis(server.url.replace(/0$/, '9'))
  await client.set('stanzagate:key', other.check)
  await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  const failure = async (): Promise<unknown> => {
    for (;;) {
      const error = await store.load('a').catch(error => error)
      if (error instanceof StoreKeyError) return error
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  t.match(await failure(), another)
  client.disconnect()
  await store.close()
})
