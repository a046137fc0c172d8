import { parse } from 'node:querystring'
import fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { Accounts } from '../../src/account/accounts.ts'
import type { HeldRequest } from '../../src/account/held-requests.ts'
import type { AccountNews } from '../../src/account/news.ts'
import { Access } from '../../src/admin/access.ts'
import { isProblem, readQuery } from '../../src/admin/query.ts'
import type { RulesConfig } from '../../src/config/types.ts'
import { eventParameters, eventsAtMost, LiveEvents, viewersAtMost } from '../../src/console/live-events.ts'
import { overviewOf } from '../../src/console/overview.ts'
import { type ConsoleOptions, consolePlugin, type QuarantineDesk } from '../../src/console/plugin.ts'
import { UpstreamReachability } from '../../src/console/upstream-reachability.ts'
import { Metrics } from '../../src/observe/metrics.ts'
import type { About, SessionView } from '../../src/relay/watcher.ts'
import { rules } from '../../src/rules/all-rules.ts'
import type { RuleOutcome } from '../../src/rules/outcome.ts'
import type { Report } from '../../src/session/report.ts'
import { element } from '../../src/xml/element.ts'

const token = 'tr0ub4dor~'
const settings: RulesConfig = {
  default: 'enforce',
  modes: new Map([['presence-type', 'observe']]),
  trustedDomains: [],
}

const about: About = { id: 7, listener: 'clients', wire: 'tcp', route: 'im.example', upstream: 'main' }
const drop: RuleOutcome = {
  ...{ rule: 'subscribed-needs-request', clause: 'RFC 6121 3.1.6', mode: 'enforce', verdict: 'drop' },
}
type Judged = Extract<Report, { report: 'judged' }>
const judged = (more: Partial<Judged> = {}): Judged => ({
  ...{ report: 'judged', from: 'upstream', kind: 'presence', type: 'subscribed', verdict: 'drop', said: [drop] },
  ...{ account: 'juliet@im.example', contact: 'tybalt@capulet.example', state: { subscription: 'none', ask: false } },
  ...more,
})

function sessionOf(id: number, more: Partial<SessionView> = {}): SessionView {
  return {
    ...{ id, wire: 'tcp', tls: 'TLSv1.3', phase: 'bound', listener: 'clients', route: 'im.example', upstream: 'main' },
    ...{ jid: `juliet@im.example/r${id}`, address: '192.0.2.7', since: 1_000 * id },
    ...more,
  }
}

const heldRow = { contact: 'Stranger@far.example', since: '1970-01-04T00:00:00.000Z', why: 'per-day', text: 'Hello?' }

/** Requests of one stranger to two accounts. `decided`: what was asked for. */
function deskOf(more: Partial<QuarantineDesk> = {}, decided: string[] = []): QuarantineDesk {
  const status = element('status', 'jabber:client', {}, ['Hello?'])
  const request: HeldRequest = {
    ...{ key: 'stranger@far.example', contact: 'Stranger@far.example', since: 259_200_000, why: 'per-day', rank: 2 },
    element: element('presence', 'jabber:client', {}, [status]),
  }
  const heldFor = (account: string) => (['juliet@im.example', 'away@im.example'].includes(account) ? [request] : [])
  return {
    ...{ mayDecide: true, withTexts: true, heldFor },
    recall: async account => void decided.push(`recall ${account}`),
    deniedFor: account =>
      account === 'juliet@im.example' ? [['bot@spam.example', { decision: 'deny', since: 345_600_000 }]] : [],
    held: () => [
      ['juliet@im.example', request],
      ['away@im.example', { ...request, key: 'other@far.example', contact: 'other@far.example' }],
    ],
    decide: async (decision, requests) =>
      void decided.push(...requests.map(([account, contact]) => `${decision} ${contact} to ${account}`)),
    ...more,
  }
}

interface House {
  readonly app: FastifyInstance
  readonly liveEvents: LiveEvents
  readonly refused: () => number
  readonly metrics: Metrics
  readonly reach: UpstreamReachability
  now: number
}

async function made(t: Test, options: Partial<ConsoleOptions> & { readonly open?: boolean } = {}): Promise<House> {
  const { open = false, ...more } = options
  let refused = 0
  const metrics = new Metrics()
  const reach = new UpstreamReachability(() => 5_000)
  const liveEvents = new LiveEvents(() => Date.UTC(2026, 0, 2, 3, 4, 5))
  const house = { liveEvents, metrics, reach, refused: () => refused, now: 0 }
  const access = new Access({
    ...{ token: open ? undefined : token, address: '127.0.0.1', now: () => house.now },
  })
  const sessions = options.sessions ?? (() => [sessionOf(1)])
  const tls = { mode: 'none', ca: undefined, servername: undefined } as const
  const upstreams = ['main', 'spare'].map(name => [name, { name, address: '127.0.0.1', port: 1, tls }] as const)
  const config = {
    listeners: [
      { kind: 'tcp', name: 'clients', address: '::', port: 0, tls: { mode: 'starttls', cert: '', key: '' } },
      { kind: 'websocket', name: 'web', address: '::', port: 0, path: '/', origins: undefined, tls: undefined },
    ],
    upstreams: new Map(upstreams),
    routes: [{ domain: 'im.example', upstream: 'main' }],
    rules: settings,
  } as const
  const member = { address: '127.0.0.1', port: 1, weight: 1, sessions: 0, state: 'up', ejections: 0 } as const
  const pools = () => [{ upstream: 'main', members: [member], failovers: 0 }]
  const bound = () => [{ name: 'clients', address: '::', port: 5_222 }]
  const app = fastify()
  await app.register(consolePlugin, {
    ...{ access, liveEvents, sessions, rules: settings, log: app.log, refused: () => refused++, now: () => house.now },
    names: { listeners: ['clients', 'web'], routes: ['im.example'] },
    overview: () =>
      overviewOf({ pools, config, metrics, reach, since: 1_000, guarded: !open, time: () => 62_500, sessions, bound }),
    known: account =>
      account === 'juliet@im.example'
        ? {
            ...{ sessions: 1, complete: true, live: true },
            contacts: [
              { contact: 'romeo@im.example', state: { subscription: 'from', ask: true }, since: 86_400_000 },
              { contact: 'nurse@im.example', state: { subscription: 'both', ask: false }, since: undefined },
            ],
            requests: [
              { contact: 'tybalt@im.example', since: 172_800_000 },
              { contact: 'paris@im.example', since: undefined },
            ],
            unacknowledged: [{ type: 'subscribe', contact: 'tybalt@im.example', since: 172_800_000 }],
          }
        : account === 'gone@im.example'
          ? { sessions: 0, complete: false, live: false, contacts: [], requests: [], unacknowledged: [] }
          : undefined,
    quarantine: deskOf(),
    ...more,
  })
  t.teardown(async () => {
    metrics.stop()
    await app.close()
  })
  return Object.assign(house, { app })
}

const bearer = { authorization: `Bearer ${token}` }
const form = { 'content-type': 'application/x-www-form-urlencoded' }
const enter = (given: string) => ({
  ...({ method: 'POST', url: '/console/login', headers: form, payload: `token=${encodeURIComponent(given)}` } as const),
})

t.test('nobody without the token sees anything', async t => {
  const { app, refused } = await made(t)
  const urls = ['/api/overview', '/api/sessions', '/api/accounts/a@b', '/api/events', '/api/nothing']
  for (const url of urls)
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { cookie: 'stanzagate-0=wrong' }]) {
      const before = refused()
      const response = await app.inject({ url, headers })
      t.equal(response.statusCode, 401, url)
      t.match(response.headers['content-type'], /^application\/problem\+json/)
      t.equal(response.headers['www-authenticate'], 'Bearer')
      t.same(response.json(), { title: 'Unauthorized', status: 401, detail: 'a bearer token is required' })
      t.equal(refused(), before + 1, 'and it is told')
    }
  t.equal((await app.inject({ method: 'POST', url: '/api/explain', payload: {} })).statusCode, 401)
  t.equal((await app.inject({ method: 'HEAD', url: '/api/overview' })).statusCode, 401)
  t.equal((await app.inject('/console')).headers.location, '/console/login')
  t.equal((await app.inject('/')).headers.location, '/console')
})

t.test('only what is asked for may be done', async t => {
  const { app } = await made(t)
  for (const url of ['/api/overview', '/api/sessions', '/api/accounts/a@b', '/api/events', '/console', '/'])
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'] as const) {
      const response = await app.inject({ method, url, headers: bearer })
      t.equal(response.statusCode, 404, `${method} ${url}`)
      t.equal(response.headers['access-control-allow-origin'], undefined)
    }
})

t.test('the token is traded for a cookie', async t => {
  const house = await made(t)
  const { app, refused } = house
  const login = await app.inject(enter(token))
  t.equal(login.statusCode, 303)
  t.equal(login.headers.location, '/console')
  const set = String(login.headers['set-cookie'])
  t.match(set, /^stanzagate-0=[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/)
  t.notMatch(set, token)
  const cookie = set.split(';')[0] as string
  t.equal(refused(), 0)
  t.equal((await app.inject({ url: '/api/overview', headers: { cookie } })).statusCode, 200)
  t.equal((await app.inject({ url: '/console', headers: { cookie: `a=b; ${cookie}` } })).statusCode, 200)
  t.equal((await app.inject({ url: '/api/overview', headers: { cookie: cookie.slice(0, -1) } })).statusCode, 401)
  t.equal((await app.inject({ url: '/api/overview', headers: { cookie: `x${cookie}` } })).statusCode, 401)
  house.now = 12 * 3_600_000
  t.equal((await app.inject({ url: '/api/overview', headers: { cookie } })).statusCode, 401, 'twelve hours later')

  const again = String((await app.inject(enter(` ${token} `))).headers['set-cookie']).split(';')[0] as string
  t.equal(
    (await app.inject({ url: '/api/overview', headers: { cookie: again } })).statusCode,
    200,
    'pasted with spaces',
  )
  const out = await app.inject({ method: 'POST', url: '/console/logout', headers: { cookie: again } })
  t.match(out.headers['set-cookie'], 'Max-Age=0')
  t.equal((await app.inject({ url: '/api/overview', headers: { cookie: again } })).statusCode, 401, 'and it is over')
})

t.test('who guesses has to wait', async t => {
  const house = await made(t)
  const { app, refused } = house
  for (const guess of ['', 'wrong', token.slice(1), `${token}~`, token.toUpperCase()]) {
    const response = await app.inject(enter(guess))
    t.equal(response.statusCode, 401, guess)
    t.match(response.body, 'That is not the token.')
    t.equal(response.headers['set-cookie'], undefined)
  }
  const late = await app.inject(enter(token))
  t.equal(late.statusCode, 429, 'even with the right one')
  t.match(late.body, 'wait a minute')
  t.equal(refused(), 6)
  t.equal((await app.inject({ ...enter(token), remoteAddress: '192.0.2.1' })).statusCode, 303, 'others do not wait')
  house.now = 60_001
  t.equal((await app.inject(enter(token))).statusCode, 303)
})

t.test('so has a program with a wrong token; a right one always passes', async t => {
  const house = await made(t)
  const ask = async (given: string | undefined, remoteAddress = '192.0.2.1') => {
    const headers = given === undefined ? {} : { authorization: `Bearer ${given}` }
    const { statusCode, headers: answer } = await house.app.inject({ url: '/api/overview', headers, remoteAddress })
    return `${statusCode} ${answer['retry-after'] ?? '-'}`
  }
  for (let n = 0; n < 5; n++) t.equal(await ask('wrong'), '401 -')
  house.now = 20_500
  t.equal(await ask('wrong'), '429 40')
  t.equal(await ask(token), '200 -')
  t.equal(await ask(undefined), '401 -', 'who gives none guesses nothing')
  t.equal(await ask('wrong', '192.0.2.2'), '401 -', 'others do not wait')
  t.equal(
    (await house.app.inject({ ...enter(token), remoteAddress: '192.0.2.1' })).statusCode,
    303,
    'nor does the form',
  )
  house.now = 60_001
  t.equal(await ask('wrong'), '401 -')
  t.equal(house.refused(), 9)
})

t.test('no other site looks through a browser', async t => {
  const guarded = await made(t)
  const open = await made(t, { open: true })
  const rows: [house: House, url: string, headers: Record<string, string>, status: number][] = [
    [guarded, '/api/overview', { ...bearer, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' }, 403],
    [guarded, '/api/overview', { ...bearer, host: 'gate.example' }, 200],
    [open, '/api/overview', {}, 200],
    [open, '/api/overview', { host: '127.0.0.1:9464' }, 200],
    [open, '/api/overview', { host: '[::1]:9464' }, 200],
    [open, '/api/overview', { host: 'LOCALHOST' }, 200],
    [open, '/api/overview', { host: 'evil.example' }, 403],
    [open, '/api/overview', { host: '127.0.0.1.evil.example' }, 403],
    [open, '/api/overview', { host: 'localhost.evil.example:9464' }, 403],
    [open, '/console', { host: 'evil.example' }, 403],
    [open, '/console', {}, 200],
    [open, '/console', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 200],
    [open, '/api/events', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' }, 403],
    [open, '/console/login', {}, 302],
  ]
  for (const [{ app }, url, headers, status] of rows)
    t.equal((await app.inject({ url, headers })).statusCode, status, `${url} ${JSON.stringify(headers)}`)
  const foreign = enter(token)
  const headers = { ...form, 'sec-fetch-site': 'cross-site' }
  t.equal((await guarded.app.inject({ ...foreign, headers })).statusCode, 403)
})

t.test('the page brings nothing of others, and is in nobody’s frame', async t => {
  const { app } = await made(t, { open: true })
  const urls = [
    '/console',
    '/console/app.js',
    '/console/views/frame.js',
    '/console/lit-html/lit-html.js',
    '/api/overview',
  ]
  const types = ['text/html', 'text/javascript', 'text/javascript', 'text/javascript', 'application/json']
  for (const [index, url] of urls.entries()) {
    const { headers, statusCode } = await app.inject(url)
    t.equal(statusCode, 200, url)
    t.match(headers['content-type'], types[index])
    const csp = String(headers['content-security-policy'])
    t.match(csp, "default-src 'none'; script-src 'self';")
    t.match(csp, "frame-ancestors 'none'")
    t.notMatch(csp, 'unsafe')
    t.match(headers, {
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
    })
  }
  const page = (await app.inject('/console')).body
  t.notMatch(page, /<script(?![^>]* src=)|<style| style=| on\w+=|https?:\/\//)
})

t.test('the overview', async t => {
  const sessions = () => [
    sessionOf(1),
    sessionOf(2, { listener: 'web', upstream: 'spare' }),
    sessionOf(3, { phase: 'opening' }),
  ]
  const { app, metrics, reach } = await made(t, { sessions })
  reach.report({ report: 'stream-opened', side: 'upstream' }, about)
  reach.report({ report: 'connect-failed', upstream: 'spare', reason: 'refused' }, about)
  metrics.report(judged(), about)
  metrics.report(judged({ verdict: 'forward', said: [] }), about)
  const observed: RuleOutcome = { rule: 'presence-type', clause: '', mode: 'observe', verdict: 'reject' }
  metrics.report(judged({ verdict: 'forward', said: [observed] }), about)
  metrics.report({ report: 'subscription', event: 'request-out' }, about)
  const read = (await app.inject({ url: '/api/overview', headers: bearer })).json()
  const { lastError } = read.upstreams[1]
  t.match(read, {
    uptimeSeconds: 61,
    since: '1970-01-01T00:00:01.000Z',
    guarded: true,
    routes: [{ domain: 'im.example' }],
  })
  t.match(read.listeners, [{ name: 'clients', port: 5_222, kind: 'tcp', tls: 'starttls', sessions: 1 }])
  t.match(read.upstreams, [
    { name: 'main', state: 'up', lastError: null, sessions: 1 },
    { name: 'spare', state: 'down', sessions: 1 },
  ])
  t.same(lastError, { reason: 'refused', time: '1970-01-01T00:00:05.000Z' })
  t.equal(read.rules.length, rules.length)
  const ruleOf = (name: string) => read.rules.find(({ rule }: { rule: string }) => rule === name)
  t.match(ruleOf('subscribed-needs-request'), {
    mode: 'enforce',
    clause: 'RFC 6121 3.1.6',
    decisions: { drop: 1, reject: 0 },
  })
  t.match(ruleOf('presence-type'), { mode: 'observe', decisions: { reject: 1 } })
  t.same(read.counts.stanzas, { forward: 2, reject: 0, drop: 1, close: 0 })
  t.match(read.counts, { sessions: 2, streams: 3, observed: 1, subscriptions: { 'request-out': 1 } })
  reach.report({ report: 'stream-opened', side: 'upstream' }, { ...about, upstream: 'spare' })
  t.match(reach.of('spare'), { state: 'up', lastError: { reason: 'refused' } }, 'it is up again, and what was is told')
})

t.test('sessions, a page at a time', async t => {
  const all = Array.from({ length: 120 }, (_, index) => sessionOf(index + 1))
  const web = sessionOf(121, {
    wire: 'websocket',
    listener: 'web',
    tls: 'none',
    jid: 'Röméo@IM.example/ü',
    route: 'im.example',
  })
  const early = sessionOf(122, { jid: undefined, route: undefined, upstream: undefined, phase: 'opening' })
  const { app } = await made(t, { sessions: () => [...all, web, early] })
  const ask = async (query: string) => (await app.inject({ url: `/api/sessions?${query}`, headers: bearer })).json()
  const first = await ask('')
  t.same([first.total, first.next, first.sessions.length], [122, 50, 50])
  t.same(first.sessions[0], {
    ...{
      id: 1,
      account: 'juliet@im.example',
      resource: 'r1',
      address: '192.0.2.7',
      listener: 'clients',
      wire: 'tcp',
      tls: 'TLSv1.3',
    },
    ...{ route: 'im.example', upstream: 'main', phase: 'bound', since: '1970-01-01T00:00:01.000Z' },
  })
  const last = await ask('after=100&limit=200')
  t.same([last.next, last.sessions.length, last.sessions[0].id], [null, 22, 101])
  t.match(last.sessions.at(-1), { account: null, resource: null, route: null, phase: 'opening' })
  const rows: [query: string, total: number][] = [
    ['account=JULIET@im.example', 120],
    ['account=juliet@im.example/r1', 120],
    [`account=${encodeURIComponent('röméo@im.example')}`, 1],
    ['account=nobody@im.example', 0],
    ['listener=web', 1],
    ['wire=websocket', 1],
    ['wire=websocket&wire=tcp', 122],
    ['route=im.example', 121],
  ]
  for (const [query, total] of rows) t.equal((await ask(query)).total, total, query)
})

t.test('what may not be asked', async t => {
  const { app } = await made(t)
  const rows: [url: string, parameter: string, detail: RegExp, allowed?: string][] = [
    ['/api/events?verdicts=drop', 'verdicts', /no parameter 'verdicts'; did you mean 'verdict'/, 'verdict'],
    ['/api/events?__proto__=x', '__proto__', /known are account, contact/, 'type'],
    ['/api/events?verdict=droop', 'verdict', /'droop' is not one of them; did you mean 'drop'/, 'close'],
    ['/api/events?verdict=drop&verdict=x', 'verdict', /write one of forward/, 'forward'],
    ['/api/events?type=Subscribe', 'type', /did you mean 'subscribe'/, 'unsubscribed'],
    ['/api/events?rule=nothing', 'rule', /write one of none, from-is-bound-jid/, 'subscribed-needs-request'],
    ['/api/events?direction=up', 'direction', /outbound, inbound/, 'inbound'],
    ['/api/events?account=a%20b@', 'account', /'a b@' is no JID/],
    [`/api/events?${'x'.repeat(300)}=1`, `${'x'.repeat(100)}…`, /there is no parameter/, 'rule'],
    ['/api/sessions?wire=udp', 'wire', /tcp, websocket/, 'tcp'],
    ['/api/sessions?limit=201', 'limit', /no whole number from 1 to 200/],
    ['/api/sessions?limit=0', 'limit', /no whole number from 1 to 200/],
    ['/api/sessions?listener=clientz', 'listener', /did you mean 'clients'/, 'web'],
    ['/api/sessions?route=nothing', 'route', /write one of im\.example/, 'im.example'],
    ['/api/sessions?limit=-1', 'limit', /no whole number/],
    ['/api/sessions?after=1e3', 'after', /no whole number/],
    ['/api/overview?x=1', 'x', /there is no parameter 'x'; it takes none$/],
    ['/api/accounts/juliet@im.example?x=1', 'x', /there is no parameter 'x'/],
  ]
  for (const [url, parameter, detail, allowed] of rows) {
    const response = await app.inject({ url, headers: bearer })
    t.equal(response.statusCode, 400, url)
    t.match(response.headers['content-type'], /^application\/problem\+json/)
    const problem = response.json()
    t.match(problem, { title: 'Bad request', status: 400, parameter, detail })
    if (allowed !== undefined) t.ok(problem.allowed.includes(allowed), `${allowed} is allowed`)
  }
})

t.test('requests that are held', async t => {
  const { app } = await made(t)
  const ask = async (query: string) => (await app.inject({ url: `/api/quarantine${query}`, headers: bearer })).json()
  const one = { account: 'juliet@im.example', ...heldRow }
  const other = { ...one, account: 'away@im.example', contact: 'other@far.example' }
  const page = (requests: readonly object[], more: object = {}) => ({
    ...{ mayDecide: true, total: requests.length, next: null, requests },
    ...more,
  })
  for (const [query, wanted] of [
    ['', page([one, other])],
    ['?limit=1', page([one], { total: 2, next: 1 })],
    ['?limit=1&after=1', page([other], { total: 2 })],
    ['?after=7', page([], { total: 2 })],
    ['?account=JULIET@im.example/balcony', page([one])],
    ['?account=*@im.example&contact=o*r@*.example', page([other])],
    ['?contact=*STRANGER*', page([one])],
    ['?contact=stranger', page([])],
    ['?account=juliet@im.example&contact=other@far.example', page([])],
  ] as const)
    t.same(await ask(query), wanted, query)
  for (const query of ['?limit=0', '?limit=201', '?after=-1', '?who=me', `?contact=${'a'.repeat(2_048)}`])
    t.match(await ask(query), { status: 400 }, query)
  const silent = await made(t, { quarantine: deskOf({ withTexts: false, mayDecide: false }) })
  const { text: _, ...textless } = one
  const answer = (await silent.app.inject({ url: '/api/quarantine?limit=1', headers: bearer })).json()
  t.strictSame(answer, page([textless], { mayDecide: false, total: 2, next: 1 }))
  const without = await made(t, { quarantine: undefined })
  const none = page([], { mayDecide: false })
  t.same((await without.app.inject({ url: '/api/quarantine', headers: bearer })).json(), none)
})

t.test('what the operator decides about them', async t => {
  const decided: string[] = []
  const { app } = await made(t, { quarantine: deskOf({}, decided) })
  const post = (decision: string, payload: unknown, headers: Readonly<Record<string, string>> = bearer) =>
    app.inject({
      ...{ method: 'POST', url: `/api/quarantine/${decision}` },
      ...{ headers: { 'content-type': 'application/json', ...headers }, payload: JSON.stringify(payload) },
    })
  const exact = { account: 'Juliet@im.example/x', contact: 'New@far.example' }
  for (const [payload, wanted] of [
    [exact, ['recall juliet@im.example', 'deny new@far.example to juliet@im.example']],
    [
      { account: '*', contact: '*@far.example' },
      ['deny stranger@far.example to juliet@im.example', 'deny other@far.example to away@im.example'],
    ],
    [
      { account: 'away@im.example', contact: '*' },
      ['recall away@im.example', 'deny other@far.example to away@im.example'],
    ],
    [{ account: '*', contact: '*@near.example' }, []],
  ] as const) {
    const response = await post('deny', payload)
    const count = wanted.filter(line => line.startsWith('deny')).length
    t.same(response.json(), { decision: 'deny', requests: count }, JSON.stringify(payload))
    t.same(decided.splice(0), wanted)
  }
  t.same((await post('release', exact)).json(), { decision: 'release', requests: 1 })
  t.same(decided.splice(0), ['recall juliet@im.example', 'release new@far.example to juliet@im.example'])

  for (const [payload, parameter] of [
    [[], 'body'],
    [null, 'body'],
    [{}, 'account'],
    [{ account: 'juliet@im.example' }, 'contact'],
    [{ account: 'a b@c', contact: '*' }, 'account'],
    [{ account: '*', contact: 7 }, 'contact'],
    [{ account: '*', contact: '' }, 'contact'],
    [{ account: '*', contact: `*${'a'.repeat(2_048)}` }, 'contact'],
    [{ account: '*', contact: '*', all: true }, 'all'],
  ] as const)
    t.match((await post('deny', payload)).json(), { status: 400, parameter }, JSON.stringify(payload))
  t.equal((await post('forget', exact)).statusCode, 404)
  t.equal((await post('deny', exact, {})).statusCode, 401)
  t.equal(
    (await post('deny', exact, { ...bearer, 'content-type': 'application/x-www-form-urlencoded' })).statusCode,
    400,
  )
  t.equal((await post('deny', exact, { ...bearer, 'content-type': 'text/xml' })).statusCode, 415)
  t.equal((await post('deny', { ...exact, contact: 'a'.repeat(20_000) })).statusCode, 413)
  t.equal((await app.inject({ url: '/api/quarantine/deny', headers: bearer })).statusCode, 404, 'GET')

  // A browser that is logged in may do it from the console's own page alone.
  const cookie = String((await app.inject(enter(token))).headers['set-cookie']).split(';')[0] as string
  const own = { cookie, host: 'gate.example:9464' }
  for (const [headers, status] of [
    [{ 'sec-fetch-site': 'same-origin' }, 200],
    [{ origin: 'http://gate.example:9464' }, 200],
    [{ origin: 'http://gate.example:9464', 'sec-fetch-site': 'same-site' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'none' }, 403],
    [{ origin: 'http://gate.example:9465' }, 403],
    [{ origin: 'null' }, 403],
    [{}, 403],
  ] as const)
    t.equal((await post('deny', exact, { ...own, ...headers })).statusCode, status, JSON.stringify(headers))
  t.equal((await post('deny', exact, { ...bearer, 'sec-fetch-site': 'cross-site' })).statusCode, 403)

  for (const [options, detail] of [
    [{ quarantine: deskOf({ mayDecide: false }) }, /admin\.write/],
    [{ quarantine: undefined }, /limits\.pendingRequests/],
    [{ open: true }, /another site/],
  ] as const) {
    const other = await made(t, options)
    const request = { method: 'POST', url: '/api/quarantine/deny', headers: bearer, payload: exact } as const
    const response = await other.app.inject({ ...request, headers: { ...bearer, host: '127.0.0.1' } })
    t.equal(response.statusCode, 403)
    t.match(response.json(), { detail })
  }
})

t.test('an account', async t => {
  const { app } = await made(t)
  const ask = (jid: string) => app.inject({ url: `/api/accounts/${jid}`, headers: bearer })
  const wanted = {
    ...{ account: 'juliet@im.example', sessions: 1, roster: 'live' },
    contacts: [
      { contact: 'romeo@im.example', state: 'from+ask', since: '1970-01-02T00:00:00.000Z' },
      { contact: 'nurse@im.example', state: 'both', since: null },
    ],
    requests: [
      { contact: 'tybalt@im.example', since: '1970-01-03T00:00:00.000Z' },
      { contact: 'paris@im.example', since: null },
    ],
    unacknowledged: [{ type: 'subscribe', contact: 'tybalt@im.example', since: '1970-01-03T00:00:00.000Z' }],
    quarantine: [heldRow],
    denied: [{ contact: 'bot@spam.example', since: '1970-01-05T00:00:00.000Z' }],
  }
  for (const jid of ['juliet@im.example', 'Juliet@IM.example', 'juliet%40im.example', 'juliet@im.example/balcony'])
    t.same((await ask(jid)).json(), wanted, jid)
  t.same(
    (await ask('away@im.example')).json(),
    {
      ...{ account: 'away@im.example', sessions: 0, roster: 'unseen', contacts: [], requests: [] },
      unacknowledged: [],
      quarantine: [heldRow],
      denied: [],
    },
    'of an account that only has held requests',
  )
  for (const jid of ['romeo@im.example', 'gone@im.example', `${'a'.repeat(900)}@im.example`]) {
    const response = await ask(jid)
    t.equal(response.statusCode, 404, jid)
    t.match(response.json(), { status: 404, detail: /^nothing is known of/ })
  }
  t.equal((await ask('')).statusCode, 400)
  t.equal((await ask('a%20b@c')).statusCode, 400)
})

t.test('an explanation', async t => {
  const { app } = await made(t)
  const ask = (payload: object | string) =>
    app.inject({
      ...({ method: 'POST', url: '/api/explain', payload } as const),
      headers: { ...bearer, 'content-type': 'application/json' },
    })
  const question = { stanza: "<presence from='a@b.example' type='subscribed'/>", account: 'juliet@im.example' }
  t.match((await ask(question)).json(), { verdict: 'drop', rule: 'subscribed-needs-request', state: 'none' })
  t.match((await ask({ ...question, state: 'none+ask' })).json(), { verdict: 'forward', rule: null })
  const wrong = { ...question, stanza: "<presence type='x'/>", from: 'client' }
  t.match((await ask(wrong)).json(), { verdict: 'forward', rule: 'presence-type', mode: 'observe' }, 'as configured')
  const rows: [payload: object | string, parameter: string | undefined, detail: RegExp][] = [
    [{}, 'stanza', /give one stanza/],
    [[], 'body', /send an object/],
    ['null', 'body', /send an object/],
    [{ ...question, stanza: 7 }, 'stanza', /as XML/],
    [{ ...question, stanza: '<presence' }, 'stanza', /line 1, column 10: the stanza is not complete/],
    [{ ...question, stanza: '<!DOCTYPE x><presence/>' }, 'stanza', /restricted-xml/],
    [
      { ...question, stanza: `<message><body>${'ö'.repeat(5_000)}\n</bad>` },
      'stanza',
      /line 2, column 6: not-well-formed/,
    ],
    [{ ...question, from: 'upstream' }, 'from', /client or server/],
    [{ ...question, state: 'nowhere' }, 'state', /none\+ask/],
    [{ ...question, account: 'im.example' }, 'account', /a JID/],
    [{ ...question, more: 1 }, 'more', /no such member/],
    ['{', undefined, /JSON/],
  ]
  for (const [payload, parameter, detail] of rows) {
    const response = await ask(payload)
    t.equal(response.statusCode, 400, JSON.stringify(payload))
    t.match(response.headers['content-type'], /^application\/problem\+json/)
    t.match(response.json(), { status: 400, detail })
    t.equal(response.json().parameter, parameter)
  }
  const long = { ...question, stanza: `<message><body>${'x'.repeat(65_536)}</body></message>` }
  t.match((await ask(long)).json(), { status: 413, detail: 'no more than 65536 bytes are taken here' })
  const text = { ...bearer, 'content-type': 'text/xml' }
  t.equal((await app.inject({ method: 'POST', url: '/api/explain', payload: '<x/>', headers: text })).statusCode, 415)
})

/** A viewer by HTTP: what it was told up to a text. */
async function view(t: Test, { app }: House, query = '', headers: Record<string, string> = {}) {
  const url = app.server.listening ? undefined : await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const abort = new AbortController()
  t.teardown(() => abort.abort())
  const response = await fetch(`${url ?? `http://127.0.0.1:${port}`}/api/events?${query}`, {
    ...{ signal: abort.signal, headers: { ...bearer, ...headers } },
  })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let heard = ''
  return {
    response,
    abort,
    until: async (words: string) => {
      while (!heard.includes(words)) {
        const { value, done } = (await reader?.read()) ?? { done: true, value: undefined }
        if (done) throw new Error(`it ended without ${words}: ${heard}`)
        heard += value
      }
      return heard
    },
    ended: async () => {
      for (;;) if ((await reader?.read())?.done !== false) return
    },
  }
}

t.test('events as they come, and those before', async t => {
  const house = await made(t, { heartbeat: 5 })
  const { liveEvents } = house
  const tell = (decision: string | undefined, more: Partial<Judged> = {}) =>
    liveEvents.report(judged(more), { ...about, decision })
  tell('id1')
  tell(undefined, { verdict: 'forward', said: [] })
  const viewer = await view(t, house)
  t.match(viewer.response.headers.get('content-type'), 'text/event-stream')
  t.match(viewer.response.headers.get('content-security-policy'), "default-src 'none'")
  const first = await viewer.until(': here')
  t.match(first, /^retry: 2000\n\nid: id1\ndata: \{.*\}\n\n: here\n\n/)
  t.same(JSON.parse(/data: (.*)/.exec(first)?.[1] ?? ''), {
    ...{ id: 'id1', time: '2026-01-02T03:04:05.000Z', direction: 'inbound', kind: 'presence', type: 'subscribed' },
    spelled: null,
    ...{ account: 'juliet@im.example', contact: 'tybalt@capulet.example', state: 'none', verdict: 'drop', error: null },
    ...{ rule: 'subscribed-needs-request', clause: 'RFC 6121 3.1.6', mode: 'enforce', route: 'im.example' },
    ...{ listener: 'clients', session: 7 },
  })
  tell('id2', { from: 'client', type: 'subscribe', verdict: 'forward', said: [], state: 'unknown' })
  t.match(await viewer.until('id: id2'), /./)
  t.match(await viewer.until('"rule":"none"'), /"direction":"outbound".*"state":"unknown","verdict":"forward"/)
  tell('id3', { contact: `${'x'.repeat(3_000)}\u2028\n@y` })
  t.notMatch(await viewer.until('id: id3\n'), 'x'.repeat(2_048), 'not at any length')

  const back = await view(t, house, '', { 'last-event-id': 'id2' })
  t.match(await back.until('id: id3'), /^retry: 2000\n\nid: id3\n/, 'what it has missed')
})

t.test('filters', async t => {
  const house = await made(t, { open: true })
  const { liveEvents } = house
  const rows: [id: string, more: Partial<Judged>][] = [
    ['a', {}],
    ['b', { account: 'romeo@im.example', from: 'client', type: 'subscribe', verdict: 'forward', said: [] }],
    ['c', { contact: 'Nurse@IM.example', type: 'unsubscribed' }],
    ['d', { kind: 'iq', type: 'set', account: undefined, contact: undefined, verdict: 'reject', said: [] }],
  ]
  for (const [decision, more] of rows) liveEvents.report(judged(more), { ...about, decision })
  const seen: [query: string, ids: string][] = [
    ['', 'a b c d'],
    ['account=Romeo@im.example', 'b'],
    ['contact=nurse@im.example/phone', 'c'],
    ['verdict=drop', 'a c'],
    ['verdict=drop&verdict=reject', 'a c d'],
    ['rule=none', 'b d'],
    ['rule=subscribed-needs-request&type=subscribed', 'a'],
    ['direction=outbound', 'b'],
    ['type=', 'a b c d'],
    ['account=nobody@im.example', ''],
  ]
  for (const [query, ids] of seen) {
    const read = readQuery(parse(query), eventParameters)
    if (isProblem(read)) throw new Error(read.detail)
    const got: string[] = []
    liveEvents.join({ query: read, see: id => got.push(id) })?.()
    t.equal(got.join(' '), ids, query)
  }
  const viewer = await view(t, house, 'direction=outbound&type=subscribe')
  liveEvents.report(judged(), { ...about, decision: 'e' })
  liveEvents.report(judged({ from: 'client', type: 'subscribe' }), { ...about, decision: 'f' })
  t.same(
    [...(await viewer.until('id: f')).matchAll(/^id: (\w)$/gm)].map(([, id]) => id),
    ['b', 'f'],
  )
})

t.test('bounds: what is kept, who looks, and who does not read', async t => {
  const house = await made(t, { heartbeat: 5 })
  const { liveEvents } = house
  for (let n = 0; n < eventsAtMost + 10; n++) liveEvents.report(judged(), { ...about, decision: `n${1_000 + n}` })
  const ids: string[] = []
  const leave = liveEvents.join({ query: new Map(), see: id => ids.push(id) })
  t.same([ids.length, ids[0]], [eventsAtMost, 'n1010'])
  leave?.()

  const leavers = Array.from({ length: viewersAtMost - 1 }, () => liveEvents.join({ query: new Map(), see: () => {} }))
  const slow = await view(t, house)
  await slow.until('n1509')
  const refused = await view(t, house)
  t.equal(refused.response.status, 503)
  t.equal(refused.response.headers.get('retry-after'), '10')
  t.match(await refused.until('too many'), /"status":503/)
  // It reads no more: what the kernel takes for it is not endless.
  const long = 'x'.repeat(2_000)
  for (let n = 0; n < 20_000; n++) liveEvents.report(judged({ contact: long }), { ...about, decision: `o${n}` })
  await t.rejects(slow.ended(), 'it was let go')
  const next = await view(t, house)
  t.equal(next.response.status, 200, 'and there is room again')
  for (const leaver of leavers) leaver?.()
})

t.test('a login that ends takes its viewer along', async t => {
  const house = await made(t, { heartbeat: 5 })
  const login = await house.app.inject(enter(token))
  const cookie = String(login.headers['set-cookie']).split(';')[0]?.split('=')[1]
  const { port } = await house.app.listen({ host: '127.0.0.1', port: 0 }).then(url => new URL(url))
  const viewer = await view(t, house, '', { authorization: '', cookie: `stanzagate-${port}=${cookie}` })
  t.equal(viewer.response.status, 200)
  await viewer.until(': here')
  house.now = 13 * 3_600_000
  await viewer.ended()
})

t.test('and so does a logout, at once', async t => {
  const house = await made(t, { heartbeat: 3_600_000 })
  const { port } = await house.app.listen({ host: '127.0.0.1', port: 0 }).then(url => new URL(url))
  const enters = async () => {
    const login = await house.app.inject(enter(token))
    return `stanzagate-${port}=${String(login.headers['set-cookie']).split(';')[0]?.split('=')[1]}`
  }
  const [mine, other] = [await enters(), await enters()]
  const viewers = [mine, other].map(cookie => view(t, house, '', { authorization: '', cookie }))
  const [viewer, stays] = await Promise.all(viewers)
  await fetch(`http://127.0.0.1:${port}/console/logout`, {
    ...{ method: 'POST', headers: { ...form, cookie: mine }, redirect: 'manual' },
  })
  await viewer?.ended()
  house.liveEvents.report(judged(), { ...about, decision: 'later' })
  t.match(await stays?.until('later'), 'id: later')
})

t.test('what is known of an account, and since when', async t => {
  const accounts = new Accounts<object>(10)
  const [phone, desk] = [{}, {}]
  const item = (contact: string, subscription: 'none' | 'to' | 'from' | 'both', ask = false) => ({
    ...{ jid: contact, subscription, ask, removed: false },
  })
  const roster = (...items: ReturnType<typeof item>[]): AccountNews => ({ news: 'roster', items, ver: undefined })
  const push = (pushed: ReturnType<typeof item>, removed = false): AccountNews => {
    const contacts = accounts.known('juliet@im.example')?.contacts
    const before = contacts?.find(({ contact }) => contact === pushed.jid)?.state
    return { news: 'push', item: { ...pushed, removed }, ver: undefined, before }
  }
  const shown = () => {
    const known = accounts.known('Juliet@im.example/x')
    if (known === undefined) throw new Error('nothing is known')
    const { sessions, complete, live, contacts } = known
    const told = contacts.map(({ contact, state: { subscription, ask }, since }) => [contact, subscription, ask, since])
    return [sessions, complete, live, told]
  }
  t.equal(accounts.known('juliet@im.example'), undefined)
  accounts.attach('juliet@im.example', phone)
  t.same(shown(), [1, false, false, []])
  const passes = (direction: 'inbound' | 'outbound', type: 'subscribe' | 'subscribed' | 'unsubscribe', time: number) =>
    accounts.tell(phone, { news: 'subscription', direction, type, contact: 'c@x' }, time)
  const requests = () => accounts.known('juliet@im.example')?.requests
  passes('inbound', 'subscribe', 7)
  passes('inbound', 'subscribe', 8)
  t.same(requests(), [{ contact: 'c@x', since: 7 }], 'a contact waits, since it has asked first')
  passes('outbound', 'subscribed', 9)
  t.same(requests(), [])
  passes('inbound', 'subscribe', 10)
  passes('inbound', 'unsubscribe', 11)
  t.same(requests(), [], 'nor one who has taken it back')
  accounts.tell(phone, roster(item('a@x', 'both'), item('b@x', 'none', true)), 1)
  t.same(shown(), [
    1,
    true,
    true,
    [
      ['a@x', 'both', false, undefined],
      ['b@x', 'none', true, undefined],
    ],
  ])
  accounts.tell(phone, push(item('b@x', 'to')), 2)
  accounts.tell(phone, push(item('a@x', 'both')), 3)
  accounts.tell(phone, push(item('c@x', 'none', true)), 4)
  const moved = [
    ['a@x', 'both', false, undefined],
    ['b@x', 'to', false, 2],
    ['c@x', 'none', true, 4],
  ]
  t.same(shown(), [1, true, true, moved], 'a push that changes nothing moves nothing')
  accounts.tell(phone, push(item('c@x', 'none'), true), 5)
  accounts.detach(phone)
  t.same(shown(), [0, true, false, moved.slice(0, 2)], 'what was known when the last session ended')
  accounts.attach('juliet@im.example', desk)
  accounts.tell(desk, roster(item('a@x', 'both'), item('b@x', 'to')), 6)
  t.same(shown(), [1, true, true, moved.slice(0, 2)], 'it is as it was')
  accounts.tell(desk, roster(item('a@x', 'both'), item('b@x', 'none')), 7)
  t.same(
    shown()[3],
    [
      ['a@x', 'both', false, undefined],
      ['b@x', 'none', false, undefined],
    ],
    'it has moved, nobody saw when',
  )
})

t.test('a type that is none is told as it was sent, shortened', async t => {
  const { liveEvents } = await made(t)
  const seen: string[] = []
  liveEvents.join({ query: new Map(), see: (_id, json) => seen.push(JSON.parse(json).spelled) })
  for (const spelled of ['online', `${'😀'.repeat(30)}x`, 'y'.repeat(500), ''])
    liveEvents.report(judged({ type: 'other', spelled }), { ...about, decision: `d${seen.length}` })
  liveEvents.report(judged(), { ...about, decision: 'd9' })
  t.same(seen, ['online', `${'😀'.repeat(30)}x`, `${'y'.repeat(40)}…`, '', null])
})

t.test('after a restart the login page says why one is there', async t => {
  const [before, after] = [await made(t), await made(t)]
  const set = String((await before.app.inject(enter(token))).headers['set-cookie'])
  const cookie = set.split(';')[0] as string
  t.match((await after.app.inject({ url: '/console/login', headers: { cookie } })).body, 'the gate was restarted')
  t.notMatch((await before.app.inject({ url: '/console/login', headers: { cookie } })).body, 'started again')
  t.notMatch((await after.app.inject('/console/login')).body, 'started again')
})
