/** Which upstream a stream's domain goes to. */
import { domainSkeletonOf, foldDomain } from '../stanza/jid.ts'

export interface RouteEntry {
  /** A domain, `*.` and a domain for all below it, or `*` for any. */
  readonly domain: string
}

/**
 * Makes the look-up: the exact domain first, then the only one of which it may be another spelling (`straße.example` is `strasse.example`
 * to servers of IDNA 2003), then the longest `*.` below which it is, spelled so or otherwise, then `*`; `undefined` when no route serves it.
 */
export function makeRoutes<Entry extends RouteEntry>(entries: readonly Entry[]): (domain: string) => Entry | undefined {
  const exact = new Map(entries.map(entry => [foldDomain(entry.domain) ?? entry.domain, entry]))
  const similar = new Map<string, Entry | undefined>()
  for (const entry of entries) {
    const skeleton = domainSkeletonOf(entry.domain)
    if (skeleton !== undefined) similar.set(skeleton, similar.has(skeleton) ? undefined : entry)
  }
  const any = entries.find(entry => entry.domain === '*')
  const below = new Map<string, Entry>()
  const similarBelow = new Map<string, Entry | undefined>()
  for (const entry of entries) {
    if (!entry.domain.startsWith('*.')) continue
    const parent = entry.domain.slice(2)
    below.set(foldDomain(parent) ?? entry.domain, entry)
    const skeleton = domainSkeletonOf(parent)
    if (skeleton !== undefined) similarBelow.set(skeleton, similarBelow.has(skeleton) ? undefined : entry)
  }
  const belowOf = (domain: string, parents: ReadonlyMap<string, Entry | undefined>): Entry | undefined => {
    for (let dot = domain.indexOf('.'); parents.size > 0 && dot !== -1; dot = domain.indexOf('.', dot + 1)) {
      const found = parents.get(domain.slice(dot + 1))
      if (found !== undefined) return found
    }
    return undefined
  }
  return domain => {
    const folded = foldDomain(domain)
    if (folded === undefined) return undefined
    const skeleton = domainSkeletonOf(domain) ?? ''
    const one = exact.get(folded) ?? similar.get(skeleton)
    return one ?? belowOf(folded, below) ?? belowOf(skeleton, similarBelow) ?? any
  }
}
