/** Conversations to begin with: each as it goes when all is well, on both wires, with STARTTLS on either side, and resumed. */
import { hostile, streamHeader } from '../documents.ts'
import { scriptOf } from './script.ts'

const sasl = 'urn:ietf:params:xml:ns:xmpp-sasl'
const sm = 'urn:xmpp:sm:3'
const serverHeader = `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='s' from='im.example' version='1.0' xml:lang='en'>`
const mechanisms = `<mechanisms xmlns='${sasl}'><mechanism>PLAIN</mechanism></mechanisms>`
const bindFeatures = `<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='${sm}'/></stream:features>`
const jid = '<jid>romeo@im.example/orchard</jid>'
const bindResult = `<iq id='b' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>${jid}</bind></iq>`
const roster = 'jabber:iq:roster'

const tcpHeader = streamHeader
const wsHeader = `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='im.example' version='1.0'/>`
const client = ` xmlns='jabber:client'`

/** To the server's features; `own` is what stands in a stanza that is a document of its own. */
const opened = (header: string) => `
  c ${header}
  o
  u ${serverHeader}<stream:features>${mechanisms}</stream:features>`

const authenticated = (header: string) => `${opened(header)}
  c <auth xmlns='${sasl}' mechanism='PLAIN'>AGEAYg==</auth>
  u <success xmlns='${sasl}'/>
  c ${header}
  u ${serverHeader}${bindFeatures}`

const bound = (header: string, own = '') => `${authenticated(header)}
  c <iq${own} id='b' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>
  u ${bindResult}`

const talk = (own = '') => `
  c <iq${own} id='r' type='get'><query xmlns='${roster}'/></iq>
  u <iq id='r' type='result' to='romeo@im.example/orchard'><query xmlns='${roster}' ver='1'><item jid='juliet@im.example' subscription='none'/></query></iq>
  c <presence${own}/>
  c <presence${own} to='juliet@im.example' type='subscribe'/>
  u <iq id='p' type='set'><query xmlns='${roster}'><item jid='juliet@im.example' subscription='none' ask='subscribe'/></query></iq>
  c <iq${own} id='p' type='result'/>
  u <presence from='juliet@im.example' type='subscribed'/><presence from='tybalt@im.example' type='subscribed'/>
  c <message${own} to='juliet@im.example' id='1'><body>hi</body></message>
  u <message from='juliet@im.example/a' id='2'><body>ho</body></message>
  c <presence${own} type='bogus'/>
  c <iq${own} type='set' id='3'><query xmlns='${roster}'><item jid='a@b'/><item jid='c@d'/></query></iq>`

const managed = `
  c <enable xmlns='${sm}' resume='true'/>
  u <enabled xmlns='${sm}' id='k' resume='true'/>
  c <presence type='bogus'/><r xmlns='${sm}'/><message to='juliet@im.example'/>
  u <a xmlns='${sm}' h='0'/><r xmlns='${sm}'/><message from='juliet@im.example'/>
  c <a xmlns='${sm}' h='1'/>`

const resumed = `
  x
  n 000${authenticated(tcpHeader)}
  c <resume xmlns='${sm}' previd='k' h='1'/>
  u <resumed xmlns='${sm}' previd='k' h='1'/>
  c <r xmlns='${sm}'/>
  u <a xmlns='${sm}' h='2'/>`

const sasl2 = `
  c ${tcpHeader}
  o
  u ${serverHeader}<stream:features><authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism></authentication></stream:features>
  c <authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>AGEAYg==</initial-response><bind xmlns='urn:xmpp:bind:0'><tag>a</tag></bind></authenticate>
  u <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>romeo@im.example/orchard</authorization-identifier><bound xmlns='urn:xmpp:bind:0'/></success><stream:features/>`

const securing = `
  c ${tcpHeader}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
  s`

const securingUpstream = `
  c ${tcpHeader}
  o
  u ${serverHeader}<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>
  u <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
  S
  u ${serverHeader}<stream:features>${mechanisms}</stream:features>`

const ends = `
  c </stream:stream>
  u </stream:stream>
  X
  x`

export const scripts: readonly Buffer[] = [
  `n 000${bound(tcpHeader)}${talk()}${ends}`,
  `n 100${bound(wsHeader, client)}${talk(client)}
   c <close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>`,
  `n 010${securing}${bound(tcpHeader)}`,
  `n 001${securingUpstream}`,
  `n 000${bound(tcpHeader)}${managed}${resumed}${talk()}`,
  `n 000${sasl2}${talk()}${ends}`,
  `n 000${opened(tcpHeader)}
   c <iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>
   c <auth xmlns='${sasl}' mechanism='PLAIN'/>
   u <failure xmlns='${sasl}'><not-authorized/></failure>
   u </stream:stream>`,
  `n 000${bound(tcpHeader)}
   n 000${bound(tcpHeader)}${talk()}
   t`,
  ...[`c ${tcpHeader}\nr`, 'd', 'c x', 'l', 'x', `${authenticated(tcpHeader)}\nd`, `${bound(tcpHeader)}\nX`].map(
    lines => `n 000\n${lines}`,
  ),
  ...[
    `u <stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>a</see-other-host></stream:error>`,
    'k',
    'K',
  ].map(lines => `n 000${bound(tcpHeader)}\n${lines}`),
].map(scriptOf)

const ruleOutcomes = [
  ...['a', 'r', 'enable', 'enabled', 'resume', 'resumed', 'failed'].map(
    name => `<${name} xmlns='${sm}' h='1' previd='k'/>`,
  ),
  ...['auth', 'response', 'abort', 'success', 'failure', 'challenge'].map(name => `<${name} xmlns='${sasl}'/>`),
  ...['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed', 'probe', 'error'].map(
    type => `<presence type='${type}' to='juliet@im.example' from='juliet@im.example' id='9'/>`,
  ),
  ...[tcpHeader, serverHeader, '</stream:stream>', wsHeader, bindFeatures, bindResult, '<stream:error/>', ' ', '\n'],
  `<iq type='result' id='r'/>`,
  `<compress xmlns='http://jabber.org/protocol/compress'/>`,
  `<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`,
]

export const tokens: readonly Buffer[] = [
  ...ruleOutcomes.flatMap(text => [scriptOf(`c ${text}`), scriptOf(`u ${text}`), Buffer.from(text)]),
  ...[...'orsSxXdlkKt'].map(scriptOf),
  ...['000', '100', '010', '001'].map(stage => scriptOf(`n ${stage}`)),
  ...[' xmlns="jabber:server"', " from='a@b'", " to='im.example'", " type='set'", " id='b'"].map(text =>
    Buffer.from(text),
  ),
  ...hostile.map(({ bytes }) => bytes.subarray(Math.min(streamHeader.length, bytes.length - 1))),
]
