/**
 * The history by itself, of what no honest stream tells it in one go: repetitions, answers without a clock, pushes of contacts of whom
 * nothing was known, and rosters that one stream has seen before another. test/observe/subscription-events.test.ts plays whole sessions.
 */
import t from 'tap'
import { type SubscriptionEvent, SubscriptionHistory } from '../../src/account/subscription-history.ts'
import type { RosterItem } from '../../src/stanza/roster-iq.ts'
import type { Visible } from '../../src/subscription/state.ts'

const juliet = 'juliet@im.example'

/** `none`, `both`, `none?` with ask, `none+` with a pre-approval; `?` alone as a state before: nothing was known. */
function item(word: string): RosterItem {
  return { jid: juliet, ...stateOf(word), removed: false, ...(word.endsWith('+') ? { approved: true } : {}) }
}

function stateOf(word: string): Visible {
  return { subscription: word.replace(/[?+]/, '') as Visible['subscription'], ask: word.endsWith('?') }
}

function known(word: string): Visible | undefined {
  return word === '?' ? undefined : stateOf(word)
}

/**
 * `asks` and `gives-up` (the user), `TYPE-out` and `TYPE-in` (a stanza that passes, with pushes to come), `BEFORE>AFTER` (a push),
 * `BEFORE=AFTER` (a whole roster), each at a second of the clock, `@`: without one.
 */
function play(script: string): string[] {
  const history = new SubscriptionHistory()
  const out: SubscriptionEvent[] = []
  for (const line of script.match(/\S+/g) ?? []) {
    const [step = '', second] = line.split('@')
    const time = second === '' ? undefined : Number(second ?? 0) * 1_000
    const [, before = '', sign, after = ''] = /^(.*)([>=])(.*)$/.exec(step) ?? []
    const [, type, way] = /^(subscribed?|unsubscribed?)-(out|in)$/.exec(step) ?? []
    if (step === 'asks') out.push(...history.asked(juliet, time))
    else if (step === 'gives-up') history.gaveUp(juliet)
    else if (sign === '>') out.push(...history.pushed(item(after), known(before), time))
    else if (sign === '=') out.push(...history.replaced([item(after)], () => known(before), time))
    else if (type !== undefined)
      out.push(
        ...history.passed(way === 'out' ? 'outbound' : 'inbound', type as 'subscribe', juliet, {
          hasPushes: true,
          time,
        }),
      )
    else throw new Error(`no step: ${line}`)
  }
  return out.map(({ event, seconds }) => (seconds === undefined ? event : `${event} ${seconds}`))
}

const rows: readonly (readonly [script: string, ...counted: string[]])[] = [
  // A request is one, however often it is told.
  ['asks asks', 'request-out'],
  ['asks@1 asks@5 none?>to@7', 'request-out', 'approval-in 6'],
  // Without a clock, or with one that was set back.
  ['asks@ none?>to@7', 'request-out', 'approval-in'],
  ['asks@1 none?>to@', 'request-out', 'approval-in'],
  ['asks@ none?>to@', 'request-out', 'approval-in'],
  ['asks@9 none?>to@7', 'request-out', 'approval-in 0'],
  ['asks@7 none?>to@7.25', 'request-out', 'approval-in 0.25'],
  // Of a contact of whom nothing was known, a push says what is, and not what has become of it.
  ['?>to', ...[]],
  ['?>none', ...[]],
  ['?>from', ...[]],
  ['?>both', ...[]],
  ['asks@1 ?>to@3', 'request-out', 'approval-in 2'],
  ['asks@1 ?>none?@2 ?>none@3 none?>to@4', 'request-out', 'approval-in 3'],
  // What the contact is granted meanwhile answers nothing of the user's.
  ['gives-up to>both both>from', 'approval-out', 'mutual', 'withdrawal-out'],
  ['asks@1 to>both', 'request-out', 'approval-out', 'mutual'],
  // It was made where the gate did not see it, and is over.
  ['none?>none', 'denial-in'],
  ['none>none?@1 none?>none@3', 'denial-in 2'],
  ['none>none?@1 none?=to@4', 'approval-in 3'],
  ['none>none?@1 none?=both@4', 'approval-in 3', 'mutual'],
  ['none>none?@1 none?=none@4', 'denial-in 3'],
  ['none>none?@1 none?=none?@4 none?>to@5', 'approval-in 4'],
  // Of two streams one is behind: what was granted is not asked for again.
  ['to=none? none?>to', ...[]],
  ['none=none?@1 none?>to@2', 'approval-in 1'],
  ['?=none?@1 none?>to@2', 'approval-in 1'],
  // The contact's request was granted while no client was there.
  ['subscribe-in from=from subscribe-in', 'request-in', 'request-in'],
  ['subscribe-in none=none subscribe-in', 'request-in'],
  // Granted ahead is what nobody has asked for, and what was granted.
  ['subscribed-out none>none+', 'pre-approval'],
  ['subscribe-in subscribed-out none>none+', 'request-in'],
  ['subscribe-out none>none+', ...[]],
  ['unsubscribe-out none>none+', ...[]],
  ['subscribed-out unsubscribed-out none>none+', ...[]],
]

t.test('what counts as what', async t => {
  for (const [script, ...counted] of rows) t.same(play(script), counted, script)
})

t.test('a thousand requests are kept, of one more the oldest is forgotten', async t => {
  const history = new SubscriptionHistory()
  const asks = (i: number) => history.asked(`c${i}@im.example`, 0).length
  let counted = 0
  for (let i = 0; i < 1_000; i++) counted += asks(i)
  t.equal(counted, 1_000)
  t.equal(asks(0), 0, 'the first of a thousand')
  t.equal(asks(1_000), 1)
  t.equal(asks(1), 0, 'the second')
  t.equal(asks(0), 1, 'the first')
})
