/**
 * Those who are a burden, in a process of their own, so that what they cost here is not taken for what they cost the gate. Started
 * by soak.ts, which tells it what to do, and ends it.
 */
import { connect, type Socket } from 'node:net'
import { connectTcp, type RawClient } from '../clients/raw.ts'

export interface CrowdOptions {
  readonly port: number
  readonly names: readonly string[]
  /** Connections that say a byte every second, as many at a time. */
  readonly slowloris: number
  /** Logins and sudden ends, each second. */
  readonly churn: number
  /** Sessions that read nothing while they are written to. */
  readonly deaf: number
}

/** What it tells every second. */
export interface CrowdReport {
  readonly slowloris: number
  readonly refused: number
  readonly logins: number
  readonly failedLogins: number
  readonly deafEnded: number
}

/** Theirs, with a server of its own: what they cost that one is not to be taken for what they cost the gate. */
export const domain = 'crowd.localhost'
const header =
  "<?xml version='1.0'?><stream:stream to='crowd.localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
/** Parts of a second, in each of which some say their byte. */
const slices = 101
/** Seconds that one lasts at the gate: half of them 5, until a header is due, and half 30, until a resource is to be bound. */
const lifetime = 17.5

class Crowd {
  private readonly options: CrowdOptions
  private readonly slow = new Map<Socket, { readonly number: number; readonly said: number }>()
  private opened = 0
  private due = 0
  private slice = 0
  private readonly count = { refused: 0, logins: 0, failedLogins: 0, deafEnded: 0 }

  constructor(options: CrowdOptions) {
    this.options = options
  }

  begin(): void {
    setInterval(() => this.open(), 10)
    setInterval(() => this.trickle(), 1_000 / slices)
    if (this.options.churn > 0) setInterval(() => this.churn(), 1_000 / this.options.churn)
    for (let i = 0; i < this.options.deaf; i++) void this.deafen(i)
    setInterval(() => process.send?.(this.report), 1_000)
  }

  private get report(): CrowdReport {
    return { slowloris: this.slow.size, ...this.count }
  }

  private open(): void {
    // As many each second as end: they come one by one, not in waves.
    this.due += this.options.slowloris / lifetime / 100
    for (; this.due >= 1; this.due -= 1) {
      if (this.slow.size >= this.options.slowloris) continue
      const socket = connect(this.options.port, '127.0.0.1')
      this.slow.set(socket, { number: this.opened++, said: 0 })
      socket.on('error', () => {
        this.count.refused += 1
      })
      socket.on('close', () => this.slow.delete(socket))
      socket.resume()
    }
  }

  /**
   * Each says a byte every second, evenly spread over it, as those who know nothing of each other do. Half of them say a stream header,
   * byte by byte; half say one at once, and go on with a stanza like that.
   */
  private trickle(): void {
    this.slice = (this.slice + 1) % slices
    for (const [socket, { number, said }] of this.slow) {
      if (number % slices !== this.slice) continue
      const isHalfway = number % 2 === 0
      if (said === 0 && isHalfway) socket.write(header)
      else socket.write((isHalfway ? "<iq type='get' id='"[said - 1] : header[said]) ?? 'x')
      this.slow.set(socket, { number, said: said + 1 })
    }
  }

  private churn(): void {
    const { port, names } = this.options
    const name = names[this.count.logins % names.length] as string
    this.count.logins += 1
    connectTcp(port)
      .then(client => client.login(name, `churn-${this.count.logins}`, 'secret', domain))
      .then(
        client => client.transport.destroy(),
        () => {
          this.count.failedLogins += 1
        },
      )
  }

  /** Asks its own server for more than it ever reads, begins again when it was cut off. */
  private async deafen(index: number): Promise<void> {
    const { port, names } = this.options
    let client: RawClient
    try {
      client = await (await connectTcp(port)).login(
        names[index % names.length] as string,
        `deaf-${index}`,
        'secret',
        domain,
      )
    } catch {
      setTimeout(() => this.deafen(index), 1_000)
      return
    }
    client.transport.pause()
    // The server is to carry this beside the honest ones: a little at a time.
    const body = 'x'.repeat(50_000)
    const timer = setInterval(() => {
      client.send(`<message to='${client.jid}' type='chat'><body>${body}</body></message>`)
    }, 500)
    client.inbox.divert(item => {
      if (item.item !== 'gone') return
      clearInterval(timer)
      this.count.deafEnded += 1
      setTimeout(() => this.deafen(index), 1_000)
    })
  }
}

if (process.send !== undefined) process.on('message', (options: CrowdOptions) => new Crowd(options).begin())
