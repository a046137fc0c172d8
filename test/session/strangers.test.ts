/** Classes of strangers, and what becomes of the requests of each. */
import t from 'tap'
import type { StrangerClass } from '../../src/account/labels.ts'
import { Quarantine } from '../../src/account/quarantine.ts'
import { type HourlyRequests, StrangerPolicy, type StrangerSettings } from '../../src/account/stranger-policy.ts'
import { PendingRequests } from '../../src/session/pending-requests.ts'
import { Strangers } from '../../src/session/strangers.ts'
import { type Stanza, stanzaOf } from '../../src/stanza/stanza.ts'
import { element, type Node } from '../../src/xml/element.ts'
import { recordOfElement } from '../../src/xml/element-record.ts'

const romeo = 'romeo@im.example'

function subscribe(from: string, children: readonly Node[] = []): Stanza {
  return stanzaOf(element('presence', 'jabber:client', { type: 'subscribe', from }, children)) as Stanza
}

function made(settings: StrangerSettings, limits = { perLogin: 2, perDay: 100 }) {
  const clock = { now: 1_000_000 }
  const contacts = new Set<string>(['icq.example.org'])
  const roster = { isKnown: true }
  const quarantine = new Quarantine(limits, () => clock.now)
  const policy = new StrangerPolicy(settings, () => clock.now)
  const known = {
    isNoStranger: (contact: string) => contacts.has(contact),
    hasContactAt: (domain: string) => domain === 'near.example' || domain === 'icq.example.org',
    knowsRoster: () => roster.isKnown,
  }
  const session = () => {
    const pending = new PendingRequests(quarantine, romeo, known, policy)
    pending.sent(stanzaOf(element('presence', 'jabber:client', {})) as Stanza)
    const released = (isDue: boolean) => {
      const out: string[] = []
      if (isDue) for (let one = pending.release(); one !== undefined; one = pending.release()) out.push(one.contact)
      return out
    }
    /** What reaches the client when these requests come. */
    const come = (...from: (string | Stanza)[]) =>
      from.flatMap(each => {
        const request = typeof each === 'string' ? subscribe(each) : each
        const contact = request.from ?? ''
        if (pending.isHeld(contact, request)) return released(pending.hold(request))
        return [contact, ...released(pending.received(request))]
      })
    const say = (type: string, to: string) =>
      released(pending.sent(stanzaOf(element('presence', 'jabber:client', { type, to })) as Stanza))
    const told = () =>
      pending.takeReports().map(each => {
        return each.report === 'stranger-request' ? `${each.class} ${each.outcome}` : each.report
      })
    return { pending, come, say, told }
  }
  const held = () => [...quarantine.heldFor(romeo)].map(({ contact, why }) => `${contact} ${why}`)
  return { clock, contacts, roster, quarantine, policy, known, session, held }
}

t.test('classes', t => {
  const { policy, known } = made({ listed: ['Spam.example', 'mallory@near.example', 'bot@im.example'] })
  const strangers = new Strangers(policy, romeo, known)
  const table: readonly [string, StrangerClass][] = [
    ['anybody@spam.example', 'listed'],
    ['anybody@SPAM.example/pda', 'listed'],
    ['spam.example', 'listed'],
    ['anybody@sub.spam.example', 'other'],
    ['Mallory@near.example', 'listed'],
    ['bot@im.example', 'listed'],
    ['juliet@im.example', 'ownDomain'],
    ['juliet@IM.example.', 'ownDomain'],
    ['im.example', 'ownDomain'],
    ['nurse@near.example', 'contactDomain'],
    ['near.example', 'gateway'],
    ['far.example', 'gateway'],
    ['far.example/registered', 'gateway'],
    ['12345@icq.example.org', 'gateway'],
    ['12345@icq.example.net', 'other'],
    ['a@far.example', 'other'],
    ['<no jid>', 'gateway'],
  ]
  for (const [contact, expected] of table) t.equal(strangers.classOf(contact, false), expected, contact)
  t.end()
})

t.test('accepted: shown always, and counted against nothing', t => {
  const { session, held } = made({ strangers: { ownDomain: 'accept' } }, { perLogin: 1, perDay: 1 })
  const { come, told } = session()
  t.same(come('a@im.example', 'b@im.example', 'a@im.example'), ['a@im.example', 'b@im.example', 'a@im.example'])
  t.same(come('a@far.example', 'b@far.example', 'a@far.example', 'c@im.example'), ['a@far.example', 'c@im.example'])
  t.same(held(), ['b@far.example per-login'])
  t.same(told(), [
    ...['ownDomain shown', 'ownDomain shown', 'ownDomain shown'],
    ...['other shown', 'other held', 'other repeated', 'ownDomain shown'],
  ])
  t.end()
})

t.test('dropped: not shown and not kept, whatever room there is', t => {
  const { session, held } = made({ strangers: { listed: 'drop', other: 'hold' }, listed: ['spam.example'] })
  const { come, say, told } = session()
  t.same(come('a@spam.example', 'a@far.example', 'b@spam.example', 'a@spam.example'), ['a@far.example'])
  t.same(say('unsubscribed', 'a@far.example'), [])
  t.same(held(), [])
  t.same(told(), ['listed dropped', 'other shown', 'listed dropped', 'listed dropped'])
  t.same(session().come('a@spam.example'), [], 'neither at the next login')
  t.end()
})

t.test('a contact is never dropped; before the roster was seen nobody is', t => {
  const { session, held, contacts, roster } = made({
    strangers: { other: 'drop', listed: 'drop' },
    listed: ['friend@far.example'],
  })
  roster.isKnown = false
  contacts.add('friend@far.example')
  const { come, say, told } = session()
  t.same(come('friend@far.example', 'a@far.example', 'b@far.example'), ['friend@far.example'])
  t.same(held(), ['a@far.example no-roster', 'b@far.example no-roster'])
  t.same(told(), ['other held', 'other held'])
  t.same(say('unsubscribed', 'friend@far.example'), [], 'what may have to be dropped is not shown')
  roster.isKnown = true
  contacts.add('b@far.example')
  t.same(say('unsubscribed', 'c@far.example'), ['b@far.example'], 'a contact after all')
  t.same(held(), [], 'the other one is dropped')
  t.end()
})

t.test('what is held from before is shown or dropped as its class is set now', t => {
  const { quarantine, session, held } = made(
    { strangers: { ownDomain: 'accept', other: 'drop' } },
    { perLogin: 1, perDay: 100 },
  )
  const record = {
    isAvailable: true,
    shown: ['nurse@near.example'],
    held: ['a@far.example', 'b@near.example', 'c@im.example', 'd@im.example'].map(contact => ({
      contact,
      why: 'per-login' as const,
      element: recordOfElement(subscribe(contact).element),
    })),
  }
  const { pending, say } = session()
  pending.restore(record)
  t.equal(quarantine.size, 4)
  t.same(say('subscribe', 'b@near.example'), ['c@im.example', 'd@im.example'])
  t.same(held(), ['b@near.example per-login'])
  t.end()
})

t.test('who was invited comes first', t => {
  const { session, held, policy, clock } = made({ strangers: { ownDomain: 'hold' } }, { perLogin: 1, perDay: 100 })
  policy.tokens.add(romeo, 'abc', undefined)
  const showing = (from: string, token: string) => subscribe(from, [element('preauth', 'urn:xmpp:pars:0', { token })])
  const { come, say, told } = session()
  t.same(come('a@far.example', 'b@im.example', showing('c@far.example', 'xyz'), showing('d@far.example', 'abc')), [
    'a@far.example',
  ])
  t.same(held(), ['d@far.example per-login', 'b@im.example per-login', 'c@far.example per-login'])
  t.same(come('d@far.example'), [], 'again, without the token, as some servers deliver it')
  t.equal(held()[0], 'd@far.example per-login')
  t.same(told(), ['other shown', 'ownDomain held', 'other held', 'token held', 'token held'])
  t.same(say('unsubscribed', 'a@far.example'), ['d@far.example'])
  clock.now += 8 * 86_400_000
  t.same(come(showing('e@far.example', 'abc')), [])
  t.equal(held().at(-1), 'e@far.example per-login', 'the token has expired')
  t.end()
})

t.test('who was invited can be accepted, whatever the own class is', t => {
  const { session, policy } = made({
    strangers: { token: 'accept', other: 'drop', listed: 'drop' },
    listed: ['spam.example'],
  })
  policy.tokens.add(romeo, 'abc', undefined)
  const showing = (from: string) => subscribe(from, [element('preauth', 'urn:xmpp:pars:0', { token: 'abc' })])
  const { come, told } = session()
  t.same(come('a@far.example', showing('b@far.example'), showing('c@spam.example')), ['b@far.example'])
  t.same(told(), ['other dropped', 'token shown', 'listed dropped'])
  t.end()
})

const minute = 60_000

t.test('more than may come within an hour are held', t => {
  const bots = Array.from({ length: 6 }, (_, i) => `bot${i}@far.example`)
  const table: readonly [what: string, perHour: HourlyRequests, come: readonly string[], shown: readonly string[]][] = [
    ['of a domain', { domain: 2 }, [...bots, 'honest@near.example'], [...bots.slice(0, 2), 'honest@near.example']],
    ['of a sender', { sender: 2 }, bots, bots],
    ['to an account', { recipient: 3 }, [...bots, 'honest@near.example'], bots.slice(0, 3)],
    [
      'of a domain to an account: what is held counts against nobody',
      { domain: 2, recipient: 3 },
      [...bots, 'honest@near.example', 'second@near.example'],
      [...bots.slice(0, 2), 'honest@near.example'],
    ],
  ]
  for (const [what, perHour, from, shown] of table) {
    const { session, held, clock } = made({ perHour }, { perLogin: 100, perDay: 100 })
    const { come } = session()
    clock.now += minute
    t.same(come(...from), shown, what)
    const rest = from.filter(each => !shown.includes(each))
    t.same(new Set(held()), new Set(rest.map(each => `${each} rate`)), `${what}: held`)
    t.same(come(...from), [], `${what}: again`)
  }
  t.end()
})

t.test('a sender that asks again and again', t => {
  const { session, held, clock } = made({ perHour: { sender: 2 } }, { perLogin: 100, perDay: 100 })
  const { come, say } = session()
  clock.now += minute
  const [bot, other] = ['bot@far.example', 'other@far.example']
  for (const _ of [1, 2]) {
    t.same(come(bot), [bot])
    t.same(come(bot), [], 'repeated: not counted')
    t.same(say('unsubscribed', bot), [])
  }
  t.same(come(bot), [])
  t.same(held(), [`${bot} rate`])
  t.same(come(bot, other), [other])
  clock.now += 29 * minute
  t.same(say('unsubscribed', other), [], 'not yet')
  clock.now += minute
  t.same(say('unsubscribed', other), [bot], 'half an hour later there is room for one')
  t.same(say('unsubscribed', bot), [])
  t.same(come(bot), [], 'it was counted when it was let through')
  t.end()
})

t.test('what is not counted', t => {
  const { session, held, clock, policy, contacts } = made(
    { perHour: { domain: 1 }, strangers: { gateway: 'accept', listed: 'drop' }, listed: ['mallory@far.example'] },
    { perLogin: 100, perDay: 100 },
  )
  const first = session()
  t.same(first.come('a@far.example', 'b@far.example'), ['a@far.example', 'b@far.example'], 'what comes at the login')
  clock.now += minute
  contacts.add('friend@far.example')
  policy.tokens.add(romeo, 'abc', undefined)
  const invited = subscribe('c@far.example', [element('preauth', 'urn:xmpp:pars:0', { token: 'abc' })])
  t.same(
    first.come('friend@far.example', 'far.example', 'mallory@far.example', invited, 'd@far.example', 'e@far.example'),
    ['friend@far.example', 'far.example', 'c@far.example', 'd@far.example'],
    'contacts, accepted, dropped and invited ones',
  )
  t.same(held(), ['e@far.example rate'])
  // Another session of the account gets the same requests.
  const second = session()
  clock.now += minute
  t.same(second.come('d@far.example', 'e@far.example'), ['d@far.example'])
  // At the next login the server delivers what waits.
  t.same(session().come('e@far.example', 'a@far.example'), ['e@far.example', 'a@far.example'])
  t.end()
})

t.test('a request that waits for room is counted once', t => {
  const { session, held, clock } = made({ perHour: { domain: 2 } }, { perLogin: 1, perDay: 100 })
  const { come, say } = session()
  clock.now += minute
  t.same(come('a@far.example', 'b@far.example', 'c@far.example'), ['a@far.example'])
  t.same(held(), ['b@far.example per-login', 'c@far.example rate'])
  t.same(say('unsubscribed', 'a@far.example'), ['b@far.example'])
  t.same(say('unsubscribed', 'b@far.example'), [], 'c is over the rate')
  t.same(come('d@near.example'), ['d@near.example'])
  clock.now += 60 * minute
  t.same(say('unsubscribed', 'd@near.example'), ['c@far.example'])
  t.end()
})
