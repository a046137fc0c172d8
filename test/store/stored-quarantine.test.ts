/** Requests of strangers in a store: they outlive the process; a store that fails is tried again, and nothing old comes back. */
import t, { type Test } from 'tap'
import { Quarantine } from '../../src/account/quarantine.ts'
import { openLmdbStore } from '../../src/store/lmdb-store.ts'
import { openRedisStore } from '../../src/store/redis-store.ts'
import type { Store } from '../../src/store/store.ts'
import { StoreCalls } from '../../src/store/store-calls.ts'
import { StoreKey } from '../../src/store/store-key.ts'
import { StoredQuarantine } from '../../src/store/stored-quarantine.ts'
import { element } from '../../src/xml/element.ts'
import { HandClock } from '../clients/hand-clock.ts'
import { RedisServer } from '../servers/redis.ts'

const romeo = 'romeo@im.example'

class House {
  readonly clock = new HandClock()
  readonly said: string[] = []
  readonly quarantine: Quarantine
  readonly stored: StoredQuarantine
  /** The account has a session. */
  isHere = true
  private now = 5_000

  constructor(store: Store, key?: StoreKey) {
    const called = (operation: string, _seconds: number, _fails: boolean, error?: unknown) =>
      this.said.push(error === undefined ? operation : `${operation} failed`)
    const { clock } = this
    this.quarantine = new Quarantine({ perLogin: 2, perDay: 3 }, () => this.now)
    const more = { quarantine: this.quarantine, time: Date.now, days: 90, isHere: () => this.isHere, key }
    this.stored = new StoredQuarantine({ store, clock, calls: new StoreCalls({ clock, called }), ...more })
    this.quarantine.keeper = this.stored
  }

  hold(contact: string): void {
    this.now++
    const request = element('presence', 'jabber:client', { type: 'subscribe', from: contact })
    this.quarantine.hold(romeo, { contact, rank: 2, why: 'per-login', element: request })
  }

  held(): string[] {
    return [...this.quarantine.heldFor(romeo)].map(({ contact }) => contact)
  }
}

const stores: Readonly<Record<string, (t: Test) => Promise<() => Promise<Store>>>> = {
  LMDB: async t => {
    const folder = t.testdir()
    return () => openLmdbStore(folder)
  },
  Redis: async t => {
    const server = await RedisServer.start()
    t.teardown(() => server.stop())
    return () => openRedisStore(server.url)
  },
}

for (const [name, begin] of Object.entries(stores))
  t.test(`${name}: what is held, shown and decided is there after a restart`, async t => {
    const open = await begin(t)
    const store = await open()
    const before = new House(store)
    for (const contact of ['a@x', 'b@x', 'c@x', 'd@x']) before.hold(contact)
    before.quarantine.shown(romeo, 'b@x')
    await before.stored.write()
    before.quarantine.ended(romeo, 'b@x')
    before.quarantine.decide(romeo, 'c@x', 'deny')
    before.clock.advance(500)
    await before.stored.stop()
    await store.close()

    const again = await open()
    t.teardown(() => again.close())
    const after = new House(again)
    await after.stored.load('ROMEO@im.example/orchard')
    t.same(after.held(), ['a@x', 'd@x'])
    t.equal(after.quarantine.isShown(romeo, 'b@x'), false)
    t.equal(after.quarantine.decisionOn(romeo, 'c@x'), 'deny')
    t.equal(after.quarantine.size, 2)
    await after.stored.load('nobody@im.example')
    t.equal(after.quarantine.requestsOf('nobody@im.example'), undefined)
  })

t.test('with a key nobody is named in the store, and all is there again', async t => {
  const store = await openLmdbStore(t.testdir())
  t.teardown(() => store.close())
  const written: string[] = []
  const watched: Store = {
    ...{ place: store.place, forgetBefore: day => store.forgetBefore(day), close: () => store.close() },
    load: record => store.load(record),
    save: changes => {
      for (const { record, fields } of changes)
        written.push(record, ...[...fields].flatMap(([name, text = '']) => [name, text]))
      return store.save(changes)
    },
  }
  const key = new StoreKey('a-secret-of-the-operator')
  const before = new House(watched, key)
  for (const contact of ['a@x.example', 'b@x.example']) before.hold(contact)
  before.quarantine.decide(romeo, 'b@x.example', 'deny')
  await before.stored.write()
  t.notMatch(written.join('\n'), /romeo|im\.example|a@x|b@x|subscribe/)
  const after = new House(store, key)
  await after.stored.load(romeo)
  t.same([after.held(), after.quarantine.decisionOn(romeo, 'b@x.example')], [['a@x.example'], 'deny'])
  const other = new House(store, new StoreKey('another-secret-of-his'))
  await other.stored.load(romeo)
  t.same(other.held(), [])
})

t.test('what has changed since is not taken from the store', async t => {
  const store = await openLmdbStore(t.testdir())
  t.teardown(() => store.close())
  let meanwhile = () => {}
  const slow: Store = {
    ...{ place: store.place, forgetBefore: day => store.forgetBefore(day), close: () => store.close() },
    save: changes => store.save(changes),
    load: async record => {
      const fields = await store.load(record)
      meanwhile()
      return fields
    },
  }
  const house = new House(slow)
  for (const contact of ['a@x', 'b@x', 'c@x']) house.hold(contact)
  await house.stored.write()
  house.quarantine.ended(romeo, 'a@x')
  meanwhile = () => house.quarantine.ended(romeo, 'b@x')
  await house.stored.load(romeo)
  t.same(house.held(), ['c@x'])
})

t.test('another gate has changed it', async t => {
  const store = await openLmdbStore(t.testdir())
  t.teardown(() => store.close())
  const [here, there] = [new House(store), new House(store)]
  there.isHere = false
  for (const contact of ['a@x', 'b@x', 'c@x']) here.hold(contact)
  await here.stored.write()
  await there.stored.load(romeo)
  here.quarantine.shown(romeo, 'a@x')
  await here.stored.write()
  there.quarantine.decide(romeo, 'b@x', 'deny')
  await there.stored.load(romeo)
  t.same([there.held(), there.quarantine.size], [['c@x'], 1], 'without a session the store knows better')
  t.same(here.held(), ['b@x', 'c@x'])
  await here.stored.load(romeo)
  t.same([here.held(), here.quarantine.decisionOn(romeo, 'b@x')], [['c@x'], 'deny'])
})

t.test('a store that fails', async t => {
  const real = await openLmdbStore(t.testdir())
  t.teardown(() => real.close())
  let fails = true
  const check = () => {
    if (fails) throw new Error('it is made to fail')
  }
  const store: Store = {
    place: real.place,
    load: async record => {
      check()
      return real.load(record)
    },
    save: async changes => {
      check()
      return real.save(changes)
    },
    forgetBefore: day => real.forgetBefore(day),
    close: () => real.close(),
  }
  const house = new House(store)
  await house.stored.load(romeo)
  house.hold('a@x')
  await house.stored.write()
  t.same(house.said.splice(0), ['load failed', 'save failed'])
  t.same(house.held(), ['a@x'])
  fails = false
  house.clock.advance(4_999)
  t.same(house.said, [])
  house.clock.advance(1)
  await house.stored.write()
  t.same(house.said, ['save'])
  const after = new House(real)
  await after.stored.load(romeo)
  t.same(after.held(), ['a@x'])
})

t.test('a record that is none is told, and taken for nothing', async t => {
  const store = await openLmdbStore(t.testdir())
  t.teardown(() => store.close())
  const fields = new Map([['request:a@x', 'damaged']])
  await store.save([{ record: `requests:${romeo}`, fields, isWhole: true, until: 90 }])
  const house = new House(store)
  await house.stored.load(romeo)
  t.same([house.said, house.held()], [['load failed'], []])
})

t.test('another gate writes a request while the operator decides about it here', async t => {
  const store = await openLmdbStore(t.testdir())
  t.teardown(() => store.close())
  const [here, there] = [new House(store), new House(store)]
  there.isHere = false
  here.hold('a@x')
  here.hold('b@x')
  await here.stored.write()
  await there.stored.load(romeo)
  here.quarantine.shown(romeo, 'a@x')
  here.quarantine.ended(romeo, 'b@x')
  here.hold('b@x')
  there.quarantine.decide(romeo, 'a@x', 'release')
  there.quarantine.decide(romeo, 'b@x', 'deny')
  await there.stored.write()
  await here.stored.load(romeo)
  const known = ({ quarantine }: House) => [
    quarantine.isShown(romeo, 'a@x'),
    ...['a@x', 'b@x'].map(contact => quarantine.decisionOn(romeo, contact)),
    quarantine.size,
  ]
  t.same(known(here), [true, 'release', 'deny', 0])
  await there.stored.load(romeo)
  t.same(known(there), [true, 'release', 'deny', 0])
})
