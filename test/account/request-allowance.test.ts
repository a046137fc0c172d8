import t from 'tap'
import { RequestAllowance } from '../../src/account/request-allowance.ts'

const minute = 60_000

t.test('an account asks, and an hour fills what it may ask for', t => {
  const allowance = new RequestAllowance(6)
  for (const [at, account, isAllowed] of [
    ...Array.from({ length: 6 }, () => [0, 'a', true] as const),
    [0, 'a', false],
    [0, 'b', true],
    [9 * minute, 'a', false],
    [10 * minute, 'a', true],
    [10 * minute, 'a', false],
    [20 * minute, 'a', true],
    // An hour and more does not fill it beyond what an hour allows.
    ...Array.from({ length: 6 }, () => [900 * minute, 'a', true] as const),
    [900 * minute, 'a', false],
  ] as const)
    t.equal(allowance.take(account, at), isAllowed, `${account} at ${at}`)
  t.end()
})

t.test('of many accounts the one that asked longest ago is forgotten', t => {
  const allowance = new RequestAllowance(1, 2)
  for (const account of ['a', 'b', 'a', 'c']) allowance.take(account, 0)
  t.equal(allowance.take('a', 0), false, 'a is remembered: it asked after b')
  t.equal(allowance.take('c', 0), false)
  t.equal(allowance.take('b', 0), true, 'b is not')
  t.end()
})

t.test('what is left can be looked at', t => {
  const allowance = new RequestAllowance(2, 10, minute)
  t.equal(allowance.has('a', 0), true, 'nobody has asked')
  for (const [at, takes, isLeft] of [
    [0, true, true],
    [0, true, false],
    [29_999, false, false],
    [30_000, true, false],
    [10_000, false, false],
    [20_000, false, false],
    [89_999, false, true],
    [100_000, true, true],
  ] as const) {
    if (takes) t.equal(allowance.take('a', at), true, `${at} ms`)
    t.equal(allowance.has('a', at), isLeft, `left at ${at} ms`)
    t.equal(allowance.has('a', at), isLeft, 'a look takes nothing')
  }
  t.end()
})
