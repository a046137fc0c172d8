/**
 * Our reading of damaged documents against libexpat's. What must never be: that we take what libexpat does not, read it otherwise,
 * write it so that libexpat or we read something else, read otherwise when it comes in pieces, or throw.
 */
import { makeFraming } from '../../src/stream/framing.ts'
import { upstreamLimits } from '../../src/stream/limits.ts'
import { ns } from '../../src/stream/namespaces.ts'
import type { Element } from '../../src/xml/element.ts'
import { documentOf } from './damage.ts'
import { eventsOf } from './events.ts'
import { passSlowly, plainElements } from './fast-path.ts'
import type { Answer, Oracle, Question } from './oracle.ts'
import { elementsOf, limitsOf, type Passage, pass, randomCut, tightLimits } from './passage.ts'
import { randomOf } from './random.ts'
import { type Way, ways } from './ways.ts'

/** What can become of a document, in the order of asking; findings are what must never be. */
export const classes = {
  agree: { finding: false, text: 'both read the same and end alike' },
  refused: { finding: false, text: 'we refuse what libexpat takes' },
  late: { finding: false, text: 'libexpat has refused it, we wait for more' },
  newer: { finding: false, text: "a name of XML 1.0's fifth edition, relayed; libexpat has the fourth's" },
  more: { finding: true, text: 'we take what libexpat does not' },
  different: { finding: true, text: 'read otherwise' },
  written: { finding: true, text: 'what we wrote is read otherwise by libexpat' },
  roundTrip: { finding: true, text: 'what we wrote is read otherwise by us' },
  chunked: { finding: true, text: 'read otherwise in pieces' },
  fast: { finding: true, text: 'read otherwise without the fast path' },
  crash: { finding: true, text: 'an exception' },
} as const
export type Class = keyof typeof classes

export interface Judged {
  readonly document: number
  readonly class: Class
  /** Elements that were forwarded, and those of them that canonical.ts has accepted. */
  readonly elements: number
  readonly plain: number
}

/** One document, read. */
interface Case {
  readonly document: number
  readonly way: Way
  readonly bytes: Buffer
  readonly passage: Passage
  /** In pieces it was read as the whole was. */
  readonly isSame: boolean
  /** So it was by saxes alone. */
  readonly isSameSlowly: boolean
  readonly elements: readonly Element[]
}

export function wayOf(document: number): Way {
  return ways[document % ways.length] as Way
}

export function bytesOf(seed: number, document: number): Buffer {
  return documentOf(wayOf(document), randomOf(seed, document))
}

/** What the gate says of a document, in the spelling of events.ts: whole, and in pieces. */
export function saidOf(seed: number, document: number): { readonly whole: string; readonly inPieces: string } {
  const { way, limits, random } = manner(seed, document)
  const bytes = bytesOf(seed, document)
  return { whole: pass(bytes, way, limits).said, inPieces: pass(bytes, way, limits, randomCut(random)).said }
}

function manner(seed: number, document: number) {
  const way = wayOf(document)
  const random = randomOf(seed ^ 0x5bd1e995, document)
  return { way, random, limits: random(4) === 0 ? tightLimits(random) : limitsOf(way) }
}

/** Reads one document whole and in pieces; `undefined` if that throws. */
function read(seed: number, document: number, given: Buffer | undefined): Case | undefined {
  const { way, limits, random } = manner(seed, document)
  const bytes = given ?? bytesOf(seed, document)
  try {
    const passage = pass(bytes, way, limits)
    const isSame = pass(bytes, way, limits, randomCut(random)).said === passage.said
    const isSameSlowly = passSlowly(bytes, way, limits).said === passage.said
    return { document, way, bytes, passage, isSame, isSameSlowly, elements: elementsOf(passage) }
  } catch {
    return undefined
  }
}

export class Differential {
  private readonly seed: number
  private readonly oracle: Oracle

  constructor(seed: number, oracle: Oracle) {
    this.seed = seed
    this.oracle = oracle
  }

  /** Judges documents of this run by their numbers; with `given`, one document of which these are the bytes. */
  async judge(documents: readonly number[], given?: Buffer): Promise<Judged[]> {
    const cases = documents.map(document => read(this.seed, document, given))
    const whole = cases.filter(each => each !== undefined)
    const answers = this.oracle.ask(whole.map(rawQuestion))
    const wrong = await this.misread(whole)
    const classes = new Map<number, Class>()
    for (const [i, answer] of (await answers).entries()) {
      const one = whole[i] as Case
      const found = one.isSame ? (one.isSameSlowly ? compared(one, answer) : 'fast') : 'chunked'
      classes.set(one.document, isFinding(found) ? found : (wrong.get(one.document) ?? found))
    }
    const judged = cases.map((one, i): Judged => {
      const document = documents[i] as number
      return {
        document,
        class: classes.get(document) ?? 'crash',
        elements: one?.elements.length ?? 0,
        plain: plainElements(one?.elements),
      }
    })
    return given === undefined ? Promise.all(judged.map(each => this.followed(each))) : judged
  }

  /** What libexpat has refused and we have not must be refused, or never come to an end, whatever follows. */
  private async followed(judged: Judged): Promise<Judged> {
    if (judged.class !== 'late' && judged.class !== 'more') return judged
    const { document } = judged
    const bytes = bytesOf(this.seed, document)
    if (judged.class === 'more') return this.excused(judged, bytes)
    for (const tail of tails) {
      const longer = Buffer.concat([bytes, Buffer.from(tail)])
      const [again] = await this.judge([document], longer)
      const found = again && (await this.excused(again, longer))
      if (found !== undefined && isFinding(found.class)) return found
    }
    return judged
  }

  private async excused(judged: Judged, bytes: Buffer): Promise<Judged> {
    if (judged.class !== 'more' || wayOf(judged.document).from === 'client') return judged
    const [old] = await this.judge([judged.document], withOldNames(bytes))
    return old !== undefined && !isFinding(old.class) ? { ...judged, class: 'newer' } : judged
  }

  /** A shorter document of the same class, made by leaving out what can be left out. */
  async minimal({ document, class: wanted }: Judged): Promise<Buffer> {
    let least = bytesOf(this.seed, document)
    const isStill = async (bytes: Buffer) => {
      const [again] = await this.judge([document], bytes)
      return again !== undefined && (await this.excused(again, bytes)).class === wanted
    }
    // Found with something behind it.
    for (const tail of ['', ...tails]) {
      const longer = Buffer.concat([bytesOf(this.seed, document), Buffer.from(tail)])
      if (!(await isStill(longer))) continue
      least = longer
      break
    }
    for (let size = least.length >> 1; size > 0; size >>= 1) {
      for (let at = 0; at < least.length; ) {
        const shorter = Buffer.concat([least.subarray(0, at), least.subarray(at + size)])
        if (await isStill(shorter)) least = shorter
        else at += size
      }
    }
    return least
  }

  /** The documents whose elements, written again, are read otherwise: first all together, then one by one if something is wrong. */
  private async misread(cases: readonly Case[]): Promise<Map<number, Class>> {
    const wrong = new Map<number, Class>()
    const accepted = cases.filter(({ elements }) => elements.length > 0)
    for (const way of ways) {
      const ofWay = accepted.filter(each => each.way === way)
      if ((await this.misreads(way, ofWay)) === undefined) continue
      for (const one of ofWay) {
        const found = await this.misreads(way, [one])
        if (found !== undefined) wrong.set(one.document, found)
      }
    }
    return wrong
  }

  private async misreads(way: Way, cases: readonly Case[]): Promise<Class | undefined> {
    const elements = cases.flatMap(({ elements }) => elements)
    if (elements.length === 0) return undefined
    try {
      if (writtenOf(way, elements).some(({ bytes, events }) => !isReadBack(way, bytes, events))) return 'roundTrip'
    } catch {
      return 'crash'
    }
    const known = way.from === 'client' ? elements : elements.filter(element => !hasNewerName(element))
    const answers = await this.oracle.ask(writtenOf(way, known))
    return answers.every(({ relation, outcome }) => relation === 'same' && outcome === 'whole') ? undefined : 'written'
  }
}

/** Appended to a document that is refused by libexpat alone. */
const tails = [`;'>">--></a>]]></a><presence id='behind'/>`, `<presence id='behind'/><presence/></stream:stream>`]

export function isFinding(found: Class): boolean {
  return classes[found].finding
}

function rawQuestion({ way, bytes, passage, elements }: Case): Question {
  if (way.wire === 'tcp') return { bytes, events: passage.events.join(''), alone: false }
  return { bytes, events: elements.map(eventsOf).join(''), alone: true }
}

function compared({ way, passage, elements }: Case, { relation, outcome }: Answer): Class {
  const { condition } = passage
  if (relation === 'other') return 'different'
  if (relation === 'more') return 'more'
  if (way.wire === 'websocket') {
    if (condition !== undefined) return outcome === 'whole' ? 'refused' : 'agree'
    // Of an `<open/>` or a `<close/>` nothing is forwarded but attributes that `open` has.
    if (outcome !== 'whole') return 'more'
    return elements.length === 0 || relation === 'same' ? 'agree' : 'different'
  }
  if (relation === 'less') return 'refused'
  if (condition !== undefined) return outcome === 'refused' ? 'agree' : 'refused'
  return outcome === 'refused' ? 'late' : 'agree'
}

/**
 * The same document with other letters instead of those that XML 1.0 allows in names since its fifth edition alone, and libexpat does
 * not. With these the two must agree.
 */
function withOldNames(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(utf8Sequence, 'a'), 'latin1')
}

/** Of more than two bytes, and of two beyond U+00FF. */
const utf8Sequence =
  /[\u00c4-\u00df][\u0080-\u00bf]|[\u00e0-\u00ef][\u0080-\u00bf]{2}|[\u00f0-\u00f4][\u0080-\u00bf]{3}/g
const beyondLatin1 = /[^\u0020-\u00ff]/

function hasNewerName({ name, attrs, children }: Element): boolean {
  if (beyondLatin1.test(name)) return true
  for (const key of attrs.keys()) if (beyondLatin1.test(localOf(key))) return true
  return children.some(node => typeof node !== 'string' && hasNewerName(node))
}

function localOf(key: string): string {
  return key.slice(key.lastIndexOf('}') + 1)
}

const begin = `\u0001${ns.stream}\fstream\u0003`

/** These elements as the gate writes them: in one stream of its own, or each in a message. */
function writtenOf(way: Way, elements: readonly Element[]): Question[] {
  const framing = makeFraming(way.out, 'client', limitsOf(way))
  const texts = elements.map(element => framing.write({ item: 'element', element }))
  if (way.out === 'websocket')
    return elements.map((element, i) => ({
      bytes: Buffer.from(texts[i] as string),
      events: eventsOf(element),
      alone: true,
    }))
  const header = framing.write({ item: 'open', header: new Map() })
  const bytes = Buffer.from(`${header}${texts.join('')}${framing.write({ item: 'close' })}`)
  return [{ bytes, events: `${begin}${elements.map(eventsOf).join('')}\u0004`, alone: false }]
}

/** parse(serialise(t)) = t, by the reader that read t in the first place. */
function isReadBack({ from, out }: Way, bytes: Buffer, events: string): boolean {
  const { items, events: back } = pass(bytes, { name: '', from, wire: out, out }, upstreamLimits)
  if (out === 'tcp') return back.join('') === events
  const [item] = items
  return items.length === 1 && item?.item === 'element' && eventsOf(item.element) === events
}
