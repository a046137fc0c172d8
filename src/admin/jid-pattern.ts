/** Patterns of bare JIDs: `*` stands for any characters, as in `*@spam.example`. Without it, a JID is meant in any of its spellings. */
import { bareOf, foldBare } from '../stanza/jid.ts'

/** UTF-16 units: no bare JID is longer (RFC 7622 section 3.1). */
const lengthAtMost = 2_047

export function isPattern(text: string): boolean {
  return text.length > 0 && text.length <= lengthAtMost
}

/** The pattern names one JID: that one, folded. `undefined`: it may fit several, or is no JID. */
export function onlyJidOf(pattern: string): string | undefined {
  return pattern.includes('*') ? undefined : foldBare(bareOf(pattern))
}

/** A function that says whether a folded bare JID fits. Its time grows with the length of the JID alone. */
export function jidPattern(pattern: string): (jid: string) => boolean {
  const only = onlyJidOf(pattern)
  if (only !== undefined) return jid => jid === only
  const parts = pattern.toLowerCase().split(/\*+/)
  if (parts.length === 1) return () => false
  const first = parts[0] as string
  const last = parts.at(-1) as string
  const between = parts.slice(1, -1)
  return jid => {
    if (!jid.startsWith(first) || !jid.endsWith(last)) return false
    let from = first.length
    const end = jid.length - last.length
    for (const part of between) {
      const at = jid.indexOf(part, from)
      if (at === -1) return false
      from = at + part.length
    }
    return from <= end
  }
}
