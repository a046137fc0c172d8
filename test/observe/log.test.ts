import fastify from 'fastify'
import t, { type Test } from 'tap'
import { type LogArea, type LogConfig, type LogLevel, logAreas } from '../../src/config/types.ts'
import { Log, loggerOptions, loggersOf } from '../../src/observe/log.ts'
import { prettyLine, styleFor } from '../../src/observe/terminal-log.ts'
import type { About } from '../../src/relay/watcher.ts'
import type { RuleOutcome } from '../../src/rules/outcome.ts'
import type { Report } from '../../src/session/report.ts'

const about: About = {
  ...{ id: 7, listener: 'clients', wire: 'tcp', tls: 'TLSv1.3', route: 'im.example', upstream: 'main' },
  ...{ client: '192.0.2.1', began: performance.now() - 5_000 },
  traffic: { bytesFromClient: 10, bytesToClient: 20, stanzasFromClient: 1, stanzasToClient: 2, decisions: 3 },
}
const said = (verdict: RuleOutcome['verdict'], mode: RuleOutcome['mode'] = 'enforce'): RuleOutcome => ({
  ...{ rule: 'presence-type', clause: 'RFC 6121 4.7.1', mode, verdict },
})
type Judged = Extract<Report, { report: 'judged' }>
const judged = (verdict: Judged['verdict'], ...all: RuleOutcome[]): Judged => ({
  ...{ report: 'judged', from: 'client', kind: 'presence', type: 'subscribe', verdict, said: all },
  ...{ account: 'romeo@im.example', contact: 'juliet@im.example' },
})

/** What a log of these levels says; `isTTY`: to somebody at a terminal. */
function made(t: Test, config: LogConfig, isTTY = false) {
  const lines: string[] = []
  const out = { isTTY, write: (line: string) => lines.push(line), on: () => {}, listenerCount: () => 1 }
  const app = fastify({ logger: loggerOptions(config.level, out as unknown as NodeJS.WriteStream) })
  t.teardown(() => app.close())
  const loggers = loggersOf(app.log, config)
  return { lines, app, loggers, log: new Log(loggers), logAt: (now: () => number) => new Log(loggers, now) }
}

t.test('a session has one line for its life', async t => {
  const { lines, log } = made(t, { level: 'info' })
  log.report({ report: 'session-opened', jid: 'romeo@im.example/orchard' }, about)
  log.report({ report: 'session-closed', jid: 'romeo@im.example/orchard', cause: 'client-closed' }, about)
  t.equal(lines.length, 1)
  const { seconds, time: _, pid: __, hostname: ___, ...line } = JSON.parse(lines[0] ?? '')
  t.same(line, {
    ...{
      level: 30,
      area: 'sessions',
      msg: 'session closed',
      stream: 7,
      account: 'romeo@im.example',
      resource: 'orchard',
    },
    ...{ listener: 'clients', wire: 'tcp', tls: 'TLSv1.3', route: 'im.example', client: '192.0.2.1' },
    ...{ bytesFromClient: 10, bytesToClient: 20, stanzasFromClient: 1, stanzasToClient: 2, against: 3 },
    cause: 'client-closed',
  })
  t.ok(seconds >= 5 && seconds < 65, `${seconds} s`)
})

t.test('each area has its level', async t => {
  const reports: [area: LogArea, level: LogLevel, report: Report][] = [
    ['connections', 'debug', { report: 'stream-opened', side: 'client' }],
    ['upstream', 'debug', { report: 'stream-closed', side: 'upstream', cause: 'upstream-lost' }],
    ['upstream', 'warn', { report: 'connect-failed', upstream: 'main', reason: 'refused' }],
    ['upstream', 'info', { report: 'stream-error', side: 'upstream', by: 'peer', condition: 'conflict' }],
    ['sessions', 'info', { report: 'stream-error', side: 'client', by: 'gate', condition: 'conflict' }],
    ['sessions', 'info', { report: 'negotiation-failed', stage: 'sasl', condition: 'not-authorized' }],
    ['sessions', 'debug', { report: 'negotiation-failed', stage: 'sasl', condition: 'not-authorized' }],
    ['sessions', 'info', { report: 'negotiation-failed', stage: 'sasl', condition: 'aborted' }],
    ['sessions', 'debug', { report: 'session-opened', jid: 'a@b/c' }],
    ['sessions', 'info', { report: 'session-closed', jid: 'a@b/c', cause: 'shutdown' }],
    ['sessions', 'debug', { report: 'undecided', type: 'subscribed' }],
    ['rules', 'info', judged('reject', said('reject'))],
    ['rules', 'info', judged('forward', said('reject', 'observe'))],
    ['rules', 'info', judged('reject')],
    ['rules', 'info', judged('drop', said('forward'), said('drop'))],
    ['rules', 'debug', judged('forward', said('forward'))],
  ]
  const order: LogLevel[] = ['debug', 'info', 'warn', 'silent']
  for (const level of order)
    for (const area of [undefined, ...logAreas])
      for (const own of area === undefined ? (['silent'] as const) : order) {
        const { lines, log } = made(t, { level, ...(area && { areas: { [area]: own } }) })
        for (const [, , report] of reports) log.report(report, about)
        log.report(judged('forward'), about)
        const heard = reports.filter(each => order.indexOf(each[0] === area ? own : level) <= order.indexOf(each[1]))
        const told = lines.map(line => JSON.parse(line)).map(line => line.area)
        t.same(
          told,
          heard.map(([name]) => name),
          `${level}, ${area} ${own}`,
        )
      }
})

t.test('a rewritten stanza is told at debug level, and one that just went on nowhere', async t => {
  const { lines, log } = made(t, { level: 'trace' })
  log.report(judged('forward', said('forward')), { ...about, decision: 'id' })
  log.report(judged('forward'), about)
  log.report(judged('forward', said('forward', 'observe')), about)
  const rewritten = { level: 20, msg: 'stanza rewritten', decision: 'id', account: 'romeo@im.example' }
  t.match(
    lines.map(line => JSON.parse(line)),
    [
      { ...rewritten, said: [{ rule: 'presence-type' }] },
      { level: 20, msg: 'stanza would be rewritten' },
    ],
  )
  t.equal(lines.length, 2)
})

t.test('whose stream ended for which limit, and who does not get in', async t => {
  const { lines, app } = made(t, { level: 'info' })
  let now = 0
  const log = new Log(app.log, () => now)
  const [stage, condition] = ['sasl', 'not-authorized'] as const
  const text = 'more than 2000 elements'
  log.report({ report: 'stream-error', side: 'client', by: 'gate', condition: 'policy-violation', text }, about)
  for (const at of [0, 0, 9_999, 10_000]) {
    now = at
    log.report({ report: 'negotiation-failed', stage, condition }, about)
  }
  const who = { stream: 7, listener: 'clients', client: '192.0.2.1' }
  t.match(
    lines.map(line => JSON.parse(line)),
    [
      { ...who, msg: 'stream error', condition: 'policy-violation', text },
      { ...who, msg: 'negotiation failed', stage, condition, count: 1 },
      { ...who, msg: 'negotiation failed', stage, condition, count: 3 },
    ],
  )
  t.equal(lines.length, 3)
})

t.test('a server that is down: one line in ten seconds, with its address and the number', async t => {
  const { lines, app } = made(t, { level: 'info' })
  let now = 0
  const log = new Log(
    app.log,
    () => now,
    upstream => (upstream === 'main' ? '127.0.0.1:15222' : undefined),
  )
  for (let attempt = 0; attempt < 177; attempt++) {
    now = attempt * 56
    log.report({ report: 'connect-failed', upstream: 'main', reason: 'refused' }, about)
  }
  now = 10_001
  const tls = { ...about, tlsFault: 'tlsv1 alert unknown ca' }
  log.report({ report: 'connect-failed', upstream: 'main', reason: 'refused' }, about)
  log.report({ report: 'connect-failed', upstream: 'main', reason: 'tls' }, tls)
  log.report({ report: 'negotiation-failed', stage: 'tls', condition: 'handshake' }, tls)
  const at = { level: 40, msg: 'upstream not reached', upstream: 'main', address: '127.0.0.1:15222' }
  t.match(
    lines.map(line => JSON.parse(line)),
    [
      { ...at, reason: 'refused', count: 1 },
      { ...at, reason: 'refused', count: 177 },
      { ...at, reason: 'tls', tlsFault: 'tlsv1 alert unknown ca', count: 1 },
      { msg: 'negotiation failed', stage: 'tls', tlsFault: 'tlsv1 alert unknown ca' },
    ],
  )
  t.equal(lines.length, 4)
})

t.test('one logger for all areas names none', async t => {
  const { lines, app } = made(t, { level: 'info' })
  new Log(app.log).report(judged('reject', said('reject')), about)
  t.equal(JSON.parse(lines[0] ?? '').area, undefined)
})

t.test('what the sessions, the rules and the rest say, a terminal shows in one line', async t => {
  const { lines, loggers, app } = made(t, { level: 'trace' }, true)
  loggers.rules.info({ verdict: 'drop', said: [1], contact: 'a b', empty: '', off: false }, 'stanza judged')
  app.log.warn('words')
  loggers.admin.debug({ address: '192.0.2.1' }, 'login')
  const paint = String.raw`(?:\u001b\[\d+m)*`
  const bare = lines.map(line => line.replace(new RegExp(paint, 'g'), ''))
  t.match(
    bare[0],
    /^\d\d:\d\d:\d\d\.\d{3} INFO {2}rules {7}stanza judged verdict=drop said=\[1\] contact="a b" empty="" off=false\n$/,
  )
  t.match(bare[1], /^\S+ WARN {14}words\n$/)
  t.match(bare[2], /^\S+ DEBUG admin {7}login address=192\.0\.2\.1\n$/)
})

t.test('nor does anybody end that line, or steer the terminal', async t => {
  const { lines, loggers } = made(t, { level: 'trace' }, true)
  const evil = 'a\r\n00:00:00.000 INFO forged\u001b[2J\u009b31m\u202e\u2028\u0085"=\u0000\\'
  loggers.rules.info({ contact: evil, [evil]: evil, list: [evil], said: { evil } }, evil)
  loggers.rules.info({ area: evil }, 'area')
  loggers.sessions.error({ err: Object.assign(new Error(evil), { secret: 's3cret' }) }, 'fault')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  const steering = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\u2028]/
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the gate's own colours
  const plain = lines.map(line => line.replace(/\u001b\[\d+m/g, ''))
  for (const line of plain) t.notMatch(line, steering)
  for (const line of plain) t.notMatch(line, 's3cret')
  t.equal(plain[0]?.split('\n').length, 2)
  t.equal(plain[1]?.split('\n').length, 2)
  const [first, ...stack] = plain[2]?.trimEnd().split('\n') ?? []
  t.match(first, /ERROR sessions +fault$/)
  t.ok(stack.length > 2 && stack.every(line => line.startsWith('    ')), 'where it happened, further in')
})

t.test('colours are for who wants them', async t => {
  const json = '{"level":30,"time":0,"msg":"words","area":"rules"}\n'
  for (const [out, environment, isColoured] of [
    [{ isTTY: true }, {}, true],
    [{ isTTY: true }, { NO_COLOR: '1' }, false],
    [{ isTTY: true }, { NO_COLOR: '' }, true],
    [{ isTTY: true }, { TERM: 'dumb' }, false],
    [{}, {}, false],
  ] as const)
    t.equal(
      prettyLine(json, styleFor(out, environment)).includes('\u001b'),
      isColoured,
      JSON.stringify([out, environment]),
    )
  t.equal(prettyLine('no JSON\u009b\n', styleFor({})), 'no JSON\\u009b\n')
})

t.test('a flood of decisions of one stream is told in part, and counted', async t => {
  const { lines, logAt } = made(t, { level: 'info' })
  let now = 0
  const log = logAt(() => now)
  const report = judged('reject', said('reject'))
  for (let i = 0; i < 300; i++) log.report(report, about)
  log.report(report, { ...about, id: 8 })
  t.equal(lines.length, 51, 'fifty lines, and another stream has its own')
  now = 10_000
  log.report(report, about)
  t.equal(JSON.parse(lines.at(-1) ?? '').leftOut, 250)
  log.report({ report: 'stream-closed', side: 'client', cause: 'client-closed' }, about)
  log.report(report, about)
  t.equal(JSON.parse(lines.at(-1) ?? '').leftOut, undefined)
})
