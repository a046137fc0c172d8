import { bareOf, compareBare, compareDomain, hasResource, parseJid } from './jid.ts'

/** Whether an address names the account itself: it is left out, or is its bare JID, or may be another spelling of it. */
export function isAccountItself(address: string | undefined, bare: string): boolean {
  if (address === undefined || address === bare) return true
  return !hasResource(address) && compareBare(address, bare) !== 'different'
}

/**
 * Whether an answer from this address is one of the client's own server. Servers answer without `from`, or from the account, from
 * the session itself (`jid`), or from their domain; nobody else can use these addresses.
 */
export function isOwnServer(address: string | undefined, jid: string): boolean {
  if (address === undefined || address === jid) return true
  const bare = bareOf(jid)
  if (!hasResource(address) && compareBare(address, bare) === 'same') return true
  const domain = parseJid(bare)?.domain
  // An address of the domain with a resource belongs to the domain.
  return domain !== undefined && compareDomain(bareOf(address), domain) === 'same'
}
