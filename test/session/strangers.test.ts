/** Classes of strangers, and what becomes of the requests of each. */
import t from 'tap'
import type { StrangerClass } from '../../src/account/labels.ts'
import { Quarantine } from '../../src/account/quarantine.ts'
import { type HourlyRequests, StrangerPolicy, type StrangerSettings } from '../../src/account/stranger-policy.ts'
import { PendingRequests } from '../../src/session/pending-requests.ts'
import { stanzaOfNotice } from '../../src/session/stranger-notices.ts'
import { Strangers } from '../../src/session/strangers.ts'
import { type Stanza, stanzaOf } from '../../src/stanza/stanza.ts'
import { tcpFraming } from '../../src/stream/framing.ts'
import { upstreamLimits } from '../../src/stream/limits.ts'
import { element, type Node } from '../../src/xml/element.ts'
import { recordOfElement } from '../../src/xml/element-record.ts'
import { boundWithRoster, play, type Stage, wires } from '../playbook.ts'

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
    const told = (isNext = false) =>
      pending.notices.take(isNext).map(each => {
        if (each.notice === 'headline') return `headline ${each.body}`
        if (each.notice === 'denial') return `denies ${each.contact}`
        const { report } = each
        return report.report === 'stranger-request' ? `${report.class} ${report.outcome}` : report.report
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
  const { pending, come, say, told } = session()
  t.same(come('a@far.example', 'b@im.example', showing('c@far.example', 'xyz'), showing('d@far.example', 'abc')), [
    'a@far.example',
  ])
  t.same(held(), ['d@far.example per-login', 'b@im.example per-login', 'c@far.example per-login'])
  t.same(come('d@far.example'), [], 'again, without the token, as some servers deliver it')
  t.equal(held()[0], 'd@far.example per-login')
  const elsewhere = made({}, { perLogin: 1, perDay: 100 })
  elsewhere.session().pending.restore(JSON.parse(JSON.stringify(pending.record)))
  t.same(elsewhere.held(), held(), 'also in another process')
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

t.test('the headline: once a day, with the number of those that are held', t => {
  const { session, clock, quarantine } = made({ headline: '{count} wait, {count}!' }, { perLogin: 1, perDay: 100 })
  const first = session()
  first.come('a@far.example')
  t.same(first.told(true), ['other shown'], 'nothing is held')
  first.come('b@far.example', 'c@far.example')
  t.equal(first.pending.notices.hasAny, true)
  t.same(first.told(), ['other held', 'other held'], 'more may follow')
  t.equal(first.pending.notices.hasAny, true)
  t.same(first.told(true), ['headline 2 wait, 2!'])
  t.equal(first.pending.notices.hasAny, false)
  first.come('d@far.example')
  t.same(first.told(true), ['other held'], 'today it was told')
  const second = session()
  second.come('b@far.example', 'c@far.example')
  t.same(second.told(true), ['other shown', 'other held'], 'to the account')
  clock.now += 86_400_000
  first.come('b@far.example')
  for (const contact of ['b', 'c', 'd']) quarantine.ended(romeo, `${contact}@far.example`)
  t.same(first.told(true), ['other held'], 'they are held no longer')
  first.come('e@far.example')
  t.same(first.told(true), ['other held', 'headline 1 wait, 1!'])
  t.end()
})

t.test('no headline, and no denial, unless they are set', t => {
  const { session } = made({ strangers: { other: 'drop' } }, { perLogin: 1, perDay: 100 })
  const { come, told } = session()
  come('a@far.example', 'b@near.example', 'c@near.example')
  t.same(told(true), ['other dropped', 'contactDomain shown', 'contactDomain held'])
  t.end()
})

t.test('who is dropped is denied, so many a minute', t => {
  const { session, clock, roster } = made({ strangers: { other: 'drop' }, denyDropped: true })
  roster.isKnown = false
  const { come, say, told } = session()
  come('a@far.example', 'b@near.example')
  t.same(told(), ['other held', 'contactDomain shown'], 'nobody, before the roster was seen')
  roster.isKnown = true
  say('unsubscribed', 'b@near.example')
  t.same(told(), ['denies a@far.example'])
  const denials = (from: number, to: number) => {
    for (let i = from; i < to; i++) come(`bot${i}@far.example/x`)
    return told().filter(each => each.startsWith('denies'))
  }
  t.same(
    denials(0, 40),
    Array.from({ length: 29 }, (_, i) => `denies bot${i}@far.example/x`),
  )
  clock.now += 4_000
  t.equal(denials(40, 80).length, 2)
  clock.now += 60_000
  t.equal(denials(80, 120).length, 30)
  t.end()
})

t.test('what is said is a stanza of its own', t => {
  const written = (notice: Parameters<typeof stanzaOfNotice>[0]) => {
    const { to, element: whole } = stanzaOfNotice(notice, 'im.example', 'romeo@im.example/orchard')
    return `${to}: ${tcpFraming('upstream', upstreamLimits).write({ item: 'element', element: whole })}`
  }
  t.equal(
    written({ notice: 'headline', body: '3 < 4 wait' }),
    'client: <message type="headline" from="im.example" to="romeo@im.example/orchard"><body>3 &lt; 4 wait</body></message>',
  )
  t.equal(
    written({ notice: 'denial', contact: 'bot@far.example/x' }),
    'upstream: <presence type="unsubscribed" to="bot@far.example" from="romeo@im.example"/>',
  )
  t.end()
})

const sm = `xmlns='urn:xmpp:sm:3'`
const subscribes = (from: string) => `<presence from='${from}' type='subscribe'/>`
const stage: Stage = {
  pendingRequests: {
    perLogin: 1,
    perDay: 50,
    strangers: { gateway: 'drop' },
    denyDropped: true,
    headline: '{count} wait',
  },
}
for (const wire of wires)
  t.test(`${wire}: stream management counts what the gate says itself`, async t =>
    play(
      t,
      wire,
      `${boundWithRoster(wire)}
      client: <enable ${sm}/>
      -> upstream ~ <enable
      upstream: <enabled ${sm}/>
      -> client ~ <enabled
      client: <presence/>
      -> judged forward by none
      -> upstream ~ <presence
      upstream: ${subscribes('a@far.example')}
      -> judged forward by none
      -> client ~ from="a@far.example"
      upstream: ${subscribes('b@far.example')}
      -> judged drop by pending-requests
      upstream: ${subscribes('far.example')}
      -> judged drop by pending-requests
      -> request-denied far.example
      -> upstream: <presence type="unsubscribed" to="far.example" from="romeo@im.example"/>
      upstream: <message from='juliet@im.example' id='m'/>
      -> judged forward by none
      -> client ~ id="m"
      -> headline
      -> client: <message type="headline" from="im.example" to="romeo@im.example/orchard"><body>1 wait</body></message>
      upstream: <message from='juliet@im.example' id='n'/>
      -> judged forward by none
      -> client ~ id="n"
      # The server has sent five stanzas; the client has got four. The client has sent one; the server has got two.
      client: <a ${sm} h='4'/>
      -> upstream ~ h="5"
      upstream: <a ${sm} h='2'/>
      -> client ~ h="1"`,
      stage,
    ),
  )
