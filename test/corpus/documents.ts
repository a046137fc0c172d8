/**
 * The bytes of the corpus without a server: what one stream's reader gets, from its beginning or, for the cases of later places, from
 * a fresh header on. For tests that cut them anywhere.
 */
import { wires } from '../../src/stream/framing.ts'
import { type Bytes, type Case, filled, type Step } from './case.ts'
import { cases } from './cases/all.ts'
import { hostileCases } from './cases/upstream.ts'
import { serverHeader } from './upstream.ts'

export interface Document {
  readonly name: string
  readonly wire: 'tcp' | 'websocket'
  readonly from: 'client' | 'upstream'
  /** Whether the limits before authentication are those that hold. */
  readonly stranger: boolean
  /** On a WebSocket these are messages, one after the other; on TCP one piece. */
  readonly pieces: readonly Uint8Array[]
}

const headers = {
  tcp: `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0' xml:lang='en'>`,
  websocket: `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0' xml:lang='en'/>`,
} as const

/** Every case whose bytes a reader of that wire would get; cases of frames and of HTTP are none. */
export function documents(): Document[] {
  const own = cases.flatMap(one =>
    wires.flatMap(wire =>
      one.wires.some(name => (name === 'ws') === (wire === 'websocket')) ? (documentOf(one, wire) ?? []) : [],
    ),
  )
  const theirs = hostileCases.map(({ name, at, says }): Document => {
    const spoken = says.filter(say => typeof say === 'string' || say instanceof Uint8Array) as Bytes[]
    const isFirst = at === 'connect' || at === 'header' || at === 'restart'
    const bytes = Buffer.concat(
      [...(isFirst ? [] : [serverHeader]), ...spoken].map(part => Buffer.from(part as string)),
    )
    return { name: `hostile server: ${name}`, wire: 'tcp', from: 'upstream', stranger: false, pieces: [bytes] }
  })
  return [...own, ...theirs]
}

function documentOf(one: Case, wire: Document['wire']): Document | undefined {
  if (wire === 'websocket' && one.at === 'port') return undefined
  const header = headers[wire]
  const names = {
    id: 'c1',
    user: 'mallory',
    bare: 'mallory@localhost',
    me: 'mallory@localhost/r1',
    header,
    end: '</stream:stream>',
  }
  const pieces = one.steps.flatMap(step => bytesOf(step) ?? []).map(bytes => filled(bytes, names))
  if (pieces.length === 0) return undefined
  const all = one.at === 'header' || one.at === 'port' ? pieces : [Buffer.from(header), ...pieces]
  const stranger = one.at !== 'bound' && one.at !== 'bind'
  const name = `${one.class}: ${one.name}`
  return { name, wire, from: 'client', stranger, pieces: wire === 'tcp' ? [Buffer.concat(all)] : all }
}

function bytesOf(step: Step): Bytes | undefined {
  if (typeof step === 'string' || step instanceof Uint8Array) return step
  return 'cut' in step ? step.of : undefined
}
