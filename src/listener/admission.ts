/**
 * Decides which connections are served, and when. There is a limit of connections at a time and of new ones each second for one
 * address, and a limit of connections for the process. While the gate is overloaded no connection is accepted. When more
 * connections come at once than can be served well, as after a restart, they wait in a queue. An address is one of IPv4, or a /64
 * of IPv6, which is what one subscriber has. An address that is exempt or not known has no limit of its own. An address is
 * forgotten once it has no connections and its bucket is full again.
 */

import type { Limits } from '../config/limits.ts'
import { plainAddress } from '../transport/address.ts'
import type { Clock } from '../transport/clock.ts'
import { TokenBucket } from '../transport/token-bucket.ts'
import type { Trust } from '../transport/trusted-networks.ts'
import type { Rejection, Strain } from './labels.ts'

export interface AdmissionOptions {
  readonly connections: Limits['connections']
  readonly exempt: Trust
  readonly overload: Pick<Limits['overload'], 'admittedPerSecond' | 'queue'>
  readonly clock: Clock
  strain(): Strain | undefined
  /** The number of waiting connections has changed by this much. */
  waits(change: 1 | -1): void
}

export interface ConnectionRequest {
  serve(): void
  /** `undefined`: the gate stops. */
  refuse(reason: Rejection | undefined): void
}

/** Milliseconds until the queue is looked at again while the gate is overloaded. */
const breather = 250
/** File descriptors kept for listeners, scrapes, files, name look-ups and connections that are being refused. */
const reserve = 100

export class Admission {
  private readonly options: AdmissionOptions
  private readonly addresses = new Map<string, AddressRecord>()
  /** Addresses without connections, the next to be forgotten first, with the time when it is. */
  private readonly resting = new Map<string, number>()
  /** In the order in which they came. */
  private readonly queue = new Set<ConnectionRequest>()
  private readonly pace: TokenBucket
  private present = 0
  private cancel: (() => void) | undefined
  private stopped = false

  constructor(options: AdmissionOptions) {
    this.options = options
    const { admittedPerSecond } = options.overload
    // A tenth of a second's connections at once: a whole second's would hold up the event loop.
    this.pace = bucketOf(admittedPerSecond, Math.ceil(admittedPerSecond / 10), options.clock.now())
  }

  /** Number of addresses that are remembered. */
  get known(): number {
    return this.addresses.size
  }

  /**
   * Asks for admission. `request` is told at once, or when its turn has come. `address`: an IP address; `undefined`: it has no
   * limit of its own. The function returned is called when the connection ends or is given up, also while it waits; calling it
   * again has no effect.
   */
  ask(address: string | undefined, request: ConnectionRequest): () => void {
    const now = this.options.clock.now()
    this.forget(now)
    const key = this.keyOf(address)
    const known = key === undefined ? undefined : (this.addresses.get(key) ?? this.newcomer(now))
    const reason = this.stopped ? undefined : this.against(known, now)
    if (this.stopped || reason !== undefined) {
      request.refuse(reason)
      return () => {}
    }
    this.enter(key, known, now)
    if (this.queue.size === 0 && this.pace.wait(now) === 0) {
      this.pace.take(1, now)
      request.serve()
    } else {
      this.queue.add(request)
      this.options.waits(1)
      this.look()
    }
    let isHere = true
    return () => {
      if (!isHere) return
      isHere = false
      this.leave(key, request)
    }
  }

  /** Refuses every connection from now on, also those that wait. */
  stop(): void {
    this.stopped = true
    this.cancel?.()
    this.cancel = undefined
    for (const request of [...this.queue]) {
      this.dequeue(request)
      request.refuse(undefined)
    }
  }

  private against(known: AddressRecord | undefined, now: number): Rejection | undefined {
    const { connections, overload, strain } = this.options
    const { total, perAddress } = connections
    if (known !== undefined && known.present >= perAddress) return 'address'
    if (known !== undefined && known.pace.wait(now) > 0) return 'address-rate'
    if (total !== undefined && this.present >= total) return 'total'
    const strained = strain()
    if (strained !== undefined) return strained
    const mustWait = this.queue.size > 0 || this.pace.wait(now) > 0
    return mustWait && this.queue.size >= overload.queue ? 'queue' : undefined
  }

  private enter(key: string | undefined, known: AddressRecord | undefined, now: number): void {
    this.present++
    if (key === undefined || known === undefined) return
    this.addresses.set(key, known)
    this.resting.delete(key)
    known.present++
    known.pace.take(1, now)
  }

  private leave(key: string | undefined, request: ConnectionRequest): void {
    this.present--
    this.dequeue(request)
    const known = key === undefined ? undefined : this.addresses.get(key)
    if (key === undefined || known === undefined || --known.present > 0) return
    const { newBurst, newPerSecond } = this.options.connections
    this.resting.set(key, this.options.clock.now() + (1_000 * newBurst) / newPerSecond)
  }

  private forget(now: number): void {
    for (const [key, until] of this.resting) {
      if (until > now) return
      this.resting.delete(key)
      this.addresses.delete(key)
    }
  }

  private dequeue(request: ConnectionRequest): void {
    if (this.queue.delete(request)) this.options.waits(-1)
  }

  /** Makes sure that the queue is looked at again. */
  private look(): void {
    const { clock, strain } = this.options
    if (this.cancel !== undefined || this.queue.size === 0) return
    const pause = strain() === undefined ? 0 : breather
    this.cancel = clock.after(Math.max(this.pace.wait(clock.now()), pause), () => {
      this.cancel = undefined
      this.next()
      this.look()
    })
  }

  private next(): void {
    const { clock, strain } = this.options
    for (const request of this.queue) {
      const now = clock.now()
      if (strain() !== undefined || this.pace.wait(now) > 0) return
      this.pace.take(1, now)
      this.dequeue(request)
      request.serve()
    }
  }

  private keyOf(address: string | undefined): string | undefined {
    const plain = address === undefined ? undefined : plainAddress(address)
    return plain === undefined || this.options.exempt(plain) ? undefined : blockOf(plain)
  }

  private newcomer(now: number): AddressRecord {
    const { newPerSecond, newBurst } = this.options.connections
    return { present: 0, pace: bucketOf(newPerSecond, newBurst, now) }
  }
}

interface AddressRecord {
  present: number
  readonly pace: TokenBucket
}

/** A bucket that is not empty may be overdrawn by one, so it is given one less. */
function bucketOf(perSecond: number, burst: number, now: number): TokenBucket {
  return new TokenBucket({ perSecond, burst: burst - 1 }, now)
}

/** An IPv4 address itself, an IPv6 address' /64. `plain`: as `plainAddress` spells it. */
export function blockOf(plain: string): string {
  if (!plain.includes(':')) return plain
  const [before = '', after] = plain.split('::')
  const groups = groupsOf(before)
  if (after !== undefined) {
    const rest = groupsOf(after)
    // An IPv4 address at the end stands for two groups.
    const count = rest.length + (after.includes('.') ? 1 : 0)
    groups.push(...Array<string>(Math.max(8 - groups.length - count, 0)).fill('0'), ...rest)
  }
  return `${groups.slice(0, 4).join(':')}::/64`
}

function groupsOf(text: string): string[] {
  return text === '' ? [] : text.split(':')
}

/**
 * The number of connections for which the file descriptors of a process suffice, with one upstream connection each. `undefined`:
 * not known.
 */
export function roomOf(descriptors: number | undefined): number | undefined {
  return descriptors === undefined ? undefined : Math.max(Math.floor((descriptors - reserve) / 2), 1)
}
