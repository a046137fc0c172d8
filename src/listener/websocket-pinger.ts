/**
 * Pings WebSockets, so that proxies on the way do not take a silent one for dead (nginx cuts after 60 s), and ends those whose client
 * is gone without a word. One round for all sockets of a listener.
 */
export interface PingTarget {
  ping(): void
  abort(): void
  /** Bytes that came from the client so far: any of them is a sign of life, be it a pong or a part of a long message. */
  readonly received: number
  /** It is not read at present, so it cannot be heard. */
  readonly paused: boolean
}

/** Milliseconds between two rounds; well below the 60 s of nginx. */
export const pingEvery = 45_000
/** Pings without a sign of life after which a client counts as gone. */
const patience = 2

interface PingState {
  received: number
  unanswered: number
}

export class WebsocketPinger {
  private readonly sockets = new Map<PingTarget, PingState>()

  add(socket: PingTarget): void {
    this.sockets.set(socket, { received: socket.received, unanswered: 0 })
  }

  remove(socket: PingTarget): void {
    this.sockets.delete(socket)
  }

  round(): void {
    for (const [socket, heard] of this.sockets) {
      const { received, paused } = socket
      if (paused || received !== heard.received) heard.unanswered = 0
      heard.received = received
      if (heard.unanswered === patience) {
        socket.abort()
        continue
      }
      if (!paused) heard.unanswered += 1
      socket.ping()
    }
  }
}
