/**
 * Which domains' servers deliver unanswered subscription requests at each login by themselves (RFC 6121 section 3.1.3). One that has done so once
 * does. That one does not is believed when the requests of several accounts did not come: a request may have been withdrawn or
 * answered past the gate, and a request that is delivered twice is worse than one that comes late.
 */
export type Redelivering = 'does' | 'does-not' | 'unknown'

/** Accounts whose requests did not come until it is believed that the server does not deliver them. */
export const accountsNeeded = 3
/** Domains of which something is known. Beyond this number the oldest is forgotten. */
const domainsAtMost = 1_000

export class RedeliveringServers {
  /** By folded domain: the accounts whose requests did not come; `does`: it has delivered one. */
  private readonly domains = new Map<string, Set<string> | 'does'>()

  of(domain: string): Redelivering {
    const known = this.domains.get(domain)
    if (known === 'does') return 'does'
    return known !== undefined && known.size >= accountsNeeded ? 'does-not' : 'unknown'
  }

  /** The server has delivered a request again. */
  came(domain: string): void {
    this.keep(domain, 'does')
  }

  /** The server has had time to deliver the requests of this account, and has delivered none. */
  missed(domain: string, account: string): void {
    const known = this.domains.get(domain)
    if (known === 'does' || (known !== undefined && known.size >= accountsNeeded)) return
    this.keep(domain, new Set([...(known ?? []), account]))
  }

  private keep(domain: string, known: Set<string> | 'does'): void {
    this.domains.set(domain, known)
    if (this.domains.size > domainsAtMost)
      for (const oldest of this.domains.keys()) if (this.domains.delete(oldest)) break
  }
}
