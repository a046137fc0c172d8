/** What an operator is told: a gate as a process, its log, its metrics and its readiness while server, clients and certificates are not well. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { Inbox } from '../clients/inbox.ts'
import { writeCertificate } from '../servers/certificate.ts'
import { Counts } from './gate.ts'

type Line = Readonly<Record<string, unknown>>

/** Connects, and ends the handshake with an alert. */
const distrustful = `
import socket, ssl, sys
plain = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
ssl.create_default_context().wrap_socket(plain, server_hostname='localhost')
`
const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

class Running {
  readonly folder: string
  readonly child: ChildProcess
  readonly lines = new Inbox<Line>(line => JSON.stringify(line))
  admin = 0
  port = 0

  constructor(t: Test, folder: string) {
    this.folder = folder
    this.child = spawn(process.execPath, [cli, 'serve', '--config', 'gate.yaml'], { cwd: folder })
    t.teardown(() => this.child.kill('SIGKILL'))
    createInterface({ input: this.child.stdout as NodeJS.ReadableStream }).on('line', line => {
      this.lines.push(JSON.parse(line))
    })
  }

  line(msg: RegExp): Promise<Line> {
    return this.lines.find(`a line ${msg}`, line => msg.test(String(line.msg)))
  }

  async serving(): Promise<void> {
    const line = (await this.line(/^serving$/)) as { admin: { port: number }; listeners: readonly { port: number }[] }
    this.admin = line.admin.port
    this.port = line.listeners[0]?.port ?? 0
  }

  async metrics(): Promise<Counts> {
    return new Counts(await (await fetch(`http://127.0.0.1:${this.admin}/metrics`)).text())
  }

  async readyz(): Promise<number> {
    return (await fetch(`http://127.0.0.1:${this.admin}/readyz`)).status
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM')
    await once(this.child, 'close')
  }
}

/** A gate whose server is at this port of the loopback. */
async function started(t: Test, upstream: number, admin = ''): Promise<Running> {
  const folder = t.testdir({
    'gate.yaml': `
listeners: [{ kind: tcp, address: 127.0.0.1, port: 0, tls: { mode: direct, cert: certificate.pem, key: key.pem } }]
admin: { address: 127.0.0.1, port: 0${admin} }
upstreams: { main: { address: 127.0.0.1, port: ${upstream}, tls: { mode: none } } }
routes: [{ domain: localhost, upstream: main }]
`,
  })
  await writeCertificate(folder, ['localhost'])
  const gate = new Running(t, folder)
  await gate.serving()
  return gate
}

t.test(
  'the server is down; a client does not trust the certificate; the certificate is broken, and mended',
  async t => {
    const gate = await started(t, 1)
    t.match(await gate.line(/^upstream main: 127\.0\.0\.1:1 is not reached: nothing listens there$/), { level: 40 })

    // Node's own client says nothing when it does not like a certificate.
    const client = spawn('python3', ['-c', distrustful, String(gate.port)], { stdio: 'ignore' })
    await once(client, 'close')
    const failed = await gate.line(/^negotiation failed$/)
    t.match(failed, { stage: 'tls', condition: 'handshake', count: 1 })
    t.match(failed.tlsFault, /alert unknown ca/, 'the alert by its name')

    const file = join(gate.folder, 'certificate.pem')
    const good = readFileSync(file)
    const refused = async () => (await gate.metrics()).sum('certificate_refused')
    writeFileSync(file, 'broken')
    gate.child.kill('SIGHUP')
    await gate.line(/^certificate read again and refused/)
    t.equal(await refused(), 1)
    writeFileSync(file, good)
    gate.child.kill('SIGHUP')
    await gate.line(/^certificate mended: read again, and in use$/)
    t.equal(await refused(), 0)
    t.equal(await gate.readyz(), 200, 'readiness does not look at the server unless it is told to')

    await gate.stop()
    await gate.line(/^stopped$/)
  },
)

t.test('readiness that follows the server', async t => {
  const down = await started(t, 1, ', readyNeedsUpstream: true')
  t.equal(await down.readyz(), 503)
  await down.stop()

  const server = createServer(socket => socket.destroy()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const up = await started(t, (server.address() as AddressInfo).port, ', readyNeedsUpstream: true')
  t.equal(await up.readyz(), 200)
  await up.stop()
})
