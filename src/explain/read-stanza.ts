/** Reads a stanza from a file as the gate reads one from a stream. */
import { isUtf8 } from 'node:buffer'
import { defaultLimits } from '../config/limits.ts'
import { type Stanza, stanzaOf } from '../stanza/stanza.ts'
import { type Framing, tcpFraming } from '../stream/framing.ts'
import type { Side, StreamItem } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'

/** What is wrong with it, for people, with line and column where there are such. */
export interface Unreadable {
  readonly flaw: string
}

/** `from`: a server's stanza is read less strictly. */
export function readStanza(bytes: Uint8Array, from: Side): Stanza | Unreadable {
  const { items, isUnfinished, piece } = itemsOf(bytes, from)
  const last = items.at(-1)
  if (last?.item === 'error') return { flaw: errorWords(last, bytes, piece, from) }
  if (isUnfinished) return { flaw: `${placeOf(bytes, bytes.length)}: the stanza is not complete` }
  const [first, second] = items
  if (first === undefined) return { flaw: 'there is nothing in it: give a stanza' }
  if (first.item !== 'element') return { flaw: 'there is no stanza in it' }
  if (second !== undefined) return { flaw: 'there is more than one stanza in it: give one' }
  const { element } = first
  const stanza = stanzaOf(element)
  if (stanza !== undefined) return stanza
  const why = element.ns === ns.client ? '' : ` of '${element.ns}'`
  return { flaw: `<${element.name}>${why} is no stanza: write a message, presence or iq of '${ns.client}'` }
}

/** Bytes. */
const pieceLength = 4_096

/** Without the white space; all up to the first error, and where the last piece that was read begins. */
function itemsOf(bytes: Uint8Array, from: Side): { items: StreamItem[]; isUnfinished: boolean; piece: number } {
  const framing = opened(from)
  const items: StreamItem[] = []
  let piece = 0
  for (let at = 0; at < bytes.length && items.at(-1)?.item !== 'error'; at += pieceLength) {
    piece = at
    framing.push(bytes.subarray(at, at + pieceLength))
    for (let item = framing.next(); item !== undefined; item = framing.next())
      if (item.item !== 'whitespace') items.push(item)
  }
  return { items, isUnfinished: framing.pending > 0, piece }
}

/** Behind the header of a stream, which declares what a stanza inherits. */
function opened(from: Side): Framing {
  const framing = tcpFraming(from, from === 'client' ? defaultLimits.client : defaultLimits.upstream)
  framing.push(Buffer.from(`<stream:stream xmlns='${ns.client}' xmlns:stream='${ns.stream}'>`))
  framing.next()
  return framing
}

/** Finds the position of the error by reading the last piece byte by byte: for a long text that would take too long. */
function errorWords(
  error: Extract<StreamItem, { item: 'error' }>,
  bytes: Uint8Array,
  piece: number,
  from: Side,
): string {
  const framing = opened(from)
  framing.push(bytes.subarray(0, piece))
  while (framing.next() !== undefined);
  let at = piece
  while (at < bytes.length && !isWrongAfter(framing, bytes.subarray(at, at + 1))) at++
  const text = error.text === undefined ? '' : ` (${error.text})`
  return `${placeOf(bytes, at)}: ${error.condition}${text}`
}

function isWrongAfter(framing: Framing, bytes: Uint8Array): boolean {
  framing.push(bytes)
  let item = framing.next()
  while (item !== undefined && item.item !== 'error') item = framing.next()
  return item !== undefined
}

function placeOf(bytes: Uint8Array, end: number): string {
  const before = bytes.subarray(0, end)
  const lines = Buffer.from(before)
    .toString(isUtf8(before) ? 'utf8' : 'latin1')
    .split('\n')
  return `line ${lines.length}, column ${(lines.at(-1) ?? '').length + 1}`
}
