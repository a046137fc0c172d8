/** From a login to a bound resource (RFC 6120 section 7), and what may pass before there is one. */

import { copied } from '../stanza/copied.ts'
import { errorReply } from '../stanza/error.ts'
import { bareOf, parseJid } from '../stanza/jid.ts'
import { readdressed, type Stanza } from '../stanza/stanza.ts'
import { other, type Side } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import { child } from '../xml/element.ts'
import { judgedReport } from './judgement-report.ts'
import { boundJidOf, failureOf } from './negotiation.ts'
import type { Progress } from './stream-management.ts'
import type { Streams } from './streams.ts'

/** The session that this is a part of. */
export interface BindingStage {
  readonly streams: Streams
  readonly at: Progress
  /** The account has as many sessions as it may have; bare JID. */
  isCrowded(account: string): boolean
  /** The server has bound this full JID. */
  bind(jid: string): void
}

/** Bind requests of one stream (RFC 6120 section 7.7.3 has 5 to 10). */
const requestsAtMost = 10
const crowded = 'the account has too many sessions'

export class Binding {
  private readonly stage: BindingStage
  private request: Stanza | undefined
  private requests = 0

  constructor(stage: BindingStage) {
    this.stage = stage
  }

  ask(stanza: Stanza): void {
    const { streams, at } = this.stage
    if (++this.requests > requestsAtMost)
      return streams.fail('policy-violation', 'client-error', 'too many attempts to bind a resource')
    at.phase = 'binding'
    this.request = stanza
    pass(streams, 'client', stanza)
  }

  /** A stanza of the server's before a resource is bound: an answer to a bind request, or to a registration. */
  answer(stanza: Stanza): void {
    const { streams, at } = this.stage
    // Nobody can judge yet what others say, or what would change the roster.
    if (stanza.kind !== 'iq' || stanza.type === 'set')
      return streams.report(judgedReport('upstream', stanza, 'drop', [], undefined))
    const isAnswer = stanza.type === 'result' || stanza.type === 'error'
    if (at.phase !== 'binding' || !isAnswer || (stanza.id ?? '') !== (this.request?.id ?? ''))
      return pass(streams, 'upstream', stanza)
    const jid = stanza.type === 'result' ? boundJidOf(stanza) : undefined
    if (jid !== undefined && !this.may(jid, stanza)) return
    pass(streams, 'upstream', stanza)
    this.request = undefined
    if (jid !== undefined) return this.stage.bind(copied(jid))
    at.phase = 'authenticated'
    const error = child(stanza.element, 'error', ns.client)
    streams.failedAt('bind', error && failureOf(error, ns.stanzaErrors))
  }

  /** Whether this JID is one, and its account may have one more session; if not, the stream is over. `answer` is who says so, if it is a stanza. */
  may(jid: string, answer?: Stanza): boolean {
    const { streams } = this.stage
    if (parseJid(jid)?.resource === undefined) {
      streams.fail('internal-server-error', 'upstream-error')
      return false
    }
    if (!this.stage.isCrowded(bareOf(jid))) return true
    streams.failedAt('bind', 'resource-constraint')
    if (answer !== undefined) this.refuse(answer)
    streams.fail('policy-violation', 'client-error', crowded)
    return false
  }

  /** RFC 6120 section 7.6.2.1. The server has bound a resource by then, which goes with its stream. */
  private refuse(answer: Stanza): void {
    const { streams, at } = this.stage
    streams.report(judgedReport('upstream', answer, 'close', [], undefined))
    const error = { condition: 'resource-constraint', text: crowded } as const
    const reply = this.request && errorReply(this.request, error, { by: at.domain })
    if (reply !== undefined) streams.sendElement('client', reply)
  }
}

/** Before a stream is bound nobody is judged: what may pass was decided by its phase. Nor has a client an address to speak from. */
export function pass(streams: Streams, from: Side, stanza: Stanza): void {
  streams.report(judgedReport(from, stanza, 'forward', [], undefined))
  const isAddressed = from === 'client' && stanza.from !== undefined
  const passed = isAddressed ? readdressed(stanza, { from: undefined }) : stanza
  streams.sendElement(other[from], passed.element)
}
