/** A map by contact that finds a contact by every spelling that may mean it. */
import { detachedString } from '../stanza/detached-string.ts'
import { bareOf, foldBare, skeletonOf } from '../stanza/jid.ts'
import { type ContactHash, hashedContact, hashedSkeleton, isHashed, skeletonIn } from './hashed-contact.ts'

/** Whether the server has named the contact by this spelling; the user's client may spell it otherwise. */
interface Shown {
  readonly isShown: boolean
}

interface Similar<Value> {
  readonly key: string
  readonly skeleton: string
  readonly value: Value
}

/**
 * Values by contact. A server may prepare an address otherwise than the client has spelled it (`straße`, `strasse`). Where no
 * contact has exactly this spelling, the contact is found that some profile takes for the same. Two contacts that the server
 * itself has named stay two.
 */
export class ContactMap<Value extends Shown> {
  /** Finds contacts that are known by their hashes alone. `undefined`: there are none. */
  hash: ContactHash | undefined
  private readonly values = new Map<string, Value>()
  /** Keys by skeleton, for contacts whose key differs from the skeleton: most rosters have none. */
  private readonly others = new Map<string, string[]>()

  /** Contacts that are known by their hashes alone. */
  private hashed = 0

  get size(): number {
    return this.values.size
  }

  get hasHashed(): boolean {
    return this.hashed > 0
  }

  /** By `keyOf`. */
  entries(): Iterable<[string, Value]> {
    return this.values
  }

  get(jid: string): Value | undefined {
    return this.values.get(this.exactly(jid)) ?? this.similarTo(jid)?.value
  }

  /** Whether a contact has exactly this spelling. */
  hasExactly(jid: string): boolean {
    return this.values.has(keyOf(jid))
  }

  /**
   * The contact that the server names so: the one with exactly this spelling, or one that only the client has named so far; it
   * gets this spelling.
   */
  getShown(jid: string): Value | undefined {
    const exact = this.values.get(keyOf(jid))
    if (exact !== undefined) return exact
    const similar = this.similarTo(jid)
    // The server has named it before: it is another contact, which some profile would take for this one.
    if (similar === undefined || similar.value.isShown) return undefined
    this.remove(similar)
    this.add(jid, similar.value)
    return similar.value
  }

  /** Another value for a contact that `get` finds. */
  set(jid: string, value: Value): void {
    const key = this.exactly(jid)
    const known = this.values.has(key) ? key : this.similarTo(jid)?.key
    if (known !== undefined) this.values.set(known, value)
  }

  add(jid: string, value: Value): void {
    const key = detachedString(keyOf(jid))
    this.values.set(key, value)
    if (isHashed(key)) this.hashed++
    const skeleton = isHashed(key) ? skeletonIn(key) : skeletonOf(jid)
    if (skeleton !== undefined && skeleton !== key)
      this.others.set(detachedString(skeleton), [...(this.others.get(skeleton) ?? []), key])
  }

  /** Contacts of these that were known by their hashes alone are known by their JIDs. Gives both for each of them. */
  reveal(jids: Iterable<string>): (readonly [hashed: string, contact: string])[] {
    const revealed: (readonly [string, string])[] = []
    if (this.hash === undefined) return revealed
    for (const jid of jids) {
      if (!this.hasHashed) return revealed
      const key = this.exactly(jid)
      const value = this.values.get(key)
      if (value === undefined || !isHashed(key) || isHashed(jid)) continue
      this.remove({ key, skeleton: skeletonIn(key) ?? '' })
      this.add(jid, value)
      revealed.push([key, keyOf(jid)])
    }
    return revealed
  }

  /** The JIDs of those of these contacts that are hashed, and that the map has by their JIDs. */
  namesOf(contacts: Iterable<string>): ReadonlyMap<string, string> {
    const names = new Map<string, string>()
    const { hash } = this
    if (hash === undefined) return names
    const wanted = new Set<string>()
    for (const contact of contacts) if (isHashed(contact) && !this.values.has(contact)) wanted.add(contact)
    if (wanted.size === 0) return names
    for (const key of this.values.keys()) {
      const hashed = isHashed(key) ? undefined : hashedContact(key, hash)
      if (hashed !== undefined && wanted.has(hashed)) names.set(hashed, key)
    }
    return names
  }

  private remove({ key, skeleton }: Pick<Similar<Value>, 'key' | 'skeleton'>): void {
    if (this.values.delete(key) && isHashed(key)) this.hashed--
    const left = this.others.get(skeleton)?.filter(other => other !== key) ?? []
    if (left.length > 0) this.others.set(skeleton, left)
    else this.others.delete(skeleton)
  }

  /** A contact of another spelling, where none has this one. */
  private similarTo(jid: string): Similar<Value> | undefined {
    const skeleton = skeletonOf(jid)
    if (skeleton === undefined) return undefined
    const key = this.values.has(skeleton) ? skeleton : (this.others.get(skeleton)?.[0] ?? this.hashedBy(skeleton))
    return key === undefined ? undefined : { key, skeleton, value: this.values.get(key) as Value }
  }

  /** The key of exactly this spelling, whether the map has it or not; the hashed one, if it has that. */
  private exactly(jid: string): string {
    const key = keyOf(jid)
    if (!this.hasHashed || this.hash === undefined || this.values.has(key)) return key
    const hashed = hashedContact(key, this.hash)
    return this.values.has(hashed) ? hashed : key
  }

  private hashedBy(skeleton: string): string | undefined {
    if (!this.hasHashed || this.hash === undefined) return undefined
    const key = hashedContact(skeleton, this.hash)
    return this.values.has(key) ? key : this.others.get(hashedSkeleton(skeleton, this.hash))?.[0]
  }
}

/** The key of a contact: the folded bare JID, or the bare JID as spelled if it cannot be folded. */
export function keyOf(jid: string): string {
  return foldBare(bareOf(jid)) ?? bareOf(jid)
}
