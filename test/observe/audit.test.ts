/** The audit: what its lines say, who they name, and what becomes of them when files are moved, cut short, or the disk is full. */
import { spawnSync } from 'node:child_process'
import { readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { AuditConfig } from '../../src/config/types.ts'
import { Audit, hashedJid } from '../../src/observe/audit.ts'
import { AuditFile } from '../../src/observe/audit-file.ts'
import { DecisionIds } from '../../src/observe/decision-ids.ts'
import type { About } from '../../src/relay/watcher.ts'
import type { RuleOutcome } from '../../src/rules/outcome.ts'
import type { Report } from '../../src/session/report.ts'
import { foldBare, parseJid } from '../../src/stanza/jid.ts'
import { HandClock } from '../clients/hand-clock.ts'

type Judged = Extract<Report, { report: 'judged' }>

const about: About = { id: 3, listener: 'tcp-5222', wire: 'tcp', route: 'im.example', client: '::1', decision: 'd1' }
const forged: Judged = {
  report: 'judged',
  from: 'upstream',
  kind: 'presence',
  type: 'subscribed',
  verdict: 'drop',
  said: [said('subscribed-needs-request', 'drop')],
  account: 'juliet@im.example',
  contact: 'romeo@evil.example',
  state: { subscription: 'none', ask: false },
}

function said(rule: string, verdict: RuleOutcome['verdict'], rest: Partial<RuleOutcome> = {}): RuleOutcome {
  return { rule, clause: `clause of ${rule}`, mode: 'enforce', verdict, ...rest }
}

function compensation(outcome: 'undone' | 'limited'): Report {
  const { account = '', contact = '' } = forged
  return { report: 'compensation', outcome, account, contact, before: { subscription: 'from', ask: false } }
}

/** The audit of one gate. `lines` stops it, and gives what it wrote. */
function begin(t: Test, config: Partial<AuditConfig> = {}) {
  const file = join(t.testdir({}), 'audit.jsonl')
  const clock = new HandClock()
  const counted: string[] = []
  const logged: unknown[] = []
  const audit = new Audit({
    config: { file, all: false, key: undefined, ...config },
    clock,
    logger: { error: (line: unknown) => logged.push(line) } as never,
    counted: (outcome, lines) => counted.push(`${outcome} ${lines}`),
    time: () => Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  })
  const lines = async () => {
    await audit.stop()
    return read(file)
  }
  return { audit, file, clock, counted, logged, lines }
}

function read(file: string): string[] {
  const text = readFileSync(file, 'utf8')
  return text === '' ? [] : text.replace(/\n$/, '').split('\n')
}

t.test('a line, whole', async t => {
  const { audit, lines, counted, file } = begin(t)
  audit.report(forged, about)
  t.same(
    (await lines()).map(line => JSON.parse(line)),
    [
      {
        time: '2026-01-02T03:04:05.678Z',
        id: 'd1',
        account: 'juliet@im.example',
        contact: 'romeo@evil.example',
        from: 'server',
        kind: 'presence',
        type: 'subscribed',
        state: 'none',
        preApproval: null,
        verdict: 'drop',
        error: null,
        rule: 'subscribed-needs-request',
        clause: 'clause of subscribed-needs-request',
        mode: 'enforce',
        said: [{ rule: 'subscribed-needs-request', mode: 'enforce', verdict: 'drop' }],
        route: 'im.example',
        listener: 'tcp-5222',
        session: 3,
      },
    ],
  )
  t.same(counted, ['written 1'])
  t.equal(statSync(file).mode & 0o777, 0o600, 'for nobody else')
})

t.test('which reports have a line, and what it says', async t => {
  const rewrote = said('a', 'forward')
  const plain: Judged = { ...forged, said: [], verdict: 'forward' }
  const observed = [said('a', 'drop', { mode: 'observe' }), rewrote]
  const rows: [report: Report, all: boolean, says: string | undefined][] = [
    [forged, false, 'server none drop by subscribed-needs-request enforce'],
    [{ ...forged, said: [rewrote], verdict: 'forward' }, false, 'server none forward by a enforce'],
    [{ ...forged, said: observed, verdict: 'forward' }, false, 'server none drop by a observe'],
    [
      { ...forged, from: 'client', said: [rewrote, said('b', 'reject', { error: 'bad-request' })], verdict: 'reject' },
      false,
      'client none reject bad-request by b enforce',
    ],
    [{ ...forged, said: [], verdict: 'close', state: 'unknown' }, false, 'server unknown close by null null'],
    [plain, false, undefined],
    [plain, true, 'server none forward by null null'],
    [{ ...plain, state: { subscription: 'from', ask: true } }, true, 'server from+ask forward by null null'],
    [{ ...plain, type: 'available' }, true, undefined],
    [{ ...plain, kind: 'message', type: 'chat' }, true, undefined],
    [{ report: 'nonza', from: 'client', verdict: 'drop' }, true, undefined],
    [{ report: 'undecided', type: 'subscribed' }, true, undefined],
    [
      { report: 'request-denied', account: 'romeo@im.example', contact: 'a@far.example' },
      false,
      'gate null forward by pending-requests null',
    ],
    [{ report: 'headline' }, true, undefined],
    [compensation('undone'), false, 'client from forward by subscription-needs-request enforce'],
    [compensation('limited'), true, undefined],
  ]
  for (const [report, all, says] of rows) {
    const { audit, lines, file } = begin(t, { all })
    writeFileSync(file, '')
    audit.report(report, about)
    const told = (await lines()).map(line => {
      const { from, state, verdict, error, rule, mode } = JSON.parse(line)
      return `${from} ${state} ${verdict}${error === null ? '' : ` ${error}`} by ${rule} ${mode}`
    })
    t.same(told, says === undefined ? [] : [says], JSON.stringify([report, all]))
  }
})

t.test('nobody who is not known is named', async t => {
  const { audit, lines } = begin(t)
  const { state: _, ...rest } = forged
  audit.report(
    { ...rest, account: undefined, contact: undefined },
    { id: 1, listener: 'ws', wire: 'websocket', route: undefined },
  )
  const [line = ''] = await lines()
  const { account, contact, state, route, id } = JSON.parse(line)
  t.same([account, contact, state, route, id], [null, null, null, null, null])
})

t.test('what a peer writes stays within its line', async t => {
  const evil = [
    'a@b\n{"time":"forged"}',
    'a@b\r\u2028\u2029\u0085{}',
    '"},{"id":"x',
    '\u001b[2J\u009b31m\u007f',
    '\u202e\u200b\ufeff',
    '\ud800',
    'x'.repeat(100_000),
  ]
  const { audit, lines } = begin(t)
  for (const contact of evil) audit.report({ ...forged, contact }, about)
  const written = await lines()
  t.equal(written.length, evil.length)
  for (const [index, line] of written.entries()) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
    t.notMatch(line, /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202e\u200b\ufeff]/)
    t.ok(line.length < 3_000, 'no line is endless')
    const { contact } = JSON.parse(line)
    if (index < 5) t.equal(contact, evil[index], 'and nothing is lost of it')
  }
})

t.test('JIDs as hashes', async t => {
  const key = 'a key of sixteen and more characters'
  const { audit, lines } = begin(t, { key })
  const spellings = ['romeo@evil.example', 'ROMEO@Evil.Example', 'romeo@evil.example.']
  for (const contact of [...spellings, 'romeo@evil.example2', 'no jid at all'])
    audit.report({ ...forged, contact }, about)
  const written = await lines()
  t.notMatch(written.join(), /romeo|juliet|evil/i)
  const contacts = written.map(line => JSON.parse(line).contact as string)
  t.match(contacts[0], /^hmac:[0-9a-f]{32}$/)
  t.equal(contacts[0], hashedJid(key, 'Romeo@evil.example'))
  t.same(new Set(contacts).size, 3, 'all spellings of one account have one hash, and nobody else has it')
  t.not(hashedJid('another key of sixteen', 'romeo@evil.example'), contacts[0])
  t.equal(JSON.parse(written[0] as string).account, hashedJid(key, 'juliet@im.example'))
  // RFC 4231 has the function right; this has the name right: HMAC-SHA-256 of the folded bare JID, its first 16 bytes.
  t.equal(hashedJid('key', 'The@quick.example'), `hmac:${openssl('key', 'the@quick.example').slice(0, 32)}`)
  for (const hash of contacts) t.equal(parseJid(hash), undefined, 'no JID looks like one')
})

function openssl(key: string, text: string): string {
  const { stdout } = spawnSync('openssl', ['dgst', '-sha256', '-hmac', key], { input: text, encoding: 'utf8' })
  return stdout.trim().replace(/^.*= /, '')
}

t.test('names of decisions', async t => {
  let time = 1_700_000_000_000
  let chance = 0
  const ids = new DecisionIds({ time: () => time, below: most => (chance++ * 7_919) % most })
  const made: string[] = []
  for (let count = 0; count < 40_000; count++) made.push(ids.next())
  time -= 3_600_000 // set back
  for (let count = 0; count < 10; count++) made.push(ids.next())
  time += 7_200_000
  made.push(ids.next())
  t.equal(new Set(made).size, made.length, 'each once')
  t.same(made.toSorted(), made, 'in order, by the bytes')
  for (const id of [made[0], made.at(-1)]) t.match(id, /^[0-9a-hjkmnp-tv-z]{16}$/)
  const [one, other] = [new DecisionIds({ time: () => 5 }), new DecisionIds({ time: () => 5 })]
  t.not(one.next(), other.next(), 'two processes in one millisecond')
})

/** The file alone; `add` resolves when nothing waits. */
function openIn(t: Test, path = join(t.testdir({}), 'audit.jsonl'), atMost?: number) {
  const clock = new HandClock()
  const told: string[] = []
  const file = new AuditFile({
    path,
    now: () => clock.now(),
    told: (outcome, lines, why) => told.push([outcome, lines, ...(why === undefined ? [] : [why])].join(' ')),
    ...(atMost === undefined ? {} : { atMost }),
  })
  t.teardown(() => file.close())
  const add = async (...lines: string[]) => {
    for (const line of lines) file.add(line)
    await file.settled()
  }
  return { file, path, clock, told, add }
}

t.test('logrotate that moves the file: lines follow within a second', async t => {
  const { path, clock, add, told } = openIn(t)
  await add('one')
  renameSync(path, `${path}.1`)
  await add('two')
  clock.advance(1_000)
  await add('three')
  t.same([read(`${path}.1`), read(path)], [['one', 'two'], ['three']])
  t.equal(statSync(path).mode & 0o777, 0o600)
  rmSync(path)
  clock.advance(1_000)
  await add('four')
  t.same(read(path), ['four'], 'a file that was removed')
  t.same(told, ['written 1', 'written 1', 'written 1', 'written 1'])
})

t.test('... and at once after SIGHUP, into the file that logrotate made', async t => {
  const { file, path, add } = openIn(t)
  await add('one')
  renameSync(path, `${path}.1`)
  writeFileSync(path, '', { mode: 0o640 })
  file.reopen()
  await add('two')
  t.same([read(`${path}.1`), read(path)], [['one'], ['two']])
  t.equal(statSync(path).mode & 0o777, 0o640, 'whose mode is what logrotate was told')
})

t.test('logrotate that copies and truncates', async t => {
  const { path, add } = openIn(t)
  await add('one', 'two')
  truncateSync(path)
  await add('three')
  t.equal(readFileSync(path, 'utf8'), 'three\n', 'without a hole before it')
})

t.test('a file that ends within a line', async t => {
  const path = join(t.testdir({ 'audit.jsonl': '{"cut' }), 'audit.jsonl')
  const { add } = openIn(t, path)
  await add('one', 'two')
  t.same(read(path), ['{"cut', 'one', 'two'])
})

t.test('lines that cannot be written are counted', async t => {
  const { told, add } = openIn(t, '/dev/full')
  await add('one')
  await add('two', 'three')
  // The first of them is under way before the second is there.
  t.same(told, ['lost 1 ENOSPC', 'lost 1 ENOSPC', 'lost 1 ENOSPC'])
  const folder = t.testdir({})
  const away = openIn(t, join(folder, 'gone', 'audit.jsonl'))
  await away.add('one')
  t.same(away.told, ['lost 1 ENOENT'])
})

t.test('the disk is full in the middle of a line', async t => {
  const path = join(t.testdir({}), 'audit.jsonl')
  const module = new URL('../../src/observe/audit-file.js', import.meta.url)
  const program = `
    import { AuditFile } from '${module}'
    const told = []
    const file = new AuditFile({ path: ${JSON.stringify(path)}, now: () => 0, told: (...all) => told.push(all.filter(Boolean).join(' ')) })
    const line = letter => letter.repeat(299)
    file.add(line('a'))
    await file.settled()
    for (const letter of ['b', 'c', 'd', 'e', 'f']) file.add(line(letter))
    await file.settled()
    console.log(JSON.stringify(told))`
  // Files may have 1024 bytes there. Node ignores the signal, and sees a short write and then an error.
  // Without what measures coverage, which writes files too; tap puts it into whatever environment a child is given.
  const limited = `unset NODE_OPTIONS NODE_V8_COVERAGE; ulimit -f 1; exec "$0" --input-type=module -e "$1"`
  const { stdout, stderr } = spawnSync('bash', ['-c', limited, process.execPath, program], { encoding: 'utf8' })
  t.equal(stderr, '')
  t.same(JSON.parse(stdout), ['written 1', 'written 1', 'written 1', 'lost 3 EFBIG'])
  t.equal(statSync(path).size, 1_024)
  const { add } = openIn(t, path)
  await add('whole')
  t.same(
    read(path).map(line => `${line[0]}${line.length}`),
    ['a299', 'b299', 'c299', 'd124', 'w5'],
    'the next line is a line by itself',
  )
})

t.test('a disk that is too slow', async t => {
  const { told, add, path } = openIn(t, undefined, 12)
  await add('12345', '12345', 'too much', 'too much')
  t.same(told, ['lost 1 slow', 'lost 1 slow', 'written 1', 'written 1'])
  await add('later')
  t.same(read(path), ['12345', '12345', 'later'], 'and there is room again')
})

t.test('the log hears of it once a minute, and of how many', async t => {
  const { audit, clock, counted, logged } = begin(t, { file: '/dev/full' })
  const settle = async () => {
    audit.report(forged, about)
    await audit.stop()
  }
  await settle()
  await settle()
  clock.advance(59_999)
  await settle()
  const line = { file: '/dev/full', reason: 'ENOSPC' }
  t.same(logged, [{ ...line, lines: 1 }])
  clock.advance(1)
  await settle()
  t.same(logged, [
    { ...line, lines: 1 },
    { ...line, lines: 3 },
  ])
  t.same(counted, Array(4).fill('lost 1'))
  t.equal(clock.timers, 0)
})

t.test('a stop waits for two seconds and no longer', async t => {
  const { audit, clock, file, counted } = begin(t)
  spawnSync('mkfifo', [file]) // it holds 64 KiB, and nobody reads it
  const lines = 300
  for (let line = 0; line < lines; line++) audit.report(forged, about)
  const stopped = audit.stop()
  clock.advance(2_000)
  await stopped
  t.ok(counted.length < 2, 'most of it still waits')
  const reader = await open(file, 'r')
  for (let ends = 0; ends < lines; ) {
    const { buffer, bytesRead } = await reader.read(Buffer.alloc(65_536))
    ends += buffer.subarray(0, bytesRead).filter(byte => byte === 0x0a).length
  }
  await reader.close()
  await audit.stop()
  t.same(counted, ['written 1', `written ${lines - 1}`], 'and nothing of it was given up')
})

t.test('hashes are of what is compared', async t => {
  t.equal(hashedJid('k', 'ROMEO@evil.example'), hashedJid('k', foldBare('romeo@evil.example') ?? ''))
})
