/** A map by contact that finds a contact by every spelling that may mean it. */
import { detachedString } from '../stanza/detached-string.ts'
import { bareOf, foldBare, skeletonOf } from '../stanza/jid.ts'

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
  private readonly values = new Map<string, Value>()
  /** Keys by skeleton, for contacts whose key differs from the skeleton: most rosters have none. */
  private readonly others = new Map<string, string[]>()

  get size(): number {
    return this.values.size
  }

  /** By `keyOf`. */
  entries(): Iterable<[string, Value]> {
    return this.values
  }

  get(jid: string): Value | undefined {
    return this.values.get(keyOf(jid)) ?? this.similarTo(jid)?.value
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
    const key = keyOf(jid)
    const known = this.values.has(key) ? key : this.similarTo(jid)?.key
    if (known !== undefined) this.values.set(known, value)
  }

  add(jid: string, value: Value): void {
    const key = detachedString(keyOf(jid))
    this.values.set(key, value)
    const skeleton = skeletonOf(jid)
    if (skeleton !== undefined && skeleton !== key)
      this.others.set(detachedString(skeleton), [...(this.others.get(skeleton) ?? []), key])
  }

  private remove({ key, skeleton }: Similar<Value>): void {
    this.values.delete(key)
    const left = this.others.get(skeleton)?.filter(other => other !== key) ?? []
    if (left.length > 0) this.others.set(skeleton, left)
    else this.others.delete(skeleton)
  }

  /** A contact of another spelling, where none has this one. */
  private similarTo(jid: string): Similar<Value> | undefined {
    const skeleton = skeletonOf(jid)
    if (skeleton === undefined) return undefined
    const key = this.values.has(skeleton) ? skeleton : this.others.get(skeleton)?.[0]
    return key === undefined ? undefined : { key, skeleton, value: this.values.get(key) as Value }
  }
}

/** The key of a contact: the folded bare JID, or the bare JID as spelled if it cannot be folded. */
export function keyOf(jid: string): string {
  return foldBare(bareOf(jid)) ?? bareOf(jid)
}
