/**
 * The same conversation behind the gate with both servers. They differ in what comes first, the roster push or the presence: Prosody
 * delivers the presence first, ejabberd the push. An honest approval passes with either, and a forged one with neither.
 */
import t, { type Test } from 'tap'
import type { RawClient } from '../clients/raw.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { startProsody } from '../servers/prosody.ts'
import { Gate, makeCertificate } from './gate.ts'

const certificate = await makeCertificate(t)
const accounts = { romeo: 'secret', juliet: 'secret' }
const servers = {
  Prosody: () => startProsody({ plain: true, accounts }),
  ejabberd: () => startEjabberd({ plain: true, accounts }),
}

interface Server {
  inject(jid: string, xml: string): Promise<void>
}

/** What of these reaches the client, `type contact` each, before the answer to its next ping. */
async function reaches(
  server: Server,
  client: RawClient,
  contact: string,
  types: readonly string[],
): Promise<string[]> {
  for (const type of types)
    await server.inject(
      client.jid,
      `<presence xmlns='jabber:client' from='${contact}' to='${client.jid}' type='${type}'/>`,
    )
  const lines = await client.settled()
  return lines.flatMap(line => /^presence\(from=(\S+).* type=((?:un)?subscribed)/.exec(line)?.slice(2, 3) ?? [])
}

async function request(from: RawClient, to: RawClient, names: readonly [string, string]): Promise<string[]> {
  from.send(`<presence xmlns='jabber:client' to='${names[1]}@localhost' type='subscribe'/>`)
  await to.element('the request', found => found.attrs.get('type') === 'subscribe')
  to.send(`<presence xmlns='jabber:client' to='${names[0]}@localhost/full' type='subscribed'/>`)
  const seen: string[] = []
  await from.element('the approval and its push', found => {
    if (found.attrs.get('type') === 'subscribed') seen.push('presence')
    else if (found.name === 'iq' && found.attrs.get('type') === 'set') seen.push('push')
    // One push shows the request, one the approval.
    return seen.includes('presence') && seen.filter(one => one === 'push').length === 2
  })
  return seen
}

for (const [name, start] of Object.entries(servers)) {
  t.test(name, async (t: Test) => {
    const server = await start()
    t.teardown(() => server.stop())
    const gate = await Gate.start(t, certificate, server)
    const romeo = await gate.login('starttls', 'romeo', 'orchard')
    const juliet = await gate.login('wss', 'juliet', 'balcony')
    for (const client of [romeo, juliet]) await client.appear()
    const both = ['subscribed', 'unsubscribed']

    t.same(await reaches(server, romeo, 'tybalt@capulet.example', both), [], 'none: neither')
    const seen = await request(romeo, juliet, ['romeo', 'juliet'])
    t.equal(
      seen.indexOf('presence') < seen.lastIndexOf('push'),
      name === 'Prosody',
      `the order is the server's: ${seen}`,
    )
    await juliet.settled()
    t.same(await reaches(server, juliet, 'romeo@localhost', both), [], 'from: neither')
    t.same(await reaches(server, romeo, 'juliet@localhost', ['subscribed']), [], 'to: no second approval')
    t.same(await reaches(server, romeo, 'juliet@localhost', ['unsubscribed']), ['unsubscribed'], 'to: a cancellation')

    await request(juliet, romeo, ['juliet', 'romeo'])
    await romeo.settled()
    t.same(await reaches(server, juliet, 'romeo@localhost', ['subscribed']), [], 'both: no second approval')
    const counts = await gate.metrics()
    t.equal(counts.sum('rule_decisions_total', { rule: 'subscribed-needs-request', verdict: 'drop' }), 4)
    t.equal(counts.sum('rule_decisions_total', { rule: 'unsubscribed-needs-subscription', verdict: 'drop' }), 2)
    t.equal(counts.sum('subscription_transitions_total', { after: 'both' }), 2, 'once for each account')
    for (const client of [romeo, juliet]) {
      client.send(client.endTag)
      await client.toTheEnd()
    }
  })
}
