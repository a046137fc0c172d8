/** What the tests of the reader and the writer share: trees as plain data, bytes cut in several ways. */
import type { Element } from '../../src/xml/element.ts'
import { type XmlItem, type XmlLimits, XmlReader } from '../../src/xml/reader.ts'

/** `[namespace, name, attributes sorted by key, children]`: the form that every oracle is compared in. */
export type Shape = [string, string, [string, string][], (Shape | string)[]]

export function shape(element: Element): Shape {
  const attrs = [...element.attrs].sort(([one], [two]) => (one < two ? -1 : 1))
  return [
    element.ns,
    element.name,
    attrs,
    element.children.map(node => (typeof node === 'string' ? node : shape(node))),
  ]
}

/** One line for a tree: `{ns}name(key=value)[children]`, empty parts left out. */
export function line(element: Element): string {
  const ns = element.ns === 'jabber:client' ? '' : `{${element.ns}}`
  const attrs = [...element.attrs].map(([key, value]) => `${key}=${value}`).join(' ')
  const children = element.children.map(node => (typeof node === 'string' ? JSON.stringify(node) : line(node))).join('')
  return `${ns}${element.name}${attrs && `(${attrs})`}${children && `[${children}]`}`
}

export const limits: XmlLimits = {
  bytes: 100_000,
  elements: 200,
  depth: 20,
  attributes: 30,
  nameLength: 256,
  startTag: 50_000,
}

export const header = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`

export type Cut = 'whole' | 'in sevens' | 'byte by byte'
export const cuts: readonly Cut[] = ['whole', 'in sevens', 'byte by byte']

export function pieces(bytes: Buffer, cut: Cut): Buffer[] {
  const size = cut === 'whole' ? Math.max(bytes.length, 1) : cut === 'in sevens' ? 7 : 1
  const all: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) all.push(bytes.subarray(at, at + size))
  return all
}

export interface Manner {
  readonly level: 0 | 1
  readonly cut: Cut
  readonly stepwise?: boolean
  readonly limits?: XmlLimits
}

/** Everything that a reader says; a document that is one element is also said to be at its end. */
export function read(bytes: Buffer, manner: Manner): XmlItem[] {
  const reader = new XmlReader({ level: manner.level, limits: manner.limits ?? limits })
  reader.stepwise = manner.stepwise ?? false
  const items: XmlItem[] = []
  const drain = () => {
    for (let item = reader.next(); item !== undefined; item = reader.next()) items.push(item)
  }
  for (const piece of pieces(bytes, manner.cut)) {
    // A copy, overwritten afterwards: a reader must not hold on to the buffer that bytes came in.
    const lent = Buffer.from(piece)
    reader.push(lent)
    drain()
    lent.fill(0x3c)
  }
  if (manner.level === 0) reader.finish()
  drain()
  return items
}

/** Items as lines; white space in a row is one line and none before stray text: how much there was in one read is nobody's affair. */
export function lines(items: readonly XmlItem[]): string[] {
  const all: string[] = []
  for (const item of items) {
    const said = say(item)
    if (all.at(-1) === 'whitespace' && (said === 'whitespace' || said === 'error text')) all.pop()
    all.push(said)
  }
  return all
}

function say(item: XmlItem): string {
  if (item.xml === 'open') return `open ${line(item.root)} ${item.content ?? 'without default'}`
  if (item.xml === 'element') return item.prefix === '' ? line(item.element) : `${item.prefix}: ${line(item.element)}`
  return item.xml === 'error' ? `error ${item.fault}` : item.xml
}

/** A generator of whole numbers below a bound, the same for the same seed (xorshift32). */
export function seeded(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}
