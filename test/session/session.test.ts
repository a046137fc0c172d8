/** What becomes of the stanzas of a bound session. */
import t from 'tap'
import { rules } from '../../src/rules/all-rules.ts'
import { bound, boundWithRoster, endTag, play, type Stage, wires } from '../playbook.ts'

const get = (id: string, ver?: string) =>
  `<iq id='${id}' type='get'><query xmlns='jabber:iq:roster'${ver === undefined ? '' : ` ver='${ver}'`}/></iq>`
const push = (item: string, from = '', ver = '') =>
  `<iq id='p' type='set' to='romeo@im.example/orchard'${from}><query xmlns='jabber:iq:roster'${ver}>${item}</query></iq>`
const item = (subscription: string, more = '') =>
  `<item jid='juliet@im.example' subscription='${subscription}'${more}/>`
/** The server's, delivered as it is. */
const delivered = (stanza: string, ...reports: string[]) => `
  upstream: ${stanza}
  -> judged forward by none
  ${reports.map(report => `-> ${report}`).join('\n')}
  -> client: ${stanza.replaceAll("'", '"')}`

for (const wire of wires) {
  const book = (name: string, script: string | readonly string[], stage?: Stage) =>
    t.test(`${wire}: ${name}`, async t => play(t, wire, script, stage))

  const asks = `
    client: <presence to='juliet@im.example' type='subscribe'/>
    -> judged forward by none
    -> tell asked juliet@im.example
    -> upstream: <presence to="juliet@im.example" type="subscribe" from="romeo@im.example"/>`
  const forged = (type: string, from = 'juliet@im.example') => `
    upstream: <presence from='${from}' type='${type}'/>
    -> judged drop by ${type === 'subscribed' ? 'subscribed-needs-request' : 'unsubscribed-needs-subscription'}`
  const notice = (type: string) => delivered(`<presence from='juliet@im.example' type='${type}'/>`)

  // Subscriptions.

  book(
    "'subscribed' is delivered only to one who asked, once",
    `${boundWithRoster(wire)}
    ${forged('subscribed')}
    ${asks}
    ${notice('subscribed')}
    ${forged('subscribed')}`,
  )
  book(
    'an approval, presence first',
    `${boundWithRoster(wire, item('none'))}
    ${asks}
    ${delivered(push(item('none', ` ask='subscribe'`)), 'tell push juliet@im.example', 'transition none to none+ask')}
    ${notice('subscribed')}
    ${delivered(push(item('to')), 'tell push juliet@im.example', 'transition none+ask to to')}
    ${forged('subscribed')}
    ${notice('unsubscribed')}
    ${delivered(push(item('none')), 'tell push juliet@im.example', 'transition to to none')}
    ${forged('unsubscribed')}`,
  )
  book(
    'an approval, push first',
    `${boundWithRoster(wire, item('from'))}
    ${asks}
    ${delivered(push(item('from', ` ask='subscribe'`)), 'tell push juliet@im.example', 'transition from to from+ask')}
    ${delivered(push(item('both')), 'tell push juliet@im.example', 'transition from+ask to both')}
    ${notice('subscribed')}
    ${forged('subscribed')}
    ${delivered(push(item('from')), 'tell push juliet@im.example', 'transition both to from')}
    ${notice('unsubscribed')}
    ${forged('unsubscribed')}`,
  )
  book(
    'a removal, and the answer to it',
    `${boundWithRoster(wire, item('both'))}
    client: <iq id='x' type='set'><query xmlns='jabber:iq:roster'><item jid='juliet@im.example' subscription='remove'/></query></iq>
    -> judged forward by none
    -> tell gave-up juliet@im.example
    -> upstream ~ subscription="remove"
    ${delivered(push(item('remove')), 'tell push juliet@im.example', 'transition both to -')}
    ${notice('unsubscribed')}
    ${forged('unsubscribed')}`,
  )
  book(
    'requests and withdrawals come as they come, as often as they come',
    `${boundWithRoster(wire, item('both'))}
    ${notice('subscribe')}
    ${notice('subscribe')}
    ${notice('unsubscribe')}
    ${notice('unsubscribe')}`,
  )
  book(
    "the client's own answers are never held back",
    `${boundWithRoster(wire, item('none'))}
    ${['subscribed', 'unsubscribed', 'subscribed', 'unsubscribed']
      .map(
        type => `client: <presence to='juliet@im.example' type='${type}'/>
    -> judged forward by none
    -> upstream: <presence to="juliet@im.example" type="${type}" from="romeo@im.example"/>`,
      )
      .join('\n')}`,
  )
  book(
    'addresses with resources are made bare, each way',
    `${boundWithRoster(wire, item('to'))}
    upstream: <presence from='juliet@im.example/balcony' to='romeo@im.example/orchard' type='subscribe' xml:lang='de'><status>bitte</status></presence>
    -> judged forward by subscription-bare-jids
    -> client: <presence from="juliet@im.example" to="romeo@im.example" type="subscribe" xml:lang="de"><status>bitte</status></presence>
    upstream: <presence from='juliet@im.example/balcony' type='unsubscribed'/>
    -> judged forward by subscription-bare-jids
    -> client: <presence from="juliet@im.example" type="unsubscribed"/>
    client: <presence from='romeo@im.example/orchard' to='juliet@im.example/balcony' id='1' type='subscribe' xml:lang='de'><status>bitte</status><preauth xmlns='urn:xmpp:pars:0' token='t'/></presence>
    -> judged forward by subscription-bare-jids
    -> tell asked juliet@im.example
    -> upstream: <presence from="romeo@im.example" to="juliet@im.example" id="1" type="subscribe" xml:lang="de"><status>bitte</status><preauth xmlns="urn:xmpp:pars:0" token="t"/></presence>`,
  )
  book(
    'a resource in a forged address changes nothing',
    `${boundWithRoster(wire, item('from'))}
    ${forged('subscribed', 'juliet@im.example/x')}
    ${forged('subscribed', 'JULIET@im.example')}
    ${forged('subscribed', 'Juliet@IM.EXAMPLE./x')}
    ${forged('unsubscribed', 'juliet@im.example/x')}`,
  )
  book(
    'undecided: the roster was never asked for',
    `${bound(wire)}
    ${delivered(`<presence from='juliet@im.example' type='subscribed'/>`, 'undecided subscribed')}
    ${delivered(`<presence from='juliet@im.example' type='unsubscribed'/>`, 'undecided unsubscribed')}
    ${delivered(push(item('from')), 'tell push juliet@im.example', 'transition - to from')}
    ${forged('subscribed')}
    ${delivered(`<presence from='nurse@im.example' type='subscribed'/>`, 'undecided subscribed')}`,
  )
  book(
    'undecided: the roster could not be had',
    `${bound(wire)}
    client: ${get('r1')}
    -> judged forward by none
    -> upstream ~ r1
    upstream: <iq id='r1' type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
    -> judged forward by none
    -> client ~ service-unavailable
    ${delivered(`<presence from='juliet@im.example' type='subscribed'/>`, 'undecided subscribed')}`,
  )
  book(
    "a roster result is believed from the client's own server alone, and only to its own request",
    `${boundWithRoster(wire)}
    client: ${get('r2')}
    -> judged forward by none
    -> upstream ~ r2
    ${['mallory@evil.example/x', 'juliet@im.example']
      .map(
        from => `upstream: <iq id='r2' type='result' from='${from}'><query xmlns='jabber:iq:roster'/></iq>
      -> judged drop by iq-answer-needs-request`,
      )
      .join('\n')}
    ${delivered(`<iq id='r9' type='result'><query xmlns='jabber:iq:roster'>${item('none', ` ask='subscribe'`)}</query></iq>`)}
    ${forged('subscribed')}
    ${delivered(`<iq id='r2' type='result' from='romeo@im.example'><query xmlns='jabber:iq:roster'>${item('to')}</query></iq>`, 'tell roster')}
    ${notice('unsubscribed')}`,
  )
  book(
    'a roster result from the domain teaches as one from the account does (gateways in server mode)',
    `${bound(wire)}
    client: ${get('r2')}
    -> judged forward by none
    -> upstream ~ r2
    ${delivered(`<iq id='r2' type='result' from='im.example'><query xmlns='jabber:iq:roster'>${item('to')}</query></iq>`, 'tell roster')}
    ${forged('subscribed')}
    ${notice('unsubscribed')}`,
  )
  // A session that has not asked for its roster is pushed to all the same (ejabberd).
  for (const [shown, type] of [
    ['to', 'subscribed'],
    ['both', 'subscribed'],
    ['none', 'unsubscribed'],
    ['from', 'unsubscribed'],
    ['remove', 'unsubscribed'],
  ] as const)
    book(
      `what the first push about a contact has moved is not known: ${shown}, then '${type}'`,
      `${bound(wire)}
      ${delivered(push(item(shown)), 'tell push juliet@im.example', `transition - to ${shown === 'remove' ? '-' : shown}`)}
      ${delivered(`<presence from='juliet@im.example' type='${type}'/>`, `undecided ${type}`)}
      ${forged(type)}`,
    )
  // What profiles prepare differently: the server answers from `strasse`.
  book(
    'a contact whose name the server spells otherwise: asked, answered, given up',
    `${boundWithRoster(wire)}
    client: <iq id='v' type='get' to='stra\u00dfe@im.example'><vCard xmlns='vcard-temp'/></iq>
    -> judged forward by none
    -> upstream ~ vCard
    ${delivered(`<iq id='v' type='result' from='strasse@im.example'><vCard xmlns='vcard-temp'/></iq>`)}
    client: <presence to='stra\u00dfe@im.example' type='subscribe'/>
    -> judged forward by none
    -> tell asked stra\u00dfe@im.example
    -> upstream: <presence to="stra\u00dfe@im.example" type="subscribe" from="romeo@im.example"/>
    ${forged('subscribed', 'strasse@other.example')}
    ${delivered(push(`<item jid='strasse@im.example' subscription='none' ask='subscribe'/>`), 'tell push strasse@im.example', 'transition none to none+ask')}
    ${delivered(`<presence from='strasse@im.example' type='subscribed'/>`)}
    ${delivered(push(`<item jid='strasse@im.example' subscription='to'/>`), 'tell push strasse@im.example', 'transition none+ask to to')}
    ${forged('subscribed', 'strasse@im.example')}
    client: <presence to='stra\u00dfe@im.example' type='unsubscribe'/>
    -> judged forward by none
    -> tell gave-up stra\u00dfe@im.example
    -> upstream: <presence to="stra\u00dfe@im.example" type="unsubscribe" from="romeo@im.example"/>
    ${delivered(push(`<item jid='strasse@im.example' subscription='none'/>`), 'tell push strasse@im.example', 'transition to to none')}`,
  )
  book(
    'giving up a contact whose name the server spells otherwise is a withdrawal, no denial',
    `${boundWithRoster(wire, `<item jid='\u03bd\u03af\u03ba\u03bf\u03c3@im.example' subscription='none' ask='subscribe'/>`)}
    client: <presence to='\u03bd\u03af\u03ba\u03bf\u03c2@im.example' type='unsubscribe'/>
    -> judged forward by none
    -> tell gave-up \u03bd\u03af\u03ba\u03bf\u03c2@im.example
    -> upstream ~ unsubscribe
    ${delivered(push(`<item jid='\u03bd\u03af\u03ba\u03bf\u03c3@im.example' subscription='none'/>`), 'tell push \u03bd\u03af\u03ba\u03bf\u03c3@im.example', 'transition none+ask to none', 'subscription withdrawal-out')}`,
    { counting: true },
  )
  book(
    'trusted domains are believed unasked',
    `${boundWithRoster(wire)}
    ${delivered(`<presence from='icq.example' type='subscribed'/>`)}
    ${delivered(`<presence from='1234@ICQ.example' type='subscribed'/>`)}
    ${delivered(`<presence from='1234@icq.example' type='unsubscribed'/>`)}
    ${forged('subscribed', 'x@not-icq.example')}
    ${forged('subscribed', 'x@a.icq.example')}
    ${forged('subscribed', 'icq.example@evil.example/icq.example')}`,
    { trustedDomains: ['icq.example'] },
  )
  book(
    'failed requests are counted by their id',
    `${boundWithRoster(wire)}
    client: <presence id='s1' to='juliet@im.example' type='subscribe'/>
    -> judged forward by none
    -> tell asked juliet@im.example
    -> upstream ~ s1
    ${delivered(`<presence id='s1' from='nurse@im.example' type='error'/>`)}
    ${delivered(`<presence id='s2' from='juliet@im.example' type='error'/>`)}
    ${delivered(
      `<presence id='s1' from='juliet@im.example' type='error'><error type='cancel'><remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>`,
      'request-failed remote-server-not-found',
    )}
    ${delivered(`<presence id='s1' from='juliet@im.example' type='error'/>`)}
    client: <presence id='s3' to='Nurse@im.example' type='subscribe'/>
    -> judged forward by none
    -> tell asked Nurse@im.example
    -> upstream ~ s3
    ${delivered(
      `<presence id='s3' from='nurse@im.example' type='error'><error type='cancel'><x xmlns='urn:x'/></error></presence>`,
      'request-failed undefined-condition',
    )}`,
  )

  // Answers and carbons.

  const asksFor = (id: string, to: string) => `
    client: <iq id='${id}' to='${to}' type='get'><q xmlns='urn:q'/></iq>
    -> judged forward by none
    -> upstream: <iq id="${id}" to="${to}" type="get"><q xmlns="urn:q"/></iq>`
  const isAnswered = (id: string, from: string, type = 'result') =>
    delivered(`<iq id='${id}' from='${from}' type='${type}'/>`)
  const isLiedTo = (id: string, from: string, type = 'result') => `
    upstream: <iq id='${id}' from='${from}' type='${type}'/>
    -> judged drop by iq-answer-needs-request`

  book(
    'a request is answered by whom the client has asked, and by nobody else',
    `${bound(wire)}
    ${isLiedTo('1', 'juliet@im.example/balcony')}
    ${asksFor('1', 'juliet@im.example/balcony')}
    ${asksFor('1', 'room@muc.im.example')}
    ${isLiedTo('2', 'juliet@im.example/balcony')}
    ${isLiedTo('1', 'juliet@im.example/tomb')}
    ${isLiedTo('1', 'nurse@im.example/balcony', 'error')}
    ${isLiedTo('1', 'room@muc.im.example/mallory')}
    ${isLiedTo('1', 'mallory@evil.example', 'error')}
    ${isAnswered('1', 'juliet@im.example/balcony', 'error')}
    ${isAnswered('1', 'juliet@im.example/balcony')}
    ${isLiedTo('1', 'juliet@im.example/tomb')}
    ${isAnswered('1', 'room@muc.im.example', 'error')}`,
  )
  const many = wire === 'websocket' ? 2_001 : 2
  book(
    'however many are asked and answer, nothing is forgotten of them',
    `${bound(wire)}
    ${Array.from({ length: many }, (_, i) => `${asksFor(`${i}`, 'a@b.example')}${isAnswered(`${i}`, 'a@b.example')}`).join('\n')}
    ${isLiedTo('1', 'mallory@evil.example')}`,
  )
  book(
    'what was not forwarded was not asked; what is asked of the client is no answer',
    `${bound(wire)}
    client: <iq id='1' to='juliet@im.example' type='set'><query xmlns='jabber:iq:roster'/></iq>
    -> judged reject by roster-set-one-item
    -> client ~ type="error"
    ${isLiedTo('1', 'juliet@im.example')}
    client: <iq id='2' to='juliet@im.example' type='result'/>
    -> judged forward by none
    -> upstream ~ id="2"
    ${isLiedTo('2', 'juliet@im.example')}
    ${delivered(`<iq id='3' from='juliet@im.example' type='get'><q xmlns='urn:q'/></iq>`)}`,
  )
  book(
    'what the rule observes or lets be is delivered',
    `${bound(wire)}
    upstream: <iq id='1' from='mallory@evil.example' type='result'/>
    -> judged would drop by iq-answer-needs-request
    -> client: <iq id="1" from="mallory@evil.example" type="result"/>
    ${delivered(`<message from='mallory@evil.example'><sent xmlns='urn:xmpp:carbons:2'/></message>`)}`,
    { modes: { 'iq-answer-needs-request': 'observe', 'carbons-from-account': 'off' } },
  )
  book(
    'carbons come from the account',
    `${bound(wire)}
    ${delivered(`<message from='romeo@im.example'><sent xmlns='urn:xmpp:carbons:2'/></message>`)}
    upstream: <message from='mallory@evil.example' to='romeo@im.example'><received xmlns='urn:xmpp:carbons:2'/></message>
    -> judged drop by carbons-from-account`,
  )

  // Roster pushes and sets.

  for (const from of [
    'mallory@evil.example/x',
    'juliet@im.example',
    'im.example',
    'romeo@im.example/orchard',
    'romeo@im.example/other',
  ])
    book(
      `a roster push from ${from} is refused, and nothing is learnt from it`,
      `${boundWithRoster(wire)}
      upstream: ${push(item('none', ` ask='subscribe'`), ` from='${from}'`)}
      -> judged reject by roster-push-from-account
      -> upstream: <iq from="romeo@im.example/orchard" to="${from}" id="p" type="error"><error type="cancel" by="im.example"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>
      ${forged('subscribed')}`,
    )
  book(
    'roster pushes of the account, of any number of items',
    `${boundWithRoster(wire)}
    ${delivered(push('').replace('></query>', '/>'))}
    ${delivered(push(item('none', ` ask='subscribe'`), ` from='romeo@im.example'`), 'tell push juliet@im.example', 'transition none to none+ask')}
    ${delivered(
      push(
        `${item('to')}<item jid='nurse@im.example' subscription='from'/><item jid='x@im.example' subscription='odd'/>`,
      ),
      'tell push juliet@im.example',
      'transition none+ask to to',
      'tell push nurse@im.example',
      'transition none to from',
    )}
    ${notice('subscribed')}`,
  )
  book(
    'a roster set of two items is answered, not forwarded',
    `${bound(wire)}
    client: <iq id='q 1' type='set' xml:lang='de'><query xmlns='jabber:iq:roster'><item jid='a@im.example'/><item jid='b@im.example'/></query></iq>
    -> judged reject by roster-set-one-item
    -> client ~ <iq to="romeo@im.example/orchard" id="q 1" type="error"><error type="modify" by="im.example"><bad-request xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><text
    client: <presence/>
    -> judged forward by none
    -> upstream: <presence/>`,
  )
  book(
    'what may not be answered is left out',
    `${bound(wire)}
    client: <presence type='error' to='a@im.example'/>
    -> judged drop by presence-children`,
  )

  // Roster versions.

  const asksWith = (ver: string, passed: string) => `
    client: ${get('r2', ver)}
    -> judged forward by none
    -> upstream: <iq id="r2" type="get"><query xmlns="jabber:iq:roster" ver="${passed}"/></iq>`
  const known = (ver: string) => asksWith(ver, ver)
  const unknown = (ver: string) => asksWith(ver, '')
  const unchanged = (reports: string[]) => delivered(`<iq id='r2' type='result'/>`, ...reports)
  book(
    'versions: one that the gate does not know is asked for in full',
    `${bound(wire)}
    ${unknown('v7')}
    ${delivered(`<iq id='r2' type='result'><query xmlns='jabber:iq:roster' ver='v7'>${item('to')}</query></iq>`, 'tell roster')}
    ${notice('unsubscribed')}
    ${forged('subscribed', 'nurse@im.example')}`,
  )
  book(
    'versions: the first time, and a server without versions',
    `${bound(wire)}
    ${known('')}
    ${delivered(`<iq id='r2' type='result'><query xmlns='jabber:iq:roster'>${item('to')}</query></iq>`, 'tell roster')}
    ${unknown('v1')}`,
  )
  book(
    'versions: each push makes a new one, and the last is known',
    `${boundWithRoster(wire, '', 'v1')}
    ${delivered(push(item('to'), '', ` ver='v2'`), 'tell push juliet@im.example', 'transition none to to')}
    ${unknown('v1')}
    ${delivered(`<iq id='r2' type='result'><query xmlns='jabber:iq:roster' ver='v2'>${item('to')}</query></iq>`, 'tell roster')}
    ${known('v2')}
    ${unchanged(['tell roster'])}
    ${notice('unsubscribed')}`,
  )
  const over = (cause = 'client-closed') => `
    client: ${endTag(wire)}
    -> upstream: </stream:stream>
    upstream: </stream:stream>
    -> close upstream
    -> client: ${endTag(wire)}
    -> close client
    closed upstream
    -> stream-closed upstream ${cause}
    -> close client
    closed client
    -> stream-closed client ${cause}
    -> session-closed romeo@im.example/orchard ${cause}`
  book('versions: the next session knows the one that the last has seen', [
    `${boundWithRoster(wire, item('both'), 'v1')}
    ${delivered(push(item('from'), '', ` ver='v2'`), 'tell push juliet@im.example', 'transition both to from')}
    ${over()}`,
    `${bound(wire)}
    ${unknown('v1')}
    ${delivered(`<iq id='r2' type='result'><query xmlns='jabber:iq:roster' ver='v2'>${item('from')}</query></iq>`, 'tell roster')}
    ${over()}`,
    `${bound(wire)}
    ${known('v2')}
    ${unchanged(['tell roster'])}
    ${forged('unsubscribed')}
    ${forged('subscribed')}
    ${forged('subscribed', 'nurse@im.example')}`,
  ])
  book(
    'versions: an empty result that cannot be understood leaves everything undecided',
    `${bound(wire)}
    client: ${get('r2')}
    -> judged forward by none
    -> upstream ~ r2
    ${unchanged([])}
    ${delivered(`<presence from='juliet@im.example' type='subscribed'/>`, 'undecided subscribed')}`,
  )
  book(
    'versions: observed, an unknown one is asked for in full, so that there is something to observe',
    `${bound(wire)}
    ${asksWith('v7', '')}
    ${delivered(`<iq id='r2' type='result'><query xmlns='jabber:iq:roster' ver='v8'/></iq>`, 'tell roster')}
    upstream: <presence from='juliet@im.example' type='subscribed'/>
    -> judged would drop by subscribed-needs-request
    -> client: <presence from="juliet@im.example" type="subscribed"/>`,
    { modes: Object.fromEntries(rules.map(({ name }) => [name, 'observe'] as const)) },
  )
  book(
    'versions: off, an unknown one goes out as it was, and nothing can be decided',
    `${bound(wire)}
    ${asksWith('v7', 'v7')}
    ${unchanged([])}
    ${delivered(`<presence from='juliet@im.example' type='subscribed'/>`, 'undecided subscribed')}`,
    { modes: { 'roster-version-held': 'off' } },
  )

  // Two sessions of one account.

  book('a second session that does not ask for the roster follows the first', [
    boundWithRoster(wire, `${item('none')}<item jid='nurse@im.example' subscription='to'/>`, 'v1'),
    `${bound(wire)}
    ${forged('subscribed')}
    ${forged('unsubscribed')}
    ${delivered(`<presence from='nurse@im.example' type='unsubscribed'/>`)}
    ${asks}
    ${notice('subscribed')}
    ${forged('subscribed')}`,
  ])
  book('a push is counted once, however many sessions hear it', [
    boundWithRoster(wire, item('none')),
    `${boundWithRoster(wire, item('none'))}
    ${delivered(push(item('to')), 'tell push juliet@im.example')}`,
  ])
  book('when the last session that sees pushes is gone, nothing is refused', [
    `${boundWithRoster(wire, item('none'))}
    ${over()}`,
    `${bound(wire)}
    ${delivered(`<presence from='juliet@im.example' type='subscribed'/>`, 'undecided subscribed')}`,
  ])

  // Observing.

  book(
    'observed: everything is forwarded as it came, and told',
    `${boundWithRoster(wire)}
    upstream: <presence from='juliet@im.example/x' type='unsubscribe'/>
    -> judged would forward by subscription-bare-jids
    -> client: <presence from="juliet@im.example/x" type="unsubscribe"/>
    upstream: <presence from='juliet@im.example' type='subscribed'/>
    -> judged would drop by subscribed-needs-request
    -> client: <presence from="juliet@im.example" type="subscribed"/>
    client: <presence to='juliet@im.example/x' type='subscribe'/>
    -> judged would forward by subscription-bare-jids
    -> tell asked juliet@im.example/x
    -> upstream: <presence to="juliet@im.example/x" type="subscribe"/>
    upstream: <presence from='juliet@im.example' type='subscribed'/>
    -> judged forward by none
    -> client: <presence from="juliet@im.example" type="subscribed"/>
    upstream: <presence from='juliet@im.example' type='subscribed'/>
    -> judged would drop by subscribed-needs-request
    -> client: <presence from="juliet@im.example" type="subscribed"/>
    client: <presence from='mallory@im.example' type='available'><show/></presence>
    -> judged would forward by from-is-bound-jid
    -> upstream: <presence from="mallory@im.example" type="available"><show/></presence>
    upstream: ${push(item('none', ` ask='subscribe'`), ` from='mallory@evil.example'`)}
    -> judged would reject by roster-push-from-account
    -> client ~ mallory@evil.example
    upstream: <presence from='juliet@im.example' type='subscribed'/>
    -> judged would drop by subscribed-needs-request
    -> client ~ subscribed`,
    {
      modes: Object.fromEntries(
        [
          'from-is-bound-jid',
          'presence-type',
          'presence-children',
          'subscription-bare-jids',
          'roster-push-from-account',
          'subscribed-needs-request',
        ].map(name => [name, 'observe'] as const),
      ),
    },
  )

  // The rest is nobody's business.

  const untouched = [
    `<message to="juliet@im.example/balcony" id="a/b+c=" type="chat" xml:lang="de"><body>1 &lt; 2 &amp; "3"  \u{1f339}</body><body xml:lang="en">x</body><active xmlns="http://jabber.org/protocol/chatstates"/><x xmlns="urn:x" n="1"><y xmlns="">z</y><message xmlns="jabber:client"/></x></message>`,
    `<message to="room@muc.im.example" type="groupchat"><body>hi</body></message>`,
    `<presence to="room@muc.im.example/nick"><x xmlns="http://jabber.org/protocol/muc"><history maxstanzas="0"/></x></presence>`,
    `<presence to="room@muc.im.example/nick" type="unavailable"><status>bye</status></presence>`,
    `<presence to="juliet@im.example" type="probe"/>`,
    `<presence xml:lang="de"><show>away</show><status>weg</status><priority>-1</priority><c xmlns="http://jabber.org/protocol/caps" hash="sha-1" node="n" ver="v"/></presence>`,
    `<iq id="1" type="get" to="im.example"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`,
    `<iq id="1" type="set"><session xmlns="urn:ietf:params:xml:ns:xmpp-session"/></iq>`,
    `<iq id="1" type="set"><block xmlns="urn:xmpp:blocking"><item jid="spam@evil.example"><report xmlns="urn:xmpp:reporting:1" reason="urn:xmpp:reporting:spam"/></item></block></iq>`,
    `<iq id="1" type="result" to="im.example"/>`,
    `<iq id="1" type="error" to="a@im.example"><error type="cancel" code="404"><item-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><own xmlns="urn:x"/></error></iq>`,
    `<iq id="1" type="get" to="juliet@im.example"><query xmlns="jabber:iq:roster" ver="v"/></iq>`,
    `<iq type="get"><ping xmlns="urn:xmpp:ping"/></iq>`,
    `<message/>`,
  ]
  for (const stanza of untouched)
    book(
      `untouched both ways: ${stanza}`,
      `${bound(wire)}
      client: ${stanza}
      -> judged forward by none
      -> upstream: ${stanza}
      upstream: ${stanza}
      -> judged forward by none
      -> client: ${stanza}`,
    )
  book(
    "an attribute and its namespace's prefix",
    `${bound(wire)}
    client: <message xmlns:a='urn:a' a:k='v' to='juliet@im.example'><a:b c='&#x9;&#10;'>&#xd;<![CDATA[<x>]]></a:b></message>
    -> judged forward by none
    -> upstream: <message xmlns:n0="urn:a" n0:k="v" to="juliet@im.example"><b xmlns="urn:a" c="&#9;&#xA;">&#xD;&lt;x></b></message>`,
  )
  book(
    "a stanza's language, inherited or its own, and statuses in two languages",
    `${bound(wire, `to='im.example' version='1.0' xml:lang='de'`)}
    client: <presence><status>weg</status><status xml:lang='en'>away</status></presence>
    -> judged forward by none
    -> upstream: <presence><status>weg</status><status xml:lang="en">away</status></presence>
    client: <presence><status>weg</status><status xml:lang='de'>fort</status></presence>
    -> judged reject by presence-children
    -> client ~ <bad-request`,
  )
  book(
    "another's address is overridden: a room's, in a subject that a library sends",
    `${bound(wire)}
    client: <message from='room@muc.im.example' to='room@muc.im.example' type='groupchat'><subject>hi</subject></message>
    -> judged forward by from-is-bound-jid
    -> upstream: <message from="romeo@im.example/orchard" to="room@muc.im.example" type="groupchat"><subject>hi</subject></message>
    client: <presence from='mallory@evil.example/x' to='juliet@im.example' type='subscribed'/>
    -> judged forward by from-is-bound-jid
    -> upstream: <presence from="romeo@im.example" to="juliet@im.example" type="subscribed"/>`,
  )
  book(
    'a stale resource is put right, a bare address of its own too',
    `${bound(wire)}
    client: <message from='romeo@im.example/old' to='a@im.example'/>
    -> judged forward by from-is-bound-jid
    -> upstream: <message from="romeo@im.example/orchard" to="a@im.example"/>
    client: <iq from='ROMEO@im.example' id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>
    -> judged forward by none
    -> upstream: <iq from="romeo@im.example/orchard" id="1" type="get"><ping xmlns="urn:xmpp:ping"/></iq>`,
  )
}
