/**
 * SASL2 (XEP-0388) and Bind 2 (XEP-0386) through the gate to a real Prosody. What Debian's Prosody 0.12 cannot speak is not here, but in
 * the playbooks: its mod_sasl2_sm needs functions of mod_smacks that came later, its mod_sasl2_fast an event field.
 */
import t from 'tap'
import { child, type Element, elements, text } from '../../src/xml/element.ts'
import type { RawClient } from '../clients/raw.ts'
import { Gate, makeCertificate, makeProsody, wires } from './gate.ts'

const sasl2 = 'urn:xmpp:sasl:2'
const bind2 = 'urn:xmpp:bind:0'
const sm = 'urn:xmpp:sm:3'
const agent = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>test</software></user-agent>"
const forged = "<presence xmlns='jabber:client' from='mallory@evil.example' to='romeo@localhost' type='subscribed'/>"

const certificate = await makeCertificate(t)
const modules = ['sasl2', 'sasl2_bind2']
const prosody = await makeProsody(t, { accounts: { romeo: 'secret' }, modules })
const gate = await Gate.start(t, certificate, prosody)

async function success(client: RawClient, mechanism: string, response: string, inline: string): Promise<Element> {
  const initial = Buffer.from(response).toString('base64')
  client.send(
    `<authenticate xmlns='${sasl2}' mechanism='${mechanism}'><initial-response>${initial}</initial-response>${agent}${inline}</authenticate>`,
  )
  return client.named('success')
}

const identifier = (whole: Element) => text(child(whole, 'authorization-identifier', sasl2) ?? whole)
const bind = `<bind xmlns='${bind2}'><tag>test</tag></bind>`

for (const wire of wires) {
  t.test(`${wire}: one step to a bound stream, and its resumption`, async t => {
    const client = await gate.connect(wire)
    client.send(client.header())
    t.ok(child(await client.named('features'), 'authentication', sasl2), 'it is offered')
    const first = await success(client, 'PLAIN', '\0romeo\0secret', bind)
    const jid = identifier(first)
    t.match(jid, /^romeo@localhost\/test~/, 'the bound JID')
    t.ok(child(first, 'bound', bind2))
    await client.named('features')
    await client.roster()
    client.send(`<enable xmlns='${sm}' resume='true'/>`)
    const id = (await client.named('enabled')).attrs.get('id')
    await prosody.inject(jid, forged)
    t.same(
      (await client.settled()).filter(line => line.includes('subscribed')),
      [],
      'the session is watched',
    )
    client.send(`<r xmlns='${sm}'/>`)
    t.equal((await client.named('a')).attrs.get('h'), '1')

    client.transport.destroy()
    const again = await gate.connect(wire)
    await again.opened()
    t.equal(identifier(await success(again, 'PLAIN', '\0romeo\0secret', '')), 'romeo@localhost')
    await again.named('features')
    again.send(`<resume xmlns='${sm}' previd='${id}' h='1'/>`)
    t.equal((await again.named('resumed')).attrs.get('h'), '1', 'resumed, with the right count')
    await prosody.inject(jid, `<message xmlns='jabber:client' id='after' from='localhost' to='${jid}'/>`)
    await again.withId('after')
    await prosody.inject(jid, forged)
    t.same(
      (await again.settled()).filter(line => line.includes('subscribed')),
      [],
      'and it is still watched',
    )
    again.send(again.endTag)
    await again.toTheEnd()
  })
}

t.test('a resumption that the gate knows nothing of falls back to binding, in the same step', async t => {
  const client = await gate.connect('direct')
  await client.opened()
  const result = await success(
    client,
    'PLAIN',
    '\0romeo\0secret',
    `<resume xmlns='${sm}' previd='nonsense' h='0'/>${bind}`,
  )
  t.same(
    elements(child(result, 'failed', sm) as Element).map(one => one.name),
    ['item-not-found'],
  )
  t.ok(child(result, 'bound', bind2), 'a resource is bound')
  t.match(identifier(result), /^romeo@localhost\/test~/)
  client.send(client.endTag)
  await client.toTheEnd()
})

t.test('SASL2, then a resource bound as ever', async t => {
  const client = await gate.connect('starttls')
  await client.opened()
  const result = await success(client, 'PLAIN', '\0romeo\0secret', '')
  t.match(identifier(result), /^romeo@localhost$/, 'without Bind 2 the bare JID')
  await client.named('features')
  client.send("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
  t.equal((await client.withId('b')).attrs.get('type'), 'result')
  client.send(client.endTag)
  await client.toTheEnd()
})
