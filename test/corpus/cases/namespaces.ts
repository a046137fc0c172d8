/** Namespaces and prefixes of streams and stanzas (RFC 6120 section 4.8). */
import {
  body,
  type Case,
  delivered,
  ends,
  extension,
  goesOn,
  harmless,
  maker,
  observer,
  tcp,
  websocket,
} from '../case.ts'

const namespaces = maker('namespaces')
const streams = 'http://etherx.jabber.org/streams'
const framing = 'urn:ietf:params:xml:ns:xmpp-framing'
const attributes = "to='localhost' version='1.0'"

const headers: Case[] = [
  ['a content namespace of servers', `<stream:stream xmlns='jabber:server' xmlns:stream='${streams}' ${attributes}>`],
  [
    'a content namespace of components',
    `<stream:stream xmlns='jabber:component:accept' xmlns:stream='${streams}' ${attributes}>`,
  ],
  ['an unknown content namespace', `<stream:stream xmlns='urn:example' xmlns:stream='${streams}' ${attributes}>`],
  ['a content namespace in capitals', `<stream:stream xmlns='JABBER:CLIENT' xmlns:stream='${streams}' ${attributes}>`],
  ['another stream namespace', `<stream:stream xmlns='jabber:client' xmlns:stream='urn:example' ${attributes}>`],
  ['a stream namespace with a slash', `<stream:stream xmlns='jabber:client' xmlns:stream='${streams}/' ${attributes}>`],
  [
    'a stream namespace in capitals',
    `<stream:stream xmlns='jabber:client' xmlns:stream='${streams.toUpperCase()}' ${attributes}>`,
  ],
  ['no stream namespace', `<stream xmlns='jabber:client' ${attributes}>`],
  ['no namespace at all', `<stream ${attributes}>`],
  ['the framing namespace', `<open xmlns='${framing}' ${attributes}>`],
].map(([name, header]) =>
  namespaces(`${name} in the header`, header as string, ends('invalid-namespace'), { wires: tcp, at: 'header' }),
)

const opens: Case[] = [
  ['the stream namespace', `<open xmlns='${streams}' ${attributes}/>`],
  ['the content namespace', `<open xmlns='jabber:client' ${attributes}/>`],
  ['no namespace', `<open ${attributes}/>`],
  ['an unknown namespace', `<open xmlns='urn:example' ${attributes}/>`],
  ['the framing namespace in capitals', `<open xmlns='${framing.toUpperCase()}' ${attributes}/>`],
].map(([name, header]) =>
  namespaces(`an open element of ${name}`, header as string, ends('invalid-namespace'), {
    wires: websocket,
    at: 'header',
  }),
)

const closes: Case[] = [streams, 'jabber:client', '', 'urn:example'].map(uri =>
  namespaces(`a close element of '${uri}'`, `<close xmlns='${uri}'/>`, ends('invalid-namespace'), { wires: websocket }),
)

const kinds = ['message', 'presence', 'iq'] as const
const inside = { message: '<body>smuggled</body>', presence: '', iq: "<ping xmlns='urn:xmpp:ping'/>" }
const stanza = (kind: (typeof kinds)[number], xmlns: string, name: string = kind) =>
  `<${name}${xmlns} to='${observer}' id='{id}'${kind === 'iq' ? " type='get'" : ''}>${inside[kind]}</${name}>`

const stanzas: Case[] = kinds.flatMap(kind => [
  namespaces(
    `${kind} of servers`,
    stanza(kind, " xmlns='jabber:server'"),
    ends('unsupported-stanza-type', 'invalid-namespace'),
  ),
  namespaces(
    `${kind} of the stream namespace`,
    stanza(kind, ` xmlns='${streams}'`),
    ends('unsupported-stanza-type', 'invalid-namespace'),
  ),
  namespaces(
    `${kind} of the framing namespace`,
    stanza(kind, ` xmlns='${framing}'`),
    ends('unsupported-stanza-type', 'invalid-namespace'),
  ),
  namespaces(
    `${kind} without a namespace`,
    stanza(kind, " xmlns=''"),
    ends('unsupported-stanza-type', 'invalid-namespace'),
  ),
  namespaces(`${kind} that declares none`, stanza(kind, ''), ends('unsupported-stanza-type', 'invalid-namespace'), {
    wires: websocket,
  }),
  namespaces(`${kind} of an unknown namespace`, stanza(kind, " xmlns='urn:example:evil'"), harmless),
  namespaces(`${kind} of components`, stanza(kind, " xmlns='jabber:component:accept'"), harmless),
  namespaces(`${kind} of the content namespace in capitals`, stanza(kind, " xmlns='Jabber:Client'"), harmless),
  namespaces(
    `${kind} under a prefix`,
    stanza(kind, " xmlns:c='jabber:client'", `c:${kind}`),
    ends('bad-namespace-prefix', 'unsupported-stanza-type'),
  ),
  namespaces(
    `${kind} under the prefix of the stream`,
    stanza(kind, '', `stream:${kind}`),
    ends('unsupported-stanza-type', 'bad-namespace-prefix'),
    { wires: tcp },
  ),
  namespaces(
    `${kind} under that prefix, declared again`,
    stanza(kind, " xmlns:stream='jabber:client'", `stream:${kind}`),
    ends('bad-namespace-prefix', 'unsupported-stanza-type'),
  ),
  namespaces(
    `${kind} with its name in capitals`,
    stanza(kind, " xmlns='jabber:client'", kind.toUpperCase()),
    ends('unsupported-stanza-type', 'invalid-namespace'),
  ),
])

const others: Case[] = [
  namespaces(
    'an unknown element of the content namespace',
    `<stanza xmlns='jabber:client' to='${observer}' id='{id}'/>`,
    ends('unsupported-stanza-type'),
  ),
  namespaces(
    'a body on the first level',
    "<body xmlns='jabber:client'>smuggled</body>",
    ends('unsupported-stanza-type'),
  ),
  namespaces(
    'dialback',
    "<db:result xmlns:db='jabber:server:dialback' from='a.example' to='localhost'>x</db:result>",
    harmless,
  ),
  namespaces('a component handshake', "<handshake xmlns='jabber:component:accept'>x</handshake>", harmless),
  ...['{id}', 'x'].map(prefix =>
    namespaces(
      `a content namespace under a prefix of the header (${prefix})`,
      [
        `<stream:stream xmlns:c='jabber:client' xmlns='jabber:client' xmlns:stream='${streams}' ${attributes}>`,
        { await: 'features' },
        `<c:iq type='get' id='{id}'><q xmlns='u'/></c:iq>`,
      ],
      ends('bad-namespace-prefix'),
      { wires: tcp, at: 'header' },
    ),
  ),
  namespaces(
    'a default namespace that the header does not give',
    [`<stream xmlns='${streams}' ${attributes}>`, { await: 'features' }, `<message to='${observer}' id='{id}'/>`],
    ends('unsupported-stanza-type', 'invalid-namespace', 'not-authorized'),
    { wires: tcp, at: 'header' },
  ),
]

const passing: readonly (readonly [name: string, header: string])[] = [
  ['a header without a prefix', `<stream xmlns='${streams}' ${attributes}>`],
  ['a header without a content namespace', `<stream:stream xmlns:stream='${streams}' ${attributes}>`],
  [
    'a header with needless declarations',
    `<stream:stream xmlns:sasl='urn:x' xmlns='jabber:client' xmlns:stream='${streams}' xmlns:sm='urn:xmpp:sm:3' ${attributes}>`,
  ],
  [
    'a header in double quotes',
    `<stream:stream xmlns="jabber:client" xmlns:stream="${streams}" to="localhost" version="1.0">`,
  ],
  [
    'a header with line breaks',
    `<stream:stream\n  xmlns='jabber:client'\n  xmlns:stream='${streams}'\n  to='localhost'\n  version='1.0'\n>`,
  ],
  [
    'a header with its attributes in another order',
    `<stream:stream version='1.0' to='localhost' xml:lang='de' xmlns:stream='${streams}' xmlns='jabber:client'>`,
  ],
  [
    'a header with an attribute of an extension',
    `<stream:stream xmlns='jabber:client' xmlns:stream='${streams}' ${attributes} xmlns:x='urn:x' x:y='1'>`,
  ],
]

const twins: Case[] = [
  ...passing.map(([name, header]) =>
    namespaces(`passes: ${name}`, [header, { await: 'features' }], goesOn('auth'), { wires: tcp, at: 'header' }),
  ),
  namespaces(
    'passes: an open element under a prefix',
    [`<f:open xmlns:f='${framing}' ${attributes}/>`, { await: 'features' }],
    goesOn('auth'),
    { wires: websocket, at: 'header' },
  ),
  namespaces(
    'passes: an open element in two tags',
    [`<open xmlns='${framing}' ${attributes}></open>`, { await: 'features' }],
    goesOn('auth'),
    { wires: websocket, at: 'header' },
  ),
  namespaces(
    'passes: a stanza that leaves its namespace to the header',
    body('x').replace(" xmlns='jabber:client'", ''),
    delivered(body('x')),
    { wires: tcp },
  ),
  namespaces(
    'passes: a stanza that declares the stream too',
    body('x').replace('<message', `<message xmlns:stream='${streams}'`),
    delivered(body('x')),
  ),
  namespaces(
    'passes: an extension under a prefix of the stanza',
    body('x').replace('<message', "<message xmlns:p='urn:p'").replace('</body>', '</body><p:y/>'),
    delivered(body('x').replace('</body>', "</body><y xmlns='urn:p'/>")),
  ),
  namespaces(
    'passes: a payload that calls the content namespace by a prefix',
    extension("<c:y xmlns:c='jabber:client'/>"),
    delivered(extension("<y xmlns='jabber:client'/>")),
  ),
  namespaces(
    'passes: a prefix of the stream that means something else',
    body('x').replace('</body>', "</body><stream:y xmlns:stream='urn:y'/>"),
    delivered(body('x').replace('</body>', "</body><y xmlns='urn:y'/>")),
  ),
  namespaces(
    'passes: an extension named like a stanza',
    extension("<message xmlns='urn:example:y'/>"),
    delivered(extension("<message xmlns='urn:example:y'/>")),
  ),
]

export const namespaceCases: readonly Case[] = [...headers, ...opens, ...closes, ...stanzas, ...others, ...twins]
