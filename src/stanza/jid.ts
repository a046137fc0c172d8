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

/**
 * The bare JID in the form that is compared: equal strings are the same account. `undefined`: no JID, or one whose validity RFC 7622
 * and the stringprep of older servers judge differently; it is equal to nothing.
 */
export function foldBare(text: string): string | undefined {
  const jid = parseJid(bareOf(text))
  if (jid === undefined) return undefined
  const domain = foldDomain(jid.domain)
  const local = jid.local === undefined ? '' : foldLocal(jid.local)
  if (domain === undefined || local === undefined) return undefined
  return local === '' ? domain : `${local}@${domain}`
}

/** Lower case, without a final dot, IDNA in its ASCII form; `undefined` when it is no domain. */
export function foldDomain(domain: string): string | undefined {
  // The full stops of IDNA (RFC 3490 section 3.1), so that a final one is found.
  const mapped = ascii.test(domain) ? domain : domain.normalize('NFKC').replaceAll('\u3002', '.')
  if (!isDomain(mapped)) return undefined
  const undotted = mapped.endsWith('.') ? mapped.slice(0, -1) : mapped
  if (ascii.test(undotted)) return undotted.toLowerCase()
  // Node reads a host as a URL would: only after isDomain, which leaves it no `%`, `#`, `?` or `\` to act upon.
  return ignorable.test(undotted) ? undefined : domainToASCII(undotted) || undefined
}

const ascii = /^[\x21-\x7e]+$/
const ignorable = /\p{Default_Ignorable_Code_Point}/u
/** The letters and digits of RFC 8264 section 9.1, the ASCII ones of 9.11, and U+3007 of 9.6. */
const identifier = /^[\x21-\x7e\p{Ll}\p{Lu}\p{Lo}\p{Nd}\p{Lm}\p{Mn}\p{Mc}\u3007]+$/u
/** Conjoining jamo and the exceptions of RFC 8264 section 9.6 that hang on context or are refused outright. */
const contextual = /[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff\u0640\u07fa\u302e\u302f\u3031-\u3035\u303b]/

/** RFC 7622 section 3.3: width mapping, then what may stand in an identifier, lower case, NFC. */
function foldLocal(local: string): string | undefined {
  if (ascii.test(local)) return local.toLowerCase()
  const mapped = local.replace(/[\uff01-\uffdc\uffe0-\uffee]/g, wide => wide.normalize('NFKC'))
  if (!isLocal(mapped) || !identifier.test(mapped) || contextual.test(mapped) || ignorable.test(mapped))
    return undefined
  // RFC 8264 section 9.17: what compatibility would turn into something else.
  for (const character of mapped) if (character.normalize('NFKC') !== character) return undefined
  return mapped.toLowerCase().normalize('NFC')
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const notInLocal = /["&'/:<>@\s\u0000-\u001f\u007f-\u009f]/
/** Labels between dots; no ASCII but letters, digits, `-`, and the `_` that private networks use (RFC 7622 section 3.2). */
const label = '(?:[\\w-]|[^\\x00-\\x9f\\s])+'
const dotted = new RegExp(`^${label}(?:\\.${label})*\\.?$`, 'u')
/** RFC 7622 section 3.2: the colon stands in an IPv6 literal alone. */
const ipv6 = /^\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const notInResource = /[\u0000-\u001f\u007f-\u009f]/

function isLocal(part: string): boolean {
  return isLong(part) && !notInLocal.test(part)
}

function isDomain(part: string): boolean {
  return isLong(part) && (dotted.test(part) || ipv6.test(part))
}

function isResource(part: string): boolean {
  return isLong(part) && !notInResource.test(part)
}

function isLong(part: string): boolean {
  return (
    part !== '' && part.length <= partLength && (part.length * 3 <= partLength || Buffer.byteLength(part) <= partLength)
  )
}
