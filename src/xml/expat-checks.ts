/**
 * Checks for what saxes accepts and libexpat or RFC 6120 section 11 does not; servers use libexpat. A failed check throws
 * `Refused`, through saxes, to reader.ts.
 */
/** `nested`: the root's own start tag again, below the root. */
export type XmlFault = 'malformed' | 'restricted' | 'encoding' | 'limit' | 'text' | 'nested'

export class Refused extends Error {
  readonly fault: XmlFault
  /** The position of the character at fault, in UTF-16 units; `undefined`: it is the last one that saxes has read. */
  readonly position: number | undefined
  constructor(fault: XmlFault, message: string, position?: number) {
    super(message)
    this.fault = fault
    this.position = position
  }
}

const plainName = /^[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?$/

/** Of an element or an attribute, prefix included. */
export function checkName(name: string): void {
  if (!isPlain(name)) throw new Refused('malformed', 'a name outside the ASCII names')
}

/** What `plainName` says, of a name that saxes has accepted: then only characters beyond ASCII and colons can be wrong. */
function isPlain(name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at)
    if (code > 0x7f || code === 0x3a) return plainName.test(name)
  }
  return name !== ''
}

const start =
  'A-Z_a-z\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u02ff\\u0370-\\u037d\\u037f-\\u1fff\\u200c\\u200d\\u2070-\\u218f\\u2c00-\\u2fef\\u3001-\\ud7ff\\uf900-\\ufdcf\\ufdf0-\\ufffd\\u{10000}-\\u{effff}'
const part = `[${start}][-.0-9\\u00b7\\u0300-\\u036f\\u203f\\u2040${start}]*`
const anyName = new RegExp(`^${part}(?::${part})?$`, 'u')

/** A name in what a server relays: any name of XML 1.0. saxes does not check what follows a colon. */
export function checkRelayedName(name: string): void {
  if (!isPlain(name) && !anyName.test(name)) throw new Refused('malformed', 'no name of XML')
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const control = /[\u0000-\u001f\u007f-\u009f]/

/** The value of an `xmlns` attribute. */
export function checkNamespace(value: string): void {
  if (value !== value.trim() || control.test(value))
    throw new Refused('malformed', 'white space or a control character in a namespace name')
}

/** UTF-16 units between `&` and `;`, of a number with one zero in front at most: `#x10FFFF` has eight. */
const referenceLength = 10
const notInReference = /[^#A-Za-z0-9]/
const padding = /^(#x?0)0+/

/** A numeric reference without leading zeros but one: a peer may write any number of them. */
export function unpadded(reference: string): string {
  return reference.replace(padding, '$1')
}

/** What follows an `&`, with its `;` read or not yet; `end` is the position after it. */
export function checkReference(reference: string, end: number): void {
  const known = unpadded(reference)
  const head = known.slice(0, referenceLength + 1)
  const bad = head.search(notInReference)
  if (bad !== -1) throw new Refused('malformed', "a bare '&'", end - known.length + bad)
  if (head.length <= referenceLength) return
  const at = end - known.length + referenceLength
  // A number of more digits is no character (XML 1.0 section 4.1).
  if (head[0] === '#') throw new Refused('malformed', 'a reference to no character', at)
  throw new Refused('restricted', 'an entity that XML does not define', at)
}

export function checkDeclaration(declaration: { version?: string; encoding?: string; standalone?: string }): void {
  const encoding = declaration.encoding?.toLowerCase()
  if (encoding !== undefined && encoding !== 'utf-8')
    throw new Refused('encoding', 'an encoding other than UTF-8 is declared')
  if (declaration.version !== '1.0') throw new Refused('restricted', 'an XML version other than 1.0')
  if (declaration.standalone === 'no') throw new Refused('restricted', "standalone='no'")
}

const restricted = [
  'undefined entity',
  'doctype declaration',
  'processing instruction',
  'XML declaration must be at',
  'XML declaration must appear',
]

/** The faults that saxes reports in its own words and that are not just ill-formed XML. */
export function faultOf(message: string): XmlFault {
  return restricted.some(words => message.includes(words)) ? 'restricted' : 'malformed'
}
