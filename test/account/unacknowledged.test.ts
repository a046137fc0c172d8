// What was delivered and is not acknowledged: RFC 3921 section 9.4, Table 7, what makes it void, its bounds, and its record.
import t from 'tap'
import type { AccountNews } from '../../src/account/news.ts'
import { acknowledgementOf, contactsAtMost, keptFor, Unacknowledged } from '../../src/account/unacknowledged.ts'
import { type SubscriptionType, subscriptionTypes } from '../../src/stanza/stanza.ts'
import type { Direction } from '../../src/subscription/state.ts'

const juliet = 'juliet@im.example'

/** Table 7, row by row: what was received, and what affirms and denies it. */
const table7: readonly (readonly [SubscriptionType, SubscriptionType, SubscriptionType])[] = [
  ['subscribe', 'subscribed', 'unsubscribed'],
  ['subscribed', 'subscribe', 'unsubscribe'],
  ['unsubscribe', 'unsubscribed', 'subscribed'],
  ['unsubscribed', 'unsubscribe', 'subscribe'],
]

t.test('Table 7', async t => {
  t.same(
    table7.map(([received]) => received),
    subscriptionTypes,
  )
  for (const [received, affirm, deny] of table7)
    for (const answer of subscriptionTypes) {
      const expected = answer === affirm ? 'affirm' : answer === deny ? 'deny' : undefined
      t.equal(acknowledgementOf(answer, received), expected, `${answer} to ${received}`)
    }
})

function passed(direction: Direction, type: SubscriptionType, contact = juliet): AccountNews {
  return { news: 'subscription', direction, type, contact }
}

function push(subscription: 'none' | 'to' | 'from' | 'both', removed = false, jid = juliet): AccountNews {
  return { news: 'push', item: { jid, subscription, ask: false, removed }, ver: undefined, before: undefined }
}

const news: Readonly<Record<string, AccountNews>> = {
  asked: { news: 'asked', contact: juliet },
  'gave-up': { news: 'gave-up', contact: juliet },
  removes: { news: 'gave-up', contact: juliet, isRemoved: true },
  answered: { news: 'answered', contact: juliet },
  removed: push('none', true),
  'push-none': push('none'),
  'push-to': push('to'),
  'push-from': push('from'),
  'push-both': push('both'),
  'push-other': push('both', false, 'nurse@im.example'),
  'roster-to': {
    news: 'roster',
    items: [{ jid: juliet, subscription: 'to', ask: true, removed: false }],
    ver: undefined,
  },
  'roster-both': {
    news: 'roster',
    items: [{ jid: 'JULIET@im.example', subscription: 'both', ask: false, removed: false }],
    ver: undefined,
  },
  blind: { news: 'blind' },
}

/** `TYPE-in`: delivered, `TYPE-out`: sent, each to or from one contact; other words are those above. */
function play(script: string): string {
  const unacknowledged = new Unacknowledged({ left: 10 })
  for (const word of script.split(' ')) {
    const [, type, way] = /^(.*)-(in|out)$/.exec(word) ?? []
    const told = news[word] ?? passed(way === 'in' ? 'inbound' : 'outbound', type as SubscriptionType)
    unacknowledged.told(told, 1_000)
  }
  return [...unacknowledged.list(1_000)].map(({ type }) => type).join(' ')
}

const rows: readonly (readonly [script: string, left: string])[] = [
  ...table7.flatMap(([received, affirm, deny]): [string, string][] => [
    [`${received}-in`, received],
    [`${received}-in ${affirm}-out`, ''],
    [`${received}-in ${deny}-out`, ''],
    [`${received}-in ${received}-in ${affirm}-out`, ''],
    [`${affirm}-out ${received}-in`, received],
    // RFC 3921 section 9.4: a removal is `unsubscribe` and `unsubscribed`.
    [`${received}-in removed`, ''],
    [`${received}-in removes`, ''],
  ]),
  ['subscribe-in subscribe-out', 'subscribe'],
  ['subscribe-in asked', 'subscribe'],
  ['subscribe-in gave-up', 'subscribe'],
  ['subscribe-in answered', ''],
  ['unsubscribe-in answered', ''],
  ['subscribed-in answered', 'subscribed'],
  ['subscribed-in asked', ''],
  ['subscribed-in gave-up', ''],
  ['unsubscribed-in asked', ''],
  ['unsubscribed-in gave-up', ''],
  ['subscribed-in unsubscribed-out', 'subscribed'],
  // One of each pair at most.
  ['subscribe-in unsubscribe-in', 'unsubscribe'],
  ['unsubscribe-in subscribe-in', 'subscribe'],
  ['subscribed-in unsubscribed-in', 'unsubscribed'],
  ['unsubscribed-in subscribed-in', 'subscribed'],
  ['subscribe-in subscribed-in', 'subscribe subscribed'],
  ['subscribe-in subscribed-in subscribed-out', 'subscribed'],
  ['subscribe-in subscribed-in asked', 'subscribe'],
  // Another session, another gate or the server's administrator has granted it.
  ['subscribe-in push-from', ''],
  ['subscribe-in push-both', ''],
  ['subscribe-in push-to', 'subscribe'],
  ['subscribe-in push-none', 'subscribe'],
  ['subscribe-in push-other', 'subscribe'],
  ['subscribe-in subscribed-in push-both', 'subscribed'],
  ['unsubscribe-in push-both', 'unsubscribe'],
  ['subscribe-in roster-both', ''],
  ['subscribe-in roster-to', 'subscribe'],
  ['push-both roster-both', ''],
  ['subscribe-in blind', 'subscribe'],
]

t.test('what is left', async t => {
  for (const [script, left] of rows) t.equal(play(script), left, script)
})

t.test('since when, and who has changed', async t => {
  const unacknowledged = new Unacknowledged({ left: 10 })
  const at = (told: AccountNews, time: number | undefined) => [...unacknowledged.told(told, time)]
  t.same(at(passed('inbound', 'subscribe'), undefined), [], 'without a time nothing is remembered')
  t.same([...unacknowledged.list(0)], [])
  t.same(at(passed('inbound', 'subscribe', 'Juliet@IM.example'), 5.4), [juliet])
  t.same(at(passed('inbound', 'subscribe'), 9), [], 'a repetition is as old as the first')
  t.same([...unacknowledged.list(9)], [{ type: 'subscribe', contact: juliet, since: 5 }])
  t.same(at(passed('outbound', 'subscribe'), 9), [])
  t.same(at(passed('outbound', 'subscribed', 'nurse@im.example'), 9), [])
  t.same(at(passed('outbound', 'subscribed', 'JULIET@im.example'), 9), [juliet])
  // A server that prepares addresses by stringprep has another spelling than the user's client.
  t.same(at(passed('inbound', 'subscribe', 'strasse@im.example'), 9), ['strasse@im.example'])
  t.same(at(passed('outbound', 'unsubscribed', 'straße@im.example'), 9), ['strasse@im.example'])
  t.same([...unacknowledged.list(9)], [])
})

t.test('what is old is forgotten', async t => {
  const room = { left: 10 }
  const unacknowledged = new Unacknowledged(room)
  unacknowledged.told(passed('inbound', 'subscribed'), 0)
  t.equal([...unacknowledged.list(keptFor - 1)].length, 1)
  t.same([...unacknowledged.list(keptFor)], [])
  t.same(
    [...unacknowledged.told(passed('inbound', 'subscribe', 'nurse@im.example'), keptFor)],
    [juliet, 'nurse@im.example'],
  )
  t.equal(room.left, 9)
  unacknowledged.told(passed('inbound', 'subscribe', 'nurse@im.example'), 3 * keptFor)
  t.same(
    [...unacknowledged.list(3 * keptFor)].map(({ since }) => since),
    [3 * keptFor],
    'and is new when it comes again',
  )
})

t.test('bounds', async t => {
  const room = { left: contactsAtMost + 10 }
  const [one, other] = [new Unacknowledged(room), new Unacknowledged(room)]
  for (let at = 0; at < contactsAtMost + 5; at++) one.told(passed('inbound', 'subscribe', `bot${at}@far.example`), at)
  t.equal([...one.list(0)].length, contactsAtMost)
  t.equal([...one.list(0)][0]?.contact, 'bot5@far.example', 'the oldest go')
  t.equal(room.left, 10)
  for (let at = 0; at < 15; at++) other.told(passed('inbound', 'subscribe', `bot${at}@far.example`), at)
  t.equal([...other.list(0)].length, 10, 'there is room for as many in all')
  t.equal(room.left, 0)
  const third = new Unacknowledged(room)
  t.same([...third.told(passed('inbound', 'subscribe'), 0)], [juliet])
  t.same([...third.list(0)], [], 'an account that has none gets none')
  one.clear()
  t.equal(room.left, contactsAtMost)
  t.same([...one.list(0)], [])
})

t.test('the record', async t => {
  const room = { left: 2 }
  const unacknowledged = new Unacknowledged(room)
  unacknowledged.told(passed('inbound', 'unsubscribed'), 7)
  unacknowledged.told(passed('inbound', 'subscribe'), 9)
  const text = unacknowledged.textOf(juliet) ?? ''
  t.equal(text, 'subscribe 9 unsubscribed 7')
  t.equal(unacknowledged.textOf('nurse@im.example'), undefined)
  t.same([...unacknowledged.keys()], [juliet])
  t.same([...new Unacknowledged(room).keys()], [])

  const other = new Unacknowledged({ left: 2 })
  other.restore(juliet, text)
  t.same([...other.list(9)], [...unacknowledged.list(9)])
  other.told(passed('outbound', 'subscribed'), 10)
  other.restore(juliet, text)
  t.equal(other.textOf(juliet), 'unsubscribed 7', 'what is known by now stays')
  t.notOk(other.isGone(juliet))
  other.told({ news: 'gave-up', contact: juliet }, 10)
  t.ok(other.isGone(juliet))
  other.restore(juliet, text)
  t.equal(other.textOf(juliet), undefined, 'what was acknowledged by now does not come back')
  other.told(passed('inbound', 'subscribe'), 11)
  t.notOk(other.isGone(juliet))
  // What another version or another program has written.
  for (const wrong of ['', 'subscribe', 'subscribe soon', 'nothing 9', 'subscribe 9.5']) {
    other.restore('nurse@im.example', wrong)
    t.equal(other.textOf('nurse@im.example'), undefined, wrong)
  }
})
