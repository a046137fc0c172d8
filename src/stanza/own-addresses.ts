import { bareOf, compareBare, compareDomain, hasResource, parseJid } from './jid.ts'

/** Whether an address that may be left out names the account itself: absent, or its bare JID, or what may be another spelling of it. */
export function isAccountItself(address: string | undefined, bare: string): boolean {
  if (address === undefined || address === bare) return true
  return !hasResource(address) && compareBare(address, bare) !== 'different'
}

/**
 * Whether an answer from this address is one of the client's own server: servers answer in the account's place, or in their own, from
 * nobody, the account, the session itself (`jid`), or the domain, and nobody else can use these addresses.
 */
export function isOwnServer(address: string | undefined, jid: string): boolean {
  if (address === undefined || address === jid) return true
  const bare = bareOf(jid)
  if (!hasResource(address) && compareBare(address, bare) === 'same') return true
  const domain = parseJid(bare)?.domain
  // A domain's resources are the domain's.
  return domain !== undefined && compareDomain(bareOf(address), domain) === 'same'
}
