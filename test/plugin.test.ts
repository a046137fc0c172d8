/** The gate in somebody's own Fastify application, by what the package exports. */
import fastify from 'fastify'
import t from 'tap'
import { modes, parseJid, rules, stanzagate, startProxy, version } from '../src/index.ts'
import { connectWebsocket } from './clients/raw.ts'
import { startProsody } from './servers/prosody.ts'

t.test('XMPP over WebSocket beside the application, its metrics, and the end of both', async t => {
  const prosody = await startProsody({ plain: true, accounts: { romeo: 'secret' } })
  t.teardown(() => prosody.stop())
  const app = fastify()
  app.get('/', async () => 'the application')
  const tls = { mode: 'none', ca: undefined, servername: undefined } as const
  const { address, port } = prosody
  await app.register(stanzagate, {
    upstreams: new Map([['main', { name: 'main', address, port, tls, proxyProtocol: undefined }]]),
    routes: [{ domain: 'localhost', upstream: 'main' }],
    metricsPath: '/metrics',
  })
  const base = await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const client = await connectWebsocket(`${base.replace('http', 'ws')}/xmpp-websocket`)
  await client.login('romeo', 'orchard')
  client.send("<presence xmlns='jabber:client' id='bad' type='bogus'/>")
  t.equal((await client.withId('bad')).attrs.get('type'), 'error', 'rules are on enforce')
  t.equal(await (await fetch(base)).text(), 'the application')
  const metrics = await (await fetch(`${base}/metrics`)).text()
  t.match(metrics, /^stanzagate_sessions_active\{listener="fastify",route="localhost"\} 1$/m)
  const closed = app.close()
  t.match((await client.toTheEnd()).join(' '), /error.*system-shutdown.*close/)
  await closed
})

t.test('the rest of what is exported', async t => {
  t.equal(typeof startProxy, 'function')
  t.ok(rules.some(rule => rule.name === 'subscribed-needs-request'))
  t.same(modes, ['enforce', 'observe', 'off'])
  t.equal(parseJid('romeo@im.example/orchard')?.domain, 'im.example')
  t.match(version, /^\d+\.\d+\.\d+/)
})
