/** XML that RFC 6120 section 11 forbids, that is none, or that two parsers read differently; and XML that only looks so. */
import {
  body,
  type Case,
  delivered,
  ends,
  extension,
  goesOn,
  good,
  maker,
  message,
  observer,
  type Step,
  tcp,
  websocket,
} from '../case.ts'

const xml = maker('xml')
const stream = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>`

/** Content of a body. */
const restricted: Readonly<Record<string, string>> = {
  'a comment': 'a<!-- smuggled -->b',
  'an empty comment': '<!---->',
  'a processing instruction': '<?php smuggled ?>',
  'a style sheet': "<?xml-stylesheet href='x'?>",
  'an XML declaration inside': "<?xml version='1.0'?>",
  'an entity of HTML': '&nbsp;',
  'an unknown entity': '&lol;',
  'an entity of one letter': '&x;',
  'an entity with a number in it': '&lol9;',
  'an entity in capitals': '&LT;',
  'a DOCTYPE inside': '<!DOCTYPE x>',
}

const malformed: Readonly<Record<string, string>> = {
  'a bare ampersand': 'a & b',
  'an ampersand at the end': 'a &',
  'an empty reference': '&;',
  'an entity without its end': '&amp b',
  'a bare less-than': 'a < b',
  'the end of a CDATA section alone': 'a ]]> b',
  'a reference to NUL': '&#0;',
  'a reference to a control character': '&#1;',
  'a hexadecimal one': '&#x1F;',
  'a reference to U+FFFE': '&#xFFFE;',
  'a reference to U+FFFF': '&#65535;',
  'a reference to a high surrogate': '&#xD800;',
  'a reference to a low surrogate': '&#xDFFF;',
  'a pair of surrogates': '&#xD83D;&#xDE00;',
  'a reference beyond Unicode': '&#x110000;',
  'an empty reference to a number': '&#;',
  'an empty hexadecimal reference': '&#x;',
  'a hexadecimal reference in capitals': '&#X41;',
  'a negative reference': '&#-1;',
  'a reference with a letter in it': '&#12a;',
  'a control character': 'a\u0001b',
  NUL: 'a\u0000b',
  'a form feed': 'a\u000cb',
  ESC: '\u001b[2J',
  'U+FFFE': 'a\ufffeb',
  'U+FFFF': 'a\uffffb',
  'an attribute without quotes': '<x xmlns=u/>',
  'an attribute without a value': '<x a/>',
  'attributes without white space between': "<x a='1'b='2'/>",
  'a less-than in an attribute': "<x a='<'/>",
  'one attribute twice': "<x a='1' a='2'/>",
  'one attribute twice by two prefixes': "<x xmlns:p='u' xmlns:q='u' p:a='1' q:a='2'/>",
  'an attribute quoted in two ways': `<x a='1"/>`,
  'an undeclared prefix': '<p:x/>',
  'an undeclared prefix of an attribute': "<x p:a='1'/>",
  'a prefix out of its scope': "<y><p:x xmlns:p='u'/></y><p:x/>",
  'a prefix undeclared': "<x xmlns:p=''/>",
  'the prefix xmlns declared': "<x xmlns:xmlns='u'/>",
  'the prefix xml for something else': "<x xmlns:xml='u'/>",
  'another prefix for xml': "<x xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
  'the namespace of xmlns': "<x xmlns='http://www.w3.org/2000/xmlns/'/>",
  'an element named xmlns': '<xmlns:x/>',
  'two colons': "<p:q:x xmlns:p='u'/>",
  'a colon first': '<:x/>',
  'a colon last': "<p: xmlns:p='u'/>",
  'a name that begins with a digit': '<1x/>',
  'a name that begins with a hyphen': '<-x/>',
  'a name that begins with a full stop': '<.x/>',
  'white space before a name': '< x/>',
  'white space in an empty tag': '<x/ >',
  'attributes in an end tag': "<x></x a='1'>",
  'two roots in a tag': '<x<y/>',
  'a CDATA section that is none': '<![cdata[x]]>',
  'a CDATA section spelled wrong': '<![CDATA x]]>',
}

/** S 2, class A to K: what saxes lets pass, and libexpat does not or reads otherwise. */
const spaces: Readonly<Record<string, string>> = {
  'a space': ' ',
  'a reference to a space': '&#32;',
  'a tab': '&#9;',
  'a line feed': '&#10;',
  'a carriage return': '&#13;',
  'U+00A0': '\u00a0',
  'U+FEFF': '\ufeff',
  'U+2028': '\u2028',
  'U+2029': '\u2029',
  'U+3000': '\u3000',
  'U+1680': '\u1680',
}

const differential: Case[] = [
  ...Object.entries(spaces).flatMap(([name, space]) => [
    xml(
      `A: a namespace with ${name} behind it`,
      `<message xmlns='jabber:client${space}' to='${observer}' id='{id}'><body>x</body></message>`,
      ends('not-well-formed'),
    ),
    xml(
      `A: a namespace with ${name} before it`,
      `<presence xmlns='${space}jabber:client' to='${observer}' id='{id}'/>`,
      ends('not-well-formed'),
    ),
    xml(`A: a namespace of ${name} alone`, extension(`<y xmlns='${space}'/>`), ends('not-well-formed')),
    xml(
      `A: a prefix for a namespace with ${name} behind it`,
      extension(`<p:y xmlns:p='urn:y${space}'/>`),
      ends('not-well-formed'),
    ),
  ]),
  xml(
    'A: the namespace of xml with white space',
    extension(`<y xmlns:xml=' http://www.w3.org/XML/1998/namespace '/>`),
    ends('not-well-formed'),
  ),
  ...['foo', 'message', 'presenc', 'Presence', 'stream:stream'].map(end =>
    xml(
      `B: a presence that ends as ${end}`,
      `<presence xmlns='jabber:client' to='${observer}' id='{id}'></${end}>`,
      ends('not-well-formed'),
    ),
  ),
  xml('B: an element that ends the stanza', message('<body>x</message>'), ends('not-well-formed')),
  xml('B: an end tag too many', [`${good()}</message>`], ends('not-well-formed'), { wires: tcp }),
  xml('B: crossing elements', message('<a><b></a></b>'), ends('not-well-formed')),
  xml('B: an end tag in another spelling', message('<a></A>'), ends('not-well-formed')),
  xml('B: an end tag with another prefix', extension("<p:a xmlns:p='u' xmlns:q='u'></q:a>"), ends('not-well-formed')),
  ...['1b', '-b', '.b', '\u00b7b', '9'].flatMap(local => [
    xml(`C: ${local} behind a colon`, extension(`<a:${local} xmlns:a='u'/>`), ends('not-well-formed')),
    xml(
      `C: an attribute ${local} behind a colon`,
      extension(`<y xmlns:a='u' a:${local}='1'/>`),
      ends('not-well-formed'),
    ),
  ]),
  ...['\u{10000}', '\u017f', '\u0ec7', '\u{1f600}', 'x\u{10400}', '\u2c00'].flatMap(name => [
    xml(`D: an element of the fifth edition, ${codes(name)}`, extension(`<${name}/>`), ends('not-well-formed')),
    xml(`D: an attribute of the fifth edition, ${codes(name)}`, extension(`<y ${name}='1'/>`), ends('not-well-formed')),
  ]),
  ...['1.1', '1.2', '2.0', '3.0', '1.', '', '1', '1.0 '].map(version =>
    xml(`E: version '${version}'`, `<?xml version='${version}'?>${stream}`, ends('restricted-xml', 'not-well-formed'), {
      wires: tcp,
      at: 'header',
    }),
  ),
  xml('E: a control character under 1.1', `<?xml version='1.1'?>${stream}<x>&#1;</x>`, ends('restricted-xml'), {
    wires: tcp,
    at: 'header',
  }),
  ...['UTF-16', 'ISO-8859-1', 'US-ASCII', 'windows-1252', 'UTF-7', 'utf8', 'x-unknown', 'EBCDIC-CP-US'].map(encoding =>
    xml(
      `G: ${encoding} is declared`,
      `<?xml version='1.0' encoding='${encoding}'?>${stream}`,
      ends('unsupported-encoding', 'restricted-xml'),
      { wires: tcp, at: 'header' },
    ),
  ),
  xml(
    'G: an encoding that is no name',
    `<?xml version='1.0' encoding='-'?>${stream}`,
    ends('unsupported-encoding', 'not-well-formed', 'restricted-xml'),
    { wires: tcp, at: 'header' },
  ),
  xml('H: a bare ampersand and no semicolon', [message('<body>a & b')], ends('not-well-formed')),
  xml(
    'H: an entity without an end',
    [`<message xmlns='jabber:client' to='${observer}' id='{id}'><body>&${'a'.repeat(40)}`],
    ends('restricted-xml', 'not-well-formed'),
  ),
  xml(
    'H: a number without an end',
    [`<message xmlns='jabber:client' to='${observer}' id='{id}'><body>&#${'1'.repeat(40)}`],
    ends('not-well-formed'),
  ),
  xml('H: zeros that make no character', body(`&#${'0'.repeat(100)};`), ends('not-well-formed')),
  xml('H: a number of twenty digits', body(`&#${'9'.repeat(20)};`), ends('not-well-formed')),
  xml('H: a hexadecimal number of twenty digits', body(`&#x${'f'.repeat(20)};`), ends('not-well-formed')),
  xml(
    'H: a bare ampersand, then a good stanza',
    `<message xmlns='jabber:client' to='${observer}' id='{id}'><body>a & b</body></message><message xmlns='jabber:client' to='${observer}' id='{id}'><body>;</body></message>`,
    ends('not-well-formed'),
    { wires: tcp },
  ),
  xml('I: a byte order mark', `\ufeff${stream}`, ends('not-well-formed'), { wires: tcp, at: 'header' }),
  xml('I: two byte order marks', `\ufeff\ufeff${stream}`, ends('not-well-formed'), { wires: tcp, at: 'header' }),
  xml('I: one between stanzas', [`${good()}\ufeff${body('x')}`], ends('bad-format', 'not-well-formed'), { wires: tcp }),
  xml('J: an element of the namespace of xml', extension('<xml:y/>'), ends('not-well-formed')),
  xml('J: a presence of the namespace of xml', `<xml:presence to='${observer}' id='{id}'/>`, ends('not-well-formed')),
  xml('F: a line break within a namespace', extension("<y xmlns='a&#10;b'/>"), ends('not-well-formed')),
  xml(
    'F: a line break within a prefixed one',
    extension("<p:y xmlns:p='jabber:client&#10;presence'/>"),
    ends('not-well-formed'),
  ),
  xml('F: a control character within a namespace', extension("<y xmlns='a&#x85;b'/>"), ends('not-well-formed')),
]

function codes(name: string): string {
  return [...name].map(character => `U+${character.codePointAt(0)?.toString(16).padStart(4, '0')}`).join(' ')
}

/** Between the stanzas of a TCP stream, behind a good one. */
const between: Case[] = [
  ['a comment', '<!-- smuggled -->', ends('restricted-xml')],
  ['a processing instruction', '<?x y?>', ends('restricted-xml')],
  ['a DOCTYPE', '<!DOCTYPE x>', ends('restricted-xml')],
  ['a DOCTYPE with entities', "<!DOCTYPE x [<!ENTITY a 'b'>]>", ends('restricted-xml')],
  ['a DOCTYPE without an end', '<!DOCTYPE', ends('restricted-xml')],
  ['an entity declaration', "<!ENTITY a 'b'>", ends('restricted-xml', 'not-well-formed')],
  ['an element declaration', '<!ELEMENT a ANY>', ends('restricted-xml', 'not-well-formed')],
  ['an XML declaration', "<?xml version='1.0'?>", ends('restricted-xml')],
  ['text', 'smuggled', ends('bad-format')],
  ['a CDATA section', '<![CDATA[smuggled]]>', ends('bad-format')],
  ['an empty CDATA section', '<![CDATA[]]>', ends('bad-format')],
  ['an entity', '&amp;', ends('bad-format')],
  ['a reference to a space', '&#32;', ends('bad-format')],
  ['a no-break space', '\u00a0', ends('bad-format')],
  ['a control character', '\u0008', ends('bad-format', 'not-well-formed')],
  ['a bare ampersand', '&', ends('not-well-formed', 'bad-format')],
].map(([name, content, expect]) =>
  xml(`${name} between stanzas`, `${good()}${content}${body('smuggled')}`, expect as Case['expect'], { wires: tcp }),
)

const beforeHeader: Case[] = [
  ['a comment', '<!-- x -->', ends('restricted-xml')],
  ['a processing instruction', '<?x y?>', ends('restricted-xml')],
  ['a DOCTYPE', '<!DOCTYPE stream:stream>', ends('restricted-xml')],
  ['a DOCTYPE with entities', "<!DOCTYPE x [<!ENTITY a 'b'><!ENTITY c '&a;&a;'>]>", ends('restricted-xml')],
  ['a DOCTYPE from elsewhere', "<!DOCTYPE x SYSTEM 'file:///etc/passwd'>", ends('restricted-xml')],
  ['a DOCTYPE behind the declaration', "<?xml version='1.0'?><!DOCTYPE x>", ends('restricted-xml')],
  ['two declarations', "<?xml version='1.0'?><?xml version='1.0'?>", ends('restricted-xml')],
  ["standalone='no'", "<?xml version='1.0' standalone='no'?>", ends('restricted-xml')],
  ['a declaration in capitals', "<?XML version='1.0'?>", ends('restricted-xml', 'not-well-formed')],
  ['text', 'smuggled', ends('not-well-formed', 'bad-format')],
  ['an HTTP request', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', ends('not-well-formed', 'bad-format')],
  ['a greeting of SSH', 'SSH-2.0-OpenSSH_9\r\n', ends('not-well-formed', 'bad-format')],
  ['JSON', '{"stream":1}', ends('not-well-formed', 'bad-format')],
  ['NUL', '\u0000', ends('not-well-formed')],
  ['an end tag', '</stream:stream>', ends('not-well-formed')],
].map(([name, content, expect]) =>
  xml(`${name} before the header`, `${content}${stream}`, expect as Case['expect'], { wires: tcp, at: 'header' }),
)

/** Messages of a WebSocket that are no document. */
const messages: Case[] = [
  ['two stanzas', `${body('smuggled')}${body('smuggled')}`],
  ['a stanza and half another', `${body('smuggled')}<message>`],
  ['half a stanza', `<message xmlns='jabber:client' to='${observer}' id='{id}'><body>`],
  ['a stanza and text', `${body('smuggled')}smuggled`],
  ['a stanza and an end tag', `${body('smuggled')}</message>`],
  ['a stanza and a comment', `${body('smuggled')}<!-- x -->`],
  ['a comment and a stanza', `<!-- x -->${body('smuggled')}`],
  ['a DOCTYPE and a stanza', `<!DOCTYPE message>${body('smuggled')}`],
  ['a processing instruction and a stanza', `<?x y?>${body('smuggled')}`],
  ['a stanza and a processing instruction', `${body('smuggled')}<?x y?>`],
  ['a CDATA section and a stanza', `<![CDATA[x]]>${body('smuggled')}`],
  ['an end tag alone', '</message>'],
  ['a declaration alone', "<?xml version='1.0'?>"],
  ['a start tag without an end', `<message xmlns='jabber:client' to='${observer}' id='{id}'`],
  ['a stanza and NUL', `${body('smuggled')}\u0000`],
].map(([name, content]) =>
  xml(`a message of ${name}`, content as string, ends('not-well-formed', 'restricted-xml'), { wires: websocket }),
)

/** Payload of an extension, and how it arrives; the same when left out. */
const right: readonly (readonly [name: string, sent: string, arrives?: string])[] = [
  ['the five entities', '&lt;&gt;&amp;&apos;&quot;', '&lt;&gt;&amp;\'"'],
  ['the five in an attribute', "<y a='&lt;&gt;&amp;&apos;&quot;'/>"],
  ['a decimal reference', '&#65;&#8364;', 'A\u20ac'],
  ['a hexadecimal reference', '&#x41;&#x1f600;&#x1F600;', 'A\u{1f600}\u{1f600}'],
  ['the highest reference', '&#x10FFFF;', '\u{10ffff}'],
  ['a reference of eight characters', '&#x00041;', 'A'],
  ['a number with a hundred zeros', `&#${'0'.repeat(100)}65;`, 'A'],
  ['a CDATA section', '<![CDATA[<a> & ]] > </a>]]>', '&lt;a&gt; &amp; ]] &gt; &lt;/a&gt;'],
  ['an empty CDATA section', 'a<![CDATA[]]>b', 'ab'],
  ['the end of a CDATA section, in two', '<![CDATA[]]]]><![CDATA[>]]>', ']]&gt;'],
  [
    'a stanza in a CDATA section',
    "<![CDATA[</x></message><presence type='subscribed'/>]]>",
    "&lt;/x&gt;&lt;/message&gt;&lt;presence type='subscribed'/&gt;",
  ],
  ['a comment in a CDATA section', '<![CDATA[<!-- x -->]]>', '&lt;!-- x --&gt;'],
  ['a stanza in entities', '&lt;/x&gt;&lt;presence/&gt;'],
  ['a reference that spells a reference', '&#38;lt;', '&amp;lt;'],
  ['a greater-than', 'a > b', 'a &gt; b'],
  ['both quotes', `<y a="it's" b='"'/>`, `<y a="it's" b='&quot;'/>`],
  ['white space in tags', "<y  a = '1'\n\tb='2'\r\n></y >", "<y a='1' b='2'/>"],
  ['an empty element in two tags', '<y></y>', '<y/>'],
  ['a prefix', "<p:y xmlns:p='urn:y'/>", "<y xmlns='urn:y'/>"],
  [
    'a prefix declared twice',
    "<p:y xmlns:p='urn:a'><p:y xmlns:p='urn:b'/></p:y>",
    "<y xmlns='urn:a'><y xmlns='urn:b'/></y>",
  ],
  ['a prefix that begins with xml', "<xmlish:y xmlns:xmlish='urn:y'/>", "<y xmlns='urn:y'/>"],
  ['two prefixes for one namespace', "<p:y xmlns:p='urn:y' xmlns:q='urn:y'><q:z/></p:y>", "<y xmlns='urn:y'><z/></y>"],
  ['no namespace', "<y xmlns=''><z/></y>"],
  ['a prefixed attribute', "<y xmlns:p='urn:p' p:a='1' a='2'/>"],
  ['one local name in two namespaces', "<y xmlns:p='urn:p' xmlns:q='urn:q' p:a='1' q:a='2' a='3'/>"],
  ['xml:lang', "<y xml:lang='de-AT'/>"],
  ['xml:space', "<y xml:space='preserve'>  </y>"],
  [
    'the prefix xml declared as it is',
    "<y xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='fr'/>",
    "<y xml:lang='fr'/>",
  ],
  ['names with hyphens, full stops and digits', "<a-b.c_1 d-e.f_2='x'/>"],
  [
    'names that are properties elsewhere',
    "<constructor/><__proto__ a='1'/><toString hasOwnProperty='x' __proto__='y'/>",
  ],
  ['an attribute that begins with xmlns', "<y xmlnsx='1'/>"],
  ['a namespace with odd characters', "<y xmlns='http://x.example/?a=1&amp;b=%20#c;d'/>"],
  ['a very long namespace', `<y xmlns='urn:${'n'.repeat(1_000)}'/>`],
  ['a line feed in an attribute', "<y a='1&#10;2'/>"],
  ['mixed content', 'a<y>b</y>c<z/>d'],
  ['white space alone', '<y> \n\t </y>'],
  ['white space kept', '<y>  a  </y>'],
  ['line breaks as they are read', '<y>a\r\nb\rc</y>', '<y>a\nb\nc</y>'],
  ['a stanza within', "<message xmlns='jabber:client' from='a@b.example' to='c@d.example'><body>x</body></message>"],
  ['HTML', "<html xmlns='http://www.w3.org/1999/xhtml'><body><a href='x?y=1&amp;z=2'>x</a></body></html>"],
]

const twins: Case[] = [
  ...right.map(([name, sent, arrives]) => {
    // Prosody writes an attribute's line feed as it is, and the next parser reads a space.
    const expect = delivered(extension(arrives ?? sent))
    const behind =
      name === 'a line feed in an attribute' ? { prosody: delivered(extension("<y a='1 2'/>")) } : undefined
    return xml(`passes: ${name}`, extension(sent), expect, { behind })
  }),
  xml('passes: double quotes', body('x').replaceAll("'", '"'), delivered(body('x'))),
  xml('passes: an entity in the type', message('<body>x</body>').replace('chat', 'c&#104;at'), delivered(body('x'))),
  xml(
    'passes: byte by byte',
    { cut: 1, of: body('\u20ac &amp; \u{1f600}') },
    delivered(body('\u20ac &amp; \u{1f600}')),
  ),
  xml('passes: white space between stanzas', [' \n\t\r\n', body('x'), '\n'], delivered(body('x')), { wires: tcp }),
  xml('passes: many stanzas in one write', `${good(1)}${good(2)} ${good(3)}\n${body('x')}`, delivered(body('x')), {
    wires: tcp,
  }),
  xml(
    'passes: a declaration in a message',
    `<?xml version='1.0' encoding='UTF-8'?>${body('x')}`,
    delivered(body('x')),
    { wires: websocket },
  ),
  ...declarations().map(([name, declaration]) =>
    xml(`passes: ${name}`, [`${declaration}${stream}`, { await: 'features' }], goesOn('auth'), {
      wires: tcp,
      at: 'header',
    }),
  ),
]

function declarations(): (readonly [string, string])[] {
  return [
    ['no declaration', ''],
    ['a declaration in double quotes', '<?xml version="1.0"?>'],
    ['a declaration of UTF-8', "<?xml version='1.0' encoding='UTF-8'?>"],
    ['a declaration of utf-8', "<?xml version='1.0' encoding='utf-8' ?>"],
    ["a declaration of standalone='yes'", "<?xml version='1.0' encoding='Utf-8' standalone='yes'?>"],
    ['a line break behind the declaration', "<?xml version='1.0'?>\n"],
    ['white space before the header', ' \r\n'],
  ]
}

export const xmlCases: readonly Case[] = [
  ...Object.entries(restricted).map(([name, content]) => xml(name, body(content), ends('restricted-xml'))),
  ...Object.entries(malformed).map(([name, content]) =>
    xml(name, content.includes('<') ? extension(content) : body(content), ends('not-well-formed')),
  ),
  ...differential,
  ...between,
  ...beforeHeader,
  ...messages,
  ...twins,
  ...early(),
]

/** The same before a login: nothing is told apart by who says it. */
function early(): Case[] {
  const all: readonly (readonly [string, Step, Case['expect']])[] = [
    ['a comment', '<auth><!-- x --></auth>', ends('restricted-xml')],
    ['an unknown entity', "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>&x;</auth>", ends('restricted-xml')],
    ['a mismatched end tag', "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'></auths>", ends('not-well-formed')],
    ['a bare ampersand', "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>a & b</auth>", ends('not-well-formed')],
    ['a padded namespace', "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl '/>", ends('not-well-formed')],
    ['a DOCTYPE', '<!DOCTYPE x>', ends('restricted-xml')],
  ]
  return (['auth', 'bind'] as const).flatMap(at =>
    all.map(([name, step, expect]) =>
      xml(`${name} ${at === 'auth' ? 'before authentication' : 'before binding'}`, step, expect, { at }),
    ),
  )
}
