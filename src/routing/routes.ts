/** Which upstream a stream's domain goes to. */
import { foldDomain } from '../stanza/jid.ts'

export interface RouteEntry {
  /** A domain, or `*` for any. */
  readonly domain: string
  readonly upstream: string
}

/** Makes the look-up: the exact domain first, then `*`; `undefined` when no route serves it. */
export function makeRoutes<Entry extends RouteEntry>(entries: readonly Entry[]): (domain: string) => Entry | undefined {
  const exact = new Map(entries.map(entry => [foldDomain(entry.domain) ?? entry.domain, entry]))
  const any = entries.find(entry => entry.domain === '*')
  return domain => {
    const folded = foldDomain(domain)
    return folded === undefined ? undefined : (exact.get(folded) ?? any)
  }
}
