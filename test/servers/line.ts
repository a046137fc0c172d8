/** A way to a server that can be cut and mended. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Line {
  readonly port: number
  /** Ends what is under way, and lets nothing through until `mend`. */
  cut(): void
  mend(): void
}

export async function makeLine(t: { teardown(action: () => unknown): unknown }, to: number): Promise<Line> {
  const sockets = new Set<Socket>()
  let isCut = false
  const server = createServer(socket => {
    if (isCut) {
      socket.destroy()
      return
    }
    const other = connect(to, '127.0.0.1')
    for (const [one, end] of [[socket, other] as const, [other, socket] as const]) {
      sockets.add(one)
      one.on('error', () => {}) // the other end is told by 'close'
      one.on('close', () => {
        sockets.delete(one)
        end.destroy()
      })
      one.pipe(end)
    }
  })
  const cut = () => {
    isCut = true
    for (const socket of sockets) socket.destroy()
  }
  t.teardown(() => {
    cut()
    server.close()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const mend = () => {
    isCut = false
  }
  return { port, cut, mend }
}
