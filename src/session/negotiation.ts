/**
 * The phases of a client's stream, and what a client may send in each (RFC 6120 sections 4.3.5, 5, 6 and 7; XEP-0388).
 *
 *   opening ──header──▶ securing ──<starttls/>──▶ opening        only where the listener asks for STARTTLS
 *   opening ──header──▶ connecting ──upstream stands──▶ negotiating
 *   negotiating ──<auth/>, <response/>──▶ authenticating ──<challenge/>, <failure/>──▶ negotiating
 *   authenticating ──<success/>──▶ authenticated ──bind──▶ binding ──result──▶ bound
 *   authenticated ──<resume/>──▶ resuming ──<resumed/>──▶ bound, ──<failed/>──▶ authenticated      (XEP-0198)
 *   any ──error, </stream>, shutdown──▶ closing ──both transports gone──▶ closed
 *
 * In connecting, authenticating, binding and resuming the client is *held*: what it has pipelined is not even parsed before the server has
 * answered (XEP-0305), because the answer decides how it is to be read.
 */
import { isKind, type Stanza } from '../stanza/stanza.ts'
import { ns } from '../stream/namespaces.ts'
import { child, type Element, elements, text } from '../xml/element.ts'

export const phases = [
  'opening',
  'securing',
  'connecting',
  'negotiating',
  'authenticating',
  'authenticated',
  'binding',
  'resuming',
  'bound',
] as const
export type Phase = (typeof phases)[number]

const held: ReadonlySet<Phase> = new Set<Phase>(['connecting', 'authenticating', 'binding', 'resuming'])

export function isHeld(phase: Phase): boolean {
  return held.has(phase)
}

/** Elements of SASL (RFC 6120 section 6) and SASL2 (XEP-0388) that the server has to answer. */
const saslRequests: Readonly<Record<string, readonly string[]>> = {
  [ns.sasl]: ['auth', 'response', 'abort'],
  [ns.sasl2]: ['authenticate', 'response', 'abort', 'next', 'task-data'],
}

export type ClientNonza =
  /** SASL: on to the server, and wait for its answer. */
  | 'sasl'
  | 'starttls'
  | 'compress'
  | 'stream-management'
  /** The client reports that our stream is wrong: it is over. */
  | 'stream-error'
  /** An extension's element: on to the server. */
  | 'extension'
  /** An element of a namespace that belongs to the stream itself. */
  | 'misplaced'

export function nonzaOf(element: Element): ClientNonza {
  switch (element.ns) {
    case ns.sasl:
    case ns.sasl2:
      return saslRequests[element.ns]?.includes(element.name) ? 'sasl' : 'misplaced'
    case ns.tls:
      return element.name === 'starttls' ? 'starttls' : 'misplaced'
    case ns.compress:
      return element.name === 'compress' ? 'compress' : 'misplaced'
    case ns.sm2:
    case ns.sm3:
      return 'stream-management'
    case ns.stream:
      return element.name === 'error' ? 'stream-error' : 'misplaced'
    case ns.client:
    case ns.server:
    case ns.framing:
    case '':
      return 'misplaced'
    default:
      // RFC 6120 section 4.8.4. Servers take some of them for stanzas: ejabberd those of `jabber:component:accept`.
      return isKind(element.name) ? 'misplaced' : 'extension'
  }
}

export type EarlyIq =
  /** In-band registration and its invitations: on to the server. */
  | 'registration'
  /** XEP-0078: refused, since there is SASL. */
  | 'legacy-auth'
  | 'bind'
  | 'other'

/** What a stanza is that comes before a resource is bound. */
export function earlyIqOf(stanza: Stanza): EarlyIq {
  if (stanza.kind !== 'iq' || (stanza.type !== 'get' && stanza.type !== 'set')) return 'other'
  const payloads = elements(stanza.element)
  // A request holds one element (RFC 6120 section 8.2.3); servers differ in where they look for it when there are more.
  const uri = (payloads.find(payload => payload.ns === ns.bind) ?? payloads[0])?.ns
  switch (uri) {
    case ns.register:
    case ns.preauth:
      return 'registration'
    case ns.legacyAuth:
      return 'legacy-auth'
    case ns.bind:
      return stanza.type === 'set' ? 'bind' : 'other'
    default:
      return 'other'
  }
}

/** The full JID in the server's answer to a bind request (RFC 6120 section 7.6). */
export function boundJidOf(stanza: Stanza): string | undefined {
  const bind = child(stanza.element, 'bind', ns.bind)
  const jid = bind && child(bind, 'jid', ns.bind)
  return jid && text(jid)
}

/** The condition in a SASL failure (RFC 6120 section 6.5; XEP-0388 has the same) or in an error: an element of this namespace. */
export function failureOf(failure: Element, uri: string): string | undefined {
  return elements(failure).find(node => node.ns === uri && node.name !== 'text')?.name
}

/** The full JID in a SASL2 success that bound a resource (XEP-0386); `undefined` when classic binding is to follow. */
export function boundInlineOf(success: Element): string | undefined {
  if (child(success, 'bound', ns.bind2) === undefined) return undefined
  const identifier = child(success, 'authorization-identifier', ns.sasl2)
  return identifier && text(identifier)
}

/** RFC 6120 section 4.7.5: compared as numbers; `undefined` is the version before there were versions. */
export function isVersionServed(version: string | undefined): boolean {
  const match = /^(\d{1,9})\.\d{1,9}$/.exec(version ?? '')
  return match !== null && Number(match[1]) >= 1
}
