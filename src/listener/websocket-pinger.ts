/**
 * Pings WebSockets, so that proxies do not close silent ones (nginx does after 60 s), and ends those whose client is gone. One
 * round of pings for all sockets of a listener.
 */
export interface PingTarget {
  ping(): void
  abort(): void
  /** Bytes that the client has sent so far. Any of them shows that it is there: a pong, or a part of a long message. */
  readonly received: number
  /** It is not read at present, so a pong would not be noticed. */
  readonly paused: boolean
}

/** Milliseconds between two rounds; well below the 60 s of nginx. */
export const pingEvery = 45_000
/** Unanswered pings after which the client counts as gone. */
const unansweredAtMost = 2

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
      if (heard.unanswered === unansweredAtMost) {
        socket.abort()
        continue
      }
      if (!paused) heard.unanswered += 1
      socket.ping()
    }
  }
}
