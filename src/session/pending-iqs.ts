/**
 * The client's requests: who was asked, under which id (RFC 6120 section 8.2.3). They outlive the stream when stream management lets
 * it be resumed; what a server repeats then is not asked about here.
 *
 * An answer is right from the address that was asked, spelled as the server likes, and from those who speak for that address: its
 * bare JID and its domain (an error of the server, of the room for its occupant). The client's own server may answer everything: it
 * does so from nobody, the account, the session or its domain, each server in its own way, and nobody else can use these addresses.
 * Whether a request was answered before is no matter: clients exist that answer twice, and who was asked is no stranger.
 */

import type { Belief } from '../rules/rule.ts'
import { copied } from '../stanza/copied.ts'
import { compareBare, parseJid } from '../stanza/jid.ts'
import { isOwnServer } from '../stanza/own-addresses.ts'
import type { Stanza } from '../stanza/stanza.ts'

/** Requests that are remembered, open and answered ones apart, and UTF-16 units of what is kept of each; beyond it the oldest go. */
const atMost = { open: { count: 2_000, size: 262_144 }, answered: { count: 500, size: 65_536 } }
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

export class PendingIqs {
  private readonly jid: string
  private readonly open = new Requests(atMost.open)
  private readonly answered = new Requests(atMost.answered)
  /** Of the last answer, which is asked about and then delivered. */
  private last = addressOf('')
  /** An open request had to be forgotten: of an answer that fits no other it cannot be said that nobody asked. */
  private hasForgotten = false

  /** `jid`: the client's full JID. */
  constructor(jid: string) {
    this.jid = jid
  }

  /** A stanza of the client's was forwarded. What goes to the own server is not remembered: its answers pass anyway. */
  sent({ kind, type, id, to }: Stanza): void {
    // Servers answer a request of no known type too.
    if (kind !== 'iq' || type === 'result' || type === 'error' || to === undefined) return
    // One unit more than a JID has is no JID.
    const address = addressOf(copied(to.slice(0, longestJid + 1)))
    if (isOwnServer(address.text, this.jid)) return
    if (!this.open.add(copied(short(id)), address)) this.hasForgotten = true
  }

  /** Whether a result or an error answers a request; `unknown`: one that was forgotten may be meant. */
  answers({ id, from }: Stanza): Belief {
    if (from === undefined) return 'accept'
    const address = this.addressOf(from)
    const key = short(id)
    const isAsked = (asked: Address) => maySpeakFor(address, asked)
    if (isOwnServer(from, this.jid) || this.open.has(key, isAsked) || this.answered.has(key, isAsked)) return 'accept'
    return this.hasForgotten ? 'unknown' : 'refuse'
  }

  /**
   * A stanza of the server's was delivered: the address that was asked has answered. Who speaks for others may have meant any of
   * several requests with one id: those stay open.
   */
  received({ kind, type, id, from }: Stanza): void {
    if (kind !== 'iq' || (type !== 'result' && type !== 'error') || from === undefined) return
    const key = short(id)
    const asked = this.open.has(key) ? this.open.take(key, this.addressOf(from)) : undefined
    if (asked !== undefined) this.answered.add(copied(key), asked)
  }

  private addressOf(from: string): Address {
    if (this.last.text !== from) this.last = addressOf(from)
    return this.last
  }
}

/** Requests by id; several under one when the client does not take a new one each time. */
class Requests {
  private readonly byId = new Map<string, Address[]>()
  private readonly atMost: { readonly count: number; readonly size: number }
  private count = 0
  private size = 0

  constructor(atMost: Requests['atMost']) {
    this.atMost = atMost
  }

  /** Says whether there was room; if there was none, the oldest are gone. */
  add(key: string, address: Address): boolean {
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
    return this.byId.get(key)?.some(isWanted) === true
  }

  /** Takes out the request to this very address. */
  take(key: string, address: Address): Address | undefined {
    const addresses = this.byId.get(key)
    const at = addresses?.findIndex(asked => isSame(asked, address)) ?? -1
    return addresses === undefined || at === -1 ? undefined : this.remove(key, addresses, at)
  }

  private remove(key: string, addresses: Address[], at: number): Address | undefined {
    const [gone] = addresses.splice(at, 1)
    if (addresses.length === 0) this.byId.delete(key)
    if (gone === undefined) return undefined
    this.count--
    this.size -= sizeOf(key, gone)
    return gone
  }
}

function isSame(one: Address, other: Address): boolean {
  return one.resource === other.resource && compareBare(one.text, other.text) !== 'different'
}

/** Whether who answers from this address speaks for the one that was asked. */
function maySpeakFor(from: Address, asked: Address): boolean {
  // What is no JID: each server makes of it what it likes.
  if (asked.domain === undefined) return true
  // A domain's resources are the domain's.
  if (compareBare(from.text, asked.domain) !== 'different') return true
  if (compareBare(from.text, asked.text) === 'different') return false
  // Of resources only those in ASCII are spelled alike by everyone.
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
