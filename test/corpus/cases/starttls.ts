/** What is said in the clear (RFC 6120 section 5): nothing of it may reach the server or count afterwards. */
import { body, bytes, type Case, closed, ends, goesOn, maker, type Step, type Wire } from '../case.ts'

const wires: readonly Wire[] = ['starttls']
const clear = maker('starttls', { wires, at: 'port' })
const starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
const auth = `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${Buffer.from('\0victim\0secret').toString('base64')}</auth>`
const opened: readonly Step[] = ['{header}', { await: 'features' }]
const asked: readonly Step[] = [...opened, starttls, { await: 'proceed' }]
const iq = "<iq xmlns='jabber:client' type='get' id='{id}'><query xmlns='jabber:iq:register'/></iq>"

/** In the clear, behind the features. */
const forbidden: readonly (readonly [name: string, step: Step])[] = [
  ['authentication', auth],
  ['an empty authentication', "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>"],
  ['a response', "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"],
  ['SASL2', "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>"],
  ['a message', body('smuggled')],
  ['a presence', "<presence xmlns='jabber:client' id='{id}'/>"],
  ['a request', "<presence xmlns='jabber:client' to='romeo@localhost' type='subscribe' id='{id}'/>"],
  ['a registration', iq],
  [
    'a registration of an account',
    "<iq xmlns='jabber:client' type='set' id='{id}'><query xmlns='jabber:iq:register'><username>smuggled</username><password>x</password></query></iq>",
  ],
  [
    'a legacy login',
    "<iq xmlns='jabber:client' type='set' id='{id}'><query xmlns='jabber:iq:auth'><username>victim</username></query></iq>",
  ],
  [
    'a bind request',
    "<iq xmlns='jabber:client' type='set' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
  ],
  ['a ping', "<iq xmlns='jabber:client' type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>"],
  ['an unknown element', "<x xmlns='urn:example:x'>smuggled</x>"],
]

const misplaced: readonly (readonly [name: string, step: Step])[] = [
  ['proceed', "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"],
  ['an unknown element of TLS', "<x xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"],
  ['STARTTLS without a namespace', '<starttls/>'],
  ['STARTTLS of the stream', "<starttls xmlns='http://etherx.jabber.org/streams'/>"],
  ['STARTTLS in capitals', "<STARTTLS xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"],
  ['features', "<features xmlns='http://etherx.jabber.org/streams'/>"],
]

/** In one write with `<starttls/>`: the client believes that TLS has begun, and an attacker has put it there. */
const injected: readonly (readonly [name: string, bytes: string | Uint8Array])[] = [
  ['a stanza', body('smuggled')],
  ['authentication', auth],
  ['a stream header', '{header}'],
  ['a header and authentication', `{header}${auth}`],
  ['the end tag', '</stream:stream>'],
  ['text', 'smuggled'],
  ['a second STARTTLS', starttls],
  ['a comment', '<!-- smuggled -->'],
  ['NUL', bytes([0])],
  ['an alert of TLS', bytes([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28])],
  ['a byte that is no UTF-8', bytes([0xff])],
]

const inTheClear: Case[] = [
  ...forbidden.map(([name, step]) => clear(`${name} in the clear`, [...opened, step], ends('not-authorized'))),
  ...misplaced.map(([name, step]) =>
    clear(`${name} in the clear`, [...opened, step], ends('unsupported-stanza-type', 'not-authorized', 'bad-format')),
  ),
  clear(
    'a header to another domain in the clear',
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='elsewhere.example' version='1.0'>",
    ends('host-unknown'),
  ),
  clear('a comment in the clear', [...opened, '<!-- x -->'], ends('restricted-xml')),
  clear('a mismatched end tag in the clear', [...opened, '<a></b>'], ends('not-well-formed')),
  clear('bad bytes in the clear', [...opened, bytes([0xff])], ends('unsupported-encoding')),
  clear(
    'a long element in the clear',
    [...opened, `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>${'A'.repeat(20_000)}`],
    ends('policy-violation'),
  ),
  clear(
    'compression in the clear',
    [
      ...opened,
      "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>",
      { await: 'failure' },
      auth,
    ],
    ends('not-authorized'),
  ),
  clear('the end in the clear', [...opened, '</stream:stream>'], closed()),
  clear(
    'a handshake of TLS without STARTTLS',
    bytes([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]),
    ends('not-well-formed', 'unsupported-encoding'),
  ),
]

const injections: Case[] = injected.flatMap(([name, content]) => [
  clear(`${name} in one write with STARTTLS`, [...opened, bytes(starttls, content), { secure: {} }], closed()),
  clear(`${name} behind proceed`, [...asked, content, { secure: {} }], closed()),
])

const within = maker('starttls', { wires, at: 'auth' })
const tls: Case[] = [
  within('STARTTLS within TLS', starttls, closed()),
  within('STARTTLS within TLS, before binding', starttls, closed(), { at: 'bind' }),
  within('STARTTLS within TLS, on a bound stream', starttls, closed(), { at: 'bound' }),
  within('STARTTLS within direct TLS', starttls, closed(), { wires: ['direct'] }),
  within('STARTTLS on a WebSocket', starttls, closed(1000), { wires: ['ws'] }),
  clear(
    'TLS 1.1',
    [...asked, { secure: { options: { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } } }],
    closed(),
  ),
  clear(
    'a protocol of the application that is not XMPP',
    [...asked, { secure: { options: { ALPNProtocols: ['h2'] } } }],
    closed(),
  ),
  clear(
    'TLS 1.1 where TLS comes first',
    [{ secure: { options: { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } } }],
    closed(),
    { wires: ['direct'] },
  ),
  clear('HTTP where TLS comes first', [{ secure: { options: { ALPNProtocols: ['http/1.1'] } } }], closed(), {
    wires: ['direct'],
  }),
  ...['ECDHE-ECDSA-AES128-SHA256', 'ECDHE-ECDSA-AES256-SHA', 'AES128-GCM-SHA256', 'AES256-SHA'].map(ciphers =>
    clear(
      `the cipher suite ${ciphers}`,
      [...asked, { secure: { options: { maxVersion: 'TLSv1.2', ciphers } } }],
      closed(),
    ),
  ),
  clear('a stream in the clear where TLS comes first', '{header}', closed(), { wires: ['direct'] }),
  clear('a stanza in the clear where TLS comes first', `{header}${auth}${body('smuggled')}`, closed(), {
    wires: ['direct'],
  }),
]

const twins: Case[] = [
  clear('passes: STARTTLS', [...asked, { secure: {} }], goesOn('header')),
  clear(
    'passes: STARTTLS in two tags',
    [...opened, starttls.replace('/>', '></starttls>'), { await: 'proceed' }, { secure: {} }],
    goesOn('header'),
  ),
  clear(
    'passes: STARTTLS under a prefix',
    [...opened, "<tls:starttls xmlns:tls='urn:ietf:params:xml:ns:xmpp-tls'/>", { await: 'proceed' }, { secure: {} }],
    goesOn('header'),
  ),
  clear(
    'passes: a line feed behind STARTTLS',
    [...opened, `${starttls}\n`, { await: 'proceed' }, { secure: {} }],
    goesOn('header'),
  ),
  clear(
    'passes: header and STARTTLS in one write',
    [`{header}${starttls}`, { await: 'proceed' }, { secure: {} }],
    goesOn('header'),
  ),
  clear(
    'passes: white space before STARTTLS',
    [...opened, ` \n${starttls}`, { await: 'proceed' }, { secure: {} }],
    goesOn('header'),
  ),
  clear(
    'passes: the name of XMPP in TLS',
    [...asked, { secure: { options: { ALPNProtocols: ['xmpp-client'] } } }],
    goesOn('header'),
  ),
  clear('passes: TLS 1.2', [...asked, { secure: { options: { maxVersion: 'TLSv1.2' } } }], goesOn('header')),
  clear('passes: TLS first', [{ secure: {} }], goesOn('header'), { wires: ['direct'] }),
  clear(
    'passes: TLS first with the name of XMPP',
    [{ secure: { options: { ALPNProtocols: ['http/1.1', 'xmpp-client'] } } }],
    goesOn('header'),
    { wires: ['direct'] },
  ),
]

export const starttlsCases: readonly Case[] = [...inTheClear, ...injections, ...tls, ...twins]
