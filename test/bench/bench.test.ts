/** The benchmarks run, on a hundredth of their work: figures are not looked at, only that there is one for each. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
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
