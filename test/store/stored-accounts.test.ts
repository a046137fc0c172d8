// What of accounts is loaded and written, and what happens when the store fails, is slow, or is asked too much. The store is a real one, made
// slow or failing where the test says so.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Accounts } from '../../src/account/accounts.ts'
import type { AccountNews } from '../../src/account/news.ts'
import type { RosterItem } from '../../src/stanza/roster-iq.ts'
import type { SubscriptionType } from '../../src/stanza/stanza.ts'
import { openLmdbStore } from '../../src/store/lmdb-store.ts'
import type { RecordChange, Store } from '../../src/store/store.ts'
import { StoreCalls } from '../../src/store/store-calls.ts'
import { StoreKey } from '../../src/store/store-key.ts'
import { StoredAccounts } from '../../src/store/stored-accounts.ts'
import { HandClock } from '../clients/hand-clock.ts'

const day = 86_400_000

/** A store that can be told to fail, and to wait. */
class FaultyStore implements Store {
  readonly place: string
  fails = false
  /** Only changes cannot be written. */
  isFull = false
  /** Calls wait for this. */
  gate: Promise<void> = Promise.resolve()
  readonly saved: (readonly RecordChange[])[] = []
  private readonly store: Store
  private calls: Promise<unknown>[] = []

  constructor(store: Store) {
    this.store = store
    this.place = store.place
  }

  load(record: string) {
    return this.call(() => this.store.load(record))
  }

  save(changes: readonly RecordChange[]) {
    return this.call(() => {
      if (this.isFull) throw new Error('the disk is full')
      this.saved.push(changes)
      return this.store.save(changes)
    })
  }

  forgetBefore(before: number) {
    return this.call(() => this.store.forgetBefore(before))
  }

  close() {
    return this.store.close()
  }

  /** Resolves when no call is under way. */
  async settled(): Promise<void> {
    while (this.calls.length > 0) {
      await Promise.allSettled(this.calls.splice(0))
      // What follows a call is done in some turns of the microtasks.
      await new Promise(resolve => setImmediate(resolve))
    }
  }

  private call<Result>(ask: () => Promise<Result>): Promise<Result> {
    const result = this.gate.then(() => {
      if (this.fails) throw new Error('the store is made to fail')
      return ask()
    })
    this.calls.push(result)
    return result
  }
}

interface Member {
  readonly name: string
}

/** A gate's accounts over a store. */
class House {
  readonly clock = new HandClock()
  readonly store: FaultyStore
  readonly accounts: Accounts<Member>
  readonly stored: StoredAccounts
  /** What watchers were told, and what members were told. */
  readonly said: string[] = []
  /** What watchers were told last of whether the store fails. */
  fails = false
  time: number

  /** `secret`: contacts are kept as hashes. */
  constructor(
    store: Store,
    { atMost = 10, waiting = 100, time = 20_000 * day, days = 90, secret = undefined as string | undefined } = {},
  ) {
    this.store = new FaultyStore(store)
    this.time = time
    const { said } = this
    this.stored = new StoredAccounts({
      store: this.store,
      calls: new StoreCalls({
        clock: this.clock,
        called: (operation, _seconds, fails, error) => {
          this.fails = fails
          if (error !== undefined) said.push(`${operation} failed`)
        },
      }),
      clock: this.clock,
      time: () => this.time,
      days,
      key: secret === undefined ? undefined : new StoreKey(secret),
      atMost: waiting,
      recall: (...kept) => {
        const recalled = this.accounts.recall(...kept)
        for (const [{ name }, news] of recalled?.tell ?? []) said.push(`${name} is told ${news.news}`)
        return recalled !== undefined
      },
      present: () => this.accounts.present(),
      heard: (account, told) => {
        for (const [{ name }, { news }] of this.accounts.heard(account, told).tell) said.push(`${name} is told ${news}`)
      },
      decided: account => said.push(`${account} was decided about`),
      watcher: {
        recalled: outcome => said.push(`recalled: ${outcome}`),
        storeWaits: accounts => said.push(`waiting: ${accounts}`),
        storeGaveUp: accounts => said.push(`given up: ${accounts}`),
      },
    })
    this.accounts = new Accounts(atMost, this.stored)
  }

  static async at(folder: string, options?: ConstructorParameters<typeof House>[1]): Promise<House> {
    const house = new House(await openLmdbStore(folder), options)
    house.clock.advance(0)
    await house.settled()
    return house
  }

  /** What was said since it was last asked. */
  heard(): string[] {
    return this.said.splice(0)
  }

  async settled(): Promise<void> {
    await this.store.settled()
  }

  async later(milliseconds: number): Promise<void> {
    this.time += milliseconds
    this.clock.advance(milliseconds)
    await this.settled()
  }

  tell(member: Member, news: AccountNews): void {
    this.accounts.tell(member, news, this.time)
  }

  view(account: string) {
    const known = this.accounts.known(account)
    return (
      known && {
        complete: known.complete,
        contacts: known.contacts.map(({ contact, state, since }) => [
          contact,
          `${state.subscription}${state.ask ? '+ask' : ''}`,
          since,
        ]),
      }
    )
  }
}

function item(jid: string, subscription: RosterItem['subscription'], ask = false, removed = false): RosterItem {
  return { jid, subscription, ask, removed }
}

const roster = (ver: string | undefined, ...items: RosterItem[]): AccountNews => ({ news: 'roster', items, ver })
const push = (item: RosterItem, ver: string, before: RosterItem | undefined): AccountNews => ({
  news: 'push',
  item,
  ver,
  before,
})

function folderOf(t: Test): string {
  return join(t.testdir(), 'store')
}

for (const secret of [undefined, 'contacts are kept as hashes'])
  t.test(
    `a roster that comes before what was kept does not make its times forgotten${secret ? ', hashed' : ''}`,
    async t => {
      const folder = folderOf(t)
      const juliet = 'juliet@capulet.example'
      const first = await House.at(folder, { secret })
      const balcony = { name: 'balcony' }
      first.accounts.attach(juliet, balcony)
      await first.settled()
      first.tell(balcony, roster('v1', item('romeo@x', 'to'), item('nurse@x', 'to'), item('paris@x', 'none')))
      for (const [contact, after, ask] of [
        ['romeo@x', 'both'],
        ['nurse@x', 'both'],
        ['paris@x', 'none', true],
      ] as const) {
        await first.later(1)
        first.tell(balcony, push(item(contact, after, ask), 'v2', item(contact, ask === true ? 'none' : 'to')))
      }
      const { time } = first
      await first.stored.stop()

      const second = await House.at(folder, { time: time + 10, secret })
      const orchard = { name: 'orchard' }
      second.accounts.attach(juliet, orchard)
      second.tell(
        orchard,
        roster('v3', item('romeo@x', 'both'), item('nurse@x', 'from'), item('paris@x', 'none', true)),
      )
      await second.settled()
      t.same(second.heard(), ['waiting: 1', 'recalled: late'])
      t.same(second.view(juliet)?.contacts, [
        ['romeo@x', 'both', time - 2],
        ['nurse@x', 'from', undefined],
        ['paris@x', 'none+ask', time],
      ])
      t.same(second.accounts.known(juliet)?.requests, [], 'of requests of others nothing was kept')
      await second.stored.stop()
    },
  )

t.test('what is not acknowledged comes back, and what was acknowledged does not', async t => {
  const folder = folderOf(t)
  const juliet = 'juliet@capulet.example'
  const first = await House.at(folder)
  const balcony = { name: 'balcony' }
  const passed = (direction: 'inbound' | 'outbound', type: SubscriptionType, contact: string): AccountNews => ({
    ...({ news: 'subscription', direction, type, contact } as const),
  })
  first.accounts.attach(juliet, balcony)
  await first.settled()
  const { time } = first
  first.tell(balcony, passed('inbound', 'subscribe', 'early@x'))
  await first.later(1_000)
  t.same(first.store.saved, [], 'without a roster there is no record')
  first.tell(balcony, roster('v1', item('romeo@x', 'to')))
  await first.later(1_000)
  first.tell(balcony, passed('inbound', 'subscribe', 'paris@x'))
  first.tell(balcony, passed('inbound', 'subscribed', 'romeo@x'))
  first.tell(balcony, passed('inbound', 'subscribe', 'tybalt@x'))
  await first.later(1_000)
  first.tell(balcony, passed('outbound', 'unsubscribed', 'paris@x'))
  await first.stored.stop()

  const second = await House.at(folder, { time: first.time })
  const orchard = { name: 'orchard' }
  second.accounts.attach(juliet, orchard)
  await second.settled()
  t.same(
    new Set(second.accounts.known(juliet)?.unacknowledged),
    new Set([
      { type: 'subscribe', contact: 'early@x', since: time },
      { type: 'subscribed', contact: 'romeo@x', since: time + 2_000 },
      { type: 'subscribe', contact: 'tybalt@x', since: time + 2_000 },
    ]),
  )
  t.same(second.view(juliet)?.contacts, [['romeo@x', 'to', undefined]], 'and they are no contacts')
  // The roster that comes before what was kept changes nothing of that.
  second.tell(orchard, roster('v1', item('romeo@x', 'to'), item('tybalt@x', 'from')))
  await second.stored.stop()
  const third = await House.at(folder, { time: second.time })
  third.accounts.attach(juliet, orchard)
  third.tell(orchard, roster('v1', item('romeo@x', 'to'), item('tybalt@x', 'from')))
  await third.settled()
  const left = third.accounts.known(juliet)?.unacknowledged.map(({ contact }) => contact)
  t.same(new Set(left), new Set(['early@x', 'romeo@x']))
  await third.stored.stop()
})

t.test('an account comes back as it was', async t => {
  const folder = folderOf(t)
  const first = await House.at(folder)
  const balcony = { name: 'balcony' }
  first.accounts.attach('Juliet@Capulet.example/balcony', balcony)
  await first.settled()
  t.same(first.heard(), ['recalled: nothing'])
  first.tell(balcony, roster('v1', item('romeo@montague.example', 'to'), item('nurse@capulet.example', 'none', true)))
  await first.later(1)
  const since = first.time
  first.tell(balcony, push(item('romeo@montague.example', 'both'), 'v2', item('romeo@montague.example', 'to')))
  first.tell(balcony, push(item('tybalt@capulet.example', 'from'), 'v3', undefined))
  first.tell(
    balcony,
    push(item('nurse@capulet.example', 'none', false, true), 'v4', item('nurse@capulet.example', 'none', true)),
  )
  t.same(first.store.saved, [], 'what changes is written later')
  await first.later(500)
  t.equal(first.store.saved.length, 1, 'all in one')
  t.same(first.heard(), ['waiting: 1', 'waiting: 0'])
  await first.stored.stop()

  const second = await House.at(folder, { time: first.time })
  const orchard = { name: 'orchard' }
  const chamber = { name: 'chamber' }
  t.same(second.accounts.attach('juliet@capulet.example/orchard', orchard), { snapshot: undefined, live: false })
  second.accounts.attach('juliet@capulet.example/chamber', chamber)
  await second.settled()
  t.same(second.heard(), ['orchard is told recalled', 'chamber is told recalled', 'recalled: found', 'waiting: 1'])
  t.same(second.view('juliet@capulet.example'), {
    complete: true,
    contacts: [
      ['romeo@montague.example', 'both', since],
      ['tybalt@capulet.example', 'from', since],
    ],
  })
  t.equal(second.accounts.attach('juliet@capulet.example/tomb', { name: 'tomb' }).snapshot?.ver, 'v4')
  await second.later(500)
  t.equal(second.store.saved[0]?.[0]?.until, 20_000 + 90, 'it was used today')
  t.equal(second.store.saved[0]?.[0]?.fields.size, 1, 'and no contact is written anew')
  // Whole rosters: only what they change is written.
  second.tell(orchard, roster('v5', item('romeo@montague.example', 'both'), item('tybalt@capulet.example', 'none')))
  await second.later(500)
  const [change] = second.store.saved[1] ?? []
  t.same(
    [...(change?.fields ?? [])],
    [
      ['roster', 'version v5'],
      ['contact:tybalt@capulet.example', 'none'],
    ],
  )
  t.equal(change?.isWhole, false)
  second.tell(orchard, roster('v5', item('romeo@montague.example', 'both'), item('tybalt@capulet.example', 'none')))
  await second.later(500)
  t.equal(second.store.saved.length, 2, 'a roster that says nothing new is not written')
  await second.later(day)
  second.accounts.attach('juliet@capulet.example/garden', { name: 'garden' })
  await second.later(500)
  t.equal(second.store.saved[2]?.[0]?.until, 20_001 + 90, 'it was used on the next day too')
  await second.stored.stop()
})

t.test('an account that was kept as hashes gets its JIDs back as they are seen', async t => {
  const folder = folderOf(t)
  const secret = 'contacts are kept as hashes'
  const first = await House.at(folder, { secret })
  const balcony = { name: 'balcony' }
  const account = 'juliet@capulet.example'
  first.accounts.attach(`${account}/balcony`, balcony)
  first.tell(balcony, roster('v1', item('romeo@montague.example', 'to'), item('nurse@capulet.example', 'both')))
  first.tell(balcony, push(item('romeo@montague.example', 'both'), 'v2', item('romeo@montague.example', 'to')))
  const { time } = first
  await first.later(500)
  t.notMatch(
    JSON.stringify(first.store.saved.flat().map(({ record, fields }) => [record, ...fields])),
    /montague|capulet/,
  )
  await first.stored.stop()

  const second = await House.at(folder, { time, secret })
  const orchard = { name: 'orchard' }
  const { hash, snapshot } = second.accounts.attach(`${account}/orchard`, orchard)
  t.match(hash?.('romeo@montague.example'), /^[0-9a-f]{32}$/)
  t.equal(snapshot, undefined)
  await second.settled()
  t.same(second.heard(), ['orchard is told recalled', 'recalled: found', 'waiting: 1'])
  const hashOf = (contact: string) => `hash:${hash?.(contact)}`
  const contacts = () =>
    Object.fromEntries(second.view(account)?.contacts.map(([name, ...of]) => [String(name), of]) ?? [])
  t.same(contacts(), {
    [hashOf('romeo@montague.example')]: ['both', time],
    [hashOf('nurse@capulet.example')]: ['both', undefined],
  })
  // A stanza names the contact, then a push changes it.
  second.tell(orchard, {
    news: 'subscription',
    direction: 'inbound',
    type: 'unsubscribed',
    contact: 'Romeo@montague.example',
  })
  t.same(contacts()['romeo@montague.example'], ['both', time])
  await second.later(1)
  // The session leads with what was kept, as the server has said that its version is the present one.
  const kept = second.accounts.attach(`${account}/tomb`, { name: 'tomb' }).snapshot
  t.equal(kept?.ver, 'v2')
  const again = [...(kept?.items ?? [])].map(([jid, state]) => ({ ...state, jid, removed: false }))
  second.tell(orchard, roster('v2', ...again))
  t.equal(Object.keys(contacts()).length, 2, 'nobody is there twice')
  second.tell(orchard, push(item('romeo@montague.example', 'from'), 'v3', item('romeo@montague.example', 'both')))
  second.tell(orchard, roster('v4', item('romeo@montague.example', 'from')))
  t.same(contacts(), { 'romeo@montague.example': ['from', time + 1] })
  await second.later(500)
  t.same(
    second.store.saved
      .at(-1)
      ?.map(({ fields, isWhole }) =>
        [isWhole, ...[...fields].flatMap(([name, text]) => (name.startsWith('sealed:') ? [] : [text]))].join(', '),
      ),
    [`false, version v4, from ${time + 1}, `],
    'beside what was not acknowledged, which is sealed',
  )
  await second.stored.stop()

  const third = await House.at(folder, { time, secret })
  third.accounts.attach(`${account}/vault`, { name: 'vault' })
  await third.settled()
  t.same(third.view(account)?.contacts, [[hashOf('romeo@montague.example'), 'from', time + 1]])
  await third.stored.stop()
  const other = await House.at(folder, { secret: 'it is another one' })
  other.accounts.attach(`${account}/vault`, { name: 'vault' })
  await other.settled()
  t.same(other.heard(), ['recalled: nothing'], 'what another key has written is not found')
  await other.stored.stop()
})

for (const secret of [undefined, 'contacts are kept as hashes'])
  t.test(`the time that a request has waited counts on after a restart${secret ? ', hashed' : ''}`, async t => {
    const folder = folderOf(t)
    const first = await House.at(folder, { secret })
    const member = { name: 'a' }
    first.accounts.attach('a@localhost/a', member)
    first.tell(member, roster('v1'))
    first.tell(member, push(item('b@localhost', 'none', true), 'v2', undefined))
    await first.stored.stop()
    const second = await House.at(folder, { time: first.time + 3_600_000, secret })
    const other = { name: 'b' }
    second.accounts.attach('a@localhost/b', other)
    await second.settled()
    const { reports } = second.accounts.tell(other, roster('v3', item('b@localhost', 'to')), second.time)
    t.same(reports, [{ report: 'subscription', event: 'approval-in', seconds: 3_600 }])
    await second.stored.stop()
  })

t.test('a long roster is hashed some contacts at a time, and what changes meanwhile is not lost', async t => {
  const folder = folderOf(t)
  const secret = 'contacts are kept as hashes'
  const house = await House.at(folder, { secret })
  const [short, long] = [{ name: 'short' }, { name: 'long' }]
  house.accounts.attach('short@localhost/a', short)
  house.accounts.attach('long@localhost/a', long)
  await house.settled()
  const many = Array.from({ length: 2_100 }, (_, index) => item(`contact${index}@localhost`, 'both'))
  house.tell(short, roster('v1', item('b@localhost', 'to'), item('c@localhost', 'to')))
  house.tell(long, roster('v1', ...many))
  house.clock.advance(500)
  let turns = 0
  for (; house.store.saved.length === 0; turns++) {
    await new Promise(resolve => setImmediate(resolve))
    if (turns !== 0) continue
    house.tell(short, push(item('b@localhost', 'both'), 'v2', item('b@localhost', 'to')))
    house.tell(long, push(item('contact7@localhost', 'from'), 'v2', item('contact7@localhost', 'both')))
    house.tell(long, push(item('new@localhost', 'to'), 'v3', undefined))
  }
  t.ok(turns >= 4, 'others have had their turns')
  await house.settled()
  await house.later(500)
  await house.stored.stop()

  const again = await House.at(folder, { secret })
  for (const name of ['short', 'long']) again.accounts.attach(`${name}@localhost/b`, { name })
  await again.settled()
  const states = (account: string) =>
    Object.fromEntries(again.view(account)?.contacts.map(([name, state]) => [name, state]) ?? [])
  const hashOf = (account: string, contact: string) => `hash:${new StoreKey(secret).contactHash(account)(contact)}`
  t.equal(states('short@localhost')[hashOf('short@localhost', 'b@localhost')], 'both')
  const whole = states('long@localhost')
  t.equal(whole[hashOf('long@localhost', 'contact7@localhost')], 'from')
  t.equal(whole[hashOf('long@localhost', 'new@localhost')], 'to')
  t.equal(Object.keys(whole).length, 2_101)
  await again.stored.stop()
})

t.test('what a server without versions has told is kept too, and is not taken for the present roster', async t => {
  const folder = folderOf(t)
  const first = await House.at(folder)
  const member = { name: 'a' }
  first.accounts.attach('a@localhost/a', member)
  first.tell(member, roster(undefined, item('b@localhost', 'to')))
  await first.stored.stop()
  const second = await House.at(folder)
  second.accounts.attach('a@localhost/b', { name: 'b' })
  await second.settled()
  t.same(second.view('a@localhost'), { complete: true, contacts: [['b@localhost', 'to', undefined]] })
  const { snapshot, live } = second.accounts.attach('a@localhost/c', { name: 'c' })
  t.same([snapshot?.ver, live], [undefined, false])
  await second.stored.stop()
})

t.test('a store that fails, and works again', async t => {
  const house = await House.at(folderOf(t))
  const member = { name: 'a' }
  house.store.fails = true
  house.accounts.attach('a@localhost/a', member)
  house.accounts.attach('b@localhost/b', { name: 'b' })
  await house.settled()
  t.same(house.heard(), ['load failed', 'load failed', 'recalled: failed', 'recalled: failed'])
  house.tell(member, roster('v1', item('c@localhost', 'to')))
  await house.later(1_000)
  t.same(house.heard(), ['waiting: 1', 'save failed', 'waiting: 1', 'waiting: 1'])
  house.tell(member, push(item('c@localhost', 'both'), 'v2', item('c@localhost', 'to')))
  for (const [milliseconds, calls] of [
    [1_999, 0],
    [1, 1],
    [3_999, 0],
    [1, 1],
    [8_000, 1],
    [16_000, 1],
    [30_000, 1],
    [29_999, 0],
    [1, 1],
  ] as const) {
    await house.later(milliseconds)
    t.equal(house.heard().filter(line => line === 'save failed').length, calls, `after ${milliseconds} ms more`)
  }
  house.store.fails = false
  await house.later(30_000)
  t.same(
    house.heard(),
    ['waiting: 0', 'recalled: nothing'],
    'what waited is written, and what was not known is asked for',
  )
  t.same(Object.fromEntries(await house.store.load('account:a@localhost')), {
    roster: 'version v2',
    'contact:c@localhost': `both ${20_000 * day + 1_000}`,
  })
  await house.stored.stop()
})

t.test('a store that can be read and not written fails all the same', async t => {
  const house = await House.at(folderOf(t))
  const [a, b] = [{ name: 'a' }, { name: 'b' }]
  house.store.isFull = true
  house.accounts.attach('a@localhost/a', a)
  house.tell(a, roster('v1'))
  await house.later(500)
  t.equal(house.fails, true)
  house.accounts.attach('b@localhost/b', b)
  await house.settled()
  t.same(house.heard().slice(-1), ['recalled: nothing'], 'it was read')
  t.equal(house.fails, true)
  house.store.isFull = false
  await house.later(30_000)
  t.equal(house.fails, false)
  await house.stored.stop()
})

t.test('what waits is written in parts that no stanza waits long for', async t => {
  const house = await House.at(folderOf(t), { atMost: 100 })
  const items = Array.from({ length: 100 }, (_, index) => item(`contact${index}@localhost`, 'to'))
  for (let index = 0; index < 20; index++) {
    const member = { name: `${index}` }
    house.accounts.attach(`user${index}@localhost/x`, member)
    house.tell(member, roster('v1', ...items))
  }
  await house.settled()
  await house.later(500)
  t.same(
    house.store.saved.map(changes => changes.length),
    [5, 5, 5, 5],
  )
  t.equal((await house.store.load('account:user19@localhost')).size, 101)
  await house.stored.stop()
})

t.test('a store that answers late', async t => {
  const folder = folderOf(t)
  const before = await House.at(folder)
  const old = { name: 'old' }
  before.accounts.attach('a@localhost/a', old)
  before.tell(old, roster('v1', item('gone@localhost', 'both')))
  await before.stored.stop()

  const house = await House.at(folder)
  let open = () => {}
  house.store.gate = new Promise(resolve => {
    open = resolve
  })
  const member = { name: 'a' }
  house.accounts.attach('a@localhost/a', member)
  house.tell(member, roster('v2', item('new@localhost', 'to')))
  await Promise.resolve()
  t.same(house.view('a@localhost')?.contacts, [['new@localhost', 'to', undefined]], 'nobody waits for it')
  open()
  await house.settled()
  t.same(house.heard(), ['waiting: 1', 'recalled: late'])
  await house.later(1_000)
  t.same(
    Object.fromEntries(await house.store.load('account:a@localhost')),
    { roster: 'version v2', 'contact:new@localhost': 'to' },
    'what was kept before is replaced',
  )
  await house.stored.stop()
})

t.test('what changes while the store writes waits for the next time', async t => {
  const house = await House.at(folderOf(t))
  const member = { name: 'a' }
  house.accounts.attach('a@localhost/a', member)
  await house.settled()
  house.tell(member, roster('v1', item('b@localhost', 'to')))
  let open = () => {}
  house.store.gate = new Promise(resolve => {
    open = resolve
  })
  house.clock.advance(500)
  house.tell(member, push(item('b@localhost', 'both'), 'v2', item('b@localhost', 'to')))
  house.tell(member, push(item('c@localhost', 'from'), 'v3', undefined))
  open()
  await house.settled()
  t.equal(house.store.saved.length, 1)
  await house.later(500)
  t.same(
    house.store.saved.map(([change]) => [change?.isWhole, change?.fields.get('roster')]),
    [
      [true, 'version v1'],
      // When it changed, the store had nothing of it yet.
      [true, 'version v3'],
    ],
  )
  await house.stored.stop()
})

t.test('a record that another gate has changed, or that is lost, is written as a whole', async t => {
  const folder = folderOf(t)
  const house = await House.at(folder)
  const member = { name: 'a' }
  house.accounts.attach('a@localhost/a', member)
  await house.settled()
  const before = item('b@localhost', 'to')
  house.tell(member, roster('v1', before, item('c@localhost', 'from')))
  await house.later(500)
  const other = await openLmdbStore(folder)
  let version = 1
  for (const [what, fields] of [
    ['lost', undefined],
    ['older', { roster: 'version v0', 'contact:b@localhost': 'none' }],
    ['no longer whole', { 'contact:c@localhost': 'from' }],
  ] as const) {
    const whole = { record: 'account:a@localhost', isWhole: true, until: 30_000 }
    await other.save([{ ...whole, fields: new Map(Object.entries(fields ?? {})) }])
    version += 1
    house.tell(member, push(before, `v${version}`, before))
    await house.later(500)
    await house.later(500)
    t.same(
      Object.fromEntries(await house.store.load('account:a@localhost')),
      { roster: `version v${version}`, 'contact:b@localhost': 'to', 'contact:c@localhost': 'from' },
      what,
    )
  }
  // The other gate was faster: it has written the same version.
  const same = new Map([['roster', 'version v5']])
  await other.save([{ record: 'account:a@localhost', fields: same, isWhole: false, until: 30_000 }])
  const { length } = house.store.saved
  house.tell(member, push(before, 'v5', before))
  await house.later(500)
  await house.later(500)
  t.equal(house.store.saved.length, length + 1, 'once is enough')
  await other.close()
  await house.stored.stop()
})

t.test('more accounts than may wait', async t => {
  const house = await House.at(folderOf(t), { waiting: 2 })
  house.store.fails = true
  const members = ['a', 'b', 'c'].map(name => ({ name }))
  for (const member of members) {
    house.accounts.attach(`${member.name}@localhost/x`, member)
    house.tell(member, roster('v1', item('d@localhost', 'to')))
  }
  t.same(house.heard(), ['waiting: 1', 'waiting: 2', 'given up: 1', 'waiting: 2'])
  house.store.fails = false
  await house.later(2_000)
  house.heard()
  t.equal((await house.store.load('account:a@localhost')).size, 0, 'the oldest is given up')
  t.equal((await house.store.load('account:b@localhost')).size, 2)
  // What changes later is written as a whole.
  house.tell(members[0] as Member, push(item('e@localhost', 'from'), 'v2', undefined))
  await house.later(1_000)
  t.equal((await house.store.load('account:a@localhost')).size, 3)
  await house.stored.stop()
})

t.test('an account that is forgotten by the process, and begins again before it is written', async t => {
  const house = await House.at(folderOf(t), { atMost: 0 })
  const [first, second] = [{ name: 'first' }, { name: 'second' }]
  house.accounts.attach('a@localhost/x', first)
  await house.settled()
  house.tell(first, roster('v1', item('b@localhost', 'to')))
  house.accounts.detach(first)
  t.equal(house.view('a@localhost'), undefined)
  house.accounts.attach('a@localhost/y', second)
  house.tell(second, roster('v2', item('c@localhost', 'from')))
  await house.later(1_000)
  t.same(Object.fromEntries(await house.store.load('account:a@localhost')), {
    roster: 'version v2',
    'contact:c@localhost': 'from',
  })
  await house.stored.stop()
})

t.test('old accounts are forgotten, once a day', async t => {
  const folder = folderOf(t)
  const house = await House.at(folder, { days: 2 })
  const member = { name: 'a' }
  house.accounts.attach('a@localhost/a', member)
  house.tell(member, roster('v1', item('b@localhost', 'to')))
  await house.later(1_000)
  house.accounts.detach(member)
  for (const [days, size] of [
    [2, 2],
    [1, 0],
  ] as const) {
    for (let passed = 0; passed < days; passed++) await house.later(day)
    t.equal((await house.store.load('account:a@localhost')).size, size, `${days} days more`)
  }
  await house.stored.stop()
})

t.test('an account is not forgotten as long as its session lasts', async t => {
  const house = await House.at(folderOf(t), { days: 1 })
  const member = { name: 'a' }
  house.accounts.attach('a@localhost/a', member)
  house.tell(member, roster('v1', item('b@localhost', 'to')))
  await house.later(1_000)
  for (let days = 1; days < 5; days++) {
    await house.later(day)
    await house.later(1_000)
    t.equal((await house.store.load('account:a@localhost')).size, 2, `${days} days`)
  }
  await house.stored.stop()
})

t.test('what is in the store and is no account', async t => {
  const folder = folderOf(t)
  const store = await openLmdbStore(folder)
  const bad = [
    { 'contact:b@localhost': 'to' },
    { roster: 'v1' },
    { roster: 'version 1', 'contact:b@localhost': 'friend' },
    { roster: 'version 1', 'contact:b@localhost': 'to yesterday' },
  ]
  await store.save(
    bad.map((fields, index) => ({
      record: `account:a${index}@localhost`,
      fields: new Map(Object.entries(fields)),
      isWhole: true,
      until: 30_000,
    })),
  )
  await store.close()
  const house = await House.at(folder)
  for (const index of bad.keys()) house.accounts.attach(`a${index}@localhost/x`, { name: 'x' })
  await house.settled()
  t.same(
    house.heard(),
    bad.map(() => 'recalled: unreadable'),
  )
  await house.stored.stop()
})

t.test('the end does not wait for a store that hangs', async t => {
  const house = await House.at(folderOf(t))
  const member = { name: 'a' }
  house.accounts.attach('a@localhost/a', member)
  await house.settled()
  house.store.gate = new Promise(() => {})
  house.tell(member, roster('v1', item('b@localhost', 'to')))
  const stopped = house.stored.stop()
  house.clock.advance(2_000)
  await stopped
  t.pass()
})
