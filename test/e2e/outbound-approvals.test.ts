/** Approvals that change nothing, on real servers: with `limits.requestsPerHour` none reaches the contact, and what is an answer does. */
import t, { type Test } from 'tap'
import { startComponent } from '../servers/component.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { startProsody } from '../servers/prosody.ts'
import { Gate, makeCertificate } from './gate.ts'

const certificate = await makeCertificate(t)
const options = { plain: true, componentSecret: 'mellon', accounts: { romeo: 'secret' } }
const contact = 'paris@stranger.localhost'
const say = (type: string, id: string) => `<presence xmlns='jabber:client' to='${contact}' type='${type}' id='${id}'/>`

for (const [name, start] of Object.entries({ Prosody: startProsody, ejabberd: startEjabberd }))
  t.test(name, async (t: Test) => {
    const server = await start(options)
    t.teardown(() => server.stop())
    const component = await startComponent(server.ports.component ?? 0, 'mellon')
    t.teardown(() => component.stop())
    const gate = await Gate.start(t, certificate, server, { limits: { requestsPerHour: 5 } })
    const open = await Gate.start(t, certificate, server)
    const romeo = await gate.login('starttls', 'romeo', 'orchard')
    await romeo.appear()
    const other = await open.login('ws', 'romeo', 'pda')
    await other.appear()
    const asks = `<presence from='${contact}' to='romeo@localhost' type='subscribe'/>`
    const arrives = (id: string) => component.until(id, new RegExp(`(<presence [^>]*id=['"]${id}['"][^>]*>)`))
    const isAsked = () => romeo.element('the request', each => each.attrs.get('type') === 'subscribe')
    const dropped = async () => (await gate.metrics()).sum('rule_decisions_total', { rule: 'outbound-requests' })

    component.send(asks)
    await isAsked()
    romeo.send(say('subscribed', 'approval'))
    t.match(await arrives('approval'), /subscribed/)
    await romeo.settled()

    // What the server itself makes of one, and then of one that the gate has left out.
    other.send(say('subscribed', 'again-open'))
    await other.settled()
    romeo.send(say('subscribed', 'again'))
    romeo.send(say('unsubscribed', 'end'))
    const until = await component.until('the end', /([\s\S]*id=['"]end['"])/)
    t.match(until, /id=['"]again-open['"]/, 'both route it, although they must not')
    t.notMatch(until, /id=['"]again['"]/)
    t.equal(await dropped(), 1)

    // It asks anew, withdraws, and asks again: each answer arrives.
    for (const id of ['second', 'third']) {
      await romeo.settled()
      component.send(asks)
      await isAsked()
      romeo.send(say('subscribed', id))
      t.match(await arrives(id), /subscribed/)
      await romeo.settled()
      component.send(`<presence from='${contact}' to='romeo@localhost' type='unsubscribe'/>`)
      await romeo.element('the withdrawal', each => each.attrs.get('type') === 'unsubscribe')
    }
    t.equal(await dropped(), 1)
    for (const client of [romeo, other]) client.transport.destroy()
  })
