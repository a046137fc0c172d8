import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Accounts } from '../../src/account/accounts.ts'
import { ruleOutcomes } from '../../src/observe/initial-series.ts'
import { metrics, verdicts } from '../../src/observe/metric-definitions.ts'
import { Metrics } from '../../src/observe/metrics.ts'
import { metricsDocument } from '../../src/observe/metrics-document.ts'
import type { About, StreamState } from '../../src/relay/watcher.ts'
import { activeRules, rules } from '../../src/rules/all-rules.ts'
import type { RuleOutcome } from '../../src/rules/outcome.ts'
import { type Cause, causes, connectFailures, negotiationStages } from '../../src/session/labels.ts'
import type { Report } from '../../src/session/report.ts'
import { kinds, subscriptionTypes } from '../../src/stanza/stanza.ts'
import { typeLabel } from '../../src/stanza/type-label.ts'
import type { Side } from '../../src/stream/item.ts'
import { promtool, Scrape } from './scrape.ts'
import { playAtRandom } from './sessions.ts'

const root = new URL('../../../', import.meta.url)
const about: About = { id: 1, listener: 'tcp-5222', wire: 'tcp', route: 'im.example', upstream: 'main' }
const seeded = { seed: 6121 }

type Judged = Extract<Report, { report: 'judged' }>
type Row = readonly [report: Report, ...counted: string[]]

t.test('reports become numbers', async t => {
  const asked = { subscription: 'none', ask: true } as const
  const both = { subscription: 'both', ask: false } as const
  const jid = 'nurse@im.example/balcony'
  const received = 'stanzas_received_total client presence im.example: 1'
  const rows: readonly Row[] = [
    [
      { report: 'stream-opened', side: 'client' },
      'streams_opened_total client tcp-5222: 1',
      'streams_active client tcp-5222: 1',
    ],
    [
      { report: 'stream-closed', side: 'upstream', cause: 'timeout' },
      'streams_closed_total upstream tcp-5222 timeout: 1',
      'streams_active upstream tcp-5222: -1',
    ],
    [
      { report: 'session-opened', jid },
      'sessions_opened_total tcp-5222 im.example: 1',
      'sessions_active tcp-5222 im.example: 1',
    ],
    [
      { report: 'session-closed', jid, cause: 'client-lost' },
      'sessions_closed_total tcp-5222 im.example client-lost: 1',
      'sessions_active tcp-5222 im.example: -1',
    ],
    [{ report: 'connect-failed', upstream: 'main', reason: 'tls' }, 'upstream_connect_errors_total main tls: 1'],
    [
      { report: 'stream-error', side: 'client', by: 'gate', condition: 'policy-violation' },
      'stream_errors_total policy-violation client gate: 1',
    ],
    [
      { report: 'stream-error', side: 'upstream', by: 'peer', condition: 'my-own' },
      'stream_errors_total other upstream peer: 1',
    ],
    [{ report: 'nonza', from: 'client', verdict: 'reject' }, 'nonzas_total client reject: 1'],
    [{ report: 'undecided', type: 'subscribed' }, 'subscription_undecided_total subscribed im.example: 1'],
    [{ report: 'decided', type: 'unsubscribed' }, 'subscription_decided_total unsubscribed im.example: 1'],
    [
      { report: 'transition', before: asked, after: { subscription: 'to', ask: false } },
      'subscription_transitions_total none+ask to im.example: 1',
    ],
    [
      { report: 'transition', before: asked, after: both },
      'subscription_transitions_total none+ask both im.example: 1',
      'subscription_illegal_transitions_total none+ask both main: 1',
    ],
    [
      { report: 'transition', before: both, after: { subscription: 'both', ask: true } }, // a server's slip
      'subscription_transitions_total both both im.example: 1',
    ],
    [{ report: 'subscription', event: 'mutual' }, 'subscription_events_total mutual im.example: 1'],
    [
      { report: 'subscription', event: 'approval-in', seconds: 60 },
      'subscription_events_total approval-in im.example: 1',
      ...decisionLines('approved', 60, 9),
    ],
    [
      { report: 'subscription', event: 'denial-in', seconds: 86_401 },
      'subscription_events_total denial-in im.example: 1',
      ...decisionLines('denied', 86_401, 4),
    ],
    [
      { report: 'negotiation-failed', stage: 'sasl', condition: 'not-authorized' },
      'negotiation_failures_total sasl not-authorized tcp-5222 im.example: 1',
    ],
    [
      { report: 'negotiation-failed', stage: 'bind', condition: 'not-authorized' },
      'negotiation_failures_total bind not-authorized tcp-5222 im.example: 1',
    ],
    [
      { report: 'negotiation-failed', stage: 'sasl', condition: 'resource-constraint' }, // no condition of SASL
      'negotiation_failures_total sasl other tcp-5222 im.example: 1',
    ],
    [
      { report: 'transition', before: undefined, after: both },
      'subscription_transitions_total unknown both im.example: 1',
    ],
    [
      { report: 'transition', before: both, after: undefined },
      'subscription_transitions_total both removed im.example: 1',
    ],
    [{ report: 'stranger-request', class: 'ownDomain', outcome: 'held' }, 'stranger_requests_total ownDomain held: 1'],
    [
      { report: 'request-denied', account: 'romeo@im.example', contact: 'a@far.example' },
      'stranger_requests_denied_total: 1',
    ],
    [{ report: 'request-released' }, 'held_requests_released_total im.example: 1'],
    [
      { report: 'compensation', outcome: 'undone', account: 'a@b', contact: 'c@d', before: both },
      'compensations_total undone im.example: 1',
    ],
    [
      { report: 'request-failed', condition: 'item-not-found' },
      'subscription_requests_failed_total item-not-found im.example: 1',
    ],
    [
      { report: 'request-failed', condition: 'Item-Not-Found' },
      'subscription_requests_failed_total other im.example: 1',
    ],
    [judged([]), received, 'stanzas_total presence subscribe client forward none enforce im.example: 1'],
    [
      judged([], 'reject'), // by a session's phase, not by a rule
      received,
      'stanzas_total presence subscribe client reject none enforce im.example: 1',
    ],
    [
      judged([said('a', 'forward'), said('b', 'drop')], 'drop'),
      received,
      'stanzas_total presence subscribe client drop b enforce im.example: 1',
      'rule_decisions_total a forward enforce client im.example: 1',
      'rule_decisions_total b drop enforce client im.example: 1',
    ],
    [
      judged([said('a', 'reject', 'observe'), said('b', 'drop')], 'drop'), // what was done outranks what would have been
      received,
      'stanzas_total presence subscribe client drop b enforce im.example: 1',
      'rule_decisions_total a reject observe client im.example: 1',
      'rule_decisions_total b drop enforce client im.example: 1',
    ],
    [
      judged([said('a', 'drop', 'observe'), said('b', 'reject', 'observe'), said('c', 'forward')]),
      received,
      'stanzas_total presence subscribe client drop a observe im.example: 1',
      'rule_decisions_total a drop observe client im.example: 1',
      'rule_decisions_total b reject observe client im.example: 1',
      'rule_decisions_total c forward enforce client im.example: 1',
    ],
    [
      judged([said('a', 'forward'), said('b', 'forward')]),
      received,
      'stanzas_total presence subscribe client forward b enforce im.example: 1',
      'rule_decisions_total a forward enforce client im.example: 1',
      'rule_decisions_total b forward enforce client im.example: 1',
    ],
  ]
  for (const [report, ...counted] of rows) {
    const gate = new Metrics()
    gate.report(report, about)
    t.same((await Scrape.of(gate)).counted.toSorted(), counted.toSorted(), JSON.stringify(report))
    gate.report(report, about)
    const doubled = counted.map(line => line.replace(/\d+$/, count => String(2 * Number(count)))).toSorted()
    t.same((await Scrape.of(gate)).counted.toSorted(), doubled, 'and again')
    gate.stop()
  }
})

t.test('what else is told', async t => {
  const gate = made(t)
  gate.bytes('client', 'received', 300)
  gate.bytes('client', 'received', 20)
  gate.bytes('upstream', 'sent', 5)
  gate.fault()
  gate.sent('client', 'iq', 'im.example')
  gate.sent('client', 'iq')
  gate.handshakeFailed('tcp-5223')
  for (const microseconds of [1, 4, 4, 300, 2e6]) gate.handled(microseconds / 1e6, 1)
  gate.report({ report: 'undecided', type: 'subscribed' }, { ...about, route: undefined })
  const scrape = await Scrape.of(gate)
  t.equal(scrape.sum('transport_bytes_total', { side: 'client', way: 'received' }), 320)
  t.equal(scrape.sum('transport_bytes_total'), 325)
  t.equal(scrape.sum('session_faults_total'), 1)
  t.equal(scrape.sum('stanzas_sent_total', { to: 'client', kind: 'iq' }), 2)
  t.equal(scrape.sum('stanzas_sent_total', { route: 'im.example' }), 1)
  t.equal(scrape.sum('negotiation_failures_total', { stage: 'tls', listener: 'tcp-5223', route: '' }), 1)
  const within = ['0.000002', '0.000005', '0.0005', '0.1', '+Inf'].map(le =>
    scrape.sum('session_receive_seconds_bucket', { le }),
  )
  t.same(within, [1, 3, 4, 4, 5], 'buckets are cumulative')
  t.equal(scrape.sum('session_receive_seconds_count'), 5)
  t.equal(scrape.sum('subscription_undecided_total', { route: '' }), 1, 'before a domain was asked for')
})

t.test('every stanza counts once, under one rule; every rule that spoke counts', async t => {
  const names = rules.map(rule => rule.name)
  const saying = fc.record({
    rule: fc.constantFrom(...names),
    clause: fc.constant(''),
    mode: fc.constantFrom('enforce' as const, 'observe' as const),
    verdict: fc.constantFrom(...verdicts),
  })
  const stanza = fc.record({
    said: fc.array(saying, { maxLength: 4 }),
    verdict: fc.constantFrom(...verdicts),
    kind: fc.constantFrom(...kinds),
    type: fc.option(fc.constantFrom('subscribe', 'chat', 'get', 'error', 'bogus'), { nil: undefined }),
    from: fc.constantFrom<Side>('client', 'upstream'),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(stanza, { maxLength: 20 }), async stanzas => {
      const gate = new Metrics()
      for (const { kind, type, ...rest } of stanzas)
        gate.report({ ...judged(rest.said, rest.verdict), ...rest, kind, type: typeLabel(kind, type) }, about)
      const scrape = await Scrape.of(gate)
      gate.stop()
      const spoke = stanzas.reduce((total, { said }) => total + said.length, 0)
      for (const from of ['client', 'upstream'])
        for (const name of ['stanzas_total', 'stanzas_received_total'])
          if (scrape.sum(name, { from }) !== stanzas.filter(one => one.from === from).length) return false
      return scrape.sum('rule_decisions_total') === spoke && scrape.strays.length === 0
    }),
    { ...seeded, numRuns: 100 },
  )
  t.pass('20 stanzas at a time')
})

t.test('active = opened - closed, whatever happens to sessions', async t => {
  let reached = 0
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(), { minLength: 40, maxLength: 120 }), async choices => {
      const gate = new Metrics()
      const holds = async () => {
        const scrape = await Scrape.of(gate)
        for (const what of ['sessions', 'streams']) {
          const [opened, closed, active] = ['opened_total', 'closed_total', 'active'].map(end =>
            scrape.sum(`${what}_${end}`),
          ) as [number, number, number]
          if (active !== opened - closed || active < 0) return undefined
        }
        return scrape
      }
      const end = playAtRandom(choices, (report, route) => gate.report(report, { ...about, route }))
      const during = await holds()
      reached += during?.sum('sessions_active') ?? 0
      end()
      const after = await holds()
      gate.stop()
      if (during === undefined || after === undefined || after.strays.length > 0) return false
      return after.sum('sessions_active') === 0 && after.sum('streams_active') === 0
    }),
    { ...seeded, numRuns: 200 },
  )
  t.ok(reached > 20, `${reached} were bound when they were looked at`)
})

t.test('received - sent = rejected + dropped + closed - own answers, whatever is said', async t => {
  const seen = { own: 0, forward: 0, reject: 0, drop: 0, close: 0, observed: 0 }
  const choices = fc.array(fc.nat(), { minLength: 30, maxLength: 120, size: 'max' })
  await fc.assert(
    fc.asyncProperty(choices, fc.constantFrom('enforce' as const, 'observe' as const), async (choices, mode) => {
      const gate = new Metrics()
      const own = { client: 0, upstream: 0 }
      const end = playAtRandom(choices, (report, route) => gate.report(report, { ...about, route }), {
        chatty: true,
        mode,
        sent: (to, kind, route, by) => {
          gate.sent(to, kind, route)
          if (to === by) own[to]++
        },
      })
      end()
      const scrape = await Scrape.of(gate)
      gate.stop()
      const total = (labels: Record<string, string>) => scrape.sum('stanzas_total', labels)
      for (const from of ['client', 'upstream'] as const) {
        const to = from === 'client' ? 'upstream' : 'client'
        const stopped = (['reject', 'drop', 'close'] as const).map(verdict => total({ from, verdict, mode: 'enforce' }))
        const [received, sent] = [
          scrape.sum('stanzas_received_total', { from }),
          scrape.sum('stanzas_sent_total', { to }),
        ]
        if (received - sent !== stopped.reduce((a, b) => a + b) - own[to]) return false
        for (const [i, verdict] of (['reject', 'drop', 'close'] as const).entries()) seen[verdict] += stopped[i] ?? 0
        seen.own += own[to]
        seen.forward += sent - own[to]
        for (const verdict of ['reject', 'drop', 'close']) seen.observed += total({ from, verdict, mode: 'observe' })
      }
      return scrape.strays.length === 0
    }),
    { ...seeded, numRuns: 200 },
  )
  t.ok(
    Object.values(seen).every(count => count > 10),
    JSON.stringify(seen),
  )
})

t.test('nothing that a peer wrote becomes a series', async t => {
  const hostile = [
    '__proto__',
    'constructor',
    'sub\nscribe',
    '"} 1\nstanzagate_up 1',
    ' subscribe',
    '',
    'SUBSCRIBE',
    '𝒳',
  ]
  const gate = made(t, ['im.example'])
  const before = (await Scrape.of(gate)).samples.length
  for (let i = 0; i < 200; i++)
    for (const word of [...hostile, `bogus-${i}`]) {
      for (const kind of kinds)
        gate.report({ ...judged([]), kind, type: typeLabel(kind, word), account: word, contact: word }, about)
      gate.report({ report: 'request-failed', condition: word }, about)
      gate.report({ report: 'stream-error', side: 'client', by: 'peer', condition: word }, about)
      for (const stage of negotiationStages)
        gate.report({ report: 'negotiation-failed', stage, condition: word }, about)
      gate.report({ report: 'session-opened', jid: `${word}@im.example/${i}` }, about)
    }
  const scrape = await Scrape.of(gate)
  t.same(scrape.strays, [])
  t.equal(
    scrape.samples.length,
    before + kinds.length + negotiationStages.length,
    'one series for the other types of each kind, and for other conditions',
  )
  t.equal(scrape.sum('subscription_requests_failed_total', { condition: 'other' }), 200 * (hostile.length + 1))
})

t.test('configured names are escaped', async t => {
  const listener = 'a "fine"\\listener\nhere'
  const gate = made(t, ['*'], [listener])
  gate.report({ report: 'stream-opened', side: 'client' }, { ...about, listener })
  const scrape = await Scrape.of(gate)
  t.match(scrape.text, 'stanzagate_streams_opened_total{side="client",listener="a \\"fine\\"\\\\listener\\nhere"} 1\n')
  t.same(promtool(['check', 'metrics'], scrape.text), { status: 0, said: '' })
})

t.test('promtool has nothing against a scrape', async t => {
  const gate = made(t, ['im.example', '*'])
  gate.handled(0.000_01, 1)
  const scrape = await Scrape.of(gate)
  t.same(promtool(['check', 'metrics'], scrape.text), { status: 0, said: '' })
  t.not(promtool(['check', 'metrics'], scrape.text.replaceAll('_errors_total', '_errors')).status, 0, 'it looks')
  t.same(scrape.strays, [])
  t.ok(scrape.samples.every(({ name }) => name.startsWith('stanzagate_')))
})

t.test('what is configured is there at 0', async t => {
  const gate = made(t, ['im.example'])
  const scrape = await Scrape.of(gate)
  t.same(scrape.counted, [])
  const series = scrape.samples.length
  t.ok(series < 500, `${series} series`)
  for (const type of subscriptionTypes)
    for (const from of ['client', 'upstream'] as const) gate.report({ ...judged([]), type, from }, about)
  for (const { name } of rules.filter(({ isOffByDefault }) => isOffByDefault !== true))
    for (const { from, verdict, types } of ruleOutcomes.get(name) ?? [])
      for (const type of types) gate.report({ ...judged([said(name, verdict)], verdict), type, from }, about)
  for (const condition of metrics.streamErrors.labels.condition)
    gate.report({ report: 'stream-error', side: 'client', by: 'gate', condition }, about)
  for (const reason of connectFailures) gate.report({ report: 'connect-failed', upstream: 'main', reason }, about)
  for (const cause of causes) opensAndCloses(gate, cause)
  t.equal((await Scrape.of(gate)).samples.length, series, 'nothing appears with its first event')

  const many = made(
    t,
    Array.from({ length: 200 }, (_, i) => `im${i}.example`),
  )
  t.ok((await Scrape.of(many)).samples.length < 400, 'a gate of many domains begins without them')
})

t.test('streams are counted when somebody asks', async t => {
  const gate = made(t)
  const streams: StreamState[] = [
    { wire: 'tcp', tls: 'TLSv1.3', phase: 'bound' },
    { wire: 'tcp', tls: 'TLSv1.3', phase: 'bound' },
    { wire: 'websocket', tls: 'none', phase: 'closing' },
    { wire: 'websocket', tls: 'TLSv1.9', phase: 'opening' },
  ]
  gate.counts(() => streams)
  t.same((await Scrape.of(gate)).counted, [
    'client_streams tcp TLSv1.3 bound: 2',
    'client_streams websocket none closing: 1',
    'client_streams websocket other opening: 1',
  ])
  streams.splice(1)
  const scrape = await Scrape.of(gate)
  t.same(scrape.counted, ['client_streams tcp TLSv1.3 bound: 1'])
  t.equal(scrape.samples.filter(({ name }) => name === 'stanzagate_client_streams').length, 3, 'the others are at 0')
  t.same(scrape.strays, [])
})

t.test('held requests are counted when somebody asks', async t => {
  const gate = made(t)
  t.same((await Scrape.of(gate)).counted, [])
  const held = { size: 290, evicted: 7 }
  gate.holds(() => held)
  t.same((await Scrape.of(gate)).counted, ['held_requests: 290', 'held_requests_evicted_total: 7'])
  held.size = 0
  t.same((await Scrape.of(gate)).counted, ['held_requests_evicted_total: 7'])
})

t.test('OpenMetrics: the same numbers, and the way to the last decision', async t => {
  const gate = made(t, ['im.example'])
  gate.report(judged([said('presence-type', 'reject')], 'reject'), { ...about, decision: 'first' })
  gate.report(judged([said('presence-type', 'reject'), said('b', 'forward')], 'reject'), {
    ...about,
    decision: 'second',
  })
  gate.report(judged([said('b', 'drop')], 'drop'), about)
  gate.report({ report: 'subscription', event: 'approval-in', seconds: 5 }, about)
  gate.sent('client', 'iq', 'im.example')
  const open = await gate.openMetrics.metrics()
  const found = [
    ...open.matchAll(/^stanzagate_(\S+?)\{rule="([^"]+)",verdict="(\w+)".* (\d+) # \{(.*)\} (\S+) (\S+)$/gm),
  ]
  t.same(
    found.map(([, ...rest]) => rest.join(' ')),
    [
      'rule_decisions_total presence-type reject 2 decision_id="second" 1 1795000000.25',
      'rule_decisions_total b forward 1 decision_id="second" 1 1795000000.25',
    ],
  )
  t.notMatch(await gate.registry.metrics(), 'decision_id', 'the text format has no place for it')

  const numbers = (text: string) =>
    new Map(
      new Scrape(text.replaceAll(/ # \{.*$/gm, '')).samples
        .filter(({ name }) => !/^stanzagate_(process|nodejs)_/.test(name))
        .map(({ name, labels, value }) => [JSON.stringify([name, labels]), value]),
    )
  t.same(numbers(open), numbers(await gate.registry.metrics()), 'one has what the other has')

  // Prometheus' own reader of the format wants a time for each sample when it reads a file.
  const timed = open.replaceAll(/^(stanzagate_[^#]*?)(?= # |$)/gm, '$1 1795000001')
  const dir = t.testdir({ 'open.txt': timed, 'wrong.txt': timed.replace('# EOF', '') })
  const read = (file: string) =>
    promtool(['tsdb', 'create-blocks-from', 'openmetrics', join(dir, file), join(dir, file, '..', 'out')])
  t.equal(read('open.txt').status, 0, read('open.txt').said)
  t.not(read('wrong.txt').status, 0, 'it looks')
})

t.test('initial series: what each rule says, as its source has it', async t => {
  t.same([...ruleOutcomes.keys()].toSorted(), rules.map(rule => rule.name).toSorted())
  for (const { name } of rules) {
    const source = readFileSync(new URL(`src/rules/${name}.ts`, root), 'utf8')
    const says = new Set([...source.matchAll(/verdict: '(\w+)'(?!.*isRoutine: true)/g)].map(match => match[1]))
    const stated = new Set((ruleOutcomes.get(name) ?? []).map(one => one.verdict))
    // `judge` turns a reject into a drop where nobody may be answered.
    if (stated.has('reject') && !says.has('drop')) stated.delete('drop')
    t.same([...stated].toSorted(), [...says].toSorted(), name)
  }
})

t.test('the process is watched from the first scrape to the stop', async t => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const gate = made(t)
  const first = await Scrape.of(gate)
  for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_heap_size_used_bytes'])
    t.ok(first.sum(name) > 0, name)
  t.ok(Math.abs(first.sum('process_start_time_seconds') * 1_000 - performance.timeOrigin) < 1)
  if (process.platform === 'linux') {
    t.ok(first.sum('process_open_fds') > 2)
    t.ok(first.sum('process_max_fds') > first.sum('process_open_fds'))
  }
  t.equal(first.sum('nodejs_gc_seconds_total'), 0)
  const collected = async () => {
    collect()
    for (let i = 0; i < 5; i++) await turn()
    return (await Scrape.of(gate)).sum('nodejs_gc_seconds_total', { kind: 'major' })
  }
  t.ok((await collected()) > 0)
  gate.stop()
  const last = await collected()
  t.equal(await collected(), last, 'no longer watched')
  const scrape = await Scrape.of(gate)
  t.ok(scrape.sum('nodejs_eventloop_delay_max_seconds') >= scrape.sum('nodejs_eventloop_delay_p99_seconds'))
  t.same(scrape.strays, [])
})

t.test('the documents are up to date', async t => {
  t.equal(readFileSync(new URL('docs/metrics.md', root), 'utf8'), metricsDocument(), 'node scripts/metrics.mjs')
})

function made(t: Test, routes: readonly string[] = [], listeners = ['tcp-5222']): Metrics {
  const active = activeRules({ default: 'enforce', modes: new Map() })
  const gate = new Metrics({ routes, upstreams: ['main'], rules: active }, () => 1_795_000_000_250)
  for (const listener of listeners) gate.serves(listener)
  t.teardown(() => gate.stop())
  return gate
}

function judged(all: readonly RuleOutcome[], verdict: RuleOutcome['verdict'] = 'forward'): Judged {
  const contact = 'nurse@im.example'
  const account = 'juliet@im.example'
  return { report: 'judged', from: 'client', kind: 'presence', type: 'subscribe', verdict, said: all, account, contact }
}

function said(rule: string, verdict: RuleOutcome['verdict'], mode: RuleOutcome['mode'] = 'enforce'): RuleOutcome {
  return { rule, clause: '', mode, verdict }
}

/** What a histogram of decisions says of one: of its buckets only the widest are reached. */
function decisionLines(outcome: string, seconds: number, reached: number): string[] {
  const bounds = ['60', '600', '3600', '21600', '86400', '259200', '604800', '2419200', '+Inf']
  const name = 'subscription_decision_seconds'
  return [
    ...bounds.slice(-reached).map(le => `${name}_bucket ${le} ${outcome} im.example: 1`),
    `${name}_sum ${outcome} im.example: ${seconds}`,
    `${name}_count ${outcome} im.example: 1`,
  ]
}

function opensAndCloses(gate: Metrics, cause: Cause): void {
  for (const side of ['client', 'upstream'] as const) {
    gate.report({ report: 'stream-opened', side }, about)
    gate.report({ report: 'stream-closed', side, cause }, about)
  }
  gate.report({ report: 'session-opened', jid: 'juliet@im.example/balcony' }, about)
  gate.report({ report: 'session-closed', jid: 'juliet@im.example/balcony', cause }, about)
}

t.test('requests that wait, by age, each time anew', async t => {
  const hour = 3_600_000
  const now = 1_000 * 24 * hour
  const metrics = new Metrics(undefined, () => now)
  t.teardown(() => metrics.stop())
  const accounts = new Accounts<object>(10)
  metrics.countsRequests(() => accounts.waitingRequests())
  const member = {}
  accounts.attach('romeo@im.example', member)
  const asked = (contact: string, age: number | undefined) =>
    accounts.tell(member, { news: 'asked', contact }, age === undefined ? undefined : now - age)
  const ages = [0, hour - 1, hour, 24 * hour - 1, 24 * hour, 7 * 24 * hour - 1, 7 * 24 * hour, undefined]
  for (const [index, age] of ages.entries()) asked(`c${index}@im.example`, age)
  const subscription = { news: 'subscription', direction: 'inbound', contact: 'd@im.example' } as const
  accounts.tell(member, { ...subscription, type: 'subscribe' }, now - 2 * hour)
  const read = async () => {
    const text = await metrics.registry.metrics()
    return [...text.matchAll(/^stanzagate_waiting_requests\{direction="(\w+)",age="(\w+)"\} ([1-9]\d*)$/gm)].map(
      found => found.slice(1).join(' '),
    )
  }
  t.same(await read(), [
    'outbound hour 2',
    'outbound day 2',
    'outbound week 2',
    'outbound older 1',
    'outbound unknown 1',
    'inbound day 1',
  ])
  accounts.tell(member, { ...subscription, direction: 'outbound', type: 'subscribed' }, now)
  accounts.tell(member, { news: 'gave-up', contact: 'c0@im.example' }, now)
  t.same(await read(), [
    'outbound hour 1',
    'outbound day 2',
    'outbound week 2',
    'outbound older 1',
    'outbound unknown 1',
  ])
})

t.test('what is not acknowledged, by type and age', async t => {
  const hour = 3_600_000
  const now = 1_000 * 24 * hour
  const metrics = new Metrics(undefined, () => now)
  t.teardown(() => metrics.stop())
  const accounts = new Accounts<object>(10)
  metrics.countsUnacknowledged(time => accounts.unacknowledged(time))
  const member = {}
  accounts.attach('romeo@im.example', member)
  const subscription = { news: 'subscription', direction: 'inbound' } as const
  const delivered = (type: 'subscribe' | 'subscribed', contact: string, age: number) =>
    accounts.tell(member, { ...subscription, type, contact }, now - age)
  delivered('subscribe', 'a@im.example', 91 * 24 * hour)
  delivered('subscribe', 'b@im.example', 8 * 24 * hour)
  delivered('subscribe', 'c@im.example', hour)
  delivered('subscribed', 'c@im.example', 0)
  const read = async () => {
    const text = await metrics.registry.metrics()
    return [...text.matchAll(/^stanzagate_unacknowledged\{type="(\w+)",age="(\w+)"\} ([1-9]\d*)$/gm)].map(found =>
      found.slice(1).join(' '),
    )
  }
  t.same(await read(), ['subscribe day 1', 'subscribe older 1', 'subscribed hour 1'])
  accounts.tell(member, { ...subscription, direction: 'outbound', type: 'subscribed', contact: 'c@im.example' }, now)
  t.same(await read(), ['subscribe older 1', 'subscribed hour 1'])
})
