/** Who a stanza says it is from (RFC 6120 section 8.1.2.1), and whom it is to (RFC 6121 section 3.1.2, RFC 7622). */
import { answered, type Case, delivered, maker, observer, refused, refusedByServer, tidy } from '../case.ts'

const addresses = maker('addresses')
const bare = 'romeo@localhost'

const stanzas = {
  message: (from: string) =>
    `<message xmlns='jabber:client' from='${from}' to='${observer}' type='chat' id='{id}'><body>x</body></message>`,
  presence: (from: string) => `<presence xmlns='jabber:client' from='${from}' to='${observer}' id='{id}'/>`,
  iq: (from: string) =>
    `<iq xmlns='jabber:client' from='${from}' to='${observer}' type='get' id='{id}'><query xmlns='urn:example:x'/></iq>`,
}
const plain = {
  message: stanzas.message('').replace(" from=''", ''),
  presence: stanzas.presence('').replace(" from=''", ''),
  iq: stanzas.iq('').replace(" from=''", ''),
}
const ping = "<iq xmlns='jabber:client' type='get' id='{id}-ping'><ping xmlns='urn:xmpp:ping'/></iq>"
const kinds = ['message', 'presence', 'iq'] as const

/** None of them is the client's. */
const foreign: Readonly<Record<string, string>> = {
  'the observer': observer,
  'the observer, bare': bare,
  'another account, not online': 'victim@localhost/x',
  'the server': 'localhost',
  'a resource of the server': 'localhost/x',
  'a room': 'room@conference.localhost/nick',
  'an account of another domain': 'mallory@elsewhere.example',
  'the same name elsewhere': '{user}@elsewhere.example/x',
  'the same name at a longer domain': '{user}@localhost.example',
  'the same name at a subdomain': '{user}@sub.localhost',
  'the name with a letter more': 'x{user}@localhost',
  'the name with a space behind': '{user} @localhost',
  'the name with a space before': ' {user}@localhost',
  'the name escaped': '{user}\\20@localhost',
  'the domain with a space behind': '{user}@localhost ',
  'the name with a full-width letter': '\uff4dallory@localhost',
  'the name with a letter of Cyrillic': '{user}\u0430@localhost',
  'the name with a soft hyphen': '{user}\u00ad@localhost',
  'the domain with a soft hyphen': '{user}@local\u00adhost',
  'two at signs': '{user}@localhost@localhost',
  'a resource in front': 'x/{bare}',
  'no JID': '@',
  'an empty name': '@localhost',
  'an empty domain': '{user}@',
  'white space': ' ',
  'a slash': '/',
  'a port': '{user}@localhost:5222',
  'a URI': 'xmpp:{bare}',
  markup: '&lt;{bare}&gt;',
}

/** The client's own: put right by the gate or by the server. */
const own: Readonly<Record<string, string>> = {
  'the full JID': '{me}',
  'the bare JID': '{bare}',
  'another resource': '{bare}/another',
  'the domain in capitals': '{user}@LOCALHOST',
  'the domain in mixed letters': '{user}@LocalHost/x',
  'an empty from': '',
  'a resource with a slash and an at sign': '{bare}/a/b@c',
}

const from: Case[] = kinds.flatMap(kind => [
  ...Object.entries(foreign).map(([name, address]) =>
    addresses(`${kind} from ${name}, overridden`, stanzas[kind](address), delivered(plain[kind])),
  ),
  ...Object.entries(own).map(([name, address]) =>
    addresses(`passes: ${kind} from ${name}`, stanzas[kind](address), delivered(plain[kind])),
  ),
  addresses(`passes: ${kind} without from`, plain[kind], delivered(plain[kind])),
  addresses(
    `passes: ${kind} with a from of another namespace`,
    plain[kind].replace(' to=', " xmlns:x='urn:x' x:from='romeo@localhost' to=").replace('{id}', '{id}-ok1'),
    answered('iq(', 'id=mark-{id}'),
  ),
])

const subscriptions = ['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed'] as const
const presence = (type: string, to: string, more = '') =>
  `<presence xmlns='jabber:client' to='${to}' type='${type}' id='{id}'${more}/>`

/** No JIDs, by any profile. */
const malformed: Readonly<Record<string, string>> = {
  nothing: '',
  'an at sign': '@',
  'an empty name': '@localhost',
  'an empty domain': 'romeo@',
  'an empty resource': 'romeo@localhost/',
  'a slash': '/',
  'a resource alone': '/x',
  'a space in the name': 'ro meo@localhost',
  'a space in the domain': 'romeo@local host',
  'a space before': ' romeo@localhost',
  'a space behind': 'romeo@localhost ',
  'a tab behind': 'romeo@localhost&#9;',
  'two at signs': 'romeo@a@b',
  'a quotation mark': 'ro&quot;meo@localhost',
  'an apostrophe': 'ro&apos;meo@localhost',
  'an ampersand': 'ro&amp;meo@localhost',
  'a colon': 'ro:meo@localhost',
  'a less-than': 'ro&lt;meo@localhost',
  'a greater-than': 'ro&gt;meo@localhost',
  'two full stops': 'romeo@local..host',
  'a full stop first': 'romeo@.localhost',
  'a port': 'romeo@localhost:5222',
  'a name of 1024 bytes': `${'r'.repeat(1_024)}@localhost`,
  'a name of 1024 bytes in 512 characters': `${'\u00e9'.repeat(512)}@localhost`,
  'a domain of 1024 bytes': `romeo@${'l'.repeat(1_024)}`,
  'a resource of 1024 bytes': `romeo@localhost/${'r'.repeat(1_024)}`,
}

const to: Case[] = [
  ...Object.entries(malformed).flatMap(([name, address]) => [
    addresses(`a request to ${name}`, presence('subscribe', address), refused('jid-malformed')),
    addresses(`a cancellation to ${name}`, presence('unsubscribed', address), refused('jid-malformed')),
  ]),
  ...['ro meo@localhost', '@localhost', 'romeo@'].flatMap(address => [
    addresses(
      `a message to '${address}'`,
      `<message xmlns='jabber:client' to='${address}' type='chat' id='{id}'><body>x</body></message>`,
      refusedByServer('jid-malformed', 'bad-request'),
    ),
    addresses(
      `an IQ to '${address}'`,
      `<iq xmlns='jabber:client' to='${address}' type='get' id='{id}'><query xmlns='urn:example:x'/></iq>`,
      refusedByServer('jid-malformed', 'bad-request'),
    ),
  ]),
  ...subscriptions.map(type =>
    addresses(
      `${type} without to`,
      `<presence xmlns='jabber:client' type='${type}' id='{id}'/>`,
      refused('bad-request'),
    ),
  ),
  ...subscriptions.map(type =>
    addresses(
      `passes: ${type} from another account, overridden`,
      [presence(type, 'nobody-{id}@localhost', ` from='${bare}'`), ping, tidy],
      answered('id={id}-ping', 'type=result'),
    ),
  ),
  ...subscriptions.flatMap(type => [
    addresses(
      `passes: ${type} from the full JID`,
      [presence(type, 'nobody-{id}@localhost/r', " from='{me}'"), ping, tidy],
      answered('id={id}-ping', 'type=result'),
    ),
    addresses(
      `passes: ${type} to a JID in capitals`,
      [presence(type, 'NOBODY-{id}@LOCALHOST'), ping, tidy],
      answered('id={id}-ping', 'type=result'),
    ),
  ]),
]

const roster = (inside: string) =>
  `<iq xmlns='jabber:client' type='set' id='{id}'><query xmlns='jabber:iq:roster'>${inside}</query></iq>`
const item = (attributes = '', inside = '') => `<item jid='nobody-{id}@localhost'${attributes}>${inside}</item>`
const rosters: Case[] = [
  ['no item', roster('')],
  ['two items', roster(`${item()}<item jid='smuggled@localhost'/>`)],
  ['one item twice', roster(`${item()}${item()}`)],
  ['an item that asks', roster(item(" ask='subscribe'"))],
  ['an item that is approved', roster(item(" approved='true'"))],
  ['an item without a JID', roster('<item/>')],
  ['a group twice', roster(item('', '<group>a</group><group>a</group>'))],
  ['text', roster(`smuggled${item()}`)],
  ['text in the item', roster(item('', 'smuggled'))],
  ['an item without a namespace', roster(item(" xmlns=''"))],
  ['an unknown child of the roster', roster(`${item()}<smuggled/>`)],
].map(([name, set]) => addresses(`a roster set with ${name}`, set as string, refused('bad-request')))

const iq = (attributes: string, inside: string) =>
  `<iq xmlns='jabber:client' to='${observer}'${attributes}>${inside}</iq>`
const query = "<query xmlns='urn:example:x'/>"
/** What IQs owe their readers (RFC 6120 section 8.2.3): the gate says so, or the server, and nobody gets them. */
const iqs: Case[] = [
  ...[
    ['without a type', iq(" id='{id}'", query)],
    ['of an unknown type', iq(" id='{id}' type='ask'", query)],
    ['of a type in capitals', iq(" id='{id}' type='GET'", query)],
    ['of a padded type', iq(" id='{id}' type=' get'", query)],
    ['of an empty type', iq(" id='{id}' type=''", query)],
  ].map(([name, stanza]) => addresses(`an IQ ${name}`, stanza as string, refusedByServer('bad-request'))),
  ...[
    ['that asks nothing', iq(" id='{id}' type='get'", '')],
    ['that asks two things', iq(" id='{id}' type='set'", query + query)],
  ].map(([name, stanza]) => addresses(`an IQ ${name}`, stanza as string, refused('bad-request'))),
]

export const addressCases: readonly Case[] = [
  ...from,
  ...to,
  ...rosters,
  ...iqs,
  addresses('a roster set with an empty group', roster(item('', '<group/>')), refused('not-acceptable')),
  addresses(
    'passes: a roster set',
    [roster(item(" name='Nurse' subscription='none'", '<group>a</group><group>b</group>')), tidy],
    answered('id={id}', 'type=result'),
  ),
  addresses(
    'passes: a removal',
    [roster(item()).replace('{id}', '{id}-set'), roster(item(" subscription='remove'"))],
    answered('id={id}', 'type=result'),
  ),
  addresses(
    "passes: a roster set to one's own account",
    [roster(item()).replace(' type=', " to='{bare}' type="), tidy],
    answered('id={id}', 'type=result'),
  ),
  addresses(
    "passes: a presence to one's own other resource",
    "<presence xmlns='jabber:client' to='{bare}/watch' id='{id}-ok'/>",
    answered('iq(', 'id=mark-{id}'),
  ),
  addresses(
    'passes: a message to the bare JID',
    `<message xmlns='jabber:client' to='${bare}' type='chat' id='{id}'><body>x</body></message>`,
    delivered(`<message xmlns='jabber:client' to='${bare}' type='chat' id='{id}'><body>x</body></message>`),
  ),
  addresses(
    'passes: a message to nobody',
    "<message xmlns='jabber:client' type='chat' id='{id}-ok'><body>x</body></message>",
    answered('iq(', 'id=mark-{id}'),
  ),
  addresses(
    'passes: a ping of the server',
    "<iq xmlns='jabber:client' to='localhost' type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>",
    answered('id={id}', 'type=result'),
  ),
  addresses(
    'passes: features of the server',
    "<iq xmlns='jabber:client' to='localhost' type='get' id='{id}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    answered('id={id}', 'type=result', 'disco#info'),
  ),
  addresses(
    'passes: a room joined',
    [
      "<presence xmlns='jabber:client' to='room{id}@conference.localhost/nick' id='{id}'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
      { await: 'message' },
    ],
    answered('from=room{id}@conference.localhost/nick'),
  ),
]
