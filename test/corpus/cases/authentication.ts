/** Before a resource is bound (RFC 6120 sections 4.3.5, 6 and 7): headers, credentials, and what may not be said yet or any more. */
import {
  answered,
  body,
  type Case,
  ends,
  goesOn,
  harmless,
  maker,
  observer,
  refused,
  type Step,
  tcp,
  websocket,
} from '../case.ts'
import { loginFailures } from '../limits.ts'

const authentication = maker('authentication', { at: 'auth' })
const sasl = 'urn:ietf:params:xml:ns:xmpp-sasl'
const streams = 'http://etherx.jabber.org/streams'
const auth = (content: string, mechanism = 'PLAIN') =>
  `<auth xmlns='${sasl}' mechanism='${mechanism}'>${content}</auth>`
const plain = (authzid: string, user: string, password: string) =>
  Buffer.from(`${authzid}\0${user}\0${password}`).toString('base64')
const wrong = plain('', 'victim', 'wrong')
const victim = plain('', 'victim', 'secret')

const header = (attributes: string, wire: 'tcp' | 'ws') =>
  wire === 'tcp'
    ? `<stream:stream xmlns='jabber:client' xmlns:stream='${streams}' ${attributes}>`
    : `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' ${attributes}/>`
const onBoth = (name: string, make: (wire: 'tcp' | 'ws') => readonly [readonly Step[], Case['expect']]): Case[] =>
  (['tcp', 'ws'] as const).map(wire =>
    authentication(name, ...make(wire), { at: 'header', wires: wire === 'tcp' ? tcp : websocket }),
  )

const unknown: Readonly<Record<string, string>> = {
  'no domain': "version='1.0'",
  'an empty domain': "to='' version='1.0'",
  'another domain': "to='elsewhere.example' version='1.0'",
  'a subdomain': "to='sub.localhost' version='1.0'",
  'a longer domain': "to='localhost.example' version='1.0'",
  'a name and the domain': "to='romeo@localhost' version='1.0'",
  'the domain and a resource': "to='localhost/x' version='1.0'",
  'the domain and a space': "to='localhost ' version='1.0'",
  'the domain and a port': "to='localhost:5222' version='1.0'",
  'an address': "to='127.0.0.1' version='1.0'",
  'a path': "to='../localhost' version='1.0'",
  'a property': "to='__proto__' version='1.0'",
  'a domain of another namespace': "xmlns:x='urn:x' x:to='localhost' version='1.0'",
}
const versions: Readonly<Record<string, string>> = {
  'no version': "to='localhost'",
  'version 0.9': "to='localhost' version='0.9'",
  'an empty version': "to='localhost' version=''",
  'version one': "to='localhost' version='one'",
  'version 1': "to='localhost' version='1'",
  'version -1.0': "to='localhost' version='-1.0'",
  'version 1.0 with a space': "to='localhost' version='1.0 '",
  'version 1.0.0': "to='localhost' version='1.0.0'",
  'a version of another namespace': "to='localhost' xmlns:x='urn:x' x:version='1.0'",
}
const served: Readonly<Record<string, string>> = {
  'the domain in capitals': "to='LOCALHOST' version='1.0'",
  'version 1.1': "to='localhost' version='1.1'",
  'a from': "to='localhost' from='victim@localhost' version='1.0'",
  'an id': "to='localhost' id='mine' version='1.0'",
  'a language': "to='localhost' version='1.0' xml:lang='tlh'",
}

const headers: Case[] = [
  ...Object.entries(unknown).flatMap(([name, attributes]) =>
    onBoth(`a header with ${name}`, wire => [[header(attributes, wire)], ends('host-unknown', 'improper-addressing')]),
  ),
  ...Object.entries(versions).flatMap(([name, attributes]) =>
    onBoth(`a header with ${name}`, wire => [[header(attributes, wire)], ends('unsupported-version')]),
  ),
  ...Object.entries(served).flatMap(([name, attributes]) =>
    onBoth(`passes: a header with ${name}`, wire => [
      [header(attributes, wire), { await: 'features' }],
      goesOn('auth'),
    ]),
  ),
  ...onBoth('another element in place of the header', wire => [
    [wire === 'tcp' ? `<stream:features xmlns:stream='${streams}'>` : `<stream:features xmlns:stream='${streams}'/>`],
    ends('bad-format', 'invalid-namespace', 'unsupported-stanza-type'),
  ]),
]

const early: Case[] = (['auth', 'bind'] as const).flatMap(at => {
  const when = at === 'auth' ? 'before authentication' : 'before binding'
  const all: Readonly<Record<string, string>> = {
    'a message': body('smuggled'),
    "a message to one's own account":
      "<message xmlns='jabber:client' to='{bare}' id='{id}'><body>smuggled</body></message>",
    'a message to nobody': "<message xmlns='jabber:client' id='{id}'><body>smuggled</body></message>",
    'a presence': "<presence xmlns='jabber:client' id='{id}'/>",
    'a presence to the observer': `<presence xmlns='jabber:client' to='${observer}' id='{id}'/>`,
    'a request': "<presence xmlns='jabber:client' to='romeo@localhost' type='subscribe' id='{id}'/>",
    'an approval': "<presence xmlns='jabber:client' to='romeo@localhost' type='subscribed' id='{id}'/>",
    'a ping': "<iq xmlns='jabber:client' type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>",
    'a ping to the observer': `<iq xmlns='jabber:client' to='${observer}' type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>`,
    'a roster get': "<iq xmlns='jabber:client' type='get' id='{id}'><query xmlns='jabber:iq:roster'/></iq>",
    'a roster set':
      "<iq xmlns='jabber:client' type='set' id='{id}'><query xmlns='jabber:iq:roster'><item jid='a@b.example'/></query></iq>",
    'features asked for':
      "<iq xmlns='jabber:client' to='localhost' type='get' id='{id}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    'a session':
      "<iq xmlns='jabber:client' type='set' id='{id}'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>",
    'an answer': `<iq xmlns='jabber:client' to='${observer}' type='result' id='{id}'/>`,
    'an error': `<message xmlns='jabber:client' to='${observer}' type='error' id='{id}'/>`,
    'an IQ without a type': "<iq xmlns='jabber:client' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    'a get of a resource':
      "<iq xmlns='jabber:client' type='get' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    'a registration of another': `<iq xmlns='jabber:client' to='${observer}' type='set' id='{id}'><query xmlns='jabber:iq:register'><username>x</username></query></iq>`,
    'a bind request to another': `<iq xmlns='jabber:client' to='${observer}' type='set' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>`,
  }
  return Object.entries(all).map(([name, stanza]) =>
    authentication(`${name} ${when}`, stanza, ends('not-authorized'), { at }),
  )
})

const tries = (count: number): Step[] =>
  Array.from({ length: count }, (): Step[] => [auth(wrong), { await: 'failure' }]).flat()
const order: Case[] = [
  authentication(
    'a bind request before authentication',
    "<iq xmlns='jabber:client' type='set' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    ends('not-authorized'),
  ),
  authentication('authentication once more', auth(victim), ends('not-authorized', 'unsupported-stanza-type'), {
    at: 'bind',
  }),
  authentication('authentication on a bound stream', auth(victim), ends('not-authorized', 'unsupported-stanza-type'), {
    at: 'bound',
  }),
  authentication(
    'a response on a bound stream',
    `<response xmlns='${sasl}'/>`,
    ends('not-authorized', 'unsupported-stanza-type'),
    { at: 'bound' },
  ),
  authentication(
    'an abort on a bound stream',
    `<abort xmlns='${sasl}'/>`,
    ends('not-authorized', 'unsupported-stanza-type'),
    { at: 'bound' },
  ),
  authentication(
    'SASL2 on a bound stream',
    "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>",
    ends('not-authorized', 'unsupported-stanza-type'),
    { at: 'bound' },
  ),
  authentication(
    'a second resource',
    "<iq xmlns='jabber:client' type='set' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>second</resource></bind></iq>",
    refused('unexpected-request'),
    { at: 'bound' },
  ),
  authentication(
    'a second resource beside something else',
    "<iq xmlns='jabber:client' type='set' id='{id}'><ping xmlns='urn:xmpp:ping'/><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    refused('unexpected-request'),
    { at: 'bound' },
  ),
  authentication(
    'a legacy login',
    "<iq xmlns='jabber:client' type='set' id='{id}'><query xmlns='jabber:iq:auth'><username>victim</username><password>secret</password><resource>x</resource></query></iq>",
    refused('service-unavailable'),
    { at: 'auth' },
  ),
  authentication(
    'a legacy login asked for',
    "<iq xmlns='jabber:client' type='get' id='{id}'><query xmlns='jabber:iq:auth'/></iq>",
    refused('service-unavailable'),
    { at: 'auth' },
  ),
  authentication(
    'a legacy login on a stream that has authenticated',
    "<iq xmlns='jabber:client' type='set' id='{id}'><query xmlns='jabber:iq:auth'><username>victim</username></query></iq>",
    ends('not-authorized'),
    { at: 'bind' },
  ),
  authentication('too many wrong passwords', tries(loginFailures), ends('policy-violation')),
  authentication(
    'too many wrong passwords, and then the right one',
    [...tries(loginFailures), auth(victim)],
    ends('policy-violation'),
  ),
  authentication(
    'a header to another domain after authentication',
    [
      auth(victim),
      { await: 'success' },
      `<stream:stream xmlns='jabber:client' xmlns:stream='${streams}' to='elsewhere.example' version='1.0'>`,
    ],
    ends('host-unknown'),
    { wires: tcp },
  ),
  authentication(
    'a header to another domain after authentication',
    [auth(victim), { await: 'success' }, header("to='elsewhere.example' version='1.0'", 'ws')],
    ends('host-unknown'),
    { wires: websocket },
  ),
  authentication(
    'a stanza in place of the header after authentication',
    [auth(victim), { await: 'success' }, body('smuggled')],
    ends('bad-format', 'invalid-namespace', 'not-authorized'),
  ),
  authentication(
    'no header after authentication, but a bind request',
    [
      auth(victim),
      { await: 'success' },
      "<iq xmlns='jabber:client' type='set' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    ],
    ends('bad-format', 'invalid-namespace', 'not-authorized'),
  ),
  authentication(
    'compression',
    [`<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>`, { await: 'failure' }],
    goesOn('auth'),
  ),
  authentication(
    'compression on a bound stream',
    "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>",
    answered('failure', 'unsupported-method'),
    { at: 'bound' },
  ),
  authentication(
    'stream management before a resource',
    [`<enable xmlns='urn:xmpp:sm:3'/>`, { await: 'failed' }],
    goesOn('bind'),
    { at: 'bind' },
  ),
  authentication(
    'a resumption of nothing',
    [`<resume xmlns='urn:xmpp:sm:3' previd='made-up' h='0'/>`, { await: 'failed' }],
    goesOn('bind'),
    { at: 'bind' },
  ),
  authentication(
    'a resumption before authentication',
    [`<resume xmlns='urn:xmpp:sm:3' previd='made-up' h='0'/>`, { await: 'failed' }],
    goesOn('auth'),
  ),
  authentication('an acknowledgement of nothing', "<a xmlns='urn:xmpp:sm:3' h='1'/>", answered('iq(', 'id=mark-{id}'), {
    at: 'bound',
  }),
  authentication(
    'an acknowledgement of what was not sent',
    ["<enable xmlns='urn:xmpp:sm:3'/>", { await: 'enabled' }, "<a xmlns='urn:xmpp:sm:3' h='4000'/>"],
    ends('undefined-condition'),
    { at: 'bound' },
  ),
  authentication(
    'an acknowledgement of no number',
    ["<enable xmlns='urn:xmpp:sm:3'/>", { await: 'enabled' }, "<a xmlns='urn:xmpp:sm:3' h='-1'/>"],
    ends('bad-format', 'invalid-xml', 'undefined-condition'),
    { at: 'bound' },
  ),
]

/** The server decides; nobody gets in, and whoever may gets in afterwards. */
const failing: Readonly<Record<string, string>> = {
  'a wrong password': auth(wrong),
  'a password of nobody': auth(plain('', 'nobody', 'secret')),
  'an empty password': auth(plain('', 'victim', '')),
  'no credentials': auth('AA=='),
  'no base64': auth('!!!'),
  'one NUL too few': auth(Buffer.from('victim\0secret').toString('base64')),
  'an unknown mechanism': auth(victim, 'X-UNKNOWN'),
  'no mechanism': `<auth xmlns='${sasl}'>${victim}</auth>`,
  EXTERNAL: auth('=', 'EXTERNAL'),
  'a mechanism in small letters': auth(wrong, 'plain'),
}
const decided: Case[] = [
  ...Object.entries(failing).map(([name, step]) =>
    authentication(`${name}, and then the right one`, [step, { await: 'failure' }], goesOn('auth')),
  ),
  authentication('as many wrong passwords as may be, and then the right one', tries(loginFailures - 1), goesOn('auth')),
  authentication('a response to nothing', `<response xmlns='${sasl}'>${victim}</response>`, harmless),
  authentication('an abort of nothing', `<abort xmlns='${sasl}'/>`, harmless),
  // RFC 4616 section 2: a server may let one account act as another; ejabberd 23.01 lets everybody act as everybody.
  ...[
    'romeo@localhost',
    'romeo',
    'romeo@localhost/x',
    'ROMEO@LOCALHOST',
    'victim@elsewhere.example',
    'localhost',
    'victim2@localhost',
  ].map(authzid =>
    authentication(
      `credentials to act as '${authzid}'`,
      [auth(plain(authzid, 'victim', 'secret')), { await: 'failure' }],
      goesOn('auth'),
    ),
  ),
  ...['victim@localhost', 'victim', 'Victim@LocalHost'].map(authzid =>
    authentication(
      `passes: credentials to act as oneself, '${authzid}'`,
      auth(plain(authzid, 'victim', 'secret')),
      answered('{urn:ietf:params:xml:ns:xmpp-sasl}success'),
    ),
  ),
]

export const authenticationCases: readonly Case[] = [...headers, ...early, ...order, ...decided]
