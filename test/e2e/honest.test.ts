// Honest clients that servers take and a careless gate would not: each on a real Prosody and on a real ejabberd.
import t from 'tap'
import type { RulesConfig } from '../../src/config/types.ts'
import { child, text } from '../../src/xml/element.ts'
import { connectTcp, type RawClient } from '../clients/raw.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { startProsody } from '../servers/prosody.ts'
import { type Counts, Gate, makeCertificate } from './gate.ts'

const users = ['juliet', 'romeo', 'nurse', 'tybalt', 'paris', 'strasse', 'fiona']
const accounts = Object.fromEntries(users.map(user => [user, 'secret']))
const servers = {
  prosody: () => startProsody({ plain: true, accounts }),
  ejabberd: () => startEjabberd({ plain: true, accounts }),
}
const certificate = await makeCertificate(t)

async function leave(client: RawClient): Promise<void> {
  client.send(client.endTag)
  await client.toTheEnd()
}

const rules = (set: RulesConfig['default'], modes: Record<string, RulesConfig['default']> = {}) => ({
  rules: { default: set, modes: new Map(Object.entries(modes)) },
})

for (const [name, start] of Object.entries(servers))
  t.test(name, async t => {
    const server = await start()
    t.teardown(() => server.stop())
    const enforcing = await Gate.start(t, certificate, server, rules('enforce'))
    const repairing = await Gate.start(t, certificate, server, rules('repair'))
    const observing = await Gate.start(t, certificate, server, rules('observe'))

    const says = (client: RawClient, type: string, to: string) =>
      client.send(`<presence xmlns='jabber:client' to='${to}' type='${type}'/>`)
    const hears = (client: RawClient, type: string, from: string) =>
      client.element(
        `'${type}' from ${from}`,
        ({ name, attrs }) =>
          name === 'presence' && attrs.get('type') === type && attrs.get('from')?.startsWith(from) === true,
      )

    // Prosody tells those alone who have asked for their roster; ejabberd tells everybody.
    if (name === 'ejabberd')
      t.test(`who has not asked for the roster hears what becomes of an earlier session's requests`, async t => {
        const contacts: RawClient[] = []
        for (const user of ['romeo', 'nurse', 'tybalt']) {
          const contact = await enforcing.login('plain', user, 'home')
          await contact.appear()
          contacts.push(contact)
        }
        const [romeo, nurse, tybalt] = contacts as [RawClient, RawClient, RawClient]
        const before = await enforcing.login('plain', 'juliet', 'before')
        before.send(`<presence xmlns='jabber:client'/>`)
        for (const contact of contacts) says(before, 'subscribe', bare(contact))
        for (const contact of contacts) await hears(contact, 'subscribe', 'juliet@localhost')
        says(tybalt, 'subscribed', 'juliet@localhost')
        await hears(before, 'subscribed', 'tybalt@localhost')
        await leave(before)

        const counted = await enforcing.metrics()
        const after = await enforcing.login('plain', 'juliet', 'after')
        after.send(`<presence xmlns='jabber:client'/>`)
        await after.settled()
        says(romeo, 'subscribed', 'juliet@localhost')
        await hears(after, 'subscribed', 'romeo@localhost')
        says(nurse, 'unsubscribed', 'juliet@localhost')
        await hears(after, 'unsubscribed', 'nurse@localhost')
        says(tybalt, 'unsubscribed', 'juliet@localhost')
        await hears(after, 'unsubscribed', 'tybalt@localhost')
        const now = await enforcing.metrics()
        const dropped = (counts: Counts) => counts.sum('stanzas_total', { verdict: 'drop' })
        t.equal(dropped(now), dropped(counted), 'nothing is dropped')
        for (const client of [after, ...contacts]) await leave(client)
      })

    t.test(`the first word about a contact is a push or a presence, in either order`, async t => {
      const before = await enforcing.metrics()
      const juliet = await enforcing.login('plain', 'paris', 'here')
      const push = (contact: string, subscription: string) =>
        `<iq type='set' id='p-${contact}' to='${juliet.jid}'><query xmlns='jabber:iq:roster'><item jid='${contact}' subscription='${subscription}'/></query></iq>`
      const notice = (contact: string, type: string) =>
        `<presence from='${contact}' to='paris@localhost' type='${type}'/>`
      const sent: string[] = []
      for (const [number, [subscription, type]] of [
        ['to', 'subscribed'],
        ['both', 'subscribed'],
        ['none', 'unsubscribed'],
        ['from', 'unsubscribed'],
      ].entries()) {
        const [first, second] = [`push${number}@localhost`, `presence${number}@localhost`]
        await server.inject(juliet.jid, push(first, `${subscription}`))
        await server.inject(juliet.jid, notice(first, `${type}`))
        await server.inject(juliet.jid, notice(second, `${type}`))
        await server.inject(juliet.jid, push(second, `${subscription}`))
        sent.push(`${type} ${first}`, `${type} ${second}`)
      }
      const heard = (await juliet.settled()).flatMap(line => {
        const [, from, type] = /^presence\(from=(\S+) .*type=(\w+)\)/.exec(line) ?? []
        return from === undefined ? [] : [`${type} ${from}`]
      })
      t.strictSame(heard, sent)
      const now = await enforcing.metrics()
      t.strictSame(now.rulesSince(before), {})
      t.equal(now.sum('subscription_undecided_total') - before.sum('subscription_undecided_total'), 8)
      await leave(juliet)
    })

    t.test(`a room's address in 'from', as a library for bots sends it`, async t => {
      const before = await enforcing.metrics()
      const romeo = await enforcing.login('plain', 'romeo', 'home')
      romeo.send(`<presence xmlns='jabber:client'/>`)
      const juliet = await enforcing.login('plain', 'juliet', 'balcony')
      juliet.send(
        `<message xmlns='jabber:client' from='room@muc.localhost' to='${romeo.jid}' type='chat' id='subject'><subject>hi</subject></message>`,
      )
      t.equal((await romeo.withId('subject')).attrs.get('from'), juliet.jid)
      t.strictSame((await enforcing.metrics()).rulesSince(before), { 'from-is-bound-jid enforce forward': 1 })
      for (const client of [romeo, juliet]) await leave(client)
    })

    t.test(`repaired: what Psi+ and old clients send`, async t => {
      const before = await repairing.metrics()
      const other = await repairing.login('plain', 'juliet', 'desk')
      await other.appear()
      const juliet = await repairing.login('plain', 'juliet', 'balcony')
      juliet.send(
        `<presence xmlns='jabber:client'><show>online</show><status>one</status><status>two</status><priority> 5 </priority></presence>`,
      )
      const seen = await other.element('the presence', ({ attrs }) => attrs.get('from') === juliet.jid)
      const said = (found: typeof seen) => ['show', 'status', 'priority'].map(each => textOf(found, each))
      t.strictSame(said(seen), [undefined, 'one', '5'])
      juliet.send(
        `<iq xmlns='jabber:client' type='set' id='set'><query xmlns='jabber:iq:roster'><item jid='paris@localhost' name='Paris' ask='subscribe' approved='true'/></query></iq>`,
      )
      t.equal((await juliet.withId('set')).attrs.get('type'), 'result')
      t.strictSame((await repairing.metrics()).rulesSince(before), {
        'presence-children repair forward': 1,
        'roster-set-one-item repair forward': 1,
      })
      for (const client of [other, juliet]) await leave(client)
    })

    t.test(`names that servers prepare in their own way`, async t => {
      const juliet = await enforcing.login('plain', 'juliet', 'balcony')
      await juliet.roster()
      const before = await enforcing.metrics()
      for (const [id, to] of [
        ['v1', 'stra\u00dfe@localhost'],
        ['v2', '\u03bd\u03af\u03ba\u03bf\u03c2@localhost'],
        ['v3', '\ufb01ona@localhost'],
      ]) {
        juliet.send(`<iq xmlns='jabber:client' type='get' id='${id}' to='${to}'><vCard xmlns='vcard-temp'/></iq>`)
        t.match((await juliet.withId(`${id}`)).attrs.get('type'), /^(result|error)$/, `an answer in the name of ${to}`)
      }
      says(juliet, 'subscribe', 'stra\u00dfe@localhost')
      await juliet.settled()
      says(juliet, 'unsubscribe', 'stra\u00dfe@localhost')
      await juliet.settled()
      const counts = await enforcing.metrics()
      const events = (event: string) =>
        counts.sum('subscription_events_total', { event }) - before.sum('subscription_events_total', { event })
      t.strictSame(['request-out', 'withdrawal-out', 'denial-in'].map(events), [1, 1, 0])

      for (const [typed, bound] of [
        ['stra\u00dfe', 'strasse'],
        ['\ufb01ona', 'fiona'],
      ]) {
        const own = await enforcing.login('plain', `${typed}`, 'home')
        // ejabberd binds the name as it was typed, Prosody as it has prepared it.
        t.equal(own.jid, `${name === 'ejabberd' ? typed : bound}@localhost/home`)
        own.send(
          `<message xmlns='jabber:client' from='${typed}@localhost/home' to='${juliet.jid}' id='${bound}'><body>x</body></message>`,
        )
        t.equal((await juliet.withId(`${bound}`)).attrs.get('from'), own.jid)
        await leave(own)
      }
      t.strictSame((await enforcing.metrics()).rulesSince(before), {})
      await leave(juliet)
    })

    t.test(
      `observed with a roster version of the server's: a forged approval is counted as what would be dropped`,
      async t => {
        const direct = await (await connectTcp(server.port)).login('paris', 'direct')
        const ver = child(await direct.roster(''), 'query', 'jabber:iq:roster')?.attrs.get('ver') ?? ''
        t.not(ver, '', 'the server has roster versions')
        await leave(direct)
        const before = await observing.metrics()
        const paris = await observing.login('plain', 'paris', 'home')
        t.ok(child(await paris.roster(ver), 'query', 'jabber:iq:roster'), 'the whole roster')
        await server.inject(
          paris.jid,
          `<presence from='mallory@evil.example' to='paris@localhost' type='subscribed' id='forged'/>`,
        )
        t.equal((await paris.withId('forged')).attrs.get('type'), 'subscribed', 'it is delivered')
        const now: Counts = await observing.metrics()
        t.strictSame(now.rulesSince(before), { 'subscribed-needs-request observe drop': 1 })
        await leave(paris)
      },
    )
  })

function bare(client: RawClient): string {
  return client.jid.replace(/\/.*/, '')
}

function textOf(parent: Parameters<typeof child>[0], name: string): string | undefined {
  const found = child(parent, name, 'jabber:client')
  return found && text(found)
}
