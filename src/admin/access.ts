/**
 * Who may use the admin listener: requests with the admin token, as a bearer token or, in a browser, exchanged for a cookie.
 * Where no token is configured the listener is on loopback and asks for none; but a web page of another site may not read it
 * through its visitor's browser.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { isLoopback } from '../config/formats.ts'
import { WrongTokens } from './wrong-tokens.ts'

/** Milliseconds that a login holds. */
const lifetime = 12 * 3_600_000
/** Logins at a time; one more ends the oldest. */
const loginsAtMost = 100

/** `foreign`: the request was caused by another site. */
export type Admitted = 'yes' | 'no' | 'foreign'

export interface AccessOptions {
  /** `undefined`: no token is required. */
  readonly token: string | undefined
  /** The listener's own address, which requests may name. */
  readonly address: string
  /** Milliseconds, from any beginning. */
  readonly now?: () => number
}

export class Access {
  private readonly token: string | undefined
  private readonly address: string
  private readonly now: () => number
  /** The time of its end for each login, by the hash of its id. */
  private readonly logins = new Map<string, number>()
  /** Counts the login form only: a scraper with an old token and the same address does not lock the console. */
  private readonly wrongTokens: WrongTokens
  private readonly viewers = new Set<() => void>()

  constructor({ token, address, now = () => performance.now() }: AccessOptions) {
    this.token = token
    this.address = address
    this.now = now
    this.wrongTokens = new WrongTokens(now)
  }

  get isGuarded(): boolean {
    return this.token !== undefined
  }

  admits(request: FastifyRequest): Admitted {
    const { headers } = request
    if (isOfAnotherSite(request)) return 'foreign'
    if (this.token === undefined) return this.isOwnName(headers.host) ? 'yes' : 'foreign'
    return isBearer(headers.authorization, this.token) || this.isLoggedIn(request) ? 'yes' : 'no'
  }

  /** Whether the request may change something: it has the token itself, or comes from a page of this listener in a browser that is logged in. */
  admitsWrite(request: FastifyRequest): Admitted {
    if (this.token === undefined) return 'foreign'
    const { headers } = request
    if (isBearer(headers.authorization, this.token)) return isOfAnotherSite(request) ? 'foreign' : 'yes'
    if (!this.isLoggedIn(request)) return 'no'
    return isOfOwnPage(request) ? 'yes' : 'foreign'
  }

  /** The id of a new login. `wrong`: the token is wrong; `later`: too many were wrong, and this one is not checked. */
  login(token: string, address: string): { readonly id: string } | 'wrong' | 'later' {
    const now = this.now()
    if (this.wrongTokens.waitOf(address) !== undefined) return 'later'
    if (this.token === undefined || !isEqual(token, this.token)) {
      this.wrongTokens.add(address)
      return 'wrong'
    }
    this.wrongTokens.forget(address)
    const id = randomBytes(32).toString('base64url')
    this.logins.set(hashOf(id), now + lifetime)
    for (const oldest of this.logins.keys()) {
      if (this.logins.size <= loginsAtMost) break
      this.logins.delete(oldest)
    }
    this.ended()
    return { id }
  }

  /** A browser sends a login that is not known: the gate was restarted, or the login was ended. */
  isLoginOver(request: FastifyRequest): boolean {
    return idOf(request) !== undefined && !this.isLoggedIn(request)
  }

  /** Calls `viewer` when a login is ended before its time, until the function returned is called. */
  whenEnded(viewer: () => void): () => void {
    this.viewers.add(viewer)
    return () => this.viewers.delete(viewer)
  }

  logout(request: FastifyRequest): void {
    const id = idOf(request)
    if (id === undefined || !this.logins.delete(hashOf(id))) return
    this.ended()
  }

  private ended(): void {
    for (const viewer of this.viewers) viewer()
  }

  private isLoggedIn(request: FastifyRequest): boolean {
    const id = idOf(request)
    return id !== undefined && (this.logins.get(hashOf(id)) ?? 0) > this.now()
  }

  /** A page whose domain name points to this address (DNS rebinding) names that domain in `Host`. */
  private isOwnName(host: string | undefined): boolean {
    const name = /^(\[[^\]]*\]|[^:]*)(?::\d+)?$/
      .exec(host ?? '')?.[1]
      ?.replace(/^\[|\]$/g, '')
      .toLowerCase()
    if (name === undefined) return false
    return (
      name === this.address.toLowerCase() || name === 'localhost' || name.endsWith('.localhost') || isLoopback(name)
    )
  }
}

/** Browsers send these headers themselves, and no page can change them. */
export function isOfAnotherSite({ headers }: FastifyRequest): boolean {
  return headers['sec-fetch-site'] === 'cross-site' && headers['sec-fetch-mode'] !== 'navigate'
}

/** Whether a page of this very listener has caused the request. Browsers tell either, and no page can change it. */
function isOfOwnPage({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'same-origin'
  const { origin, host } = headers
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host === host
}

/**
 * A cookie that no other site can send and no script can read. Cookies do not depend on the port, so its name has the port, for
 * two gates on one host.
 */
export function cookieOf(request: FastifyRequest, id: string): string {
  const age = id === '' ? 0 : lifetime / 1_000
  return `${nameOf(request)}=${id}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Strict`
}

function nameOf({ raw }: FastifyRequest): string {
  return `stanzagate-${raw.socket.localPort ?? 0}`
}

function idOf(request: FastifyRequest): string | undefined {
  const name = nameOf(request)
  for (const pair of (request.headers.cookie ?? '').split(/; */))
    if (pair.startsWith(`${name}=`)) return pair.slice(name.length + 1)
  return undefined
}

export function isBearer(header: string | undefined, token: string): boolean {
  const match = /^Bearer +(\S+)$/i.exec(header ?? '')
  return match !== null && isEqual(match[1] as string, token)
}

/** Compared in constant time: hashes have one length. */
function isEqual(given: string, token: string): boolean {
  const digest = (value: string) => createHash('sha256').update(value).digest()
  return timingSafeEqual(digest(given), digest(token))
}

function hashOf(id: string): string {
  return createHash('sha256').update(id).digest('base64url')
}
