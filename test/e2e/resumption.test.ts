/** Stream management (XEP-0198) through the gate to real servers, which count for themselves and say so. */
import t, { type Test } from 'tap'
import { elements } from '../../src/xml/element.ts'
import { auth, bind, type RawClient } from '../clients/raw.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { startProsody } from '../servers/prosody.ts'
import { Gate, makeCertificate, type WireName, wires } from './gate.ts'

const sm = 'urn:xmpp:sm:3'
const forged = "<presence xmlns='jabber:client' from='mallory@evil.example' to='romeo@localhost' type='subscribed'/>"
const push =
  "<iq xmlns='jabber:client' type='set' id='evil' from='mallory@evil.example/x'><query xmlns='jabber:iq:roster'/></iq>"

const certificate = await makeCertificate(t)
const accounts = { romeo: 'secret', juliet: 'secret' }
for (const [name, start] of Object.entries({
  Prosody: () => startProsody({ plain: true, accounts }),
  ejabberd: () => startEjabberd({ plain: true, accounts }),
})) {
  t.test(name, async t => {
    const server = await start()
    t.teardown(() => server.stop())
    await suite(t, server)
  })
}

async function suite(
  t: Test,
  server: { inject(jid: string, xml: string): Promise<void>; address: string; port: number },
): Promise<void> {
  const gate = await Gate.start(t, certificate, server)

  async function authenticated(wire: WireName, user = 'romeo'): Promise<RawClient> {
    const client = await gate.connect(wire)
    await client.opened()
    client.send(auth(user))
    await client.named('success')
    await client.opened()
    return client
  }

  /** Bound, with its roster seen, and with stream management; gives the SM-ID. */
  async function managed(wire: WireName, resource: string): Promise<{ client: RawClient; id: string }> {
    const client = await gate.login(wire, 'romeo', resource)
    await client.appear()
    client.send(`<enable xmlns='${sm}' resume='true'/>`)
    const enabled = await client.named('enabled')
    return { client, id: enabled.attrs.get('id') ?? '' }
  }

  async function acknowledged(client: RawClient): Promise<string | undefined> {
    client.send(`<r xmlns='${sm}'/>`)
    return (await client.named('a')).attrs.get('h')
  }

  const message = (id: string, to: string) =>
    `<message xmlns='jabber:client' id='${id}' to='${to}' type='chat'><body>${id}</body></message>`

  for (const [i, wire] of wires.entries()) {
    const back = wires[(i + 1) % wires.length] as WireName
    await t.test(`${wire}, resumed over ${back}: every count is right, nothing is lost or doubled`, async t => {
      const resource = `r-${wire}`
      const { client, id } = await managed(wire, resource)
      const juliet = await gate.login('plain', 'juliet', `j-${wire}`)
      t.not(id, '', 'the server lets it be resumed')

      // One forwarded, one answered by the gate, one forwarded.
      client.send(message('one', juliet.jid))
      client.send("<presence xmlns='jabber:client' id='bad' type='bogus'/>")
      client.send(message('two', juliet.jid))
      t.equal((await client.withId('bad')).attrs.get('type'), 'error')
      t.equal(await acknowledged(client), '3', 'the client hears of all that it has sent')
      t.equal((await juliet.withId('one')).name, 'message')
      t.equal((await juliet.withId('two')).name, 'message')

      // Two that the client never sees, between two that it does; it has counted three, the gate's own answer included.
      await server.inject(client.jid, message('three', client.jid))
      await server.inject(client.jid, forged)
      await server.inject(client.jid, push)
      await server.inject(client.jid, message('four', client.jid))
      await client.withId('three')
      await client.withId('four')
      client.send(`<a xmlns='${sm}' h='2'/>`) // the answer, and `three`
      t.equal(await acknowledged(client), '3')

      client.transport.destroy()
      await gate.counted(
        'the stream is lost',
        counts => counts.sum('streams_closed_total', { side: 'client', cause: 'client-lost' }) > i,
      )
      juliet.send(message('five', client.jid))
      await juliet.settled()

      const again = await authenticated(back)
      again.send(`<resume xmlns='${sm}' previd='${id}' h='2'/>`)
      t.equal((await again.named('resumed')).attrs.get('h'), '3')
      t.equal((await again.withId('four')).name, 'message', 'what was not acknowledged comes again')
      t.equal((await again.withId('five')).name, 'message', 'what came meanwhile is there')
      t.equal(await acknowledged(again), '3')
      again.send(`<a xmlns='${sm}' h='4'/>`)
      again.send(message('six', juliet.jid))
      t.equal((await juliet.withId('six')).attrs.get('from'), client.jid, 'the resource is the one that was bound')
      t.equal(await acknowledged(again), '4')
      t.same(
        (await again.settled()).filter(line => line.includes('message')),
        [],
        'nothing twice',
      )
      await server.inject(client.jid, forged)
      t.same(
        (await again.settled()).filter(line => line.includes('subscribed')),
        [],
        'the roster is still known',
      )
      t.equal((await gate.metrics()).sum('stream_resumptions_total', { outcome: 'resumed' }), i + 1)
      again.send(again.endTag)
      await again.toTheEnd()
      juliet.send(juliet.endTag)
      await juliet.toTheEnd()
    })
  }

  await t.test("a stream that the gate does not know, or another account's", async t => {
    const { client, id } = await managed('direct', 'kept')
    for (const [user, previd, why] of [
      ['romeo', 'nonsense', 'unknown'],
      ['juliet', id, "another's"],
    ] as const) {
      const other = await authenticated('ws', user)
      other.send(`<resume xmlns='${sm}' previd='${previd}' h='0'/>`)
      t.same(
        elements(await other.named('failed'))
          .filter(one => one.name !== 'text')
          .map(condition => condition.name),
        ['item-not-found'],
        why,
      )
      other.send(bind(`after-${user}`))
      t.equal((await other.withId('bind')).attrs.get('type'), 'result', 'a resource can be bound on the same stream')
      other.send(other.endTag)
      await other.toTheEnd()
    }
    t.equal(await acknowledged(client), '0', 'the stream that was asked for goes on')
    client.send(client.endTag)
    await client.toTheEnd()
  })

  await t.test('more is acknowledged than was sent', async t => {
    const { client } = await managed('direct', 'liar')
    client.send(`<a xmlns='${sm}' h='99'/>`)
    const error = await client.named('error')
    t.same(
      elements(error).map(condition => condition.name),
      ['undefined-condition', 'text', 'handled-count-too-high'],
    )
    await client.toTheEnd()
  })

  await t.test('a closed stream cannot be resumed', async t => {
    const { client, id } = await managed('direct', 'closed')
    client.send(client.endTag)
    await client.toTheEnd()
    const again = await authenticated('direct')
    again.send(`<resume xmlns='${sm}' previd='${id}' h='0'/>`)
    t.same(
      elements(await again.named('failed')).map(condition => condition.name),
      ['item-not-found'],
    )
  })
}
