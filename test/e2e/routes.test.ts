/** Domains that are served elsewhere, or no longer: what a client is told, on every wire, and when. */
import t from 'tap'
import { Gate, makeCertificate, makeProsody } from './gate.ts'

const prosody = await makeProsody(t, { accounts: { romeo: 'secret' } })
const routes = [
  { domain: 'moved.example', redirect: 'xmpp.other.example:5222' },
  { domain: '*.moved.example', closed: 'This service has <ended>.' },
]
const gate = await Gate.start(t, await makeCertificate(t), prosody, { routes })

for (const wire of ['plain', 'starttls', 'direct', 'ws', 'wss'] as const)
  for (const [domain, said] of [
    ['moved.example', /error\[see-other-host\["xmpp\.other\.example:5222"\]\]/],
    ['old.moved.example', /error\[host-gone text\(xml:lang=en\)\["This service has <ended>\."\]\]/],
    ['unmoved.example', /error\[host-unknown\]/],
  ] as const)
    t.test(`${wire}: ${domain}`, async t => {
      // With STARTTLS the client has it by now: nobody in between can send clients elsewhere.
      const client = await gate.connect(wire)
      client.send(client.header(domain))
      const lines = await client.toTheEnd()
      t.match(lines.join('\n'), said)
      t.match(lines, /^open/)
    })

t.test('before STARTTLS nobody is sent elsewhere', async t => {
  const { connectTcp } = await import('../clients/raw.ts')
  const client = await connectTcp(gate.port('starttls'))
  client.send(client.header('moved.example'))
  const features = await client.named('features')
  t.match(JSON.stringify(features), 'starttls')
  client.transport.destroy()
})

t.test('it is counted, and the others are served', async t => {
  const romeo = await gate.login('starttls', 'romeo', 'orchard')
  const counts = await gate.metrics()
  t.equal(counts.sum('streams_closed_total', { side: 'client', cause: 'not-served' }), 10)
  t.equal(counts.sum('stream_errors_total', { by: 'gate', condition: 'see-other-host' }), 5)
  t.equal(counts.sum('stream_errors_total', { by: 'gate', condition: 'host-gone' }), 5)
  t.equal(counts.sum('upstream_connect_errors_total'), 0)
  romeo.transport.destroy()
})
