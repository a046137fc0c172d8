/**
 * Rule `subscription-needs-request` on real servers. In state From ejabberd takes an unasked `subscribed` for an approval: the client sees nothing,
 * and the server's roster is as before. Prosody ignores it. What is honest passes on both.
 */
import t, { type Test } from 'tap'
import { countStanzas } from '../clients/count-stanzas.ts'
import { auth, connectTcp, outline, type RawClient } from '../clients/raw.ts'
import { startComponent } from '../servers/component.ts'
import { type Ejabberd, startEjabberd } from '../servers/ejabberd.ts'
import { type Prosody, startProsody } from '../servers/prosody.ts'
import { Gate, makeCertificate } from './gate.ts'

const certificate = await makeCertificate(t)
const users = ['romeo', 'juliet', 'nurse', 'tybalt', 'tybalt2']
const options = {
  plain: true,
  componentSecret: 'mellon',
  sharedRoster: true,
  accounts: Object.fromEntries(users.map(user => [user, 'secret'])),
}
const stranger = 'mallory@stranger.localhost'
const limits = { compensationsPerHour: 3 }

const say = (to: string, type: string) => `<presence xmlns='jabber:client' to='${to}' type='${type}'/>`
const isOfType = (type: string) => (element: { attrs: ReadonlyMap<string, string> }) =>
  element.attrs.get('type') === type

/** The item of a contact as the server has it. */
async function itemOf(client: RawClient, contact: string): Promise<string> {
  const whole = outline(await client.roster())
  return new RegExp(`item\\(([^)]*jid=${contact.replaceAll('.', '\\.')}[^)]*)\\)`).exec(whole)?.[1] ?? 'none'
}

/** What a client was sent, without its own presence, that of the account's other resources, and `<r/>`. */
async function heard(client: RawClient): Promise<string[]> {
  const own = client.jid.slice(0, client.jid.indexOf('/'))
  const isOther = (line: string) => !line.includes(`presence(from=${own}`) && !line.endsWith('{urn:xmpp:sm:3}r')
  return (await client.settled()).filter(isOther)
}

for (const [name, start] of Object.entries({ Prosody: startProsody, ejabberd: startEjabberd }))
  t.test(name, async (t: Test) => {
    const isEjabberd = name === 'ejabberd'
    const server = await start(options)
    t.teardown(() => server.stop())
    const component = await startComponent(server.ports.component ?? 0, 'mellon')
    t.teardown(() => component.stop())
    const gate = await Gate.start(t, certificate, server, { limits })
    const outcome = async (word: string) => (await gate.metrics()).sum('compensations_total', { outcome: word })
    /** The server has taken what the component has sent before. */
    const taken = async (id: string) => {
      component.send(`<iq type='get' id='${id}' from='${stranger}' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>`)
      await component.until(`the answer to ${id}`, new RegExp(`<iq [^>]*id=['"]${id}['"]`))
    }

    // Three resources: available, available on another wire, and one that has asked for the roster only. One more past the gate.
    const orchard = await gate.login('starttls', 'romeo', 'orchard')
    orchard.send(`<enable xmlns='urn:xmpp:sm:3' resume='true'/>`)
    const previd = (await orchard.named('enabled')).attrs.get('id')
    const got = countStanzas(orchard)
    await orchard.appear()
    const pda = await gate.login('ws', 'romeo', 'pda')
    await pda.appear()
    const desk = await gate.login('plain', 'romeo', 'desk')
    await desk.roster()
    const past = await (await connectTcp(server.port)).login('romeo', 'past')
    await past.appear()
    const all = [orchard, pda, desk]

    component.send(`<presence from='${stranger}' to='romeo@localhost' type='subscribe'/>`)
    await orchard.element('the request', isOfType('subscribe'))
    orchard.send(say(stranger, 'subscribed'))
    await component.until('the approval', /type=['"]subscribed['"]/)
    for (const client of [...all, past]) await client.settled()

    const attack = `<presence from='${stranger}' to='romeo@localhost' type='subscribed'/><presence from='${stranger}/evil' to='romeo@localhost'/>`
    for (const round of isEjabberd ? [1, 2] : []) {
      component.send(attack)
      await component.until('the unsubscribe', /<presence [^>]*type=['"]unsubscribe['"]/)
      component.send(`<presence from='${stranger}' to='romeo@localhost' type='unsubscribed'/>`)
      component.send(`<presence from='${stranger}/evil' to='romeo@localhost' type='unavailable'/>`)
      await taken(`undone-${round}`)
      await past.element('the push back', each => outline(each).includes('subscription=from'))
      for (const client of all) t.same(await heard(client), [], `${client.jid} sees nothing`)
      t.equal(await itemOf(past, stranger), `jid=${stranger} subscription=from`)
      t.equal(await outcome('undone'), round, 'one for all resources')
    }
    if (!isEjabberd) {
      component.send(`<presence from='${stranger}' to='romeo@localhost' type='subscribed'/>`)
      await taken('attack')
      for (const client of all) t.same(await heard(client), [])
      t.equal(await itemOf(past, stranger), `jid=${stranger} subscription=from`)
    }
    for (const word of ['failed', 'limited', 'observed', 'passed']) t.equal(await outcome(word), 0, word)

    // Counts are right after a resumption: nothing is repeated, and nothing is lost.
    orchard.transport.destroy()
    await gate.counted(
      'the loss',
      counts => counts.sum('streams_closed_total', { side: 'client', cause: 'client-lost' }) === 1,
    )
    const again = await gate.connect('ws')
    await again.opened()
    again.send(auth('romeo'))
    await again.named('success')
    await again.opened()
    again.send(`<resume xmlns='urn:xmpp:sm:3' previd='${previd}' h='${got()}'/>`)
    await again.named('resumed')
    t.same(await heard(again), [])

    // Honest handshakes, with both clients at the gate, in both directions, and two that cross.
    const juliet = await gate.login('direct', 'juliet', 'balcony')
    const nurse = await gate.login('plain', 'nurse', 'pda')
    for (const client of [juliet, nurse]) await client.appear()
    const asks = async (client: RawClient, other: RawClient, [me, them]: readonly [string, string]) => {
      client.send(say(`${them}@localhost`, 'subscribe'))
      await other.element('the request', isOfType('subscribe'))
      other.send(say(`${me}@localhost`, 'subscribed'))
      await client.element('the approval', isOfType('subscribed'))
    }
    await asks(again, juliet, ['romeo', 'juliet'])
    await asks(juliet, again, ['juliet', 'romeo'])
    nurse.send(say('romeo@localhost', 'subscribe'))
    again.send(say('nurse@localhost', 'subscribe'))
    await again.element('the request', isOfType('subscribe'))
    await nurse.settled()
    again.send(say('nurse@localhost', 'subscribed'))
    nurse.send(say('romeo@localhost', 'subscribed'))
    await nurse.element('the approval', isOfType('subscribed'))
    await again.element('the approval', isOfType('subscribed'))
    for (const contact of ['juliet', 'nurse'])
      t.equal(await itemOf(again, `${contact}@localhost`), `jid=${contact}@localhost subscription=both`)
    // Given up and asked for again at once.
    for (const type of ['unsubscribe', 'subscribe']) again.send(say('juliet@localhost', type))
    await juliet.element('the end', isOfType('unsubscribe'))
    await juliet.element('the request', isOfType('subscribe'))
    juliet.send(say('romeo@localhost', 'subscribed'))
    for (const client of [again, juliet, nurse]) await client.settled()
    // A request that is made past the gate.
    const tybalt = await gate.login('plain', 'tybalt', 'street')
    await tybalt.appear()
    past.send(say('tybalt@localhost', 'subscribe'))
    await tybalt.element('the request', isOfType('subscribe'))
    tybalt.send(say('romeo@localhost', 'subscribed'))
    await again.element('the push', each => outline(each).includes('item(jid=tybalt@localhost subscription=to)'))
    for (const word of ['failed', 'limited', 'observed', 'passed']) t.equal(await outcome(word), 0, word)
    t.equal(await outcome('undone'), isEjabberd ? 2 : 0)

    // An administrator grants a subscription without any stanza: it reaches all, soon.
    if (isEjabberd) await (server as Ejabberd).run(addRosterItem(stranger))
    else await (server as Prosody).run(grantInLua(stranger))
    for (const client of [again, pda, desk])
      await client.element(
        'the push',
        each => outline(each).includes(`jid=${stranger}`) && outline(each).includes('both'),
      )
    t.equal(await outcome('passed'), 3, 'at three sessions')
    t.equal(
      await itemOf(past, stranger),
      isEjabberd ? `jid=${stranger} name=M subscription=both` : `jid=${stranger} subscription=both`,
    )
    if (isEjabberd) {
      // A group whose members see each other.
      await (server as Ejabberd).run(shareRoster(['romeo', 'tybalt2']))
      for (const client of [again, pda, desk])
        await client.element('the push', each => outline(each).includes('jid=tybalt2@localhost'))
    }
    t.equal(await outcome('undone'), isEjabberd ? 2 : 0)
    t.equal((await gate.metrics()).sum('session_faults_total'), 0)
    for (const client of [again, pda, desk, past, juliet, nurse, tybalt]) client.transport.destroy()
  })

/** `ejabberdctl add_rosteritem`. */
function addRosterItem(contact: string): string {
  const [user = '', domain = ''] = contact.split('@')
  return `mod_admin_extra:add_rosteritem(<<"romeo">>, <<"localhost">>, <<"${user}">>, <<"${domain}">>, <<"M">>, <<>>, <<"both">>).`
}

/** `ejabberdctl srg_create`, `srg_user_add`. */
function shareRoster(members: readonly string[]): string {
  const added = members.map(
    user => `mod_admin_extra:srg_user_add(<<"${user}">>, <<"localhost">>, <<"g">>, <<"localhost">>)`,
  )
  return `mod_admin_extra:srg_create(<<"g">>, <<"localhost">>, <<"G">>, <<"d">>, <<"g">>), ${added.join(', ')}, ok.`
}

/** As modules of Prosody's change rosters. */
function grantInLua(contact: string): string {
  return `
    local roster = prosody.bare_sessions["romeo@localhost"].roster
    roster["${contact}"].subscription = "both"
    local manager = require "core.rostermanager"
    assert(manager.save_roster("romeo", "localhost", roster, "${contact}"))
    manager.roster_push("romeo", "localhost", "${contact}")
    return 1`
}
