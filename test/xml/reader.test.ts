import t from 'tap'
import type { XmlLimits } from '../../src/xml/limits.ts'
import { XmlReader } from '../../src/xml/reader.ts'
import { damaged } from '../fuzz/damage.ts'
import { type Cut, cuts, header, limits, lines, read, seeded } from './reading.ts'

/** A name, what follows a stream's header, what is read of it. A list that ends with an error must end the reading there. */
type Case = readonly [name: string, input: string | Buffer, ...items: string[]]

const open = 'open {http://etherx.jabber.org/streams}stream jabber:client'
const bytes = (hex: string) => Buffer.from(hex, 'hex')
const malformed = 'error malformed'
const restricted = 'error restricted'
const stray = 'error text'

/** Every case whole, in sevens and byte by byte, tag by tag or in bulk, alone and with more behind it. */
function everyWay(input: string | Buffer, said: readonly string[], level: 0 | 1, some: XmlLimits, behind: string) {
  const more = said.at(-1)?.startsWith('error') || behind === '' ? [] : ['presence(id=behind)']
  for (const cut of cuts) {
    for (const stepwise of [false, true]) {
      const manner = { level, cut, stepwise, limits: some }
      t.strictSame(
        lines(read(Buffer.from(input as Buffer), manner)),
        said,
        `${cut}, ${stepwise ? 'tag by tag' : 'in bulk'}`,
      )
      if (behind === '') continue
      const longer = Buffer.concat([Buffer.from(input as Buffer), Buffer.from(behind)])
      t.strictSame(lines(read(longer, manner)), [...said, ...more], `${cut}, with ${behind} behind it`)
    }
  }
}

function inStream(title: string, cases: readonly Case[], some: XmlLimits = limits) {
  for (const [name, input, ...items] of cases) {
    t.comment(`${title}: ${name}`)
    const whole = Buffer.concat([Buffer.from(header), Buffer.from(input as Buffer)])
    everyWay(whole, [open, ...items], 1, some, `<presence id='behind'/>`)
  }
}

/** Whole documents from their first byte; nothing may stand behind them, so nothing is put there. */
function fromTheStart(level: 0 | 1, cases: readonly Case[], some: XmlLimits = limits) {
  for (const [name, input, ...items] of cases) {
    t.comment(`from the start, level ${level}: ${name}`)
    everyWay(input, items, level, some, '')
  }
}

inStream('what is read', [
  ['an empty element', '<presence/>', 'presence'],
  ['start and end tag', '<presence></presence>', 'presence'],
  ['both quotes', `<a b='"' c="'"/>`, `a(b=" c=')`],
  ['two in a row', '<presence/><iq/>', 'presence', 'iq'],
  ['more bytes than characters', `<a b='é'>€😀</a>`, 'a(b=é)["€😀"]'],
  ['the five entities', '<a>&amp;&lt;&gt;&quot;&apos;</a>', `a["&<>\\"'"]`],
  ['references to characters', `<a b='&#9;&#xA;&#xD;'>&#65;&#x1F600;</a>`, 'a(b=\t\n\r)["A😀"]'],
  ['line ends', '<a>1\r\n2\r3\n4\r\n</a>', 'a["1\\n2\\n3\\n4\\n"]'],
  ['line ends and tabs in an attribute', "<a b='1\r\n2\r3\n4\t5'/>", 'a(b=1 2 3 4 5)'],
  ['white space in tags', "<a \r\n b = '1'\t></a \r\n>", 'a(b=1)'],
  ['a CDATA section', '<a>x<![CDATA[<&]] >]]]>y</a>', 'a["x<&]] >]y"]'],
  ['an empty CDATA section', '<a><![CDATA[]]></a>', 'a[""]'],
  ['C1 controls, NEL and LS as text', '<a>\u0080\u0085\u2028</a>', 'a["\u0080\u0085\u2028"]'],
  ['U+FEFF inside is a character', '<a>\ufeff</a>', 'a["\ufeff"]'],
  ['another default namespace', "<a xmlns='urn:x'><b/></a>", '{urn:x}a[{urn:x}b]'],
  ['no namespace', "<a xmlns=''/>", '{}a'],
  ['a prefixed element', "<p:a xmlns:p='urn:p'><p:b/><c/></p:a>", 'p: {urn:p}a[{urn:p}bc]'],
  ['a prefix rebound', "<p:a xmlns:p='urn:p'><p:b xmlns:p='urn:q'/></p:a>", 'p: {urn:p}a[{urn:q}b]'],
  ['a prefix of the header', '<stream:error/>', 'stream: {http://etherx.jabber.org/streams}error'],
  ['prefixed attributes', "<a xmlns:p='u}v' p:b='1' b='2' xml:lang='en'/>", 'a({u}v}b=1 b=2 xml:lang=en)'],
  ['xml declared as itself', "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>", 'a'],
  [
    'names out of Object.prototype',
    "<__proto__ constructor='1' __proto__='2'/>",
    '__proto__(constructor=1 __proto__=2)',
  ],
  [
    'prefixes out of Object.prototype',
    "<constructor:a xmlns:constructor='u' xmlns:__proto__='v' __proto__:b='1'/>",
    'constructor: {u}a({v}b=1)',
  ],
  ['white space between', ' <a/>\r\n\t<b/>', 'whitespace', 'a', 'whitespace', 'b'],
  ['white space inside', '<a> <b/>\r\n</a>', 'a[" "b"\\n"]'],
  ['white space alone inside', '<a>\r\r</a>', 'a["\\n\\n"]'],
  ['references with leading zeros', `<a>&#x10FFFD;&#00000065;&#x${'0'.repeat(1_000)}41;</a>`, 'a["\u{10fffd}AA"]'],
])

inStream('what is not well-formed', [
  ['a wrong end tag', '<a></b>', malformed],
  ['a wrong end tag after a good element', '<a/><b></c>', 'a', malformed],
  ['a wrong end tag inside', '<a><b></a>', malformed],
  ['the same name by another prefix', "<p:a xmlns:p='u' xmlns:q='u'></q:a>", malformed],
  ['an end tag of nothing', '</a>', malformed],
  ['the root ended by another name', '<a/></stream>', 'a', malformed],
  ['an attribute twice', "<a b='1' b='2'/>", malformed],
  ['an expanded name twice', "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>", malformed],
  ['an attribute without a value', '<a b/>', malformed],
  ['an attribute without quotes', '<a b=1/>', malformed],
  ['attributes without space', "<a b='1'c='2'/>", malformed],
  ['< in an attribute', "<a b='<'/>", malformed],
  ['an unbound prefix', '<p:a/>', malformed],
  ['an unbound prefix of an attribute', "<a p:b='1'/>", malformed],
  ['a prefix unbound again', "<a xmlns:p=''/>", malformed],
  ['xml bound to something else', "<a xmlns:xml='u'/>", malformed],
  ['xmlns bound', "<a xmlns:xmlns='u'/>", malformed],
  ['another prefix for xml', "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", malformed],
  ['xmlns as a prefix', '<xmlns:a/>', malformed],
  ['two colons', '<a:b:c/>', malformed],
  ['a colon in front', '<:a/>', malformed],
  [']]> in text', '<a>]]></a>', malformed],
  ['NUL', '<a>\0</a>', malformed],
  ['a control character', "<a b='\u0001'/>", malformed],
  ['U+FFFE', '<a>\ufffe</a>', malformed],
  ['a reference to NUL', '<a>&#0;</a>', malformed],
  ['a reference to a surrogate', '<a>&#xD83D;&#xDE00;</a>', malformed],
  ['a reference beyond Unicode', '<a>&#x110000;</a>', malformed],
  ['a number of twenty digits', '<a>&#99999999999999999999;</a>', malformed],
  ['a number of a thousand digits', `<a b='&#x${'9'.repeat(1_000)};'/>`, malformed],
  ['a number of many zeros and digits', `<a>&#${'0'.repeat(40)}99999999;</a>`, malformed],
  ['NUL by a thousand zeros', `<a>&#${'0'.repeat(1_000)};</a>`, malformed],
  ['a number behind a thousand zeros', `<a>&#x${'0'.repeat(1_000)}110000;</a>`, malformed],
  ['digits behind a thousand zeros', `<a>&#${'0'.repeat(1_000)}99999999999`, malformed],
  ['a hexadecimal number behind a zero', '<a>&#00x41;</a>', malformed],
  ['an empty reference', '<a>&;</a>', malformed],
  ['a space after <', '< a/>', malformed],
  ['a slash in a tag', "<a / b='1'>", malformed],
  ['a bare & at once', '<a>a & b', malformed],
  ['a bare & with stanzas and a ; behind it', '<a>a & b</a><presence/>;', malformed],
  ['a bare & in an attribute', "<a b='1&2'/><a b=';'/>", malformed],
  ['<! and something else', '<!ELEMENT', malformed],
])

inStream('what XMPP does not have', [
  ['a comment, at the -- of its end', '<a><!-- x --', restricted],
  ['a comment that ends', '<a><!-- x --></a>', restricted],
  ['a comment between', '<a/><!---->', 'a', restricted],
  ['a processing instruction', '<a><?x y?></a>', restricted],
  ['an XML declaration later', '<a/><?xml version="1.0"?>', 'a', restricted],
  ['a DOCTYPE later, at its first word', '<!DOCTYPE', restricted],
  ['an undefined entity', '<a>&nbsp;</a>', restricted],
  ['an entity out of Object.prototype', '<a>&valueOf;</a>', restricted],
  ['a long undefined entity, before its end', '<a>&constructor', restricted],
  ['text', 'x', stray],
  ['text after white space', '<a/> \n x', 'a', stray],
  ['text before a tag', 'x<a/>', stray],
  ['a space as a reference', '&#32;', stray],
  ['CDATA', '<![CDATA[ ]]>', stray],
  ['a control character', '\u0001', stray],
  ['U+00A0', '\u00a0<a/>', stray],
  [']]>', ']]>', stray],
])

inStream('classes A to K of disagreement with libexpat', [
  ['A a space behind a namespace', "<presence xmlns='jabber:client '/>", malformed],
  ['A a space before it', "<presence xmlns=' jabber:client'/>", malformed],
  ['A a space by reference', "<presence xmlns='jabber:client&#32;'/>", malformed],
  ['A U+00A0', "<presence xmlns='jabber:client\u00a0'/>", malformed],
  ['A U+FEFF', "<presence xmlns='\ufeffjabber:client'/>", malformed],
  ['A U+2028', "<presence xmlns='jabber:client\u2028'/>", malformed],
  ['A U+3000', "<presence xmlns='jabber:client\u3000'/>", malformed],
  ['A a space is not no namespace', "<presence xmlns=' '/>", malformed],
  ['A a prefix', "<a xmlns:p='u '/>", malformed],
  ['A xml itself', "<a xmlns:xml=' http://www.w3.org/XML/1998/namespace'/>", malformed],
  ['B the end comes before the mismatch', '<presence></foo>', malformed],
  ['B a mismatch that would pop the stack', '<presence><a><b></presence>', malformed],
  ['C no name after the colon', "<a:1b xmlns:a='u'/>", malformed],
  ['C no attribute name after the colon', "<a xmlns:a='u' a:-b='1'/>", malformed],
  ['D a name beyond the fourth edition', '<𐀀/>', malformed],
  ['D an attribute beyond the fourth edition', "<a ſ='1'/>", malformed],
  ['D a name that is not ASCII', '<é/>', malformed],
  ['F a line feed in a namespace', "<a xmlns='a&#10;b'/>", malformed],
  ['F a NEL in a namespace', "<a xmlns='a\u0085b'/>", malformed],
  ['H an entity without an end', '<a>&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', restricted],
  ['H zeros with an end', '<a>&#x000000000041;</a>', 'a["A"]'],
  ['J the namespace of xml:lang', '<xml:presence/>', malformed],
  ['K a surrogate in UTF-8', bytes('3c613eeda0bd3c2f613e'), 'error encoding'],
])

fromTheStart(1, [
  ['nothing before', header, open],
  ['a declaration', `<?xml version='1.0'?>${header}`, open],
  ['a declaration and a line', `<?xml version="1.0" encoding="utf-8" standalone='yes' ?>\r\n${header}`, open],
  ['UTF-8 in capitals', `<?xml version='1.0' encoding='UTF-8'?>${header}`, open],
  ['white space before', ` \n${header}`, open],
  ['white space before a declaration', `\r\n <?xml version='1.0'?>${header}`, open],
  ['ended at once', `${header.slice(0, -1)}/>`, open, 'close'],
  ['ended', `${header}</stream:stream>`, open, 'close'],
  ['ended after white space', `${header} </stream:stream \n>`, open, 'whitespace', 'close'],
  ['white space after the end', `${header}</stream:stream>\n`, open, 'close'],
  ['a second root', `${header}</stream:stream><a/>`, open, 'close', malformed],
  ['text after the end', `${header}</stream:stream>x`, open, 'close', malformed],
  ['an end after the end', `${header}</stream:stream></stream:stream>`, open, 'close', malformed],
  ['no default namespace', "<s:stream xmlns:s='u'>", 'open {u}stream without default'],
  ['no namespace at all', "<stream to='x'>", 'open {}stream(to=x) without default'],
  ['two declarations', `<?xml version='1.0'?><?xml version='1.0'?>${header}`, restricted],
  ['E XML 1.1', `<?xml version='1.1'?>${header}`, restricted],
  ['E XML 1.2', `<?xml version='1.2'?>${header}`, restricted],
  ['XML 2.0', `<?xml version='2.0'?>${header}`, malformed],
  ['no version', `<?xml encoding='UTF-8'?>${header}`, malformed],
  ['an empty declaration', `<?xml?>${header}`, malformed],
  ['G UTF-16 declared', `<?xml version='1.0' encoding='UTF-16'?>${header}`, 'error encoding'],
  ['G Latin-1 declared', `<?xml version='1.0' encoding='ISO-8859-1'?>${header}`, 'error encoding'],
  ['G an unknown encoding', `<?xml version='1.0' encoding='x'?>${header}`, 'error encoding'],
  ['standalone no', `<?xml version='1.0' standalone='no'?>${header}`, restricted],
  ['a DOCTYPE, at its <!', '<!', restricted],
  ['a DOCTYPE after a declaration and a line', `<?xml version='1.0'?>\n<!D`, restricted],
  ['a DOCTYPE after text', '>x<!DOCTYPE a>', malformed],
  ['the first of two offences', `<?xml version='1.0' encoding='x'?><!DOCTYPE a>`, 'error encoding'],
  ['< in the header before a !', "<stream a='<!'>", malformed],
  ['a comment', `<!-- -->${header}`, restricted],
  ['a processing instruction', `<?x?>${header}`, restricted],
  ['text', `x${header}`, malformed],
  ['I a BOM', `\ufeff${header}`, malformed],
  ['I two BOMs', `\ufeff\ufeff${header}`, malformed],
  ['I a BOM before a DOCTYPE', '\ufeff<!DOCTYPE', malformed],
  ['I a BOM after a space', ` \ufeff${header}`, malformed],
  ['UTF-16, little end first', Buffer.from(header, 'utf16le'), malformed],
  ['UTF-16 with a BOM', Buffer.concat([bytes('fffe'), Buffer.from(header, 'utf16le')]), 'error encoding'],
  ['TLS where a header should be', bytes('16030100a5010000'), malformed],
])

fromTheStart(0, [
  ['one element', '<presence xmlns="jabber:client"><show/></presence>', 'presence[show]'],
  ['after a declaration and a line', `<?xml version='1.0'?>\n<a xmlns='jabber:client'/>`, 'a'],
  ['white space around it', ` <a xmlns='jabber:client'/>\r\n\r`, 'a'],
  ['two elements', "<a xmlns='jabber:client'/><b/>", 'a', malformed],
  ['two elements apart', "<a xmlns='jabber:client'/> <b/>", 'a', malformed],
  ['text behind it', "<a xmlns='jabber:client'/>x", 'a', malformed],
  ['text before it', '>x<a/>', malformed],
  ['an end tag behind it', "<a xmlns='jabber:client'/></a>", 'a', malformed],
  ['unfinished', "<a xmlns='jabber:client'><b/>", malformed],
  ['unfinished in a tag', '<a', malformed],
  ['unfinished in a character', bytes('3c613ee282'), 'error encoding'],
  ['nothing', '', malformed],
  ['white space', ' \r', malformed],
  ['a DOCTYPE', '<!DOCTYPE a><a/>', restricted],
  ['a comment behind it', "<a xmlns='jabber:client'/><!---->", 'a', restricted],
  ['no namespace', '<a/>', '{}a'],
])

inStream('bytes that are no UTF-8', [
  ['an overlong <', bytes('3c613ec0bc3c2f613e'), 'error encoding'],
  ['Latin-1', bytes('3c613ee93c2f613e'), 'error encoding'],
  ['an element in front of it counts', bytes('3c612f3e3c623eff'), 'a', 'error encoding'],
  ['one continuation too many', bytes('3c613ee282ac803c2f613e'), 'error encoding'],
  ['an offence in front of it comes first', bytes('3c61203c20ff'), malformed],
])

const tight: XmlLimits = { ...limits, bytes: 40, elements: 3, depth: 2, attributes: 2 }
const name = (length: number) => 'n'.repeat(length)
inStream(
  'limits',
  [
    ['the attributes', "<a b='' xmlns:p='p'/>", 'a(b=)'],
    ['an attribute more', "<a b='' xmlns:p='p' c=''/>", 'error limit'],
    ['attributes are counted again', "<a b='' c=''><d e='' f=''/></a>", 'a(b= c=)[d(e= f=)]'],
    ['the depth', '<a><b/></a>', 'a[b]'],
    ['one deeper, at its start tag', '<a><b><c>', 'error limit'],
    ['depth is not breadth', '<a><b/><c/></a>', 'a[bc]'],
    ['an element more, at its start tag', '<a><b/><c/><d>', 'error limit'],
    ['elements are counted again', '<a><b/><c/></a><a><b/><c/></a>', 'a[bc]', 'a[bc]'],
    ['the start tag', `<a b='${'x'.repeat(91)}'/>`, `a(b=${'x'.repeat(91)})`],
    ['a start tag longer by a character', `<a b='${'x'.repeat(92)}'/>`, 'error limit'],
    ['longer by white space', `<a b='${'x'.repeat(91)}' />`, 'error limit'],
    ['an end that is not there yet', `<a b='${'x'.repeat(99)}'`, 'error limit'],
    ['zeros of a reference', `<a>&#x${'0'.repeat(1_000)}`, 'error limit'],
    ['a start tag is no element', `<a>${'x'.repeat(200)}</a>`, `a["${'x'.repeat(200)}"]`],
  ],
  { ...tight, bytes: 1000, startTag: 100 },
)
const letters = [...'abcdefghijklmnopqrstuvwxyz']
const long = `urn:${'x'.repeat(200)}`
inStream(
  'limits: namespace names as they will be written',
  [
    [
      'once for each change of namespace',
      `<a xmlns:p='${long}'><p:b><p:c/><p:d/></p:b><p:b/></a>`,
      `a[{${long}}b[{${long}}c{${long}}d]{${long}}b]`,
    ],
    ['elements', `<a xmlns:p='${long}'>${'<p:b/>'.repeat(5)}</a>`, 'error limit'],
    ['attributes', `<a xmlns:p='${long}' p:b='' p:c='' p:d='' p:e='' p:f='' p:g=''/>`, 'error limit'],
    ['attributes of elements', `<a xmlns:p='${long}'>${"<b p:b=''/>".repeat(5)}</a>`, 'error limit'],
    [
      'not what each element declares itself',
      `<a>${`<b xmlns='${long}'/>`.repeat(4)}</a>`,
      `a[${`{${long}}b`.repeat(4)}]`,
    ],
    [
      'not what each element declares itself, however short',
      `<a>${"<b xmlns='x'/>".repeat(70)}</a>`,
      `a[${'{x}b'.repeat(70)}]`,
    ],
    [
      'not what each attribute has declared for it',
      `<a>${"<b xmlns:pp='x' pp:c=''/>".repeat(38)}</a>`,
      `a[${'b({x}c=)'.repeat(38)}]`,
    ],
    [
      'attributes of one namespace, whose name is written once',
      `<a xmlns:pp='x'${letters.map(letter => ` pp:${letter}=''`).join('')}/>`,
      `a(${letters.map(letter => `{x}${letter}=`).join(' ')})`,
    ],
    [
      'counted again',
      `<a xmlns='${long}'><b/></a><a xmlns='${long}'/><a xmlns='${long}'/><a xmlns='${long}'/><a xmlns='${long}'/>`,
      ...Array.from({ length: 5 }, (_, i) => (i === 0 ? `{${long}}a[{${long}}b]` : `{${long}}a`)),
    ],
  ],
  { ...limits, bytes: 1_000 },
)
// The header itself is longer than 40 bytes, so it gets a shorter one of its own.
fromTheStart(
  1,
  [
    ['the bytes', `<s><a>${'x'.repeat(33)}</a>`, 'open {}s without default', `{}a["${'x'.repeat(33)}"]`],
    ['a byte more', `<s><a>${'x'.repeat(34)}</a>`, 'open {}s without default', 'error limit'],
    ['bytes, not characters', `<s><a>${'€'.repeat(11)}</a>`, 'open {}s without default', `{}a["${'€'.repeat(11)}"]`],
    ['a character of three bytes more', `<s><a>${'€'.repeat(12)}</a>`, 'open {}s without default', 'error limit'],
    ['at the byte, not at the end', `<s><a>${'x'.repeat(38)}`, 'open {}s without default', 'error limit'],
    [
      'counted again',
      `<s>${`<a>${'x'.repeat(33)}</a>`.repeat(2)}`,
      'open {}s without default',
      ...Array(2).fill(`{}a["${'x'.repeat(33)}"]`),
    ],
    ['white space between is free', `<s>${' '.repeat(99)}<a/>`, 'open {}s without default', 'whitespace', '{}a'],
    [
      'but for a limit of its own',
      `<s>${' '.repeat(100)}<a/>${' '.repeat(100)}<a/>${' '.repeat(101)}`,
      'open {}s without default',
      'whitespace',
      '{}a',
      'whitespace',
      '{}a',
      'whitespace',
      'error limit',
    ],
    ['white space inside is not', `<s><a>${' '.repeat(38)}`, 'open {}s without default', 'error limit'],
    ['the first of two offences: size', `<s><a>${'x'.repeat(40)}<!---->`, 'open {}s without default', 'error limit'],
    ['the first of two offences: a comment', `<s><a><!---->${'x'.repeat(40)}`, 'open {}s without default', restricted],
    ['the first of two offences: a bare &', `<s><a>& ${'x'.repeat(40)}`, 'open {}s without default', malformed],
    ['a mismatch at the limit', `<s><a>${'x'.repeat(33)}</b>`, 'open {}s without default', malformed],
    ['a header too long', `<s a='${'x'.repeat(40)}'>`, 'error limit'],
    [
      'white space after the end is counted',
      `<s></s>${' '.repeat(60)}`,
      'open {}s without default',
      'close',
      'error limit',
    ],
  ],
  { ...tight, blank: 100 },
)
const big = { ...limits, bytes: 1_000_000 }
fromTheStart(
  1,
  [
    ['the longest name', `<s><${name(256)}/>`, 'open {}s without default', `{}${name(256)}`],
    ['a longer name', `<s><${name(257)}/>`, 'open {}s without default', 'error limit'],
    ['the longest attribute name', `<s><a ${name(256)}=''/>`, 'open {}s without default', `{}a(${name(256)}=)`],
    ['a longer attribute name', `<s><a ${name(257)}=''/>`, 'open {}s without default', 'error limit'],
    ['the longest header', `<s a='${'x'.repeat(9992)}'>`, `open {}s(a=${'x'.repeat(9992)}) without default`],
    ['a longer header', `<s a='${'x'.repeat(9993)}'>`, 'error limit'],
    ['a header without an end', `<?xml version='1.0'?>${' '.repeat(10_000)}`, 'error limit'],
  ],
  big,
)

t.test('what waits for more says nothing and grows no further than the limit', t => {
  const waiting = [
    '<a',
    '<a b',
    "<a b='",
    '<a>x',
    '<a><!-- x',
    '<a>&am',
    '<a><![CDATA[x]]',
    '</stream:strea',
    '<a/',
    '<',
  ]
  for (const start of waiting) {
    for (const cut of cuts) {
      const said = lines(read(Buffer.from(header + start), { level: 1, cut }))
      t.strictSame(said.slice(1), [], `${start} ${cut}`)
    }
    const endless = Buffer.from(`${header}${start}${'-'.repeat(limits.bytes)}`)
    const last = lines(read(endless, { level: 1, cut: 'whole' })).at(-1)
    t.match(last, /^error (limit|malformed|restricted)$/, `${start} does not go on`)
  }
  t.end()
})

t.test('depth is refused at the first tag too many, before the look-ups that saxes makes at each depth', t => {
  const nested = Buffer.from(header + '<a>'.repeat(3334))
  for (const cut of cuts) {
    const reader = new XmlReader({ level: 1, limits })
    const pushed: string[] = []
    const size = cut === 'whole' ? nested.length : cut === 'in sevens' ? 7 : 1
    for (let at = 0; at < nested.length && !pushed.includes('error'); at += size) {
      reader.push(nested.subarray(at, at + size))
      for (let item = reader.next(); item !== undefined; item = reader.next()) pushed.push(item.xml)
      if (pushed.includes('error'))
        t.ok(cut === 'whole' || at < header.length + 3 * (limits.depth + 1) + size, `${cut}: refused at byte ${at}`)
    }
    t.strictSame(pushed, ['open', 'error'], cut)
  }
  t.end()
})

t.test('white space between elements is read and forgotten', t => {
  const reader = new XmlReader({ level: 1, limits: tight })
  reader.push(Buffer.from("<s><a xmlns='u'/>"))
  const read = () => {
    const all: string[] = []
    for (let item = reader.next(); item !== undefined; item = reader.next()) all.push(item.xml)
    return all
  }
  t.strictSame(read(), ['open', 'element'])
  const megabyte = Buffer.alloc(1_048_576, ' \r\n\t')
  for (let count = 0; count < 8; count++) {
    reader.push(megabyte)
    t.strictSame(read(), ['whitespace'], 'one item for one read, said at once')
    t.equal(reader.takeRest().length, 0, 'nothing is kept')
  }
  reader.push(Buffer.from('<b/>'))
  t.strictSame(read(), ['element'], 'and none of it counts as size')
  t.end()
})

t.test('a mismatched end tag commits nothing, wherever the bytes are cut', t => {
  const text = Buffer.from(`${header}<presence id='1'/><presence><a/></presence-><iq/>`)
  for (let cut = 0; cut <= text.length; cut++) {
    const reader = new XmlReader({ level: 1, limits })
    const all = []
    for (const part of [text.subarray(0, cut), text.subarray(cut)]) {
      reader.push(part)
      for (let item = reader.next(); item !== undefined; item = reader.next()) all.push(item)
    }
    t.strictSame(lines(all), [open, 'presence(id=1)', malformed], `cut at ${cut}`)
  }
  t.end()
})

t.test('nothing is read after the first error', t => {
  const reader = new XmlReader({ level: 1, limits })
  reader.push(Buffer.from(`${header}x`))
  t.equal(reader.next()?.xml, 'open')
  t.equal(reader.next()?.xml, 'error')
  reader.push(Buffer.from('<a/>'))
  t.equal(reader.next(), undefined)
  reader.finish()
  t.equal(reader.next(), undefined, 'nor at the end')
  t.end()
})

t.test('what the peer wrote is not said back in the error', t => {
  for (const text of ['<secret:a/>', "<a secret:b=''/>", '<secret:a:b/>', "<a secret='' secret=''/>"]) {
    const [, error] = read(Buffer.from(header + text), { level: 1, cut: 'whole' })
    t.equal(error?.xml, 'error')
    t.notMatch(error, { text: /secret/ }, text)
  }
  t.end()
})

t.test('the rest is what was pushed and not read, byte for byte', t => {
  const random = seeded(5)
  for (let count = 0; count < 200; count++) {
    const hello = Buffer.from(Array.from({ length: random(40) }, () => random(256)))
    for (const first of [`${header}<starttls/>`, `${header}<starttls a='>'/>`]) {
      const reader = new XmlReader({ level: 1, limits })
      reader.stepwise = true
      reader.push(Buffer.concat([Buffer.from(first), hello]))
      t.strictSame([reader.next()?.xml, reader.next()?.xml], ['open', 'element'])
      const rest = reader.takeRest()
      if (!rest.equals(hello)) t.strictSame(rest, hello)
      t.equal(reader.next(), undefined)
    }
  }
  t.end()
})

t.test('the same is read however the bytes are cut', t => {
  const manners = [
    ['in sevens', false],
    ['byte by byte', false],
    ['whole', true],
    ['byte by byte', true],
  ] as const satisfies readonly (readonly [Cut, boolean])[]
  const fronts = [header, header, header, '', `<?xml version='1.0'?>\n${header}`, '<!', `${header}<presence/> `]
  const random = seeded(601)
  let differing = 0
  for (let count = 0; count < 3000 && differing < 5; count++) {
    const bytes = Buffer.concat([Buffer.from(fronts[random(fronts.length)] as string), damaged(random)])
    const some = {
      ...limits,
      bytes: count % 2 === 0 ? 100_000 : 90 + random(200),
      elements: 5,
      depth: 3,
      attributes: 4,
      startTag: 60 + random(60),
    }
    const level = count % 5 === 0 ? 0 : 1
    const whole = lines(read(bytes, { level, cut: 'whole', limits: some }))
    for (const [cut, stepwise] of manners) {
      const other = lines(read(bytes, { level, cut, stepwise, limits: some }))
      if (JSON.stringify(whole) === JSON.stringify(other)) continue
      differing++
      t.strictSame(other, whole, `${cut} ${stepwise}: ${JSON.stringify(bytes.toString('latin1'))}`)
    }
  }
  t.equal(differing, 0)
  t.end()
})
