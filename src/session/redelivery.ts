/**
 * Delivers unanswered subscription requests again at a session's first presence, where the server does not (RFC 6121 section 3.1.3, RFC 3921 section
 * 9.4): after the roster's result, and only to a client that has asked for it. A server that does delivers before it handles
 * what the client sends next, so the gate sends a ping behind the first presence: until its answer, and for a minute longer as long as nothing is
 * known of the server, requests that were delivered in earlier sessions are waited for.
 */
import { keyOf } from '../account/contact-map.ts'
import type { RedeliveringServers } from '../account/redelivering-servers.ts'
import { bareOf, parseJid } from '../stanza/jid.ts'
import { isAccountItself, isOwnServer } from '../stanza/own-addresses.ts'
import { rosterGetOf } from '../stanza/roster-iq.ts'
import type { Stanza } from '../stanza/stanza.ts'
import { ns } from '../stream/namespaces.ts'
import { child, type Element, element, elements, text } from '../xml/element.ts'

export interface UnansweredRequest {
  /** Folded bare JID. */
  readonly contact: string
  /** When it was delivered first; milliseconds since 1970. */
  readonly since: number
}

/** What all sessions of a gate share. */
export interface Redeliveries {
  readonly servers: RedeliveringServers
  /** Milliseconds since 1970. */
  now(): number
  /** The requests that were delivered to this account, by its bare JID, and not answered; the oldest first. */
  unanswered(account: string): readonly UnansweredRequest[]
}

/** As data that JSON can hold. */
export interface RedeliveryRecord {
  readonly phase: Phase
  readonly rosterId: string | null
  readonly hasRoster: boolean
  readonly appearedAt: number | null
  readonly pingId: string | null
  readonly answeredAt: number
}

/**
 * `waiting` for presence and roster; `asked`: the ping is on its way; `watching`: the server may still deliver; `over`: nothing more is done in this
 * session.
 */
const phases = ['waiting', 'asked', 'watching', 'over'] as const
type Phase = (typeof phases)[number]

/** Milliseconds for which requests are waited for after the answer to the ping. */
export const deliveredWithin = 60_000

/** What is to be done now. `contacts`: whose requests are delivered again. */
export type Due = { readonly due: 'ping' } | { readonly due: 'deliver'; readonly contacts: readonly string[] }

export class Redelivery {
  private readonly all: Redeliveries
  private readonly jid: string
  private readonly bare: string
  private readonly domain: string
  private phase: Phase = 'waiting'
  /** Of the client's roster get. */
  private rosterId: string | undefined
  private hasRoster = false
  /** When the client has sent its first presence; milliseconds since 1970. */
  private appearedAt: number | undefined
  private pingId: string | undefined
  /** When the ping was answered; milliseconds since 1970. */
  private answeredAt = 0

  /** `jid`: the full JID, in the server's spelling. */
  constructor(all: Redeliveries, jid: string) {
    this.all = all
    this.jid = jid
    this.bare = bareOf(jid)
    const key = keyOf(jid)
    this.domain = key.slice(key.indexOf('@') + 1)
  }

  get record(): RedeliveryRecord {
    const { phase, rosterId = null, hasRoster, appearedAt = null, pingId = null, answeredAt } = this
    return { phase, rosterId, hasRoster, appearedAt, pingId, answeredAt }
  }

  /** The session has begun without it: nobody knows what the server has delivered. */
  skip(): void {
    this.phase = 'over'
  }

  /** Takes in what another process has kept of this session. Throws when it is no record. */
  restore({ phase, rosterId, hasRoster, appearedAt, pingId, answeredAt }: RedeliveryRecord): void {
    if (!phases.includes(phase) || typeof answeredAt !== 'number') throw new TypeError('this is no redelivery')
    this.phase = phase
    this.rosterId = rosterId ?? undefined
    this.hasRoster = hasRoster
    this.appearedAt = appearedAt ?? undefined
    this.pingId = pingId ?? undefined
    this.answeredAt = answeredAt
  }

  /** A stanza of the client's has gone on. */
  sent(stanza: Stanza): Due | undefined {
    if (this.phase === 'over') return undefined
    if (this.phase === 'waiting' && stanza.kind === 'iq' && rosterGetOf(stanza, this.bare) !== undefined)
      this.rosterId = stanza.id
    if (stanza.kind === 'presence' && stanza.to === undefined) this.appeared(stanza)
    return this.due()
  }

  /** A stanza of the server's has come, and may be left out. */
  came(stanza: Stanza): void {
    const { appearedAt, phase } = this
    if (phase === 'over' || appearedAt === undefined || stanza.kind !== 'presence' || stanza.type !== 'subscribe')
      return
    const key = keyOf(stanza.from ?? '')
    if (!this.expected(appearedAt).includes(key)) return
    this.all.servers.came(this.domain)
    if (phase !== 'asked') this.phase = 'over'
  }

  /** A stanza of the server's has gone on. */
  received(stanza: Stanza): Due | undefined {
    if (this.phase === 'over') return undefined
    if (this.isAnswerTo(this.rosterId, stanza)) {
      this.hasRoster ||= stanza.type === 'result'
      this.rosterId = undefined
    }
    return this.due()
  }

  /** The request. `id`: unlike all ids of the client's. */
  ping(id: string): Element {
    this.phase = 'asked'
    this.pingId = id
    return element('iq', ns.client, { type: 'get', id, to: this.domain }, [element('ping', ns.ping)])
  }

  /** Whether the server's stanza answers the gate's ping, and is not for the client. */
  isPong(stanza: Stanza): boolean {
    return this.isAnswerTo(this.pingId, stanza)
  }

  /** The ping was answered. */
  answered(): Due | undefined {
    this.pingId = undefined
    if (this.phase !== 'asked') return undefined
    this.phase = 'watching'
    this.answeredAt = this.all.now()
    const { appearedAt } = this
    const is = this.all.servers.of(this.domain)
    if (is === 'does' || appearedAt === undefined) this.phase = 'over'
    return is === 'does-not' && appearedAt !== undefined ? this.deliver(appearedAt) : undefined
  }

  private appeared({ type, element: presence }: Stanza): void {
    if (type === 'unavailable') this.end()
    if (type !== undefined || this.appearedAt !== undefined || this.phase !== 'waiting') return
    this.appearedAt = this.all.now()
    // Servers deliver none to a resource of negative priority.
    const priority = child(presence, 'priority', ns.client)
    if (priority !== undefined && Number(text(priority)) < 0) this.end()
  }

  /** Before the answer to a ping that is under way the session goes on to hide it. */
  private end(): void {
    if (this.phase === 'asked') this.appearedAt = undefined
    else this.phase = 'over'
  }

  private due(): Due | undefined {
    const { appearedAt, phase } = this
    if (appearedAt === undefined) return undefined
    if (phase === 'waiting' && this.hasRoster) {
      if (this.all.servers.of(this.domain) !== 'does' && this.expected(appearedAt).length > 0) return { due: 'ping' }
      this.phase = 'over'
    }
    if (phase !== 'watching' || this.all.now() - this.answeredAt < deliveredWithin) return undefined
    this.phase = 'over'
    return this.lapsed(appearedAt)
  }

  /** The server has had time enough. */
  private lapsed(appearedAt: number): Due | undefined {
    const { servers } = this.all
    if (servers.of(this.domain) !== 'unknown' || this.expected(appearedAt).length === 0) return undefined
    servers.missed(this.domain, keyOf(this.bare))
    return servers.of(this.domain) === 'does-not' ? this.deliver(appearedAt) : undefined
  }

  private deliver(appearedAt: number): Due {
    return { due: 'deliver', contacts: this.expected(appearedAt) }
  }

  /** The contacts whose requests were delivered before the first presence, and are not answered. */
  private expected(appearedAt: number): string[] {
    // A contact that was kept as its hash has no address.
    const earlier = this.all.unanswered(this.bare).filter(({ since }) => since < appearedAt)
    return earlier.map(({ contact }) => contact).filter(contact => parseJid(contact) !== undefined)
  }

  private isAnswerTo(id: string | undefined, stanza: Stanza): boolean {
    if (id === undefined || stanza.kind !== 'iq' || stanza.id !== id) return false
    return (stanza.type === 'result' || stanza.type === 'error') && isOwnServer(stanza.from, this.jid)
  }
}

/** The bare JIDs and domains that the client's stanza blocks (XEP-0191): it answers their requests in no other way. */
export function blockedBy(stanza: Stanza, bare: string): string[] {
  if (stanza.kind !== 'iq' || stanza.type !== 'set' || !isAccountItself(stanza.to, bare)) return []
  const block = child(stanza.element, 'block', ns.blocking)
  return block === undefined ? [] : elements(block).flatMap(item => item.attrs.get('jid') ?? [])
}
