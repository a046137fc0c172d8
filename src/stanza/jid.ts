/**
 * JIDs (RFC 7622). A JID's spelling is never rewritten, except that a resource is cut off: the server and the gate must not disagree
 * on who is meant. For comparison there is a folded form, which is `undefined` where two profiles could disagree about validity.
 */
import { domainToASCII } from 'node:url'

export interface Jid {
  /** `undefined` for a domain's own address. */
  readonly local: string | undefined
  readonly domain: string
  readonly resource: string | undefined
}

/** Bytes of each part (RFC 7622 section 3.1). */
const partLength = 1023

/** Splits and checks an address; `undefined` when it is no JID. Spelling is kept. */
export function parseJid(text: string): Jid | undefined {
  const slash = text.indexOf('/')
  const bare = slash === -1 ? text : text.slice(0, slash)
  const at = bare.indexOf('@')
  const local = at === -1 ? undefined : bare.slice(0, at)
  const domain = bare.slice(at + 1)
  const resource = slash === -1 ? undefined : text.slice(slash + 1)
  const good =
    isDomain(domain) && (local === undefined || isLocal(local)) && (resource === undefined || isResource(resource))
  return good ? { local, domain, resource } : undefined
}

/** The address without its resource, spelled as it came. */
export function bareOf(jid: string): string {
  const slash = jid.indexOf('/')
  return slash === -1 ? jid : jid.slice(0, slash)
}

export function hasResource(jid: string): boolean {
  return jid.includes('/')
}

/** The bare JID in the form that is compared: equal strings are the same account. `undefined`: no JID, equal to nothing. */
export function foldBare(text: string): string | undefined {
  const jid = parseJid(bareOf(text))
  if (jid === undefined) return undefined
  const domain = foldDomain(jid.domain)
  if (domain === undefined) return undefined
  return jid.local === undefined ? domain : `${foldLocal(jid.local)}@${domain}`
}

/** Lower case, without a final dot, IDNA in its ASCII form; `undefined` when it is no domain. */
export function foldDomain(domain: string): string | undefined {
  const undotted = domain.endsWith('.') ? domain.slice(0, -1) : domain
  if (ascii.test(undotted)) return undotted.toLowerCase()
  const folded = domainToASCII(undotted.normalize('NFKC'))
  return folded === '' ? undefined : folded
}

const ascii = /^[\x21-\x7e]*$/

/** RFC 7622 section 3.3: width mapping, lower case, NFC. */
function foldLocal(local: string): string {
  if (ascii.test(local)) return local.toLowerCase()
  return local
    .replace(/[\uff01-\uff5e\uffe0-\uffe6]/g, wide => wide.normalize('NFKC'))
    .toLowerCase()
    .normalize('NFC')
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const notInLocal = /["&'/:<>@\s\u0000-\u001f\u007f-\u009f]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const notInDomain = /["&'/<>@\s\u0000-\u001f\u007f-\u009f]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const notInResource = /[\u0000-\u001f\u007f-\u009f]/

function isLocal(part: string): boolean {
  return isLong(part) && !notInLocal.test(part)
}

function isDomain(part: string): boolean {
  if (!isLong(part) || notInDomain.test(part)) return false
  // A colon stands in an IPv6 literal alone (RFC 7622 section 3.2).
  return !part.includes(':') || /^\[[0-9A-Fa-f:.]+\]$/.test(part)
}

function isResource(part: string): boolean {
  return isLong(part) && !notInResource.test(part)
}

function isLong(part: string): boolean {
  return (
    part !== '' && part.length <= partLength && (part.length * 3 <= partLength || Buffer.byteLength(part) <= partLength)
  )
}
