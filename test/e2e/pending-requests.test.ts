/** 300 strangers ask for one account on real servers: few reach the client, all others are in the API, and an answer makes room. */
import t, { type Test } from 'tap'
import { countStanzas } from '../clients/count-stanzas.ts'
import { auth, type RawClient } from '../clients/raw.ts'
import { startComponent } from '../servers/component.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { startProsody } from '../servers/prosody.ts'
import { Gate, makeCertificate } from './gate.ts'

const certificate = await makeCertificate(t)
const users = ['romeo', 'juliet', 'nurse', 'friar']
const options = {
  plain: true,
  componentSecret: 'mellon',
  accounts: Object.fromEntries(users.map(user => [user, 'secret'])),
}
const strangers = Array.from({ length: 300 }, (_, i) => `bot${i}@stranger.localhost`)
const limits = { pendingRequests: { perLogin: 10, perDay: 15 } }
const subscribe = (from: string) => `<presence from='${from}' to='romeo@localhost' type='subscribe'/>`

interface Held {
  readonly contact: string
  readonly since: string
  readonly why: string
}

for (const [name, start] of Object.entries({ Prosody: startProsody, ejabberd: startEjabberd }))
  t.test(name, async (t: Test) => {
    const server = await start(options)
    t.teardown(() => server.stop())
    const component = await startComponent(server.ports.component ?? 0, 'mellon')
    t.teardown(() => component.stop())
    const clock = { now: Date.UTC(2026, 10, 28) }
    const gate = await Gate.start(t, certificate, server, { limits, senses: { time: () => clock.now } })

    const quarantine = async (): Promise<Held[]> => {
      const response = await fetch(`http://127.0.0.1:${gate.proxy.admin?.port}/api/accounts/romeo@localhost`)
      return ((await response.json()) as { quarantine: Held[] }).quarantine
    }
    const held = async () => (await quarantine()).map(({ contact }) => contact)
    const asked = (lines: readonly string[]) =>
      lines.flatMap(line => /^presence\(from=([^ ]+) .*\btype=subscribe\b/.exec(line)?.[1] ?? [])
    const count = async () => (await gate.metrics()).sum('held_requests')

    // An honest handshake between two accounts, in both directions.
    const befriend = async (client: RawClient, other: RawClient, [me, them]: readonly [string, string]) => {
      for (const [asker, asks, to] of [
        [client, other, [me, them]],
        [other, client, [them, me]],
      ] as const) {
        asker.send(`<presence xmlns='jabber:client' to='${to[1]}@localhost' type='subscribe'/>`)
        await asks.element('the request', each => each.attrs.get('type') === 'subscribe')
        asks.send(`<presence xmlns='jabber:client' to='${to[0]}@localhost' type='subscribed'/>`)
        await asker.element('the approval', each => each.attrs.get('type') === 'subscribed')
      }
    }

    const juliet = await gate.login('plain', 'juliet', 'balcony')
    const nurse = await gate.login('plain', 'nurse', 'pda')
    const friar = await gate.login('plain', 'friar', 'cell')
    for (const client of [juliet, nurse, friar]) await client.appear()
    let romeo = await gate.login('starttls', 'romeo', 'orchard')
    await romeo.appear()
    await befriend(romeo, juliet, ['romeo', 'juliet'])
    romeo.send(`<presence xmlns='jabber:client' type='unavailable'/>`)
    await romeo.settled()
    romeo.send(romeo.endTag)
    await romeo.toTheEnd()

    // While he is away they ask, and among them somebody of his own domain. The server has taken all when it answers the ping behind them.
    component.send(strangers.slice(0, 200).map(subscribe).join(''))
    const taken = async (id: string) => {
      component.send(
        `<iq type='get' id='${id}' from='bot@stranger.localhost' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>`,
      )
      await component.until(`the answer to ${id}`, new RegExp(`<iq [^>]*id=['"]${id}['"]`))
    }
    await taken('first')
    nurse.send(`<presence xmlns='jabber:client' to='romeo@localhost' type='subscribe'/>`)
    await nurse.settled()
    component.send(strangers.slice(200).map(subscribe).join(''))
    await taken('second')

    // The first login: the cap reaches the client, all others are in the API.
    romeo = await gate.login('starttls', 'romeo', 'orchard')
    romeo.send(`<enable xmlns='urn:xmpp:sm:3' resume='true'/>`)
    const previd = (await romeo.named('enabled')).attrs.get('id')
    const got = countStanzas(romeo)
    await romeo.roster()
    romeo.send(`<presence xmlns='jabber:client'/>`)
    await gate.counted(
      'all requests',
      counts => counts.sum('rule_decisions_total', { rule: 'pending-requests' }) === 291,
    )
    const first = asked(await romeo.settled())
    t.equal(first.length, 10)
    t.equal(await count(), 291)
    const all = new Set([...strangers, 'nurse@localhost'])
    t.same(new Set([...first, ...(await held())]), all, 'nobody is lost')
    const [one] = await quarantine()
    t.match(one, { since: '2026-11-28T00:00:00.000Z', why: 'per-login' })
    const isNurseShown = first.includes('nurse@localhost')
    if (!isNurseShown) t.equal(one?.contact, 'nurse@localhost', 'the own domain comes first')

    // Honest conversation goes on.
    juliet.send(
      `<message xmlns='jabber:client' to='romeo@localhost' type='chat' id='wherefore'><body>?</body></message>`,
    )
    await romeo.withId('wherefore')
    juliet.send(`<presence xmlns='jabber:client'><show>away</show></presence>`)
    await romeo.element('her presence', each => each.attrs.get('from') === juliet.jid)
    friar.send(
      `<message xmlns='jabber:client' to='romeo@localhost' id='room'><x xmlns='jabber:x:conference' jid='cell@conference.localhost'/></message>`,
    )
    await romeo.withId('room')

    // An answer makes room.
    const released = async (answer: string, to: string): Promise<string[]> => {
      romeo.send(`<presence xmlns='jabber:client' to='${to}' type='${answer}'/>`)
      return asked(await romeo.settled())
    }
    const refused = first.find(each => each !== 'nurse@localhost') ?? ''
    const next = await held()
    t.same(await released('unsubscribed', refused), [next[0]])
    t.notOk((await held()).includes(next[0] ?? ''))
    if (isNurseShown) await released('subscribed', 'nurse@localhost')
    else t.same(await released('subscribed', 'nurse@localhost'), [next[1]])
    await nurse.element('the approval', each => each.attrs.get('type') === 'subscribed')
    // What the client asks for itself is no stranger's.
    const wanted = (await held())[5] ?? ''
    romeo.send(`<presence xmlns='jabber:client' to='${wanted}' type='subscribe'/>`)
    t.same(asked(await romeo.settled()), [wanted])

    const counts = await gate.metrics()
    t.equal(counts.sum('held_requests_released_total'), 3)
    t.equal(counts.sum('held_requests_evicted_total'), 0)

    // The day's limit: five more than the ten.
    const answered = [refused, 'nurse@localhost']
    for (const contact of first.slice(-6).filter(each => !answered.includes(each))) {
      await released('unsubscribed', contact)
      answered.push(contact)
    }
    const left = await held()
    t.equal(301 - left.length - 1, 15, 'shown, besides the one that was asked')

    // Both sides count the same: what the client has got is not sent again, and of the rest nothing is lost.
    clock.now += 86_400_000
    const last = first.find(each => !answered.includes(each)) ?? ''
    answered.push(last)
    const late = await released('unsubscribed', last)
    t.same([late.length > 0, late], [true, left.slice(0, late.length)], 'another day has room')
    romeo.transport.destroy()
    await gate.counted(
      'the loss',
      after => after.sum('streams_closed_total', { side: 'client', cause: 'client-lost' }) === 1,
    )
    const again = await gate.connect('ws')
    await again.opened()
    again.send(auth('romeo'))
    await again.named('success')
    await again.opened()
    // Without the answer to the last ping and the request that was released before it.
    again.send(`<resume xmlns='urn:xmpp:sm:3' previd='${previd}' h='${got() - 2}'/>`)
    await again.named('resumed')
    t.same(asked(await again.settled()), late.slice(-1))

    // The next login, on another day: those that wait come first, in their order.
    clock.now += 86_400_000
    const waiting = await held()
    const before = await gate.metrics()
    const desk = await gate.login('direct', 'romeo', 'desk')
    await desk.roster()
    desk.send(`<presence xmlns='jabber:client'/>`)
    const pending = 301 - answered.length - 1
    await gate.counted(
      'all requests',
      after => after.rulesSince(before)['pending-requests enforce drop'] === pending - 10,
    )
    t.same(new Set(asked(await desk.settled()).filter(each => each !== wanted)), new Set(waiting.slice(0, 10)))
    t.equal((await gate.metrics()).sum('session_faults_total'), 0)
    for (const client of [again, desk, juliet, nurse, friar]) client.transport.destroy()
  })
