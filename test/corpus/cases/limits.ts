/** At each limit: what just fits passes, one more ends the stream. The figures are the gate's own. */
import type { XmlLimits } from '../../../src/xml/limits.ts'
import {
  answered,
  type Case,
  closed,
  delivered,
  type Expectation,
  ends,
  extension,
  goesOn,
  good,
  maker,
  message,
  type Place,
  tcp,
  websocket,
} from '../case.ts'
import { clientLimits, fragments, strangerLimits } from '../limits.ts'
import { opcodes } from '../websocket.ts'

const limits = maker('limits')

/** The id may be a few bytes longer than what stands for it: the cases on stanzas stay as far from the edge as `overhead` says. */
const sized = (text: string, bytes: number, filler = 'x') => {
  const room = bytes - Buffer.byteLength(text.replace('FILL', ''))
  const each = Buffer.byteLength(filler)
  return text.replace('FILL', filler.repeat(Math.floor(room / each)) + 'x'.repeat(room % each))
}
const nested = (depth: number) => '<y>'.repeat(depth) + '</y>'.repeat(depth)
const attributes = (count: number) => Array.from({ length: count }, (_, number) => ` a${number}='${number}'`).join('')
const declarations = (count: number) =>
  Array.from({ length: count }, (_, number) => ` xmlns:p${number}='urn:${number}'`).join('')

type Make = (by: number) => string

const overhead = 32

/** What a limit is about, `by` so much beyond the edge; and how it is delivered when that is nothing. */
function edges(of: XmlLimits): readonly (readonly [name: string, make: Make])[] {
  return [
    ['elements', by => extension('<y/>'.repeat(of.elements - 2 + by))],
    ['elements within each other', by => extension(nested(of.depth - 2 + by))],
    ['attributes', by => extension(`<y${attributes(of.attributes + by)}/>`)],
    ['declarations', by => extension(`<y${declarations(of.attributes + by)}/>`)],
    ['the name of an element', by => extension(`<${'n'.repeat(of.nameLength + by)}/>`)],
    ['the name of an attribute', by => extension(`<y ${'n'.repeat(of.nameLength + by)}='1'/>`)],
    [
      'a name with its prefix',
      by =>
        extension(
          `<${'p'.repeat(of.nameLength / 2)}:${'n'.repeat(of.nameLength / 2 - 1 + by)} xmlns:${'p'.repeat(of.nameLength / 2)}='urn:p'/>`,
        ),
    ],
    ['a start tag by its attribute', by => extension(`<y a='${'x'.repeat(of.startTag - "<y a=''/>".length + by)}'/>`)],
    ['a start tag by its white space', by => extension(`<y${' '.repeat(of.startTag - '<y/>'.length + by)}/>`)],
  ]
}

/** Prosody counts by what it reads at a time: what stands in one piece with a stanza counts towards its size. */
const piece = 16_384

/** As many as fit into the bytes: there is no other limit. */
function fitting(make: Make): { readonly most: number; readonly tooMany: number } {
  const fits = (by: number) => Buffer.byteLength(make(by)) < clientLimits.bytes - piece
  let [most, tooMany] = [-clientLimits.elements + 8, 0]
  while (tooMany - most > 1) {
    const middle = Math.floor((most + tooMany) / 2)
    if (fits(middle)) most = middle
    else tooMany = middle
  }
  const isTooLong = (by: number) => Buffer.byteLength(make(by)) > clientLimits.bytes + overhead
  while (!isTooLong(tooMany)) tooMany++
  return { most, tooMany }
}

const bound: Case[] = edges(clientLimits).flatMap(([name, make]) => {
  if (Buffer.byteLength(make(0)) > clientLimits.bytes - piece) {
    const { most, tooMany } = fitting(make)
    return [
      limits(
        `passes: ${name}, as many as fit`,
        make(most),
        delivered(name === 'declarations' ? extension('<y/>') : make(most)),
      ),
      limits(`${name}, more than fit`, make(tooMany), ends('policy-violation')),
    ]
  }
  const arrives = name === 'declarations' ? extension('<y/>') : make(0)
  return [
    limits(`passes: ${name}, at the limit`, make(0), delivered(arrives)),
    limits(`${name}, one beyond`, make(1), ends('policy-violation')),
    limits(`${name}, far beyond`, make(5_000), ends('policy-violation')),
    limits(`${name}, beyond and never ended`, make(5_000).slice(0, -12), ends('policy-violation'), { wires: tcp }),
  ]
})

const size: Case[] = [
  limits(
    'passes: bytes, nearly at the limit',
    sized(message('<body>FILL</body>'), clientLimits.bytes - overhead),
    delivered(sized(message('<body>FILL</body>'), clientLimits.bytes - overhead)),
  ),
  limits(
    'passes: bytes of many bytes a character, nearly at the limit',
    sized(message('<body>FILL</body>'), clientLimits.bytes - overhead, '\u{1f600}'),
    delivered(sized(message('<body>FILL</body>'), clientLimits.bytes - overhead, '\u{1f600}')),
  ),
  limits(
    'passes: bytes, nearly at the limit, in pieces',
    { cut: 16_000, of: sized(message('<body>FILL</body>'), clientLimits.bytes - overhead) },
    delivered(sized(message('<body>FILL</body>'), clientLimits.bytes - overhead)),
  ),
  limits(
    'passes: 10,000 bytes (RFC 6120 section 13.12)',
    sized(message('<body>FILL</body>'), 10_000),
    delivered(sized(message('<body>FILL</body>'), 10_000)),
  ),
  limits(
    'bytes, beyond the limit',
    sized(message('<body>FILL</body>'), clientLimits.bytes + overhead),
    ends('policy-violation'),
  ),
  limits(
    'bytes of many bytes a character, beyond the limit',
    sized(message('<body>FILL</body>'), clientLimits.bytes + overhead, '\u20ac'),
    ends('policy-violation'),
  ),
  limits(
    'bytes, beyond the limit, in pieces',
    { cut: 16_000, of: sized(message('<body>FILL</body>'), clientLimits.bytes + overhead) },
    ends('policy-violation'),
  ),
  limits(
    'bytes without an end',
    message(`<body>${'x'.repeat(clientLimits.bytes + 1)}`).slice(0, -10),
    ends('policy-violation'),
    { wires: tcp },
  ),
  limits(
    'bytes of white space in a stanza',
    message(`<body>${' '.repeat(clientLimits.bytes)}</body>`),
    ends('policy-violation'),
  ),
  limits(
    'bytes of a CDATA section',
    message(`<body><![CDATA[${'x'.repeat(clientLimits.bytes)}]]></body>`),
    ends('policy-violation'),
  ),
  limits(
    'bytes of a CDATA section without an end',
    message(`<body><![CDATA[${'x'.repeat(clientLimits.bytes)}`),
    ends('policy-violation'),
    { wires: tcp },
  ),
  limits(
    'bytes of a comment without an end',
    `<!-- ${'x'.repeat(clientLimits.bytes)}`,
    ends('restricted-xml', 'policy-violation'),
    { wires: tcp },
  ),
  limits(
    'bytes of an end tag',
    message('<body>x</body>').replace('</body>', `</body${' '.repeat(clientLimits.bytes)}>`),
    ends('policy-violation'),
  ),
  limits('twice a message', sized(message('<body>FILL</body>'), 2 * clientLimits.bytes + 100), closed(1009), {
    wires: websocket,
  }),
  limits(
    'twice a message, in fragments',
    { cut: 32_000, of: sized(message('<body>FILL</body>'), 2 * clientLimits.bytes + 100) },
    closed(1009),
    { wires: websocket },
  ),
  limits('a depth that takes minutes', extension(nested(20_000)), ends('policy-violation')),
  limits(
    'a depth that is allowed, with as much within it as fits',
    extension(`${'<y>'.repeat(490)}${'<y/>'.repeat(60_000)}${'</y>'.repeat(490)}`),
    ends('policy-violation'),
  ),
  limits(
    'one long namespace a thousand times',
    extension(`<y xmlns:p='urn:${'n'.repeat(2_000)}'>${'<z><p:y/></z>'.repeat(900)}</y>`),
    ends('policy-violation'),
  ),
  limits(
    'a start tag without an end',
    `<message xmlns='jabber:client' id='{id}'${' '.repeat(clientLimits.bytes)}`,
    ends('policy-violation'),
    { wires: tcp },
  ),
  limits('a name without an end', `<${'n'.repeat(clientLimits.bytes + 1)}`, ends('policy-violation'), { wires: tcp }),
  limits(
    'an attribute without an end',
    `<message id='${'n'.repeat(clientLimits.bytes + 1)}`,
    ends('policy-violation'),
    { wires: tcp },
  ),
  limits(
    'passes: much white space between stanzas',
    [`${good()}${' '.repeat(500_000)}`, message('<body>x</body>')],
    delivered(message('<body>x</body>')),
    { wires: tcp },
  ),
  limits(
    'passes: a long body',
    message(`<body>${'b'.repeat(50_000)}</body>`),
    delivered(message(`<body>${'b'.repeat(50_000)}</body>`)),
  ),
]

/** Before a client has said who it is: credentials of a mechanism that no server knows. */
const credentials = (inside: string) =>
  `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X-NONE'>${inside}</auth>`
const early = (place: Place): Case[] => {
  const of = place === 'auth' ? strangerLimits : clientLimits
  const wrap = place === 'auth' ? credentials : (inside: string) => `<x xmlns='urn:example:x'>${inside}</x>`
  const tries: readonly (readonly [string, Make])[] = [
    ['elements', by => wrap('<y/>'.repeat(of.elements - 1 + by))],
    ['elements within each other', by => wrap(nested(of.depth - 1 + by))],
    ['attributes', by => wrap(`<y${attributes(of.attributes + by)}/>`)],
    ['the name of an element', by => wrap(`<${'n'.repeat(of.nameLength + by)}/>`)],
    ['bytes', by => sized(wrap('FILL'), of.bytes + by)],
  ]
  return tries.map(([name, make]) =>
    limits(
      `${name}, one beyond, ${place === 'auth' ? 'before authentication' : 'before binding'}`,
      make(1),
      ends('policy-violation'),
      { at: place },
    ),
  )
}

const answers: Expectation = goesOn('auth')
const stranger: Case[] = [
  ...early('auth'),
  ...early('bind'),
  limits(
    'bytes that a client may send later, before authentication',
    sized(credentials('FILL'), clientLimits.bytes - overhead),
    ends('policy-violation'),
    { at: 'auth' },
  ),
  limits('a depth that takes minutes, before authentication', credentials(nested(3_000)), ends('policy-violation'), {
    at: 'auth',
  }),
  limits(
    'credentials without an end',
    `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${'A'.repeat(strangerLimits.bytes)}`,
    ends('policy-violation'),
    { at: 'auth', wires: tcp },
  ),
  limits(
    'passes: elements, at the limit before authentication',
    [credentials('<y/>'.repeat(strangerLimits.elements - 1)), { await: 'failure' }],
    answers,
    { at: 'auth' },
  ),
  limits(
    'passes: depth, at the limit before authentication',
    [credentials(nested(strangerLimits.depth - 1)), { await: 'failure' }],
    answers,
    { at: 'auth' },
  ),
  limits(
    'passes: attributes, at the limit before authentication',
    [credentials(`<y${attributes(strangerLimits.attributes)}/>`), { await: 'failure' }],
    answers,
    { at: 'auth' },
  ),
  limits(
    'passes: bytes, at the limit before authentication',
    [sized(credentials('FILL'), strangerLimits.bytes), { await: 'failure' }],
    answers,
    { at: 'auth' },
  ),
  limits(
    'a header without an end',
    `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='${'l'.repeat(20_000)}`,
    ends('policy-violation'),
    { at: 'header', wires: tcp },
  ),
  limits(
    'a header of many attributes',
    `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'${attributes(200)}>`,
    ends('policy-violation'),
    { at: 'header', wires: tcp },
  ),
  limits(
    'a header of a long domain',
    `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='${'l'.repeat(1_024)}' version='1.0'>`,
    ends('host-unknown'),
    { at: 'header', wires: tcp },
  ),
  limits(
    'a declaration without an end',
    `<?xml version='1.0'${' '.repeat(20_000)}`,
    ends('policy-violation', 'not-well-formed', 'restricted-xml'),
    { at: 'header', wires: tcp },
  ),
  limits(
    'text without an end in place of a header',
    'A'.repeat(20_000),
    ends('not-well-formed', 'bad-format', 'policy-violation'),
    { at: 'header', wires: tcp },
  ),
  limits(
    'an open element of many bytes',
    `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0' x='${'x'.repeat(20_000)}'/>`,
    ends('policy-violation'),
    { at: 'header', wires: websocket },
  ),
  limits('passes: white space before authentication', [' '.repeat(5_000)], goesOn('auth'), { at: 'auth', wires: tcp }),
  limits('passes: white space before binding', [' '.repeat(5_000)], goesOn('bind'), { at: 'bind', wires: tcp }),
  limits('a ping of many bytes', { frame: { opcode: opcodes.ping, payload: 'x'.repeat(126) } }, closed(1002), {
    wires: websocket,
  }),
  limits(
    'passes: a ping of 125 bytes',
    [{ frame: { opcode: opcodes.ping, payload: 'x'.repeat(125) } }, { await: 'pong' }],
    answered('iq(', 'id=mark-{id}'),
    { wires: websocket },
  ),
]

const cutInto = (pieces: number) => ({ cut: 20, of: sized(message('<body>FILL</body>'), 20 * pieces - 10) })
const inFragments: Case[] = [
  limits('passes: fragments, nearly as many as may be', cutInto(fragments - 1), delivered(cutInto(fragments - 1).of), {
    wires: websocket,
  }),
  limits('more fragments than may be', cutInto(fragments + 2), closed(1008), { wires: websocket }),
]

export const limitCases: readonly Case[] = [...bound, ...size, ...stranger, ...inFragments]
