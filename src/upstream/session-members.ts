/**
 * Which member of an upstream has a session that its client may resume (XEP-0198): a client that comes back is sent there. It is known by the
 * account that its stream header names, or by its address. Of more than `atMost` the one unused longest is forgotten.
 */
import { detachedString } from '../stanza/detached-string.ts'

const atMost = 20_000

export class SessionMembers {
  private readonly members = new Map<string, string>()

  /** `member`: its name. `clients`: the account and the address of the client, as far as they are known. */
  holds(upstream: string, member: string, clients: readonly (string | undefined)[]): void {
    for (const client of clients) {
      if (client === undefined) continue
      const key = keyOf(upstream, client)
      this.members.delete(key)
      this.members.set(detachedString(key), member)
    }
    while (this.members.size > atMost) for (const oldest of this.members.keys()) if (this.members.delete(oldest)) break
  }

  /** The account says more than the address. `undefined`: nothing is known. */
  memberOf(upstream: string, clients: readonly (string | undefined)[]): string | undefined {
    for (const client of clients) {
      const member = client === undefined ? undefined : this.members.get(keyOf(upstream, client))
      if (member !== undefined) return member
    }
    return undefined
  }
}

function keyOf(upstream: string, client: string): string {
  return `${upstream}\n${client}`
}
