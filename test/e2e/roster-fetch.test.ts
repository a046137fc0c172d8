// `rules.unknown: fetch` on real servers: a client that never asks for its roster is protected, and notices nothing.
import t, { type Test } from 'tap'
import { connectTcp, type RawClient } from '../clients/raw.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { startProsody } from '../servers/prosody.ts'
import { Gate, makeCertificate } from './gate.ts'

const certificate = await makeCertificate(t)
const users = ['hermit', 'romeo']
const accounts = Object.fromEntries(users.map(user => [user, 'secret']))

async function set(client: RawClient, jid: string, attributes: string): Promise<void> {
  const query = `<query xmlns='jabber:iq:roster'><item jid='${jid}' ${attributes}/></query>`
  client.send(`<iq xmlns='jabber:client' type='set' id='set-${jid}'>${query}</iq>`)
  await client.withId(`set-${jid}`)
}

/** Everything that a server sends of itself, without the own presence and `<r/>`. */
async function heard(client: RawClient): Promise<string[]> {
  const isOwn = (line: string) => line.includes(`presence(from=${client.jid}`) || line.endsWith('{urn:xmpp:sm:3}r')
  return (await client.settled()).filter(line => !isOwn(line))
}

for (const [name, start] of [
  ['Prosody', () => startProsody({ plain: true, accounts })],
  ['ejabberd', () => startEjabberd({ plain: true, accounts })],
] as const)
  t.test(name, async (t: Test) => {
    const server = await start()
    t.teardown(() => server.stop())
    const gate = await Gate.start(t, certificate, server, { rules: { unknown: 'fetch' } })
    const direct = async (user: string, resource: string) => (await connectTcp(server.port)).login(user, resource)
    const romeo = await direct('romeo', 'past-the-gate')
    romeo.send(`<presence xmlns='jabber:client'/>`)

    const hermit = await gate.login('plain', 'hermit', 'cave')
    hermit.send(`<enable xmlns='urn:xmpp:sm:3'/>`)
    await hermit.named('enabled')
    hermit.send(`<presence xmlns='jabber:client'/>`)
    await gate.counted('the answer', counts => counts.sum('roster_fetches_total', { event: 'answered' }) === 1)
    t.same(await heard(hermit), [], 'the client sees nothing of it')

    await server.inject(hermit.jid, `<presence from='mallory@localhost' to='${hermit.jid}' type='subscribed'/>`)
    t.same(await heard(hermit), [])
    // Another session of the hermit's changes the roster: the push is the gate's.
    const other = await direct('hermit', 'other')
    await set(other, 'tybalt@localhost', "name='Tybalt'")
    await gate.counted('the push', counts => counts.sum('roster_fetches_total', { event: 'push' }) === 1)
    t.same(await heard(hermit), [])

    // The handshake that he asks for passes.
    hermit.send(`<presence xmlns='jabber:client' to='romeo@localhost' type='subscribe'/>`)
    await romeo.element('the request', each => each.attrs.get('type') === 'subscribe')
    romeo.send(`<presence xmlns='jabber:client' to='hermit@localhost' type='subscribed'/>`)
    await hermit.element('the approval', each => each.attrs.get('type') === 'subscribed')

    // What the server has counted is what the client has sent.
    hermit.send(`<r xmlns='urn:xmpp:sm:3'/>`)
    const { attrs } = await hermit.named('a')
    t.equal(attrs.get('h'), '5', 'presence, three pings and the request')
    const counts = await gate.metrics()
    t.equal(counts.sum('subscription_undecided_total'), 0)
    t.equal(counts.sum('session_faults_total'), 0)
    t.equal(counts.sum('roster_fetches_total', { event: 'asked' }), 1)

    // From its own request on the client sees its pushes.
    t.equal((await hermit.roster()).attrs.get('type'), 'result')
    await set(other, 'mercutio@localhost', "name='Mercutio'")
    await hermit.element('a push', each => each.attrs.get('type') === 'set')
    for (const client of [hermit, other, romeo]) client.transport.destroy()
  })
