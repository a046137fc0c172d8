import t from 'tap'
import type { Rank } from '../../src/account/held-requests.ts'
import { overhead } from '../../src/account/held-stanza.ts'
import { Quarantine, type QuarantineBounds } from '../../src/account/quarantine.ts'
import { type Element, element } from '../../src/xml/element.ts'

const hour = 3_600_000
const romeo = 'romeo@im.example'

function made(bounds: Partial<QuarantineBounds> = {}, perDay = 3) {
  const clock = { now: 100 * hour }
  const quarantine = new Quarantine({ perLogin: 2, perDay }, () => clock.now, bounds)
  const hold = (contact: string, rank: Rank = 2, account = romeo, children: Element['children'] = []) =>
    quarantine.hold(account, {
      ...({ contact, rank, why: 'per-login' } as const),
      element: element('presence', 'jabber:client', { type: 'subscribe', from: contact }, children),
    })
  const held = (account = romeo) => [...quarantine.heldFor(account)].map(({ contact }) => contact)
  return { clock, quarantine, hold, held }
}

t.test('who comes first in rank is first; of equals the one that came first', t => {
  const { hold, held, clock, quarantine } = made()
  for (const [contact, rank] of [
    ['far@a.example', 2],
    ['own@im.example', 0],
    ['near@b.example', 1],
    ['farther@c.example/pda', 2],
    ['near-too@b.example', 1],
    ['own-too@im.example', 0],
  ] as const) {
    t.equal(hold(contact, rank), true)
    clock.now += hour
  }
  const order = [
    ...['own@im.example', 'own-too@im.example'],
    ...['near@b.example', 'near-too@b.example'],
    ...['far@a.example', 'farther@c.example'],
  ]
  t.same(held(), order)
  t.equal(hold('OWN@im.example', 0), true)
  t.same(held(), order, 'it keeps its place when it comes again')
  t.same(quarantine.heldOf(romeo, 'own@im.example')?.since, 101 * hour, 'and its time')
  t.equal(hold('far@a.example', 1), true)
  t.same(
    [held()[4], quarantine.heldOf(romeo, 'far@a.example')?.since],
    ['far@a.example', 100 * hour],
    'in another rank it waits as long',
  )
  t.equal(quarantine.size, 6)
  t.same([...quarantine.heldFor('ROMEO@im.example/orchard')].length, 6)
  t.same(held('juliet@im.example'), [])
  t.end()
})

t.test('a rank that is better at the next login is changed', t => {
  const { hold, held, clock, quarantine } = made()
  for (const [contact, rank] of [
    ['a@near.example', 2],
    ['own@im.example', 0],
    ['b@far.example', 2],
    ['c@near.example', 1],
  ] as const) {
    hold(contact, rank)
    clock.now += hour
  }
  quarantine.rerank(romeo, () => 2)
  t.same(held(), ['own@im.example', 'c@near.example', 'a@near.example', 'b@far.example'], 'none is worse')
  quarantine.rerank(romeo, contact => (contact.endsWith('near.example') ? 1 : 2))
  t.same(held(), ['own@im.example', 'a@near.example', 'c@near.example', 'b@far.example'])
  t.equal(quarantine.size, 4)
  quarantine.rerank('nobody@im.example', () => 0)
  for (const contact of held()) quarantine.ended(romeo, contact)
  t.equal(quarantine.size, 0)
  t.end()
})

t.test('what is shown is no longer held, until it comes again', t => {
  const { hold, held, quarantine } = made()
  hold('a@far.example')
  t.equal(quarantine.isShown(romeo, 'a@far.example'), false)
  quarantine.shown(romeo, 'A@far.example/pda')
  t.same(held(), [])
  t.equal(quarantine.size, 0)
  t.equal(quarantine.isShown(romeo, 'a@far.example'), true)
  t.equal(quarantine.isShown('juliet@im.example', 'a@far.example'), false)
  hold('a@far.example')
  t.same(held(), ['a@far.example'])
  quarantine.ended(romeo, 'a@far.example')
  t.same([held(), quarantine.isShown(romeo, 'a@far.example'), quarantine.size], [[], false, 0])
  quarantine.ended('nobody@im.example', 'a@far.example')
  t.end()
})

t.test('so many are shown for the first time within 24 hours', t => {
  const { clock, quarantine } = made()
  const room = (contact: string) => quarantine.hasRoomToday(romeo, contact)
  t.equal(room('a@far.example'), true)
  for (const contact of ['a@far.example', 'b@far.example', 'c@far.example']) {
    quarantine.shown(romeo, contact)
    clock.now += hour
  }
  t.equal(room('d@far.example'), false)
  t.equal(quarantine.hasRoomToday('juliet@im.example', 'd@far.example'), true, 'of one account')
  t.equal(room('a@far.example'), true, 'what comes again is counted once')
  quarantine.shown(romeo, 'a@far.example')
  quarantine.ended(romeo, 'b@far.example')
  t.equal(room('b@far.example'), false, 'after an answer it is another request')
  clock.now = 124 * hour - 1
  t.equal(room('d@far.example'), false)
  clock.now = 124 * hour
  t.equal(room('d@far.example'), true, 'the first was shown 24 hours ago')
  quarantine.shown(romeo, 'd@far.example')
  t.equal(room('e@far.example'), false)
  t.equal(room('a@far.example'), false, 'it would be counted for another day')
  clock.now = 126 * hour
  t.equal(room('a@far.example'), true)
  t.end()
})

t.test('an account holds so many; the worst ranked is forgotten', t => {
  const { hold, held, quarantine } = made({ perAccount: 2 })
  for (const [contact, rank, isKept, then] of [
    ['a@far.example', 2, true, ['a@far.example']],
    ['b@far.example', 2, true, ['a@far.example', 'b@far.example']],
    ['c@far.example', 2, false, ['a@far.example', 'b@far.example']],
    ['d@near.example', 1, true, ['d@near.example', 'b@far.example']],
    ['e@im.example', 0, true, ['e@im.example', 'd@near.example']],
    ['f@far.example', 2, false, ['e@im.example', 'd@near.example']],
    ['g@near.example', 1, false, ['e@im.example', 'd@near.example']],
    ['h@im.example', 0, true, ['e@im.example', 'h@im.example']],
    ['i@im.example', 0, false, ['e@im.example', 'h@im.example']],
  ] as const) {
    t.equal(hold(contact, rank), isKept, contact)
    t.same(held(), then, contact)
  }
  t.equal(quarantine.evicted, 7)
  t.equal(quarantine.size, 2)
  t.end()
})

t.test('all accounts together hold so much; the one that held nothing new for longest gives way', t => {
  const { hold, held, quarantine } = made({ weight: 4 * (overhead + 200) })
  const accounts = ['a@im.example', 'b@im.example', 'c@im.example']
  for (const account of accounts) for (const name of ['x', 'y']) hold(`${name}@far.example`, 2, account)
  t.ok(quarantine.size === 4 || quarantine.size === 5, `${quarantine.size}`)
  t.ok(held('a@im.example').length < 2)
  t.equal(held('c@im.example').length, 2)
  t.equal(quarantine.evicted, 6 - quarantine.size)
  // A million of another account's change nothing but who gives way.
  for (let i = 0; i < 1_000; i++) hold(`s${i}@far.example`, 2, `victim${i}@im.example`)
  t.ok(quarantine.size <= 5, `${quarantine.size}`)
  t.equal(quarantine.evicted, 1_006 - quarantine.size)
  t.end()
})

t.test('so many accounts are remembered; the one unused longest is forgotten', t => {
  const { hold, held, quarantine } = made({ accounts: 2 })
  hold('x@far.example', 2, 'a@im.example')
  hold('x@far.example', 2, 'b@im.example')
  quarantine.shown('a@im.example', 'y@far.example')
  hold('x@far.example', 2, 'c@im.example')
  t.same([held('a@im.example'), held('b@im.example'), held('c@im.example')], [['x@far.example'], [], ['x@far.example']])
  t.equal(quarantine.evicted, 1)
  t.equal(quarantine.size, 2)
  t.end()
})

t.test('the stanza is kept, without its children if it is long', t => {
  const { hold, quarantine } = made()
  const preauth = element('preauth', 'urn:xmpp:pars:0', { token: 'a'.repeat(100) })
  hold('a@far.example', 2, romeo, [preauth, ' '])
  t.same(quarantine.heldOf(romeo, 'a@far.example')?.element.children, [preauth, ' '])
  for (const [contact, children] of [
    ['b@far.example', [element('status', 'jabber:client', {}, ['x'.repeat(3_000)])]],
    ['c@far.example', Array.from({ length: 300 }, () => element('x', 'y:z'))],
    ['d@far.example', [element('x', 'y:z', { a: 'x'.repeat(3_000) })]],
  ] as const) {
    hold(contact, 2, romeo, children)
    const { attrs, children: left } = quarantine.heldOf(romeo, contact)?.element ?? element('', '')
    t.same([attrs.get('from'), attrs.get('type'), left], [contact, 'subscribe', []], contact)
  }
  t.end()
})

t.test('of one account so many are remembered as shown', t => {
  const { quarantine } = made()
  for (let i = 0; i <= 1_000; i++) quarantine.shown(romeo, `s${i}@far.example`)
  t.same(
    [0, 1, 1_000].map(i => quarantine.isShown(romeo, `s${i}@far.example`)),
    [false, true, true],
  )
  t.end()
})
