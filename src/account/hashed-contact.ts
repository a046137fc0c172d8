/**
 * Contacts that are known by keyed hashes alone: what is kept of an account may hold no JIDs (`store.hash`). Their text stands where the folded bare
 * JID of a contact stands otherwise. It begins with a character that no XML document can have: no peer can name such a contact.
 */
import { skeletonOf } from '../stanza/jid.ts'

/** The keyed hash of a text, for one account: 32 hexadecimal digits. */
export type ContactHash = (text: string) => string

const mark = '\u0001'

export function isHashed(contact: string): boolean {
  return contact.startsWith(mark)
}

/**
 * `contact`: as `keyOf` gives it; one that is hashed already stays as it is. The hashes of the JID, of its domain, and, if that is another one, of its
 * skeleton: a contact is then found by each spelling that may mean it.
 */
export function hashedContact(contact: string, hash: ContactHash): string {
  if (isHashed(contact)) return contact
  const skeleton = skeletonOf(contact)
  const text = `${mark}${hash(contact)}:${hash(`@${domainOf(contact)}`)}`
  return skeleton === undefined || skeleton === contact ? text : `${text}:${hash(skeleton)}`
}

/** The domain of a contact, or its hash as `hashedDomain` gives it. */
export function domainOf(contact: string): string {
  return isHashed(contact) ? mark + partsOf(contact)[1] : contact.slice(contact.indexOf('@') + 1)
}

export function hashedDomain(domain: string, hash: ContactHash): string {
  return mark + hash(`@${domain}`)
}

/** The skeleton of a contact that is hashed, as `hashedSkeleton` gives it; `undefined`: it is that of its JID. */
export function skeletonIn(contact: string): string | undefined {
  const skeleton = partsOf(contact)[2]
  return skeleton === undefined ? undefined : mark + skeleton
}

export function hashedSkeleton(skeleton: string, hash: ContactHash): string {
  return mark + hash(skeleton)
}

/** For people: `hash:` and the hash of the JID. A JID stays as it is. */
export function shownContact(contact: string): string {
  return isHashed(contact) ? `hash:${partsOf(contact)[0]}` : contact
}

/** Without the mark, for a store: hashes with `:` between them. */
export function hashesOf(contact: string): string {
  return contact.slice(mark.length)
}

/** The other way. `undefined`: these are no hashes of a contact. */
export function contactOfHashes(hashes: string): string | undefined {
  return /^[0-9a-f]{32}(?::[0-9a-f]{32}){1,2}$/.test(hashes) ? mark + hashes : undefined
}

function partsOf(contact: string): string[] {
  return hashesOf(contact).split(':')
}
