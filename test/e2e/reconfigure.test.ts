/** A new configuration under clients that stay: by SIGHUP and by POST /api/reload, all or nothing. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { connectTcp, type RawClient } from '../clients/raw.ts'
import { within } from '../clients/within.ts'
import { Counts, makeProsody } from './gate.ts'

const prosody = await makeProsody(t, { accounts: { romeo: 'secret' } })
const token = 'a-token-that-nobody-guesses'

interface Choices {
  readonly rules?: string
  readonly log?: string
  readonly routes?: string
  readonly resources?: number
  readonly watch?: boolean
}

class Command {
  readonly port: number
  readonly admin: number
  readonly folder: string
  private readonly child: ChildProcess
  private readonly lines: AsyncIterator<string>

  private constructor(folder: string, child: ChildProcess, lines: AsyncIterator<string>, ports: number[]) {
    this.folder = folder
    this.child = child
    this.lines = lines
    this.port = ports[0] ?? 0
    this.admin = ports[1] ?? 0
  }

  static async start(t: Test, choices: Choices): Promise<Command> {
    const folder = t.testdir()
    write(folder, choices)
    const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url))
    const child = spawn(process.execPath, [cli, 'serve', '-c', 'gate.yaml'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(() => child.kill('SIGKILL'))
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const starting = new Command(folder, child, lines, [])
    const { listeners, admin } = (await starting.logged('serving')) as {
      listeners: { port: number }[]
      admin: { port: number }
    }
    return new Command(folder, child, lines, [listeners[0]?.port ?? 0, admin.port])
  }

  /** The next line that says this. */
  async logged(message: string): Promise<Record<string, unknown>> {
    for (;;) {
      const { value } = await within(`'${message}' in the log`, this.lines.next())
      const line = JSON.parse(String(value))
      if (line.msg === message) return line
    }
  }

  hup(choices: Choices): void {
    write(this.folder, choices)
    this.child.kill('SIGHUP')
  }

  post(choices: Choices | undefined, headers: Record<string, string> = { authorization: `Bearer ${token}` }) {
    if (choices !== undefined) write(this.folder, choices)
    return fetch(`http://127.0.0.1:${this.admin}/api/reload`, { method: 'POST', headers })
  }

  async counts(): Promise<Counts> {
    const headers = { authorization: `Bearer ${token}` }
    return new Counts(await (await fetch(`http://127.0.0.1:${this.admin}/metrics`, { headers })).text())
  }

  async end(t: Test): Promise<void> {
    this.child.kill('SIGTERM')
    t.strictSame(await once(this.child, 'close'), [0, null])
  }
}

function write(
  folder: string,
  { rules = '', log = '{ level: info }', routes, resources = 60, watch = false }: Choices,
): void {
  const text = `listeners:
  - { kind: tcp, address: 127.0.0.1, port: 0, tls: { mode: none } }
admin: { address: 127.0.0.1, port: 0, token: ${token} }
upstreams: { main: { address: 127.0.0.1, port: ${prosody.port}, tls: { mode: none } } }
routes: ${routes ?? '[{ domain: localhost, upstream: main }]'}
log: ${log}
limits: { connections: { perAddress: 100, newPerSecond: 1000, newBurst: 1000 }, resources: ${resources} }
rules: { ${rules} }
${watch ? 'watch: true' : ''}
`
  writeFileSync(join(folder, 'gate.yaml'), text)
}

/** Sends a presence of a type that there is not, and waits until it was judged. */
async function bogus(client: RawClient, id: string): Promise<void> {
  client.send(`<presence id='${id}' type='bogus'/>`)
  client.send(`<iq type='get' id='after-${id}'><ping xmlns='urn:xmpp:ping'/></iq>`)
  await client.withId(`after-${id}`)
}

const crowd = 40

t.test(
  `modes change under ${crowd} clients, by SIGHUP and by POST /api/reload, and nobody is disconnected`,
  async t => {
    const gate = await Command.start(t, { rules: 'default: observe' })
    const clients: RawClient[] = []
    for (let number = 0; number < crowd; number++) {
      const client = await connectTcp(gate.port)
      await client.login('romeo', `r${number}`)
      clients.push(client)
    }
    const decided = async (verdict: string, mode: string) =>
      (await gate.counts()).sum('rule_decisions_total', { rule: 'presence-type', verdict, mode })
    const all = async (id: string) => {
      for (const client of clients) await bogus(client, id)
    }
    await all('a')
    t.equal(await decided('reject', 'observe'), crowd, 'observed at first')
    t.equal(await decided('reject', 'enforce'), 0)

    gate.hup({ rules: 'default: observe, presence-type: enforce' })
    const line = await gate.logged('configuration read again, and in use')
    t.strictSame(line.changed, ['rules.presence-type'])
    await all('b')
    t.equal(await decided('reject', 'enforce'), crowd, 'enforced for the sessions that are there')

    const answer = await gate.post({ rules: 'default: observe, presence-type: off' })
    t.equal(answer.status, 200)
    const said = { outcome: 'applied', changed: ['rules.presence-type'], needsRestart: [], problems: [] }
    t.strictSame(await answer.json(), said)
    await all('c')
    t.equal((await decided('reject', 'enforce')) + (await decided('reject', 'observe')), 2 * crowd, 'off: not asked')
    const counts = await gate.counts()
    t.equal(counts.sum('sessions_active', {}), crowd)
    t.equal(counts.sum('sessions_closed_total', {}), 0)
    t.equal(counts.sum('reloads_total', { outcome: 'applied' }), 2)
    for (const client of clients) client.transport.destroy()
    await gate.end(t)
  },
)

t.test('what cannot be taken changes nothing, and is told with file, line and key', async t => {
  const gate = await Command.start(t, { rules: 'default: observe' })
  const client = await connectTcp(gate.port)
  await client.login('romeo', 'stays')
  const table: [name: string, choices: Choices, line: number, key: string, message: RegExp][] = [
    [
      'a misspelt mode, beside a good level',
      { rules: 'presence-type: enforc', log: '{ level: debug }' },
      8,
      'rules.presence-type',
      /'enforc' is not one of/,
    ],
    ['no YAML', { rules: '}' }, 8, '', /./],
    [
      'an upstream that there is not',
      { routes: '[{ domain: localhost, upstream: mian }]' },
      5,
      'routes[0].upstream',
      /'mian' is not the name/,
    ],
  ]
  for (const [name, choices, line, key, message] of table) {
    const answer = await gate.post(choices)
    t.equal(answer.status, 422, name)
    t.match(answer.headers.get('content-type'), 'application/problem+json')
    const { problems } = (await answer.json()) as { problems: Record<string, unknown>[] }
    t.match(problems[0], { file: 'gate.yaml', line, key, message })
    const logged = await gate.logged('configuration read again and refused; the one before stays in use')
    t.match(logged, { level: 50, file: 'gate.yaml', line, key })
  }
  gate.hup({ rules: 'presence-type: enforc' })
  await gate.logged('configuration read again and refused; the one before stays in use')
  await bogus(client, 'still')
  const counts = await gate.counts()
  t.equal(counts.sum('rule_decisions_total', { rule: 'presence-type', mode: 'observe' }), 1, 'the mode is what it was')
  t.equal(counts.sum('reloads_total', { outcome: 'refused' }), 4)
  t.equal(counts.sum('reloads_total', { outcome: 'applied' }), 0)
  client.transport.destroy()
  await gate.end(t)
})

t.test('what needs a restart is named, each time, and the rest is taken', async t => {
  const gate = await Command.start(t, { rules: 'default: observe' })
  const resources = 7
  const unchanged = await gate.post({ rules: 'default: observe', resources })
  const needsRestart = ['limits.resources']
  t.strictSame(await unchanged.json(), { outcome: 'unchanged', changed: [], needsRestart, problems: [] })
  t.strictSame((await gate.logged('the configuration differs in what needs a restart')).needsRestart, needsRestart)
  const log = '{ level: warn, areas: { sessions: debug } }'
  const routes = '[{ domain: localhost, upstream: main }, { domain: other.example, upstream: main }]'
  const applied = await gate.post({ rules: 'trustedDomains: [gateway.example]', resources, log, routes })
  const changed = ['routes', 'rules.default', 'rules.trustedDomains', 'log.level', 'log.areas']
  const said = (await applied.json()) as { changed: string[] }
  t.match(said, { outcome: 'applied', needsRestart })
  t.strictSame(said.changed.toSorted(), changed.toSorted())

  const client = await connectTcp(gate.port)
  await client.login('romeo', 'level')
  t.match(await gate.logged('session opened'), { area: 'sessions', level: 20 }, 'a level of an area')
  const overview = await fetch(`http://127.0.0.1:${gate.admin}/api/overview`, {
    headers: { authorization: `Bearer ${token}` },
  })
  const { routes: shown, rules } = (await overview.json()) as {
    routes: { domain: string }[]
    rules: { mode: string }[]
  }
  t.strictSame(
    shown.map(({ domain }) => domain),
    ['localhost', 'other.example'],
    'the console shows what is in use',
  )
  // One rule is off unless it is named.
  t.same(
    rules.map(({ mode }) => mode).filter(mode => mode !== 'enforce'),
    ['off'],
  )
  const again = await gate.post(undefined)
  t.match(await again.json(), { outcome: 'unchanged', needsRestart })
  client.transport.destroy()
  await gate.end(t)
})

t.test('watch: the file is reloaded when it has changed', async t => {
  const gate = await Command.start(t, { watch: true })
  const client = await connectTcp(gate.port)
  await client.login('romeo', 'watched')
  write(gate.folder, { watch: true, rules: 'default: observe' })
  await gate.logged('the configuration file has changed: it is read again, with certificates')
  t.match((await gate.logged('configuration read again, and in use')).changed, ['rules.default'])
  await bogus(client, 'a')
  client.transport.destroy()
  await gate.end(t)
})

t.test('upstreams come, move and go, and sessions stay', async t => {
  const gate = await Command.start(t, {})
  const client = await connectTcp(gate.port)
  await client.login('romeo', 'before')
  const other = await makeProsody(t, { accounts: { nurse: 'secret' } })
  const file = join(gate.folder, 'gate.yaml')
  /** The upstreams of the file are these. */
  const reloaded = async (upstreams: string, route = 'main') => {
    write(gate.folder, { routes: `[{ domain: localhost, upstream: ${route} }]` })
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^upstreams:.*$/m, `upstreams: { ${upstreams} }`))
    return (await gate.post(undefined)).json()
  }
  const at = (port: number) => `{ address: 127.0.0.1, port: ${port}, tls: { mode: none } }`
  const logsIn = async (user: string) => {
    const next = await connectTcp(gate.port)
    await next.login(user, 'after')
    next.transport.destroy()
  }
  const applied = { outcome: 'applied', needsRestart: [], problems: [] }
  t.match(await reloaded(`main: ${at(other.port)}`), { ...applied, changed: ['upstreams.main'] })
  await logsIn('nurse')
  await bogus(client, 'a')
  const members = `main: { members: [{ address: 127.0.0.1, port: ${prosody.port} }], tls: { mode: none } }`
  t.match(await reloaded(members), { ...applied, changed: ['upstreams.main'] })
  await logsIn('romeo')
  t.match(await reloaded(`next: ${at(other.port)}`, 'next'), {
    ...applied,
    changed: ['upstreams.main', 'upstreams.next', 'routes'],
  })
  await logsIn('nurse')
  await bogus(client, 'b')
  t.match(await reloaded(`next: ${at(0)}`, 'next'), { status: 422, problems: [{ key: 'upstreams.next.port' }] })
  await logsIn('nurse')
  client.transport.destroy()
  await gate.end(t)
})

t.test('POST /api/reload is for who has the token', async t => {
  const gate = await Command.start(t, {})
  t.equal((await gate.post(undefined, {})).status, 401)
  t.equal((await gate.post(undefined, { authorization: 'Bearer wrong' })).status, 401)
  const foreign = { authorization: `Bearer ${token}`, 'sec-fetch-site': 'cross-site' }
  t.equal((await gate.post(undefined, foreign)).status, 403)
  const headers = { authorization: `Bearer ${token}` }
  const url = `http://127.0.0.1:${gate.admin}/api/reload`
  t.equal((await fetch(url, { headers })).status, 404, 'not by GET')
  t.equal((await gate.counts()).sum('reloads_total', {}), 0)
  const form = await fetch(url, { method: 'POST', headers, body: new URLSearchParams({ a: 'b' }) })
  t.equal(form.status, 200, 'whatever body a program sends, it is not looked at')
  const broken = await fetch(url, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: '{',
  })
  t.equal(broken.status, 400)
  t.match(await broken.json(), { title: 'Bad request', status: 400, detail: /JSON/ }, 'a problem document')
  await gate.end(t)
})
