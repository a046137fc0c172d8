/**
 * The ledger of one stream by itself, step by step: what is known of juliet afterwards, and what is believed of her.
 *
 *   roster:to       the whole roster shows her so (`none?`: with ask; `-`: not at all)
 *   [to]            a roster push does; `[-]` removes her
 *   >subscribe      the user's stanza (`>unsubscribe` stands for a roster remove too)
 *   elsewhere       a request was begun on another stream
 *   subscribed      a notification from her was accepted (`unsubscribed` too)
 *
 * roster.test.ts plays every order that servers have; here stand the single steps, each with its reason.
 */
import t from 'tap'
import { Ledger } from '../../src/account/ledger.ts'
import type { RosterItem } from '../../src/stanza/roster-iq.ts'

const juliet = 'juliet@im.example'

function item(shown: string, jid = juliet): RosterItem {
  if (shown === '-') return { jid, subscription: 'none', ask: false, removed: true }
  const subscription = shown.replace('?', '') as RosterItem['subscription']
  return { jid, subscription, ask: shown.endsWith('?'), removed: false }
}

function play(ledger: Ledger, step: string): void {
  if (step.startsWith('roster:')) ledger.replace(step === 'roster:-' ? [] : [item(step.slice(7))], undefined)
  else if (step.startsWith('[')) ledger.push(item(step.slice(1, -1)), undefined)
  else if (step === '>subscribe') ledger.asked(juliet)
  else if (step === '>unsubscribe') ledger.gaveUp(juliet)
  else if (step === 'elsewhere') ledger.askedElsewhere(juliet)
  else if (step === 'subscribed') ledger.deliveredSubscribed(juliet)
  else if (step === 'unsubscribed') ledger.deliveredUnsubscribed(juliet)
  else throw new Error(`no step: ${step}`)
}

/** The state, and the answers to a `subscribed` and to an `unsubscribed`. */
function known(ledger: Ledger, jid = juliet): string {
  const state = ledger.stateOf(jid)
  const shown = state === undefined ? '-' : `${state.subscription}${state.ask ? '?' : ''}`
  return `${shown} ${ledger.answersRequest(jid)} ${ledger.endsSubscription(jid)}`
}

type Row = readonly [steps: string, expected: string]

const tables: Readonly<Record<string, readonly Row[]>> = {
  'what was not seen is not judged': [
    ['', '- unknown unknown'],
    ['>subscribe', '- unknown unknown'],
    ['elsewhere', '- unknown unknown'],
    ['>unsubscribe', '- unknown unknown'],
    ['>subscribe subscribed', '- unknown unknown'],
    // What the first push has moved is not known: the notification of it may be yet to come, once.
    ['[to]', 'to unknown accept'],
    ['[both]', 'both unknown accept'],
    ['[to] subscribed', 'to refuse accept'],
    ['[to] roster:to', 'to unknown accept'],
    ['[to] [to]', 'to unknown accept'],
    ['[to] [none]', 'none refuse accept'],
    ['[to] >unsubscribe [none]', 'none refuse accept'],
    ['[none]', 'none refuse unknown'],
    ['[-]', 'none refuse unknown'],
    ['[from]', 'from refuse unknown'],
    ['[from] unsubscribed', 'from refuse refuse'],
    ['[none] unsubscribed >subscribe [none?] [none]', 'none refuse accept'],
    ['[none?]', 'none? accept accept'],
    ['[from?] [both]', 'both accept accept'],
    ['roster:- [to]', 'to refuse accept'],
    // A request that came before it counts.
    ['>subscribe [none]', 'none accept accept'],
    ['>subscribe roster:-', 'none accept accept'],
    ['elsewhere roster:-', 'none accept accept'],
  ],
  'a roster by itself': [
    ['roster:-', 'none refuse refuse'],
    ['roster:none', 'none refuse refuse'],
    ['roster:none?', 'none? accept accept'],
    ['roster:to', 'to refuse accept'],
    ['roster:from', 'from refuse refuse'],
    ['roster:from?', 'from? accept accept'],
    ['roster:both', 'both refuse accept'],
    ['roster:- roster:to', 'to refuse accept'],
    // Who was in it and is not any more has been removed, with what was asked of her.
    ['roster:from >subscribe roster:-', 'none refuse refuse'],
  ],
  'one request pays for one approval': [
    ['roster:- >subscribe', 'none accept accept'],
    ['roster:- >subscribe subscribed', 'none refuse refuse'],
    ['roster:- >subscribe subscribed [none?]', 'none? refuse accept'],
    ['roster:- >subscribe subscribed [none?] [to]', 'to refuse accept'],
    ['roster:- >subscribe [none?] [to]', 'to accept accept'],
    ['roster:- >subscribe [none?] [to] subscribed', 'to refuse accept'],
    ['roster:from >subscribe [from?] [both]', 'both accept accept'],
    ['roster:none? [to]', 'to accept accept'],
    ['roster:none? subscribed', 'none? refuse accept'],
    ['roster:none? subscribed [to]', 'to refuse accept'],
    // What nobody asked here may have been asked elsewhere: the push of the request says so.
    ['roster:- [none?]', 'none? accept accept'],
    ['roster:- [to]', 'to refuse accept'],
    ['roster:- subscribed [to]', 'to refuse accept'],
    ['roster:- subscribed [-] >subscribe', 'none accept accept'],
    ['roster:- [none?] subscribed [none?]', 'none? refuse accept'],
  ],
  'a request withdrawn or refused is over': [
    ['roster:- >subscribe >unsubscribe', 'none refuse refuse'],
    ['roster:- >subscribe [none?] >unsubscribe [none]', 'none refuse accept'],
    ['roster:- >subscribe [none?] unsubscribed [none]', 'none refuse refuse'],
    ['roster:- >subscribe [none?] [none]', 'none refuse accept'],
    ['roster:- >subscribe [-]', 'none refuse refuse'],
    ['roster:none? roster:-', 'none refuse accept'],
    ['roster:none? [-]', 'none refuse accept'],
    ['roster:to >subscribe [-]', 'none refuse accept'],
    // The approval may be on its way when the user gives up.
    ['roster:none? >unsubscribe', 'none? accept accept'],
    ['roster:none? >unsubscribe subscribed', 'none? refuse accept'],
    // Asked again, it is another.
    ['roster:none? >unsubscribe subscribed >subscribe', 'none? accept accept'],
    ['roster:none? >unsubscribe subscribed [none] >subscribe', 'none accept accept'],
    ['roster:- >subscribe >unsubscribe >subscribe [-]', 'none refuse refuse'],
    ['roster:- >subscribe unsubscribed >subscribe [-]', 'none accept accept'],
    ['roster:- >subscribe >unsubscribe >subscribe', 'none accept accept'],
    ['roster:- >subscribe [none?] unsubscribed [none] >subscribe', 'none accept accept'],
    ['roster:- >subscribe subscribed >subscribe', 'none refuse refuse'],
    ['roster:- >subscribe subscribed >unsubscribe >subscribe', 'none accept accept'],
  ],
  'one loss pays for one cancellation': [
    ['roster:to [none]', 'none refuse accept'],
    ['roster:to [none] unsubscribed', 'none refuse refuse'],
    ['roster:to unsubscribed', 'to refuse accept'],
    ['roster:to unsubscribed [none]', 'none refuse refuse'],
    ['roster:both unsubscribed [from]', 'from refuse refuse'],
    ['roster:both [from]', 'from refuse accept'],
    ['roster:both [to]', 'to refuse accept'],
    ['roster:from [none]', 'none refuse refuse'],
    ['roster:to >unsubscribe [none]', 'none refuse accept'],
    ['roster:to >unsubscribe unsubscribed [none]', 'none refuse refuse'],
    ['roster:to unsubscribed >unsubscribe [none]', 'none refuse refuse'],
    ['roster:to unsubscribed [none] [to] [none]', 'none refuse accept'],
    ['roster:to [none] [none]', 'none refuse accept'],
    ['roster:to [none] [-]', 'none refuse accept'],
    // It leaves nothing behind that a new request would be measured by.
    ['roster:to [none] >subscribe [-]', 'none refuse accept'],
    ['roster:to [none] >subscribe subscribed >subscribe', 'none refuse accept'],
    ['roster:to unsubscribed [none] >subscribe subscribed >subscribe', 'none refuse refuse'],
    ['roster:none [-]', 'none refuse refuse'],
    ['roster:to roster:-', 'none refuse accept'],
    ['roster:to roster:to', 'to refuse accept'],
    // What is granted while it was asked for is no loss.
    ['roster:none? [to]', 'to accept accept'],
    ['roster:none? unsubscribed [to] [none]', 'none refuse accept'],
  ],
  'a new request before the loss of the old one is shown': [
    ['roster:to unsubscribed >subscribe', 'to accept accept'],
    ['roster:to unsubscribed >subscribe [none]', 'none accept accept'],
    ['roster:to unsubscribed >subscribe [none] [none?] [to]', 'to accept accept'],
    ['roster:to unsubscribed >subscribe [none] [none]', 'none accept accept'],
    ['roster:to unsubscribed >subscribe [none] [-]', 'none refuse refuse'],
    ['roster:to >unsubscribe >subscribe', 'to accept accept'],
    ['roster:to >unsubscribe >subscribe [none]', 'none accept accept'],
    ['roster:to >unsubscribe >subscribe >unsubscribe [none]', 'none refuse accept'],
    ['roster:none? unsubscribed >subscribe [none]', 'none accept accept'],
    ['roster:to >subscribe', 'to refuse accept'],
    ['roster:to elsewhere', 'to accept accept'],
    ['roster:to elsewhere [none]', 'none accept accept'],
    ['roster:to elsewhere [none] [none?] [none]', 'none refuse accept'],
    ['roster:none? elsewhere [none]', 'none accept accept'],
    ['roster:none? elsewhere subscribed', 'none? refuse accept'],
    ['roster:- elsewhere [-]', 'none refuse refuse'],
    ['roster:none? elsewhere [to] [none]', 'none refuse accept'],
    ['roster:to elsewhere >unsubscribe subscribed [none] >subscribe', 'none accept accept'],
    ['roster:- >subscribe unsubscribed [none?] [none]', 'none refuse accept'],
    // Both changes in one push.
    ['roster:to [none?]', 'none? accept accept'],
    ['roster:none? subscribed [to] [none?]', 'none? accept accept'],
    // No server should show ask beside what is granted; if one does, both count.
    ['roster:to? [none?]', 'none? accept accept'],
    ['roster:to? [none?] unsubscribed [none]', 'none refuse refuse'],
    ['roster:to? [to]', 'to refuse accept'],
    ['roster:to? [to] unsubscribed [none]', 'none refuse refuse'],
    ['roster:to [none] >subscribe unsubscribed', 'none accept accept'],
    ['roster:to [none] >subscribe unsubscribed [none?] unsubscribed [none]', 'none refuse refuse'],
  ],
}

for (const [name, rows] of Object.entries(tables))
  t.test(name, async t => {
    for (const [steps, expected] of rows) {
      const ledger = new Ledger()
      for (const step of steps.match(/\S+/g) ?? []) play(ledger, step)
      t.equal(known(ledger), expected, steps)
    }
  })

t.test('whether it is known what the first push has changed', async t => {
  const rows: readonly (readonly [steps: string, isUnjudged: boolean])[] = [
    ['', false],
    ['>subscribe', false],
    ['roster:to', false],
    ['roster:- [to]', false],
    ['[to]', true],
    ['[none]', true],
    ['[-]', true],
    ['[none?]', false],
    ['subscribed [none?]', true],
    ['[to] subscribed', false],
    ['[to] unsubscribed', true],
    ['[none] subscribed', true],
    ['[none] unsubscribed', false],
    ['[to] [none]', false],
    ['[none] [to]', false],
    ['[none] [none?]', false],
    ['[to] [both]', true],
    ['[none] [from]', true],
    ['[to] roster:to', true],
    ['[to] roster:-', false],
    ['[none] roster:none', true],
  ]
  for (const [steps, isUnjudged] of rows) {
    const ledger = new Ledger()
    for (const step of steps.match(/\S+/g) ?? []) play(ledger, step)
    t.equal(ledger.isUnjudged(juliet), isUnjudged, steps)
    t.equal(ledger.isUnjudged('nurse@im.example'), false, `${steps}: of somebody else nothing was said`)
  }
})

t.test('who is a contact, and which domains contacts have', async t => {
  const rows: [steps: string, isContact: boolean, isShown: boolean][] = [
    ['', false, false],
    ['roster:-', false, false],
    ['roster:none', true, true],
    ['roster:none?', true, true],
    ['roster:from', true, true],
    ['[none]', true, true],
    ['[both] [-]', false, false],
    ['roster:both roster:-', false, false],
    ['>subscribe', true, false],
    ['roster:- elsewhere', true, false],
    ['>subscribe >unsubscribe', false, false],
    ['unsubscribed', false, false],
  ]
  for (const [steps, isContact, isShown] of rows) {
    const ledger = new Ledger()
    for (const step of steps.split(' ').filter(Boolean)) {
      play(ledger, step)
      // What was found out before is found out again after a change.
      ledger.hasContactAt('im.example')
    }
    t.same([ledger.isContact(juliet), ledger.hasContactAt('im.example')], [isContact, isShown], steps)
    t.same([ledger.isContact('nurse@im.example'), ledger.hasContactAt('far.example')], [false, false], steps)
  }
  const gateway = new Ledger()
  gateway.replace([item('both', 'Gateway.Example')], undefined)
  t.equal(gateway.hasContactAt('gateway.example'), true, 'a contact that is a domain')
})

t.test('which stanza begins a request', async t => {
  const rows: readonly (readonly [steps: string, begins: boolean])[] = [
    ['', true],
    ['roster:-', true],
    ['roster:from', true],
    ['roster:to', false],
    ['roster:both', false],
    ['roster:none?', false],
    ['>subscribe', false],
    ['elsewhere', false],
    ['roster:- >subscribe subscribed', false],
    ['roster:to unsubscribed', true],
    ['roster:to >unsubscribe', true],
    ['roster:to [none]', true],
    ['>subscribe >unsubscribe', true],
  ]
  for (const [steps, begins] of rows) {
    const ledger = new Ledger()
    for (const step of steps.match(/\S+/g) ?? []) play(ledger, step)
    t.equal(ledger.asked(juliet), begins, steps)
  }
})

t.test('contacts are told apart by their folded bare JID', async t => {
  const rows: readonly (readonly [shown: string, asked: string, isSame: boolean])[] = [
    ['juliet@im.example', 'Juliet@IM.Example./balcony', true],
    ['juliet@im.example/balcony', 'juliet@im.example', true],
    ['juliet@im.example', 'julia@im.example', false],
    ['juliet@im.example', 'juliet@example', false],
    ['im.example', 'juliet@im.example', false],
    // What cannot be folded is still itself, and nobody else.
    ['\u2665@im.example', '\u2665@im.example/a', true],
    ['\u2665@im.example', '\u2663@im.example', false],
  ]
  for (const [shown, asked, isSame] of rows) {
    const ledger = new Ledger()
    ledger.replace([item('to', shown)], undefined)
    t.equal(known(ledger, asked), isSame ? 'to refuse accept' : 'none refuse refuse', `${shown}, ${asked}`)
    ledger.replace([], undefined)
    t.equal(known(ledger, asked), isSame ? 'none refuse accept' : 'none refuse refuse', `${shown}, ${asked}: removed`)
  }
})

t.test('a push tells what was shown before, and its version if it has one', async t => {
  const ledger = new Ledger()
  t.equal(ledger.ver, undefined)
  t.equal(ledger.complete, false)
  t.equal(ledger.push(item('from'), 'v1'), undefined, 'nothing was known')
  t.equal(ledger.ver, 'v1')
  t.same(ledger.push(item('both'), undefined), { subscription: 'from', ask: false })
  t.equal(ledger.ver, 'v1', 'a server that names none has not changed it')
  t.equal(ledger.complete, false, 'pushes are not the whole roster')
  ledger.replace([item('none?')], 'v2')
  t.equal(ledger.ver, 'v2')
  t.equal(ledger.complete, true)
  t.same(ledger.push(item('none'), 'v3'), { subscription: 'none', ask: true })
  t.same(ledger.push(item('to', 'nurse@im.example'), 'v4'), { subscription: 'none', ask: false }, 'not in the roster')
  ledger.replace([], undefined)
  t.equal(ledger.ver, undefined, 'a roster without a version takes the old one away')
})

t.test('what one ledger shows another adopts', async t => {
  const one = new Ledger()
  one.replace([item('both'), item('none', 'nurse@im.example'), item('to', 'Paris@IM.example')], 'v1')
  one.push(item('-', 'paris@im.example'), 'v2')
  one.asked('tybalt@im.example')
  const items = one.visibleItems()
  t.same(
    [...items],
    [
      ['juliet@im.example', { subscription: 'both', ask: false }],
      ['nurse@im.example', { subscription: 'none', ask: false }],
    ],
  )
  const other = new Ledger()
  other.push(item('to', 'benvolio@im.example'), 'v0')
  other.adopt({ ver: 'v2', items })
  t.same([...other.visibleItems()], [...items])
  t.equal(other.ver, 'v2')
  t.equal(other.complete, true)
  t.equal(known(other), 'both refuse accept')
  t.equal(known(other, 'tybalt@im.example'), 'none refuse refuse', 'requests are told by news')
  t.equal(known(other, 'benvolio@im.example'), 'none refuse accept', 'what it had shown by itself is lost')
})

t.test('a ledger keeps 100,000 contacts; more are as if nobody had asked them', async t => {
  const ledger = new Ledger()
  for (let i = 0; i < 99_999; i++) ledger.asked(`c${i}@im.example`)
  t.equal(ledger.asked('last@im.example'), true)
  t.equal(ledger.asked(juliet), false)
  for (const step of ['elsewhere', 'subscribed', 'unsubscribed', '>unsubscribe', '[to]']) play(ledger, step)
  t.equal(known(ledger), '- unknown unknown')
  t.equal(known(ledger, 'last@im.example'), '- unknown unknown')
  play(ledger, 'roster:to')
  t.equal(known(ledger, 'last@im.example'), 'none accept accept', 'who is in it stays')
})

t.test('a full ledger still notes what becomes of the contacts that it has', async t => {
  const ledger = new Ledger()
  const items = Array.from({ length: 100_000 }, (_, i) => item('none', `c${i}@im.example`))
  ledger.replace(items, undefined)
  t.equal(ledger.asked('c1@im.example'), true)
  t.equal(known(ledger, 'c1@im.example'), 'none accept accept', 'a request')
  ledger.push(item('to', 'c2@im.example'), undefined)
  t.equal(known(ledger, 'c2@im.example'), 'to refuse accept', 'a push')
  t.equal(ledger.asked(juliet), false, 'another one is not noted')
})

t.test('giving up a contact that nobody knows leaves room for another', async t => {
  const ledger = new Ledger()
  for (let i = 0; i < 99_999; i++) ledger.asked(`c${i}@im.example`)
  ledger.gaveUp('nobody@im.example')
  t.equal(ledger.asked(juliet), true)
})

t.test('a contact that the client has spelled otherwise is one contact', async t => {
  const ledger = new Ledger()
  ledger.replace([], undefined)
  ledger.asked('stra\u00dfe@im.example')
  ledger.deliveredSubscribed('strasse@im.example')
  t.equal(ledger.answersRequest('stra\u00dfe@im.example'), 'refuse', 'its request is answered')
})
