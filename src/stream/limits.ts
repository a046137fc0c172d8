import type { XmlLimits } from '../xml/reader.ts'

/** Before a client has authenticated: what Prosody and ejabberd allow there, and a depth that no SASL exchange or form needs. */
export const strangerLimits: XmlLimits = {
  bytes: 10_000,
  elements: 32,
  depth: 8,
  attributes: 64,
  nameLength: 256,
  startTag: 10_000,
  blank: 10_000,
}

/**
 * After it, what one element of so many bytes may have: as many elements and attributes as fit, since servers take a block list of
 * thousands of items and an attribute as long as a stanza, and neither costs the gate more than its bytes do. Depth does: see `nestingPerByte`
 * of the reader. Servers take any; 500 leaves room for what they wrap around a stanza under their own limit here.
 */
export function clientLimitsFor(bytes: number): XmlLimits {
  return { bytes, elements: bytes >> 2, depth: 500, attributes: bytes >> 2, nameLength: 256, startTag: bytes }
}

/** RFC 6120 section 13.12 forbids less than 10,000 bytes; 262,144 is Prosody's figure. */
export const clientLimits: XmlLimits = clientLimitsFor(262_144)

/**
 * The operator's own server: a roster of 10,000 contacts is about 1.1 MB and 20,000 elements. What it relays must never end the stream
 * of the one it is meant for: it adds attributes to stanzas, wraps them (carbons, archives), and takes from others what it likes. The
 * depth alone has a bound, since looking up a namespace takes time in proportion to it.
 */
export const upstreamLimits: XmlLimits = {
  bytes: 16 * 1024 * 1024,
  elements: 500_000,
  depth: 1_000,
  attributes: 1_000_000,
  nameLength: 16 * 1024 * 1024,
  startTag: 16 * 1024 * 1024,
}
