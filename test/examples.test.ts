/** Each example is run: its own files with nothing replaced but ports, the domain and what a test needs to see. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { Inbox } from './clients/inbox.ts'
import { connectStarttls, connectWebsocket, type RawClient } from './clients/raw.ts'
import { Counts, makeProsody, writeRoster } from './e2e/gate.ts'
import { compile, install, pack, root } from './package.ts'
import { writeCertificate } from './servers/certificate.ts'
import { startEjabberd } from './servers/ejabberd.ts'
import { startHaproxyWith } from './servers/haproxy.ts'

const examples = join(root, 'examples')

t.test('every example is in the list, and is run here', async t => {
  const folders = readdirSync(examples, { withFileTypes: true }).filter(entry => entry.isDirectory())
  const list = readFileSync(join(examples, 'README.md'), 'utf8')
  const source = readFileSync(join(root, 'test/examples.test.ts'), 'utf8')
  for (const { name } of folders) {
    t.ok(list.includes(`(${name}/README.md)`), name)
    t.ok(source.includes(`example('${name}'`) || source.includes(`program('${name}'`), `${name} is run`)
  }
})

/** A file of an example, in which each text is replaced, once at least. */
function example(name: string, file: string, changes: Readonly<Record<string, string>>): string {
  let text = readFileSync(join(examples, name, file), 'utf8')
  for (const [from, to] of Object.entries(changes)) {
    if (!text.includes(from)) throw new Error(`${name}/${file} has no '${from}'`)
    text = text.replaceAll(from, to)
  }
  return text
}

/** A folder with what the example's own README has its reader make: a certificate. */
async function folderOf(t: Test, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'stanzagate-example-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const { cert, key } = await writeCertificate(folder, ['localhost'])
  cpSync(cert, join(folder, 'cert.pem'))
  if (key !== join(folder, 'key.pem')) cpSync(key, join(folder, 'key.pem'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

interface Line {
  readonly msg?: string
}

/** A program, by its lines on standard output. */
class Program {
  readonly child: ChildProcess
  readonly lines = new Inbox<string>(line => line)

  constructor(t: Test, folder: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.child = spawn(process.execPath, args, {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(() => this.child.kill('SIGKILL'))
    createInterface({ input: this.child.stdout as NodeJS.ReadableStream }).on('line', line => this.lines.push(line))
  }

  async matching(what: string, pattern: RegExp): Promise<string> {
    const line = await this.lines.find(what, each => pattern.test(each))
    return pattern.exec(line)?.[1] ?? line
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM')
    await once(this.child, 'close')
  }
}

/** `stanzagate serve` with the example's configuration. */
async function serve(t: Test, folder: string): Promise<{ gate: Program; port: number; admin: number }> {
  const gate = new Program(t, folder, [join(root, 'dist/src/cli.js'), 'serve', '--config', 'stanzagate.yaml'])
  const line = await gate.lines.find('the line that it serves', each => (JSON.parse(each) as Line).msg === 'serving')
  const { listeners, admin } = JSON.parse(line) as { listeners: { port: number }[]; admin: { port: number } }
  return { gate, port: listeners[0]?.port ?? 0, admin: admin.port }
}

async function counts(admin: number): Promise<Counts> {
  return new Counts(await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text())
}

async function loggedIn(folder: string, port: number): Promise<RawClient> {
  const client = await connectStarttls(port, { ca: readFileSync(join(folder, 'cert.pem'), 'utf8') })
  await client.login('juliet', 'balcony')
  await client.roster()
  return client
}

const forged = `<presence from='stranger@evil.example' to='juliet@localhost' type='subscribed'/>`
const domainAndAdmin = { 'im.example': 'localhost', 'port: 9464': 'port: 0' }
const ports = { ...domainAndAdmin, 'port: 5222': 'port: 0' }

t.test('observe-prosody', async t => {
  const settings = example('observe-prosody', 'prosody.cfg.lua', { '15222': '{c2s}' })
  const prosody = await makeProsody(t, { plain: true, settings })
  const folder = await folderOf(t, {
    'stanzagate.yaml': example('observe-prosody', 'stanzagate.yaml', { ...ports, '15222': String(prosody.port) }),
  })
  const { gate, port, admin } = await serve(t, folder)
  const juliet = await loggedIn(folder, port)
  await prosody.inject(juliet.jid, forged)
  t.match(await juliet.settled(), [/from=stranger@evil\.example .*type=subscribed/], 'it is delivered')
  const wouldDrop = { rule: 'subscribed-needs-request', verdict: 'drop', mode: 'observe' }
  t.equal((await counts(admin)).sum('rule_decisions_total', wouldDrop), 1, 'and counted as what would be dropped')
  await gate.stop()
  t.match(JSON.parse(readFileSync(join(folder, 'audit.jsonl'), 'utf8').trim()), { mode: 'observe', verdict: 'drop' })
})

t.test('enforce-ejabberd-haproxy', async t => {
  const file = parse(example('enforce-ejabberd-haproxy', 'ejabberd.yml', {})) as { listen: Record<string, unknown>[] }
  const { port: _port, ip: _ip, module, ...proxiedListener } = file.listen[0] ?? {}
  t.equal(module, 'ejabberd_c2s')
  const ejabberd = await startEjabberd({ plain: true, proxyProtocol: true, proxiedListener: proxiedListener as never })
  t.teardown(() => ejabberd.stop())
  const folder = await folderOf(t, {
    'stanzagate.yaml': example('enforce-ejabberd-haproxy', 'stanzagate.yaml', {
      ...domainAndAdmin,
      'port: 5223': 'port: 0',
      '15222': String(ejabberd.ports.proxied),
    }),
  })
  const { gate, port, admin } = await serve(t, folder)
  const front = await freePort()
  const haproxy = await startHaproxyWith(
    example('enforce-ejabberd-haproxy', 'haproxy.cfg', { '5222': String(front), '5223': String(port) }),
  )
  t.teardown(() => haproxy.stop())
  const juliet = await loggedIn(folder, await routed(t, '127.0.0.77', front))
  await ejabberd.inject(juliet.jid, forged)
  t.same(await juliet.settled(), [], 'it is not delivered')
  const dropped = { rule: 'subscribed-needs-request', verdict: 'drop', mode: 'enforce' }
  t.equal((await counts(admin)).sum('rule_decisions_total', dropped), 1)
  juliet.send(juliet.endTag)
  await juliet.toTheEnd()
  const session = await gate.lines.find(
    'the line about the session',
    line => (JSON.parse(line) as Line).msg === 'session closed',
  )
  t.match(JSON.parse(session), { client: '127.0.0.77' }, 'the address that HAProxy has told')
  await gate.stop()
})

/** A router before a client: what connects to its port reaches the other port from this loopback address. Gives the port. */
async function routed(t: Test, from: string, to: number): Promise<number> {
  const server = createServer(inner => {
    const outer = connect({ port: to, host: '127.0.0.1', localAddress: from })
    pipeline(inner, outer, inner, () => {})
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  return port
}

t.test('programs, from the packed package', async t => {
  const tarballs = mkdtempSync(join(tmpdir(), 'stanzagate-tarball-'))
  t.teardown(() => rmSync(tarballs, { recursive: true, force: true }))
  const { tarball } = await pack(tarballs)

  /** A folder outside the repository with the example's own files, the package installed, and its TypeScript compiled. */
  async function program(name: string): Promise<string> {
    const folder = await folderOf(t, {})
    cpSync(join(examples, name), folder, { recursive: true })
    await install(tarball, folder)
    const own = JSON.parse(readFileSync(join(examples, name, 'tsconfig.json'), 'utf8'))
    t.equal(own.compilerOptions.strict, true)
    const files = readdirSync(folder).filter(file => file.endsWith('.ts'))
    t.equal(await compile(folder, files), '', `${name} compiles`)
    return folder
  }

  t.test('fastify', async t => {
    const prosody = await makeProsody(t, { plain: true })
    const folder = await program('fastify')
    const env = { XMPP_PORT: String(prosody.port), XMPP_DOMAIN: 'localhost', PORT: '0' }
    const app = new Program(t, folder, ['app.js'], env)
    const url = await app.matching('where it listens', /listening at (http:\/\/127\.0\.0\.1:\d+)/)
    t.same(await (await fetch(url)).json(), { chat: '/xmpp-websocket' })
    const juliet = await connectWebsocket(`${url.replace('http', 'ws')}/xmpp-websocket`)
    await juliet.login('juliet', 'balcony')
    await juliet.roster()
    await prosody.inject(juliet.jid, forged)
    t.same(await juliet.settled(), [], 'the one rule that is enforced')
    const metrics = new Counts(await (await fetch(`${url}/metrics`)).text())
    t.equal(metrics.sum('rule_decisions_total', { rule: 'subscribed-needs-request', mode: 'enforce' }), 1)
    await app.stop()
  })

  t.test('custom-rule', async t => {
    const prosody = await makeProsody(t, { plain: true })
    await writeRoster(prosody, 'juliet', { 'romeo@localhost': 'both' })
    const folder = await program('custom-rule')
    const yaml = (mode: string) =>
      example('custom-rule', 'stanzagate.yaml', {
        ...ports,
        '15222': String(prosody.port),
        'links-need-a-contact: enforce': `links-need-a-contact: ${mode}`,
        'log: { level: warn }': 'log: { level: silent }',
      })
    writeFileSync(join(folder, 'stanzagate.yaml'), yaml('enforce'))
    const gate = new Program(t, folder, ['gate.js'])
    const port = Number(await gate.matching('where it listens', /^tcp-0 listens at .*:(\d+)$/))
    const admin = Number(await gate.matching('its admin listener', /^admin listens at .*:(\d+)$/))
    const juliet = await loggedIn(folder, port)
    const message = (from: string, body: string) =>
      prosody.inject(juliet.jid, `<message from='${from}' to='juliet@localhost'><body>${body}</body></message>`)
    await message('stranger@evil.example/x', 'see https://evil.example/')
    await message('stranger@evil.example/x', 'no link here')
    await message('romeo@localhost/x', 'see https://verona.example/')
    const heard = await juliet.settled()
    t.equal(heard.length, 2)
    t.match(heard, [/no link here|stranger/, /romeo/], 'what holds no link, and what a contact sends')
    const labels = { rule: 'links-need-a-contact', verdict: 'drop', mode: 'enforce' }
    t.equal((await counts(admin)).sum('rule_decisions_total', labels), 1)
    const overview = (await (await fetch(`http://127.0.0.1:${admin}/api/overview`)).json()) as {
      rules: readonly { rule: string; mode: string }[]
    }
    t.match(overview.rules.at(-1), { rule: 'links-need-a-contact', mode: 'enforce' }, 'the console has its row')

    writeFileSync(join(folder, 'stanzagate.yaml'), yaml('observe'))
    const reload = await fetch(`http://127.0.0.1:${admin}/api/reload`, { method: 'POST' })
    t.match(await reload.json(), { outcome: 'applied', changed: ['rules.links-need-a-contact'] })
    await message('stranger@evil.example/x', 'see https://evil.example/')
    t.equal((await juliet.settled()).length, 1, 'observed now')
    await gate.stop()
  })
})

t.test('names of own rules that cannot be used', async t => {
  const { ConfigError, readConfig } = await import('../src/index.ts')
  const rule = (name: string) => ({ name, clause: '', about: '', judge: () => undefined })
  const rows: readonly (readonly [names: string[], message: RegExp])[] = [
    [['presence-type'], /options: ownRules\[0\]\.name: 'presence-type' is taken; choose another name/],
    [['default'], /'default' is taken/],
    [['mine', 'mine'], /ownRules\[1\]\.name: 'mine' is taken/],
    [['Mine'], /'Mine' is no name of a rule; write lower-case letters/],
    [[''], /'' is no name of a rule/],
  ]
  for (const [names, message] of rows) {
    const error = t.throws(() => readConfig('/nonexistent', names.map(rule))) as Error
    t.ok(error instanceof ConfigError)
    t.match(error.message, message)
  }
})
