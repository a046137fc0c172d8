/**
 * From a login to a bound resource (RFC 6120 section 7), and what may pass before there is one. Each function says what it found; the
 * session decides what follows.
 */

import { errorReply } from '../stanza/error.ts'
import { bareOf, parseJid } from '../stanza/jid.ts'
import { readdressed, type Stanza } from '../stanza/stanza.ts'
import { other, type Side } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import { child } from '../xml/element.ts'
import { judgedReport } from './judgement-report.ts'
import { boundJidOf, failureOf } from './negotiation.ts'
import type { Streams } from './streams.ts'

/** What a stanza of the upstream's means for the binding; it was passed on, or left out. */
export type BindingAnswer =
  /** The upstream has bound this full JID. */
  | { readonly answer: 'bound'; readonly jid: string }
  /** It refuses: the client may ask again. */
  | { readonly answer: 'refused' }
  /** It is no answer to the bind request, or the stream is over. */
  | { readonly answer: 'other' }

/** Bind requests of one stream (RFC 6120 section 7.7.3 has 5 to 10). */
const requestsAtMost = 10
const crowded = 'the account has too many sessions'

export class Binding {
  private readonly streams: Streams
  /** The account, a bare JID, has as many sessions as it may have. */
  private readonly isCrowded: (account: string) => boolean
  private request: Stanza | undefined
  private requests = 0

  constructor(streams: Streams, isCrowded: (account: string) => boolean) {
    this.streams = streams
    this.isCrowded = isCrowded
  }

  /** The client's bind request is passed on; `false`: it was one too many, and the stream is over. */
  ask(stanza: Stanza): boolean {
    if (++this.requests > requestsAtMost) {
      this.streams.fail('policy-violation', 'client-error', 'too many attempts to bind a resource')
      return false
    }
    this.request = stanza
    pass(this.streams, 'client', stanza)
    return true
  }

  /** A stanza of the upstream's before a resource is bound: an answer to the bind request, or to a registration. */
  answer(stanza: Stanza, isBinding: boolean, domain: string): BindingAnswer {
    const { streams } = this
    // Stanzas of others, and roster changes, cannot be checked before a resource is bound.
    if (stanza.kind !== 'iq' || stanza.type === 'set') {
      streams.report(judgedReport('upstream', stanza, 'drop', [], undefined))
      return none
    }
    const isAnswer = stanza.type === 'result' || stanza.type === 'error'
    if (!isBinding || !isAnswer || (stanza.id ?? '') !== (this.request?.id ?? '')) {
      pass(streams, 'upstream', stanza)
      return none
    }
    const jid = stanza.type === 'result' ? boundJidOf(stanza) : undefined
    if (jid !== undefined && !this.may(jid, domain, stanza)) return none
    pass(streams, 'upstream', stanza)
    this.request = undefined
    if (jid !== undefined) return { answer: 'bound', jid }
    const error = child(stanza.element, 'error', ns.client)
    streams.failedAt('bind', error && failureOf(error, ns.stanzaErrors))
    return refused
  }

  /** Whether this JID is one, and its account may have one more session; if not, the stream is over. `answer`: the stanza that says so. */
  may(jid: string, domain: string, answer?: Stanza): boolean {
    const { streams } = this
    if (parseJid(jid)?.resource === undefined) {
      streams.fail('internal-server-error', 'upstream-error')
      return false
    }
    if (!this.isCrowded(bareOf(jid))) return true
    streams.failedAt('bind', 'resource-constraint')
    if (answer !== undefined) this.refuse(answer, domain)
    streams.fail('policy-violation', 'client-error', crowded)
    return false
  }

  /** RFC 6120 section 7.6.2.1. The upstream has bound a resource by then; it ends with its stream. */
  private refuse(answer: Stanza, domain: string): void {
    this.streams.report(judgedReport('upstream', answer, 'close', [], undefined))
    const error = { condition: 'resource-constraint', text: crowded } as const
    const reply = this.request && errorReply(this.request, error, { by: domain })
    if (reply !== undefined) this.streams.sendElement('client', reply)
  }
}

const none: BindingAnswer = { answer: 'other' }
const refused: BindingAnswer = { answer: 'refused' }

/** Before a resource is bound no rule judges a stanza: the phase has decided what may pass. Nor has a client an address to speak from. */
export function pass(streams: Streams, from: Side, stanza: Stanza): void {
  streams.report(judgedReport(from, stanza, 'forward', [], undefined))
  const isAddressed = from === 'client' && stanza.from !== undefined
  const passed = isAddressed ? readdressed(stanza, { from: undefined }) : stanza
  streams.sendElement(other[from], passed.element)
}
