/** Resumable sessions in a store: each is found once, as long as the server keeps it. */
import t from 'tap'
import type { Fields } from '../../src/account/account-record.ts'
import type { FoundSession, KeptSession } from '../../src/session/session-keeper.ts'
import { openLmdbStore } from '../../src/store/lmdb-store.ts'
import type { RecordChange, Store } from '../../src/store/store.ts'
import { StoreCalls } from '../../src/store/store-calls.ts'
import { StoreKey } from '../../src/store/store-key.ts'
import { StoredSessions } from '../../src/store/stored-sessions.ts'
import { HandClock } from '../clients/hand-clock.ts'

const day = 86_400_000

class House {
  readonly said: string[] = []
  time = 20_000 * day
  readonly clock = new HandClock()
  readonly sessions: StoredSessions

  constructor(store: Store, secret?: string) {
    const { said } = this
    const called = (operation: string, _seconds: number, _fails: boolean, error?: unknown) => {
      if (error !== undefined) said.push(`${operation} failed`)
    }
    this.sessions = new StoredSessions({
      store,
      calls: new StoreCalls({ clock: new HandClock(), called }),
      clock: this.clock,
      time: () => this.time,
      key: secret === undefined ? undefined : new StoreKey(secret),
      counted: (event, count) => said.push(`${event} ${count}`),
    })
  }

  async take(key: string): Promise<KeptSession | undefined> {
    const found = await this.sessions.find(key)
    return found !== undefined && (await found.claim()) ? plain(found) : undefined
  }

  heard(): string[] {
    return this.said.splice(0)
  }
}

function session(key: string, left = 600_000): KeptSession {
  return { key, record: { jid: `${key}@im.example/\u{1f600}` }, resumableFor: 600_000, left }
}

function plain({ claim, release, ...session }: FoundSession): KeptSession {
  return session
}

t.test('a session is found by its key, once, and with the time that is left', async t => {
  const store = await openLmdbStore(t.testdir())
  t.teardown(() => store.close())
  const before = new House(store)
  t.equal(await before.sessions.keep([session('a'), session('b')]), true)
  const after = new House(store)
  after.time += 1_000
  t.same(await after.take('a'), { ...session('a'), left: 599_000 })
  t.equal(await after.take('a'), undefined)
  t.equal(await after.take('c'), undefined)
  t.same([...before.heard(), ...after.heard()], ['kept 2', 'found 1'])
})

t.test('of those that ask at once each has its turn, and one of them gets it', async t => {
  const store = await openLmdbStore(t.testdir())
  t.teardown(() => store.close())
  const [one, other] = [new House(store), new House(store)]
  await one.sessions.keep([session('a')])
  const refused = await one.sessions.find('a')
  await refused?.release()
  const first = await other.sessions.find('a')
  t.ok(first, 'who was refused it leaves it to others')

  const waits = one.sessions.find('a')
  while (one.clock.timers === 0) await new Promise(resolve => setImmediate(resolve))
  t.equal(await first?.claim(), true)
  one.clock.advance(50)
  t.equal(await waits, undefined)

  await one.sessions.keep([session('b')])
  const slow = await other.sessions.find('b')
  let found: FoundSession | undefined
  const comes = one.sessions.find('b').then(session => {
    found = session
  })
  for (let looks = 0; looks < 20; looks++) {
    t.equal(found, undefined, 'it is the turn of the first')
    while (one.clock.timers === 0) await new Promise(resolve => setImmediate(resolve))
    one.clock.advance(50)
  }
  await comes
  t.equal(await found?.claim(), true, 'who asks for long does not keep others from it')
  t.equal(await slow?.claim(), false)
  t.same([...one.heard(), ...other.heard()], ['kept 1', 'kept 1', 'found 1', 'found 1'])
})

t.test('a session that the server has forgotten, and what is no session', async t => {
  const store = await openLmdbStore(t.testdir())
  t.teardown(() => store.close())
  const house = new House(store)
  await house.sessions.keep([session('a'), session('b')])
  house.time += 600_000
  t.equal(await house.take('a'), undefined)
  t.same(house.heard(), ['kept 2', 'expired 1'])
  house.time -= 1
  t.equal((await house.take('b'))?.left, 1)
  house.time -= 86_400_000
  t.equal((await house.take('a'))?.left, 600_000, 'a clock that was set back does not make it longer')
})

t.test('a record that is damaged anywhere is no session', async t => {
  let fields: Fields = new Map()
  const damaged = {
    load: async () => fields,
    save: async ([change]: readonly RecordChange[]) => {
      if (change?.isWhole) fields = change.fields as Fields
      return []
    },
  }
  const house = new House(damaged as unknown as Store)
  await house.sessions.keep([{ ...session('a'), record: { count: 1234 } }])
  const kept = fields
  const text = kept.get('session') ?? ''
  t.ok(await house.sessions.find('a'))
  house.heard()
  const others = ['', text.slice(0, -1), `${text} `, text.replace('1234', '1235'), '{"record":', 'null']
  const changed = others.map(other => new Map([...kept, ['session', other]]))
  for (const damaged of [...changed, new Map([...kept, ['hash', '']]), new Map([['session', text]])]) {
    fields = damaged
    t.equal(await house.sessions.find('a'), undefined, [...damaged].join(' '))
    t.same(house.heard(), ['unreadable 1'])
  }
})

t.test('neither the key nor the SM-ID is in the store', async t => {
  const names: string[] = []
  const save = async (changes: readonly RecordChange[]) => {
    names.push(...changes.map(({ record }) => record))
    return []
  }
  const store = { save } as unknown as Store
  await new House(store).sessions.keep([session('["main","im.example","secret-id"]')])
  t.match(names, [/^session:[\w-]{43}$/])
})

t.test('encrypted, a session is found with the same key alone', async t => {
  const store = await openLmdbStore(t.testdir())
  t.teardown(() => store.close())
  const saved: string[] = []
  const spied: Store = {
    place: 'spied',
    load: name => store.load(name),
    save: changes => {
      for (const { record, fields } of changes) saved.push(record, ...[...fields].flat().map(String))
      return store.save(changes)
    },
    forgetBefore: day => store.forgetBefore(day),
    close: () => store.close(),
  }
  const house = new House(spied, 'the secret of a test')
  await house.sessions.keep([session('a'), session('b')])
  t.notMatch(saved.join(' '), /im\.example|"jid"/)
  t.equal(await new House(store, 'another secret of a test').take('a'), undefined)
  const after = new House(store, 'the secret of a test')
  t.same(await after.take('a'), session('a'))
  t.equal(await after.take('a'), undefined)
  // One record in the place of another.
  const [[record = '']] = [saved.filter(text => text.startsWith('session:')).slice(1)]
  const fields = await store.load(record)
  await house.sessions.keep([session('c')])
  const last = saved.filter(text => text.startsWith('session:')).at(-1) ?? ''
  await store.save([{ record: last, fields, isWhole: true, until: 30_000 }])
  after.heard()
  t.equal(await after.take('c'), undefined)
  t.same(after.heard(), ['unreadable 1'])
})

t.test('a store that fails keeps nothing and gives nothing', async t => {
  const fails = async () => {
    throw new Error('it is made to fail')
  }
  const house = new House({ place: 'nowhere', load: fails, save: fails, forgetBefore: fails, close: fails })
  t.equal(await house.sessions.keep([session('a')]), false)
  t.equal(await house.take('a'), undefined)
  t.same(house.heard(), ['keep-sessions failed', 'lost 1', 'take-session failed'])
})
