/** Bytes that are no UTF-8 (RFC 3629), where they may stand; and the edges of what is. */
import { body, bytes, type Case, closed, delivered, ends, good, maker, observer, tcp, websocket } from '../case.ts'
import { opcodes } from '../websocket.ts'

const utf8 = maker('utf-8')

const bad: Readonly<Record<string, number[]>> = {
  'an overlong slash of two bytes': [0xc0, 0xaf],
  'an overlong less-than of two bytes': [0xc0, 0xbc],
  'an overlong less-than of three bytes': [0xe0, 0x80, 0xbc],
  'an overlong less-than of four bytes': [0xf0, 0x80, 0x80, 0xbc],
  'an overlong NUL': [0xc0, 0x80],
  'an overlong U+007F': [0xc1, 0xbf],
  'an overlong U+07FF': [0xe0, 0x9f, 0xbf],
  'an overlong U+FFFF': [0xf0, 0x8f, 0xbf, 0xbf],
  'a high surrogate': [0xed, 0xa0, 0x80],
  'a low surrogate': [0xed, 0xbf, 0xbf],
  'a pair of surrogates (CESU-8)': [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80],
  'U+110000': [0xf4, 0x90, 0x80, 0x80],
  'a first byte F5': [0xf5, 0x80, 0x80, 0x80],
  'five bytes': [0xf8, 0x88, 0x80, 0x80, 0x80],
  'six bytes': [0xfc, 0x84, 0x80, 0x80, 0x80, 0x80],
  FE: [0xfe],
  FF: [0xff],
  'a stray continuation': [0x80],
  'a second continuation': [0xc3, 0xa9, 0xa9],
  'two bytes cut short': [0xc3],
  'three bytes cut short': [0xe2, 0x82],
  'four bytes cut short': [0xf0, 0x9f, 0x98],
  'a byte of Latin-1': [0xe9],
  'a byte of Windows-1252': [0x93],
}

const head = `<message xmlns='jabber:client' to='${observer}' type='chat' id='{id}'`
const whereabouts: Readonly<Record<string, (piece: number[]) => Uint8Array>> = {
  'in a body': piece => bytes(`${head}><body>smuggled `, piece, '</body></message>'),
  'in an attribute': piece => bytes(`${head}><x xmlns='urn:example:x' a='`, piece, "'/></message>"),
  'in a name': piece => bytes(`${head}><x`, piece, " xmlns='urn:example:x'/></message>"),
}

const invalid: Case[] = Object.entries(bad).flatMap(([name, piece]) =>
  Object.entries(whereabouts).map(([where, at]) =>
    utf8(`${name} ${where}`, at(piece), ends('unsupported-encoding'), { onWebsocket: closed(1007) }),
  ),
)

const utf16 = (text: string, bigEndian = false): Uint8Array => {
  const little = Buffer.from(text, 'utf16le')
  return bigEndian ? little.swap16() : little
}
const header = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>`

const elsewhere: Case[] = [
  utf8(
    'a stream in UTF-16 with its mark, little end first',
    Buffer.concat([Buffer.from([0xff, 0xfe]), utf16(header)]),
    ends('unsupported-encoding', 'not-well-formed'),
    { wires: tcp, at: 'header' },
  ),
  utf8(
    'a stream in UTF-16 with its mark, big end first',
    Buffer.concat([Buffer.from([0xfe, 0xff]), utf16(header, true)]),
    ends('unsupported-encoding', 'not-well-formed'),
    { wires: tcp, at: 'header' },
  ),
  utf8(
    'a stream in UTF-16 without a mark, little end first',
    utf16(header),
    ends('unsupported-encoding', 'not-well-formed'),
    { wires: tcp, at: 'header' },
  ),
  utf8(
    'a stream in UTF-16 without a mark, big end first',
    utf16(header, true),
    ends('unsupported-encoding', 'not-well-formed'),
    { wires: tcp, at: 'header' },
  ),
  utf8(
    'a stream in UTF-16 that says so',
    utf16(`<?xml version='1.0' encoding='UTF-16'?>${header}`),
    ends('unsupported-encoding', 'not-well-formed'),
    { wires: tcp, at: 'header' },
  ),
  utf8('bad bytes in the header', bytes(header.slice(0, -1), " x='", [0xff], "'>"), ends('unsupported-encoding'), {
    wires: tcp,
    at: 'header',
  }),
  utf8('bad bytes before the header', bytes([0xc0, 0x80], header), ends('unsupported-encoding'), {
    wires: tcp,
    at: 'header',
  }),
  utf8('bad bytes between stanzas', bytes(good(), [0xc0, 0xbc], body('smuggled')), ends('unsupported-encoding'), {
    wires: tcp,
  }),
  utf8('bad bytes behind a good stanza in one write', bytes(good(1), good(2), [0xff]), ends('unsupported-encoding'), {
    wires: tcp,
  }),
  utf8(
    'bad bytes before authentication',
    bytes("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>", [0xed, 0xa0, 0x80], '</auth>'),
    ends('unsupported-encoding'),
    { at: 'auth', onWebsocket: closed(1007) },
  ),
  utf8(
    'bad bytes, one in each write',
    { cut: 1, of: bytes(`${head}><body>`, [0xe0, 0x80, 0xbc], '</body></message>') },
    ends('unsupported-encoding'),
    { onWebsocket: closed(1007) },
  ),
  utf8(
    'bad bytes in an open element',
    bytes("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='", [0xff], "'/>"),
    closed(1007),
    { wires: websocket, at: 'header' },
  ),
  utf8(
    'a good frame, and a bad one that goes on',
    [
      { frame: { fin: false, payload: `${head}><body>` } },
      { frame: { opcode: opcodes.continuation, payload: bytes([0xff], '</body></message>') } },
    ],
    closed(1007),
    { wires: websocket },
  ),
  utf8(
    'a message that is no UTF-8 as a whole only',
    [
      { frame: { fin: false, payload: bytes(`${head}><body>`, [0xe2, 0x82]) } },
      { frame: { opcode: opcodes.continuation, payload: '</body></message>' } },
    ],
    closed(1007),
    { wires: websocket },
  ),
]

const edges: Readonly<Record<string, string>> = {
  'U+007F': '\u007f',
  'U+0080': '\u0080',
  'U+0085': 'a\u0085b',
  'U+07FF': '\u07ff',
  'U+0800': '\u0800',
  'U+2028': 'a\u2028b',
  'U+D7FF': '\ud7ff',
  'U+E000': '\ue000',
  'U+FDD0': '\ufdd0',
  'U+FEFF within text': 'a\ufeffb',
  'U+FFFD': '\ufffd',
  'U+10000': '\u{10000}',
  'U+1F600 in sequence': '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}',
  'U+1FFFE': '\u{1fffe}',
  'U+10FFFF': '\u{10ffff}',
  'what is composed and what is not': '\u00e9 e\u0301',
  'right to left': '\u05d0\u202e\u0627',
  'UTF-7': '+ADw-presence+AD4-',
}

const twins: Case[] = Object.entries(edges).flatMap(([name, text]) => {
  const whole = body(`<![CDATA[${text}]]>`)
  return [
    utf8(`passes: ${name}`, whole, delivered(whole)),
    utf8(`passes: ${name}, byte by byte`, { cut: 1, of: whole }, delivered(whole)),
  ]
})

export const utf8Cases: readonly Case[] = [...invalid, ...elsewhere, ...twins]
