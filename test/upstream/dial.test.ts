/** The version of TLS on the leg to the server: the client's, where the server has it (XEP-0515). */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type SecureVersion, type TLSSocket } from 'node:tls'
import t from 'tap'
import { dial } from '../../src/upstream/dial.ts'
import { writeCertificate } from '../servers/certificate.ts'

const folder = mkdtempSync(join(tmpdir(), 'stanzagate-dial-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const { cert, key } = await writeCertificate(folder, ['localhost'])

/** What came of a dial, and whether the server has refused the version. */
async function tried(minVersion: SecureVersion, version: SecureVersion | undefined): Promise<string> {
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key), minVersion })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const seen = once(server, 'secureConnection').then(([socket]) => (socket as TLSSocket).getProtocol())
  let refused = ''
  const outcome = await new Promise<string>(resolve => {
    const { port } = server.address() as AddressInfo
    const ca = readFileSync(cert, 'utf8')
    const target = {
      address: '127.0.0.1',
      port,
      mode: 'direct',
      ca,
      servername: 'localhost',
      proxyProtocol: undefined,
    } as const
    const done = async (connection: { abort(): void }) => {
      const protocol = await seen
      connection.abort()
      resolve(`${protocol}`)
    }
    const atMost = version && { version, refused: () => (refused = ', refused') }
    dial(target, { domain: 'localhost', client: undefined, atMost }, done, (reason, detail) =>
      resolve(`${reason}: ${detail}`),
    )
  })
  server.close()
  return `${outcome}${refused}`
}

t.test('the client’s version where the server has it', async t => {
  t.equal(await tried('TLSv1.2', undefined), 'TLSv1.3')
  t.equal(await tried('TLSv1.2', 'TLSv1.2'), 'TLSv1.2')
  t.equal(await tried('TLSv1.2', 'TLSv1.3'), 'TLSv1.3')
  t.match(
    await tried('TLSv1.3', 'TLSv1.2'),
    /^tls: .*protocol version.*, refused$/,
    'a newer server: the next dial is free',
  )
})
