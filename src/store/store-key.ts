/**
 * The key under which a store is written that holds no JIDs (`store.hash`). Names of contacts and accounts are keyed hashes, which nobody can turn back;
 * other texts are encrypted.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import type { ContactHash } from '../account/hashed-contact.ts'

const algorithm = 'aes-256-gcm'
/** Bytes. */
const sizes = { key: 32, nonce: 12, tag: 16 } as const
/** Hashes that are remembered: the domains of a roster are few. */
const domainsAtMost = 1_000
/** Hexadecimal digits of a hash: 128 bits. */
const digits = 32

export class StoreKey {
  /** Says whether a store was written with this key. */
  readonly check: string
  private readonly names: Buffer
  private readonly texts: Buffer
  private readonly domains = new Map<string, string>()

  /** `secret`: of any length. */
  constructor(secret: string) {
    this.names = derived(secret, 'names')
    this.texts = derived(secret, 'texts')
    this.check = hmac(derived(secret, 'check'), 'stanzagate').slice(0, digits)
  }

  /** The keyed hash of a name. `kind` keeps names of different kinds apart. */
  nameOf(kind: string, name: string): string {
    return hmac(this.names, `${kind}\0${name}`).slice(0, digits)
  }

  /** `account`: its bare JID, folded. The same contact of two accounts has two hashes. */
  contactHash(account: string): ContactHash {
    const kind = `contact\0${account}`
    return text => (text.startsWith('@') ? this.domainOf(kind, text) : this.nameOf(kind, text))
  }

  private domainOf(kind: string, domain: string): string {
    const name = `${kind}\0${domain}`
    const known = this.domains.get(name)
    if (known !== undefined) return known
    if (this.domains.size >= domainsAtMost) this.domains.clear()
    const hash = this.nameOf(kind, domain)
    this.domains.set(name, hash)
    return hash
  }

  /** Encrypts a text. It can be read only as what stands at this `place`. */
  seal(place: string, text: string): string {
    const nonce = randomBytes(sizes.nonce)
    const cipher = createCipheriv(algorithm, this.texts, nonce).setAAD(Buffer.from(place))
    const sealed = [nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]
    return Buffer.concat(sealed).toString('base64')
  }

  /** The other way. `undefined`: it was not sealed with this key for this place. */
  unseal(place: string, sealed: string): string | undefined {
    const bytes = Buffer.from(sealed, 'base64')
    if (bytes.length < sizes.nonce + sizes.tag) return undefined
    const end = bytes.length - sizes.tag
    try {
      const decipher = createDecipheriv(algorithm, this.texts, bytes.subarray(0, sizes.nonce), {
        authTagLength: sizes.tag,
      })
      decipher.setAAD(Buffer.from(place)).setAuthTag(bytes.subarray(end))
      return Buffer.concat([decipher.update(bytes.subarray(sizes.nonce, end)), decipher.final()]).toString('utf8')
    } catch {
      return undefined
    }
  }
}

function derived(secret: string, use: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, 'stanzagate store', use, sizes.key))
}

function hmac(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('hex')
}
