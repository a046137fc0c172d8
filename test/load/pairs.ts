/** Honest clients: pairs that write to each other at a steady rate. What is measured is what they feel. */
import { connectTcp, type Item, type RawClient } from '../clients/raw.ts'

export class Pairs {
  /** Milliseconds from sending to receiving, since the last `take`. */
  private latencies: number[] = []
  private readonly clients: RawClient[] = []
  private readonly sent = new Map<string, number>()
  private timer: NodeJS.Timeout | undefined
  private count = 0
  /** Streams that ended without being asked to. */
  lost = 0

  /** Logs in two clients for each pair; the accounts are `names`, all with the password `secret`. */
  static async login(port: number, names: readonly string[], count: number): Promise<Pairs> {
    const pairs = new Pairs()
    for (let i = 0; i < 2 * count; i++) {
      const client = await connectTcp(port)
      await client.login(names[i % names.length] as string, `pair-${i}`)
      pairs.clients.push(client)
    }
    for (const client of pairs.clients) client.inbox.divert(item => pairs.hear(item))
    return pairs
  }

  /** Every pair sends one message each way every so many milliseconds, evenly spread. */
  begin(every: number): void {
    const { clients } = this
    let next = 0
    this.timer = setInterval(() => {
      const from = clients[next % clients.length] as RawClient
      const to = clients[(next % clients.length) ^ 1] as RawClient
      next += 1
      const id = `m${++this.count}`
      this.sent.set(id, performance.now())
      from.send(
        `<message to='${to.jid}' id='${id}' type='chat'><body>Art thou not Romeo, and a Montague?</body></message>`,
      )
    }, every / clients.length)
  }

  /** Nothing is sent any more; what is on its way arrives. */
  pause(): void {
    clearInterval(this.timer)
  }

  /** Messages that were sent and have not arrived. */
  get underway(): number {
    return this.sent.size
  }

  end(): void {
    this.pause()
    this.timer = undefined
    for (const client of this.clients) client.transport.destroy()
  }

  /** The latencies since the last time, the smallest first. */
  take(): number[] {
    const { latencies } = this
    this.latencies = []
    return latencies.sort((a, b) => a - b)
  }

  private hear(item: Item): void {
    if (item.item === 'gone' && this.timer !== undefined) this.lost += 1
    if (item.item !== 'element' || item.element.name !== 'message') return
    const id = item.element.attrs.get('id') ?? ''
    const began = this.sent.get(id)
    if (began === undefined) return
    this.sent.delete(id)
    this.latencies.push(performance.now() - began)
  }
}

/** The value below which that part of the sorted values lies; `undefined` of none. */
export function quantile(sorted: readonly number[], part: number): number | undefined {
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]
}
