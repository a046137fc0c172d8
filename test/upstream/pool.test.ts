/** Which member gets a stream, and what becomes of one that fails. */
import t from 'tap'
import type { Balance, Member } from '../../src/config/types.ts'
import { nameOf, Pool } from '../../src/upstream/pool.ts'
import { HandClock } from '../clients/hand-clock.ts'

const member = (port: number, weight = 1): Member => ({ address: '127.0.0.1', port, weight })
const anybody = { account: '', address: '' }

function made(weights: readonly number[], balance: Balance = 'least-sessions') {
  const clock = new HandClock()
  clock.advance(1_000_000)
  const house = { serves: true, asked: [] as number[], said: [] as string[] }
  const members = weights.map((weight, index) => member(index + 1, weight))
  const pool = new Pool(members, balance, {
    clock,
    ask: async ({ port }) => {
      house.asked.push(port)
      return house.serves
    },
    changed: ({ port, state }) => house.said.push(`${port} ${state}`),
  })
  const order = (keys = anybody, preferred?: string) => pool.order(keys, preferred).map(({ port }) => port)
  /** So many streams, each to the first. Gives how many each member has. */
  const streams = (count: number, keyOf = (_index: number) => anybody) => {
    for (let index = 0; index < count; index++) pool.began(pool.order(keyOf(index))[0] as Member)
    return pool.views.map(({ sessions }) => sessions)
  }
  const states = () => pool.views.map(({ state }) => state)
  /** The clock goes on, and what is asked then is answered. */
  const later = async (milliseconds: number) => {
    clock.advance(milliseconds)
    await new Promise(resolve => setImmediate(resolve))
  }
  return { pool, order, streams, states, later, clock, house }
}

t.test('least sessions, for its weight', async t => {
  const { pool, streams, order } = made([1, 2, 1])
  t.same(streams(12), [3, 6, 3])
  for (let i = 0; i < 2; i++) pool.ended(member(3))
  t.equal(order()[0], 3, 'who has lost some is next')
  for (let i = 0; i < 9; i++) pool.ended(member(1))
  t.equal(pool.views[0]?.sessions, 0, 'never less than none')
})

t.test('in turn', async t => {
  const { order } = made([1, 3], 'round-robin')
  t.same(
    Array.from({ length: 8 }, () => order()[0]),
    [2, 1, 2, 2, 2, 1, 2, 2],
  )
})

for (const balance of ['hash-account', 'hash-address'] as const)
  t.test(`${balance}: each has its member, and keeps it when another one goes`, async t => {
    const { pool, order } = made([1, 1, 2], balance)
    const key = balance === 'hash-account' ? 'account' : 'address'
    const users = Array.from({ length: 2_000 }, (_, index) => ({ ...anybody, [key]: `user${index}` }))
    const firstOf = () => users.map(user => order(user)[0])
    const before = firstOf()
    t.same(firstOf(), before)
    const shares = [1, 2, 3].map(port => before.filter(each => each === port).length / users.length)
    for (const [index, wanted] of [0.25, 0.25, 0.5].entries())
      t.ok(Math.abs((shares[index] as number) - wanted) < 0.05, `${shares[index]} is about ${wanted}`)
    pool.become([member(1), member(3, 2)], balance)
    const after = firstOf()
    t.ok(users.every((_, index) => before[index] === 2 || before[index] === after[index]))
    t.notOk(after.includes(2))
    const other = balance === 'hash-account' ? 'address' : 'account'
    t.equal(new Set(users.map(({ [key]: name }) => order({ ...anybody, [other]: name })[0])).size, 1)
  })

t.test('a member that fails is left alone, asked after a pause, and gets its share back slowly', async t => {
  const { pool, order, streams, states, later, house } = made([1, 1])
  t.same(streams(20), [10, 10])
  pool.failed(member(1))
  t.same(
    [states(), order()],
    [
      ['ejected', 'up'],
      [2, 1],
    ],
    'it is tried last',
  )
  pool.failed(member(1))
  await later(999)
  t.same(house.asked, [])
  house.serves = false
  await later(1)
  t.same([house.asked.splice(0), states()], [[1], ['ejected', 'up']])
  await later(1_999)
  t.same(house.asked, [], 'the pause is twice as long')
  await later(1)
  t.same(house.asked.splice(0), [1])
  house.serves = true
  await later(4_000)
  t.same([house.asked.splice(0), states()], [[1], ['up', 'up']])
  t.same(house.said.splice(0), ['1 ejected', '1 up'])
  for (let i = 0; i < 10; i++) pool.ended(member(1))
  t.same(streams(9), [1, 18], 'a tenth of its share')
  await later(15_000)
  t.same(streams(10), [10, 19], 'a half')
  await later(15_000)
  t.same(streams(11), [20, 20])
  t.equal(pool.views[0]?.ejections, 1)

  pool.failed(member(1))
  await later(1_000)
  t.same(states(), ['up', 'up'], 'who has been up for long begins with a short pause')
  for (let round = 0, seconds = 2; round < 8; round++, seconds = Math.min(2 * seconds, 60)) {
    pool.failed(member(1))
    await later(1_000 * seconds - 1)
    t.equal(states()[0], 'ejected', `${seconds} s`)
    await later(1)
    t.equal(states()[0], 'up')
  }
})

t.test('all have failed: they are tried', async t => {
  const { pool, order } = made([1, 1])
  for (const port of [1, 2]) pool.failed(member(port))
  t.same(order(), [1, 2])
  const single = made([1])
  single.pool.failed(member(1))
  t.same([single.order(), single.states()], [[1], ['up']], 'the only one is not ejected')
})

t.test('a member that is taken out keeps what it has', async t => {
  const { pool, order, states } = made([1, 1, 1])
  pool.began(member(2))
  pool.become([member(1), member(2, 0), member(4)], 'least-sessions')
  t.same(states(), ['up', 'draining', 'up'])
  t.same(order(), [1, 4])
  t.same(order(anybody, nameOf(member(2))), [2, 1, 4], 'and who has a session there')
  t.same(order(anybody, nameOf(member(3))), [1, 4])
  t.equal(pool.views[1]?.sessions, 1)
  pool.ended(member(3))
  pool.failed(member(4))
  t.same(order(anybody, nameOf(member(4))), [1, 4], 'who has failed is not preferred')
})

t.test('a member that is removed and put back still has its connections', async t => {
  const { pool, streams } = made([1, 1])
  t.same(streams(4), [2, 2])
  pool.become([member(1)], 'least-sessions')
  pool.ended(member(2))
  pool.become([member(1), member(2)], 'least-sessions')
  t.same(streams(1), [2, 2], 'one has ended, one is there, one is new')
  for (let i = 0; i < 2; i++) pool.ended(member(2))
  t.equal(pool.views[1]?.sessions, 0)
})

t.test('a member that is removed while it is asked, and the end', async t => {
  const { pool, clock, later, house } = made([1, 1])
  pool.failed(member(1))
  pool.become([member(2), member(3)], 'least-sessions')
  t.equal(clock.timers, 0)
  pool.failed(member(2))
  pool.stop()
  await later(100_000)
  t.same([house.asked, clock.timers], [[], 0])
})
