/**
 * JIDs (RFC 7622). The gate never changes how a JID is spelled, except that it cuts off a resource: the server and the gate must
 * agree on who is meant. Servers prepare JIDs by different profiles and answer with the prepared form: stringprep (RFC 6122)
 * makes `strasse` of `straße`, RFC 7622 leaves it. So a bare JID has two forms here. The *folded* form is that of RFC 7622: one
 * spelling for all that this profile takes for the same. The *skeleton* is coarser: whatever any profile makes of a JID has the
 * same skeleton. Different skeletons are different addresses. Two JIDs with the same skeleton can be compared only when every
 * profile leaves both as they are.
 */
import { domainToASCII, domainToUnicode } from 'node:url'

export interface Jid {
  /** `undefined` for a domain's own address. */
  readonly local: string | undefined
  readonly domain: string
  readonly resource: string | undefined
}

/** Bytes of each part (RFC 7622 section 3.1). */
const partLength = 1023

/** Splits and checks an address; `undefined`: it is no JID. The spelling is kept. */
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

/** The resource, spelled as it came; `undefined` when there is none. */
export function resourceOf(jid: string): string | undefined {
  const slash = jid.indexOf('/')
  return slash === -1 ? undefined : jid.slice(slash + 1)
}

/** `unknown`: it depends on the profile of the server; nothing may be refused for it. */
export type Comparison = 'same' | 'different' | 'unknown'

/** Whether two addresses are the same account or domain; resources are ignored. An address that is no JID equals only its own spelling. */
export function compareBare(one: string, other: string): Comparison {
  return compare(bareOf(one), bareOf(other), skeletonOf, foldBare)
}

/** Whether two domains are the same. */
export function compareDomain(one: string, other: string): Comparison {
  return compare(one, other, domainSkeletonOf, foldDomain)
}

type Form = (text: string) => string | undefined

function compare(one: string, other: string, skeleton: Form, folded: Form): Comparison {
  if (one === other) return 'same'
  const common = skeleton(one)
  if (common === undefined || common !== skeleton(other)) return 'different'
  return folded(one) === common && folded(other) === common ? 'same' : 'unknown'
}

/** The skeleton of a bare JID: the same for all spellings that some profile takes for one address. `undefined`: no JID. */
export function skeletonOf(text: string): string | undefined {
  const forms = formsOf(text)
  if (!forms.hasSkeleton) {
    forms.skeleton = skeletonAnew(text)
    forms.hasSkeleton = true
  }
  return forms.skeleton
}

function skeletonAnew(text: string): string | undefined {
  const bare = bareOf(text)
  // Of ASCII without A-labels every profile makes the same.
  if (ascii.test(bare) && !/xn--/i.test(bare)) return foldBare(text)
  const jid = parseJid(bare)
  if (jid === undefined) return undefined
  const domain = domainSkeletonOf(jid.domain)
  if (domain === undefined || jid.local === undefined) return domain
  return `${ascii.test(jid.local) ? jid.local.toLowerCase() : caseless(jid.local)}@${domain}`
}

/** The skeleton of a domain. */
export function domainSkeletonOf(domain: string): string | undefined {
  if (!isDomain(domain)) return undefined
  const isAscii = ascii.test(domain)
  // An A-label stands for what it encodes (RFC 5890 section 2.3.2.1).
  const spelled = isAscii && /(?:^|\.)xn--/i.test(domain) ? domainToUnicode(domain) || domain : domain
  if (isAscii && spelled === domain) return undotted(domain).toLowerCase()
  const mapped = undotted(caseless(spelled).replaceAll('\u3002', '.'))
  return (isDomain(mapped) && domainToASCII(mapped)) || mapped
}

/** Full case folding and NFKC until nothing changes (RFC 3454 appendix B.2), without what stringprep maps to nothing (B.1). */
function caseless(text: string): string {
  let before = ''
  let after = text.replace(mappedToNothing, '')
  for (let round = 0; before !== after && round < foldsAtMost; round++) {
    before = after
    after = ''
    // No profile folds the dotless i, but its capital is the letter I.
    for (const character of before.normalize('NFKC'))
      after += character === dotlessI ? character : character.toUpperCase().toLowerCase()
    after = after.normalize('NFKC')
  }
  return after
}

const dotlessI = '\u0131'
/** More rounds than any character needs; a test goes through all characters. */
const foldsAtMost = 4
/** RFC 3454 appendix B.1, and what later versions of Unicode ignore besides. */
const mappedToNothing = /[\u1806\p{Default_Ignorable_Code_Point}]/gu

/** The forms of a bare JID that were asked for. */
interface Forms {
  readonly text: string
  hasFolded: boolean
  folded: string | undefined
  hasSkeleton: boolean
  skeleton: string | undefined
}

// The last two: what becomes of a stanza asks for its contact and for its account several times.
let last: Forms = { text: '', hasFolded: true, folded: undefined, hasSkeleton: true, skeleton: undefined }
let other: Forms = last

function formsOf(text: string): Forms {
  if (text === last.text) return last
  const next =
    text === other.text ? other : { text, hasFolded: false, folded: undefined, hasSkeleton: false, skeleton: undefined }
  other = last
  last = next
  return next
}

/** The bare JID in the form of RFC 7622, as a key. `undefined`: no JID, or one that this profile does not allow. */
export function foldBare(text: string): string | undefined {
  const forms = formsOf(text)
  if (!forms.hasFolded) {
    forms.folded = foldedAnew(text)
    forms.hasFolded = true
  }
  return forms.folded
}

function foldedAnew(text: string): string | undefined {
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
  const named = undotted(mapped)
  if (ascii.test(named)) return named.toLowerCase()
  // domainToASCII reads its argument as a URL's host. isDomain has excluded `%`, `#`, `?` and `\`, which would have a meaning
  // there.
  return ignorable.test(named) ? undefined : domainToASCII(named) || undefined
}

function undotted(domain: string): string {
  return domain.endsWith('.') ? domain.slice(0, -1) : domain
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
  // RFC 8264 section 9.17: characters that compatibility normalisation changes are not allowed.
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
