/** Documents damaged by chance: honest XMPP, cut and mixed with what saxes and libexpat are known to disagree about. */
import type { Random } from './random.ts'
import type { Way } from './ways.ts'

const client = [
  `<presence to='a@b' type='subscribe'><status xml:lang='en'>h &amp; i</status></presence>`,
  `<message id="1"><body>é € 😀 &#x41;</body><x xmlns='jabber:x:data' a='"'/></message>`,
  `<iq type='set'><query xmlns='jabber:iq:roster'><item jid='c@d'><group>A B</group></item></query></iq>`,
  `<p:a xmlns:p='urn:p' p:b='1' b='2'><p:c><d xmlns=''/></p:c><![CDATA[<&]]></p:a>`,
  `<presence/> \r\n <r xmlns='urn:xmpp:sm:3'/><a h='&#9;&lt;'\t/>`,
  `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>`,
  `<a xmlns:q='urn:q'><q:b xmlns:q='urn:r' q:c=''/><q:b q:c='1' xml:space='preserve'>]]&gt;</q:b></a>`,
].map(text => Buffer.from(text))

/** Spelled as canonical.ts takes it: damaged in one character, they are at its border. */
const plain = [
  `<message to='a@b/c' type='chat' id='1'><body>h &amp; i > é 😀 ]</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>`,
  `<presence from="a@b/c" xml:lang="en"><show>away</show><c xmlns="u:c" hash="sha-1" ver="a&lt;'="/><x xmlns='u:x'><x xmlns='jabber:client'/></x></presence>`,
  `<iq type='result' id="2" ><query xmlns='jabber:iq:roster' ver=''><item jid='c@d' name="A 'B'"><group>x y\n</group></item><item/></query></iq>`,
  `<r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='1' /><message></message>`,
  `<a><a><a b='1'><a></a></a>\t</a></a>`,
].map(text => Buffer.from(text))

const characters = [
  ...`<>/'"&;=: ]![?-x\t\n\r\u0000\u001f\u007f\u0085\u00a0\ufeff\ufffd\ufffe\uffff\u{10ffff}é1._&`,
].map(character => Buffer.from(character))

/** What only a server says. */
const server = [
  ...client,
  ...[
    `<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>`,
    `<message from='a@b'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded></received></message>`,
    `<stream:error><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>x</text></stream:error>`,
    `<message><é:ſ xmlns:é='urn:é' é:b='1'/></message>`,
    `<a xmlns=' urn:x '><xml:b/><c xmlns:d='urn:y&#10;' d:e='1'/></a>`,
  ].map(text => Buffer.from(text)),
]

/** What the classes of disagreement are made of. */
const tokens = [
  ...['<', '>', '/', '&', ';', "'", '"', ':', '=', '!', '?', '-', ']', ']]>', '-->', '<!--', '<!-- -->', '/>', '</'],
  ...[
    '<![CDATA[',
    '<![CDATA[]]>',
    '<!DOCTYPE a>',
    '<!DOCTYPE a [<!ENTITY b "c">]>',
    '<?x?>',
    '<?xml?>',
    'xmlns',
    'xml:',
  ],
  ...[' ', '\n', '\r', '\t', '\r\n', '\u00a0', '\ufeff', '\u2028', '\u0085', '\u3000', '\u0001', '\u0000', '\u007f'],
  ...['\ufffe', '\uffff', '𐀀', 'ſ', 'é', '\u0300', '\u00b7', '\u0ec7', '\u{10fffd}', '😀'],
  ...['&#32;', '&#10;', '&#13;', '&#9;', '&#0;', '&#1;', '&#x85;', '&#xD800;', '&#xDBFF;&#xDC00;', '&#xFFFE;'],
  ...['&#x10FFFF;', '&#x110000;', '&nbsp;', '&#x000000000041;', '&amp', '&amp;', '&lt;', '&apos;', '&#60;', '&#38;'],
  ...['a & b;', '&constructor;', '&__proto__;', '&;', '&#;', '&#x;', '&#xx;', '&#X41;'],
  ...[
    '</presence>',
    '</foo>',
    '<foo>',
    '<a:1b/>',
    '<a:b:c/>',
    '<xml:a/>',
    '<xmlns:a/>',
    '<__proto__/>',
    '<:a/>',
    '<a:/>',
  ],
  ...[
    '</stream:stream>',
    '<stream:stream>',
    '<stream:error/>',
    '<a/>',
    '<a>b</a>',
    "<a xmlns='urn:x'>",
    '</a>',
    '</p:c>',
  ],
  ...[` xmlns='jabber:client '`, ` xmlns=' jabber:client'`, ` xmlns='jabber:client&#32;'`, ` xmlns=''`, ` xmlns=' '`],
  ...[
    ` xmlns='a&#10;b'`,
    ` xmlns:q='a\nb'`,
    ` xmlns:q=''`,
    ` xmlns:q=' '`,
    ` xmlns:p='urn:p'`,
    ` xmlns:p='jabber:client'`,
  ],
  ...[` xmlns:xml='http://www.w3.org/XML/1998/namespace'`, ` xmlns='http://www.w3.org/XML/1998/namespace'`],
  ...[` xmlns:xmlns='http://www.w3.org/2000/xmlns/'`, ` xmlns='http://www.w3.org/2000/xmlns/'`, ` xmlns:xml='u'`],
  ...[
    ` xmlns:q='http://www.w3.org/XML/1998/namespace'`,
    ` to='x'`,
    ` to=x`,
    ` to`,
    ` a:-b='1'`,
    ` q:to='1'`,
    ` p:b='3'`,
  ],
  ...[` xmlns:r='urn:p' r:b='1'`, ` xmlns:stream='jabber:client'`, ` stream:to='1'`, ` xml:lang='de'`, ` xml:lang=''`],
  ...[`<?xml version='1.1'?>`, `<?xml version="1.0"?>`, `<?xml version='1.0' encoding='UTF-16'?>`, ` id='&#xA;<'`],
].map(text => Buffer.from(text))

const badBytes = [
  ...['c0bc', 'c080', 'e080bc', 'eda080', 'edb080', 'eda080edb080', 'f4908080', 'f8', 'fe', 'ff', '80', 'bf'],
  ...[
    'e282',
    'e28220',
    'e282ac80',
    'f09f98',
    'f0',
    'efbbbf',
    'efbfbe',
    '3c80',
    'fffe',
    'feff',
    '00',
    '003c',
    '3c00',
    '1b',
  ],
].map(hex => Buffer.from(hex, 'hex'))

const tcpHeader = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='b' version='1.0'>`
const headers = [
  ...[tcpHeader, tcpHeader, tcpHeader, tcpHeader, tcpHeader],
  `<?xml version='1.0'?>${tcpHeader}`,
  `<?xml version="1.0" encoding='utf-8' standalone="yes"?>\n${tcpHeader}`,
  `\r\n ${tcpHeader}`,
  `<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client' xmlns:p='urn:p' s:a='1' xml:lang='en'>`,
  `<stream xmlns='http://etherx.jabber.org/streams' xmlns:q='urn:q'>`,
].map(text => Buffer.from(text))

const messages = [
  `<presence xmlns='jabber:client'/>`,
  `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='b' version='1.0'/>`,
  `<message xmlns='jabber:client' to='a@b'><body>x</body><p:y xmlns:p='urn:p' p:z='1'/></message>`,
  `<?xml version='1.0'?><iq xmlns='jabber:client' type='get' id='1'/>`,
].map(text => Buffer.from(text))

/** One document of a way: the first bytes of a stream, or one message. About one in nine is left as it was. */
export function documentOf(way: Way, random: Random): Buffer {
  if (way.wire === 'websocket') {
    if (random(4) === 0) return nearlyPlain(random, ` xmlns='jabber:client'`)
    const message = random(2) === 0 ? one(messages, random) : one(client, random)
    return random(9) === 0 ? message : edited(message, client, random)
  }
  const header = one(headers, random)
  const models = way.from === 'client' ? client : server
  const content = Buffer.concat(Array.from({ length: 1 + random(3) }, () => one(models, random)))
  switch (random(9)) {
    case 0:
      return Buffer.concat([header, content])
    // The header too is hostile.
    case 1:
      return edited(Buffer.concat([header, content]), models, random)
    case 2:
    case 3:
      return Buffer.concat([header, nearlyPlain(random)])
    default:
      return Buffer.concat([header, edited(content, models, random)])
  }
}

/** One or two plain elements with up to two characters changed; `declared` is put into the first start tag. */
export function nearlyPlain(random: Random, declared = ''): Buffer {
  const model = one(plain, random)
  const name =
    declared === '' || model.includes('<r xmlns') ? 0 : model.findIndex(byte => byte === 0x20 || byte === 0x3e)
  let bytes = name === 0 ? model : spliced(model, name, Buffer.from(declared), 0)
  for (let count = random(3); count > 0; count--) {
    const at = place(bytes, random)
    bytes = spliced(bytes, at, random(4) === 0 ? nothing : one(characters, random), random(2))
  }
  return declared === '' && random(2) === 0 ? Buffer.concat([bytes, one(plain, random)]) : bytes
}

/** What follows a client's stream header, damaged in one to four places. */
export function damaged(random: Random): Buffer {
  const content = random(2) === 0 ? one(client, random) : Buffer.concat([one(client, random), one(client, random)])
  return edited(content, client, random)
}

function edited(honest: Buffer, models: readonly Buffer[], random: Random): Buffer {
  let bytes = honest
  for (let count = 1 + random(4); count > 0; count--) bytes = edit(bytes, models, random)
  return bytes
}

function edit(bytes: Buffer, models: readonly Buffer[], random: Random): Buffer {
  const at = place(bytes, random)
  switch (random(10)) {
    case 0:
      return spliced(bytes, at, one(badBytes, random), random(3))
    case 1:
      return spliced(bytes, at, nothing, 1 + random(6))
    case 2:
      return spliced(bytes, at, bytes.subarray(random(bytes.length + 1), at), 0)
    case 3:
      return spliced(bytes, at, one(models, random), 0)
    case 4:
      return spliced(bytes, at, one(tokens, random), random(4))
    default:
      return spliced(bytes, at, one(tokens, random), 0)
  }
}

const nothing = Buffer.alloc(0)

function spliced(bytes: Buffer, at: number, put: Buffer, less: number): Buffer {
  return Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + less)])
}

/** Anywhere, or more often before or behind a character that matters: damage elsewhere ends in the same few errors. */
function place(bytes: Buffer, random: Random): number {
  const at = random(bytes.length + 1)
  if (random(3) === 0) return at
  for (let next = at; next < bytes.length; next++) if (matters[bytes[next] as number] === 1) return next + random(2)
  return at
}

const matters = new Uint8Array(256)
for (const byte of Buffer.from(`<>/='":&; `)) matters[byte] = 1

function one<T>(of: readonly T[], random: Random): T {
  return of[random(of.length)] as T
}
