/** A map by contact that finds a contact by every spelling that may mean it. */
import { copied } from '../stanza/copied.ts'
import { bareOf, foldBare, skeletonOf } from '../stanza/jid.ts'

/** Whether the server has named the contact by this spelling; the user's client may spell it otherwise. */
interface Shown {
  readonly isShown: boolean
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
    const key = keyOf(jid)
    return this.values.get(key) ?? this.values.get(this.similarTo(jid, key) ?? '')
  }

  /**
   * The contact that the server names so: the one with exactly this spelling, or one that only the client has named so far; it
   * gets this spelling.
   */
  getShown(jid: string): Value | undefined {
    const key = keyOf(jid)
    const exact = this.values.get(key)
    if (exact !== undefined) return exact
    const similar = this.similarTo(jid, key)
    const value = similar === undefined ? undefined : this.values.get(similar)
    // The server has named it before: it is another contact, which some profile would take for this one.
    if (similar === undefined || value === undefined) return undefined
    if (value.isShown) return undefined
    this.remove(similar)
    this.add(jid, value)
    return value
  }

  add(jid: string, value: Value): void {
    const key = copied(keyOf(jid))
    this.values.set(key, value)
    const skeleton = skeletonOf(jid)
    if (skeleton !== undefined && skeleton !== key)
      this.others.set(copied(skeleton), [...(this.others.get(skeleton) ?? []), key])
  }

  private remove(key: string): void {
    this.values.delete(key)
    const skeleton = skeletonOf(key)
    const left = skeleton === undefined ? [] : (this.others.get(skeleton) ?? []).filter(other => other !== key)
    if (skeleton === undefined) return
    if (left.length > 0) this.others.set(skeleton, left)
    else this.others.delete(skeleton)
  }

  /** The key of a contact that is spelled otherwise. */
  private similarTo(jid: string, key: string): string | undefined {
    const skeleton = skeletonOf(jid)
    if (skeleton === undefined) return undefined
    if (skeleton !== key && this.values.has(skeleton)) return skeleton
    return this.others.get(skeleton)?.[0]
  }
}

/** The key of a contact: the folded bare JID, or the bare JID as spelled if it cannot be folded. */
export function keyOf(jid: string): string {
  return foldBare(bareOf(jid)) ?? bareOf(jid)
}
