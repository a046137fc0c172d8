/**
 * The client's IQ requests: the address that was asked, by id (RFC 6120 section 8.2.3). They outlive the stream when stream
 * management allows a resumption; what a server repeats then is not checked here. An answer is accepted from the address that was
 * asked, in any spelling of the server's, and from those who answer for it: its bare JID and its domain (an error of the server,
 * or of a room for its occupant). The client's own server may answer everything: without `from`, from the account, from the
 * session or from its domain; nobody else can use these addresses. It does not matter whether a request was answered before: some
 * clients answer twice, and the one that was asked is no stranger.
 */

import type { Belief } from '../rules/rule.ts'
import { detachedString } from '../stanza/detached-string.ts'
import { compareBare, parseJid } from '../stanza/jid.ts'
import { isOwnServer } from '../stanza/own-addresses.ts'
import type { Stanza } from '../stanza/stanza.ts'

/** Requests that are remembered, open and answered ones apart, and UTF-16 units of each. Beyond these numbers the oldest are forgotten. */
const requestsAtMost = { open: { count: 2_000, size: 262_144 }, answered: { count: 500, size: 65_536 } }
/** UTF-16 units of an id that are compared. */
const compared = 200
/** UTF-16 units of the longest JID (RFC 7622 section 3.1). */
const longestJid = 3 * 1_023 + 2

/** An address that is a JID has a domain. */
interface Address {
  readonly text: string
  readonly domain: string | undefined
  readonly resource: string | undefined
}

/** As data that JSON can hold: ids with the addresses that were asked, oldest first. */
export interface PendingIqsRecord {
  readonly open: readonly (readonly [string, string])[]
  readonly answered: readonly (readonly [string, string])[]
  readonly hasForgotten: boolean
}

export class PendingIqs {
  private readonly jid: string
  private readonly open = new Requests(requestsAtMost.open)
  private readonly answered = new Requests(requestsAtMost.answered)
  /** The request of the last answer, which is checked first and delivered then. */
  private last = addressOf('')
  /** An open request was forgotten: an answer that fits no request may belong to it. */
  private hasForgotten = false

  /** `jid`: the client's full JID. */
  constructor(jid: string) {
    this.jid = jid
  }

  /** `jid`: the client's full JID. Throws when it is no record of requests. */
  static restored(jid: string, { open, answered, hasForgotten }: PendingIqsRecord): PendingIqs {
    const requests = new PendingIqs(jid)
    for (const [id, address] of open) requests.open.add(id, addressOf(address))
    for (const [id, address] of answered) requests.answered.add(id, addressOf(address))
    requests.hasForgotten = hasForgotten
    return requests
  }

  get record(): PendingIqsRecord {
    return { open: this.open.record, answered: this.answered.record, hasForgotten: this.hasForgotten }
  }

  /** A stanza of the client was forwarded. Requests to the own server are not remembered: its answers are always accepted. */
  sent({ kind, type, id, to }: Stanza): void {
    // Servers answer an IQ of an unknown type too.
    if (kind !== 'iq' || type === 'result' || type === 'error' || to === undefined) return
    // One unit more than the longest JID is kept: that is no JID.
    const address = addressOf(detachedString(to.slice(0, longestJid + 1)))
    if (isOwnServer(address.text, this.jid)) return
    if (!this.open.add(detachedString(short(id)), address)) this.hasForgotten = true
  }

  /** Whether a result or an error answers a request; `unknown`: it may answer one that was forgotten. */
  answers({ id, from }: Stanza): Belief {
    if (from === undefined) return 'accept'
    const address = this.addressOf(from)
    const key = short(id)
    const isAsked = (asked: Address) => maySpeakFor(address, asked)
    if (isOwnServer(from, this.jid) || this.open.has(key, isAsked) || this.answered.has(key, isAsked)) return 'accept'
    return this.hasForgotten ? 'unknown' : 'refuse'
  }

  /**
   * A stanza of the server was delivered: the address that was asked has answered. An answer from somebody who answers for others
   * may belong to any of several requests with one id: those stay open.
   */
  received({ kind, type, id, from }: Stanza): void {
    if (kind !== 'iq' || (type !== 'result' && type !== 'error') || from === undefined) return
    const key = short(id)
    const asked = this.open.has(key) ? this.open.take(key, this.addressOf(from)) : undefined
    if (asked !== undefined) this.answered.add(detachedString(key), asked)
  }

  private addressOf(from: string): Address {
    if (this.last.text !== from) this.last = addressOf(from)
    return this.last
  }
}

/** Requests by id; several under one when the client does not take a new one each time. */
class Requests {
  /** `undefined` as long as there was none: most sessions ask nobody but their own server. */
  private byId: Map<string, Address[]> | undefined
  private readonly atMost: { readonly count: number; readonly size: number }
  private count = 0
  private size = 0

  constructor(atMost: Requests['atMost']) {
    this.atMost = atMost
  }

  get record(): [string, string][] {
    return [...(this.byId ?? [])].flatMap(([id, asked]) => asked.map(({ text }): [string, string] => [id, text]))
  }

  /** Adds a request; `false`: the oldest ones were forgotten for it. */
  add(key: string, address: Address): boolean {
    this.byId ??= new Map()
    const others = this.byId.get(key)
    if (others === undefined) this.byId.set(key, [address])
    else others.push(address)
    this.count++
    this.size += sizeOf(key, address)
    let hadRoom = true
    // Maps keep the order of insertion: the first key is the oldest.
    for (const [oldest, addresses] of this.byId) {
      while (addresses.length > 0 && (this.count > this.atMost.count || this.size > this.atMost.size)) {
        this.remove(oldest, addresses, 0)
        hadRoom = false
      }
      if (addresses.length > 0) break
    }
    return hadRoom
  }

  has(key: string, isWanted: (asked: Address) => boolean = () => true): boolean {
    return this.byId?.get(key)?.some(isWanted) === true
  }

  /** Takes out the request to this very address. */
  take(key: string, address: Address): Address | undefined {
    const addresses = this.byId?.get(key)
    const at = addresses?.findIndex(asked => isSame(asked, address)) ?? -1
    return addresses === undefined || at === -1 ? undefined : this.remove(key, addresses, at)
  }

  private remove(key: string, addresses: Address[], at: number): Address | undefined {
    const [gone] = addresses.splice(at, 1)
    if (addresses.length === 0) this.byId?.delete(key)
    if (gone === undefined) return undefined
    this.count--
    this.size -= sizeOf(key, gone)
    return gone
  }
}

function isSame(one: Address, other: Address): boolean {
  return one.resource === other.resource && compareBare(one.text, other.text) !== 'different'
}

/** Whether an answer from this address may stand for the address that was asked. */
function maySpeakFor(from: Address, asked: Address): boolean {
  // It is no JID: servers differ in what they make of it.
  if (asked.domain === undefined) return true
  // An address of the domain with a resource belongs to the domain.
  if (compareBare(from.text, asked.domain) !== 'different') return true
  if (compareBare(from.text, asked.text) === 'different') return false
  // Servers may spell a resource otherwise unless it is ASCII.
  return from.resource === undefined || from.resource === asked.resource || !ascii.test(asked.resource ?? '')
}

const ascii = /^[\x20-\x7e]*$/

function addressOf(text: string): Address {
  const jid = parseJid(text)
  return { text, domain: jid?.domain, resource: jid?.resource }
}

function short(id: string | undefined): string {
  return (id ?? '').slice(0, compared)
}

function sizeOf(key: string, { text }: Address): number {
  return key.length + text.length
}
