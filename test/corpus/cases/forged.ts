/** What a stranger gets a careless server to tell a client (RFC 6121 sections 2.1.6, 3.1.6 and 3.2.3), past all that it would check. */
import { answered, type Case, dropped, maker } from '../case.ts'

const forged = maker('from the server')

const push = (from: string | undefined, inside = "<item jid='smuggled@localhost' subscription='both'/>") =>
  `<iq xmlns='jabber:client' type='set' id='{id}'${from === undefined ? '' : ` from='${from}'`} to='{me}'><query xmlns='jabber:iq:roster'>${inside}</query></iq>`
const roster = [
  "<iq xmlns='jabber:client' type='get' id='{id}-roster'><query xmlns='jabber:iq:roster'/></iq>",
  { await: 'iq' },
] as const
const strangers = [
  'mallory@elsewhere.example',
  'mallory@elsewhere.example/x',
  'romeo@localhost',
  'romeo@localhost/observer',
  'localhost',
  '{me}',
  '{bare}/another',
  '{user}@localhost.example',
  'x{bare}',
  '',
  ' {bare}',
  '{user}@localhost ',
]

const pushes: Case[] = [
  ...strangers.map(from => forged(`a roster push from '${from}'`, [...roster, { inject: push(from) }], dropped)),
  forged(
    'a removal from a stranger',
    [{ inject: push('romeo@localhost', "<item jid='nurse@localhost' subscription='remove'/>") }],
    dropped,
  ),
  forged(
    'passes: a roster push without from',
    { inject: push(undefined, "<item jid='a@b.example' subscription='none'/>") },
    answered('iq(', 'id={id}', '{jabber:iq:roster}query'),
  ),
  forged(
    'passes: a roster push from the account',
    { inject: push('{bare}', "<item jid='a@b.example' subscription='none'/>") },
    answered('iq(', 'id={id}', '{jabber:iq:roster}query'),
  ),
]

const notices: Case[] = ['subscribed', 'unsubscribed'].flatMap(type =>
  [
    'stranger@elsewhere.example',
    'stranger@elsewhere.example/x',
    'STRANGER@elsewhere.example',
    'localhost',
    'stranger-{id}@localhost',
  ].map(from =>
    forged(
      `${type} from ${from}, unasked`,
      [...roster, { inject: `<presence xmlns='jabber:client' from='${from}' to='{bare}' type='${type}' id='{id}'/>` }],
      dropped,
    ),
  ),
)

const likeStanzas: Case[] = ['jabber:server', 'urn:example:x', 'http://etherx.jabber.org/streams'].flatMap(uri =>
  ['message', 'presence', 'iq'].map(kind =>
    forged(
      `${kind} of '${uri}'`,
      {
        inject: `<${kind} xmlns='${uri}' from='romeo@localhost' to='{me}' type='set' id='{id}'><body>smuggled</body></${kind}>`,
      },
      dropped,
    ),
  ),
)

const relayed: readonly (readonly [name: string, xml: string, by: string[]])[] = [
  [
    'a request',
    "<presence xmlns='jabber:client' from='stranger@elsewhere.example' to='{bare}' type='subscribe' id='{id}'/>",
    ['id={id}', 'type=subscribe'],
  ],
  [
    'a withdrawal',
    "<presence xmlns='jabber:client' from='stranger@elsewhere.example' to='{bare}' type='unsubscribe' id='{id}'/>",
    ['id={id}', 'type=unsubscribe'],
  ],
  [
    'a presence with anything',
    "<presence xmlns='jabber:client' from='a@b.example/x' to='{me}' id='{id}'><show>online</show><show>away</show><mood/></presence>",
    ['id={id}', 'show', 'mood'],
  ],
  [
    'a message of an unknown type',
    "<message xmlns='jabber:client' from='a@b.example/x' to='{me}' type='odd' id='{id}'><body>x</body></message>",
    ['id={id}', 'type=odd'],
  ],
  [
    'a name of XML that no ASCII name is',
    "<message xmlns='jabber:client' from='a@b.example/x' to='{me}' id='{id}'><\u00e9t\u00e9 xmlns='urn:x'/></message>",
    ['id={id}', '\u00e9t\u00e9'],
  ],
  [
    'an error',
    "<presence xmlns='jabber:client' from='a@b.example' to='{me}' type='error' id='{id}'/>",
    ['id={id}', 'type=error'],
  ],
]

const carbon = (from: string | undefined, how: string) =>
  `<message xmlns='jabber:client'${from === undefined ? '' : ` from='${from}'`} to='{me}' type='chat' id='{id}'><${how} xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='{bare}/x' to='romeo@localhost' type='chat'><body>smuggled</body></message></forwarded></${how}></message>`
const carbons: Case[] = ['received', 'sent'].flatMap(how => [
  ...[
    'mallory@elsewhere.example',
    'mallory@elsewhere.example/x',
    'romeo@localhost',
    'localhost',
    '{bare}/another',
    '{user}@localhost.example',
  ].map(from => forged(`a carbon, ${how}, from '${from}'`, { inject: carbon(from, how) }, dropped)),
  forged(
    `passes: a carbon, ${how}, from the account`,
    { inject: carbon('{bare}', how) },
    answered('id={id}', '{urn:xmpp:carbons:2}'),
  ),
  forged(
    `passes: a carbon, ${how}, from nobody`,
    { inject: carbon(undefined, how) },
    answered('id={id}', '{urn:xmpp:carbons:2}'),
  ),
])

const unasked: Case[] = ['result', 'error'].flatMap(type =>
  ['stranger@elsewhere.example/x', 'romeo@localhost/observer', 'romeo@localhost'].map(from =>
    forged(
      `an IQ ${type} of ${from} to a request never made`,
      {
        inject: `<iq xmlns='jabber:client' from='${from}' to='{me}' type='${type}' id='{id}'>${type === 'result' ? "<x xmlns='urn:x'/>" : "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"}</iq>`,
      },
      dropped,
    ),
  ),
)
const asked: Case[] = ['result', 'error'].map(type =>
  forged(
    `passes: an IQ ${type} of whom was asked`,
    [
      "<iq xmlns='jabber:client' to='romeo@localhost/observer' type='get' id='{id}-ok1'><x xmlns='urn:x'/></iq>",
      {
        inject: `<iq xmlns='jabber:client' from='romeo@localhost/observer' to='{me}' type='${type}' id='{id}-ok1'><y xmlns='urn:x'/></iq>`,
      },
    ],
    answered('id={id}-ok1', `type=${type}`),
  ),
)

export const forgedCases: readonly Case[] = [
  ...pushes,
  ...notices,
  ...likeStanzas,
  ...relayed.map(([name, xml, by]) => forged(`passes: ${name}`, { inject: xml }, answered(...by))),
  ...carbons,
  ...unasked,
  ...asked,
]
