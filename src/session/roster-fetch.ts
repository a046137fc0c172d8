/**
 * The gate asks the server for the roster in the session's name, for clients that never ask for it. The client sees neither the answer nor the
 * pushes that follow, as a server sends pushes to those who have asked (RFC 6121 section 2.1.6): the gate answers them in its name.
 */
import { isAccountItself } from '../stanza/own-addresses.ts'
import { rosterGetOf, rosterSetOf } from '../stanza/roster-iq.ts'
import type { Stanza } from '../stanza/stanza.ts'
import { ns } from '../stream/namespaces.ts'
import { type Element, element } from '../xml/element.ts'

/** What becomes of a stanza of the server's, beside its being read. `answer`: what the server is sent in the client's name. */
export interface Hidden {
  readonly event: 'answered' | 'failed' | 'push'
  readonly answer?: Element
}

/** As data that JSON can hold. */
export interface RosterFetchRecord {
  readonly id: string | null
  readonly isAskedByClient: boolean
  readonly hasAppeared: boolean
}

export class RosterFetch {
  private readonly bare: string
  /** Of the gate's own request; `undefined`: it has made none. */
  private id: string | undefined
  /** The client has asked for its roster: what comes of it is the client's. */
  private isAskedByClient = false
  private hasAppeared = false

  constructor(bare: string) {
    this.bare = bare
  }

  static restored(bare: string, { id, isAskedByClient, hasAppeared }: RosterFetchRecord): RosterFetch {
    const fetch = new RosterFetch(bare)
    fetch.id = id ?? undefined
    fetch.isAskedByClient = isAskedByClient
    fetch.hasAppeared = hasAppeared
    return fetch
  }

  get record(): RosterFetchRecord {
    const { id = null, isAskedByClient, hasAppeared } = this
    return { id, isAskedByClient, hasAppeared }
  }

  /** The client's stanza goes on. Says whether the roster is to be asked for before it: it is the first presence, and nobody has asked. */
  sent(stanza: Stanza): boolean {
    if (stanza.kind === 'message') return false
    if (rosterGetOf(stanza, this.bare) !== undefined) this.isAskedByClient = true
    if (this.hasAppeared || stanza.kind !== 'presence' || stanza.to !== undefined || stanza.type !== undefined)
      return false
    this.hasAppeared = true
    return this.isWanted
  }

  /** The client is there, and nobody has asked for its roster. */
  get isWanted(): boolean {
    return this.hasAppeared && !this.isAskedByClient && this.id === undefined
  }

  /** The request. `id`: unlike all ids of the client's. */
  request(id: string): Element {
    this.id = id
    return element('iq', ns.client, { type: 'get', id }, [element('query', ns.roster)])
  }

  /** `undefined`: the stanza of the server's is the client's. */
  received(stanza: Stanza): Hidden | undefined {
    if (this.id === undefined || stanza.kind !== 'iq') return undefined
    if (stanza.id === this.id) {
      if (stanza.type === 'result') return { event: 'answered' }
      if (stanza.type === 'error') return { event: 'failed' }
    }
    if (this.isAskedByClient || rosterSetOf(stanza) === undefined) return undefined
    if (!isAccountItself(stanza.from, this.bare)) return undefined
    const answer = element('iq', ns.client, { type: 'result', id: stanza.id, to: stanza.from })
    return { event: 'push', answer }
  }
}
