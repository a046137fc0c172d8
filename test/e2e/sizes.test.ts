/**
 * What honest clients send of a size that both servers take: a block list, metacontacts and an attribute, each within the bytes that the gate
 * allows, with thousands of elements or a start tag as long as a stanza. What the server has kept is asked for again.
 */
import t, { type Test } from 'tap'
import { clientLimits } from '../../src/stream/limits.ts'
import { child, type Element, elements } from '../../src/xml/element.ts'
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
const count = 2_500
const listed = (make: (number: number) => string) => Array.from({ length: count }, (_, number) => make(number)).join('')
const blocking = 'urn:xmpp:blocking'
const blocked = listed(number => `<item jid='spammer${number}@spam.example'/>`)
const storage = 'storage:metacontacts'
const metacontacts = listed(number => `<meta jid='c${number}@im.example' tag='t${number}' order='1'/>`)

async function answerTo(
  t: Test,
  client: RawClient,
  id: string,
  type: 'get' | 'set',
  payload: string,
): Promise<Element> {
  const iq = `<iq xmlns='jabber:client' type='${type}' id='${id}'>${payload}</iq>`
  t.ok(Buffer.byteLength(iq) < clientLimits.bytes, `${id}: ${Buffer.byteLength(iq)} bytes`)
  client.send(iq)
  const answer = await client.withId(id)
  t.equal(answer.attrs.get('type'), 'result', id)
  return answer
}

for (const [name, start] of Object.entries(servers))
  t.test(name, async t => {
    const server = await start()
    t.teardown(() => server.stop())
    const gate = await Gate.start(t, certificate, server)
    for (const wire of ['plain', 'ws'] as const) {
      const romeo = await gate.login(wire, 'romeo', wire)
      await answerTo(t, romeo, `${wire}-block`, 'set', `<block xmlns='${blocking}'>${blocked}</block>`)
      const list = await answerTo(t, romeo, `${wire}-blocklist`, 'get', `<blocklist xmlns='${blocking}'/>`)
      const found = child(list, 'blocklist', blocking)
      t.equal(found && elements(found).length, count, `${wire}: the block list is whole`)

      const meta = `<query xmlns='jabber:iq:private'><storage xmlns='${storage}'>`
      await answerTo(t, romeo, `${wire}-keep`, 'set', `${meta}${metacontacts}</storage></query>`)
      const kept = await answerTo(t, romeo, `${wire}-kept`, 'get', `${meta}</storage></query>`)
      const query = child(kept, 'query', 'jabber:iq:private')
      const stored = query && child(query, 'storage', storage)
      t.equal(stored && elements(stored).length, count, `${wire}: the metacontacts are whole`)

      const juliet = await gate.login(wire, 'juliet', wire)
      for (const [what, value] of [
        ['letters', 'x'.repeat(100_000)],
        ['apostrophes', "'".repeat(90_000)],
        ['greater-thans', '>'.repeat(90_000)],
      ] as const) {
        const id = `${wire}-${what}`
        romeo.send(
          `<message xmlns='jabber:client' to='${juliet.jid}' id='${id}' type='headline'><x xmlns='urn:example:x' a="${value}"/></message>`,
        )
        const received = await juliet.withId(id)
        t.ok(child(received, 'x', 'urn:example:x')?.attrs.get('a') === value, `${wire}: an attribute of ${what}`)
      }
      for (const client of [romeo, juliet]) {
        t.same(await client.settled(), [], `${wire}: the stream goes on`)
        client.send(client.endTag)
        await client.toTheEnd()
      }
    }
    t.equal((await gate.metrics()).sum('stream_errors_total'), 0, 'no stream error')
  })
