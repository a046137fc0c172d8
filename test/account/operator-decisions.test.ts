/** What the operator decides about requests of strangers, in an account's quarantine and in a session. */
import t from 'tap'
import { decisionField, requestField, requestFieldsOf, requestsOf } from '../../src/account/account-requests.ts'
import { Quarantine } from '../../src/account/quarantine.ts'
import { element } from '../../src/xml/element.ts'

const romeo = 'romeo@im.example'

function made(time = 1_000) {
  const clock = { now: time }
  const told: string[] = []
  const quarantine = new Quarantine({ perLogin: 2, perDay: 3 }, () => clock.now, { perAccount: 3 })
  quarantine.keeper = {
    began: account => told.push(`${account} begins`),
    changed: (account, contact) => told.push(`${account}: ${contact}`),
    decided: (account, contact) => told.push(`${account}: decided ${contact}`),
  }
  const hold = (contact: string, rank: 0 | 2 = 2) => {
    const text = element('status', 'jabber:client', {}, ['Hello'])
    const request = element('presence', 'jabber:client', { type: 'subscribe', from: contact }, [text])
    return quarantine.hold(romeo, { contact, rank, why: 'per-login', element: request })
  }
  const held = () => [...quarantine.heldFor(romeo)].map(({ contact }) => contact)
  const denied = () => [...quarantine.deniedFor(romeo)].map(([contact, { since }]) => `${contact} ${since}`)
  return { clock, told, quarantine, hold, held, denied }
}

t.test('a denial outlasts the request, a release does not', async t => {
  const { quarantine, hold, held, denied } = made()
  for (const contact of ['a@x', 'b@x', 'c@x']) hold(contact)
  quarantine.decide(romeo, 'A@x/pda', 'deny')
  quarantine.decide(romeo, 'b@x', 'release')
  t.same(held(), ['b@x', 'c@x'], 'what is denied is not kept')
  t.same(denied(), ['a@x 1000'])
  t.same(
    ['a@x', 'b@x', 'c@x'].map(contact => quarantine.decisionOn(romeo, contact)),
    ['deny', 'release', undefined],
  )
  for (const contact of ['a@x', 'b@x']) quarantine.ended(romeo, contact)
  t.same([quarantine.decisionOn(romeo, 'a@x'), quarantine.decisionOn(romeo, 'b@x')], ['deny', undefined])
  quarantine.decide(romeo, 'a@x', 'release')
  t.same(denied(), [], 'and can be taken back')
  t.equal(quarantine.decisionOn('juliet@im.example', 'a@x'), undefined)
})

t.test('what changes is told, what is forgotten too', async t => {
  const { quarantine, hold, told } = made()
  const heard = () => told.splice(0).map(line => line.replace(`${romeo}: `, ''))
  for (const contact of ['a@x', 'b@x', 'c@x']) hold(contact)
  t.same(heard(), ['a@x', 'b@x', 'c@x'])
  hold('own@im.example', 0)
  t.same(heard(), ['a@x', 'own@im.example'], 'the worst ranked has made room')
  quarantine.shown(romeo, 'b@x')
  quarantine.ended(romeo, 'b@x')
  quarantine.decide(romeo, 'c@x', 'deny')
  t.same(heard(), ['b@x', 'b@x', 'decided c@x', 'c@x'])
  quarantine.decide(romeo, 'e@x', 'release')
  quarantine.ended(romeo, 'e@x')
  t.same(heard(), ['decided e@x', 'e@x', 'decided e@x', 'e@x'])
  for (let i = 0; i <= 1_000; i++) quarantine.decide(romeo, `bot${i}@y`, 'deny')
  const oldest = heard()
    .filter(line => line.startsWith('decided'))
    .filter((line, at, all) => all.indexOf(line) !== at)
  t.same([told.length, oldest], [0, ['decided bot0@y']], 'of 1,000 the oldest two')
  t.equal(quarantine.decisionOn(romeo, 'c@x'), undefined)
})

t.test('what was kept comes back; what has happened meanwhile counts more', async t => {
  const before = made(1_000)
  for (const contact of ['a@x', 'b@x', 'c@x']) before.hold(contact)
  before.clock.now = 2_000
  before.quarantine.shown(romeo, 'b@x')
  before.quarantine.decide(romeo, 'd@x', 'deny')
  before.quarantine.decide(romeo, 'e@x', 'deny')
  const requests = before.quarantine.requestsOf(romeo)
  if (requests === undefined) throw new Error('nothing is known')
  const fields = new Map<string, string>()
  const names = ['a@x', 'b@x', 'c@x', 'd@x', 'e@x', 'f@x'].flatMap(key => [requestField(key), decisionField(key)])
  for (const [name, text] of requestFieldsOf(requests, names)) if (text !== undefined) fields.set(name, text)
  t.same([...fields.keys()], ['times', 'request:a@x', 'request:b@x', 'request:c@x', 'decided:d@x', 'decided:e@x'])

  const after = made(3_000)
  after.quarantine.shown(romeo, 'a@x')
  after.quarantine.decide(romeo, 'e@x', 'release')
  after.quarantine.recall(romeo, requestsOf(romeo, fields))
  t.same(after.held(), ['c@x'])
  t.same(after.quarantine.heldOf(romeo, 'c@x'), before.quarantine.heldOf(romeo, 'c@x'))
  t.same([after.quarantine.isShown(romeo, 'a@x'), after.quarantine.isShown(romeo, 'b@x')], [true, true])
  t.same(after.denied(), ['d@x 2000'])
  t.equal(after.quarantine.size, 1)
  t.equal(after.quarantine.hasRoomToday(romeo, 'new@x'), true)
  after.quarantine.shown(romeo, 'new@x')
  t.equal(after.quarantine.hasRoomToday(romeo, 'newer@x'), false, 'the day has three, with those before')
})

t.test('what is no record is refused', async t => {
  const one = (text: string) => new Map([['request:a@x', text]])
  const element = ['presence', 'jabber:client', [], []]
  for (const fields of [
    new Map([['times', '{}']]),
    new Map([['times', '["a"]']]),
    one('{'),
    one('null'),
    one(JSON.stringify({ shown: 'a' })),
    new Map([['decided:a@x', JSON.stringify({ decision: 'forget', since: 1 })]]),
    new Map([['decided:a@x', JSON.stringify({ decision: 'deny' })]]),
    one(JSON.stringify({ held: { contact: 7, since: 1, why: 'per-day', rank: 2, element } })),
    one(JSON.stringify({ held: { contact: 'a@x', since: null, why: 'per-day', rank: 2, element } })),
    one(JSON.stringify({ held: { contact: 'a@x', since: 1, why: 'per-day', rank: 2, element: 7 } })),
  ])
    t.throws(() => requestsOf(romeo, fields), JSON.stringify([...fields]))
  t.same(requestsOf(romeo, new Map([['later', 'x']])).times, [], 'a field of another version is left alone')
})
