/**
 * The servers behind the gate read with libexpat. 20,000 damaged streams go through our reader; whatever it accepts, libexpat must
 * read the same way from our canonical spelling, and must not have read otherwise from the bytes as they came.
 */
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { write } from '../../src/xml/writer.ts'
import { damaged, header, read, type Shape, seeded, shape } from './reading.ts'

const documents = 20_000

/** Reads frames of a length (4 bytes, big end first) and a document; for each, a line: the elements that ended below the root. */
const python = `
import json, struct, sys
from xml.parsers import expat
data = sys.stdin.buffer.read()
out, at = [], 0
def split(name):
    ns, found, local = name.rpartition('\\x0c')
    return ns, local
def key(name):
    ns, local = split(name)
    if ns == 'http://www.w3.org/XML/1998/namespace': return 'xml:' + local
    return '{%s}%s' % (ns, local) if ns else local
while at < len(data):
    size, = struct.unpack_from('>I', data, at)
    text = data[at + 4:at + 4 + size]
    at += 4 + size
    stack, done = [], []
    def start(name, attrs):
        ns, local = split(name)
        pairs = [[key(attrs[n]), attrs[n + 1]] for n in range(0, len(attrs), 2)]
        stack.append([ns, local, pairs, []])
    def end(name):
        whole = stack.pop()
        if len(stack) == 1: done.append(whole)
        elif stack: stack[-1][3].append(whole)
    def characters(text):
        if len(stack) > 1: stack[-1][3].append(text)
    parser = expat.ParserCreate('UTF-8', '\\x0c')
    parser.buffer_text = parser.ordered_attributes = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    try: parser.Parse(text, True)
    except expat.ExpatError: pass
    out.append(json.dumps(done))
sys.stdout.write('\\n'.join(out))
`

function frame(document: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(document.length)
  return Buffer.concat([length, document])
}

/** The same order of attributes for both. */
function sorted([ns, name, attrs, children]: Shape): Shape {
  const inOrder = [...attrs].sort(([one], [two]) => (one < two ? -1 : 1))
  return [
    ns,
    name,
    inOrder,
    children.filter(child => child !== '').map(child => (typeof child === 'string' ? child : sorted(child))),
  ]
}

const around = { content: 'jabber:client', bound: { prefix: 'stream', ns: 'http://etherx.jabber.org/streams' } }
const skip =
  spawnSync('python3', ['-c', 'import pyexpat']).status === 0
    ? false
    : "libexpat is reached through python3, which isn't here"

t.test('libexpat reads nothing that we accept in another way', { skip }, t => {
  const random = seeded(301)
  const cases: { readonly bytes: Buffer; readonly accepted: readonly Shape[]; readonly text: string }[] = []
  for (let count = 0; count < documents; count++) {
    const bytes = Buffer.concat([Buffer.from(header), damaged(random)])
    const elements = read(bytes, { level: 1, cut: 'whole' }).flatMap(item =>
      item.xml === 'element' ? [item.element] : [],
    )
    if (elements.length === 0) continue
    const text = `${header}${elements.map(element => write(element, around)).join('')}</stream:stream>`
    cases.push({ bytes, accepted: elements.map(element => sorted(shape(element))), text })
  }
  t.ok(cases.length > documents / 10, `${cases.length} of ${documents} streams hold something that is accepted`)

  const input = Buffer.concat(cases.flatMap(({ bytes, text }) => [frame(Buffer.from(text)), frame(bytes)]))
  const ran = spawnSync('python3', ['-c', python], { input, maxBuffer: 1 << 28 })
  t.equal(ran.status, 0, ran.stderr.toString())
  const said = ran.stdout.toString().split('\n')
  t.equal(said.length, cases.length * 2)

  let differing = 0
  for (const [at, { bytes, accepted, text }] of cases.entries()) {
    const [canonical, raw] = [said[at * 2], said[at * 2 + 1]].map(all =>
      (JSON.parse(all ?? '[]') as Shape[]).map(sorted),
    )
    const ours = JSON.stringify(accepted)
    const isSame = ours === JSON.stringify(canonical) && ours === JSON.stringify(raw?.slice(0, accepted.length))
    if (isSame || differing++ > 5) continue
    t.strictSame({ canonical, raw }, { canonical: accepted, raw: accepted }, `${bytes.toString()} became ${text}`)
  }
  t.equal(differing, 0)
  t.end()
})
