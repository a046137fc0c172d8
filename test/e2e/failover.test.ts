/** Members of an upstream that are of no use, each in its own way: the client is tried at another one, and sees nothing of it. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import t from 'tap'
import { defaultLimits } from '../../src/config/limits.ts'
import { servesStreams } from '../../src/upstream/ask-member.ts'
import { HandClock } from '../clients/hand-clock.ts'
import { connectTcp } from '../clients/raw.ts'
import { Gate, makeCertificate, makeProsody } from './gate.ts'

const certificate = await makeCertificate(t)
const other = await makeCertificate(t)
const prosody = await makeProsody(t, { certificate })
const times = { ...defaultLimits.times, answer: 2_000 }
const header = (version: string) =>
  `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='x' from='localhost'${version}>`
const served = header(" version='1.0'")
const features = (each: string) => `<stream:features>${each}</stream:features>`
const sasl = features(`<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>`)
const tls = `xmlns='urn:ietf:params:xml:ns:xmpp-tls'`

type Server = (socket: Socket) => void

/** Says this at the first bytes of the gate's, then this at the next ones. */
const says =
  (...words: readonly ((socket: Socket) => void)[]): Server =>
  socket => {
    let step = 0
    socket.on('data', () => words[step++]?.(socket))
  }
const offer = (socket: Socket) => socket.write(served + features(`<starttls ${tls}/>`))
const proceeds = (then: Server) =>
  says(offer, socket => {
    socket.removeAllListeners('data')
    socket.write(`<proceed ${tls}/>`)
    then(socket)
  })
const secures =
  ({ cert, key }: typeof certificate): Server =>
  socket =>
    new TLSSocket(socket, { isServer: true, cert: readFileSync(cert), key: readFileSync(key) })
      .on('error', () => {}) // the gate gives it up
      .resume()

const plainServers: Readonly<Record<string, Server>> = {
  'accepts and hangs': socket => socket.resume(),
  'accepts and hangs up': socket => socket.end(),
  'resets the connection': says(socket => socket.resetAndDestroy()),
  'sends half a header and hangs up': says(socket => socket.end('<?xml version="1.0"?><stream:str')),
  'sends half a header and hangs': says(socket => socket.write('<?xml version="1.0"?><stream:str')),
  'has no version': says(socket => socket.write(header('') + sasl)),
  'speaks HTTP': says(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
  'speaks before it is asked and hangs': socket => socket.write('SSH-2.0-OpenSSH\r\n'),
}

const starttlsServers: Readonly<Record<string, Server>> = {
  'has no STARTTLS': says(socket => socket.write(served + sasl)),
  'refuses STARTTLS': says(offer, socket => socket.end(`<failure ${tls}/></stream:stream>`)),
  'proceeds and hangs': proceeds(() => {}),
  'proceeds and hangs up': proceeds(socket => socket.end()),
  'has a certificate of somebody else': proceeds(secures(other)),
  'has TLS and hangs': proceeds(secures(certificate)),
}

async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  const listener = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {}) // the gate gives it up
    server(socket)
  })
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  await once(listener.listen(0, '127.0.0.1'), 'listening')
  return (listener.address() as AddressInfo).port
}

const wires = [
  { mode: 'none', servers: plainServers, ca: undefined },
  { mode: 'starttls', servers: starttlsServers, ca: certificate.cert },
] as const

for (const { mode, servers, ca } of wires)
  for (const [what, server] of Object.entries(servers))
    t.test(`a member with TLS ${mode} that ${what}`, async t => {
      const port = await listening(server)
      const members = [
        { address: '127.0.0.1', port, weight: 100 },
        { address: '127.0.0.1', port: prosody.port, weight: 1 },
      ]
      const upstream = { members, tls: { mode, ca, servername: undefined } } as const
      const gate = await Gate.start(t, certificate, prosody, { upstream, limits: { times } })
      const client = await gate.login('plain', 'romeo', 'r')
      t.equal(client.jid, 'romeo@localhost/r')
      const counts = await gate.metrics()
      const one = { member: `127.0.0.1:${port}` }
      t.equal(counts.sum('upstream_member_ejections_total', one), 1)
      t.equal(counts.sum('upstream_failovers_total'), 1)
      t.equal(counts.sum('upstream_connect_errors_total'), 0, 'no client has noticed')
      client.transport.destroy()
      const after = await gate.counted('all are gone', all => all.sum('streams_active') === 0)
      for (const side of ['client', 'upstream'])
        t.equal(after.sum('streams_opened_total', { side }), after.sum('streams_closed_total', { side }), side)
      await gate.counted('no connection is left', all => all.sum('upstream_member_connections') === 0)
      await gate.proxy.stop()
    })

for (const mode of ['starttls', 'direct'] as const)
  t.test(`TLS ${mode}: a client that asks for a domain which no certificate names ejects nobody`, async t => {
    const anyName = await listening(proceeds(secures(certificate)))
    const ports = mode === 'starttls' ? [anyName, prosody.port] : [prosody.ports.directTls ?? 0, 1]
    const members = ports.map(port => ({ address: '127.0.0.1', port, weight: port === 1 ? 0 : 1 }))
    const upstream = { members, tls: { mode, ca: certificate.cert, servername: undefined } } as const
    const gate = await Gate.start(t, certificate, prosody, { upstream, routes: [{ domain: '*', upstream: 'main' }] })
    const client = await connectTcp(gate.port('plain'))
    client.send(client.header('evil.example'))
    t.match((await client.toTheEnd()).join('\n'), /internal-server-error/)
    t.equal((await gate.metrics()).sum('upstream_member_ejections_total'), 0)
    const honest = mode === 'starttls' ? undefined : await gate.login('plain', 'juliet', 'r')
    honest?.transport.destroy()
    await gate.proxy.stop()
  })

t.test('a member that was ejected is asked with TLS, and for the version', async t => {
  const clock = new HandClock()
  const at = { address: '127.0.0.1', servername: undefined, proxyProtocol: undefined } as const
  const ca = readFileSync(certificate.cert, 'utf8')
  for (const { mode, servers } of wires) {
    t.ok(await servesStreams({ ...at, mode, ca, port: prosody.port }, 'localhost', clock), `Prosody, ${mode}`)
    for (const [what, server] of Object.entries(servers)) {
      const serves = servesStreams({ ...at, mode, ca, port: await listening(server) }, 'localhost', clock)
      if (/hangs$/.test(what)) clock.advance(5_000)
      t.notOk(await serves, `${mode}: ${what}`)
    }
  }
})
