/** The grants that one session has in view, by contact, and how long each phase lasts. */
import type { Grant, GrantPhase } from './compensation-record.ts'

/** Milliseconds in which a server sends the other stanza of the pair, or the push that takes the grant back. */
const awaitedFor = 1_000
/** Milliseconds in which a late `subscribed`, or an echo of what was taken back, is still known as such. */
const rememberedFor = 10_000
/** Contacts of one session. */
const grantsAtMost = 100

export class Grants {
  private readonly grants = new Map<string, Grant>()
  /** When the first phase is over; `undefined`: to be computed. */
  private next: number | undefined

  get size(): number {
    return this.grants.size
  }

  get(key: string): Grant | undefined {
    return this.grants.get(key)
  }

  entries(): Iterable<[string, Grant]> {
    return this.grants.entries()
  }

  values(): Iterable<Grant> {
    return this.grants.values()
  }

  delete(key: string): void {
    this.grants.delete(key)
  }

  put(key: string, grant: Grant): void {
    this.grants.delete(key)
    if (this.hasRoom()) this.grants.set(key, grant)
    this.next = undefined
  }

  enter(grant: Grant, phase: GrantPhase): void {
    grant.phase = phase
    grant.until = undefined
    this.next = undefined
  }

  /** Whether stanzas of this contact are held. */
  isOpen(key: string): boolean {
    return isOpen(this.grants.get(key))
  }

  /** Room for one more. The oldest of which nothing is held is forgotten for it. */
  hasRoom(): boolean {
    if (this.grants.size < grantsAtMost) return true
    for (const [key, grant] of this.grants) if (!isOpen(grant)) return this.grants.delete(key)
    return false
  }

  /** The time at which the first phase is over; `undefined`: none ends by itself. `now`: milliseconds, from any beginning. */
  until(now: number): number | undefined {
    if (this.grants.size === 0) return undefined
    if (this.next === undefined) {
      this.next = Infinity
      for (const grant of this.grants.values()) {
        grant.until ??= now + (grant.phase === 'seen' || grant.phase === 'undone' ? rememberedFor : awaitedFor)
        this.next = Math.min(this.next, grant.until)
      }
    }
    return this.next === Infinity ? undefined : this.next
  }

  /** Those whose phase is over. */
  lapsed(now: number): [string, Grant][] {
    this.next = undefined
    return [...this.grants].filter(([, { until = Infinity }]) => until <= now)
  }

  /** Time counts anew. */
  restart(): void {
    for (const grant of this.grants.values()) if (grant.until !== Infinity) grant.until = undefined
    this.next = undefined
  }
}

function isOpen(grant: Grant | undefined): boolean {
  return grant?.phase === 'undecided' || grant?.phase === 'undoing'
}
