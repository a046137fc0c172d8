/** One document through the gate's reading and writing, as the relay does it, and all that can be seen of it without an oracle. */
import { makeFraming } from '../../src/stream/framing.ts'
import type { StreamItem } from '../../src/stream/item.ts'
import { clientLimits, upstreamLimits } from '../../src/stream/limits.ts'
import type { Element } from '../../src/xml/element.ts'
import type { XmlLimits } from '../../src/xml/limits.ts'
import { itemEvents } from './events.ts'
import type { Random } from './random.ts'
import type { Way } from './ways.ts'

export interface Passage {
  readonly items: readonly StreamItem[]
  /** The events of the items that have any, one string for each. */
  readonly events: readonly string[]
  /** Everything said, white space in a row once and none before an error: how much there was in one read is nobody's affair. */
  readonly said: string
  readonly condition: string | undefined
}

/** How a document is cut into reads: the sizes of the pieces, and whether it is read tag by tag. */
export interface Cut {
  size(): number
  readonly stepwise: boolean
}

const whole: Cut = { size: () => Number.MAX_SAFE_INTEGER, stepwise: false }

export function limitsOf(way: Way): XmlLimits {
  return way.from === 'client' ? clientLimits : upstreamLimits
}

/** Reads a document to its end or its first error. A WebSocket message is never cut. */
export function pass(bytes: Buffer, way: Way, limits: XmlLimits, cut: Cut = whole): Passage {
  const framing = makeFraming(way.wire, way.from, limits)
  if (!cut.stepwise) framing.readInBulk()
  const items: StreamItem[] = []
  const events: string[] = []
  let said = ''
  let isSpace = false
  let condition: string | undefined
  for (let at = 0; at < bytes.length || at === 0; ) {
    const size = way.wire === 'websocket' ? bytes.length : Math.max(1, cut.size())
    framing.push(bytes.subarray(at, at + size))
    at += Math.max(size, 1)
    for (let item = framing.next(); item !== undefined; item = framing.next()) {
      items.push(item)
      if (item.item === 'whitespace') {
        isSpace = true
        continue
      }
      const event = itemEvents(item)
      if (item.item === 'error') condition = item.condition
      if (isSpace && item.item !== 'error') said += '\u0005'
      isSpace = false
      if (event !== undefined) events.push(event)
      said += event ?? `\u0006${condition}`
    }
  }
  return { items, events, said: isSpace ? `${said}\u0005` : said, condition }
}

/** Pieces of up to 16 or 160 bytes, seldom of one; tag by tag or in bulk. */
export function randomCut(random: Random): Cut {
  const most = random(12) === 0 ? 1 : random(3) === 0 ? 16 : 160
  return { size: () => 1 + random(most), stepwise: random(2) === 0 }
}

/** Small enough that documents of a few hundred bytes meet every limit. */
export function tightLimits(random: Random): XmlLimits {
  return {
    bytes: 60 + random(200),
    elements: 2 + random(6),
    depth: 1 + random(4),
    attributes: 1 + random(5),
    nameLength: 4 + random(20),
    startTag: 30 + random(150),
  }
}

export function elementsOf({ items }: Passage): Element[] {
  return items.flatMap(item => (item.item === 'element' ? [item.element] : []))
}
