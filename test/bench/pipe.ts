/**
 * The least that a proxy in Node does: bytes from one socket to the other, and back. `node pipe.js PORT [CERT KEY]`, with TLS to the client
 * if a certificate is given; prints its own port.
 */
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import tls from 'node:tls'

const [to, cert, key] = process.argv.slice(2)
const serve = (inner: Socket) => {
  const outer = connect({ host: '127.0.0.1', port: Number(to), noDelay: true })
  for (const [one, other] of [
    [inner, outer],
    [outer, inner],
  ] as const)
    one.on('error', () => other.destroy()).pipe(other)
}
const server =
  cert === undefined || key === undefined
    ? createServer({ noDelay: true }, serve)
    : tls.createServer({ cert: readFileSync(cert), key: readFileSync(key), noDelay: true }, serve)
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
