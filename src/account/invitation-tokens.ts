/**
 * Tokens of the invitations that accounts have made (XEP-0379, XEP-0401): whoever shows one was invited. Only hashes are kept. What is forgotten
 * here makes a request one of a stranger without a token.
 */
import { createHash } from 'node:crypto'
import { detachedString } from '../stanza/detached-string.ts'

export interface TokenBounds {
  /** Tokens of one account. */
  readonly perAccount: number
  readonly accounts: number
}

const defaultBounds: TokenBounds = { perAccount: 100, accounts: 10_000 }
/** Milliseconds that a token is good for when the invitation does not say it: as long as Prosody's are. */
const lifetime = 7 * 86_400_000

export class InvitationTokens {
  /** Milliseconds since 1970. */
  private readonly now: () => number
  private readonly bounds: TokenBounds
  /** Of each account, hashes and until when they are good, oldest first. Accounts that were used last come last. */
  private readonly accounts = new Map<string, Map<string, number>>()

  constructor(now: () => number, bounds: Partial<TokenBounds> = {}) {
    this.now = now
    this.bounds = { ...defaultBounds, ...bounds }
  }

  /** `account`: its key. `expires`: milliseconds since 1970; `undefined`: a week from now. */
  add(account: string, token: string, expires: number | undefined): void {
    const tokens = this.accounts.get(account) ?? new Map<string, number>()
    this.accounts.delete(account)
    this.accounts.set(detachedString(account), tokens)
    const hash = hashOf(account, token)
    tokens.delete(hash)
    tokens.set(hash, expires ?? this.now() + lifetime)
    if (tokens.size > this.bounds.perAccount) forgetFirst(tokens)
    if (this.accounts.size > this.bounds.accounts) forgetFirst(this.accounts)
  }

  has(account: string, token: string): boolean {
    const tokens = this.accounts.get(account)
    if (tokens === undefined) return false
    const hash = hashOf(account, token)
    const expires = tokens.get(hash)
    if (expires === undefined) return false
    if (expires > this.now()) return true
    tokens.delete(hash)
    return false
  }
}

function forgetFirst(map: Map<string, unknown>): void {
  for (const first of map.keys()) if (map.delete(first)) return
}

function hashOf(account: string, token: string): string {
  return createHash('sha256').update(`${account}\0${token}`).digest('base64')
}
