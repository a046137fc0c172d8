/** What a server may do to its clients, and what they get of it: whole elements, one stream error, one end. */
import type { StreamError } from '../../../src/stream/item.ts'
import type { Wire } from '../case.ts'
import { upstreamLimits } from '../limits.ts'
import { boundResult, type Moment, moments, type Say, serverHeader } from '../upstream.ts'

export interface HostileCase {
  readonly class: 'hostile server'
  readonly name: string
  readonly wires: readonly Wire[]
  readonly at: Moment
  readonly says: readonly Say[]
  /** The stream error; `ends`: the stream is closed without one; otherwise the client goes on, and has or has not got that text. */
  readonly expect:
    | { readonly error: readonly StreamError[] }
    | 'ends'
    | { readonly passes?: string; readonly stops?: string }
}

const all: readonly Wire[] = ['starttls', 'direct', 'ws']
const make = (
  name: string,
  at: Moment,
  says: readonly Say[] | Say,
  expect: HostileCase['expect'],
  wires = all,
): HostileCase => ({
  class: 'hostile server',
  name,
  wires,
  at,
  says: Array.isArray(says) ? says : [says as Say],
  expect,
})
const right: Say = { does: 'right' }
const own: HostileCase['expect'] = { error: ['internal-server-error'] }
const streams = 'http://etherx.jabber.org/streams'
const conditions = 'urn:ietf:params:xml:ns:xmpp-streams'
const error = (condition: string, inside = '') =>
  `<stream:error><${condition} xmlns='${conditions}'>${inside}</${condition}></stream:error>`
/** Where the server has said its header and none is due. */
const begun = moments.slice(2).filter(at => at !== 'restart')

/** Nothing that can be read on. */
const unreadable: Readonly<Record<string, Uint8Array | string>> = {
  text: 'poison',
  HTTP: 'HTTP/1.1 400 Bad Request\r\n\r\npoison',
  'mismatched tags': '<a><b></a>',
  'a comment': '<!-- poison --><a/>',
  'a processing instruction': '<?poison x?><a/>',
  'a DOCTYPE': '<!DOCTYPE poison><a/>',
  'an entity': '<a>&poison;</a>',
  'bytes that are no UTF-8': Buffer.from([0x3c, 0x61, 0x3e, 0xc0, 0xbc, 0x3c]),
  UTF_16: Buffer.from(serverHeader, 'utf16le'),
  NUL: '<a>\0</a>',
  'a reference to a control character': '<a>&#1;</a>',
  'an undeclared prefix': '<p:a/>',
  'a depth that takes minutes': '<a>'.repeat(upstreamLimits.depth + 2),
  'an end tag of something else': '</poison>',
}

const garbage: HostileCase[] = moments.flatMap(at =>
  Object.entries(unreadable).map(([name, says]) => make(`${name} in place of: ${at}`, at, says, own)),
)

const endings: HostileCase[] = [
  ...moments.flatMap(at => [
    make(`the end of the connection in place of: ${at}`, at, [{ does: 'end' }], own),
    make(`a reset in place of: ${at}`, at, [{ does: 'reset' }], own),
    make(
      `half an element, and the end, in place of: ${at}`,
      at,
      ["<message from='a@b.example'><body>poison", { does: 'end' }],
      own,
    ),
    make(`half a tag, and the end, in place of: ${at}`, at, ["<message from='poison", { does: 'end' }], own),
  ]),
  ...begun.map(at => make(`the end tag in place of: ${at}`, at, ['</stream:stream>', { does: 'end' }], 'ends')),
  ...begun.map(at =>
    make(
      `half an element, and the end tag, in place of: ${at}`,
      at,
      ['<message><body>poison</stream:stream>', { does: 'end' }],
      own,
    ),
  ),
]

const headers: HostileCase[] = (['header', 'restart'] as const).flatMap(at => [
  make(`a header of another namespace: ${at}`, at, serverHeader.replace(streams, 'urn:poison'), own),
  make(`a header of servers: ${at}`, at, serverHeader.replace('jabber:client', 'jabber:server'), own),
  make(`a header that is another element: ${at}`, at, `<stream:features xmlns:stream='${streams}'>`, own),
  make(`a header without a version: ${at}`, at, serverHeader.replace(" version='1.0'", ''), own),
  make(`a header of version 0.9: ${at}`, at, serverHeader.replace("version='1.0'", "version='0.9'"), own),
  make(`a header in UTF-16 by declaration: ${at}`, at, serverHeader.replace("'1.0'?", "'1.0' encoding='UTF-16'?"), own),
  make(`a header of XML 1.1: ${at}`, at, serverHeader.replace("'1.0'?", "'1.1'?"), own),
  make(`a header behind a DOCTYPE: ${at}`, at, serverHeader.replace('?>', '?><!DOCTYPE poison>'), own),
  make(
    `a stanza in place of the header: ${at}`,
    at,
    "<message xmlns='jabber:client'><body>poison</body></message>",
    own,
  ),
  make(`an open element in place of the header: ${at}`, at, "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>", own),
])

const errors: HostileCase[] = begun.flatMap(at => [
  ...(
    [
      'conflict',
      'host-gone',
      'policy-violation',
      'system-shutdown',
      'internal-server-error',
      'not-authorized',
      'undefined-condition',
    ] as const
  ).map(condition =>
    make(`${condition} in place of: ${at}`, at, [error(condition), '</stream:stream>', { does: 'end' }], {
      error: [condition],
    }),
  ),
  make(`an error without an end tag in place of: ${at}`, at, [error('reset'), { does: 'end' }], { error: ['reset'] }),
  make(`two errors in place of: ${at}`, at, [error('conflict'), error('reset'), '</stream:stream>', { does: 'end' }], {
    error: ['conflict'],
  }),
  make(
    `an error and stanzas in place of: ${at}`,
    at,
    [error('conflict'), '<message><body>poison</body></message>', '</stream:stream>', { does: 'end' }],
    { error: ['conflict'] },
  ),
  make(
    `see-other-host in place of: ${at}`,
    at,
    [error('see-other-host', 'poison.example:5222'), '</stream:stream>', { does: 'end' }],
    { error: ['reset'] },
  ),
])

const second: HostileCase[] = begun.flatMap(at => [
  make(`a second header in place of: ${at}`, at, serverHeader.replace(/<\?.*\?>/, ''), own),
  make(`a second header with a declaration in place of: ${at}`, at, serverHeader, own),
])

const big: HostileCase[] = [
  make(
    'features of many bytes',
    'features',
    [`<stream:features><x xmlns='urn:x'>${'<y/>'.repeat(20_000)}</x>`, '</stream:features>', { does: 'on' }],
    { passes: 'features' },
    ['direct'],
  ),
  make(
    'features beyond all bounds',
    'features',
    `<stream:features><x xmlns='urn:x' a='${'x'.repeat(upstreamLimits.bytes)}'/></stream:features>`,
    own,
    ['direct'],
  ),
  make(
    'more elements than bounds allow',
    'bound',
    `<message>${'<y/>'.repeat(upstreamLimits.elements)}</message>`,
    own,
    ['direct'],
  ),
]

const forBind: Readonly<Record<string, readonly [string, HostileCase['expect']]>> = {
  'a result without a resource': [boundResult.replace('/x', ''), own],
  'a result with an empty resource': [boundResult.replace('/x', '/'), own],
  'a result with no JID': [boundResult.replace('juliet@localhost/x', '@/x'), own],
  'a result with two at signs': [boundResult.replace('juliet@', 'juliet@other@'), own],
}

const binding: HostileCase[] = Object.entries(forBind).map(([name, [says, expect]]) => make(name, 'bind', says, expect))

const message = "<message from='a@b.example/x' to='juliet@localhost/x' id='in'><body>fine</body></message>"
const bound: HostileCase[] = [
  make(
    'passes: a stream error in a stanza',
    'bound',
    `<message from='a@b.example' id='in'>${error('conflict')}</message>`,
    { passes: 'conflict' },
  ),
  make('passes: features in a stanza', 'bound', "<message from='a@b.example' id='in'><stream:features/></message>", {
    passes: 'features',
  }),
  make(
    'passes: an end tag in a CDATA section',
    'bound',
    "<message from='a@b.example' id='in'><body><![CDATA[</stream:stream>]]></body></message>",
    { passes: '</stream:stream>' },
  ),
  make('passes: white space', 'bound', [' \n ', message], { passes: 'fine' }),
  make(
    'passes: a stanza of a server that adds what it likes',
    'bound',
    message.replace('<body>', "<x:y xmlns:x='urn:x ' x:z='1'/><body>"),
    { passes: 'fine' },
  ),
  make(
    'a roster push from a stranger',
    'bound',
    "<iq type='set' id='in' from='poison@b.example'><query xmlns='jabber:iq:roster'><item jid='poison@b.example'/></query></iq>",
    { stops: 'poison' },
  ),
  make(
    'a roster push from a longer name',
    'bound',
    "<iq type='set' id='in' from='juliet@localhost.example'><query xmlns='jabber:iq:roster'><item jid='poison@b.example'/></query></iq>",
    { stops: 'poison' },
  ),
  make(
    'a stanza of servers',
    'bound',
    "<message xmlns='jabber:server' from='a@b.example' id='in'><body>poison</body></message>",
    { stops: 'poison' },
  ),
  make(
    'a stanza of components',
    'bound',
    "<presence xmlns='jabber:component:accept' from='poison@b.example' id='in' type='subscribed'/>",
    { stops: 'poison' },
  ),
  make(
    'a stanza without a namespace',
    'bound',
    "<message xmlns='' from='a@b.example' id='in'><body>poison</body></message>",
    { stops: 'poison' },
  ),
  make(
    'features that offer what the gate has',
    'features',
    [
      "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls><compression xmlns='http://jabber.org/features/compress'><method>poison</method></compression><auth xmlns='http://jabber.org/features/iq-auth'/><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>",
      { does: 'on' },
    ],
    { stops: 'poison' },
  ),
]

/** What nobody has asked for yet, or at all. */
const early: HostileCase[] = (['features', 'sasl', 'second features', 'bind'] as const).flatMap(at => [
  make(
    `a roster push before: ${at}`,
    at,
    [
      "<iq type='set' id='in' from='poison@b.example'><query xmlns='jabber:iq:roster'><item jid='poison@b.example'/></query></iq>",
      right,
    ],
    { stops: 'poison' },
  ),
  make(`an approval before: ${at}`, at, ["<presence from='poison@b.example' type='subscribed'/>", right], {
    stops: 'poison',
  }),
  make(`a message before: ${at}`, at, ["<message from='poison@b.example'><body>x</body></message>", right], {
    stops: 'poison',
  }),
  make(`a stanza of servers before: ${at}`, at, ["<message xmlns='jabber:server' from='poison@b.example'/>", right], {
    stops: 'poison',
  }),
])
const misplaced: HostileCase[] = [
  [
    'a redirection of the wire',
    "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing' see-other-uri='wss://poison.example/'/>",
  ],
  ['a header of the other wire', "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='poison'/>"],
  ['a success that nobody waits for', "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>poison</success>"],
  ['a challenge that nobody waits for', "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>poison</challenge>"],
  [
    'a success of SASL2',
    "<success xmlns='urn:xmpp:sasl:2'><authorization-identifier>poison@localhost/x</authorization-identifier></success>",
  ],
  ['leave to begin TLS', "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls' a='poison'/>"],
  ['leave to begin compression', "<compressed xmlns='http://jabber.org/protocol/compress' a='poison'/>"],
].map(([name, says]) => make(`${name} on a bound stream`, 'bound', says as string, { stops: 'poison' }))

export const hostileCases: readonly HostileCase[] = [
  ...garbage,
  ...endings,
  ...headers,
  ...errors,
  ...second,
  ...big,
  ...binding,
  ...bound,
  ...early,
  ...misplaced,
]
