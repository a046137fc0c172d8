import { foldBare, hasResource } from './jid.ts'

/** Whether an address that may be left out names the account itself: absent, or its bare JID. */
export function isAccountItself(address: string | undefined, bare: string): boolean {
  if (address === undefined || address === bare) return true
  if (hasResource(address)) return false
  const folded = foldBare(address)
  return folded !== undefined && folded === foldBare(bare)
}
