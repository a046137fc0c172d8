/** What canonical.ts accepts, what it leaves to the reader, and that both read the same. */
import t from 'tap'
import { clientLimits } from '../../src/stream/limits.ts'
import {
  foundElement,
  incomplete,
  isPlainNamespace,
  notPlain,
  type Surroundings,
  scanElement,
} from '../../src/xml/canonical.ts'
import { type Element, element, withAttrs, withChildren } from '../../src/xml/element.ts'
import type { XmlLimits } from '../../src/xml/limits.ts'
import { scanHeader } from '../../src/xml/plain-header.ts'
import { plainDocument, XmlReader } from '../../src/xml/reader.ts'
import { plainElement, SourceElement } from '../../src/xml/source-element.ts'
import { write } from '../../src/xml/writer.ts'
import { nearlyPlain } from '../fuzz/damage.ts'
import { hostile as hostileDocuments, streamHeader } from '../fuzz/documents.ts'
import { passSlowly } from '../fuzz/fast-path.ts'
import { elementsOf, limitsOf, pass, tightLimits } from '../fuzz/passage.ts'
import { randomOf } from '../fuzz/random.ts'
import { type Way, ways } from '../fuzz/ways.ts'

const stream: Surroundings = { content: 'jabber:client', root: 'http://etherx.jabber.org/streams', prefix: 'stream' }
const alone: Surroundings = { content: undefined, root: stream.root, prefix: undefined }

function scan(text: string, limits: XmlLimits = clientLimits, surroundings = stream) {
  const end = scanElement(text, 0, surroundings, limits)
  return end === notPlain ? 'not plain' : end === incomplete ? 'incomplete' : end
}

/** Text, and its reading as the writer spells it, `undefined` if it is the text itself between double quotes. */
const accepted: readonly (readonly [name: string, text: string, spelled?: string])[] = [
  ['nothing in it', '<a/>'],
  ['an end tag behind nothing', '<a></a>', '<a/>'],
  ['a space before the end', '<a />', '<a/>'],
  ['spaces around attributes', `<a  b="1"   c='2'  >x</a>`, '<a b="1" c="2">x</a>'],
  ['every character of a name', '<_aZ.-9 _bY.-8="">x</_aZ.-9>'],
  ['a name that begins with xml', '<xml xmla=""/>'],
  ['text', '<a>x\ty\nz</a>'],
  ['references', '<a>&lt;&gt;&amp;&quot;&apos;</a>', `<a>&lt;>&amp;"'</a>`],
  ['a > and a ]', '<a>-> ]] x]</a>'],
  ['a ] before an end tag', '<a>]</a>'],
  ['characters beyond ASCII', '<a b="é\u0080\ufffd\u{10ffff}">é\u0080\ufffd😀\ufeff\u007f</a>'],
  ['the other quote', `<a c="'"/>`],
  ['a > in a value', `<a b='>' c="]]>"/>`],
  ['references in a value below', `<a><b c='&lt;&amp;&gt;&quot;&apos;'/></a>`, `<a><b c="&lt;&amp;>&#34;'"/></a>`],
  ['xml:lang', '<a xml:lang="en"><b xml:lang=""/></a>'],
  ['its own namespace', '<a xmlns="urn:x" b="1">x</a>'],
  ['the namespace of the stream', `<a xmlns='jabber:client'/>`, '<a/>'],
  ['... behind others', `<a b='1'  xmlns='jabber:client' c='2'/>`, '<a b="1" c="2"/>'],
  ['a namespace below', '<a><b xmlns="urn:x"><c/></b><d/></a>'],
  ['the first namespace again below', '<a><b xmlns="urn:x"><c xmlns="jabber:client"/></b></a>'],
  ['elements of one name within each other', '<a><a><a/></a><a>x</a></a>'],
  ['text between elements', '<a>x<b/>y<c>z</c> </a>'],
  ['a namespace of every kind of character', `<a xmlns="!#$%()*+,-./09:;=>?@AZ[]^_az{|}~"/>`],
  ['what looks like a stream', '<stream/>'],
  ['16 attributes', `<a${Array.from({ length: 16 }, (_, n) => ` b${n}="${n}"`).join('')}/>`],
  ['32 levels', `${'<a>'.repeat(31)}<a/>${'</a>'.repeat(31)}`],
]

t.test('accepted: the end, the attributes, the children, the spelling', async t => {
  for (const [name, text, spelled = text] of accepted) {
    t.equal(scan(text), text.length, name)
    t.equal(scan(`${text}<b/>`), text.length, `${name}, with something behind it`)
    const found = foundElement()
    t.ok(found instanceof SourceElement, name)
    // A plain element: the writer spells it from its attributes and children.
    const plain = withChildren(plainElement(found), found.children)
    t.equal(doubled(write(plain, { content: 'jabber:client' })), doubled(spelled), `${name}: what it holds`)
    for (let end = 0; end < text.length; end++) {
      const cut = scan(text.slice(0, end))
      t.ok(cut === 'incomplete' || cut === 'not plain', `${name}, cut at ${end}: ${cut}`)
    }
  }
})

/** What is cut within a reference or `xml:lang` goes to the reader; all else waits. */
t.test('cut: kept until the rest comes', async t => {
  const text = `<message to='a@b' id="1"><body>x y</body><active xmlns='urn:x' /></message>`
  for (let end = 1; end < text.length; end++) t.equal(scan(text.slice(0, end)), 'incomplete', text.slice(0, end))
  for (const cut of ['<a>&am', '<a xml:la', '<a><b c="&l']) t.equal(scan(cut), 'not plain', cut)
  for (const cut of ['<a></b', '<abc></abd', '<ab></a>', '<a>]>', '<a><!', '<a b=1', '<a b=""c'])
    t.equal(scan(cut), 'not plain', cut)
})

t.test('an element that comes in pieces is looked at eight times, then parsed as it comes', async t => {
  for (const [reads, kept] of [
    [1, '<message'],
    [7, '<messagexxxxxx'],
    [8, ''],
  ] as const) {
    const reader = new XmlReader({ level: 1, limits: clientLimits })
    const read = (text: string) => {
      reader.push(Buffer.from(text))
      return reader.next()
    }
    t.equal(read(streamHeader)?.xml, 'open')
    // The element before it, which was looked at four times, does not count.
    for (const piece of ['<a', ' ', '/']) t.equal(read(piece), undefined)
    t.equal(read('><message')?.xml, 'element')
    for (let more = 1; more < reads; more++) read('x')
    t.equal(reader.pending, `<message${'x'.repeat(reads - 1)}`.length)
    t.equal(String(reader.takeRest()), kept, `after ${reads} reads`)
  }
})

const refused: readonly (readonly [name: string, text: string])[] = [
  ['nothing', ''],
  ['white space', ' <a/>'],
  ['text', 'a<b/>'],
  ['no name', '<>x</>'],
  ['an end tag', '</a>'],
  ['a name that begins with a digit', '<1a/>'],
  ['... a hyphen', '<-a/>'],
  ['... a dot', '<.a/>'],
  ['a name beyond ASCII', '<aé/>'],
  ['... from its beginning', '<é/>'],
  ['a prefix', '<p:a/>'],
  ['a prefix of an attribute', `<a p:b='1'/>`],
  ['another attribute of xml', `<a xml:space='preserve'/>`],
  ['a name that goes on behind xml:lang', `<a xml:langs='en'/>`],
  ['a declared prefix', `<a xmlns:p='u'/>`],
  ['a comment', '<a><!-- x --></a>'],
  ['a section', '<a><![CDATA[x]]></a>'],
  ['an instruction', '<a><?x?></a>'],
  ['a numeric reference', '<a>&#65;</a>'],
  ['an unknown reference', '<a>&nbsp;</a>'],
  ['a bare &', '<a>a & b</a>'],
  ['a double quote between single ones, where gloox ends the value', `<a b='"/>'/>`],
  ['... in a child', `<a><b c='"'/></a>`],
  ['a reference in the first start tag', `<a b='&amp;'/>`],
  [']]>', '<a>]]></a>'],
  [']>', '<a>]></a>'],
  ['a CR in text', '<a>\r</a>'],
  ['NUL in text', '<a>\u0000</a>'],
  ['the last control character in text', '<a>\u001f</a>'],
  ['U+FFFE in text', '<a>\ufffe</a>'],
  ['U+FFFF in text', '<a>\uffff</a>'],
  ['a tab in a value', `<a b='\t'/>`],
  ['a line feed in a value', `<a b='\n'/>`],
  ['a CR in a value', `<a b='\r'/>`],
  ['U+FFFE in a value', `<a b='\ufffe'/>`],
  ['U+FFFF in a value', `<a b='\uffff'/>`],
  ['a < in a value', `<a b='<'/>`],
  ['a < in a value below', `<a><b c='<'/></a>`],
  ['no quotes', '<a b=1/>'],
  ['no value', '<a b/>'],
  ['a space before =', `<a b ='1'/>`],
  ['a space behind =', `<a b= '1'/>`],
  ['a tab between attributes', `<a\tb='1'/>`],
  ['a line feed between attributes', `<a\nb='1'/>`],
  ['no space between attributes', `<a b='1'c='2'/>`],
  ['a space behind the slash', '<a/ >'],
  ['a space in an end tag', '<a></a >'],
  ['another end tag', '<a></b>'],
  ['a longer end tag', '<a></ab>'],
  ['a shorter end tag', '<ab></a>'],
  ['end tags in the wrong order', '<a><b><c></b></c></a>'],
  ['an attribute twice', `<a b='1' b='2'/>`],
  ['... below', `<a><c b='1' d='' b='1'/></a>`],
  ['a namespace twice', `<a xmlns='u' xmlns='u'/>`],
  ['no namespace', `<a xmlns=''/>`],
  ['... below', `<a><b xmlns=''/></a>`],
  ['a space in a namespace', `<a xmlns='u '/>`],
  ['a namespace beyond ASCII', `<a xmlns='ü'/>`],
  ['U+007F in a namespace', `<a xmlns='u\u007f'/>`],
  ['a reference in a namespace below', `<a><b xmlns='u&amp;'/></a>`],
  ['a quote in a namespace', `<a xmlns='"'/>`],
  ['... the other one', `<a xmlns="'"/>`],
  ['the namespace of xml', `<a xmlns='http://www.w3.org/XML/1998/namespace'/>`],
  ['the namespace of xmlns, below', `<a><b xmlns='http://www.w3.org/2000/xmlns/'/></a>`],
  ["the root's namespace", `<a xmlns='http://etherx.jabber.org/streams'/>`],
  ['17 attributes', `<a${Array.from({ length: 17 }, (_, n) => ` b${n}="${n}"`).join('')}/>`],
  ['33 levels', `${'<a>'.repeat(32)}<a/>${'</a>'.repeat(32)}`],
]

t.test('left to the reader', async t => {
  for (const [name, text] of refused) t.equal(scan(text), 'not plain', name)
})

t.test('limits: at each of them, and one beyond', async t => {
  const text = `<abcd ef='1' gh='2'><ijkl mn='1'>é</ijkl><o/></abcd>`
  const at: XmlLimits = {
    bytes: text.length,
    elements: 3,
    depth: 2,
    attributes: 2,
    nameLength: 4,
    startTag: `<abcd ef='1' gh='2'>`.length,
  }
  t.equal(scan(text, at), text.length)
  for (const [key, value] of Object.entries(at)) t.equal(scan(text, { ...at, [key]: value - 1 }), 'not plain', key)
  const tags: readonly (readonly [text: string, limits: Partial<XmlLimits>])[] = [
    [`<a bcdef='1'/>`, { nameLength: 4 }],
    [`<a><bcdef/></a>`, { nameLength: 4 }],
    [`<a><b c='1' d='1'/></a>`, { attributes: 1 }],
    [`<a><b c='1234567890'/></a>`, { startTag: 17 }],
    [`<a b='1234567890'`, { startTag: 15 }],
  ]
  for (const [tag, limits] of tags) t.equal(scan(tag, { ...clientLimits, ...limits }), 'not plain', tag)
})

t.test('on a WebSocket: the namespace is its own', async t => {
  t.equal(scan('<a/>', clientLimits, alone), 'not plain')
  t.equal(scan(`<a xmlns='jabber:client'><b/></a>`, clientLimits, alone), 33)
  const read = (text: string, limits = clientLimits) => plainDocument(Buffer.from(text), stream.root, limits)
  t.equal(read(`<a xmlns='u'>é</a>`)?.ns, 'u')
  t.equal(read(`<a xmlns='u'>é</a>`, { ...clientLimits, bytes: 19 })?.ns, 'u')
  t.equal(read(`<a xmlns='u'>é</a>`, { ...clientLimits, bytes: 18 }), undefined, 'bytes are counted, not characters')
  t.equal(read(`<a xmlns='u'/> `), undefined, 'something behind it')
  t.equal(read(`<a xmlns='u'/><b/>`), undefined, 'two of them')
  t.equal(read(`<a xmlns='${stream.root}'/>`), undefined)
  t.equal(plainDocument(Buffer.from([...Buffer.from(`<a xmlns='u'>`), 0xff]), stream.root, clientLimits), undefined)
  t.equal(plainDocument(Buffer.from([...Buffer.from(`<a xmlns='u'/>`), 0xc3]), stream.root, clientLimits), undefined)
})

t.test('the attributes of a stanza, and no others', async t => {
  const rows: readonly (readonly [text: string, expected: object])[] = [
    [`<a to='1' from='2' id='3' type='4'/>`, { to: '1', from: '2', id: '3', type: '4' }],
    [`<a xmlns='u' type=''/>`, { to: undefined, from: undefined, id: undefined, type: '' }],
    [
      `<a tp='1' ix='2' form='3' tyqe='4'><b to='1'/></a>`,
      { to: undefined, from: undefined, id: undefined, type: undefined },
    ],
  ]
  for (const [text, expected] of rows) {
    t.equal(scan(text), text.length)
    t.same((foundElement() as SourceElement).common, expected, text)
  }
})

t.test('written: its text, in each surroundings', async t => {
  const rows: readonly (readonly [text: string, tcp: string, websocket: string])[] = [
    [`<a  b='1' />`, `<a  b='1' />`, `<a xmlns="jabber:client"  b='1' />`],
    [`<a b='1'>x &lt;</a>`, `<a b='1'>x &lt;</a>`, `<a xmlns="jabber:client" b='1'>x &lt;</a>`],
    [`<a  xmlns='jabber:client' b='1'/>`, `<a b='1'/>`, `<a  xmlns='jabber:client' b='1'/>`],
    [`<a b='1' xmlns='u:x'><c/></a>`, `<a b='1' xmlns='u:x'><c/></a>`, `<a b='1' xmlns='u:x'><c/></a>`],
  ]
  for (const [text, tcp, websocket] of rows) {
    t.equal(scan(text), text.length)
    t.equal(write(foundElement(), { content: 'jabber:client' }), tcp)
    t.equal(write(foundElement(), { content: '' }), websocket)
  }
})

t.test('with other attributes: the start tag is new, the content its text', async t => {
  for (const [text, tcp, websocket] of [
    [
      `<a b='1'>x &gt;<c d='2' /></a>`,
      `<a b="3" from="j">x &gt;<c d='2' /></a>`,
      `<a xmlns="jabber:client" b="3" from="j">x &gt;<c d='2' /></a>`,
    ],
    [`<a b='1'></a>`, '<a b="3" from="j"/>', '<a xmlns="jabber:client" b="3" from="j"/>'],
  ] as const) {
    t.equal(scan(text), text.length)
    const changed = withAttrs(withAttrs(foundElement(), { b: '3' }), { from: 'j' })
    t.equal(write(changed, { content: 'jabber:client' }), tcp)
    t.equal(write(changed, { content: '' }), websocket)
    t.equal(changed.children.length, foundElement().children.length)
    t.same(plainElement(changed).children, changed.children, 'as an object of its own it has them too')
  }
  const own = element('a', 'u')
  t.equal(plainElement(own), own)
})

t.test('a namespace without white space, quotes and references', async t => {
  for (const good of ['jabber:client', 'u', 'http://www.w3.com/', '!~']) t.ok(isPlainNamespace(good), good)
  for (const bad of ['', ' u', 'u v', 'u<', 'u&', `u'`, 'u"', 'ü', 'u\n', 'http://www.w3.org/1999/xhtml'])
    t.notOk(isPlainNamespace(bad), bad)
})

t.test('with the prefix of the root', async t => {
  const rows: readonly (readonly [text: string, expected: string | undefined])[] = [
    ['<stream:features/>', '<features xmlns="http://etherx.jabber.org/streams"/>'],
    [`<stream:features b='1'>x<c/></stream:features>`, undefined],
    [`<stream:error><text xmlns='u'>y</text></stream:error>`, undefined],
  ]
  for (const [text, spelled] of rows) {
    t.equal(scan(text), text.length, text)
    const found = foundElement()
    t.equal(found.ns, stream.root)
    t.notOk(found instanceof SourceElement)
    if (spelled !== undefined) t.equal(write(found, { content: '' }), spelled)
    const bound = { content: 'jabber:client', bound: { prefix: 'stream', ns: stream.root } }
    t.equal(doubled(write(found, bound)), doubled(text))
    for (let end = 1; end < text.length; end++) t.equal(scan(text.slice(0, end)), 'incomplete', text.slice(0, end))
    t.equal(scan(text, clientLimits, alone), 'not plain', 'no root')
    t.equal(scan(text, { ...clientLimits, bytes: text.length - 1 }), 'not plain')
  }
  const child = (18 / 4) * ` xmlns=""${stream.content}`.length
  const long: XmlLimits = { ...clientLimits, bytes: ` xmlns=""${stream.root}`.length + child }
  t.equal(scan('<stream:features/>', long), 18)
  t.equal(
    scan('<stream:features/>', { ...long, bytes: long.bytes - 1 }),
    'not plain',
    'the reader counts its namespace',
  )
  const many = `<stream:a>${'<b/>'.repeat(12_000)}</stream:a>`
  t.equal(scan(many), 'not plain', 'the reader counts a namespace for each child')
  t.equal(scan('<stream:features><b/></stream:features>', clientLimits, { ...stream, content: undefined }), 39)
  t.equal((foundElement().children[0] as Element).ns, '')
  for (const text of [
    '<stream:stream/>',
    `<stream:features xmlns='u'/>`,
    '<streams:features/>',
    '<strea:features/>',
    '<xtream:features/>',
    '<stream:1/>',
    '<stream:a:b/>',
    '<stream:features></features>',
    '<stream:features></stream:feature>',
    `<stream:features b='&amp;'/>`,
    '<stream:features><stream:a/></stream:features>',
  ])
    t.equal(scan(text), 'not plain', text)
})

t.test('stream headers', async t => {
  const declared = `xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'`
  const accepted: readonly (readonly [text: string, attrs: Readonly<Record<string, string>>])[] = [
    [`<stream:stream ${declared}>`, {}],
    [`<stream:stream  to='a' ${declared}   version="1.0" >`, { to: 'a', version: '1.0' }],
    [`<?xml version='1.0'?><stream:stream ${declared} xml:lang='en'>`, { 'xml:lang': 'en' }],
    [
      `<?xml version="1.0" encoding='UTF-8' ?>\r\n\t <stream:stream ${declared} id="a'b" from='c"d'>`,
      { id: "a'b", from: 'c"d' },
    ],
    [`<stream:stream ${declared} to='a=" b>'>`, { to: 'a=" b>' }],
  ]
  for (const [text, attrs] of accepted) {
    const header = scanHeader(`${text}<a/>`, clientLimits)
    t.equal(header?.end, text.length, text)
    t.same(Object.fromEntries(header?.root.attrs ?? []), attrs)
    t.match(header, {
      content: 'jabber:client',
      prefix: 'stream',
      root: { name: 'stream', ns: stream.root, children: [] },
    })
    for (let end = 0; end < text.length; end++) t.equal(scanHeader(text.slice(0, end), clientLimits), undefined)
  }
  for (const text of [
    `<stream:stream xmlns='jabber:client'>`,
    `<stream:stream xmlns:stream='u'>`,
    '<stream:stream>',
    `<stream:stream ${declared}/>`,
    `<stream:stream ${declared} to='a' to='b'>`,
    `<stream:stream ${declared} xmlns='u'>`,
    `<stream:stream ${declared} xmlns:p='u'>`,
    `<stream:stream ${declared} stream:a='1'>`,
    `<stream:stream ${declared} a1='1'>`,
    `<stream:stream ${declared} a='&amp;'>`,
    `<stream:stream ${declared} a='<'>`,
    `<stream:stream ${declared} a='é'>`,
    `<stream:stream ${declared} a='\t'>`,
    `<stream:stream ${declared}\na='1'>`,
    `<stream:stream ${declared}to='a'>`,
    `<stream:streams ${declared}>`,
    `<s:stream ${declared}>`,
    `<stream:stream xmlns='' xmlns:stream='u'>`,
    `<stream:stream xmlns='a' xmlns:stream=''>`,
    `<stream:stream xmlns='a b' xmlns:stream='u'>`,
    `<?xml version='1.1'?><stream:stream ${declared}>`,
    `<?xml version='1.0' standalone='yes'?><stream:stream ${declared}>`,
    `<?xml version='1.0' encoding='UTF-16'?><stream:stream ${declared}>`,
    `<?xml version='1.0'?><?xml version='1.0'?><stream:stream ${declared}>`,
    `\ufeff<stream:stream ${declared}>`,
    `x<stream:stream ${declared}>`,
  ])
    t.equal(scanHeader(text, clientLimits), undefined, text)
  // A header and a document's start tag end within 10,000 units, with any limits.
  const long = (length: number) => {
    const begun = `<stream:stream ${declared} id='`
    return `${begun}${'a'.repeat(length - begun.length - 2)}'>`
  }
  const generous = { ...clientLimits, bytes: 20_000, startTag: 20_000 }
  t.equal(scanHeader(long(10_000), generous)?.end, 10_000)
  t.equal(scanHeader(long(10_001), generous), undefined)
  const document = (length: number) => `<a xmlns='u' b='${'a'.repeat(length - 19)}'/>`
  for (const [length, isTaken] of [
    [10_000, true],
    [10_001, false],
  ] as const) {
    t.equal(document(length).length, length)
    t.equal(plainDocument(Buffer.from(document(length)), stream.root, generous) !== undefined, isTaken)
  }
  const text = `<?xml version='1.0'?><stream:stream ${declared} to='a'>`
  const at: XmlLimits = {
    ...clientLimits,
    bytes: text.length,
    attributes: 3,
    nameLength: 13,
    startTag: text.length - 21,
  }
  t.equal(scanHeader(text, at)?.end, text.length)
  for (const key of ['bytes', 'attributes', 'nameLength', 'startTag'] as const)
    t.equal(scanHeader(text, { ...at, [key]: at[key] - 1 }), undefined, key)
})

t.test('a parser that is made later knows the header', async t => {
  // Also element by element: what follows a closed stream may come later.
  const said = (text: string) => {
    const cut = text.indexOf('</stream:stream>') + '</stream:stream>'.length
    const sizes = [cut < 16 ? text.length : cut, text.length]
    const size = () => sizes.shift() ?? text.length
    return pass(Buffer.from(text), ways[0] as Way, clientLimits, { size, stepwise: false }).said
  }
  const header = streamHeader
  for (const text of [
    '<a/><stream:error><!-- x -->',
    '<a/><stream:b c="&#65;"/><d/>',
    '<stream:stream>',
    '<a/> <b>&#65;</b> <c/></stream:stream>',
    '<p:a/>',
    '<a>&#65;</a>x',
    '</stream:stream>',
    '<a/></stream:stream>',
    '</stream:stream> ',
    '</stream:stream><a/>',
    '</stream:strea>',
  ])
    t.equal(said(header + text), passSlowly(Buffer.from(header + text), ways[0] as Way, clientLimits).said, text)
})

const count = 12_000

t.test('read as without it: hostile documents, and plain ones damaged in some characters', async t => {
  for (const way of ways) {
    const header = way.wire === 'tcp' ? streamHeader : ''
    const hostile = hostileDocuments.filter(() => way.wire === 'tcp').map(({ bytes }) => bytes)
    const damaged = Array.from({ length: count / ways.length }, (_, n) => {
      const random = randomOf(27, n)
      const body = nearlyPlain(random, way.wire === 'tcp' ? '' : ` xmlns='jabber:client'`)
      return Buffer.concat([Buffer.from(header), body])
    })
    let plain = 0
    const different = [...hostile, ...damaged].filter((bytes, n) => {
      const random = randomOf(28, n)
      const limits = random(4) === 0 ? tightLimits(random) : limitsOf(way)
      const cut = { size: () => 1 + random(24), stepwise: n % 2 === 0 }
      const passage = pass(bytes, way, limits)
      plain += elementsOf(passage).filter(each => each instanceof SourceElement).length
      const { said } = passSlowly(bytes, way, limits)
      return passage.said !== said || pass(bytes, way, limits, cut).said !== said
    })
    t.same(
      different.map(bytes => bytes.toString('latin1')),
      [],
      way.name,
    )
    t.ok(plain > count / ways.length / 4, `${way.name}: ${plain} of ${damaged.length} accepted`)
  }
})

function doubled(text: string): string {
  return text.replaceAll(/='([^'"]*)'/g, '="$1"')
}
