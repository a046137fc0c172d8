/** The held requests of one account, by the stranger's key, in the order in which they are let through. */
import type { Element } from '../xml/element.ts'

/**
 * Which limit was reached when the request came: that of the presence session, or that of the day. `no-roster`: it is to be dropped if it is a
 * stranger's, and the roster that could say so has not been seen. `rate`: too many came within an hour of its sender or domain, or to the account.
 */
export type WhyHeld = 'per-login' | 'per-day' | 'no-roster' | 'rate'

/** Who comes first when there is room: who was invited, the account's own domain, the domain of a contact in the roster, any other. */
export type Rank = -1 | 0 | 1 | 2

const ranks = [-1, 0, 1, 2] as const

export interface HeldRequest {
  /** By `keyOf`. */
  readonly key: string
  /** The stranger's bare JID as spelled. */
  readonly contact: string
  /** When it came first; milliseconds since 1970. */
  readonly since: number
  readonly why: WhyHeld
  readonly rank: Rank
  /** The stanza as it came; without its children if it is long. */
  readonly element: Element
}

interface Weighed {
  readonly request: HeldRequest
  readonly weight: number
}

export class HeldRequests {
  /** By rank; of one rank those that wait longest come first. */
  private readonly ranks: Readonly<Record<Rank, Map<string, Weighed>>> = {
    [-1]: new Map(),
    0: new Map(),
    1: new Map(),
    2: new Map(),
  }
  /** Of all of them together. */
  weight = 0

  get size(): number {
    return this.ranks[-1].size + this.ranks[0].size + this.ranks[1].size + this.ranks[2].size
  }

  get(key: string): HeldRequest | undefined {
    for (const rank of ranks) {
      const found = this.ranks[rank].get(key)
      if (found !== undefined) return found.request
    }
    return undefined
  }

  *inOrder(): Iterable<HeldRequest> {
    for (const rank of ranks) for (const { request } of this.ranks[rank].values()) yield request
  }

  /** One of the worst rank that there is. */
  worst(): HeldRequest | undefined {
    for (const rank of ranks.toReversed()) for (const { request } of this.ranks[rank].values()) return request
    return undefined
  }

  /** `weight`: more than 0. */
  add(request: HeldRequest, weight: number): void {
    this.ranks[request.rank].set(request.key, { request, weight })
    this.weight += weight
  }

  /** Those whose rank is better now change it; of one rank those that wait longest stay first. */
  rerank(rankOf: (contact: string) => Rank): void {
    const all = ranks.flatMap(rank => [...this.ranks[rank]])
    const ranked = all.map(([key, { request, weight }]) => {
      const rank = rankOf(request.contact)
      return { key, weight, request: rank < request.rank ? { ...request, rank } : request }
    })
    if (ranked.every(({ request }, at) => request === all[at]?.[1].request)) return
    for (const rank of ranks) this.ranks[rank].clear()
    ranked.sort((one, other) => one.request.since - other.request.since)
    for (const { key, request, weight } of ranked) this.ranks[request.rank].set(key, { request, weight })
  }

  /** Gives its weight; 0: there is none. */
  delete(key: string): number {
    for (const rank of ranks) {
      const found = this.ranks[rank].get(key)
      if (found === undefined) continue
      this.ranks[rank].delete(key)
      this.weight -= found.weight
      return found.weight
    }
    return 0
  }
}
