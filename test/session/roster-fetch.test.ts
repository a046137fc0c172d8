/** What becomes of notifications that nothing is known about (`rules.unknown`), and the roster that the gate asks for itself. */
import t from 'tap'
import { bound, boundWithRoster, play, type Stage, wires } from '../playbook.ts'

const sm = `xmlns='urn:xmpp:sm:3'`
const query = (items: string, ver = '') => `<query xmlns='jabber:iq:roster'${ver}>${items}</query>`
const item = (jid: string, subscription: string) => `<item jid='${jid}' subscription='${subscription}'/>`
const fetching: Stage = { unverified: 'fetch' }

const appears = `client: <presence/>
    -> judged forward by none`
const asks = (id: number) => `
    -> roster-fetch asked
    -> upstream: <iq type="get" id="stanzagate-gate-${id}"><query xmlns="jabber:iq:roster"/></iq>`
const isAnswered = (id: number, items: string) => `
    upstream: <iq type='result' id='stanzagate-gate-${id}' to='romeo@im.example/orchard'>${query(items)}</iq>
    -> judged forward by none
    -> tell roster
    -> roster-fetch answered`
const isPushed = (id: string, jid: string, subscription: string) => `
    upstream: <iq type='set' id='${id}' to='romeo@im.example/orchard'>${query(item(jid, subscription))}</iq>
    -> judged forward by none
    -> tell push ${jid}`
const isHidden = (id: string) => `
    -> roster-fetch push
    -> upstream: <iq type="result" id="${id}"/>`
const forged = (jid: string) => `
    upstream: <presence from='${jid}' type='subscribed'/>
    -> judged drop by subscribed-needs-request`
const undecided = (type: string) => `
    upstream: <presence from='nurse@im.example' type='${type}'/>
    -> judged forward by none
    -> undecided ${type}
    -> client: <presence from="nurse@im.example" type="${type}"/>`
const clientAsks = `
    client: <iq type='get' id='r1'>${query('')}</iq>
    -> judged forward by none
    -> upstream ~ id="r1"`

for (const wire of wires) {
  const book = (name: string, script: string | readonly string[], stage: Stage) =>
    t.test(`${wire}: ${name}`, async t => play(t, wire, script, stage))

  book(
    'pass: what is not known passes',
    `${bound(wire)}
    ${appears}
    -> upstream: <presence/>
    ${undecided('subscribed')}
    ${undecided('unsubscribed')}`,
    {},
  )
  book(
    'drop: what is not known is left out; what is known is not',
    `${bound(wire)}
    ${forged('nurse@im.example')}
    upstream: <presence from='nurse@im.example' type='unsubscribed'/>
    -> judged drop by unsubscribed-needs-subscription
    client: <iq type='get' id='r1'>${query('')}</iq>
    -> judged forward by none
    -> upstream ~ id="r1"
    upstream: <iq type='result' id='r1'>${query(item('nurse@im.example', 'both'))}</iq>
    -> judged forward by none
    -> tell roster
    -> client ~ id="r1"
    upstream: <presence from='nurse@im.example' type='unsubscribed'/>
    -> judged forward by none
    -> client ~ type="unsubscribed"`,
    { unverified: 'drop' },
  )
  book(
    'fetch: the gate asks for a client that does not, and hides what comes of it',
    `${bound(wire)}
    ${undecided('subscribed')}
    ${appears}
    ${asks(1)}
    -> upstream: <presence/>
    ${isAnswered(1, item('juliet@im.example', 'none'))}
    ${forged('juliet@im.example')}
    ${isPushed('p1', 'juliet@im.example', 'to')}
    -> transition none to to
    ${isHidden('p1')}
    client: <presence><show>away</show></presence>
    -> judged forward by none
    -> upstream ~ away
    upstream: <iq type='result' id='stanzagate-gate-1' to='romeo@im.example/orchard'>${query('')}</iq>
    -> judged forward by none
    -> roster-fetch answered`,
    fetching,
  )
  book(
    "fetch: a push that is not the account's is still refused",
    `${bound(wire)}
    ${appears}
    ${asks(1)}
    -> upstream: <presence/>
    upstream: <iq type='set' id='p1' from='mallory@evil.example'>${query(item('a@b', 'both'))}</iq>
    -> judged reject by roster-push-from-account
    -> upstream ~ type="error"`,
    fetching,
  )
  book(
    "fetch: from its own request on the pushes are the client's",
    `${bound(wire)}
    ${appears}
    ${asks(1)}
    -> upstream: <presence/>
    ${isAnswered(1, '')}
    ${clientAsks}
    upstream: <iq type='result' id='r1'>${query('')}</iq>
    -> judged forward by none
    -> tell roster
    -> client ~ id="r1"
    ${isPushed('p1', 'juliet@im.example', 'from')}
    -> transition none to from
    -> client ~ id="p1"`,
    fetching,
  )
  book(
    'fetch: not for a client that has asked',
    `${boundWithRoster(wire)}
    ${appears}
    -> upstream: <presence/>`,
    fetching,
  )
  book(
    'fetch: the server refuses',
    `${bound(wire)}
    ${appears}
    ${asks(1)}
    -> upstream: <presence/>
    upstream: <iq type='error' id='stanzagate-gate-1'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
    -> judged forward by none
    -> roster-fetch failed
    ${undecided('subscribed')}`,
    fetching,
  )
  book(
    'fetch: nor for an account whose roster another session sees, until that one is gone',
    [
      `${boundWithRoster(wire)}
    closed client
    -> stream-closed client client-lost
    -> close upstream
    closed upstream
    -> stream-closed upstream client-lost
    -> session-closed romeo@im.example/orchard client-lost`,
      `${bound(wire)}
    ${appears}
    ${asks(1)}
    -> upstream: <presence/>`,
    ],
    fetching,
  )
  book(
    'fetch: the counts of stream management stay right',
    `${bound(wire)}
    client: <enable ${sm}/>
    -> upstream: <enable xmlns="urn:xmpp:sm:3"/>
    upstream: <enabled ${sm}/>
    -> client: <enabled xmlns="urn:xmpp:sm:3"/>
    ${appears}
    ${asks(1)}
    -> upstream: <presence/>
    ${isAnswered(1, '')}
    ${isPushed('p1', 'juliet@im.example', 'from')}
    -> transition none to from
    ${isHidden('p1')}
    client: <r ${sm}/>
    -> upstream ~ <r
    upstream: <a ${sm} h='3'/>
    -> client: <a xmlns="urn:xmpp:sm:3" h="1"/>
    upstream: <r ${sm}/>
    -> client ~ <r
    client: <a ${sm} h='0'/>
    -> upstream: <a xmlns="urn:xmpp:sm:3" h="2"/>`,
    fetching,
  )
}
