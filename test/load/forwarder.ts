/** A wire between the gate and its upstream that can be cut, half closed, or go dumb: what no server does at will. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class Forwarder {
  private readonly server: Server
  private readonly lines = new Set<{ gate: Socket; server: Socket }>()
  private isDumb = false

  private constructor(target: { readonly address: string; readonly port: number }) {
    this.server = createServer({ allowHalfOpen: true }, gate => {
      const server = connect({ host: target.address, port: target.port, allowHalfOpen: true })
      const line = { gate, server }
      this.lines.add(line)
      for (const socket of [gate, server]) socket.on('error', () => {})
      gate.on('close', () => {
        this.lines.delete(line)
        server.destroy()
      })
      server.on('close', () => gate.destroy())
      if (this.isDumb) return
      gate.pipe(server)
      server.pipe(gate)
    })
  }

  static async start(target: { readonly address: string; readonly port: number }): Promise<Forwarder> {
    const forwarder = new Forwarder(target)
    forwarder.server.listen(0, '127.0.0.1')
    await once(forwarder.server, 'listening')
    return forwarder
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** Every connection is reset, as when a machine in between forgets it. */
  cut(): void {
    for (const { gate } of this.lines) gate.resetAndDestroy()
  }

  /** The server's side of every connection ends, and still takes what is sent to it. */
  halfClose(): void {
    for (const { gate, server } of this.lines) {
      server.unpipe(gate)
      gate.end()
    }
  }

  /** Nothing comes through any more, of new connections too. */
  dumb(): void {
    this.isDumb = true
    for (const { gate, server } of this.lines) {
      gate.unpipe(server)
      server.unpipe(gate)
      gate.pause()
      server.pause()
    }
  }

  stop(): void {
    this.cut()
    this.server.close()
  }
}
