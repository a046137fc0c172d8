/**
 * However a stream is cut into reads, it means the same: every document of the tables, and some damaged by chance, whole, cut in two at
 * every byte, and byte by byte (long ones at eight places and in sevens); in bulk and tag by tag; as a client's and as a server's.
 */
import t from 'tap'
import { strangerLimits } from '../../src/stream/limits.ts'
import { documents } from '../corpus/documents.ts'
import { bytesOf, wayOf } from './differential.ts'
import { hostile, streamHeader } from './documents.ts'
import { type Cut, limitsOf, pass, tightLimits } from './passage.ts'
import { randomOf } from './random.ts'
import { type Way, ways } from './ways.ts'

t.setTimeout(600_000) // it takes about 30 s

const seed = 20_261_125
const byChance = 120

const streams = ways.filter(({ wire, out }) => wire === 'tcp' && out === 'tcp')

function inTwo(at: number, stepwise: boolean): Cut {
  let isFirst = true
  return {
    stepwise,
    size() {
      const size = isFirst ? at : Number.MAX_SAFE_INTEGER
      isFirst = false
      return size
    },
  }
}

/** Bytes that are read again for all the places of a document: the longest are cut at 8 places, evenly spread. */
const budget = 300_000
const placesAtLeast = 8
/** Documents up to this length are cut at every byte. */
const short = 1_500

/** Where a document is cut in two, from one of its bytes on. */
function places(length: number, first: number): number[] {
  const count = length <= short ? length : Math.max(placesAtLeast, Math.floor(budget / length))
  const step = Math.max(1, Math.ceil((length - first) / count))
  return Array.from({ length: Math.max(0, Math.ceil((length - first) / step)) }, (_, i) => first + i * step)
}

interface Tried {
  readonly tried: number
  readonly wrong?: unknown
}

/** How many ways of cutting were tried, and the first that was read otherwise. */
function cutEveryWay(bytes: Buffer, way: Way, { first = 1, limits = limitsOf(way) } = {}): Tried {
  const { said } = pass(bytes, way, limits)
  let tried = 0
  for (const stepwise of [false, true]) {
    const size = bytes.length > 20_000 ? 7 : 1
    const cuts: [string, Cut][] = [[`in pieces of ${size}`, { size: () => size, stepwise }]]
    // Tag by tag at every fourth place, which is enough: it makes pieces of its own.
    const all = places(bytes.length, first)
    for (const at of stepwise ? all.filter((_, i) => i % 4 === 0) : all)
      cuts.push([`cut at ${at}`, inTwo(at, stepwise)])
    for (const [name, cut] of cuts) {
      tried++
      const other = pass(bytes, way, limits, cut).said
      if (other === said) continue
      return { tried, wrong: { name, stepwise, bytes: bytes.toString('latin1').slice(0, 2_000), said, other } }
    }
  }
  return { tried }
}

t.test('the hostile documents', async t => {
  let all = 0
  for (const way of streams) {
    for (const { name, bytes } of hostile) {
      const { tried, wrong } = cutEveryWay(bytes, way)
      all += tried
      if (wrong !== undefined) t.fail(`${way.name}: ${name}`, { wrong })
    }
  }
  const size = hostile.reduce((sum, { bytes }) => sum + bytes.length, 0)
  t.ok(all > streams.length * size, `${hostile.length} documents, ${all} cuts`)
  t.comment(`${hostile.length} hostile documents, ${all} cuts`)
})

/** Name, the document, the bytes that it may have. */
const found: readonly (readonly [name: string, text: string, bytes: number])[] = [
  ['a reference that holds another &', `${streamHeader}<presence type='&ampsubscribeh &amp\u0000`, 10_000],
  ['a reference after a CDATA section with an &', `${streamHeader}<m><![CDATA[& ]]>h &amp\u0000`, 10_000],
  ['a reference after another', `${streamHeader}<m>&amp; &lt\u0000`, 10_000],
  ['a reference after text with ]]>', `${streamHeader}<m> &#</s:s>&#x4]]>&#x\u0000`, 10_000],
  ['text before the root, and a reference', 'xxxxxxxxxxx&amp;', 10_000],
  ['text before the root, and an endless reference', 'x&aaaaaaaaaaaaaaaaaaaaaa\u0000', 10_000],
  ['text before the root beyond the first plane', '😀\u0000 <a>', 10_000],
  ['a reference in the root, with NUL', `<stream:stream to='&ampsubscribeh &amp\u0000`, 10_000],
  ['text before the root, with NUL beyond the limit', `am ${'x'.repeat(100)}\u0000`, 64],
  ['white space before the root, with NUL beyond the limit', `${' '.repeat(100)}\u0000`, 64],
]

t.test('documents that were answered otherwise in pieces', async t => {
  for (const way of streams)
    for (const [name, text, bytes] of found) {
      const { tried, wrong } = cutEveryWay(Buffer.from(text), way, { limits: { ...limitsOf(way), bytes } })
      t.ok(tried > text.length)
      t.equal(wrong, undefined, `${way.name}: ${name}`)
    }
})

t.test('the documents of the corpus', async t => {
  let all = 0
  const headers = new Set<string>()
  const streamed = documents().filter(
    // Two of many megabytes are read in pieces by their own test, against a hostile server.
    ({ wire, pieces }) => wire === 'tcp' && pieces.every(piece => piece.length < 1_000_000),
  )
  for (const { name, from, stranger, pieces } of streamed) {
    const way = streams.find(each => each.from === from) as Way
    const bytes = Buffer.concat(pieces)
    // A header that was cut at each of its bytes once is the same in many documents.
    const header = /^(?:<\?xml[^>]*>)?<stream:stream [^>]*>/.exec(bytes.toString('latin1'))?.[0] ?? ''
    const first = headers.has(header) ? header.length : 1
    headers.add(header)
    const limits = stranger ? strangerLimits : limitsOf(way)
    const { tried, wrong } = cutEveryWay(bytes, way, { first: Math.max(first, 1), limits })
    all += tried
    if (wrong !== undefined) t.fail(name, { wrong })
  }
  t.ok(all > streamed.length * 40, `${all} cuts`)
  t.comment(`${streamed.length} documents of the corpus, ${all} cuts`)
})

t.test(`damaged documents, with limits that they meet (seed ${seed})`, async t => {
  let all = 0
  for (let document = 0; document < byChance; document++) {
    const way = wayOf(document)
    if (way.wire === 'websocket') continue
    const random = randomOf(seed + 1, document)
    const limits = random(2) === 0 ? limitsOf(way) : tightLimits(random)
    const { tried, wrong } = cutEveryWay(bytesOf(seed, document), way, { limits })
    all += tried
    if (wrong !== undefined) t.fail(`--seed ${seed} --document ${document}`, { wrong, limits })
  }
  t.ok(all > byChance * 150, `${all} cuts`)
  t.comment(`${byChance} damaged documents, ${all} cuts`)
})
