/** Subscriptions that a server grants unasked (rule `subscription-needs-request`): what the client sees, and what the server is told. */
import t from 'tap'
import { authenticated, bound, boundWithRoster, play, type Stage, wires } from '../playbook.ts'

const sm = `xmlns='urn:xmpp:sm:3'`
const items = `<item jid='x@far.example' subscription='from'/><item jid='nurse@im.example' subscription='both'/><item jid='asked@far.example' subscription='from' ask='subscribe'/>`
const query = (jid: string, subscription: string, more = '') =>
  `<query xmlns='jabber:iq:roster'><item jid='${jid}' subscription='${subscription}'${more}/></query>`
const pushXml = (id: string, jid: string, subscription: string, more = '') =>
  `<iq type='set' id='${id}'>${query(jid, subscription, more)}</iq>`

/** A push comes, and nothing goes on. */
const isHeld = (id: string, jid: string, subscription: string, more = '') => `
    upstream: ${pushXml(id, jid, subscription, more)}
    -> judged forward by none`
const isPushed = (id: string, jid: string, subscription: string, moved: string) => `${isHeld(id, jid, subscription)}
    -> tell push ${jid}
    -> transition ${moved}
    -> client ~ id="${id}"`
const subscribed = (from = 'x@far.example') => `upstream: <presence from='${from}' type='subscribed'/>`
const undone = `
    -> compensation undone x@far.example
    -> tell unasked-grant x@far.example undone
    -> upstream: <presence type="unsubscribe" id="stanzagate-gate-1" to="x@far.example"/>`
const isUndone = `
    ${subscribed()}
    -> judged drop by subscription-needs-request${undone}`
const presence = (attributes: string) => `
    upstream: <presence ${attributes}/>
    -> judged forward by none`
const isDelivered = (attributes: string, shown: string) => `${presence(attributes)}
    -> client ~ ${shown}`
const answered = (id: string) => `
    -> upstream: <iq type="result" id="${id}"/>`
/** The push that takes it back, which the client does not see. */
const isBack = (id: string, of: string) => `
    upstream: ${pushXml(id, 'x@far.example', 'from')}
    -> judged forward by none${answered(of)}${answered(id)}
    -> tell push x@far.example`

const on: Stage = { compensations: 1 }
const observing: Stage = { compensations: 1, modes: { 'subscription-needs-request': 'observe' } }

for (const wire of wires) {
  const book = (name: string, script: string | readonly string[], stage: Stage = on) =>
    t.test(`${wire}: ${name}`, async t => play(t, wire, script, stage))
  const roster = boundWithRoster(wire, items)

  book(
    'push first, as ejabberd has it: nothing reaches the client, and the echoes do not either',
    `${roster}
    ${isHeld('p1', 'x@far.example', 'both')}
    ${isUndone}
    ${presence(`from='x@far.example/a'`)}
    ${isBack('p2', 'p1')}
    ${presence(`from='x@far.example/b'`)}
    ${presence(`from='x@far.example/a' type='unavailable'`)}
    ${presence(`from='x@far.example/b' type='unavailable'`)}
    ${isDelivered(`from='x@far.example/c' type='unavailable'`, 'x@far.example/c')}
    upstream: <presence from='x@far.example' type='unsubscribed'/>
    -> judged drop by unsubscribed-needs-subscription
    upstream: <presence from='x@far.example' type='error' id='stanzagate-gate-1'><error type='cancel'><remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>
    -> judged forward by none
    deadline
    ${isDelivered(`from='x@far.example/a'`, 'x@far.example/a')}`,
  )
  book(
    'presence first',
    `${roster}
    ${subscribed()}
    -> judged drop by subscribed-needs-request
    upstream: ${pushXml('p1', 'x@far.example', 'both')}
    -> judged drop by subscription-needs-request${undone}
    ${isBack('p2', 'p1')}`,
  )
  book(
    'an unasked approval that changes nothing is forgotten',
    `${roster}
    ${subscribed()}
    -> judged drop by subscribed-needs-request
    deadline
    ${isHeld('p1', 'x@far.example', 'both')}
    deadline
    -> compensation passed x@far.example
    -> tell push x@far.example
    -> transition from to both
    -> client ~ id="p1"`,
  )
  book(
    "an administrator's change reaches the client, in its order; presence behind it too",
    `${roster}
    ${isHeld('p1', 'x@far.example', 'both')}
    ${presence(`from='x@far.example/a'`)}
    ${isDelivered(`from='nurse@im.example/a'`, 'nurse@im.example/a')}
    ${isHeld('p2', 'nurse@im.example', 'to')}
    ${isHeld('p3', 'new@far.example', 'both')}
    deadline
    -> compensation passed x@far.example
    -> compensation passed new@far.example
    -> tell push x@far.example
    -> transition from to both
    -> client ~ id="p1"
    -> client ~ x@far.example/a
    -> tell push nurse@im.example
    -> transition both to to
    -> client ~ id="p2"
    -> tell push new@far.example
    -> transition none to both
    -> client ~ id="p3"
    client: <iq type='result' id='p1'/>
    -> judged forward by none
    -> upstream ~ id="p1"`,
  )
  book(
    'a late approval is undone too, and the client sees what it has to',
    `${roster}
    ${isHeld('p1', 'x@far.example', 'both')}
    deadline
    -> compensation passed x@far.example
    -> tell push x@far.example
    -> transition from to both
    -> client ~ id="p1"
    ${subscribed()}
    -> judged drop by subscription-needs-request
    -> compensation undone x@far.example
    -> tell unasked-grant x@far.example undone
    -> tell gave-up x@far.example
    -> upstream: <presence type="unsubscribe" id="stanzagate-gate-1" to="x@far.example"/>
    ${presence(`from='x@far.example/a'`)}
    ${isPushed('p2', 'x@far.example', 'from', 'both to from')}`,
  )
  book(
    'none left for this hour: the client sees what is so',
    `${roster}
    ${isHeld('p1', 'x@far.example', 'both')}
    ${presence(`from='x@far.example/a'`)}
    ${subscribed()}
    -> judged drop by subscription-needs-request
    -> compensation limited x@far.example
    -> tell unasked-grant x@far.example left
    -> tell push x@far.example
    -> transition from to both
    -> client ~ id="p1"
    -> client ~ x@far.example/a`,
    { compensations: 0 },
  )
  book(
    'observe: it is reported, and nothing is held or sent',
    `${roster}
    ${isPushed('p1', 'x@far.example', 'both', 'from to both')}
    ${subscribed()}
    -> judged drop by subscribed-needs-request
    -> compensation observed x@far.example
    -> tell unasked-grant x@far.example left`,
    observing,
  )
  for (const [name, stage] of [
    ['no limit', {}],
    ['the rule is off', { compensations: 1, modes: { 'subscription-needs-request': 'off' } }],
    ['a trusted domain', { compensations: 1, trustedDomains: ['far.example'] }],
  ] as const)
    book(
      `${name}: nothing is held`,
      `${roster}
    ${isPushed('p1', 'x@far.example', 'both', 'from to both')}
    ${subscribed()}
    ${name === 'a trusted domain' ? '-> judged forward by none\n-> client ~ type="subscribed"' : '-> judged drop by subscribed-needs-request'}`,
      stage,
    )
  book(
    'a server that does not take it back: the client sees what is so',
    `${roster}
    ${isHeld('p1', 'x@far.example', 'both')}
    ${isUndone}
    ${presence(`from='x@far.example/a'`)}
    deadline
    -> compensation failed x@far.example
    -> tell push x@far.example
    -> transition from to both
    -> client ~ id="p1"
    -> client ~ x@far.example/a`,
  )
  book(
    'a roster that the client asks for meanwhile shows it; the push that takes it back is shown then',
    `${roster}
    ${isHeld('p1', 'x@far.example', 'both')}
    client: <iq type='get' id='r2'><query xmlns='jabber:iq:roster'/></iq>
    -> judged forward by none
    -> upstream ~ id="r2"
    upstream: <iq type='result' id='r2'>${query('x@far.example', 'both')}</iq>
    -> judged forward by none
    -> tell push x@far.example
    -> transition from to both
    -> client ~ id="p1"
    -> tell roster
    -> client ~ id="r2"
    ${subscribed()}
    -> judged drop by subscription-needs-request
    -> compensation undone x@far.example
    -> tell unasked-grant x@far.example undone
    -> tell gave-up x@far.example
    -> upstream ~ type="unsubscribe"
    ${isPushed('p2', 'x@far.example', 'from', 'both to from')}`,
  )
  book(
    'another push meanwhile changes the name: what is left of it is shown',
    `${roster}
    ${isHeld('p1', 'x@far.example', 'both')}
    ${isHeld('p2', 'x@far.example', 'both', ` name='X'`)}
    ${isUndone}
    upstream: ${pushXml('p3', 'x@far.example', 'from', ` name='X'`)}
    -> judged forward by none${answered('p1')}${answered('p2')}
    -> tell push x@far.example
    -> client ~ id="p3"`,
  )
  book(
    'the user asks meanwhile: the approval is an answer',
    `${roster}
    ${isHeld('p1', 'x@far.example', 'both')}
    client: <presence type='subscribe' to='x@far.example'/>
    -> judged forward by none
    -> tell asked x@far.example
    -> upstream ~ type="subscribe"
    ${subscribed()}
    -> judged forward by none
    -> tell push x@far.example
    -> transition from to both
    -> client ~ id="p1"
    -> client ~ type="subscribed"`,
  )
  book(
    'the contact ends it at once',
    `${roster}
    ${isHeld('p1', 'x@far.example', 'both')}
    upstream: <presence from='x@far.example' type='unsubscribed'/>
    -> tell push x@far.example
    -> transition from to both
    -> client ~ id="p1"
    -> judged forward by none
    -> client ~ type="unsubscribed"`,
  )
  book(
    'honest handshakes: nothing is held, whatever comes first',
    `${roster}
    ${isPushed('p1', 'asked@far.example', 'both', 'from+ask to both')}
    ${isDelivered(`from='asked@far.example' type='subscribed'`, 'type="subscribed"')}
    client: <presence type='subscribe' to='x@far.example'/>
    -> judged forward by none
    -> tell asked x@far.example
    -> upstream ~ type="subscribe"
    ${isDelivered(`from='x@far.example' type='subscribed'`, 'type="subscribed"')}
    ${isPushed('p2', 'x@far.example', 'both', 'from to both')}
    client: <presence type='subscribe' to='new@far.example'/>
    -> judged forward by none
    -> tell asked new@far.example
    -> upstream ~ type="subscribe"
    ${isHeld('p3', 'new@far.example', 'none', ` ask='subscribe'`)}
    -> tell push new@far.example
    -> transition none to none+ask
    -> client ~ id="p3"
    ${isDelivered(`from='new@far.example' type='subscribed'`, 'type="subscribed"')}
    ${isPushed('p4', 'new@far.example', 'to', 'none+ask to to')}`,
  )
  book(
    'a contact of whom nothing is known is not looked at',
    `${bound(wire)}
    ${isPushed('p1', 'x@far.example', 'both', '- to both')}
    upstream: <presence from='x@far.example' type='subscribed'/>
    -> judged forward by none
    -> undecided subscribed
    -> client ~ type="subscribed"`,
  )
  book(
    'the counts of stream management stay right',
    `${roster}
    client: <enable ${sm}/>
    -> upstream: <enable xmlns="urn:xmpp:sm:3"/>
    upstream: <enabled ${sm}/>
    -> client: <enabled xmlns="urn:xmpp:sm:3"/>
    ${isHeld('p1', 'x@far.example', 'both')}
    ${isUndone}
    ${isBack('p2', 'p1')}
    client: <presence/>
    -> judged forward by none
    -> upstream: <presence/>
    client: <r ${sm}/>
    -> upstream ~ <r
    upstream: <a ${sm} h='4'/>
    -> client: <a xmlns="urn:xmpp:sm:3" h="1"/>
    upstream: <r ${sm}/>
    -> client ~ <r
    client: <a ${sm} h='0'/>
    -> upstream: <a xmlns="urn:xmpp:sm:3" h="3"/>`,
  )
  // The server is told that it has arrived.
  const begun = `${roster}
    client: <enable ${sm} resume='true'/>
    -> upstream ~ <enable
    upstream: <enabled ${sm} id='x1' resume='true' max='600'/>
    -> client ~ id="x1"
    -> keep for 600000
    ${isHeld('p1', 'x@far.example', 'both')}
    closed client
    -> stream-closed client client-lost
    -> close upstream
    -> lose
    closed upstream
    -> stream-closed upstream client-lost
    -> session-closed romeo@im.example/orchard client-lost`
  const resumed = `${authenticated(wire)}
    client: <resume ${sm} previd='x1' h='0'/>
    -> fetch
    -> upstream: <resume xmlns="urn:xmpp:sm:3" previd="x1" h="1"/>
    upstream: <resumed ${sm} previd='x1' h='0'/>
    -> client ~ <resumed
    -> resumption resumed
    -> take
    -> session-opened romeo@im.example/orchard
    -> negotiated
    -> recall romeo@im.example
    -> tell roster`
  book('a resumed stream: the approval comes then', [begun, `${resumed}${isUndone}${isBack('p2', 'p1')}`])
  book('a resumed stream: none comes', [
    begun,
    `${resumed}
    deadline
    -> compensation passed x@far.example
    -> tell push x@far.example
    -> transition from to both
    -> client ~ id="p1"`,
  ])
  book('two resources: one unsubscribe, and neither client sees anything', [
    roster,
    `${roster.replaceAll('romeo@im.example/orchard', 'romeo@im.example/pda')}
    ${isHeld('p1', 'x@far.example', 'both')}
    ${subscribed()}
    -> judged drop by subscription-needs-request${undone}
    ${isBack('p2', 'p1')}`,
  ])
}
