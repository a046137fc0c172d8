/** From the first byte to a bound resource: what passes, what the gate does itself, what it takes out, and what ends the stream. */
import t from 'tap'
import {
  authenticated,
  bound,
  endTag,
  failed,
  header,
  opened,
  plain,
  play,
  type Stage,
  serverHeader,
  wires,
} from '../playbook.ts'

const tls = `xmlns='urn:ietf:params:xml:ns:xmpp-tls'`
const sasl = `xmlns='urn:ietf:params:xml:ns:xmpp-sasl'`
const sasl2 = `xmlns='urn:xmpp:sasl:2'`
const auth = `<auth ${sasl} mechanism='PLAIN'>AGp1bGlldABzZWNyZXQ=</auth>`
const bindIq = (id: string) => `<iq id='${id}' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>`
const boundIq = (id: string, jid = 'romeo@im.example/orchard') =>
  `<iq id='${id}' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>${jid}</jid></bind></iq>`
const taken = `
    -> session-opened romeo@im.example/orchard
    -> negotiated
    -> recall romeo@im.example
`

for (const wire of wires) {
  const book = (name: string, script: string | readonly string[], stage?: Stage) =>
    t.test(`${wire}: ${name}`, async t => play(t, wire, script, stage))

  if (wire === 'tcp') {
    const offered = `
      client: ${header(wire)}
      -> client ~ from="im.example" id="gate-1"
      -> client: <stream:features><starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"><required/></starttls></stream:features>
    `
    book(
      'STARTTLS: what stands behind <starttls/> in the clear reaches no parser',
      `${offered}
      client: <starttls ${tls}/><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='im.example' version='1.0'>${auth}<!-- no XML any more
      -> client: <proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>
      -> secure client
      secured client
      ${opened(wire)}
      client: ${auth}
      -> upstream ~ mechanism="PLAIN"`,
      { starttls: true },
    )
    for (const first of [auth, `<authenticate ${sasl2} mechanism='PLAIN'/>`, `<x xmlns='urn:x'/>`])
      book(
        `STARTTLS is required before ${first}`,
        `${offered} client: ${first}`.replace(' client: ', '\nclient: ') + failed(wire, 'not-authorized', 'none'),
        {
          starttls: true,
        },
      )
    book(
      'STARTTLS is required before a stanza',
      `${offered}
      client: <iq id='1' type='get'><query xmlns='jabber:iq:register'/></iq>
      -> judged close by none
      ${failed(wire, 'not-authorized', 'none')}`,
      { starttls: true },
    )
    book(
      'STARTTLS a second time fails (RFC 6120 section 5.4.2.2)',
      `${opened(wire)}
      client: <starttls ${tls}/>
      -> client: <failure xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>
      -> upstream: </stream:stream>
      upstream: </stream:stream>
      -> close upstream
      -> client: </stream:stream>
      -> close client`,
    )
    book(
      'STARTTLS, and the handshake never ends',
      `${offered}
      client: <starttls ${tls}/>
      -> client ~ <proceed
      -> secure client
      closed client
      -> stream-closed client client-lost`,
      { starttls: true },
    )
  }

  const dialled = `
    client: ${header(wire, `to='im.example' from='romeo@im.example' version='1.0' xml:lang='de'`)}
    -> connect main for im.example
    connected
    -> stream-opened upstream
    -> upstream: <?xml version="1.0"?><stream:stream xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" to="im.example" version="1.0" xml:lang="de">
    upstream: ${serverHeader('s0')}
  `
  const inTls: Stage = { upstreamStarttls: true }
  book(
    'STARTTLS with the upstream: the client is named within it, and what came in the clear is forgotten',
    `${dialled}
    upstream: <stream:features><starttls ${tls}/><mechanisms ${sasl}><mechanism>EVIL</mechanism></mechanisms></stream:features>
    -> upstream: <starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>
    upstream: <proceed ${tls}/><stream:features><mechanisms ${sasl}><mechanism>EVIL</mechanism></mechanisms></stream:features>
    -> secure upstream
    secured upstream
    -> upstream: <?xml version="1.0"?><stream:stream xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" from="romeo@im.example" to="im.example" version="1.0" xml:lang="de">
    upstream: ${serverHeader('s1')}
    -> client ~ id="s1"
    upstream: <stream:features>${plain}</stream:features>
    -> client ~ <mechanism>PLAIN</mechanism>`,
    inTls,
  )
  const blamed = (reason: string) => `-> connect-failed main ${reason}
    -> client ~ id="gate-1"
    ${failed(wire, 'internal-server-error')}`
  book(
    'an upstream without STARTTLS',
    `${dialled}
    upstream: <stream:features>${plain}</stream:features>
    ${blamed('starttls')}`,
    inTls,
  )
  book(
    'an upstream that fails at STARTTLS',
    `${dialled}
    upstream: <stream:features><starttls ${tls}/></stream:features>
    -> upstream ~ <starttls
    upstream: <failure ${tls}/>
    ${blamed('starttls')}`,
    inTls,
  )
  book(
    'an upstream that goes on in the clear',
    `${dialled}
    upstream: <success ${sasl}/>
    ${blamed('starttls')}`,
    inTls,
  )
  book(
    'an upstream that sends elsewhere before TLS',
    `${dialled}
    upstream: <stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>evil.example</see-other-host></stream:error>
    -> stream-error see-other-host peer upstream
    -> client ~ id="gate-1"
    ${failed(wire, 'internal-server-error')}`,
    inTls,
  )
  book(
    'an upstream of before versions',
    `
    client: ${header(wire)}
    -> connect main for im.example
    connected
    -> stream-opened upstream
    -> upstream ~ to="im.example"
    upstream: <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='s1' from='im.example'>
    ${blamed('version')}`,
  )

  // Headers.

  for (const [attributes, condition] of [
    [`to='elsewhere.example' version='1.0'`, 'host-unknown'],
    [`to='romeo@im.example' version='1.0'`, 'host-unknown'],
    [`to='im.example/x' version='1.0'`, 'host-unknown'],
    [`to='' version='1.0'`, 'improper-addressing'],
    [`version='1.0'`, 'improper-addressing'],
  ] as const)
    book(
      `a header with ${attributes}`,
      `
      client: ${header(wire, attributes)}
      -> client ~ from="" id="gate-1"
      ${failed(wire, condition, 'none')}
      closed client
      -> stream-closed client client-error`,
    )
  for (const version of ['', `version='0.9'`, `version=''`, `version='1'`, `version='x.y'`, `version='-1.0'`])
    book(
      `a header of version "${version}"`,
      `
      client: ${header(wire, `to='im.example' ${version}`)}
      -> client ~ from="im.example" id="gate-1"
      ${failed(wire, 'unsupported-version', 'none')}`,
    )
  for (const version of ['1.1', '2.0', '01.00'])
    book(
      `a header of version ${version} is spoken to in 1.0 (RFC 6120 section 4.7.5)`,
      `
      client: ${header(wire, `to='im.example' version='${version}'`)}
      -> connect main for im.example
      connected
      -> stream-opened upstream
      -> upstream ~ version="1.0"`,
    )
  const misnamed =
    wire === 'tcp'
      ? [
          [
            `<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' to='im.example' version='1.0'>`,
            'invalid-namespace',
          ],
          [
            `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/stream' to='im.example' version='1.0'>`,
            'invalid-namespace',
          ],
          [`<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='im.example' version='1.0'/>`, 'invalid-namespace'],
          [`<!DOCTYPE x><stream:stream`, 'restricted-xml'],
          ['GET / HTTP/1.1', 'not-well-formed'],
        ]
      : [
          [`<open xmlns='urn:x' to='im.example' version='1.0'/>`, 'invalid-namespace'],
          [` <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='im.example' version='1.0'/>`, 'not-well-formed'],
          [`${header(wire)}<presence xmlns='jabber:client'/>`, 'not-well-formed'],
          [`<presence/>`, 'bad-format'],
          [auth, 'bad-format'],
        ]
  for (const [first, condition] of misnamed)
    book(
      `begins with ${first}`,
      `
      client:${first?.startsWith(' ') ? ' ' : ' '}${first}
      -> client ~ from="" id="gate-1"
      ${failed(wire, condition as string, 'none')}`,
    )

  book(
    'another domain after SASL',
    `${opened(wire)}
    client: ${auth}
    -> upstream ~ mechanism
    upstream: <success ${sasl}/>
    -> client ~ <success
    -> authenticated
    -> restart client
    -> restart upstream
    client: ${header(wire, `to='second.example' version='1.0'`)}
    -> client ~ id="gate-1"
    ${failed(wire, 'host-unknown', 'open')}`,
  )

  book(
    'a domain in another spelling is the same domain',
    `
    client: ${header(wire, `to='IM.Example.' version='1.0'`)}
    -> connect main for IM.Example.
    connected
    -> stream-opened upstream
    -> upstream ~ to="IM.Example."
    upstream: ${serverHeader('s1')}
    -> client ~ id="s1"
    client: ${auth}
    -> upstream ~ PLAIN
    upstream: <success ${sasl}/>
    -> client ~ <success
    -> authenticated
    -> restart client
    -> restart upstream
    client: ${header(wire)}
    -> upstream ~ to="im.example"`,
  )

  if (wire === 'websocket')
    book(
      'a second header that nothing called for',
      `${opened(wire)}
      client: ${header(wire)}
      ${failed(wire, 'bad-format')}`,
    )

  // Features.

  book(
    'features: what is consumed or not offered is taken out, the rest is as it came',
    `
    client: ${header(wire)}
    -> connect main for im.example
    connected
    -> stream-opened upstream
    -> upstream ~ to="im.example"
    upstream: ${serverHeader('s1')}
    -> client ~ id="s1"
    upstream: <stream:features><starttls ${tls}><required/></starttls><mechanisms ${sasl}><mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism>X-OAUTH2</mechanism><hostname xmlns='urn:xmpp:domain-based-name:1'>im.example</hostname></mechanisms><sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-server-end-point'/><channel-binding type='tls-exporter'/></sasl-channel-binding><compression xmlns='http://jabber.org/features/compress'><method>zlib</method></compression><auth xmlns='http://jabber.org/features/iq-auth'/><register xmlns='http://jabber.org/features/iq-register'/><ver xmlns='urn:xmpp:features:rosterver'/><sub xmlns='urn:xmpp:features:pre-approval'/><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/></stream:features>
    -> client ~ features><mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism>X-OAUTH2</mechanism><hostname xmlns="urn:xmpp:domain-based-name:1">im.example</hostname></mechanisms><sasl-channel-binding xmlns="urn:xmpp:sasl-cb:0"><channel-binding type="tls-server-end-point"/><channel-binding type="tls-exporter"/></sasl-channel-binding><register xmlns="http://jabber.org/features/iq-register"/><ver xmlns="urn:xmpp:features:rosterver"/><sub xmlns="urn:xmpp:features:pre-approval"/><c xmlns="http://jabber.org/protocol/caps" hash="sha-1" node="n" ver="v"/></stream:features>
    upstream: <stream:features><authentication ${sasl2}><mechanism>SCRAM-SHA-256</mechanism><inline><bind xmlns='urn:xmpp:bind:0'><inline><feature var='urn:xmpp:carbons:2'/></inline></bind><fast xmlns='urn:xmpp:fast:0'><mechanism>HT-SHA-256-NONE</mechanism></fast></inline></authentication></stream:features>
    -> client ~ features><authentication xmlns="urn:xmpp:sasl:2"><mechanism>SCRAM-SHA-256</mechanism><inline><bind xmlns="urn:xmpp:bind:0"><inline><feature var="urn:xmpp:carbons:2"/></inline></bind><fast xmlns="urn:xmpp:fast:0"><mechanism>HT-SHA-256-NONE</mechanism></fast></inline></authentication></stream:features>`,
  )

  const version = `<config-version xmlns='urn:xmpp:iap:0' scheme='opaque' value='dg=='/>`
  const versioned = version.replaceAll("'", '"')
  book(
    'features: their version goes when they are changed (XEP-0509)',
    `${opened(wire)}
    upstream: <stream:features><register xmlns='http://jabber.org/features/iq-register'/>${version}</stream:features>
    -> client ~ <register xmlns="http://jabber.org/features/iq-register"/>${versioned}</stream:features>
    upstream: <stream:features><register xmlns='http://jabber.org/features/iq-register'/>${version}<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>9000</max-bytes></limits></stream:features>
    -> client ~ ${versioned}<limits
    upstream: <stream:features><register xmlns='http://jabber.org/features/iq-register'/>${version}<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>99000</max-bytes></limits></stream:features>
    -> client ~ <register xmlns="http://jabber.org/features/iq-register"/><limits xmlns="urn:xmpp:stream-limits:0"><max-bytes>10000</max-bytes></limits></stream:features>
    upstream: <stream:features><register xmlns='http://jabber.org/features/iq-register'/>${version}<auth xmlns='http://jabber.org/features/iq-auth'/></stream:features>
    -> client ~ features><register xmlns="http://jabber.org/features/iq-register"/></stream:features>`,
  )
  book(
    'SASL2: features that have changed meanwhile are no failed login, however often (XEP-0509)',
    `${opened(wire)}
    ${`client: <authenticate ${sasl2} mechanism='PLAIN'><initial-response>AHIAcA==</initial-response>${version}</authenticate>
    -> upstream ~ <authenticate
    upstream: <failure ${sasl2}><config-version-mismatch xmlns='urn:xmpp:iap:0'/></failure>
    -> client ~ config-version-mismatch
    `.repeat(7)}
    client: <authenticate ${sasl2} mechanism='PLAIN'><initial-response>AHIAcA==</initial-response></authenticate>
    -> upstream ~ <authenticate`,
  )

  const limits = (bytes: string, told: string) => `
    upstream: <stream:features><limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>${bytes}</max-bytes><idle-seconds>60</idle-seconds></limits></stream:features>
    -> client ~ features><limits xmlns="urn:xmpp:stream-limits:0"><max-bytes>${told}</max-bytes><idle-seconds>60</idle-seconds></limits></stream:features>`
  book(
    "limits: the smaller of both, and before SASL a stranger's (XEP-0478)",
    `${opened(wire)}
    ${limits('262144', '10000')}
    ${limits('9000', '9000')}`,
  )
  book(
    'limits: after SASL',
    `${authenticated(wire)}
    ${limits('262144', '259065')}
    ${limits('10000', '6921')}
    ${limits('524288', '262144')}
    ${limits('0', '262144')}
    ${limits('many', '262144')}`,
  )

  // SASL.

  book(
    'SASL: a challenge, a failure, another try',
    `${opened(wire)}
    client: <auth ${sasl} mechanism='SCRAM-SHA-1'>biws</auth>
    -> upstream: <auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="SCRAM-SHA-1">biws</auth>
    upstream: <challenge ${sasl}>cj1h</challenge>
    -> client: <challenge xmlns="urn:ietf:params:xml:ns:xmpp-sasl">cj1h</challenge>
    client: <response ${sasl}>Yz1i</response>
    -> upstream: <response xmlns="urn:ietf:params:xml:ns:xmpp-sasl">Yz1i</response>
    upstream: <failure ${sasl}><not-authorized/><text xml:lang='en'>no</text></failure>
    -> client: <failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/><text xml:lang="en">no</text></failure>
    client: <auth ${sasl} mechanism='SCRAM-SHA-1'>biws</auth>
    -> upstream ~ biws
    upstream: <challenge ${sasl}/>
    -> client ~ <challenge
    client: <abort ${sasl}/>
    -> upstream ~ <abort
    upstream: <failure ${sasl}><aborted/></failure>
    -> client ~ <aborted/>
    client: ${auth}
    -> upstream ~ PLAIN`,
  )

  book(
    'pipelined: everything from <auth/> to the session at once (XEP-0305)',
    `${opened(wire)}
    ${
      wire === 'tcp'
        ? `client: ${auth}${header(wire)}${bindIq('b1')}<iq id='s1' type='set'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq><presence/>
    -> upstream ~ PLAIN`
        : `client: ${auth}
    -> upstream ~ PLAIN
    client: ${header(wire)}
    client: ${bindIq('b1')}
    client: <iq id='s1' type='set'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>
    client: <presence/>`
    }
    upstream: <success ${sasl}/>
    -> client ~ <success
    -> authenticated
    -> restart client
    -> restart upstream
    -> upstream ~ to="im.example"
    upstream: ${serverHeader('s2')}
    -> client ~ id="s2"
    -> judged forward by none
    -> upstream ~ id="b1"
    upstream: <stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>
    -> client ~ <bind
    upstream: ${boundIq('b1')}
    -> judged forward by none
    -> client ~ orchard
    ${taken}
    -> judged forward by none
    -> upstream ~ id="s1"
    -> judged forward by none
    -> upstream: <presence/>`,
  )

  book(
    'pipelined: nothing is said to the client before its new header is answered',
    `${opened(wire)}
    client: ${auth}
    -> upstream ~ PLAIN
    upstream: <success ${sasl}/>
    -> client ~ <success
    -> authenticated
    -> restart client
    -> restart upstream
    client: ${header(wire)}
    -> upstream ~ to="im.example"
    client: <enable xmlns='urn:xmpp:sm:3'/>
    upstream: ${serverHeader('s2')}
    -> client ~ id="s2"
    -> nonza reject from client
    -> client ~ <failed xmlns="urn:xmpp:sm:3">`,
  )

  const authenticate = (inside: string, passed: string) => `
    client: <authenticate ${sasl2} mechanism='PLAIN'><initial-response>AGE=</initial-response><user-agent id='u'><software>x</software></user-agent>${inside}</authenticate>
    -> upstream: <authenticate xmlns="urn:xmpp:sasl:2" mechanism="PLAIN"><initial-response>AGE=</initial-response><user-agent id="u"><software>x</software></user-agent>${passed}</authenticate>`
  const failedSm = (condition: string) =>
    `<failed xmlns="urn:xmpp:sm:3"><${condition} xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></failed>`
  const boundInline = (inside = '') =>
    `<success xmlns="urn:xmpp:sasl:2"><additional-data>dg==</additional-data><authorization-identifier>romeo@im.example/orchard</authorization-identifier><bound xmlns="urn:xmpp:bind:0">${inside}</bound></success>`
  book(
    'SASL2 and Bind 2: a resumption that nobody knows is refused within the success',
    `${opened(wire)}
    client: <authenticate ${sasl2} mechanism='PLAIN'><resume xmlns='urn:xmpp:sm:3' previd='p' h='5'/><bind xmlns='urn:xmpp:bind:0'><tag>x</tag><enable xmlns='urn:xmpp:carbons:2'/></bind></authenticate>
    -> fetch
    -> resumption unknown
    -> upstream: <authenticate xmlns="urn:xmpp:sasl:2" mechanism="PLAIN"><bind xmlns="urn:xmpp:bind:0"><tag>x</tag><enable xmlns="urn:xmpp:carbons:2"/></bind></authenticate>
    upstream: ${boundInline(' ')}
    -> client: ${boundInline(' ').replace('</success>', `${failedSm('item-not-found')}</success>`)}
    -> authenticated
    ${taken}
    upstream: <stream:features/>
    -> client ~ features/>
    client: <presence/>
    -> judged forward by none
    -> upstream: <presence/>`,
  )

  book(
    'SASL2 and Bind 2: a failed try leaves no debt',
    `${opened(wire)}
    client: <authenticate ${sasl2} mechanism='PLAIN'><resume xmlns='urn:xmpp:sm:3' previd='p' h='5'/></authenticate>
    -> fetch
    -> resumption unknown
    -> upstream: <authenticate xmlns="urn:xmpp:sasl:2" mechanism="PLAIN"/>
    upstream: <failure ${sasl2}><not-authorized ${sasl}/></failure>
    -> client ~ <not-authorized
    ${authenticate(`<bind xmlns='urn:xmpp:bind:0'/>`, `<bind xmlns="urn:xmpp:bind:0"/>`)}
    upstream: ${boundInline(' ')}
    -> client: ${boundInline(' ')}
    -> authenticated
    ${taken}`,
  )

  const token = `<token xmlns="urn:xmpp:fast:0" expiry="2026-12-24T00:00:00Z" token="secret-token:x"/>`
  book(
    'FAST (XEP-0484): a token is asked for, given, and used, untouched',
    `${opened(wire)}
    ${authenticate(
      `<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/><fast xmlns='urn:xmpp:fast:0' count='7'/><bind xmlns='urn:xmpp:bind:0'/>`,
      `<request-token xmlns="urn:xmpp:fast:0" mechanism="HT-SHA-256-NONE"/><fast xmlns="urn:xmpp:fast:0" count="7"/><bind xmlns="urn:xmpp:bind:0"/>`,
    )}
    upstream: ${boundInline(token)}
    -> client: ${boundInline(token)}
    -> authenticated
    ${taken}`,
  )

  book(
    'SASL2 with a task, and classic binding after it',
    `${opened(wire)}
    ${authenticate('', '')}
    upstream: <continue ${sasl2}><tasks><task>HOTP</task></tasks></continue>
    -> client ~ <continue
    client: <next ${sasl2} task='HOTP'/>
    -> upstream ~ <next
    upstream: <task-data ${sasl2}/>
    -> client ~ <task-data
    client: <task-data ${sasl2}/>
    -> upstream ~ <task-data
    upstream: <success ${sasl2}><authorization-identifier>romeo@im.example</authorization-identifier></success>
    -> client ~ <success
    -> authenticated
    upstream: <stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>
    -> client ~ <bind
    client: ${bindIq('b1')}
    -> judged forward by none
    -> upstream ~ b1
    upstream: ${boundIq('b1')}
    -> judged forward by none
    -> client ~ orchard
    ${taken}`,
  )

  book(
    'SASL while it has succeeded',
    `${authenticated(wire)}
    client: ${auth}
    ${failed(wire, 'not-authorized')}`,
  )

  // Stanzas before their time.

  for (const stanza of [
    '<presence/>',
    `<message to='a@im.example'><body>x</body></message>`,
    `<iq id='1' type='get'><query xmlns='jabber:iq:roster'/></iq>`,
    `<iq id='1' type='result'/>`,
    bindIq('b1'),
    `<iq id='1' type='set' to='victim.example'><query xmlns='jabber:iq:register'/></iq>`,
    `<presence><query xmlns='jabber:iq:register'/></presence>`,
    `<iq id='1' type='set'/>`,
  ])
    book(
      `before SASL: ${stanza}`,
      `${opened(wire)}
      client: ${stanza}
      -> judged close by none
      ${failed(wire, 'not-authorized')}`,
    )
  for (const stanza of [
    '<presence/>',
    `<message to='a@im.example'/>`,
    `<iq id='1' type='get'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>`,
  ])
    book(
      `before binding: ${stanza}`,
      `${authenticated(wire)}
      client: ${stanza}
      -> judged close by none
      ${failed(wire, 'not-authorized')}`,
    )

  book(
    'in-band registration before SASL',
    `${opened(wire)}
    client: <iq id='g1' type='get' to='im.example'><query xmlns='jabber:iq:register'/></iq>
    -> judged forward by none
    -> upstream: <iq id="g1" type="get" to="im.example"><query xmlns="jabber:iq:register"/></iq>
    upstream: <iq id='g1' type='result' from='im.example'><query xmlns='jabber:iq:register'><username/><password/></query></iq>
    -> judged forward by none
    -> client: <iq id="g1" type="result" from="im.example"><query xmlns="jabber:iq:register"><username/><password/></query></iq>
    client: <iq id='g2' type='set'><query xmlns='jabber:iq:register'><username>romeo</username><password>x</password></query></iq>
    -> judged forward by none
    -> upstream ~ <password>x</password>
    upstream: <iq id='g2' type='result'/>
    -> judged forward by none
    -> client: <iq id="g2" type="result"/>
    client: <iq id='g3' type='set' to='im.example'><preauth xmlns='urn:xmpp:pars:0' token='t'/></iq>
    -> judged forward by none
    -> upstream ~ <preauth
    client: ${auth}
    -> upstream ~ PLAIN`,
  )

  book(
    'legacy authentication is refused, and SASL is still there (XEP-0078)',
    `${opened(wire)}
    client: <iq id='l1' type='get' to='im.example'><query xmlns='jabber:iq:auth'><username>romeo</username></query></iq>
    -> judged reject by none
    -> client ~ <iq from="im.example" id="l1" type="error"><error type="cancel" by="im.example"><service-unavailable
    client: ${auth}
    -> upstream ~ PLAIN`,
  )

  // Binding.

  book(
    'binding is refused, and tried again',
    `${authenticated(wire)}
    client: ${bindIq('b1')}
    -> judged forward by none
    -> upstream ~ b1
    upstream: <iq id='b1' type='error'><error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
    -> judged forward by none
    -> client ~ <bad-request
    client: ${bindIq('b2')}
    -> judged forward by none
    -> upstream ~ b2
    upstream: ${boundIq('b2')}
    -> judged forward by none
    -> client ~ orchard
    ${taken}`,
  )
  book(
    'binding is refused again and again',
    `${authenticated(wire)}
    ${Array.from(
      { length: 10 },
      (_, i) => `client: ${bindIq(`b${i}`)}
    -> judged forward by none
    -> upstream ~ b${i}
    upstream: <iq id='b${i}' type='error'/>
    -> judged forward by none
    -> client ~ error`,
    ).join('\n')}
    client: ${bindIq('b10')}
    ${failed(wire, 'policy-violation')}`,
  )
  book(
    'binding is answered by its own answer alone',
    `${authenticated(wire)}
    client: ${bindIq('b1')}
    -> judged forward by none
    -> upstream ~ b1
    upstream: ${boundIq('b2', 'mallory@im.example/x')}
    -> judged forward by none
    -> client ~ mallory
    upstream: <iq id='b1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>
    -> judged forward by none
    -> client ~ <ping
    client: <presence/>
    upstream: ${boundIq('b1')}
    -> judged forward by none
    -> client ~ orchard
    ${taken}
    -> judged forward by none
    -> upstream: <presence/>`,
  )
  book(
    'a bound JID that is none',
    `${authenticated(wire)}
    client: ${bindIq('b1')}
    -> judged forward by none
    -> upstream ~ b1
    upstream: ${boundIq('b1', 'a b@im.example/x')}
    ${failed(wire, 'internal-server-error')}`,
  )
  book(
    'a bound JID that RFC 7622 would not allow, but an older server does',
    `${authenticated(wire)}
    client: ${bindIq('b1')}
    -> judged forward by none
    -> upstream ~ b1
    upstream: ${boundIq('b1', '\u2665@im.example/x')}
    -> judged forward by none
    -> client ~ <jid>
    -> session-opened \u2665@im.example/x
    -> negotiated
    -> recall \u2665@im.example
    client: <presence to='a@im.example' type='subscribe'/>
    -> judged forward by none
    -> tell asked a@im.example
    -> upstream ~ from="\u2665@im.example"`,
  )
  for (const second of [
    bindIq('b2'),
    `<iq id='b2' type='set'><x xmlns='urn:x'/><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>`,
  ])
    book(
      `a second binding: ${second}`,
      `${bound(wire)}
      client: ${second}
      -> judged reject by none
      -> client ~ <iq to="romeo@im.example/orchard" id="b2" type="error"><error type="modify" by="im.example"><unexpected-request
      client: <presence/>
      -> judged forward by none
      -> upstream: <presence/>`,
    )

  // Nonzas.

  for (const stage of [opened, authenticated, bound])
    book(
      `what is refused of stream management and compression does not end the stream: ${stage.name}`,
      `${stage(wire)}
      ${
        stage === bound
          ? ''
          : `client: <enable xmlns='urn:xmpp:sm:3' resume='true'/>
      -> nonza reject from client
      -> client: ${failedSm('unexpected-request')}`
      }
      ${
        stage === authenticated
          ? `client: <resume xmlns='urn:xmpp:sm:3' previd='x' h='1'/>
      -> fetch
      -> resumption unknown
      -> nonza reject from client
      -> client: ${failedSm('item-not-found')}`
          : `client: <resume xmlns='urn:xmpp:sm:3' previd='x' h='1'/>
      -> nonza reject from client
      -> client: ${failedSm('unexpected-request')}`
      }
      client: <r xmlns='urn:xmpp:sm:3'/>
      -> nonza drop from client
      client: <a xmlns='urn:xmpp:sm:3' h='3'/>
      -> nonza drop from client
      upstream: <r xmlns='urn:xmpp:sm:3'/>
      -> nonza drop from upstream
      client: <compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>
      -> nonza reject from client
      -> client: <failure xmlns="http://jabber.org/protocol/compress"><unsupported-method/></failure>`,
    )

  book(
    'unknown nonzas pass both ways',
    `${bound(wire)}
    client: <inactive xmlns='urn:xmpp:csi:0'/>
    -> upstream: <inactive xmlns="urn:xmpp:csi:0"/>
    client: <x:y xmlns:x='urn:x' a='1'>b<z xmlns=''/></x:y>
    -> upstream: <y xmlns="urn:x" a="1">b<z xmlns=""/></y>
    upstream: <x xmlns='urn:x'/>
    -> client: <x xmlns="urn:x"/>`,
  )

  for (const stray of [
    `<message xmlns='jabber:server' to='a@im.example'/>`,
    `<presence xmlns=''/>`,
    `<presenc xmlns='jabber:client'/>`,
    `<success ${sasl}/>`,
    `<proceed ${tls}/>`,
    `<features xmlns='http://etherx.jabber.org/streams'/>`,
    `<compressed xmlns='http://jabber.org/protocol/compress'/>`,
    `<bound xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>`,
  ])
    book(
      `not a client's to say: ${stray}`,
      `${bound(wire)}
      client: ${stray}
      ${failed(wire, 'unsupported-stanza-type')}`,
    )

  book(
    'white space: a keepalive of a bound stream, and of no other',
    `${opened(wire)}
    upstream: \\n
    ${wire === 'tcp' ? 'client: \\n\\n' : ''}
    client: ${auth}
    -> upstream ~ PLAIN
    upstream: \\n<success ${sasl}/>
    -> client ~ <success
    -> authenticated
    -> restart client
    -> restart upstream`,
  )
  if (wire === 'tcp')
    book(
      'white space: on a bound stream',
      `${bound(wire)}
      client: \\n
      -> upstream: (white space)
      upstream: \\n
      -> client: (white space)`,
    )
  else
    book(
      'white space: none on WebSocket (RFC 7395 section 3.8)',
      `${bound(wire)}
      upstream: \\n`,
    )

  book(
    'a login ends as it should',
    `${bound(wire)}
    client: ${endTag(wire)}
    -> upstream: </stream:stream>
    upstream: </stream:stream>
    -> close upstream
    -> client: ${endTag(wire)}
    -> close client
    closed upstream
    -> stream-closed upstream client-closed
    -> close client
    closed client
    -> stream-closed client client-closed
    -> session-closed romeo@im.example/orchard client-closed`,
  )
}
