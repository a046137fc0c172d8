/**
 * Records of accounts without JIDs (`store.hash`). The field of a contact has hashes for its name, and its text as it is: a subscription state and a time.
 * The field of the roster's version stays as it is: the store compares it. All other fields are encrypted, name and text.
 */
import { contactPrefix, type Fields, rosterField } from '../account/account-record.ts'
import { contactOfHashes, hashedContact, hashesOf } from '../account/hashed-contact.ts'
import type { StoreKey } from './store-key.ts'

/** Changes of fields; `undefined`: the field is removed. */
type FieldChanges = ReadonlyMap<string, string | undefined>

const hashedPrefix = 'hash:'
const sealedPrefix = 'sealed:'

/** `account`: its bare JID, folded. */
export function hiddenRecordName(key: StoreKey, account: string): string {
  return `hashed-account:${key.nameOf('account', account)}`
}

/** Contacts that are hashed before others have their turn: less than two milliseconds. */
const hashedAtOnce = 500

/** The hashes of many contacts, as `hashedContact` gives them: stanzas pass meanwhile. */
export async function hashesAhead(
  key: StoreKey,
  account: string,
  contacts: Iterable<string>,
): Promise<ReadonlyMap<string, string>> {
  const hash = key.contactHash(account)
  const hashes = new Map<string, string>()
  for (const contact of contacts) {
    hashes.set(contact, hashedContact(contact, hash))
    if (hashes.size % hashedAtOnce === 0) await new Promise(resolve => setImmediate(resolve))
  }
  return hashes
}

/** `ahead`: hashes of contacts that are known already. */
export function hiddenFields(
  key: StoreKey,
  account: string,
  fields: FieldChanges,
  ahead: ReadonlyMap<string, string> = new Map(),
): Map<string, string | undefined> {
  const hash = key.contactHash(account)
  const hidden = new Map<string, string | undefined>()
  for (const [name, text] of fields) {
    if (name === rosterField) hidden.set(name, text)
    else if (name.startsWith(contactPrefix)) {
      const contact = name.slice(contactPrefix.length)
      const hashed = hashedPrefix + hashesOf(ahead.get(contact) ?? hashedContact(contact, hash))
      // A contact may be named twice: by its hash, which is no longer used, and by its JID.
      if (text !== undefined || !hidden.has(hashed)) hidden.set(hashed, text)
    } else {
      const sealed = sealedPrefix + hash(name)
      hidden.set(sealed, text === undefined ? text : key.seal(`${account}\0${sealed}`, JSON.stringify([name, text])))
    }
  }
  return hidden
}

/** The other way, with contacts as `hashedContact` gives them. `undefined`: the fields were not written with this key. */
export function shownFields(key: StoreKey, account: string, hidden: Fields): Fields | undefined {
  const fields = new Map<string, string>()
  for (const [name, text] of hidden) {
    if (name.startsWith(hashedPrefix)) {
      const contact = contactOfHashes(name.slice(hashedPrefix.length))
      if (contact === undefined) return undefined
      fields.set(contactPrefix + contact, text)
    } else if (name.startsWith(sealedPrefix)) {
      const unsealed = key.unseal(`${account}\0${name}`, text)
      if (unsealed === undefined) return undefined
      fields.set(...(JSON.parse(unsealed) as [string, string]))
    } else fields.set(name, text)
  }
  return fields
}
