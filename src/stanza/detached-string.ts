/**
 * A copy of a text, for parts of stanzas that are kept longer than the stanza: V8 keeps the whole text in memory as long as a
 * part of it is referenced.
 */
export function detachedString(text: string): string {
  return Buffer.from(text).toString()
}
