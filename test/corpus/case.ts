/**
 * A case of the corpus is plain data: the bytes, the place on a stream where they come, and what has to become of them. Nothing here
 * needs a server; player.ts plays cases, documents.ts gives their bytes away.
 *
 * In the bytes these stand for what differs between plays: `{id}` the stanza's own id, `{me}` `{bare}` `{user}` the client's address,
 * `{header}` a stream header in the wire's own form, `{end}` its end.
 */
import type { StreamError } from '../../src/stream/item.ts'

/** STARTTLS is done before the first byte of a case, unless its place says otherwise. */
export const wires = ['starttls', 'direct', 'ws'] as const
export type Wire = (typeof wires)[number]

export const servers = ['prosody', 'ejabberd'] as const
export type ServerName = (typeof servers)[number]

/** Who hears what a case sends to others. */
export const observer = 'romeo@localhost/observer'

export type Place =
  /** The listener's port, without TLS; on WebSocket before the upgrade. */
  | 'port'
  /** The transport stands, no stream header was sent. */
  | 'header'
  /** The first features have come. */
  | 'auth'
  /** Authenticated, and the second features have come. */
  | 'bind'
  /** A resource is bound, presence was sent. */
  | 'bound'

export type Bytes = string | Uint8Array

/** One WebSocket frame, right or wrong. */
export interface Frame {
  /** Default: text. */
  readonly opcode?: number
  /** Default: true. */
  readonly fin?: boolean
  readonly rsv?: number
  /** Default: true, as a client has to. */
  readonly masked?: boolean
  readonly payload?: Bytes
}

export type Step =
  /** Bytes on TCP, one text message on a WebSocket. */
  | Bytes
  /** The same in pieces of so many bytes: writes on TCP, fragments on a WebSocket. */
  | { readonly cut: number; readonly of: Bytes }
  | { readonly frame: Frame }
  /** Bytes past the wire's framing. */
  | { readonly raw: Bytes }
  /** Waits until an element of that name has come; `open`, `close`: the header, the end. */
  | { readonly await: string }
  /** Begins TLS. */
  | { readonly secure: { readonly options?: Readonly<Record<string, unknown>> } }
  /** The server, as one that lies would, writes this into the client's session. */
  | { readonly inject: string }
  /** Half closes, or cuts, the connection. */
  | { readonly hang: 'up' | 'half' }

export type Expectation =
  /** The own header, one stream error, the end tag, the end of the connection; nothing of the case's own id passes. */
  | { readonly is: 'stream error'; readonly conditions: readonly string[] }
  /** A stanza error with the case's id, and the stream lives. */
  | { readonly is: 'stanza error'; readonly conditions: readonly string[]; readonly types: readonly string[] }
  /** No answer, nothing delivered, and the stream lives. */
  | { readonly is: 'dropped' }
  /** The observer gets this stanza, `from` and the server's own additions left out, and the stream lives. */
  | { readonly is: 'delivered'; readonly xml: string }
  /** An element comes back to the client itself, that has all of these in its outline, and the stream lives. */
  | { readonly is: 'answered'; readonly by: readonly string[] }
  /** What was left of the login succeeds, and the stream works. `at`: how far the case itself has come. */
  | { readonly is: 'goes on'; readonly at: Place | undefined }
  /** The connection ends without a stream error; `code` is a WebSocket's. */
  | { readonly is: 'closed'; readonly code?: number }
  | { readonly is: 'status'; readonly status: number }
  /** Whatever is answered: nothing is delivered and nobody else's name is got. */
  | { readonly is: 'harmless' }

export const classes = [
  'xml',
  'utf-8',
  'smuggling',
  'namespaces',
  'presence types',
  'presence children',
  'addresses',
  'limits',
  'authentication',
  'websocket',
  'starttls',
  'from the server',
  'hostile server',
] as const
export type ClassName = (typeof classes)[number]

export interface Case {
  readonly class: ClassName
  readonly name: string
  readonly wires: readonly Wire[]
  readonly at: Place
  readonly steps: readonly Step[]
  readonly expect: Expectation
  /** A WebSocket's own answer, where it has one. */
  readonly onWebsocket?: Expectation | undefined
  /** Played with this server alone. */
  readonly only?: ServerName | undefined
  /** Where a server's own behaviour decides. */
  readonly behind?: Readonly<Partial<Record<ServerName, Expectation>>> | undefined
}

export const tcp: readonly Wire[] = ['starttls', 'direct']
export const websocket: readonly Wire[] = ['ws']

type Rest = Partial<Pick<Case, 'wires' | 'at' | 'onWebsocket' | 'behind' | 'only'>>

/** Makes cases of one class: on every wire and on a bound stream, unless said otherwise. */
export function maker(name: ClassName, usual: Rest = {}) {
  return (what: string, steps: Step | readonly Step[], expect: Expectation, rest: Rest = {}): Case => ({
    class: name,
    name: what,
    wires,
    at: 'bound',
    ...usual,
    ...rest,
    steps: isList(steps) ? steps : [steps],
    expect,
  })
}

function isList(steps: Step | readonly Step[]): steps is readonly Step[] {
  return Array.isArray(steps)
}

export function ends(...conditions: StreamError[]): Expectation {
  return { is: 'stream error', conditions }
}

const typeOf: Readonly<Record<string, string>> = {
  'service-unavailable': 'cancel',
  'feature-not-implemented': 'cancel',
}

/** The stanza error that the gate answers with. */
export function refused(condition: string): Expectation {
  return { is: 'stanza error', conditions: [condition], types: [typeOf[condition] ?? 'modify'] }
}

/** A stanza error whose type, and maybe condition, are the server's choice. */
export function refusedByServer(...conditions: string[]): Expectation {
  return { is: 'stanza error', conditions, types: ['auth', 'cancel', 'modify', 'wait'] }
}

export function delivered(xml: string): Expectation {
  return { is: 'delivered', xml }
}

export function answered(...by: string[]): Expectation {
  return { is: 'answered', by }
}

export function goesOn(at?: Place): Expectation {
  return { is: 'goes on', at }
}

export function closed(code?: number): Expectation {
  return code === undefined ? { is: 'closed' } : { is: 'closed', code }
}

export function status(code: number): Expectation {
  return { is: 'status', status: code }
}

export const dropped: Expectation = { is: 'dropped' }
export const harmless: Expectation = { is: 'harmless' }

/** A message to the observer with the case's id; its content is whatever a case makes of it. */
export function message(inside: string, attributes = ''): string {
  return `<message xmlns='jabber:client' to='${observer}' type='chat' id='{id}'${attributes}>${inside}</message>`
}

export function body(inside: string): string {
  return message(`<body>${inside}</body>`)
}

/** A good message of an id of its own, that has to arrive whatever follows. */
export function good(number = 1): string {
  return `<message xmlns='jabber:client' to='${observer}' type='chat' id='{id}-ok${number}'><body>fine</body></message>`
}

/** Forgets the contact that a case has made. */
export const tidy =
  "<iq xmlns='jabber:client' type='set' id='{id}-tidy'><query xmlns='jabber:iq:roster'><item jid='nobody-{id}@localhost' subscription='remove'/></query></iq>"

/** A payload for a message that no server has reason to touch. */
export function extension(inside: string, attributes = ''): string {
  return message(`<x xmlns='urn:example:x'${attributes}>${inside}</x>`)
}

export function bytes(...parts: (Bytes | number[])[]): Uint8Array {
  return Buffer.concat(parts.map(part => Buffer.from(part as string)))
}

/** The bytes with what stands in braces filled in. */
export function filled(content: Bytes, names: Readonly<Record<string, string>>): Buffer {
  const text = Buffer.from(content as string).toString('latin1')
  const whole = text.replace(/\{(\w+)\}/g, (token, name: string) => names[name] ?? token)
  return Buffer.from(whole, 'latin1')
}
