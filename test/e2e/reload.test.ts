// TLS at the listeners: what is spoken, and certificates that are renewed while sessions stay up.
import { spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { generate } from 'selfsigned'
import t from 'tap'
import { type CertificateOwner, Certificates } from '../../src/listener/certificates.ts'
import { connectTcp, starttls } from '../clients/raw.ts'
import { within } from '../clients/within.ts'
import { type Certificate, writeCertificate } from '../servers/certificate.ts'
import { Counts, Gate, makeProsody } from './gate.ts'

const secureWires = ['starttls', 'direct', 'wss'] as const
type SecureWire = (typeof secureWires)[number]

/** A handshake, ended again: what the server showed. Rejects when it refuses. */
async function shake(wire: SecureWire, port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const over = { host: '127.0.0.1', port, servername: 'localhost', rejectUnauthorized: false, ...options }
  let below: Socket | undefined
  if (wire === 'starttls') {
    const plain = await connectTcp(port)
    await plain.opened()
    plain.send(starttls)
    await plain.named('proceed')
    below = (plain.transport as unknown as { socket: Socket }).socket
    below.removeAllListeners('data').removeAllListeners('close')
  }
  const socket = connectTls(below === undefined ? over : { ...over, socket: below })
  // A server that closes without a word of why refuses too.
  const closed = once(socket, 'close').then(() => Promise.reject(new Error('closed')))
  try {
    await within('a handshake', Promise.race([once(socket, 'secureConnect'), closed]))
    closed.catch(() => {}) // its end is of no interest from now on
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

async function serialShown(wire: SecureWire, port: number): Promise<string> {
  const socket = await shake(wire, port)
  const { serialNumber } = socket.getPeerX509Certificate() ?? {}
  socket.destroy()
  return serialNumber ?? 'none'
}

function serialOf({ cert }: Pick<Certificate, 'cert'>): string {
  return new X509Certificate(readFileSync(cert)).serialNumber
}

const prosody = await makeProsody(t, { accounts: { romeo: 'secret', juliet: 'secret' } })

t.test('TLS 1.2 with forward secrecy and AEAD, TLS 1.3, and nothing older', async t => {
  const folder = t.testdir()
  const gate = await Gate.start(t, await writeCertificate(folder, ['localhost']), prosody)
  const v12 = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const
  const good: [ConnectionOptions, version: string, suite: string][] = [
    [{}, 'TLSv1.3', 'TLS_AES_256_GCM_SHA384'],
    [{ ciphers: 'TLS_AES_128_GCM_SHA256' }, 'TLSv1.3', 'TLS_AES_128_GCM_SHA256'],
    ...['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'].map(
      (suite): [ConnectionOptions, string, string] => [
        { ...v12, ciphers: `ECDHE-ECDSA-${suite}` },
        'TLSv1.2',
        `ECDHE-ECDSA-${suite}`,
      ],
    ),
  ]
  const old = 'DEFAULT@SECLEVEL=0'
  const bad: ConnectionOptions[] = [
    { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: old },
    { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: old },
    { ...v12, ciphers: 'ECDHE-ECDSA-AES128-SHA256' },
    { ...v12, ciphers: 'ECDHE-ECDSA-AES256-SHA' },
    { ...v12, ciphers: 'ECDHE-ECDSA-AES128-CCM' },
    { ...v12, ciphers: 'AES128-GCM-SHA256:AES256-SHA' },
    { ...v12, ciphers: 'DHE-RSA-AES128-GCM-SHA256' },
    { ciphers: 'TLS_AES_128_CCM_SHA256', minVersion: 'TLSv1.3' },
  ]
  for (const wire of secureWires) {
    for (const [options, version, suite] of good) {
      const socket = await shake(wire, gate.port(wire), options)
      t.strictSame([socket.getProtocol(), socket.getCipher().name], [version, suite], `${wire}: ${suite}`)
      socket.destroy()
    }
    for (const options of bad)
      await t.rejects(
        shake(wire, gate.port(wire), options),
        /alert|closed|reset/i,
        `${wire}: ${JSON.stringify(options)}`,
      )
    const socket = await shake(wire, gate.port(wire), v12)
    const renegotiated = within(
      'an answer to a renegotiation',
      new Promise(resolve => {
        socket.once('error', resolve).once('close', () => resolve(new Error('closed')))
        socket.renegotiate({}, resolve)
      }),
    )
    t.match(String(await renegotiated), /renegotiation|closed/i, `${wire}: no renegotiation`)
    socket.destroy()
  }
})

t.test('sessions stay up while new handshakes see the new certificate', async t => {
  const folder = t.testdir()
  const certificate = await writeCertificate(folder, ['localhost'])
  const gate = await Gate.start(t, certificate, prosody)
  const sessions = await Promise.all(secureWires.map(wire => gate.login(wire, 'romeo', wire)))
  const before = serialOf(certificate)
  for (const wire of secureWires) t.equal(await serialShown(wire, gate.port(wire)), before, wire)
  await writeCertificate(folder, ['localhost'])
  const after = serialOf(certificate)
  t.not(after, before)
  await gate.proxy.reload()
  for (const wire of secureWires) t.equal(await serialShown(wire, gate.port(wire)), after, `${wire}: the new one`)
  const key = readFileSync(certificate.key)
  writeFileSync(certificate.key, 'no key')
  await gate.proxy.reload()
  for (const wire of secureWires)
    t.equal(await serialShown(wire, gate.port(wire)), after, `${wire}: a bad one is not used`)
  writeFileSync(certificate.key, key)
  for (const session of sessions) {
    t.strictSame(await session.settled(), [], 'answered on the connection from before')
    session.transport.destroy()
  }
  // Who trusts the new one alone gets in: a whole login.
  for (const wire of secureWires) (await gate.login(wire, 'juliet', wire)).transport.destroy()
  const counts = await gate.metrics()
  const { validTo } = new X509Certificate(readFileSync(certificate.cert))
  for (const listener of secureWires) {
    const count = (outcome: string) => counts.sum('certificate_reloads_total', { listener, outcome })
    t.strictSame([count('loaded'), count('refused')], [1, 1], `${listener}: counted`)
    t.equal(counts.sum('certificate_expiry_timestamp_seconds', { listener }), Date.parse(validTo) / 1_000)
  }
  t.notMatch(counts.text, /certificate_\w+\{listener="(plain|ws)"/, 'no series for who has none')
})

t.test("an upstream's authorities are read again too", async t => {
  const folder = t.testdir({ gate: {}, server: {}, other: {} })
  const own = await writeCertificate(join(folder, 'gate'), ['localhost'])
  const theirs = await writeCertificate(join(folder, 'server'), ['localhost'])
  const others = await writeCertificate(join(folder, 'other'), ['localhost'])
  const secure = await makeProsody(t, { accounts: { romeo: 'secret' }, certificate: theirs })
  const ca = join(folder, 'ca.pem')
  writeFileSync(ca, readFileSync(others.cert))
  const gate = await Gate.start(t, own, prosody, {
    upstream: { port: secure.ports.c2s, tls: { mode: 'starttls', ca, servername: undefined } },
  })
  const lost = await gate.connect('direct')
  lost.send(lost.header())
  t.match(await lost.toTheEnd(), [/^open/, /error/], 'a certificate of somebody else')
  writeFileSync(ca, readFileSync(theirs.cert))
  await gate.proxy.reload()
  ;(await gate.login('direct', 'romeo', 'again')).transport.destroy()
})

interface Told {
  readonly who: CertificateOwner
  readonly what: string
}

t.test('files are looked at until they have changed and nobody writes them any longer', async t => {
  const folder = t.testdir({ a: {}, b: {}, live: {} })
  const [a, b] = await Promise.all(['a', 'b'].map(name => writeCertificate(join(folder, name), ['localhost'])))
  if (a === undefined || b === undefined) throw new Error('no certificates')
  const told: Told[] = []
  let tick = () => {}
  let stopped = false
  const certificates = new Certificates({
    loaded: (who, [certificate], isFirst) =>
      told.push({ who, what: `${isFirst ? 'first ' : ''}${certificate?.serialNumber}` }),
    refused: (who, file, reason) => told.push({ who, what: `${file.slice(folder.length)} ${reason}` }),
    every: (_milliseconds, callback) => {
      tick = callback
      return () => {
        stopped = true
      }
    },
  })
  /** What further looks tell after the first, which tells nothing: somebody may still write. */
  const looked = async (): Promise<string[]> => {
    told.length = 0
    await certificates.look()
    t.strictSame(told, [], 'not at the first look')
    for (let look = 0; look < 3; look++) await certificates.look()
    return told.map(({ what }) => what)
  }
  // As Kubernetes has it: tls.crt is a link through a link to a folder, and that link is swapped.
  symlinkSync('../a', join(folder, 'live', '..data'))
  for (const name of ['certificate.pem', 'key.pem']) symlinkSync(`..data/${name}`, join(folder, 'live', name))
  const live = { cert: join(folder, 'live', 'certificate.pem'), key: join(folder, 'live', 'key.pem') }
  const renewed: string[] = []
  let renewing = () => {}
  const first = certificates.keep('clients', live, ({ cert }) => {
    renewed.push(cert)
    renewing()
  })
  t.equal(first.cert, readFileSync(a.cert, 'latin1'))
  t.strictSame(told, [{ who: { listener: 'clients' }, what: `first ${serialOf(a)}` }])
  t.strictSame(await looked(), [], 'nothing has changed')

  symlinkSync('../b', join(folder, 'live', '..new'))
  renameSync(join(folder, 'live', '..new'), join(folder, 'live', '..data'))
  t.strictSame(await looked(), [serialOf(b)], "another folder's link")
  t.strictSame(renewed, [readFileSync(b.cert, 'latin1')])
  symlinkSync('../a', join(folder, 'live', '..new'))
  renameSync(join(folder, 'live', '..new'), join(folder, 'live', '..data'))
  await certificates.look()
  const heard = new Promise<void>(resolve => {
    renewing = resolve
  })
  tick()
  await within('what the timer has begun', heard)

  // As certbot has it: each file's link is swapped, one after the other.
  const swap = (name: string, target: string) => {
    symlinkSync(target, join(folder, 'live', 'new'))
    renameSync(join(folder, 'live', 'new'), join(folder, 'live', name))
  }
  swap('certificate.pem', '../b/certificate.pem')
  told.length = 0
  await certificates.look()
  swap('key.pem', '../b/key.pem')
  await certificates.look()
  t.strictSame(told, [], 'between the two')
  await certificates.look()
  t.strictSame(told, [{ who: { listener: 'clients' }, what: serialOf(b) }])

  const was = renewed.length
  swap('key.pem', '../a/key.pem')
  const notThePair = '/live/key.pem is not the key of the first certificate in cert'
  t.strictSame(await looked(), [notThePair], 'said once')
  rmSync(join(folder, 'live', 'key.pem'))
  t.strictSame(await looked(), ['/live/key.pem does not exist'])
  writeFileSync(join(folder, 'live', 'key.pem'), 'words')
  t.strictSame(await looked(), ['/live/key.pem is not PEM: it has no BEGIN PRIVATE KEY line'])
  t.equal(renewed.length, was, 'none of these was used')
  writeFileSync(join(folder, 'live', 'key.pem'), readFileSync(b.key))
  t.strictSame(await looked(), [serialOf(b)], 'written in its place')
  chmodSync(join(folder, 'live', 'key.pem'), 0o600)
  t.strictSame(await looked(), [serialOf(b)], 'other permissions may make it readable')

  told.length = 0
  await certificates.reload()
  t.strictSame(told, [{ who: { listener: 'clients' }, what: serialOf(b) }], 'at once, changed or not')
  t.throws(() => certificates.keep('other', { ...live, cert: a.key }, () => {}), /holds a key and no certificate/)
  t.throws(() => certificates.keepAuthorities('main', join(folder, 'none'), () => {}), /none does not exist/)
  certificates.stop()
  t.ok(stopped)
})

t.test('SIGHUP to the command', async t => {
  const folder = t.testdir()
  const certificate = await writeCertificate(folder, ['localhost'])
  const listeners = [
    ['starttls', 'tcp', 'mode: starttls, '],
    ['direct', 'tcp', 'mode: direct, '],
    ['wss', 'websocket', ''],
  ].map(([name, kind, mode]) => {
    return `  - { name: ${name}, kind: ${kind}, address: 127.0.0.1, port: 0, tls: { ${mode}cert: certificate.pem, key: key.pem } }`
  })
  writeFileSync(
    join(folder, 'gate.yaml'),
    `listeners:
${listeners.join('\n')}
admin: { address: 127.0.0.1, port: 0 }
upstreams: { main: { address: 127.0.0.1, port: ${prosody.port}, tls: { mode: none } } }
routes: [{ domain: localhost, upstream: main }]
`,
  )
  const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url))
  const child = spawn(process.execPath, [cli, 'serve', '-c', 'gate.yaml'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  /** The next so many lines that say this. */
  const heard = async (message: string, count = 1) => {
    const found: Record<string, unknown>[] = []
    while (found.length < count) {
      const { value } = await within(`'${message}' in the log`, lines.next())
      const line = JSON.parse(String(value))
      if (line.msg === message) found.push(line)
    }
    return found
  }
  const [serving] = (await heard('serving')) as unknown as {
    listeners: { name: string; port: number }[]
    admin: { port: number }
  }[]
  const port = (wire: SecureWire) => serving?.listeners.find(({ name }) => name === wire)?.port ?? 0
  const before = serialOf(certificate)
  const session = await connectTcp(port('direct'), { ca: readFileSync(certificate.cert, 'utf8') })
  await session.login('juliet', 'hup')

  await writeCertificate(folder, ['localhost'])
  child.kill('SIGHUP')
  const read = await heard('certificate read again, and in use', 3)
  t.strictSame(
    read.map(({ listener }) => listener),
    [...secureWires],
  )
  for (const wire of secureWires) t.equal(await serialShown(wire, port(wire)), serialOf(certificate), wire)
  t.not(serialOf(certificate), before)
  t.strictSame(await session.settled(), [], 'the session stays up')

  const { cert } = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec' })
  const good = serialOf(certificate)
  writeFileSync(certificate.cert, cert)
  child.kill('SIGHUP')
  const refused = await heard('certificate read again and refused; the one before stays in use', 3)
  for (const line of refused)
    t.match(line, { level: 50, file: certificate.key, reason: 'is not the key of the first certificate in cert' })
  for (const wire of secureWires) t.equal(await serialShown(wire, port(wire)), good, `${wire}: the old one stays`)
  t.strictSame(await session.settled(), [])
  session.transport.destroy()
  const counts = new Counts(await (await fetch(`http://127.0.0.1:${serving?.admin.port}/metrics`)).text())
  t.equal(counts.sum('certificate_reloads_total', { outcome: 'refused' }), 3)
  child.kill('SIGTERM')
  t.strictSame(await once(child, 'close'), [0, null])
})
