/**
 * The reader and the writer. The first two bytes of an input choose the way, the limits and how the rest, a document, is cut. Promised:
 * the same is read however it is cut, nothing comes before a stream's header or after an error or the end, no element passes a limit,
 * and what is written is read as it was.
 */
import { makeFraming } from '../../../src/stream/framing.ts'
import { upstreamLimits } from '../../../src/stream/limits.ts'
import { ns } from '../../../src/stream/namespaces.ts'
import { type Element, elements } from '../../../src/xml/element.ts'
import type { XmlLimits } from '../../../src/xml/limits.ts'
import { hostile } from '../documents.ts'
import { eventsOf } from '../events.ts'
import { limitsOf, type Passage, pass, randomCut, tightLimits } from '../passage.ts'
import { randomOf } from '../random.ts'
import { type Way, ways } from '../ways.ts'
import { promise, type Target } from './target.ts'

export const reader: Target = {
  seeds: hostile.flatMap(({ bytes }, i) => [Buffer.concat([Buffer.from([i % 4, i % 5]), bytes])]),
  tokens: hostile.map(({ bytes }) => bytes.subarray(-40)),
  run(input) {
    const way = ways[(input[0] ?? 0) % ways.length] as Way
    const random = randomOf(input[1] ?? 0, input.length)
    const limits = (input[1] ?? 0) % 2 === 0 ? limitsOf(way) : tightLimits(random)
    const bytes = input.subarray(2)
    const passage = pass(bytes, way, limits)
    const pieces = pass(bytes, way, limits, randomCut(random))
    promise(passage.said === pieces.said, () => `in pieces: ${pieces.said}, whole: ${passage.said}`)
    checkOrder(passage, way)
    for (const { element } of read(passage)) {
      if (way.wire === 'tcp' || limits !== limitsOf(way)) checkLimits(element, limits)
      checkWritten(element, way)
    }
    return features(passage, way)
  },
}

function read({ items }: Passage) {
  return items.filter(item => item.item === 'element')
}

function checkOrder({ items }: Passage, { wire }: Way): void {
  for (const [i, { item }] of items.entries()) {
    if (item === 'error' || (item === 'close' && wire === 'tcp'))
      promise(
        items.slice(i + 1).every(later => item === 'close' && later.item === 'error'),
        () => `after ${item} came more`,
      )
    if (wire === 'tcp' && item !== 'error') promise((i === 0) === (item === 'open'), () => `item ${i} is ${item}`)
  }
}

/** Elements, depth and attributes; the bytes are those of a spelling that is not known here. */
function checkLimits(element: Element, limits: XmlLimits): void {
  let count = 0
  const visit = (one: Element, depth: number) => {
    count++
    promise(depth <= limits.depth, () => `deeper than ${limits.depth}`)
    promise(one.attrs.size <= limits.attributes, () => `more than ${limits.attributes} attributes`)
    promise(one.name.length <= limits.nameLength, () => `a name longer than ${limits.nameLength}`)
    for (const inner of elements(one)) visit(inner, depth + 1)
  }
  visit(element, 1)
  promise(count <= limits.elements, () => `more than ${limits.elements} elements`)
}

function checkWritten(element: Element, { from, out }: Way): void {
  // On a WebSocket these are no elements but the framing; that nobody says them there is the session's affair.
  const isFraming = element.ns === ns.framing || element.ns === ns.stream || framingNames.has(element.name)
  if (out === 'websocket' && isFraming) return
  const framing = makeFraming(out, from, upstreamLimits)
  const header = out === 'tcp' ? framing.write({ item: 'open', header: new Map() }) : ''
  const text = framing.write({ item: 'element', element })
  const back = pass(Buffer.from(header + text), { name: '', from, wire: out, out }, upstreamLimits)
  const [item, ...more] = back.items.slice(out === 'tcp' ? 1 : 0)
  const isSame = item?.item === 'element' && more.length === 0 && eventsOf(item.element) === eventsOf(element)
  promise(isSame, () => `${text} was read as ${back.said}`)
}

const framingNames = new Set(['open', 'close'])

function features({ items }: Passage, { name }: Way): Set<string> {
  const found = new Set<string>()
  let before = ''
  for (const item of items) {
    const word = item.item === 'error' ? `${item.condition} ${item.text}` : item.item
    found.add(`${name} ${before} ${word}`)
    before = item.item
  }
  return found
}
