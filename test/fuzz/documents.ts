/**
 * Hostile documents by class: what saxes and libexpat disagree about, what decoders get wrong, what limits are there for, and what
 * stands where it may not. Each follows the header of a client's stream, unless it has its own.
 */

export interface Document {
  readonly name: string
  readonly bytes: Buffer
}

export const streamHeader = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='im.example' version='1.0'>`

const behind = `<presence id='behind'/>`

/** Name, what follows the header. */
const inStream: Readonly<Record<string, string>> = {
  'honest presence, message and iq': `<presence/> <message to='a@b'><body>h &amp; i €😀</body></message>\r\n<iq id='1' type='get'/>`,
  'honest CDATA and prefixes': `<p:a xmlns:p='urn:p' p:b='1'><![CDATA[<&]]]]><![CDATA[>]]></p:a>`,
  'white space after a namespace': `<presence xmlns='jabber:client '/>`,
  'white space before a namespace': `<presence xmlns=' jabber:client'/>`,
  'white space by reference': `<presence xmlns='jabber:client&#32;'/>`,
  'U+00A0 after a namespace': `<presence xmlns='jabber:client\u00a0'/>`,
  'U+FEFF after a namespace': `<presence xmlns='jabber:client\ufeff'/>`,
  'a namespace of white space': `<presence xmlns=' '/>`,
  'a newline in a namespace': `<presence xmlns='a&#10;b'/>`,
  'white space around the namespace of xml': `<a xmlns:xml=' http://www.w3.org/XML/1998/namespace '/>`,
  'a mismatched end tag': `<presence></foo>`,
  'a mismatched end tag deeper': `<presence><a></presence>`,
  'an end tag too many': `<presence/></presence>`,
  'a local name that is none': `<a:1b xmlns:a='u'/>`,
  'an attribute name that is none': `<a xmlns:a='u' a:-b='1'/>`,
  'a name of the fifth edition': `<\u017f/>`,
  'a name beyond the first plane': `<𐀀 ſ='1'/>`,
  'two colons': `<a:b:c xmlns:a='u'/>`,
  'an unbound prefix': '<p:a/>',
  'a prefix unbound again': `<p:a xmlns:p='u'><b xmlns:p=''/></p:a>`,
  'an element in the namespace of xml': '<xml:presence/>',
  'an element called xmlns': '<xmlns:a/>',
  'the namespace of xml as default': `<a xmlns='http://www.w3.org/XML/1998/namespace'/>`,
  'the same attribute twice': `<a b='1' b='2'/>`,
  'the same attribute by two prefixes': `<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>`,
  'a bare ampersand': `<m>a & b</m><p/>`,
  'an endless reference': `<m>&aaaaaaaaaaaaaaaaaaaaaaaa`,
  'a reference to NUL': '<m>&#0;</m>',
  'a reference to a control': '<m>&#1;</m>',
  'a reference to half a pair': '<m>&#xD800;&#xDC00;</m>',
  'a reference to U+FFFE': '<m>&#xFFFE;</m>',
  'a reference beyond Unicode': '<m>&#x110000;</m>',
  'a reference in capitals': '<m>&#X41;</m>',
  'an entity of HTML': '<m>&nbsp;</m>',
  'an entity out of Object.prototype': '<m>&constructor;</m>',
  'NUL as it is': '<m>\u0000</m>',
  'U+FFFF as it is': '<m>\uffff</m>',
  'a comment': '<m><!-- x --></m>',
  'a comment between stanzas': `<m/><!-- x -->`,
  'a processing instruction': '<m><?x y?></m>',
  'an XML declaration inside': `<?xml version='1.0'?><m/>`,
  'a document type inside': '<!DOCTYPE a><m/>',
  ']]> in text': '<m>]]></m>',
  ']]> over an entity': '<m>]]&gt;]]</m>',
  'a < in an attribute': `<m a='<'/>`,
  'an attribute without quotes': '<m a=b/>',
  'an attribute without a value': '<m a/>',
  'attributes without space': `<m a='1'b='2'/>`,
  'text between stanzas': `<m/>x<m/>`,
  'text after white space between stanzas': `<m/> \n x`,
  'CDATA between stanzas': '<m/><![CDATA[x]]>',
  'an empty CDATA section between stanzas': '<m/><![CDATA[]]>',
  'a reference between stanzas': '<m/>&#32;',
  'U+FEFF between stanzas': '<m/>\ufeff',
  'line ends of every kind': `<m a='1\r\n2\r3'>\r\n\r\r\n&#13;\n</m>\r\n\r`,
  'NEL and LS are text': '<m>\u0085\u2028</m>',
  'a second header': streamHeader,
  'a header of another prefix': `<s:stream xmlns:s='http://etherx.jabber.org/streams'><presence/></s:stream>`,
  'a prefixed stanza': `<c:presence xmlns:c='jabber:client'/>`,
  'a stream error and more': '<stream:error/><m/>',
  'features from a client': '<stream:features/>',
  'the end and more': '</stream:stream><presence/>',
  'the end and white space': '</stream:stream> \r\n',
  'the end and text': '</stream:stream>x',
  'the end of something else': '</stream>',
  'too deep': '<a>'.repeat(70),
  attributes: `<a ${Array.from({ length: 70 }, (_, i) => `a${i}=''`).join(' ')}/>`,
  'an unfinished tag': `<presence to='a`,
  'names out of Object.prototype': `<__proto__ constructor='1' toString='2'><hasOwnProperty/></__proto__>`,
}

/** Name, all of it. */
const whole: Readonly<Record<string, string>> = {
  nothing: '',
  'white space alone': ' \r\n\t',
  'white space before the header': `\r\n ${streamHeader}${behind}`,
  'white space before a declaration': ` <?xml version='1.0'?>${streamHeader}${behind}`,
  'text before the header': `x${streamHeader}`,
  'a declaration': `<?xml version='1.0' encoding="UTF-8" standalone='yes'?>\n${streamHeader}${behind}`,
  'XML 1.1': `<?xml version='1.1'?>${streamHeader}<m>&#1;</m>`,
  'XML 3.0': `<?xml version='3.0'?>${streamHeader}<m/>`,
  'a declared encoding': `<?xml version='1.0' encoding='ISO-8859-1'?>${streamHeader}<m/>`,
  'a declared encoding that is not there': `<?xml version='1.0' encoding='UTF-16'?>${streamHeader}<m/>`,
  "standalone='no'": `<?xml version='1.0' standalone='no'?>${streamHeader}<m/>`,
  'two declarations': `<?xml version='1.0'?><?xml version='1.0'?>${streamHeader}`,
  'a document type': `<!DOCTYPE a [<!ENTITY b 'c'>]>${streamHeader}<m>&b;</m>`,
  'a document type behind a declaration': `<?xml version='1.0'?><!DOCTYPE a SYSTEM 'b'>${streamHeader}`,
  'a comment before the header': `<!-- x -->${streamHeader}`,
  'a byte order mark': `\ufeff${streamHeader}${behind}`,
  'two byte order marks': `\ufeff\ufeff${streamHeader}${behind}`,
  'another root': '<foo/>',
  'a root in no namespace': '<stream><presence/></stream>',
  'a header of jabber:server': `<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>${behind}`,
  'a header that is closed': `<stream:stream xmlns:stream='http://etherx.jabber.org/streams'/>${behind}`,
  HTTP: 'GET / HTTP/1.1\r\nHost: im.example\r\n\r\n',
}

/** Name, bytes in hexadecimal that stand in the text of a message: no UTF-8, most of them. */
const inText: Readonly<Record<string, string>> = {
  'an overlong <': 'c0bc',
  'a longer overlong <': 'e080bc',
  'an overlong NUL': 'c080',
  'half a surrogate pair': 'eda080',
  'CESU-8': 'eda081edb080',
  'beyond Unicode': 'f4908080',
  'five bytes': 'f888808080',
  'FE and FF': 'feff',
  'a stray continuation': '80',
  'one continuation too many': 'e282ac80',
  'a truncated sequence': 'e282',
  'a truncated sequence and a <': 'e2823c',
  'Latin-1': 'e9',
  'a character of four bytes': 'f09f9880',
  'U+FEFF': 'efbbbf',
  'U+FFFE': 'efbfbe',
}

export const hostile: readonly Document[] = [
  ...Object.entries(inStream).flatMap(([name, text]) => [
    { name, bytes: Buffer.from(`${streamHeader}${text}`) },
    { name: `${name}, and more`, bytes: Buffer.from(`${streamHeader}<m/>${text}${behind}`) },
  ]),
  ...Object.entries(whole).map(([name, text]) => ({ name, bytes: Buffer.from(text) })),
  ...Object.entries(inText).flatMap(([name, hex]) => [
    { name: `in text: ${name}`, bytes: around(`${streamHeader}<m>`, hex, `</m>${behind}`) },
    { name: `in an attribute: ${name}`, bytes: around(`${streamHeader}<m/><m a='`, hex, `'/>${behind}`) },
    { name: `between stanzas: ${name}`, bytes: around(`${streamHeader}<m/>`, hex, behind) },
  ]),
  { name: 'UTF-16', bytes: Buffer.from(`${streamHeader}${behind}`, 'utf16le') },
  { name: 'UTF-16 with its mark', bytes: Buffer.from(`\ufeff${streamHeader}${behind}`, 'utf16le') },
]

function around(before: string, hex: string, after: string): Buffer {
  return Buffer.concat([Buffer.from(before), Buffer.from(hex, 'hex'), Buffer.from(after)])
}
