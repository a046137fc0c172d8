/** The command line as a user meets it: a process, its output, its exit status. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { writeCertificate } from './servers/certificate.ts'

const cli = fileURLToPath(new URL('../src/cli.js', import.meta.url))
const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version

interface Outcome {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

function start(args: readonly string[], cwd: string): ChildProcess {
  return spawn(process.execPath, [cli, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
}

async function end(child: ChildProcess): Promise<Outcome> {
  let out = ''
  let err = ''
  child.stdout?.on('data', data => {
    out += data
  })
  child.stderr?.on('data', data => {
    err += data
  })
  const [status] = await once(child, 'close')
  return { status, out, err }
}

const good = `
listeners:
  - { kind: tcp, address: 127.0.0.1, port: 0, tls: { mode: starttls, cert: certificate.pem, key: key.pem } }
  - { kind: websocket, address: 127.0.0.1, port: 0 }
admin: { address: 127.0.0.1, port: 0 }
upstreams:
  main: { address: 127.0.0.1, port: 1, tls: { mode: none } }
routes:
  - { domain: localhost, upstream: main }
`

t.test('what is said, and the exit status', async t => {
  const server = createServer(socket => socket.destroy()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const up = good.replace('port: 1,', `port: ${(server.address() as { port: number }).port},`)
  const folder = t.testdir({
    'good.yaml': up,
    'down.yaml': good,
    'bad.yaml': good.replace('starttls', 'startls'),
    'changed.yaml': `${good.replace('main: {', 'spare: { address: 127.0.0.1, port: 2, tls: { mode: none } }\n  main: { proxyProtocol: v2,')}rules: { presence-type: observe }\n`,
    'empty.yaml': '',
    'warned.yaml': up.replace('websocket, address: 127.0.0.1', 'websocket, plaintext: allowed, address: 0.0.0.0'),
  })
  await writeCertificate(folder, ['localhost'])
  const rows: [args: string[], status: number, out: RegExp, err: RegExp][] = [
    [['--version'], 0, new RegExp(`^${version.replaceAll('.', '\\.')}\n$`), /^$/],
    [['--help'], 0, /serve --config FILE[\s\S]*check --config FILE[\s\S]*Exit status/, /^$/],
    [['serve', '--help'], 0, /^stanzagate serve: [\s\S]*SIGHUP/, /^$/],
    [['check', '--help'], 0, /^stanzagate check: [\s\S]*each upstream is connected to/, /^$/],
    [['check', '--config', 'good.yaml'], 0, /^upstreams\.main: 127\.0\.0\.1:\d+ is reached\ngood\.yaml: good\n$/, /^$/],
    [
      ['check', '--config', 'down.yaml'],
      0,
      /^down\.yaml: good, with warnings \(1\)\n$/,
      /^down\.yaml: warning: upstreams\.main: 127\.0\.0\.1:1 is not reached: nothing listens there; start the server, or .*\n$/,
    ],
    [
      ['check', '-c', 'bad.yaml'],
      2,
      /^$/,
      /^bad\.yaml:3: listeners\[0\]\.tls\.mode: 'startls' is not one of starttls, direct, none; did you mean 'starttls'\?\n$/,
    ],
    [['serve', '-c', 'bad.yaml'], 2, /^$/, /listeners\[0\]\.tls\.mode/],
    [['check', '-c', 'empty.yaml'], 2, /^$/, /^empty\.yaml/],
    [['check', '-c', 'none.yaml'], 2, /^$/, /^none\.yaml/],
    [['check'], 2, /^$/, /needs --config FILE[\s\S]*--help/],
    [
      ['check', '-c', 'warned.yaml'],
      0,
      /warned\.yaml: good, with warnings \(1\)\n$/,
      /^warned\.yaml:4: warning: listeners\[1\]\.plaintext: is allowed, and to '0\.0\.0\.0' passwords .*; let nothing .*\n$/,
    ],
    [['check', '-c', 'warned.yaml', '--diff', 'good.yaml'], 0, /^listeners\[1\]: needs a restart\n$/, /^$/],
    [
      ['check', '-c', 'changed.yaml', '--diff', 'down.yaml'],
      0,
      /^upstreams\.main: taken by a reload\nupstreams\.spare: taken by a reload\nrules\.presence-type: taken by a reload\n$/,
      /^$/,
    ],
    [['check', '-c', 'good.yaml', '--diff', 'good.yaml'], 0, /^nothing differs\n$/, /^$/],
    [['check', '-c', 'good.yaml', '--diff', 'bad.yaml'], 2, /^$/, /^bad\.yaml:3: /],
    [['serve', '-c', 'good.yaml', '--diff', 'good.yaml'], 2, /^$/, /--diff belongs to check/],
    [['check', 'more', '-c', 'good.yaml'], 2, /^$/, /'more' is too much/],
    [['explain', '--help'], 0, /^stanzagate explain: /, /^$/],
    [['explain'], 2, /^$/, /give a file with a stanza[\s\S]*explain --help/],
    [[], 2, /^$/, /a command is missing/],
    [['run'], 2, /^$/, /there is no command 'run'/],
    [['--wrong'], 2, /^$/, /--wrong/],
  ]
  for (const [args, status, out, err] of rows) {
    const outcome = await end(start(args, folder))
    const call = `stanzagate ${args.join(' ')}`
    t.equal(outcome.status, status, `${call}: ${status}`)
    t.match(outcome.out, out, `${call}: what it prints`)
    t.match(outcome.err, err, `${call}: what it complains of`)
  }
})

t.test('serving, until a signal ends it', async t => {
  const folder = t.testdir({ 'good.yaml': good })
  await writeCertificate(folder, ['localhost'])
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const child = start(['serve', '--config', 'good.yaml'], folder)
    t.teardown(() => child.kill('SIGKILL'))
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
    for await (const line of lines) {
      const told = JSON.parse(line)
      if (told.msg !== 'serving') continue
      t.equal(told.listeners.length, 2)
      const base = `http://127.0.0.1:${told.admin.port}`
      t.equal((await fetch(`${base}/readyz`)).status, 200, 'ready')
      t.match(await (await fetch(`${base}/metrics`)).text(), /^stanzagate_streams_active/m)
      break
    }
    child.kill(signal)
    const [status] = await once(child, 'close')
    t.equal(status, 0, `${signal}: 0`)
  }
})

t.test('a port that is taken', async t => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const folder = t.testdir({ 'good.yaml': good.replace('port: 0, tls', `port: ${port}, tls`) })
  await writeCertificate(folder, ['localhost'])
  const { status, err } = await end(start(['serve', '-c', 'good.yaml'], folder))
  t.equal(status, 1)
  t.equal(
    err,
    `stanzagate: cannot listen on 127.0.0.1:${port}: something else listens there; stop it, or choose another port\n`,
  )
})
