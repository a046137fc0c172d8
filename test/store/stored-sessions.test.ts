/** Resumable sessions in a store: each is found once, as long as the server keeps it. */
import t from 'tap'
import type { KeptSession } from '../../src/session/session-keeper.ts'
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
  readonly sessions: StoredSessions

  constructor(store: Store, secret?: string) {
    const { said } = this
    const called = (operation: string, _seconds: number, _fails: boolean, error?: unknown) => {
      if (error !== undefined) said.push(`${operation} failed`)
    }
    this.sessions = new StoredSessions({
      store,
      calls: new StoreCalls({ clock: new HandClock(), called }),
      time: () => this.time,
      key: secret === undefined ? undefined : new StoreKey(secret),
      counted: (event, count) => said.push(`${event} ${count}`),
    })
  }

  heard(): string[] {
    return this.said.splice(0)
  }
}

function session(key: string, left = 600_000): KeptSession {
  return { key, record: { jid: `${key}@im.example/\u{1f600}` }, resumableFor: 600_000, left }
}

t.test('a session is found by its key, once, and with the time that is left', async t => {
  const store = await openLmdbStore(t.testdir())
  t.teardown(() => store.close())
  const before = new House(store)
  t.equal(await before.sessions.keep([session('a'), session('b')]), true)
  const after = new House(store)
  after.time += 1_000
  t.same(await after.sessions.take('a'), { ...session('a'), left: 599_000 })
  t.equal(await after.sessions.take('a'), undefined)
  t.equal(await after.sessions.take('c'), undefined)
  t.same([...before.heard(), ...after.heard()], ['kept 2', 'found 1'])
  const both = await Promise.all([before.sessions.take('b'), after.sessions.take('b')])
  t.equal(both.filter(found => found !== undefined).length, 1, 'of two that ask at once one gets it')
})

t.test('a session that the server has forgotten, and what is no session', async t => {
  const store = await openLmdbStore(t.testdir())
  t.teardown(() => store.close())
  const house = new House(store)
  await house.sessions.keep([session('a'), session('b')])
  house.time += 600_000
  t.equal(await house.sessions.take('a'), undefined)
  t.same(house.heard(), ['kept 2', 'expired 1'])
  house.time -= 1
  t.equal((await house.sessions.take('b'))?.left, 1)
  house.heard()
  const damaged: Store = { ...store, load: async () => new Map([['session', '{"record":']]), save: async () => [] }
  const other = new House(damaged)
  t.equal(await other.sessions.take('a'), undefined)
  t.same(other.heard(), ['unreadable 1'])
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
  t.equal(await new House(store, 'another secret of a test').sessions.take('a'), undefined)
  const after = new House(store, 'the secret of a test')
  t.same(await after.sessions.take('a'), session('a'))
  t.equal(await after.sessions.take('a'), undefined)
  // One record in the place of another.
  const [[record = '']] = [saved.filter(text => text.startsWith('session:')).slice(1)]
  const fields = await store.load(record)
  await house.sessions.keep([session('c')])
  const last = saved.filter(text => text.startsWith('session:')).at(-1) ?? ''
  await store.save([{ record: last, fields, isWhole: true, until: 30_000 }])
  after.heard()
  t.equal(await after.sessions.take('c'), undefined)
  t.same(after.heard(), ['unreadable 1'])
})

t.test('a store that fails keeps nothing and gives nothing', async t => {
  const fails = async () => {
    throw new Error('it is made to fail')
  }
  const house = new House({ place: 'nowhere', load: fails, save: fails, forgetBefore: fails, close: fails })
  t.equal(await house.sessions.keep([session('a')]), false)
  t.equal(await house.sessions.take('a'), undefined)
  t.same(house.heard(), ['keep-sessions failed', 'lost 1', 'take-session failed'])
})
