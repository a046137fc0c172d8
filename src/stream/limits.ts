import type { XmlLimits } from '../xml/limits.ts'

/**
 * Limits before a client has authenticated: the size that Prosody and ejabberd allow, and a depth that no SASL exchange or form
 * exceeds.
 */
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
 * Limits after it, for elements of so many bytes: as many elements and attributes as fit. Servers accept a block list of
 * thousands of items, and an attribute as long as a stanza, and neither costs the gate more than its bytes do. Depth does cost
 * more (see `nestingPerByte` of the reader). Servers accept any depth; 500 leaves room for what they put around a stanza under
 * their own limit here.
 */
export function clientLimitsFor(bytes: number): XmlLimits {
  return { bytes, elements: bytes >> 2, depth: 500, attributes: bytes >> 2, nameLength: 256, startTag: bytes }
}

/** RFC 6120 section 13.12 forbids less than 10,000 bytes; 262,144 is Prosody's figure. */
export const clientLimits: XmlLimits = clientLimitsFor(262_144)

/**
 * Limits for the operator's own server: a roster of 10,000 contacts is about 1.1 MB and 20,000 elements. What the server relays
 * must never end the stream of the client that it is meant for: servers add attributes to stanzas, wrap them (carbons, archives),
 * and accept a lot from others. Only the depth is limited, since looking up a namespace takes time in proportion to it.
 */
export const upstreamLimits: XmlLimits = {
  bytes: 16 * 1024 * 1024,
  elements: 500_000,
  depth: 1_000,
  attributes: 1_000_000,
  nameLength: 16 * 1024 * 1024,
  startTag: 16 * 1024 * 1024,
}
