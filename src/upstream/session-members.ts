/**
 * Which member of an upstream has a session that its client may resume (XEP-0198): a client that comes back is sent there. It is known by the
 * account that its stream header names, or by its address, as long as the server keeps the session. Of more than `atMost` the oldest is forgotten.
 */
import { detachedString } from '../stanza/detached-string.ts'

const atMost = 20_000

interface Holder {
  /** The member's name. */
  readonly member: string
  /** Milliseconds, from any beginning. */
  readonly until: number
}

export class SessionMembers {
  private readonly holders = new Map<string, Holder>()

  /** `clients`: the account and the address of the client, as far as they are known. */
  holds(upstream: string, holder: Holder, clients: readonly (string | undefined)[]): void {
    for (const client of clients) {
      if (client === undefined) continue
      const key = keyOf(upstream, client)
      this.holders.delete(key)
      this.holders.set(detachedString(key), holder)
    }
    while (this.holders.size > atMost) for (const oldest of this.holders.keys()) if (this.holders.delete(oldest)) break
  }

  /** The account says more than the address. `undefined`: none is known at this time, milliseconds from the same beginning. */
  memberOf(upstream: string, clients: readonly (string | undefined)[], now: number): string | undefined {
    for (const client of clients) {
      const holder = client === undefined ? undefined : this.holders.get(keyOf(upstream, client))
      if (holder !== undefined && holder.until > now) return holder.member
    }
    return undefined
  }
}

function keyOf(upstream: string, client: string): string {
  return `${upstream}\n${client}`
}
