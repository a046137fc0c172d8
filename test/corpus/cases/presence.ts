/** The types of presence stanzas, to the letter (RFC 6121 section 4.7.1), and their children (section 4.7.2). */
import { answered, type Case, delivered, dropped, maker, observer, refused, tidy } from '../case.ts'

const types = maker('presence types')
const children = maker('presence children')
const bare = 'romeo@localhost'
const all = ['unavailable', 'subscribe', 'subscribed', 'unsubscribe', 'unsubscribed', 'probe', 'error'] as const

const presence = (inside = '', attributes = '', to = observer) =>
  `<presence xmlns='jabber:client' to='${to}' id='{id}'${attributes}>${inside}</presence>`
const broadcast = (inside = '', attributes = '') =>
  `<presence xmlns='jabber:client' id='{id}'${attributes}>${inside}</presence>`

const capital = (type: string) => `${type[0]?.toUpperCase()}${type.slice(1)}`
const variants: readonly (readonly [name: string, of: (type: string) => string])[] = [
  ['in capitals', type => type.toUpperCase()],
  ['with a capital', capital],
  ['with a space before', type => ` ${type}`],
  ['with a space behind', type => `${type} `],
  ['with a tab behind', type => `${type}&#9;`],
  ['with a line feed before', type => `&#10;${type}`],
  ['with a no-break space behind', type => `${type}\u00a0`],
  ['with a zero width space within', type => `${type.slice(0, 3)}\u200b${type.slice(3)}`],
  ['with a full-width letter', type => String.fromCodePoint(0xfee0 + type.charCodeAt(0)) + type.slice(1)],
  ['with a letter more', type => `${type}s`],
  ['with a letter less', type => type.slice(0, -1)],
  ['twice', type => `${type} ${type}`],
]

const made = [
  '',
  ' ',
  'available',
  'invisible',
  'visible',
  'online',
  'offline',
  'away',
  'normal',
  'chat',
  'get',
  'set',
  'result',
  'null',
  'undefined',
  'toString',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  '0',
  'true',
  'subscribe,subscribed',
  'subscribe|unsubscribe',
  '&lt;subscribe/&gt;',
  '\u0441ubscribe',
  'x'.repeat(1_000),
]

const wrong: Case[] = [
  ...all.flatMap(type =>
    variants
      .filter(([, of]) => !(all as readonly string[]).includes(of(type)))
      .map(([name, of]) =>
        types(`'${type}' ${name}`, presence('', ` type='${of(type)}'`, bare), refused('bad-request')),
      ),
  ),
  ...made.flatMap(type => [
    types(`'${type.slice(0, 40)}' to the observer`, presence('', ` type='${type}'`), refused('bad-request')),
    types(`'${type.slice(0, 40)}' to everybody`, broadcast('', ` type='${type}'`), refused('bad-request')),
  ]),
  ...all
    .slice(1, 5)
    .map(type => types(`'${type}' without a 'to'`, broadcast('', ` type='${type}'`), refused('bad-request'))),
  types("'error' without an error", presence('', " type='error'"), dropped),
  types("'error' without an error, to everybody", broadcast('', " type='error'"), dropped),
]

const error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
const caps = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/>"

const right: Case[] = [
  types('passes: none', presence(), delivered(presence())),
  types('passes: none, to everybody', broadcast(), answered('presence(', 'from={me}', 'id={id}')),
  types('passes: unavailable', presence('', " type='unavailable'"), delivered(presence('', " type='unavailable'"))),
  types(
    'passes: unavailable, and available again',
    [presence('', " type='unavailable'"), presence().replace('{id}', '{id}-ok1')],
    delivered(presence('', " type='unavailable'")),
  ),
  types(
    'passes: unavailable in references',
    presence('', " type='&#117;navailable'"),
    delivered(presence('', " type='unavailable'")),
  ),
  types(
    'passes: unavailable in double quotes',
    presence('', ' type="unavailable"'),
    delivered(presence('', " type='unavailable'")),
  ),
  types('passes: an error', presence(error, " type='error'"), delivered(presence(error, " type='error'"))),
  types(
    'passes: a probe',
    [
      presence('', " type='probe'", bare),
      `<iq xmlns='jabber:client' type='get' id='{id}-ping'><ping xmlns='urn:xmpp:ping'/></iq>`,
    ],
    answered('id={id}-ping', 'type=result'),
  ),
  types(
    'passes: a type of another namespace',
    presence('', " xmlns:x='urn:x' x:type='online'").replace('{id}', '{id}-ok1'),
    answered('iq(', 'id=mark-{id}'),
  ),
  ...(['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed'] as const).map(type =>
    types(
      `passes: ${type} to a stranger`,
      [
        presence('', ` type='${type}'`, 'nobody-{id}@localhost'),
        `<iq xmlns='jabber:client' type='get' id='{id}-ping'><ping xmlns='urn:xmpp:ping'/></iq>`,
        tidy,
      ],
      answered('id={id}-ping', 'type=result'),
    ),
  ),
  types(
    'passes: a request, as the roster shows',
    [presence('', " type='subscribe'", 'nobody-{id}@localhost'), tidy],
    answered('{jabber:iq:roster}item(ask=subscribe jid=nobody-{id}@localhost'),
  ),
  types(
    'passes: a request to a full JID, cut to a bare one',
    [presence('', " type='subscribe'", 'nobody-{id}@localhost/r'), tidy],
    answered('{jabber:iq:roster}item(ask=subscribe jid=nobody-{id}@localhost'),
  ),
  types(
    'passes: a request and its withdrawal',
    [
      presence('', " type='subscribe'", bare).replace('{id}', '{id}-ok1'),
      presence('', " type='unsubscribe'", bare).replace('{id}', '{id}-maybe'),
    ],
    answered(`{jabber:iq:roster}item(ask=subscribe jid=${bare}`),
  ),
]

const shows = [
  'online',
  'Away',
  'AWAY',
  ' away',
  'away ',
  'away&#10;',
  'available',
  'busy',
  'unavailable',
  'invisible',
  '0',
  'away dnd',
  '&lt;away/&gt;',
  'a\u200bway',
  ' ',
  'constructor',
  '\u0430way',
]
const priorities = [
  '128',
  '-129',
  '1.0',
  '1e2',
  '0x10',
  '',
  ' ',
  '--1',
  '+-1',
  '1 2',
  'high',
  '999999999999',
  '\u0661',
  '1\u200b',
  'NaN',
  'Infinity',
  '-',
  '+',
  '1,0',
  ' 3',
  '3 ',
  '3&#10;',
]

const faults: readonly (readonly [name: string, inside: string, attributes?: string])[] = [
  ...shows.map(show => [`show '${show}'`, `<show>${show}</show>`] as const),
  ...priorities.map(priority => [`priority '${priority}'`, `<priority>${priority}</priority>`] as const),
  ['two shows', '<show>away</show><show>dnd</show>'],
  ['one show twice', '<show>away</show><show>away</show>'],
  ['two shows around an extension', `<show>away</show>${caps}<show>xa</show>`],
  ['two priorities', '<priority>1</priority><priority>2</priority>'],
  ['one priority twice', '<priority>1</priority><priority>1</priority>'],
  ['two statuses of no language', '<status>a</status><status>b</status>'],
  ['two statuses of one language', "<status xml:lang='de'>a</status><status xml:lang='de'>b</status>"],
  [
    'two statuses of one language in two spellings',
    "<status xml:lang='de-AT'>a</status><status xml:lang='DE-at'>b</status>",
  ],
  [
    "two statuses, one with the stanza's language",
    "<status>a</status><status xml:lang='fr'>b</status>",
    " xml:lang='fr'",
  ],
  ["two statuses, one with the stream's language", "<status>a</status><status xml:lang='en'>b</status>"],
  ['an attribute of show', "<show x='1'>away</show>"],
  ['an attribute of priority', "<priority x='1'>1</priority>"],
  ['an attribute of status', "<status x='1'>a</status>"],
  ['xml:lang of show', "<show xml:lang='en'>away</show>"],
  ['an element in show', "<show>away<x xmlns='u'/></show>"],
  ['an element in an empty show', "<show><x xmlns='u'/></show>"],
  ['an element in priority', "<priority>1<x xmlns='u'/></priority>"],
  ['an element in status', "<status>a<b xmlns='http://www.w3.org/1999/xhtml'>c</b></status>"],
  ['text', 'smuggled'],
  ['text between children', '<show>away</show>smuggled<status>a</status>'],
  ['a CDATA section', '<![CDATA[smuggled]]>'],
  ['a no-break space', '\u00a0'],
  ['an unknown child', '<mood>happy</mood>'],
  ['a body', '<body>smuggled</body>'],
  ['a child in capitals', '<Show>away</Show>'],
  ['a child without a namespace', "<x xmlns=''/>"],
  ['a show without a namespace', "<show xmlns=''>away</show>"],
  ['a show of servers', "<show xmlns='jabber:server'>away</show>"],
  ['a child of servers', "<x xmlns='jabber:server'/>"],
  ['a child of the stream', "<x xmlns='http://etherx.jabber.org/streams'/>"],
  ['features', "<features xmlns='http://etherx.jabber.org/streams'/>"],
  ['a presence in a presence', "<presence type='subscribed'/>"],
  ['an error in a presence that is none', error],
]

const errors: readonly (readonly [name: string, inside: string])[] = [
  ['two errors', `${error}${error}`],
  ['an error without a type', "<error><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"],
  [
    'an error of an unknown type',
    "<error type='fatal'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
  ],
  ['an error without a condition', "<error type='cancel'/>"],
  [
    'an error with two conditions',
    "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
  ],
  [
    'an error with an unknown condition',
    "<error type='cancel'><smuggled xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
  ],
  ['an error of another namespace', "<error xmlns='urn:x' type='cancel'/>"],
]

/** What arrives as it was sent. */
const passing: readonly (readonly [name: string, inside: string, attributes?: string])[] = [
  ...['away', 'chat', 'dnd', 'xa'].map(show => [`show ${show}`, `<show>${show}</show>`] as const),
  ...['0', '1', '-1', '127', '-128'].map(
    priority => [`priority ${priority}`, `<priority>${priority}</priority>`] as const,
  ),
  ['a status', '<status>Wherefore art thou?</status>'],
  ['a long status', `<status>${'x'.repeat(1_025)}</status>`],
  ['statuses in two languages', "<status>a</status><status xml:lang='de'>b</status><status xml:lang='fr'>c</status>"],
  ['an extension after', `<show>away</show>${caps}`],
  ['an extension before', `${caps}<show>away</show>`],
  ['an extension between', `<show>away</show>${caps}<status>a</status>`],
  ['an extension named show', "<show xmlns='urn:x'>online</show>"],
  ['two extensions of one name', "<x xmlns='u' a='1'/><x xmlns='u' a='2'/>"],
  ['a room to be joined', "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>"],
  ['an avatar', "<x xmlns='vcard-temp:x:update'><photo>0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33</photo></x>"],
  ['an idle time', "<idle xmlns='urn:xmpp:idle:1' since='2026-11-25T00:00:00Z'/>"],
  ['a token of an invitation', "<preauth xmlns='urn:xmpp:pars:0' token='x'/>"],
  ['a body of an extension', "<body xmlns='http://www.w3.org/1999/xhtml'>x</body>"],
]
/** Allowed, and put otherwise or left out by one server or the other: that nobody objects is what counts. */
const tolerated: readonly (readonly [name: string, inside: string, attributes?: string])[] = [
  ['an empty status', '<status/>'],
  ['an empty show', '<show/>'],
  ['an empty show beside another', '<show/><show>away</show>'],
  ['a priority with a sign', '<priority>+5</priority>'],
  ['a priority with zeros', '<priority>007</priority>'],
  ['a priority of minus nothing', '<priority>-0</priority>'],
  ['show in unavailable', '<show>away</show>', " type='unavailable'"],
  ['priority in unavailable', '<priority>1</priority>', " type='unavailable'"],
  ['white space between children', '\n  <show>away</show>\n  <status>a</status>\n'],
  ['the language of a status given twice', "<status xml:lang='en'>a</status>", " xml:lang='en'"],
  ['an attribute that nobody knows', '', " xmlns:x='u' x:a='1'"],
  ['an id that is no NMTOKEN', '', " xmlns:x='u' x:id='a/b+c='"],
]

export const presenceTypeCases: readonly Case[] = [...wrong, ...right]

export const presenceChildrenCases: readonly Case[] = [
  ...faults.map(([name, inside, attributes]) =>
    children(`${name} in one to the observer`, presence(inside, attributes), refused('bad-request')),
  ),
  ...faults
    .slice(-36)
    .map(([name, inside, attributes]) =>
      children(`${name} in one to everybody`, broadcast(inside, attributes), refused('bad-request')),
    ),
  ...faults
    .slice(-8)
    .map(([name, inside]) =>
      children(`${name} in a request`, presence(inside, " type='subscribe'", bare), refused('bad-request')),
    ),
  ...faults
    .slice(-8)
    .map(([name, inside]) =>
      children(`${name} in unavailable`, presence(inside, " type='unavailable'"), refused('bad-request')),
    ),
  ...errors.map(([name, inside]) => children(name, presence(inside, " type='error'"), dropped)),
  ...passing.map(([name, inside, attributes]) =>
    children(`passes: ${name}`, presence(inside, attributes), delivered(presence(inside, attributes))),
  ),
  ...tolerated.flatMap(([name, inside, attributes]) => [
    children(
      `passes: ${name}`,
      presence(inside, attributes).replace('{id}', '{id}-ok1'),
      answered('iq(', 'id=mark-{id}'),
    ),
  ]),
  children(
    'passes: a status with a request',
    [presence('<status>Let us</status>', " type='subscribe'", 'nobody-{id}@localhost'), tidy],
    answered('{jabber:iq:roster}item(ask=subscribe jid=nobody-{id}@localhost'),
  ),
  children(
    'passes: a legacy code',
    presence(error.replace('<error', "<error code='404'"), " type='error'").replace('{id}', '{id}-ok1'),
    answered('iq(', 'id=mark-{id}'),
  ),
  children(
    'passes: an application condition',
    presence(error.replace('</error>', "<too-many xmlns='urn:x'/></error>"), " type='error'").replace(
      '{id}',
      '{id}-ok1',
    ),
    answered('iq(', 'id=mark-{id}'),
  ),
]
