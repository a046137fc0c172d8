import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import fastify from 'fastify'
import t from 'tap'
import { adminPlugin } from '../../src/admin/plugin.ts'
import { Metrics } from '../../src/observe/metrics.ts'
import { Offenders, Sketch } from '../../src/observe/offenders.ts'
import type { About } from '../../src/relay/watcher.ts'
import type { RuleOutcome } from '../../src/rules/outcome.ts'
import type { Report } from '../../src/session/report.ts'
import type { Side } from '../../src/stream/item.ts'

const about: About = { id: 1, listener: 'tcp-5222', wire: 'tcp', route: 'im.example', client: '192.0.2.7' }

function judged(from: Side, verdict: RuleOutcome['verdict'], ...said: readonly RuleOutcome[]): Report {
  const [account, contact] = ['romeo@im.example', 'Tybalt@Elsewhere.example']
  return { report: 'judged', from, kind: 'presence', type: 'subscribed', verdict, said, account, contact }
}

function said(rule: string, verdict: RuleOutcome['verdict'], mode: RuleOutcome['mode'] = 'enforce'): RuleOutcome {
  return { rule, clause: '', mode, verdict }
}

t.test('whose doing a decision was', async t => {
  const rows: readonly (readonly [Report, ...string[]])[] = [
    [judged('client', 'forward')],
    [judged('client', 'forward', said('a', 'forward'))],
    [judged('client', 'reject', said('a', 'reject')), 'account romeo@im.example a', 'address 192.0.2.7 a'],
    [judged('client', 'close'), 'account romeo@im.example none', 'address 192.0.2.7 none'],
    [
      judged('client', 'forward', said('b', 'reject', 'observe')),
      'account romeo@im.example b observe',
      'address 192.0.2.7 b observe',
    ],
    [judged('upstream', 'drop', said('a', 'forward'), said('c', 'drop')), 'contact tybalt@elsewhere.example c'],
    [{ report: 'nonza', from: 'client', verdict: 'drop' }],
  ]
  for (const [report, ...wanted] of rows) {
    const offenders = new Offenders()
    for (let i = 0; i < 2; i++) offenders.report(report, about)
    const found = offenders.snapshot()
    t.ok(found.every(({ count, error }) => count === 2 && error === 0))
    t.same(
      found.map(({ kind, key, rule, mode }) => `${kind} ${key} ${rule}${mode === 'observe' ? ' observe' : ''}`),
      wanted,
      JSON.stringify(report),
    )
  }
  const offenders = new Offenders()
  offenders.report(judged('client', 'reject', said('a', 'reject')), { ...about, client: undefined })
  offenders.refused('address-rate', 'tcp-5222', '2001:db8::1')
  offenders.refused('late', 'tcp-5222', undefined)
  t.same(
    offenders.snapshot().map(({ kind, key, rule }) => `${kind} ${key} ${rule}`),
    ['account romeo@im.example a', 'address 2001:db8::1 none'],
    'who is not known is not named',
  )
})

t.test('names have a bound', async t => {
  const offenders = new Offenders()
  for (let i = 0; i < 1_000; i++)
    offenders.report(
      { ...judged('upstream', 'drop', said('a', 'drop')), contact: `${'x'.repeat(10_000)}${i}@e.example` } as Report,
      about,
    )
  const found = offenders.snapshot()
  t.equal(found.length, 1, 'what they have in common beyond the longest name')
  t.equal(found[0]?.key.length, 2_047)
  for (let i = 0; i < 1_000; i++) offenders.refused('total', 'tcp-5222', `192.0.2.${i}`)
  t.equal(offenders.snapshot().length, 201)
})

t.test(
  'Space-Saving: no count is too low, none is higher than its error allows, and who has more than a share is there',
  async t => {
    let replaced = 0
    // Few names are frequent, many rare.
    const name = fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 300 })).map(String)
    fc.assert(
      fc.property(
        fc.array(name, { minLength: 50, maxLength: 600, size: 'max' }),
        fc.integer({ min: 1, max: 40 }),
        (names, atMost) => {
          const sketch = new Sketch(atMost)
          const truth = new Map<string, number>()
          for (const each of names) {
            sketch.add(each, each, 'enforce')
            truth.set(each, (truth.get(each) ?? 0) + 1)
          }
          const found = [...sketch]
          const isTrue = found.every(({ name, count, error, rule }) => {
            const real = truth.get(name) ?? 0
            if (error > 0) replaced++
            return real <= count && count - error <= real && error <= names.length / atMost && rule === name
          })
          const shown = new Set(found.map(each => each.name))
          const isWhole = [...truth].every(([each, count]) => count <= names.length / atMost || shown.has(each))
          const isSorted = found.every(({ count }, i) => i === 0 || count <= (found[i - 1]?.count ?? 0))
          return isTrue && isWhole && isSorted && found.length === Math.min(atMost, truth.size)
        },
      ),
      { seed: 6121, numRuns: 300 },
    )
    t.ok(replaced > 1_000, `${replaced} took another's place`)
  },
)

t.test('/api/offenders, and OpenMetrics for who asks for it, behind the token', async t => {
  const gate = new Metrics()
  const offenders = new Offenders()
  offenders.report(judged('upstream', 'drop', said('c', 'drop')), about)
  const app = fastify()
  let refused = 0
  await app.register(adminPlugin, {
    token: 'secret',
    metrics: gate.registry,
    openMetrics: gate.openMetrics,
    offenders: () => offenders.snapshot(),
    ready: () => true,
    refused: () => refused++,
  })
  t.teardown(async () => {
    gate.stop()
    await app.close()
  })
  const authorization = 'Bearer secret'
  t.equal((await app.inject('/api/offenders')).statusCode, 401)
  t.equal((await app.inject({ url: '/metrics', headers: { accept: 'application/openmetrics-text' } })).statusCode, 401)
  t.equal(refused, 2)
  const answer = await app.inject({ url: '/api/offenders', headers: { authorization } })
  t.equal(answer.headers['cache-control'], 'no-store')
  t.same(answer.json(), [
    { kind: 'contact', key: 'tybalt@elsewhere.example', count: 1, error: 0, rule: 'c', mode: 'enforce' },
  ])
  const rows: readonly (readonly [accept: string | undefined, isOpen: boolean])[] = [
    [undefined, false],
    ['*/*', false],
    ['text/plain;version=0.0.4', false],
    ['application/openmetrics-text;version=0.0.1', false],
    ['application/openmetrics-text2', false],
    ['application/openmetrics-text', true],
    ['application/openmetrics-text; version=1.0.0; charset=utf-8', true],
    // The greater q wins, and 0 is never (RFC 9110 section 12.4.2).
    ['text/plain;q=1, application/openmetrics-text;q=0', false],
    ['application/openmetrics-text;q=0, */*', false],
    ['application/openmetrics-text;q=0.2, text/plain;q=0.9', false],
    ['text/plain;q=0.2, application/openmetrics-text;q=0.9', true],
    ['text/html', false],
    // Prometheus 2 and 3.
    [
      'application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
      true,
    ],
    [
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.2',
      true,
    ],
  ]
  for (const [accept, isOpen] of rows) {
    const headers = accept === undefined ? { authorization } : { authorization, accept }
    const { body, headers: said } = await app.inject({ url: '/metrics', headers })
    const type = isOpen
      ? 'application/openmetrics-text; version=1.0.0; charset=utf-8'
      : 'text/plain; version=0.0.4; charset=utf-8'
    t.equal(said['content-type'], type, accept ?? 'no header')
    t.equal(said.vary, 'accept, accept-encoding')
    t.equal(body.endsWith('# EOF\n'), isOpen)
  }
  for (const [encodings, isZipped] of [
    [undefined, false],
    ['gzip', true],
    ['gzip, deflate, br', true],
    ['gzip;q=0', false],
    ['identity, gzip;q=0.5', false],
    ['*', true],
  ] as const) {
    const headers = encodings === undefined ? { authorization } : { authorization, 'accept-encoding': encodings }
    const { rawPayload, headers: said } = await app.inject({ url: '/metrics', headers })
    t.equal(said['content-encoding'], isZipped ? 'gzip' : undefined, encodings ?? 'no header')
    t.match(String(isZipped ? gunzipSync(rawPayload) : rawPayload), /^# HELP /)
  }
})
