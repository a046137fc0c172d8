import { ns } from '../stream/namespaces.ts'
import { type Element, element } from '../xml/element.ts'
import { parseJid } from './jid.ts'
import type { Stanza } from './stanza.ts'

/** The conditions that the gate itself answers with, and the error type that goes with each (RFC 6120 section 8.3.3). */
const types = {
  'bad-request': 'modify',
  'jid-malformed': 'modify',
  'not-acceptable': 'modify',
  'not-allowed': 'cancel',
  'policy-violation': 'modify',
  'resource-constraint': 'wait',
  'service-unavailable': 'cancel',
  'unexpected-request': 'modify',
} as const

export type StanzaErrorCondition = keyof typeof types

export interface StanzaError {
  readonly condition: StanzaErrorCondition
  /** Where it is not the usual one of the condition: `wait`, what is refused now may go later. */
  readonly type?: 'wait'
  /** A sentence or two for people, in English. */
  readonly text?: string | undefined
}

export interface Respondent {
  /** The sender of the error: the domain that the gate stands for (RFC 6120 section 8.3.1). */
  readonly by: string
  /** Where the answer goes when the stanza named no sender: a client's own full JID. */
  readonly to?: string | undefined
}

/**
 * The error that answers a stanza: same kind and id, `from` and `to` exchanged, no payload repeated. `undefined` when no answer
 * is allowed: to an error, or to an IQ result (RFC 6120 sections 8.3.1(8) and 8.2.3(4)).
 */
export function errorReply(stanza: Stanza, error: StanzaError, respondent: Respondent): Element | undefined {
  if (!isAnswerable(stanza)) return undefined
  const children = [element(error.condition, ns.stanzaErrors)]
  if (error.text !== undefined) children.push(element('text', ns.stanzaErrors, { 'xml:lang': 'en' }, [error.text]))
  const condition = element(
    'error',
    ns.client,
    { type: error.type ?? types[error.condition], by: respondent.by },
    children,
  )
  // `from` and `to` are exchanged, but no malformed address is sent (RFC 6120 section 8.3.1(3)).
  const from = isMalformed(stanza.to) ? respondent.by : stanza.to
  const to = stanza.from === undefined || isMalformed(stanza.from) ? respondent.to : stanza.from
  const addresses = { from, to, id: stanza.id, type: 'error' }
  return element(stanza.kind, ns.client, addresses, [condition])
}

/** Whether an error may answer this stanza (RFC 6120 sections 8.3.1(8) and 8.2.3(4)). */
export function isAnswerable(stanza: Stanza): boolean {
  return stanza.type !== 'error' && !(stanza.kind === 'iq' && stanza.type === 'result')
}

function isMalformed(address: string | undefined): boolean {
  return address !== undefined && parseJid(address) === undefined
}
