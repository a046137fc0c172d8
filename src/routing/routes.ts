/** Which upstream a stream's domain goes to. */
import { domainSkeletonOf, foldDomain } from '../stanza/jid.ts'

export interface RouteEntry {
  /** A domain, or `*` for any. */
  readonly domain: string
  readonly upstream: string
}

/**
 * Makes the look-up: the exact domain first, then the only one of which it may be another spelling (`straße.example` is `strasse.example`
 * to servers of IDNA 2003), then `*`; `undefined` when no route serves it.
 */
export function makeRoutes<Entry extends RouteEntry>(entries: readonly Entry[]): (domain: string) => Entry | undefined {
  const exact = new Map(entries.map(entry => [foldDomain(entry.domain) ?? entry.domain, entry]))
  const similar = new Map<string, Entry | undefined>()
  for (const entry of entries) {
    const skeleton = domainSkeletonOf(entry.domain)
    if (skeleton !== undefined) similar.set(skeleton, similar.has(skeleton) ? undefined : entry)
  }
  const any = entries.find(entry => entry.domain === '*')
  return domain => {
    const folded = foldDomain(domain)
    if (folded === undefined) return undefined
    return exact.get(folded) ?? similar.get(domainSkeletonOf(domain) ?? '') ?? any
  }
}
