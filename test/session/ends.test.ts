/** How streams end: by whom, in which phase, what is still said, and why it is counted. */
import t from 'tap'
import {
  authenticated,
  bound,
  endTag,
  failed,
  gone,
  header,
  opened,
  play,
  type Stage,
  serverHeader,
  wires,
} from '../playbook.ts'

const errors = `xmlns='urn:ietf:params:xml:ns:xmpp-streams'`

for (const wire of wires) {
  const book = (name: string, script: string, stage?: Stage) =>
    t.test(`${wire}: ${name}`, async t => play(t, wire, script, stage))
  const end = endTag(wire)
  const connecting = `
    client: ${header(wire)}
    -> connect main for im.example
  `
  const authenticating = `${opened(wire)}
    client: <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGE=</auth>
    -> upstream ~ PLAIN
  `
  const binding = `${authenticated(wire)}
    client: <iq id='b1' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>
    -> judged forward by none
    -> upstream ~ b1
  `
  const sessionClosed = (cause: string) => `-> session-closed romeo@im.example/orchard ${cause}`

  // Stream errors of the server's.

  book(
    'see-other-host would lead round the gate',
    `${bound(wire)}
    upstream: <stream:error><see-other-host ${errors}>evil.example:5222</see-other-host></stream:error>
    -> stream-error see-other-host peer upstream
    ${failed(wire, 'reset')}
    ${gone('upstream-error')}
    ${sessionClosed('upstream-error')}`,
  )
  book(
    'any other error of the server is passed on',
    `${bound(wire)}
    upstream: <stream:error><conflict ${errors}/><text ${errors} xml:lang='en'>replaced</text><x xmlns='urn:x'/></stream:error>
    -> stream-error conflict peer upstream
    -> client: <stream:error><conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/><text xmlns="urn:ietf:params:xml:ns:xmpp-streams" xml:lang="en">replaced</text><x xmlns="urn:x"/></stream:error>
    -> client: ${end}
    -> upstream: </stream:stream>
    -> close upstream
    -> close client
    upstream: </stream:stream>
    -> close upstream
    -> close client
    ${gone('upstream-error')}
    ${sessionClosed('upstream-error')}`,
  )
  book(
    'an error in place of the features is passed on too',
    `
    ${connecting}
    connected
    -> stream-opened upstream
    -> upstream ~ to="im.example"
    upstream: ${serverHeader('s1')}<stream:error><host-unknown ${errors}/></stream:error></stream:stream>
    -> client ~ id="s1"
    -> stream-error host-unknown peer upstream
    -> client ~ <host-unknown
    -> client: ${end}
    -> upstream: </stream:stream>
    -> close upstream
    -> close client
    -> close upstream
    -> close client`,
  )
  book(
    "an error after SASL, where the client's new header is due",
    `${authenticating}
    upstream: <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
    -> client ~ <success
    -> authenticated
    -> restart client
    -> restart upstream
    client: ${header(wire)}
    -> upstream ~ to="im.example"
    upstream: ${serverHeader('s2')}<stream:error><policy-violation ${errors}/></stream:error>
    -> client ~ id="s2"
    -> stream-error policy-violation peer upstream
    -> client ~ <policy-violation
    -> client: ${end}
    -> upstream: </stream:stream>
    -> close upstream
    -> close client`,
  )
  book(
    'a server whose XML cannot be read',
    `${bound(wire)}
    upstream: <!-- no comment -->
    ${failed(wire, 'internal-server-error')}
    ${gone('upstream-error')}
    ${sessionClosed('upstream-error')}`,
  )
  book(
    'a server that speaks without a header',
    `
    ${connecting}
    connected
    -> stream-opened upstream
    -> upstream ~ to="im.example"
    upstream: <stream:features xmlns:stream='http://etherx.jabber.org/streams'/>
    -> client ~ from="im.example" id="gate-1"
    ${failed(wire, 'internal-server-error')}`,
  )

  // The client's wrong-doing.

  const offences =
    wire === 'tcp'
      ? [
          ['<presence><!-- x --></presence>', 'restricted-xml'],
          ['<presence>&evil;</presence>', 'restricted-xml'],
          ['<presence></message>', 'not-well-formed'],
          ['<x:presence/>', 'not-well-formed'],
          [`<c:presence xmlns:c='jabber:client'/>`, 'bad-namespace-prefix'],
          [`<stream:stream to='im.example'><presence/></stream:stream>`, 'bad-format'],
        ]
      : [
          ['<presence><!-- x --></presence>', 'restricted-xml'],
          ['<presence/><presence/>', 'not-well-formed'],
          [`<presence`, 'not-well-formed'],
          [`<c:presence xmlns:c='jabber:client'/>`, 'bad-namespace-prefix'],
        ]
  for (const [offence, condition] of offences)
    book(
      `a client that sends ${offence}`,
      `${bound(wire)}
      client: ${offence}
      ${failed(wire, condition as string)}
      ${gone('client-error')}
      ${sessionClosed('client-error')}`,
    )
  book(
    'what stands behind an offence is not read',
    `${bound(wire)}
    client: <presence from='mallory@im.example'/>
    -> judged close by from-is-bound-jid
    ${failed(wire, 'invalid-from')}
    client: <message to='a@im.example'/>
    upstream: <message from='a@im.example'/>
    upstream: </stream:stream>
    -> close upstream
    -> close client
    ${gone('client-error')}
    ${sessionClosed('client-error')}`,
    { foreignFrom: 'close' },
  )
  book(
    "a client that reports an error of the server's",
    `${bound(wire)}
    client: <stream:error xmlns:stream='http://etherx.jabber.org/streams'><bad-format ${errors}/></stream:error>
    -> stream-error bad-format peer client
    -> upstream: </stream:stream>
    upstream: </stream:stream>
    -> close upstream
    -> client: ${end}
    -> close client
    ${gone('client-closed')}
    ${sessionClosed('client-closed')}`,
  )

  // Ends of the stream.

  book(
    "the client closes: what the server still has to say is judged and delivered, and the client's is over",
    `${bound(wire)}
    client: ${end}
    -> upstream: </stream:stream>
    ${wire === 'tcp' ? '' : `client: <message to='a@im.example'/>`}
    upstream: <message from='a@im.example'><body>late</body></message>
    -> judged forward by none
    -> client: <message from="a@im.example"><body>late</body></message>
    upstream: <iq from='mallory@evil.example/x' id='1' type='set'><query xmlns='jabber:iq:roster'/></iq>
    -> judged reject by roster-push-from-account
    -> upstream ~ type="error"
    upstream: </stream:stream>
    -> close upstream
    -> client: ${end}
    -> close client
    ${gone('client-closed')}
    ${sessionClosed('client-closed')}`,
  )
  book(
    'the server closes',
    `${bound(wire)}
    upstream: </stream:stream>
    -> client: ${end}
    -> upstream: </stream:stream>
    -> close upstream
    -> close client
    client: <message to='a@im.example'/>
    client: ${end}
    -> close client
    ${gone('upstream-closed')}
    ${sessionClosed('upstream-closed')}`,
  )
  book(
    'the client closes before SASL',
    `${opened(wire)}
    client: ${end}
    -> upstream: </stream:stream>
    upstream: </stream:stream>
    -> close upstream
    -> client: ${end}
    -> close client
    ${gone('client-closed')}`,
  )
  book(
    'the server closes before SASL',
    `${opened(wire)}
    upstream: </stream:stream>
    -> client: ${end}
    -> upstream: </stream:stream>
    -> close upstream
    -> close client
    ${gone('upstream-closed')}`,
  )
  book(
    'the server closes while it has the word',
    `${authenticating}
    upstream: </stream:stream>
    -> client: ${end}
    -> upstream: </stream:stream>
    -> close upstream
    -> close client
    ${gone('upstream-closed')}`,
  )
  if (wire === 'tcp')
    book(
      'the client closes before STARTTLS',
      `
      client: ${header(wire)}
      -> client ~ id="gate-1"
      -> client ~ <starttls
      client: </stream:stream>
      -> client: </stream:stream>
      -> close client
      closed client
      -> stream-closed client client-closed`,
      { starttls: true },
    )
  book(
    'the client closes before its header',
    `
    client: ${end}
    ${
      wire === 'tcp'
        ? `-> client ~ from="" id="gate-1"
    ${failed(wire, 'not-well-formed', 'none')}`
        : '-> close client'
    }`,
  )

  // Transports that are lost.

  const quiet = `
    closed client
    -> stream-closed client client-lost
    -> close upstream
    closed upstream
    -> stream-closed upstream client-lost
  `
  for (const [phase, script] of [
    ['negotiating', opened(wire)],
    ['authenticating', authenticating],
    ['authenticated', authenticated(wire)],
    ['binding', binding],
  ] as const) {
    book(`${phase}: the client is lost, and the server gets no end tag`, `${script} ${quiet}`)
    book(
      `${phase}: the server is lost`,
      `${script}
      closed upstream
      -> stream-closed upstream upstream-lost
      ${failed(wire, 'internal-server-error', 'none')}
      closed client
      -> stream-closed client upstream-lost`,
    )
  }
  book(
    'bound: the client is lost',
    `${bound(wire)} ${quiet} ${sessionClosed('client-lost')}`.replace('-lost ->', '-lost\n->'),
  )
  book(
    'bound: the server is lost',
    `${bound(wire)}
    closed upstream
    -> stream-closed upstream upstream-lost
    ${failed(wire, 'internal-server-error', 'none')}
    client: <message to='a@im.example'/>
    closed client
    -> stream-closed client upstream-lost
    ${sessionClosed('upstream-lost')}`,
  )
  book(
    'opening: the client is lost',
    `
    closed client
    -> stream-closed client client-lost`,
  )
  book(
    'connecting: the client is lost',
    `${connecting}
    closed client
    -> stream-closed client client-lost`,
  )
  book(
    'restarting: the server is lost before its new header',
    `${authenticating}
    upstream: <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
    -> client ~ <success
    -> authenticated
    -> restart client
    -> restart upstream
    client: ${header(wire)}
    -> upstream ~ to="im.example"
    closed upstream
    -> stream-closed upstream upstream-lost
    -> client ~ from="im.example" id="gate-1"
    ${failed(wire, 'internal-server-error', 'none')}`,
  )
  book(
    'both close, and the server is lost',
    `${bound(wire)}
    client: ${end}
    -> upstream: </stream:stream>
    closed upstream
    -> stream-closed upstream client-closed
    -> client: ${end}
    -> close client
    closed client
    -> stream-closed client client-closed
    ${sessionClosed('client-closed')}`,
  )
  book(
    'the client closes and goes: the server is waited for, but not for ever',
    `${bound(wire)}
    client: ${end}
    -> upstream: </stream:stream>
    closed client
    -> stream-closed client client-closed
    deadline
    -> abort upstream
    closed upstream
    -> stream-closed upstream client-closed
    ${sessionClosed('client-closed')}`,
  )

  // The upstream is not reached.

  for (const reason of ['refused', 'timeout', 'unreachable', 'name', 'tls'])
    book(
      `not connected: ${reason}`,
      `${connecting}
      refused ${reason}
      -> connect-failed main ${reason}
      -> client ~ from="im.example" id="gate-1"
      ${failed(wire, 'internal-server-error', 'none')}
      closed client
      -> stream-closed client connect-failed`,
    )
  book(
    'the server is lost before its header',
    `${connecting}
    connected
    -> stream-opened upstream
    -> upstream ~ to="im.example"
    closed upstream
    -> stream-closed upstream connect-failed
    -> connect-failed main lost
    -> client ~ from="im.example" id="gate-1"
    ${failed(wire, 'internal-server-error', 'none')}
    closed client
    -> stream-closed client connect-failed`,
  )

  // The gate's own reasons.

  for (const [phase, script] of [
    ['negotiating', opened(wire)],
    ['authenticating', authenticating],
    ['authenticated', authenticated(wire)],
    ['bound', bound(wire)],
  ] as const)
    book(
      `${phase}: the gate shuts down`,
      `${script}
      stop
      ${failed(wire, 'system-shutdown')}
      stop
      upstream: </stream:stream>
      -> close upstream
      -> close client
      ${gone('shutdown')}
      ${phase === 'bound' ? sessionClosed('shutdown') : ''}`,
    )
  book(
    'opening: the gate shuts down',
    `
    stop
    -> client ~ from="" id="gate-1"
    ${failed(wire, 'system-shutdown', 'none')}
    closed client
    -> stream-closed client shutdown
    stop`,
  )
  book(
    'connecting: the gate shuts down, and the connection comes too late',
    `${connecting}
    stop
    -> client ~ from="im.example" id="gate-1"
    ${failed(wire, 'system-shutdown', 'none')}
    connected
    -> stream-opened upstream
    -> close upstream
    -> close client
    ${gone('shutdown')}`,
  )
  for (const [phase, script, condition, cause] of [
    ['negotiating', opened(wire), 'connection-timeout', 'timeout'],
    ['binding', binding, 'internal-server-error', 'upstream-silent'],
  ] as const)
    book(
      `${phase}: it has taken too long`,
      `${script}
      deadline
      ${failed(wire, condition)}
      deadline
      -> abort client
      -> abort upstream
      closed upstream
      -> stream-closed upstream ${cause}
      -> close client
      closed client
      -> stream-closed client ${cause}`,
    )
  book(
    'bound: an element that was begun and is not ended',
    `${bound(wire)}
    late
    ${failed(wire, 'connection-timeout')}
    ${gone('timeout')}
    ${sessionClosed('timeout')}`,
  )
  book(
    'bound: the gate is short of memory',
    `${bound(wire)}
    shed
    ${failed(wire, 'resource-constraint')}
    ${gone('overload')}
    ${sessionClosed('overload')}`,
  )
  book(
    'a client that takes nothing is cut off: there is no telling it',
    `${bound(wire)}
    stalled client
    -> close client
    -> close upstream
    -> abort client
    closed client
    -> stream-closed client slow-client
    closed upstream
    -> stream-closed upstream slow-client
    ${sessionClosed('slow-client')}`,
  )
  book(
    'a server that takes nothing',
    `${bound(wire)}
    stalled upstream
    ${failed(wire, 'internal-server-error')}
    -> abort upstream
    ${gone('slow-upstream')}
    ${sessionClosed('slow-upstream')}`,
  )
  book(
    'the account has as many sessions as it may have (RFC 6120 section 7.6.2.1)',
    `${binding}
    upstream: <iq type='result' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>juliet@im.example/balcony</jid></bind></iq>
    -> judged close by none
    -> client ~ <error type="wait" by="im.example"><resource-constraint
    ${failed(wire, 'policy-violation')}`,
    { crowded: true },
  )
  book(
    'opening: nothing was ever said',
    `
    deadline
    -> client ~ from="" id="gate-1"
    ${failed(wire, 'connection-timeout', 'none')}
    deadline
    -> abort client`,
  )
}
