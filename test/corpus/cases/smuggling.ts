/** One stream made to look like two, one stanza like two, or half a stanza like a whole one. */
import {
  answered,
  body,
  bytes,
  type Case,
  closed,
  delivered,
  ends,
  extension,
  good,
  harmless,
  maker,
  message,
  observer,
  tcp,
  websocket,
} from '../case.ts'

const smuggling = maker('smuggling')
const streams = 'http://etherx.jabber.org/streams'
const stream = (attributes = '', name = 'stream:stream') =>
  `<${name} xmlns='jabber:client' xmlns:stream='${streams}' to='localhost' version='1.0'${attributes}>`
const subscribed = `<presence xmlns='jabber:client' to='${observer}' type='subscribed' id='{id}'/>`
const half = `<message xmlns='jabber:client' to='${observer}' type='chat' id='{id}'><body>smuggled`

/** A stream in a stream: all that follows would be its content. */
const second: Case[] = [
  smuggling(
    'a second stream header',
    `${good()}${stream()}`,
    ends('bad-format', 'unsupported-stanza-type', 'not-well-formed', 'invalid-xml'),
    { wires: tcp },
  ),
  smuggling('a second stream header with a declaration', `<?xml version='1.0'?>${stream()}`, ends('restricted-xml'), {
    wires: tcp,
  }),
  smuggling(
    'a second stream header and a stanza in it',
    `${stream()}${body('smuggled')}`,
    ends('bad-format', 'unsupported-stanza-type', 'not-well-formed', 'invalid-xml'),
    { wires: tcp },
  ),
  smuggling(
    'a second stream header to elsewhere',
    stream().replace("to='localhost'", "to='elsewhere.example'"),
    ends('bad-format', 'unsupported-stanza-type', 'not-well-formed', 'invalid-xml', 'host-unknown'),
    { wires: tcp },
  ),
  smuggling(
    'a second stream header before authentication',
    stream(),
    ends('bad-format', 'unsupported-stanza-type', 'not-well-formed', 'invalid-xml'),
    { wires: tcp, at: 'auth' },
  ),
  smuggling(
    'a second stream header before binding',
    stream(),
    ends('bad-format', 'unsupported-stanza-type', 'not-well-formed', 'invalid-xml'),
    { wires: tcp, at: 'bind' },
  ),
  smuggling(
    'a stream header under another prefix',
    `<s:stream xmlns:s='${streams}'>${body('smuggled')}`,
    ends('bad-format', 'unsupported-stanza-type', 'not-well-formed', 'invalid-xml', 'bad-namespace-prefix'),
    { wires: tcp },
  ),
  smuggling(
    'a whole stream within the stream',
    `${stream()}${body('smuggled')}</stream:stream>`,
    ends('bad-format', 'unsupported-stanza-type', 'not-well-formed', 'invalid-xml'),
    { wires: tcp },
  ),
  smuggling('a stream header in a message', stream(), ends('not-well-formed'), { wires: websocket }),
  smuggling(
    'a whole stream in a message',
    `${stream()}${body('smuggled')}</stream:stream>`,
    ends('invalid-namespace', 'not-well-formed'),
    { wires: websocket },
  ),
  smuggling(
    'a second open element',
    '{header}',
    ends('bad-format', 'unsupported-stanza-type', 'invalid-xml', 'not-well-formed', 'not-authorized'),
    { wires: websocket },
  ),
]

/** What only the server says. */
const serverOnly: Case[] = [
  ['features', `<stream:features xmlns:stream='${streams}'/>`],
  [
    'features with a mechanism',
    `<features xmlns='${streams}'><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></features>`,
  ],
  ['an unknown element of the stream', `<x xmlns='${streams}'/>`],
  ['proceed', "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"],
  ['a failure of TLS', "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"],
  ['success', "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"],
  ['a challenge', "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"],
  ['a failure of SASL', "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"],
  ['mechanisms', "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"],
  [
    'success of SASL2',
    "<success xmlns='urn:xmpp:sasl:2'><authorization-identifier>romeo@localhost/x</authorization-identifier></success>",
  ],
  ['compressed', "<compressed xmlns='http://jabber.org/protocol/compress'/>"],
].flatMap(([name, step]) =>
  (['auth', 'bind', 'bound'] as const).map(at =>
    smuggling(
      `${name} from a client, ${at}`,
      step as string,
      ends('unsupported-stanza-type', 'not-authorized', 'bad-format'),
      { at },
    ),
  ),
)

/** The stream is over, and more is said. */
const afterTheEnd: Case[] = [
  smuggling('a stanza behind the end tag', `${good()}</stream:stream>${body('smuggled')}`, closed(), { wires: tcp }),
  smuggling('a stanza behind the end', ['{end}', body('smuggled')], closed(1000), { wires: websocket }),
  smuggling('a new stream behind the end tag', `</stream:stream>${stream()}${body('smuggled')}`, closed(), {
    wires: tcp,
  }),
  smuggling(
    'a stanza behind a stream error',
    [
      `<stream:error xmlns:stream='${streams}'><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`,
      body('smuggled'),
    ],
    closed(1000),
  ),
  smuggling('a stanza behind what ended the stream', `<!-- x -->${body('smuggled')}`, ends('restricted-xml'), {
    wires: tcp,
  }),
  smuggling(
    'stanzas behind what ended the stream',
    ['<a></b>', body('smuggled'), body('smuggled')],
    ends('not-well-formed'),
  ),
  smuggling(
    'stanzas in one write with what ended the stream',
    `${good(1)}${good(2)}<a></b>${body('smuggled')}`,
    ends('not-well-formed'),
    { wires: tcp },
  ),
]

/** Nothing of half a stanza passes. */
const halves: Case[] = [
  ...[
    half,
    `${half}</body>`,
    `${half}</body></message`,
    half.slice(0, -25),
    "<presence xmlns='jabber:client' type='subscribed'",
    '<',
  ].flatMap((piece, number) => [
    smuggling(`half a stanza, and the end of the connection (${number})`, [good(), piece, { hang: 'half' }], closed(), {
      wires: tcp,
    }),
    smuggling(
      `half a stanza, and the end tag (${number})`,
      [good(), `${piece}</stream:stream>`],
      ends('not-well-formed'),
      { wires: tcp },
    ),
  ]),
  smuggling(
    'a message without its last fragment',
    [{ frame: { fin: false, payload: body('smuggled') } }, { hang: 'half' }],
    closed(1006),
    { wires: websocket },
  ),
]

/** What only looks like the end of a stanza, and the like. */
const disguised: Case[] = [
  ['an attribute that holds a stanza', `<y a="&apos;/>&lt;presence type=&apos;subscribed&apos;/>"/>`],
  ['an attribute that holds an end tag', `<y a='&lt;/message>&lt;/stream:stream>'/>`],
  ['a body of markup in references', '&#60;/body&#62;&#60;/message&#62;'],
  ['a stanza of another type within', subscribed.replace("id='{id}'", "id='x'").replace(observer, 'a@b.example')],
  [
    'an IQ within',
    "<iq xmlns='jabber:client' type='set'><query xmlns='jabber:iq:roster'><item jid='a@b.example'/></query></iq>",
  ],
  ['a stream within', `<stream xmlns='${streams}'><features/></stream>`],
  ['SASL within', "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AA==</auth>"],
  ['STARTTLS within', "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"],
  ['stream management within', "<r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='99'/>"],
  ['an open element within', "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"],
].map(([name, content]) =>
  smuggling(`passes: ${name}`, extension(content as string), delivered(extension(content as string))),
)

const cuts: Case[] = [1, 2, 3, 7].map(cut =>
  smuggling(
    `passes: a stanza in pieces of ${cut}`,
    { cut, of: body('&lt;/body> \u{1f600}') },
    delivered(body('&lt;/body&gt; \u{1f600}')),
  ),
)

/** Other protocols at the port, and a stream that begins otherwise. */
const others: Case[] = [
  smuggling(
    'a handshake of TLS within TLS',
    bytes([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]),
    ends('not-well-formed', 'unsupported-encoding'),
    { wires: tcp, at: 'header' },
  ),
  smuggling('a PROXY header', 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n', ends('not-well-formed', 'bad-format'), {
    wires: tcp,
    at: 'header',
  }),
  smuggling(
    'a WebSocket upgrade',
    'GET /xmpp-websocket HTTP/1.1\r\nUpgrade: websocket\r\n\r\n',
    ends('not-well-formed', 'bad-format'),
    { wires: tcp, at: 'header' },
  ),
  smuggling(
    'a stanza in place of the header',
    body('smuggled'),
    ends('invalid-namespace', 'bad-format', 'not-authorized'),
    { at: 'header' },
  ),
  smuggling(
    'authentication in place of the header',
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
    ends('invalid-namespace', 'bad-format', 'not-authorized'),
    { at: 'header' },
  ),
  smuggling(
    'a BOSH body in place of the header',
    "<body xmlns='http://jabber.org/protocol/httpbind' to='localhost'/>",
    ends('invalid-namespace', 'bad-format', 'not-authorized'),
    { at: 'header' },
  ),
  smuggling('a header that ends at once', `${stream().slice(0, -1)}/>`, closed(), { wires: tcp, at: 'header' }),
]

/** Pipelined: nothing is read before the server has answered what decides how it is to be read. */
const pipelined: Case[] = [
  smuggling(
    'a stanza in one write with wrong credentials',
    `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHgAeA==</auth>${body('smuggled')}`,
    ends('not-authorized'),
    { wires: tcp, at: 'auth' },
  ),
  smuggling(
    'a stanza in one write with the bind request',
    [
      `<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq><iq xmlns='jabber:client' type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>`,
      { await: 'iq' },
      { await: 'iq' },
    ],
    answered('id={id}', 'type=result'),
    { wires: tcp, at: 'bind' },
  ),
]

const nul: Case[] = [
  smuggling('a stanza behind NUL', bytes(good(), [0], body('smuggled')), ends('not-well-formed', 'bad-format'), {
    wires: tcp,
  }),
  smuggling(
    'a bare presence of nobody',
    "<presence to='romeo@localhost/observer' id='{id}' type='subscribed'/>",
    ends('unsupported-stanza-type', 'bad-format', 'invalid-namespace'),
    { wires: websocket },
  ),
  smuggling(
    'a response to a request that the client has not got',
    `<iq xmlns='jabber:client' type='result' id='{id}' to='${observer}'/>`,
    delivered(`<iq xmlns='jabber:client' type='result' id='{id}' to='${observer}'/>`),
  ),
  smuggling(
    'an unknown element of an unknown namespace',
    "<x xmlns='urn:example:unknown' to='romeo@localhost/observer' id='{id}'>smuggled</x>",
    harmless,
  ),
  smuggling(
    'a message in an extension',
    message('<x xmlns="urn:example:x"><message xmlns="jabber:client" id="inner"/></x>'),
    delivered(message('<x xmlns="urn:example:x"><message xmlns="jabber:client" id="inner"/></x>')),
  ),
]

export const smugglingCases: readonly Case[] = [
  ...second,
  ...serverOnly,
  ...afterTheEnd,
  ...halves,
  ...disguised,
  ...cuts,
  ...others,
  ...pipelined,
  ...nul,
]
