/**
 * A copy of a text, for parts of stanzas that are kept longer than the stanza: V8 keeps the whole text in memory as long as a
 * part of it is referenced. It copies parts of fewer than 13 characters by itself.
 */
export function detachedString(text: string): string {
  if (text.length < sliceAtLeast) return text
  return Buffer.from(text).toString()
}

/** `SlicedString::kMinLength` of V8. */
const sliceAtLeast = 13
