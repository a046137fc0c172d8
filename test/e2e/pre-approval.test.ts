// Whether a server offers pre-approval (RFC 6121 section 3.4) is read from its features, and an approval that nobody has asked for passes either way.
import t, { type Test } from 'tap'
import type { Judged } from '../../src/session/judgement-report.ts'
import { child, type Element } from '../../src/xml/element.ts'
import { auth, bind, type RawClient } from '../clients/raw.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { startProsody } from '../servers/prosody.ts'
import { Gate, makeCertificate, makeProsody } from './gate.ts'

const sm = 'urn:xmpp:sm:3'
const certificate = await makeCertificate(t)
const accounts = { romeo: 'secret', juliet: 'secret' }

function isOffered(features: Element): boolean {
  return child(features, 'sub', 'urn:xmpp:features:pre-approval') !== undefined
}

/** A gate, and what it says of outbound approvals: whether they pass, and whether the server offers to keep them. */
async function watched(t: Test, server: Parameters<typeof Gate.start>[2]): Promise<{ gate: Gate; said: string[] }> {
  const said: string[] = []
  const note = ({ from, type, verdict, offersPreApproval }: Judged) => {
    if (from === 'client' && type === 'subscribed') said.push(`${verdict}, ${offersPreApproval ? 'offered' : 'not'}`)
  }
  const watcher = { report: (report: { report: string }) => report.report === 'judged' && note(report as Judged) }
  return { gate: await Gate.start(t, certificate, server, { watchers: [watcher] }), said }
}

async function loggedIn(client: RawClient): Promise<void> {
  await client.opened()
  client.send(auth('romeo'))
  await client.named('success')
  client.send(client.header())
}

const approve = (contact: string) => `<presence xmlns='jabber:client' to='${contact}' type='subscribed'/>`

for (const [name, start, offers] of [
  ['Prosody', startProsody, true],
  ['ejabberd', startEjabberd, false],
] as const)
  t.test(name, async t => {
    const server = await start({ plain: true, accounts })
    t.teardown(() => server.stop())
    const { gate, said } = await watched(t, server)
    let romeo = await gate.connect('starttls')
    await loggedIn(romeo)
    t.equal(isOffered(await romeo.named('features')), offers, 'whether it is offered, to the client too')
    romeo.send(bind('orchard'))
    await romeo.withId('bind')
    await romeo.roster()
    romeo.send(`<enable xmlns='${sm}' resume='true'/>`)
    const previd = (await romeo.named('enabled')).attrs.get('id')
    romeo.send(`<presence xmlns='jabber:client'/>`)
    await romeo.settled()
    romeo.send(approve('juliet@localhost'))
    await romeo.settled()
    t.same(said.splice(0), [`forward, ${offers ? 'offered' : 'not'}`])

    const juliet = await gate.login('plain', 'juliet', 'balcony')
    await juliet.appear()
    juliet.send(`<presence xmlns='jabber:client' to='romeo@localhost' type='subscribe'/>`)
    const isAnswer = (each: Element) => each.attrs.get('type') === 'subscribed'
    if (offers) await juliet.element('the approval, which was given before', isAnswer)
    else await romeo.element('the request', each => each.attrs.get('type') === 'subscribe')

    romeo.transport.destroy()
    await romeo.toTheEnd()
    romeo = await gate.connect('starttls')
    await loggedIn(romeo)
    await romeo.named('features')
    romeo.send(`<resume xmlns='${sm}' previd='${previd}' h='0'/>`)
    await romeo.named('resumed')
    romeo.send(approve('nurse@localhost'))
    await romeo.settled()
    t.same(said, [`forward, ${offers ? 'offered' : 'not'}`], 'after a resumption too')
    for (const client of [romeo, juliet]) {
      client.send(client.endTag)
      await client.toTheEnd()
    }
  })

t.test('bind 2: the features come when the resource is bound already', async t => {
  const prosody = await makeProsody(t, { accounts, modules: ['sasl2', 'sasl2_bind2'] })
  const { gate, said } = await watched(t, prosody)
  const client = await gate.connect('starttls')
  await client.opened()
  const initial = Buffer.from('\0romeo\0secret').toString('base64')
  client.send(
    `<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>${initial}</initial-response><bind xmlns='urn:xmpp:bind:0'><tag>test</tag></bind></authenticate>`,
  )
  await client.named('success')
  t.ok(isOffered(await client.named('features')))
  client.send(approve('juliet@localhost'))
  await client.settled()
  t.same(said, ['forward, offered'])
  client.send(client.endTag)
  await client.toTheEnd()
})
