/** The least that a proxy in Node does: bytes from one socket to the other, and back. `node pipe.js PORT`; prints its own port. */
import { type AddressInfo, connect, createServer } from 'node:net'

const to = Number(process.argv[2])
const server = createServer({ noDelay: true }, inner => {
  const outer = connect({ host: '127.0.0.1', port: to, noDelay: true })
  for (const [one, other] of [
    [inner, outer],
    [outer, inner],
  ] as const)
    one.on('error', () => other.destroy()).pipe(other)
})
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
