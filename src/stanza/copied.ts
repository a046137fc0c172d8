/**
 * A part of a text keeps the whole text in memory, which may be a large stanza: whoever keeps something of a peer's for longer than the
 * stanza lasts keeps a copy.
 */
export function copied(text: string): string {
  return Buffer.from(text).toString()
}
