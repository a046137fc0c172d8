// A client writes stanzas, its end tag, and the end of its half of the connection at once. All of it is read, in whatever number of turns, and
// what the server says until its own end tag still reaches the client.
import t from 'tap'
import { connectTcp } from '../clients/raw.ts'
import { GateProcess } from '../load/gate-process.ts'
import { Upstream } from './upstream.ts'

const upstream = new Upstream()
t.teardown(() => upstream.server.close())
const port = await upstream.port()

const slow = { rate: { stanzas: 500, stanzaBurst: 10 } }

for (const [what, count, limits] of [
  ['in one turn', 10, {}],
  ['in several turns', 1_000, {}],
  ['beyond its rate', 60, slow],
] as const) {
  t.test(`what a client has written before its end is read ${what}`, async t => {
    const gate = await GateProcess.start({ upstream: { address: '127.0.0.1', port }, limits })
    t.teardown(() => gate.stop())
    const client = await (await connectTcp(gate.port('plain'))).login('juliet', 'x')
    const { socket } = upstream
    let heard = ''
    const all = new Promise<void>(resolve => {
      socket?.on('data', bytes => {
        heard += bytes
        if (heard.includes('</stream:stream>')) resolve()
      })
    })
    client.send(`${`<message to='romeo@localhost'><body>x</body></message>`.repeat(count)}</stream:stream>`)
    client.transport.end()
    await all
    t.equal(heard.split('</message>').length - 1, count, 'the server has all of them')
    socket?.end(`<message from='romeo@localhost' to='juliet@localhost/x' id='late'/></stream:stream>`)
    t.same(await client.toTheEnd(), ['message(from=romeo@localhost id=late to=juliet@localhost/x)', 'close', 'gone'])
  })
}

t.test('without an end tag the connection is closed when all was read', async t => {
  const gate = await GateProcess.start({ upstream: { address: '127.0.0.1', port } })
  t.teardown(() => gate.stop())
  const client = await (await connectTcp(gate.port('plain'))).login('juliet', 'x')
  const { socket } = upstream
  let heard = ''
  const ended = new Promise<void>(resolve => {
    socket?.on('data', bytes => {
      heard += bytes
    })
    socket?.on('close', () => resolve())
    socket?.on('end', () => socket.end())
  })
  client.send(`<message to='romeo@localhost'><body>x</body></message>`.repeat(1_000))
  client.transport.end()
  await ended
  t.equal(heard.split('</message>').length - 1, 1_000)
  t.same((await client.toTheEnd()).slice(-1), ['gone'])
})
