import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { type AdminOptions, adminPlugin } from '../../src/admin/plugin.ts'
import { Metrics } from '../../src/observe/metrics.ts'

const token = 'tr0ub4dor~'

async function made(t: Test, options: Partial<AdminOptions> = {}): Promise<FastifyInstance> {
  const gate = new Metrics()
  const app = fastify()
  await app.register(adminPlugin, { token: undefined, metrics: gate.registry, ready: () => true, ...options })
  t.teardown(async () => {
    gate.stop()
    await app.close()
  })
  return app
}

t.test('probes', async t => {
  let ready = false
  const app = await made(t, { token, ready: () => ready })
  const rows: readonly (readonly [url: string, ready: boolean, status: number, body: string])[] = [
    ['/healthz', false, 200, 'ok\n'],
    ['/readyz', false, 503, 'not ready\n'],
    ['/readyz', true, 200, 'ready\n'],
    ['/healthz', true, 200, 'ok\n'],
    ['/readyz', false, 503, 'not ready\n'],
  ]
  for (const [url, isReady, status, body] of rows) {
    ready = isReady
    const response = await app.inject(url)
    t.same([response.statusCode, response.body], [status, body], `${url}, ${isReady ? 'ready' : 'not ready'}, no token`)
    t.equal(response.headers['content-type'], 'text/plain')
  }
})

t.test('/metrics is what Prometheus reads', async t => {
  const response = await (await made(t)).inject('/metrics')
  t.equal(response.statusCode, 200)
  t.equal(response.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  t.match(response.body, /^# TYPE stanzagate_stanzas_total counter$/m)
  t.match(response.body, /^stanzagate_session_faults_total 0$/m)
})

t.test('a token guards /metrics', async t => {
  let refused = 0
  const app = await made(t, { token, refused: () => refused++ })
  const rows: readonly (readonly [authorization: string | undefined, status: number])[] = [
    [undefined, 401],
    ['', 401],
    ['Bearer', 401],
    ['Bearer ', 401],
    ['Bearer wrong', 401],
    ['Bearer tr0ub4dor', 401], // shorter by one: no length is told apart, and nothing throws
    ['Bearer tr0ub4dor~~', 401],
    ['Bearer TR0UB4DOR~', 401],
    [`Bearer ${token} ${token}`, 401],
    [`Bearer x ${token}`, 401],
    [`Basic ${token}`, 401],
    [token, 401],
    [`Bearer ${token}`, 200],
    [`bearer ${token}`, 200], // RFC 9110 section 11.1: the scheme's case means nothing
    [`Bearer   ${token}`, 200], // one or more spaces
  ]
  for (const [row, [authorization, status]] of rows.entries()) {
    const headers = authorization === undefined ? {} : { authorization }
    const response = await app.inject({ url: '/metrics', headers, remoteAddress: `192.0.2.${row}` })
    t.equal(response.statusCode, status, authorization ?? 'no header')
    t.equal(refused, status === 401 ? 1 : 0, 'and it is told')
    refused = 0
    t.equal(response.headers['www-authenticate'], status === 401 ? 'Bearer' : undefined)
    t.equal(response.body.includes('stanzagate_'), status === 200, 'the numbers only for who may see them')
  }
  t.equal((await app.inject(`/metrics?token=${token}`)).statusCode, 401, 'not in the URL, which is logged on the way')
  t.equal((await app.inject({ method: 'HEAD', url: '/metrics' })).statusCode, 401, 'HEAD is guarded too')
})

t.test('nothing else is there', async t => {
  const app = await made(t)
  for (const url of ['/', '/metric', '/metrics/', '/api']) {
    const { statusCode, headers, body } = await app.inject(url)
    t.equal(statusCode, 404, url)
    t.match(headers, { 'content-type': /^application\/problem\+json/, 'x-content-type-options': 'nosniff' })
    t.match(JSON.parse(body), { title: 'Not found', status: 404, detail: /^there is no such thing here/ })
  }
  for (const url of ['/metrics', '/healthz', '/readyz'])
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'] as const)
      t.equal((await app.inject({ method, url })).statusCode, 404, `${method} ${url}`)
})

t.test('who guesses is told to wait, and the log who it is, now and then', async t => {
  const lines: unknown[] = []
  let now = 0
  const app = await made(t, { token, now: () => now, log: { warn: (...line: unknown[]) => lines.push(line) } })
  const ask = async (given: string) =>
    (await app.inject({ url: '/metrics', headers: { authorization: `Bearer ${given}` } })).statusCode
  const statuses: number[] = []
  for (let n = 0; n < 7; n++) statuses.push(await ask('wrong'))
  t.same(statuses, [401, 401, 401, 401, 401, 429, 429])
  t.equal(await ask(token), 200, 'a right one always passes')
  now = 10_000
  await ask('wrong')
  const told = { address: '127.0.0.1', path: '/metrics' }
  t.same(lines, [
    [{ ...told, status: 401, count: 1 }, 'requests refused'],
    [{ ...told, status: 429, count: 7 }, 'requests refused'],
  ])
})

t.test('a scrape that fails says so', async t => {
  const metrics = { contentType: 'text/plain', metrics: () => Promise.reject(new Error('no numbers')) }
  const response = await (await made(t, { metrics })).inject('/metrics')
  t.equal(response.statusCode, 500)
})

t.test('whoever is logged in to the console sees who has most decisions against them, and no metrics', async t => {
  let refused = 0
  const offenders = () => [{ kind: 'account', key: 'romeo@im.example' }]
  const admits = ({ headers }: FastifyRequest) => headers.cookie === 'good'
  const app = await made(t, { token, offenders, admits, refused: () => refused++ })
  const rows: readonly (readonly [url: string, cookie: string, status: number])[] = [
    ['/api/offenders', 'good', 200],
    ['/api/offenders', 'bad', 401],
    ['/metrics', 'good', 401],
  ]
  for (const [url, cookie, status] of rows)
    t.equal((await app.inject({ url, headers: { cookie } })).statusCode, status, `${url} ${cookie}`)
  t.equal(refused, 2)
  const bad = await app.inject('/api/offenders')
  t.match(bad.json(), { title: 'Unauthorized', status: 401, detail: 'a bearer token is required' })
  const more = await app.inject({ url: '/api/offenders?x=1', headers: { cookie: 'good' } })
  t.match(more.json(), { status: 400, parameter: 'x', detail: /it takes none$/ })
  const open = await made(t, { offenders, admits: () => false })
  t.equal((await open.inject('/api/offenders')).statusCode, 403, 'without a token it can only be another site')
  const { headers } = await app.inject({ url: '/api/offenders', headers: { cookie: 'good' } })
  t.match(headers, { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
})
