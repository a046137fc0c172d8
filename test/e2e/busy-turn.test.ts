/**
 * Many sockets are readable at once: the gate is stopped, its peers write, and it goes on. Its writes wait for the end of that turn of the event
 * loop (flush-queue.ts); nothing that they hold may be lost.
 */
import { readFileSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { connectTcp, connectWebsocket, type RawClient } from '../clients/raw.ts'
import { GateProcess } from '../load/gate-process.ts'
import { makeCertificate, makeProsody } from './gate.ts'

const certificate = await makeCertificate(t)
const prosody = await makeProsody(t, { accounts: { romeo: 'secret', juliet: 'secret' } })
const at = { address: '127.0.0.1', port: 0 }
const gate = await GateProcess.start({
  upstream: prosody,
  more: {
    listeners: [
      { kind: 'tcp', name: 'plain', tls: { mode: 'direct', ...certificate }, ...at },
      { kind: 'websocket', name: 'ws', ...at },
    ],
  },
})
t.teardown(() => gate.stop())

const ca = readFileSync(certificate.cert, 'utf8')
const connects: Readonly<Record<string, () => Promise<RawClient>>> = {
  TLS: () => connectTcp(gate.port('plain'), { ca }),
  WebSocket: () => connectWebsocket(`ws://127.0.0.1:${gate.port('ws')}/xmpp-websocket`),
}

/** Makes what all of them do one turn of the gate's event loop. */
async function atOnce(act: () => void): Promise<void> {
  gate.kill('SIGSTOP')
  act()
  // TLS ends a connection in several turns of the client's own event loop.
  for (let turns = 0; turns < 20; turns++) await turn()
  gate.kill('SIGCONT')
}

for (const [wire, connect] of Object.entries(connects))
  t.test(`over ${wire} the answer reaches a client whose stanza and end come in one read`, async t => {
    const crowd: RawClient[] = []
    for (let n = 0; n < 10; n++) crowd.push(await (await connect()).login('romeo', `${wire}-${n}`))
    const client = await (await connect()).login('juliet', wire)
    await atOnce(() => {
      for (const each of crowd)
        each.send(`<message xmlns='jabber:client' to='juliet@localhost/nowhere' type='headline'/>`)
      client.send(`<presence xmlns='jabber:client' id='nonsense' type='nonsense'/>`)
      client.transport.end()
    })
    const said = await client.toTheEnd()
    t.match(said.join('\n'), /^presence\(.*id=nonsense.*type=error/m)
    for (const each of crowd) t.same(await each.settled(), [], 'the others go on')
    for (const each of crowd) each.transport.destroy()
  })
