/** The benchmarks run, on a hundredth of their work: figures are not looked at, only that there is one for each. */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { SaxesParser } from 'saxes'
import t from 'tap'

const run = promisify(execFile)
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url))

t.test('side by side', async t => {
  const json = join(t.testdir({}), 'figures.json')
  const { stdout } = await run(process.execPath, [script('compare.js'), '--smoke', '--json', json])
  const { figures } = JSON.parse(readFileSync(json, 'utf8')) as { figures: Record<string, Record<string, number[]>> }
  const plain = ['chat', 'chat8', 'presence', 'subscription', 'login', 'rate', 'idle']
  const tls = ['tls-chat', 'tls-chat8', 'tls-login', 'tls-idle']
  const servers = ['server-chat', 'server-login']
  t.same(Object.keys(figures), [...plain, ...tls, ...servers, 'ws-chat'])
  for (const [key, bySubject] of Object.entries(figures)) {
    const names =
      key === 'ws-chat'
        ? ['prosody, mod_websocket', 'gate and prosody']
        : servers.includes(key)
          ? ['prosody', 'prosody, mod_firewall', 'gate and prosody']
          : [...(tls.includes(key) ? [] : ['direct']), 'haproxy', 'pipe', 'gate']
    for (const name of names) t.equal(bySubject[name]?.length, 1, `${key}: ${name}`)
  }
  t.match(stdout, /^\| chat, one in flight \|/m)
})

t.test('the pure path', async t => {
  const { stdout } = await run(process.execPath, [script('core.js'), '--rounds', '1', '--count', '100', '--json'])
  const rows = JSON.parse(stdout) as readonly { name: string; read: number; judge: number; write: number }[]
  t.ok(rows.length >= 6)
  for (const { name, read, judge, write } of rows) t.ok(read > 0 && judge > 0 && write > 0, name)
})

t.test('as work grows', async t => {
  const json = join(t.testdir({}), 'figures.json')
  const { stdout } = await run(process.execPath, [script('growth.js'), '--smoke', '--json', json])
  const { figures } = JSON.parse(readFileSync(json, 'utf8')) as {
    figures: Record<string, Record<string, Record<string, Record<string, number[]>>>>
  }
  const expected = {
    sessions: ['few', 'all', 'memory'],
    roster: ['login', 'subscription', 'presence', 'memory'],
    size: ['chat'],
    resources: ['subscription'],
  }
  t.same(Object.keys(figures), Object.keys(expected))
  for (const [growth, series] of Object.entries(expected))
    for (const key of series)
      for (const subject of ['haproxy', 'gate']) {
        const points = Object.values(figures[growth]?.[key]?.[subject] ?? {})
        t.ok(points.length > 0 && points.every(rounds => rounds.length === 1), `${growth}: ${key}: ${subject}`)
      }
  for (const first of ['sessions', 'contacts in the roster', 'bytes of the body', 'sessions of an account'])
    t.match(stdout, new RegExp(`^\\| ${first} \\|`, 'm'))
})

t.test('hostile clients', async t => {
  const json = join(t.testdir({}), 'figures.json')
  const { stdout } = await run(process.execPath, [script('hostile.js'), '--smoke', '--json', json])
  const { figures } = JSON.parse(readFileSync(json, 'utf8')) as { figures: Record<string, Record<string, object[]>> }
  t.same(
    Object.entries(figures).map(([key, of]) => [key, Object.keys(of)]),
    [
      ['reading', ['haproxy', 'pipe', 'gate']],
      ['stalled', ['haproxy', 'pipe', 'gate']],
      ['slow', ['haproxy', 'gate', 'gate, none closed']],
    ],
  )
  t.equal(stdout.match(/^\| gate \|/gm)?.length, 2)
})

t.test('plots', async t => {
  const machine = 'a machine'
  const told = { machine, rounds: 1, date: '2026-01-31T00:00:00.000Z' }
  const curve = { haproxy: { 10: [10], 1000: [11] }, gate: { 10: [20], 1000: [2_000] } }
  const folder = t.testdir({
    'ratios.json': JSON.stringify({
      ...told,
      figures: { chat: { direct: [0], haproxy: [10], pipe: [15], gate: [30] } },
    }),
    'growth.json': JSON.stringify({
      ...told,
      figures: {
        sessions: { few: curve, all: curve, memory: curve },
        roster: { login: curve, subscription: curve, presence: curve, memory: curve },
        size: { chat: curve },
        resources: { subscription: curve },
      },
    }),
  })
  const drawn = async (to: string) => {
    const [ratios, growth] = [join(folder, 'ratios.json'), join(folder, 'growth.json')]
    await run(process.execPath, [script('plot.js'), '--ratios', ratios, '--growth', growth, '--to', join(folder, to)])
    return readdirSync(join(folder, to)).map(name => [name, readFileSync(join(folder, to, name), 'utf8')] as const)
  }
  const files = await drawn('once')
  t.same(
    files.map(([name]) => name),
    ['ratios.svg', 'resources.svg', 'roster.svg', 'sessions.svg', 'size.svg'],
  )
  t.same(await drawn('again'), files, 'the same figures give the same files')
  for (const [name, text] of files) {
    const tags: string[] = []
    const parser = new SaxesParser()
    parser.on('opentag', ({ name }) => tags.push(name))
    parser.write(text).close()
    t.match(tags, ['svg', 'title', 'desc', 'rect'], `${name} begins with its title and a ground`)
    t.match(text, machine)
    if (name === 'ratios.svg') t.match(text, '>3.00<', 'the gate costs three times what HAProxy costs')
    t.notMatch(text, /NaN|Infinity|undefined/, name)
    t.ok(tags.includes(name === 'ratios.svg' ? 'rect' : 'polyline'), name)
  }
})
