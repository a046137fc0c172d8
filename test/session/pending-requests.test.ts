/** Requests of strangers in a session: what is shown, what is held, and what is shown when there is room. */
import t from 'tap'
import { Quarantine } from '../../src/account/quarantine.ts'
import { PendingRequests } from '../../src/session/pending-requests.ts'
import { type Stanza, stanzaOf } from '../../src/stanza/stanza.ts'
import { element, type Node } from '../../src/xml/element.ts'
import { authenticated, bound, boundWithRoster, play, type Stage, wires } from '../playbook.ts'

const romeo = 'romeo@im.example'

function stanza(kind: string, attrs: Readonly<Record<string, string>>, children: readonly Node[] = []): Stanza {
  return stanzaOf(element(kind, 'jabber:client', attrs, children)) as Stanza
}

function made(perLogin = 2, perDay = 100) {
  const clock = { now: 1_000_000 }
  const contacts = new Set<string>()
  const quarantine = new Quarantine({ perLogin, perDay }, () => clock.now)
  const known = {
    isNoStranger: (contact: string) => contacts.has(contact),
    hasContactAt: (domain: string) => domain === 'near.example',
  }
  const session = () => {
    const pending = new PendingRequests(quarantine, romeo, known)
    const presence = (attrs: Readonly<Record<string, string>> = {}) => pending.sent(stanza('presence', attrs))
    presence()
    const released = (isDue: boolean) => {
      const out: string[] = []
      if (isDue) for (let one = pending.release(); one !== undefined; one = pending.release()) out.push(one.contact)
      return out
    }
    /** What reaches the client when these requests come, as the rule has it. */
    const come = (...from: string[]) =>
      from.flatMap(contact => {
        const request = stanza('presence', { type: 'subscribe', from: contact })
        if (pending.isHeld(contact, request)) return released(pending.hold(request))
        return [contact, ...released(pending.received(request))]
      })
    const say = (type: string, to: string) => released(presence({ type, to }))
    const push = (jid: string, subscription: string, from = romeo) => {
      const item = element('item', 'jabber:iq:roster', { jid, subscription })
      const query = element('query', 'jabber:iq:roster', {}, [item])
      return released(pending.received(stanza('iq', { type: 'set', id: 'p', from }, [query])))
    }
    return { pending, presence, come, say, push, released }
  }
  const held = () => [...quarantine.heldFor(romeo)].map(({ contact, why }) => `${contact} ${why}`)
  return { clock, contacts, quarantine, session, held }
}

const strangers = ['a@far.example', 'b@far.example', 'c@far.example', 'd@far.example'] as const
const [a, b, c, d] = strangers

t.test('so many are shown; an answer makes room for the first that waits', t => {
  const { session, held } = made()
  const { come, say } = session()
  t.same(come(a, b, c, d), [a, b])
  t.same(held(), [`${c} per-login`, `${d} per-login`])
  t.same(come(a, c), [], 'what was shown or is held')
  t.equal(held().length, 2)
  t.same(say('unsubscribed', a), [c])
  t.same(say('subscribed', 'B@far.example'), [d], 'in another spelling')
  t.same(held(), [])
  t.same(say('subscribed', 'nobody@far.example'), [])
  t.same(come(a), [], 'a new request of the first, but two are shown')
  t.same(say('subscribed', c), [a])
  t.end()
})

t.test('own domain, domain of a contact, then age', t => {
  const { session } = made(1)
  const { come, say } = session()
  t.same(come(a, b, 'near@near.example', c, 'own@im.example', 'own-too@IM.example'), [a])
  const shown: string[] = []
  for (let last = a as string | undefined; last !== undefined; last = shown.at(-1)) {
    const next = say('unsubscribed', last)
    if (next.length === 0) break
    shown.push(...next)
  }
  t.same(shown, ['own@im.example', 'own-too@IM.example', 'near@near.example', b, c])
  t.end()
})

t.test('contacts pass, and so do strangers that become contacts', t => {
  const { session, contacts, held } = made(1)
  const { come, say, push } = session()
  contacts.add('friend@far.example')
  t.same(come(a, 'friend@far.example', b, c, d, 'friend@far.example'), [a, 'friend@far.example', 'friend@far.example'])
  contacts.add(c)
  t.same(say('subscribe', c), [c], 'the user asks to see one that is held')
  contacts.add(d)
  t.same(push(d, 'none'), [d], 'the user puts one into the roster')
  t.same(held(), [`${b} per-login`])
  t.same(push(a, 'from', 'mallory@far.example'), [], 'no push of the server')
  t.same(push(a, 'none'), [])
  t.same(push(a, 'from'), [b], 'granted past the gate')
  t.end()
})

t.test('withdrawn requests, and roster removes, make room', t => {
  const { session, held, quarantine } = made(1)
  const { pending, come, released } = session()
  t.same(come(a, b, c, d), [a])
  const withdraws = (from: string) => released(pending.received(stanza('presence', { type: 'unsubscribe', from })))
  const withdrawal = stanza('presence', { type: 'unsubscribe', from: b })
  t.equal(pending.received(withdrawal), false, 'what was not shown leaves no room: nothing is looked for')
  t.equal(pending.received(withdrawal), false)
  t.same(held(), [`${c} per-login`, `${d} per-login`])
  t.same(withdraws(a), [c])
  const item = element('item', 'jabber:iq:roster', { jid: c, subscription: 'remove' })
  const set = (children: Node[]) => stanza('iq', { type: 'set', id: 'r' }, children)
  t.same(released(pending.sent(set([element('query', 'jabber:iq:roster', {}, [item])]))), [d])
  t.same(released(pending.sent(set([element('other', 'urn:x')]))), [])
  t.equal(quarantine.size, 0)
  t.end()
})

t.test('what the operator releases is shown at each session that has it', t => {
  const { session, held, quarantine } = made(1)
  const [one, two, late] = [session(), session(), session()]
  for (const { come } of [one, two]) t.same(come(a, b, c), [a])
  quarantine.decide(romeo, b, 'release')
  const released = [...quarantine.heldFor(romeo)].filter(({ contact }) => contact === b)
  const shown = [one, two, late].map(({ pending }) => released.filter(each => pending.decided(each)).length)
  t.same(shown, [1, 1, 0], 'the third was not delivered any')
  t.same(held(), [`${c} per-login`])
  t.same([one.come(b), two.come(b)], [[], []], 'once')
  t.end()
})

t.test('a day has its own limit', t => {
  const { session, held, clock } = made(10, 2)
  const { come, say } = session()
  t.same(come(a, b, c), [a, b])
  t.same(held(), [`${c} per-day`])
  t.same(say('unsubscribed', a), [], 'an answer gives no room in the day')
  t.same(session().come(b), [b], 'what was shown today comes again')
  clock.now += 86_400_000
  t.same(come(d), [d, c])
  t.end()
})

t.test('at the next login those that were held come first, as they are ranked', t => {
  const { session, held, clock } = made(2)
  t.same(session().come(a, b, c, 'own@im.example', d), [a, b])
  clock.now += 10_000
  const { come, say } = session()
  t.same(come(a, b, d, 'e@far.example', c, 'own@im.example'), [c, 'own@im.example'])
  t.same(
    held(),
    [d, 'a@far.example', 'b@far.example', 'e@far.example'].sort(byArrival).map(each => `${each} per-login`),
  )
  t.same(say('subscribed', 'own@im.example'), [d])
  t.end()

  function byArrival(one: string, other: string): number {
    const order = [d, a, b, 'e@far.example']
    return order.indexOf(one) - order.indexOf(other)
  }
})

t.test('room is kept for a minute for what is held from before', t => {
  const { session, held, clock } = made(2)
  t.same(session().come(a, b, c, d), [a, b])
  clock.now += 10_000
  const { come } = session()
  t.same(come(a), [], 'it has to give way to those that are held from before')
  clock.now += 59_999
  t.same(come(b), [])
  clock.now += 1
  t.same(come('e@far.example'), ['e@far.example', a], 'they have not come')
  t.same(held(), [`${c} per-login`, `${d} per-login`, `${b} per-login`])
  t.end()
})

t.test('what a server that delivers the others has not delivered is forgotten', t => {
  const { session, held, clock } = made(2)
  t.same(session().come(a, b, c, d), [a, b])
  clock.now += 10_000
  const { come } = session()
  t.same(come(d, a, b), [d])
  clock.now += 60_000
  t.same(come('e@far.example'), ['e@far.example'])
  t.same(held(), [`${a} per-login`, `${b} per-login`])
  t.end()
})

t.test('another session of the account answers', t => {
  const { session, held } = made(1)
  const phone = session()
  const desk = session()
  t.same(phone.come(a, b), [a])
  t.same(desk.come(a, b), [a])
  t.same(held(), [`${b} per-login`])
  t.same(phone.say('subscribed', a), [b])
  t.same(desk.come(c), [c], 'the desk has room too')
  t.end()
})

t.test('a presence session begins with the first presence and ends with unavailable', t => {
  const { session } = made(1)
  const { presence, come } = session()
  t.same(come(a), [a])
  for (const attrs of [{}, { type: 'probe', to: a }, { type: 'unavailable', to: 'room@muc.im.example/romeo' }])
    presence(attrs)
  t.same(come(a), [], 'the same')
  presence({ type: 'unavailable' })
  presence()
  t.same(come(a), [a], 'another')
  t.end()
})

const subscribe = (from: string) => `<presence from='${from}' type='subscribe'/>`
const one: Stage = { pendingRequests: { perLogin: 1, perDay: 50 } }
for (const wire of wires) {
  const book = (name: string, script: string | readonly string[], stage: Stage) =>
    t.test(`${wire}: ${name}`, async t => play(t, wire, script, stage))
  const shows = (from: string, by = 'forward by none') => `
    upstream: ${subscribe(from)}
    -> judged ${by}
    -> client: <presence from="${from}" type="subscribe"/>`
  const holds = (from: string) => `
    upstream: ${subscribe(from)}
    -> judged drop by pending-requests`
  const answers = (to: string, released: string) => `
    client: <presence to='${to}' type='unsubscribed'/>
    -> judged forward by none
    -> upstream: <presence to="${to}" type="unsubscribed" from="romeo@im.example"/>
    -> request-released
    -> client: <presence from="${released}" type="subscribe"/>`
  const appears = `
    client: <presence/>
    -> judged forward by none
    -> upstream: <presence/>`
  const roster = `<item jid='friend@far.example' subscription='none'/>`

  book(
    'one is shown, and an answer shows the next',
    `${boundWithRoster(wire, roster)}${appears}
    ${shows(a)}${holds(b)}${holds(c)}${holds(a)}
    ${shows('friend@far.example')}
    ${shows('bridge@gateway.example')}
    ${answers(a, b)}
    ${answers(b, c)}`,
    { ...one, trustedDomains: ['gateway.example'] },
  )
  book(
    'what another rule leaves out is not held',
    `${boundWithRoster(wire, roster)}${appears}
    ${shows(a)}
    upstream: <presence from='${b}' type='subscribed'/>
    -> judged drop by subscribed-needs-request
    client: <presence to='${a}' type='unsubscribed'/>
    -> judged forward by none
    -> upstream: <presence to="${a}" type="unsubscribed" from="romeo@im.example"/>`,
    one,
  )
  book(
    'a held request is shown as the other rules have it',
    `${bound(wire)}${appears}
    ${shows(a)}
    ${holds(`${b}/pda`)}
    ${answers(a, b)}`,
    one,
  )
  const off = `${bound(wire)}${appears}${shows(a)}${shows(b)}${shows(a)}`
  book('without the limit all are shown', off, {})
  book('off: all are shown', off, { ...one, modes: { 'pending-requests': 'off' } })
  book(
    'observe: all are shown, and nothing is held',
    `${bound(wire)}${appears}
    ${shows(a)}${shows(b, 'would drop by pending-requests')}${shows(a, 'would drop by pending-requests')}
    client: <presence to='${a}' type='unsubscribed'/>
    -> judged forward by none
    -> upstream: <presence to="${a}" type="unsubscribed" from="romeo@im.example"/>`,
    { ...one, modes: { 'pending-requests': 'observe' } },
  )

  const sm = `xmlns='urn:xmpp:sm:3'`
  const enabled = `${bound(wire)}
    client: <enable ${sm} resume='true'/>
    -> upstream: <enable xmlns="urn:xmpp:sm:3" resume="true"/>
    upstream: <enabled ${sm} id='x1' resume='true' max='600'/>
    -> client: <enabled xmlns="urn:xmpp:sm:3" id="x1" resume="true" max="600"/>
    -> keep for 600000
    ${appears}`
  const acknowledges = (client: number, server: number) => `
    client: <a ${sm} h='${client}'/>
    -> upstream: <a xmlns="urn:xmpp:sm:3" h="${server}"/>`
  book(
    'stream management counts what is held for the server, and what is released for the client',
    `${enabled}
    ${shows(a)}${holds(b)}${holds(c)}
    ${acknowledges(1, 3)}
    ${answers(a, b)}
    ${acknowledges(2, 3)}
    upstream: <r ${sm}/>
    -> client: <r xmlns="urn:xmpp:sm:3"/>
    upstream: <message from='juliet@im.example' id='m'/>
    -> judged forward by none
    -> client: <message from="juliet@im.example" id="m"/>
    ${acknowledges(3, 4)}`,
    one,
  )
  const begun = `${enabled}
    ${shows(a)}${holds(b)}${holds(c)}
    ${answers(a, b)}
    closed client
    -> stream-closed client client-lost
    -> close upstream
    -> lose
    closed upstream
    -> stream-closed upstream client-lost
    -> session-closed romeo@im.example/orchard client-lost`
  const resumes = (client: number, told: number) => `${authenticated(wire)}
    client: <resume ${sm} previd='x1' h='${client}'/>
    -> fetch
    -> upstream: <resume xmlns="urn:xmpp:sm:3" previd="x1" h="${told}"/>
    upstream: <resumed ${sm} previd='x1' h='2'/>
    -> client: <resumed xmlns="urn:xmpp:sm:3" previd="x1" h="2"/>
    -> resumption resumed
    -> take
    -> session-opened romeo@im.example/orchard
    -> negotiated
    -> recall romeo@im.example`
  const goesOn = `
    upstream: ${subscribe(d)}
    -> judged drop by pending-requests
    ${answers(b, c)}`
  for (const [name, again] of [
    ['the released one is not lost', `${resumes(1, 3)}\n-> client: <presence from="${b}" type="subscribe"/>`],
    ['nothing is shown twice', resumes(2, 3)],
    [
      'what the server repeats is shown and held as before',
      `${resumes(0, 0)}
      ${shows(a)}${holds(b)}
      upstream: ${subscribe(c)}
      -> judged drop by pending-requests
      -> client: <presence from="${b}" type="subscribe"/>`,
    ],
  ] as const)
    t.test(`${wire}: a resumed stream: ${name}`, async t => play(t, wire, [begun, `${again}${goesOn}`], one))
}

t.test('what a session has shown, and what is held for it, goes to another process with it', async t => {
  const before = made()
  const first = before.session()
  t.same(first.come(a, b, c, d), [a, b])
  const after = made()
  const second = after.session()
  second.pending.restore(JSON.parse(JSON.stringify(first.pending.record)))
  t.same(after.held(), before.held())
  t.same(second.come(a, b), [], 'they were shown')
  t.same(second.say('subscribed', a), [c], 'an answer makes room')
  t.same(second.say('unsubscribed', b), [d])
})
