/**
 * What the gate tells those who watch it, at its most talkative: no secret of anybody's, and nothing that a peer could make look like
 * a line of the gate's own.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { client, type XmlElement, xml } from '@xmpp/client'
import fastify from 'fastify'
import t from 'tap'
import WebSocket from 'ws'
import { Log, loggerOptions } from '../../src/observe/log.ts'
import { wires } from '../../src/stream/framing.ts'
import { auth, connectStarttls, connectTcp, connectWebsocket, type RawClient } from '../clients/raw.ts'
import { patience, within } from '../clients/within.ts'
import { writeCertificate } from '../servers/certificate.ts'
import { makeProsody } from './gate.ts'
import { Upstream } from './upstream.ts'

Object.assign(globalThis, { WebSocket }) // Node 20 has none

/** Unlike anything else that could be in a line. */
const secret = (what: string) => `${what}-${randomBytes(9).toString('hex')}`
const passwords = { romeo: secret('plain'), juliet: secret('scram'), nurse: secret('form') }
const token = secret('token')
const said: string[] = [...Object.values(passwords), token]
function tell(what: string): string {
  const one = secret(what)
  said.push(one)
  return one
}

/** A secret as it is, and as it looks in base64 (at each of three offsets), in hexadecimal and in a list of bytes. */
function looksOf(text: string): string[] {
  const bytes = Buffer.from(text)
  const base64 = [0, 1, 2].map(before => {
    const whole = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    // What the bytes before it and behind it take part in is left out.
    return whole.slice(before === 0 ? 0 : 4, -4)
  })
  return [text, ...base64, bytes.toString('hex'), [...bytes].join(',')]
}

t.test('the looks of a secret are found wherever it stands', async t => {
  for (const before of ['', '\0', '\0\0', '\0romeo\0'])
    for (const after of ['', 'a', 'bc']) {
      const whole = Buffer.from(`${before}${token}${after}`)
      for (const text of [whole.toString('base64'), whole.toString('hex'), JSON.stringify(whole), String(whole)])
        t.ok(
          looksOf(token).some(look => text.includes(look)),
          text,
        )
    }
  t.notOk(looksOf(token).some(look => Buffer.from(secret('token')).toString('base64').includes(look)))
})

const folder = t.testdir()
const certificate = await writeCertificate(folder, ['localhost'])
const ca = readFileSync(certificate.cert, 'utf8')
const { romeo, juliet } = passwords
const prosody = await makeProsody(t, {
  registration: true,
  accounts: { romeo, juliet },
  modules: ['sasl2', 'sasl2_bind2'],
})
const scripted = new Upstream()
t.teardown(() => scripted.server.close())
writeFileSync(
  join(folder, 'gate.yaml'),
  `listeners:
  - { name: starttls, kind: tcp, address: 127.0.0.1, port: 0, tls: { mode: starttls, cert: certificate.pem, key: key.pem } }
  - { name: plain, kind: tcp, address: 127.0.0.1, port: 0, tls: { mode: none } }
  - { name: ws, kind: websocket, address: 127.0.0.1, port: 0 }
admin: { address: 127.0.0.1, port: 0, token: ${token} }
upstreams:
  main: { address: 127.0.0.1, port: ${prosody.port}, tls: { mode: none } }
  scripted: { address: 127.0.0.1, port: ${await scripted.port()}, tls: { mode: none } }
routes: [{ domain: localhost, upstream: main }, { domain: scripted.example, upstream: scripted }]
log: { level: trace }
`,
  { mode: 0o644 },
)
const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url))
const child = spawn(process.execPath, [cli, 'serve', '-c', 'gate.yaml'], {
  cwd: folder,
  stdio: ['ignore', 'pipe', 'pipe'],
})
t.teardown(() => child.kill('SIGKILL'))
let out = ''
let heard = () => {}
child.stdout.setEncoding('utf8').on('data', text => {
  out += text
  heard()
})
let err = ''
child.stderr.setEncoding('utf8').on('data', text => {
  err += text
})

/** Until the log says this. */
async function logged(words: string | RegExp): Promise<string> {
  const all = async () => {
    for (;;) {
      const line = out.split('\n').find(each => (typeof words === 'string' ? each.includes(words) : words.test(each)))
      if (line !== undefined) return line
      await new Promise<void>(resolve => {
        heard = resolve
      })
    }
  }
  return within(`${words} in the log`, all(), patience)
}

interface Serving {
  readonly listeners: readonly { name: string; port: number }[]
  readonly admin: { readonly port: number }
}
const serving: Serving = JSON.parse(await logged('"serving"'))
const port = (name: string) => serving.listeners.find(listener => listener.name === name)?.port ?? 0
const admin = `http://127.0.0.1:${serving.admin.port}/metrics`

/** Sends these bytes as they are, and waits for the end. */
async function raw(to: number, bytes: string): Promise<string> {
  const socket = connect(to, '127.0.0.1')
    .setEncoding('utf8')
    .on('error', () => {})
  let answer = ''
  socket.on('data', text => {
    answer += text
  })
  socket.end(Buffer.from(bytes, 'latin1'))
  await within('the end', once(socket, 'close'))
  return answer
}

const message = (to: string, body: string) =>
  `<message xmlns='jabber:client' to='${to}' type='chat' id='m'><body>${body}</body><x xmlns='urn:example:${tell('ns')}'>${tell('x')}</x></message>`

const textOf = (step: XmlElement) => />([^<]*)</.exec(String(step))?.[1] ?? ''

t.test('a conversation full of secrets', async t => {
  const stranger = await connectStarttls(port('starttls'), { ca })
  await stranger.opened()
  stranger.send(
    `<iq xmlns='jabber:client' type='set' id='r'><query xmlns='jabber:iq:register'><username>nurse</username><password>${passwords.nurse}</password></query></iq>`,
  )
  await stranger.withId('r')
  stranger.send(auth('nurse', tell('wrong')))
  await stranger.named('failure')
  // Ends that the gate brings about itself: a mechanism in vain, an element cut off by a limit, XML that is none.
  stranger.send(
    `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='${tell('mechanism')}'>${tell('initial')}</auth>`,
  )
  await stranger.named('failure')
  stranger.send(auth('nurse', tell('long') + 'x'.repeat(20_000)))
  await stranger.toTheEnd()
  const broken = await connectTcp(port('plain'))
  await broken.opened()
  broken.send(
    `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${tell('broken')}<${tell('tag')}&</auth>`,
  )
  await broken.toTheEnd()

  const one = await (await connectStarttls(port('starttls'), { ca })).login('romeo', 'balcony', romeo)
  await one.appear()
  one.send(`<enable xmlns='urn:xmpp:sm:3' resume='true'/>`)
  said.push((await one.named('enabled')).attrs.get('id') ?? 'none')
  one.send(`<presence xmlns='jabber:client'><status>${tell('status')}</status></presence>`)
  one.send(message(one.jid, tell('body')))
  await one.withId('m')
  one.send(
    `<presence xmlns='jabber:client' type='subscribe' to='juliet@localhost'><status>${tell('please')}</status></presence>`,
  )
  // Stanzas that are judged, with words in them.
  one.send(`<presence xmlns='jabber:client' type='bogus' id='bad'><status>${tell('bogus')}</status></presence>`)
  await one.withId('bad')
  one.send(`<presence xmlns='jabber:client' id='bad2'><show>${tell('show')}</show></presence>`)
  await one.withId('bad2')
  await prosody.inject(
    one.jid,
    `<presence from='mallory@evil.example' type='subscribed'><status>${tell('forged')}</status></presence>`,
  )
  await one.settled()

  const sasl2 = await connectStarttls(port('starttls'), { ca })
  await sasl2.opened()
  const initial = Buffer.from(`\0romeo\0${romeo}`).toString('base64')
  sasl2.send(
    `<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>${initial}</initial-response><user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><device>${tell('device')}</device></user-agent></authenticate>`,
  )
  await sasl2.named('success')

  const entity = client({
    service: `ws://127.0.0.1:${port('ws')}/xmpp-websocket`,
    domain: 'localhost',
    username: 'juliet',
    password: juliet,
  })
  entity.reconnect.stop()
  entity.on('error', () => {})
  const steps: XmlElement[] = []
  entity.on('send', (element: XmlElement) => steps.push(element))
  entity.on('nonza', (element: XmlElement) => steps.push(element))
  t.teardown(() => entity.stop().catch(() => {}))
  await within('a login with SCRAM', entity.start())
  await entity.send(xml('message', { to: 'romeo@localhost', type: 'chat' }, xml('body', {}, tell('answer'))))
  const payloads = steps.filter(step => ['auth', 'challenge', 'response', 'success'].includes(step.name))
  t.ok(
    payloads.some(step => step.name === 'response'),
    'SCRAM has more than one step',
  )
  for (const step of payloads)
    if (textOf(step) !== '') said.push(textOf(step), String(Buffer.from(textOf(step), 'base64')))

  for (const one of [stranger, broken, sasl2]) one.transport.destroy()
  one.transport.destroy()
  await logged(/session closed/)
})

t.test("the admin's token", async t => {
  const bearer = (value: string) => ({ headers: { authorization: `Bearer ${value}` } })
  t.equal((await fetch(admin, bearer(token))).status, 200)
  t.equal((await fetch(admin, bearer(tell('guess')))).status, 401)
  t.equal((await fetch(`${admin}/%zz?token=${tell('query')}`, bearer(token))).status, 400)
  const header = `Host: a\r\nAuthorization: Bearer ${token}\r\n`
  t.match(await raw(serving.admin.port, `GET /metrics HTTP/1.1\r\n${header}No Header\r\n\r\n`), /^HTTP\/1\.1 400/)
  t.match(await raw(serving.admin.port, `POST /metrics HTTP/1.1\r\n${header}\r\n`), /^HTTP\/1\.1 404/)
  t.match(
    await raw(serving.admin.port, `GET /metrics HTTP/1.1\r\n${header}A: ${'a'.repeat(20_000)}\r\n\r\n`),
    /^HTTP\/1\.1 431/,
  )
  await logged('client error')
  const metrics = await (await fetch(admin, bearer(token))).text()
  t.match(metrics, /^stanzagate_admin_refused_total 1$/m, 'the guess is counted')
})

/** Controls, ends of lines, and marks that are not seen. */
const steering = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

/** What ends lines, steers terminals, turns text round, or looks like JSON. */
const evil = '\n\r\t\u0085\u009b31m\u2028\u2029\u202e\u200f\u2066\ufeff"}\n{"level":60,"msg":"forged"}\\u000a'

t.test('what a peer writes stays within its line', async t => {
  const referred = (text: string) => [...text].map(each => `&#${each.codePointAt(0)};`).join('')
  const references = referred(evil)
  // Control characters are in no JID: with them the session does not begin.
  const resource = referred(evil.replace(/\p{Cc}/gu, ''))
  const say = async (client: RawClient, text: string) => {
    client.send(text)
    await client.toTheEnd()
  }
  for (const wire of wires) {
    const made = () =>
      wire === 'tcp' ? connectTcp(port('plain')) : connectWebsocket(`ws://127.0.0.1:${port('ws')}/xmpp-websocket`)
    const domained = await made()
    await say(domained, domained.header(`localhost${references}`))
  }
  scripted.jid = `juliet@scripted.example/x${resource}`
  const bound = await connectTcp(port('plain'))
  await bound.opened('scripted.example')
  bound.send(auth('juliet'))
  await bound.named('success')
  await bound.opened('scripted.example')
  bound.send(
    `<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>${references}</resource></bind></iq>`,
  )
  await bound.named('iq')
  for (const type of ['bogus', `x${references}`])
    bound.send(`<presence xmlns='jabber:client' type='${type}' id='${references}' to='a@b.example/${references}'/>`)
  bound.send(`<presence xmlns='jabber:client' type='subscribe' to='a@b.example/${resource}'/>`)
  scripted.socket?.write(
    `<presence type='subscribed' from='mallory@evil.example/${resource}' to='juliet@scripted.example'/>`,
  )
  await logged(/session opened.*\\u2028|\\u2028.*session opened/)
  await logged('"report":"undecided"')
  bound.transport.destroy()
  const upgrade =
    'Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
  await raw(port('ws'), `GET /\x9b31m\x85{"level":60} HTTP/1.1\r\n${upgrade}`)
  t.pass('all of it was said')
})

t.test('nothing of it is anywhere', async t => {
  const metrics = await (await fetch(admin, { headers: { authorization: `Bearer ${token}` } })).text()
  child.kill('SIGTERM')
  t.strictSame(await once(child, 'close'), [0, null])
  const key = readFileSync(certificate.key, 'utf8')
    .split('\n')
    .filter(line => /^[A-Za-z0-9+/=]{20,}$/.test(line))
  t.ok(key.length > 0)
  for (const [where, text] of Object.entries({ stdout: out, stderr: err, metrics }))
    t.strictSame(
      said
        .filter(each => looksOf(each).some(look => text.includes(look)))
        .concat(key.filter(line => text.includes(line))),
      [],
      where,
    )
  t.equal(err, '')
  t.equal(out.at(-1), '\n')
  const lines = out.slice(0, -1).split('\n')
  for (const line of lines) {
    const { level, msg, pid } = JSON.parse(line)
    t.ok([10, 20, 30, 40, 50].includes(level) && typeof msg === 'string' && pid === child.pid && msg !== 'forged', line)
    t.notMatch(line, steering)
  }
  t.match(out, /"level":40.*"key":"admin\.token"/, 'what was said at the start is in the log')
  for (const report of ['session opened', 'session closed', 'stanza judged', 'stream error', 'seen'])
    t.match(out, report, `there was a line: ${report}`)
})

t.test('a line is one line whatever is reported, and an error is no more than its words', async t => {
  const lines: string[] = []
  const stream = { write: (line: string) => lines.push(line), on: () => {}, listenerCount: () => 1 }
  const app = fastify({ logger: loggerOptions('trace', stream as unknown as NodeJS.WritableStream) })
  const log = new Log(app.log)
  const about = { id: 1, listener: 'plain', wire: 'tcp', route: 'a', client: evil } as const
  log.report({ report: 'session-opened', jid: evil }, about)
  log.fault(Object.assign(new Error(evil), { rawPacket: Buffer.from(token), code: 'E', reason: token }), about)
  app.log.error({ err: new Error('words') })
  t.equal(lines.length, 3)
  for (const line of lines) {
    t.notMatch(line.slice(0, -1), steering)
    t.notOk(looksOf(token).some(look => line.includes(look)))
  }
  t.match(JSON.parse(lines[0] ?? ''), { jid: evil, client: evil, msg: 'session opened' }, 'and is read as it was')
  t.match(JSON.parse(lines[1] ?? '').err, { type: 'Error', code: 'E', message: evil })
  await app.close()
})
