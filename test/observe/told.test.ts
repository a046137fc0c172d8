// What a session tells for counting alone.
import t from 'tap'
import { clientHeader, play, type Stage, serverHeader } from '../playbook.ts'

const sasl = `xmlns='urn:ietf:params:xml:ns:xmpp-sasl'`
const features = '<stream:features/>'
const opened = `
  client: ${clientHeader}
  -> connect main for im.example
  connected
  -> stream-opened upstream
  -> upstream ~ <stream:stream
  upstream: ${serverHeader('s1')}
  -> client ~ id="s1"
  upstream: ${features}
  -> client ~ features`
const authenticated = `${opened}
  client: <auth ${sasl} mechanism='PLAIN'>AGEAYg==</auth>
  -> upstream ~ PLAIN
  upstream: <success ${sasl}/>
  -> client ~ <success
  -> authenticated
  -> restart client
  -> restart upstream
  client: ${clientHeader}
  -> upstream ~ <stream:stream
  upstream: ${serverHeader('s2')}
  -> client ~ id="s2"
  upstream: ${features}
  -> client ~ features`
const binds = `
  client: <iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>
  -> judged forward by none
  -> upstream ~ <bind`
const answer = `<iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>romeo@im.example/orchard</jid></bind></iq>`
const bound = `${authenticated}${binds}
  upstream: ${answer}
  -> judged forward by none
  -> client ~ <jid>
  -> session-opened romeo@im.example/orchard
  -> negotiated
  -> recall romeo@im.example`
const refused = (error: string) => `${authenticated}${binds}
  upstream: <iq type='error' id='b'>${error}</iq>
  -> judged forward by none
  -> client ~ type="error"`
const condition = (name: string) => `<${name} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>`
const roster = `${bound}
  client: <iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>
  -> judged forward by none
  -> upstream ~ roster
  upstream: <iq type='result' id='r'><query xmlns='jabber:iq:roster'/></iq>
  -> judged forward by none
  -> tell roster
  -> client ~ roster`

const rows: readonly (readonly [name: string, script: string, stage?: Stage])[] = [
  [
    'a failed login, by its condition',
    `${opened}
    client: <auth ${sasl} mechanism='PLAIN'>AGEAYg==</auth>
    -> upstream ~ PLAIN
    upstream: <failure ${sasl}><text>no</text><credentials-expired/></failure>
    -> client ~ <failure
    -> negotiation-failed sasl credentials-expired
    client: <auth ${sasl} mechanism='PLAIN'>AGEAYg==</auth>
    -> upstream ~ PLAIN
    upstream: <failure ${sasl}/>
    -> client ~ <failure
    -> negotiation-failed sasl other`,
  ],
  [
    'SASL2 has the same conditions',
    `${opened}
    client: <authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>
    -> upstream ~ PLAIN
    upstream: <failure xmlns='urn:xmpp:sasl:2'><aborted ${sasl}/></failure>
    -> client ~ <aborted
    -> negotiation-failed sasl aborted`,
  ],
  [
    'no resource, by the condition of the error',
    `${refused(`<error type='cancel'>${condition('not-allowed')}</error>`)}
    -> negotiation-failed bind not-allowed`,
  ],
  ['no resource, for no reason', `${refused('')}\n -> negotiation-failed bind other`],
  [
    'TLS that does not come about',
    `client: ${clientHeader}
    -> client ~ id="gate-1"
    -> client ~ <required
    client: <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
    -> client ~ <proceed
    -> secure client
    closed client
    -> negotiation-failed tls handshake
    -> stream-closed client client-lost`,
    { starttls: true },
  ],
  [
    'approvals: decided where the roster is known, refused or not',
    `${roster}
    upstream: <presence type='subscribed' from='stranger@evil.example'/>
    -> judged drop by subscribed-needs-request
    -> decided subscribed
    client: <presence type='subscribe' to='juliet@im.example'/>
    -> judged forward by none
    -> tell asked juliet@im.example
    -> subscription request-out
    -> upstream ~ subscribe
    upstream: <presence type='subscribed' from='juliet@im.example'/>
    -> judged forward by none
    -> tell inbound subscribed juliet@im.example
    -> decided subscribed
    -> client ~ subscribed`,
  ],
  [
    'observed, a refused one passes, and answers no request',
    `${roster}
    upstream: <presence type='subscribed' from='stranger@evil.example'/>
    -> judged would drop by subscribed-needs-request
    -> decided subscribed
    -> client ~ subscribed`,
    { modes: { 'subscribed-needs-request': 'observe' } },
  ],
  [
    'undecided where nothing is known',
    `${bound}
    upstream: <presence type='unsubscribed' from='juliet@im.example'/>
    -> judged forward by none
    -> tell inbound unsubscribed juliet@im.example
    -> undecided unsubscribed
    -> client ~ unsubscribed`,
  ],
  [
    'any other presence tells nothing',
    `${roster}
    upstream: <presence from='juliet@im.example/balcony'/>
    -> judged forward by none
    -> client ~ <presence
    client: <presence/>
    -> judged forward by none
    -> upstream: <presence/>`,
  ],
]

for (const [name, script, stage] of rows) t.test(name, async t => play(t, 'tcp', script, { ...stage, counting: true }))
