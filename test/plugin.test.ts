/** The gate in somebody's own Fastify application, by what the package exports. */
import { join } from 'node:path'
import fastify from 'fastify'
import t from 'tap'
import {
  type Config,
  modes,
  parseJid,
  readConfig,
  rules,
  type StanzagateOptions,
  stanzagate,
  startProxy,
  version,
} from '../src/index.ts'
import { connectWebsocket } from './clients/raw.ts'
import { startProsody } from './servers/prosody.ts'

t.test('XMPP over WebSocket beside the application, its metrics, and the end of both', async t => {
  const prosody = await startProsody({ plain: true, accounts: { romeo: 'secret' } })
  t.teardown(() => prosody.stop())
  const app = fastify()
  app.get('/', async () => 'the application')
  const { address, port } = prosody
  await app.register(stanzagate, {
    upstreams: { main: { address, port, tls: { mode: 'none' } } },
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

t.test('options are checked as the file is, with the same messages', async t => {
  const main = { address: '127.0.0.1', port: 15222, tls: { mode: 'none' } } as const
  const good = { upstreams: { main }, routes: [{ domain: 'localhost', upstream: 'main' }] }
  const table: [name: string, options: object, problems: string[]][] = [
    ['a misspelt option', { ...good, pathh: '/x' }, ["options: pathh: is not a known key; did you mean 'path'?"]],
    [
      'a misspelt upstream',
      { ...good, routes: [{ domain: 'localhost', upstream: 'mian' }] },
      ["options: routes[0].upstream: 'mian' is not the name of an upstream; did you mean 'main'?"],
    ],
    [
      'a misspelt key of an upstream',
      { ...good, upstreams: { main: { address: '127.0.0.1', prot: 1, tls: { mode: 'none' } } } },
      [
        'options: upstreams.main.port: is missing; add a port number from 1 to 65535',
        "options: upstreams.main.prot: is not a known key; did you mean 'port'?",
      ],
    ],
    [
      'a mode that there is not',
      { ...good, rules: { default: 'observed' } },
      ["options: rules.default: 'observed' is not one of enforce, repair, observe, off; did you mean 'observe'?"],
    ],
    ['a listener', { ...good, listeners: [] }, ['options: listeners: is not a known key']],
    ['nothing', {}, ['options: upstreams: is missing', 'options: routes: is missing']],
    [
      'passwords in clear text',
      { ...good, upstreams: { main: { ...main, address: '192.0.2.1' } } },
      ["options: upstreams.main.tls.mode: 'none' is for loopback alone"],
    ],
  ]
  for (const [name, options, expected] of table) {
    const app = fastify()
    const problems: string[] = await Promise.resolve(app.register(stanzagate, options as StanzagateOptions)).then(
      () => [],
      (error: Error) => error.message.split('\n'),
    )
    t.equal(problems.length, expected.length, `${name}: ${problems.join(' | ')}`)
    for (const each of expected)
      t.ok(
        problems.some(problem => problem.startsWith(each)),
        `${name}: ${each}`,
      )
    await app.close().catch(() => {})
  }
})

t.test('all that is optional may be left out, and Fastify’s own options are no concern of ours', async t => {
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(stanzagate, {
    upstreams: { main: { address: '127.0.0.1', port: 15222, tls: { mode: 'none' } } },
    routes: [{ domain: 'localhost', upstream: 'main' }],
    rules: { default: 'observe' },
    metricsPath: '/metrics',
    prefix: '/chat',
  })
  t.equal((await app.inject('/chat/metrics')).statusCode, 200)
})

t.test('the whole gate of a file, read and started, and told to read again', async t => {
  const folder = t.testdir({
    'gate.yaml': `listeners: [{ kind: tcp, address: 127.0.0.1, port: 0, tls: { mode: none } }]
upstreams: { main: { address: 127.0.0.1, port: 15222, tls: { mode: none } } }
routes: [{ domain: localhost, upstream: main }]
audit: { file: audit.log }
`,
    'wrong.yaml': 'listeners: []\n',
  })
  const config: Config = readConfig(join(folder, 'gate.yaml'))
  t.equal(config.audit?.file, join(folder, 'audit.log'), 'a path that means the same everywhere')
  t.throws(() => readConfig(join(folder, 'wrong.yaml')), {
    name: 'ConfigError',
    message: /wrong.yaml:1: listeners: is empty/,
  })
  const silent: Config = { ...config, log: { level: 'silent' } }
  await t.rejects(startProxy({ ...silent, routes: [] }), {
    name: 'ConfigError',
    message: /^options: routes: is empty/m,
  })
  let next: Config = silent
  let broken = false
  const proxy = await startProxy(silent, {
    reread: () => {
      if (broken) throw new Error('the store is away')
      return next
    },
  })
  t.teardown(() => proxy.stop())
  t.equal(proxy.listeners.length, 1)
  next = { ...silent, rules: { default: 'observe' } }
  t.match(await proxy.reload(), { outcome: 'applied', changed: ['rules.default'] })
  next = { ...silent, routes: [{ domain: 'localhost', upstream: 'mian' }] }
  t.match(await proxy.reload(), { outcome: 'refused', problems: [{ file: 'options', key: 'routes[0].upstream' }] })
  broken = true
  t.match(await proxy.reload(), { outcome: 'refused', problems: [{ message: /the store is away/ }] })
})

t.test('what contains itself is refused, and not followed', async t => {
  const routes: unknown[] = []
  routes.push(routes)
  const upstreams = { main: { address: '127.0.0.1', port: 15222, tls: { mode: 'none' } } }
  await t.rejects(startProxy({ upstreams, routes } as unknown as Config), /contains itself/)
})

t.test('the rest of what is exported', async t => {
  t.equal(typeof startProxy, 'function')
  t.ok(rules.some(rule => rule.name === 'subscribed-needs-request'))
  t.same(modes, ['enforce', 'repair', 'observe', 'off'])
  t.equal(parseJid('romeo@im.example/orchard')?.domain, 'im.example')
  t.match(version, /^\d+\.\d+\.\d+/)
})
