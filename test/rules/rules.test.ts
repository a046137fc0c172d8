/**
 * One table a rule: who sends, what, and what the rule says of it. `pass`: nothing against it; `forward ...`: what it becomes.
 *
 * The roster of these tables is told by the contacts' names: `asked@` is awaited, `friend@` is subscribed to, of `unknown@` nothing
 * was seen, and everyone else is known to be a stranger.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import t from 'tap'
import { activeRules, type ModeSettings, modesOf, rules, rulesOf } from '../../src/rules/all-rules.ts'
import { carbonsFromAccount } from '../../src/rules/carbons-from-account.ts'
import { fromIsBoundJid } from '../../src/rules/from-is-bound-jid.ts'
import { iqAnswerNeedsRequest } from '../../src/rules/iq-answer-needs-request.ts'
import { iqRequestOnePayload } from '../../src/rules/iq-request-one-payload.ts'
import { judge } from '../../src/rules/judge.ts'
import { outboundRequests } from '../../src/rules/outbound-requests.ts'
import { ruleOutcomeOf } from '../../src/rules/outcome.ts'
import { pendingRequests } from '../../src/rules/pending-requests.ts'
import { presenceChildren } from '../../src/rules/presence-children.ts'
import { presenceType } from '../../src/rules/presence-type.ts'
import { redeliverRequests } from '../../src/rules/redeliver-requests.ts'
import { rosterPushFromAccount } from '../../src/rules/roster-push-from-account.ts'
import { rosterSetOneItem } from '../../src/rules/roster-set-one-item.ts'
import { rosterVersionHeld } from '../../src/rules/roster-version-held.ts'
import type { Belief, Facts, Rule, Verdict } from '../../src/rules/rule.ts'
import { RulesByScope, rulesByScope } from '../../src/rules/rules-by-scope.ts'
import { subscribedNeedsRequest } from '../../src/rules/subscribed-needs-request.ts'
import { subscriptionBareJids } from '../../src/rules/subscription-bare-jids.ts'
import { subscriptionNeedsRequest } from '../../src/rules/subscription-needs-request.ts'
import { unsubscribedNeedsSubscription } from '../../src/rules/unsubscribed-needs-subscription.ts'
import { readdressed, type Stanza, stanzaOf, subscriptionTypes } from '../../src/stanza/stanza.ts'
import { makeFraming } from '../../src/stream/framing.ts'
import type { Side } from '../../src/stream/item.ts'
import { clientLimits } from '../../src/stream/limits.ts'
import { withAttrs } from '../../src/xml/element.ts'
import { clientHeader, doubleQuoted } from '../playbook.ts'

type Row = readonly [side: Side, xml: string, expected: string]

const tables = new Map<string, readonly Row[]>()

function judges(rule: Rule, rows: readonly Row[], facts: Partial<Facts> = {}): void {
  tables.set(rule.name, [...(tables.get(rule.name) ?? []), ...rows])
  t.test(rule.name, async t => {
    for (const [from, xml, expected] of rows)
      t.equal(said(rule.judge(read(xml), { ...usual, ...facts, from })), expected, `${from}: ${xml}`)
  })
}

function answers(contact: string, good: string): Belief {
  if (contact.startsWith('unknown@')) return 'unknown'
  return contact.startsWith(good) ? 'accept' : 'refuse'
}

const usual: Facts = {
  from: 'client',
  jid: 'romeo@im.example/orchard',
  bare: 'romeo@im.example',
  foreignFrom: 'override',
  unverified: 'pass',
  lang: 'en',
  mayRequest: () => true,
  offersPreApproval: false,
  isIdleApproval: contact => /^seen@/.test(contact),
  isGrantedUnasked: ({ from, id }) => from === 'mallory@im.example' || id === 'granted',
  isRequestHeld: contact => contact.startsWith('stranger@'),
  trusts: contact => contact.endsWith('gateway.example'),
  asked: ({ id }) => (id === 'forgotten' ? 'unknown' : id === 'asked' ? 'accept' : 'refuse'),
  roster: {
    answersRequest: contact => answers(contact, 'asked@'),
    endsSubscription: contact => answers(contact, 'friend@'),
    holdsVersion: ver => ver === 'held',
  },
}

function read(xml: string): Stanza {
  const framing = makeFraming('tcp', 'client', clientLimits)
  framing.push(Buffer.from(clientHeader))
  framing.next()
  framing.push(Buffer.from(xml))
  const item = framing.next()
  const stanza = item?.item === 'element' ? stanzaOf(item.element) : undefined
  if (stanza === undefined) throw new Error(`no stanza: ${xml}: ${JSON.stringify(item)}`)
  return stanza
}

function text(stanza: Stanza): string {
  const framing = makeFraming('tcp', 'client', clientLimits)
  return doubleQuoted(framing.write({ item: 'element', element: stanza.element }))
}

function said(verdict: Verdict | undefined): string {
  switch (verdict?.verdict) {
    case undefined:
      return 'pass'
    case 'forward':
      return `${verdict.isRoutine === true ? 'routine' : 'forward'} ${text(verdict.stanza)}`
    case 'reject':
      return `reject ${verdict.error.condition}`
    case 'close':
      return `close ${verdict.error}`
    case 'drop':
      return 'drop'
  }
}

/** Another's address: RFC 6120 section 8.1.2.1 has it overridden. */
const foreign: readonly string[] = [
  'juliet@im.example/balcony',
  'romeo@im.example.evil.example',
  'im.example',
  '/orchard',
  ' romeo@im.example',
  // Not folded to an ASCII letter, and not guessed at.
  'r\u03bfmeo@im.example',
  'x@y@im.example',
  // The subject of a room, as a library for bots sends it.
  'room@muc.im.example',
]
judges(fromIsBoundJid, [
  ['client', `<presence/>`, 'pass'],
  ['client', `<presence from='romeo@im.example/orchard'/>`, 'pass'],
  // The own address, spelled otherwise or without what the server adds: nothing else is said.
  [
    'client',
    `<message from='romeo@im.example' to='a@im.example'/>`,
    `routine <message from="romeo@im.example/orchard" to="a@im.example"/>`,
  ],
  [
    'client',
    `<iq from='ROMEO@im.example/orchard' id='1' type='get'/>`,
    `routine <iq from="romeo@im.example/orchard" id="1" type="get"/>`,
  ],
  ['client', `<presence from='Romeo@IM.example./orchard'/>`, `routine <presence from="romeo@im.example/orchard"/>`],
  ['client', `<message from=''/>`, 'routine <message from="romeo@im.example/orchard"/>'],
  ['client', `<presence from='romeo@im.example/balcony'/>`, `forward <presence from="romeo@im.example/orchard"/>`],
  // The four subscription types are stamped with the bare JID (RFC 6121 section 3.1.2).
  ...subscriptionTypes.flatMap((type): Row[] => [
    ['client', `<presence from='romeo@im.example' to='a@im.example' type='${type}'/>`, 'pass'],
    [
      'client',
      `<presence from='romeo@im.example/orchard' to='a@im.example' type='${type}'/>`,
      `forward <presence from="romeo@im.example" to="a@im.example" type="${type}"/>`,
    ],
    [
      'client',
      `<presence from='mallory@im.example' to='a@im.example' type='${type}'/>`,
      `forward <presence from="romeo@im.example" to="a@im.example" type="${type}"/>`,
    ],
  ]),
  ...foreign.map(
    (from): Row => ['client', `<message from='${from}'/>`, 'forward <message from="romeo@im.example/orchard"/>'],
  ),
  ['upstream', `<message from='juliet@im.example/balcony'/>`, 'pass'],
])
judges(
  fromIsBoundJid,
  [
    ...foreign.map((from): Row => ['client', `<message from='${from}'/>`, 'close invalid-from']),
    ['client', `<presence from='mallory@im.example' to='a@im.example' type='subscribe'/>`, 'close invalid-from'],
    ['client', `<presence from='romeo@im.example/balcony'/>`, `forward <presence from="romeo@im.example/orchard"/>`],
    ['client', `<message from=''/>`, 'routine <message from="romeo@im.example/orchard"/>'],
  ],
  { foreignFrom: 'close' },
)

// What profiles prepare differently may be the own address, and never ends the stream.
for (const [bare, typed] of [
  ['strasse@im.example', 'stra\u00dfe@im.example'],
  ['\u03bd\u03af\u03ba\u03bf\u03c3@im.example', '\u03bd\u03af\u03ba\u03bf\u03c2@im.example'],
  ['fiona@im.example', '\ufb01ona@im.example'],
  ['romeo@strasse.example', 'romeo@stra\u00dfe.example'],
  ['\u2665@im.example', '\u2665@IM.example'],
] as const)
  judges(
    fromIsBoundJid,
    [
      ['client', `<presence from='${bare}/a'/>`, 'pass'],
      ['client', `<presence from='${typed}/a'/>`, `routine <presence from="${bare}/a"/>`],
      ['client', `<presence from='${typed}'/>`, `routine <presence from="${bare}/a"/>`],
      ['client', `<presence from='${typed}/b'/>`, `forward <presence from="${bare}/a"/>`],
      ['client', `<presence from='x${typed}/a'/>`, 'close invalid-from'],
      ['client', `<presence from='\u2663@im.example/a'/>`, 'close invalid-from'],
    ],
    { jid: `${bare}/a`, bare, foreignFrom: 'close' },
  )

const presenceTypes = ['unavailable', ...subscriptionTypes, 'probe', 'error']
judges(presenceType, [
  ['client', `<presence/>`, 'pass'],
  ...presenceTypes.map((type): Row => ['client', `<presence type='${type}' to='a@im.example'/>`, 'pass']),
  ['client', `<presence type='available'/>`, 'reject bad-request'],
  ['client', `<presence type=''/>`, 'reject bad-request'],
  ['client', `<presence type='Subscribe'/>`, 'reject bad-request'],
  ['client', `<presence type=' subscribe '/>`, 'reject bad-request'],
  ['client', `<presence type='subscribe\u0020'/>`, 'reject bad-request'],
  ['client', `<presence type='subscribe&#x20;'/>`, 'reject bad-request'],
  ['client', `<presence type='subscribe&#x9;'/>`, 'reject bad-request'],
  ['client', `<presence type='subscribe&#x200b;'/>`, 'reject bad-request'],
  ['client', `<presence type='invisible'/>`, 'reject bad-request'],
  ['client', `<presence type='constructor'/>`, 'reject bad-request'],
  // An attribute of another namespace is another attribute.
  ['client', `<presence xmlns:x='urn:x' x:type='available'/>`, 'pass'],
  ['client', `<message type='available'/>`, 'pass'],
  ['client', `<iq type='subscribe' id='1'/>`, 'pass'],
  ['upstream', `<presence type='invisible'/>`, 'pass'],
])

judges(
  outboundRequests,
  [
    ['client', `<presence type='subscribe' to='a@im.example'/>`, 'reject policy-violation'],
    ['client', `<presence type='subscribed' to='a@im.example'/>`, 'pass'],
    ['client', `<presence type='subscribed' to='seen@im.example'/>`, 'drop'],
    ['client', `<presence type='subscribed' to='seen@gateway.example'/>`, 'pass'],
    ['client', `<presence type='subscribed'/>`, 'pass'],
    ['client', `<presence type='unsubscribed' to='seen@im.example'/>`, 'pass'],
    ['client', `<presence to='seen@im.example'/>`, 'pass'],
    ['client', `<presence type='unsubscribe' to='a@im.example'/>`, 'pass'],
    ['client', `<presence to='a@im.example'/>`, 'pass'],
    ['client', `<message type='subscribe' to='a@im.example'/>`, 'pass'],
    ['upstream', `<presence type='subscribe' from='a@im.example'/>`, 'pass'],
  ],
  { mayRequest: () => false },
)
judges(redeliverRequests, [['upstream', `<presence from='a@b' to='romeo@im.example' type='subscribe'/>`, 'pass']])
const redelivered = `<presence from="a@b" to="romeo@im.example" type="subscribe"/>`
judges(redeliverRequests, [['upstream', redelivered, `forward ${redelivered}`]], { isRedelivered: true })

judges(pendingRequests, [
  ['upstream', `<presence type='subscribe' from='stranger@far.example'/>`, 'drop'],
  ['upstream', `<presence type='subscribe' from='stranger@far.example/pda'/>`, 'drop'],
  ['upstream', `<presence type='subscribe' from='friend@far.example'/>`, 'pass'],
  ['upstream', `<presence type='subscribe' from='stranger@gateway.example'/>`, 'pass'],
  ['upstream', `<presence type='subscribe'/>`, 'pass'],
  ['upstream', `<presence type='subscribed' from='stranger@far.example'/>`, 'pass'],
  ['upstream', `<presence type='unsubscribe' from='stranger@far.example'/>`, 'pass'],
  ['upstream', `<presence type='unsubscribed' from='stranger@far.example'/>`, 'pass'],
  ['upstream', `<presence from='stranger@far.example'/>`, 'pass'],
  ['upstream', `<iq type='subscribe' from='stranger@far.example'/>`, 'pass'],
  // An invitation to a room (XEP-0045 section 7.8, XEP-0249) is a message.
  [
    'upstream',
    `<message from='stranger@far.example'><x xmlns='jabber:x:conference' jid='room@muc.far.example'/></message>`,
    'pass',
  ],
  ['client', `<presence type='subscribe' to='stranger@far.example' from='stranger@far.example'/>`, 'pass'],
])
judges(subscriptionNeedsRequest, [
  ['upstream', `<presence type='subscribed' from='mallory@im.example'/>`, 'drop'],
  ['upstream', `<presence type='subscribed' from='friend@im.example'/>`, 'pass'],
  ['upstream', `<presence type='unsubscribed' from='mallory@im.example'/>`, 'pass'],
  ['upstream', `<presence from='mallory@im.example'/>`, 'pass'],
  ['upstream', `<iq type='set' id='granted'><query xmlns='jabber:iq:roster'/></iq>`, 'drop'],
  ['upstream', `<iq type='set' id='other'><query xmlns='jabber:iq:roster'/></iq>`, 'pass'],
  ['upstream', `<iq type='result' id='granted'/>`, 'pass'],
  ['client', `<iq type='set' id='granted'><query xmlns='jabber:iq:roster'/></iq>`, 'pass'],
])
judges(outboundRequests, [['client', `<presence type='subscribe' to='a@im.example'/>`, 'pass']])

const caps = `<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:n' ver='v'/>`
const refusedChildren = [
  '<show>away</show><show>xa</show>',
  '<priority>1</priority><priority>2</priority>',
  '<priority>128</priority>',
  '<priority>-129</priority>',
  '<priority>1.0</priority>',
  '<priority/>',
  '<priority>0x1</priority>',
  '<priority> 3 </priority>',
  '<priority>\u0663</priority>',
  '<show>online</show>',
  '<show> away </show>',
  '<show>Away</show>',
  `<show x='1'>away</show>`,
  '<show>away<b xmlns="urn:x"/></show>',
  '<status>a<b xmlns="urn:x"/></status>',
  `<status x='1'>a</status>`,
  `<priority x='1'>1</priority>`,
  `<x xmlns=''/>`,
  `<x xmlns='jabber:server'/>`,
  `<x xmlns='http://etherx.jabber.org/streams'/>`,
  '<unknown/>',
  '<presence/>',
  'text',
  '<status>a</status><status>b</status>',
  `<status>a</status><status xml:lang='EN'>b</status>`,
  `<status xml:lang='de'>a</status><status xml:lang='de'>b</status>`,
  `<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`,
]
const passedChildren = [
  '<show>away</show><status>out</status><priority>-128</priority>',
  '<priority>127</priority>',
  '<priority>+5</priority>',
  '<priority>007</priority>',
  '<priority>-0</priority>',
  `${caps}<show>chat</show>`,
  `<show>dnd</show>${caps}<show xmlns='urn:x'>anything</show>`,
  `<status>${'\u00fc'.repeat(1025)}</status>`,
  '<status/>',
  `<status>a</status><status xml:lang='de'>b</status><status xml:lang=''>c</status>`,
  '\n  <show>xa</show>\n',
  `<x xmlns='vcard-temp:x:update'><photo/></x><x xmlns='urn:x'>a<y xmlns=''/><z xmlns='jabber:server'/></x>`,
  '<![CDATA[ ]]><show><![CDATA[away]]></show>',
]
judges(presenceChildren, [
  ...refusedChildren.map((inside): Row => ['client', `<presence>${inside}</presence>`, 'reject bad-request']),
  ...refusedChildren.map((inside): Row => ['upstream', `<presence>${inside}</presence>`, 'pass']),
  ...passedChildren.map((inside): Row => ['client', `<presence>${inside}</presence>`, 'pass']),
  // Servers accept it (lenient), and have to take what they get.
  ['client', `<presence type='unavailable'><show>away</show><priority>1</priority></presence>`, 'pass'],
  [
    'client',
    `<presence type='subscribe' to='a@im.example'><status>hello</status><preauth xmlns='urn:xmpp:pars:0' token='1'/></presence>`,
    'pass',
  ],
  ['client', `<presence xml:lang='de'><status>a</status><status xml:lang='en'>b</status></presence>`, 'pass'],
  [
    'client',
    `<presence xml:lang='de'><status>a</status><status xml:lang='de'>b</status></presence>`,
    'reject bad-request',
  ],
  ['client', `<presence type='error' to='a@im.example'/>`, 'reject bad-request'],
  [
    'client',
    `<presence type='error' to='a@im.example'><error type='cancel' code='404'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>x</text><app xmlns='urn:x'/></error>${caps}</presence>`,
    'pass',
  ],
  [
    'client',
    `<presence type='error' to='a@im.example'><error type='fatal'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>`,
    'reject bad-request',
  ],
  ['client', `<presence type='error' to='a@im.example'><error type='cancel'/></presence>`, 'reject bad-request'],
  ['client', `<message><show>online</show></message>`, 'pass'],
])

judges(subscriptionBareJids, [
  ...subscriptionTypes.flatMap((type): Row[] => [
    [
      'client',
      `<presence to='a@im.example' type='${type}'/>`,
      `routine <presence to="a@im.example" type="${type}" from="romeo@im.example"/>`,
    ],
    [
      'client',
      `<presence to='a@im.example/desk' type='${type}' from='romeo@im.example'/>`,
      `forward <presence to="a@im.example" type="${type}" from="romeo@im.example"/>`,
    ],
    ['client', `<presence to='a@im.example' type='${type}' from='romeo@im.example'/>`, 'pass'],
    ['client', `<presence type='${type}'/>`, 'reject bad-request'],
    ['client', `<presence type='${type}' to='a b@im.example'/>`, 'reject jid-malformed'],
    ['client', `<presence type='${type}' to=''/>`, 'reject jid-malformed'],
    ['client', `<presence type='${type}' to='a@im.example/'/>`, 'reject jid-malformed'],
    ['upstream', `<presence type='${type}' from='a@im.example' to='romeo@im.example'/>`, 'pass'],
    ['upstream', `<presence type='${type}' from='a@im.example'/>`, 'pass'],
    ['upstream', `<presence type='${type}'/>`, 'pass'],
    [
      'upstream',
      `<presence type='${type}' from='a@im.example/x' to='romeo@im.example/orchard'/>`,
      `forward <presence type="${type}" from="a@im.example" to="romeo@im.example"/>`,
    ],
    [
      'upstream',
      `<presence type='${type}' from='a@im.example' to='romeo@im.example/orchard'/>`,
      `forward <presence type="${type}" from="a@im.example" to="romeo@im.example"/>`,
    ],
    [
      'upstream',
      `<presence type='${type}' from='a@im.example/x' to='romeo@im.example'/>`,
      `forward <presence type="${type}" from="a@im.example" to="romeo@im.example"/>`,
    ],
    // What the server left out is not added.
    [
      'upstream',
      `<presence type='${type}' from='a@im.example/x'/>`,
      `forward <presence type="${type}" from="a@im.example"/>`,
    ],
    [
      'upstream',
      `<presence type='${type}' to='romeo@im.example/orchard'/>`,
      `forward <presence type="${type}" to="romeo@im.example"/>`,
    ],
  ]),
  // A JID's spelling stays, and so does what a subscription stanza carries.
  [
    'client',
    `<presence id='p 1/+=' xml:lang='de' to='A.B@IM.example/x' type='subscribe'><status>bitte</status><preauth xmlns='urn:xmpp:pars:0' token='t'/><y:z xmlns:y='urn:y' y:k='v'/></presence>`,
    `forward <presence id="p 1/+=" xml:lang="de" to="A.B@IM.example" type="subscribe" from="romeo@im.example"><status>bitte</status><preauth xmlns="urn:xmpp:pars:0" token="t"/><z xmlns="urn:y" xmlns:n0="urn:y" n0:k="v"/></presence>`,
  ],
  // A MUC join needs its resource, a probe and an error theirs.
  ...['', `type='unavailable'`, `type='probe'`, `type='error'`].flatMap((type): Row[] => [
    ['client', `<presence to='room@muc.im.example/nick' ${type}/>`, 'pass'],
    ['upstream', `<presence from='room@muc.im.example/nick' to='romeo@im.example/orchard' ${type}/>`, 'pass'],
  ]),
  ['client', `<message to='a@im.example/desk' type='subscribe'/>`, 'pass'],
])

const set = (inside: string) => `<iq id='1' type='set'><query xmlns='jabber:iq:roster'>${inside}</query></iq>`
judges(iqRequestOnePayload, [
  ['client', "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", 'pass'],
  ['client', "<iq type='set' id='1'> <x xmlns='urn:x'/> text </iq>", 'pass'],
  ['client', "<iq type='get' id='1'/>", 'reject bad-request'],
  ['client', "<iq type='set' id='1'>text</iq>", 'reject bad-request'],
  ['client', "<iq type='set' id='1'><a xmlns='urn:x'/><b xmlns='urn:x'/></iq>", 'reject bad-request'],
  ['client', "<iq type='result' id='1'/>", 'pass'],
  ['client', "<iq type='error' id='1'><x xmlns='urn:x'/><error type='cancel'/></iq>", 'pass'],
  ['client', "<message type='normal'/>", 'pass'],
  // Only an IQ is a request, whatever type another stanza claims.
  ['client', "<message type='get'><body>a</body><x xmlns='urn:x'/></message>", 'pass'],
  ['client', "<presence type='set'/>", 'pass'],
  ['upstream', "<iq type='get' id='1'/>", 'pass'],
])

judges(rosterSetOneItem, [
  ['client', set(`<item jid='nurse@im.example'/>`), 'pass'],
  [
    'client',
    set(
      `<item jid='nurse@im.example' name='Nurse' subscription='both'><group>Servants</group><channel xmlns='urn:x'/></item>`,
    ),
    'pass',
  ],
  ['client', set(`<item jid='nurse@im.example' subscription='remove'/>`), 'pass'],
  ['client', set(''), 'reject bad-request'],
  ['client', set(`<item jid='a@im.example'/><item jid='b@im.example'/>`), 'reject bad-request'],
  ['client', set(`<item/>`), 'reject bad-request'],
  ['client', set(`<item jid='a@im.example' ask='subscribe'/>`), 'reject bad-request'],
  ['client', set(`<item jid='a@im.example' approved='true'/>`), 'reject bad-request'],
  ['client', set(`<item jid='a@im.example'><group>x</group><group>x</group></item>`), 'reject bad-request'],
  // RFC 6121 section 2.3.3 has a condition of its own for a group without a name.
  ['client', set(`<item jid='a@im.example'><group/></item>`), 'reject not-acceptable'],
  ['client', set(`<item xmlns='urn:x' jid='a@im.example'/>`), 'reject bad-request'],
  // An attribute of another namespace is another attribute.
  ['client', set(`<item jid='a@im.example' xmlns:x='urn:x' x:ask='subscribe'/>`), 'pass'],
  ['client', `<iq id='1' type='get'><query xmlns='jabber:iq:roster'/></iq>`, 'pass'],
  ['client', `<iq id='1' type='set'><query xmlns='jabber:iq:private'/></iq>`, 'pass'],
  ['client', `<message id='1' type='set'><query xmlns='jabber:iq:roster'/></message>`, 'pass'],
  // A push is the server's affair.
  ['upstream', set(`<item jid='a@im.example'/><item jid='b@im.example'/>`), 'pass'],
])

const get = (attributes: string, to = '') =>
  `<iq id='1' type='get'${to}><query xmlns='jabber:iq:roster'${attributes}/></iq>`
const emptied = (to = '') => `routine <iq id="1" type="get"${to}><query xmlns="jabber:iq:roster" ver=""/></iq>`
judges(rosterVersionHeld, [
  ['client', get(''), 'pass'],
  ['client', get(` ver=''`), 'pass'],
  ['client', get(` ver='held'`), 'pass'],
  ['client', get(` ver='other'`), emptied()],
  ['client', get(` ver='HELD'`), emptied()],
  ['client', get(` ver='other'`, ` to='romeo@im.example'`), emptied(' to="romeo@im.example"')],
  // What stands beside the query stays as it is.
  [
    'client',
    `<iq id='1' type='get'><x xmlns='urn:x' ver='other'/><query xmlns='jabber:iq:roster' ver='other'/></iq>`,
    'routine <iq id="1" type="get"><x xmlns="urn:x" ver="other"/><query xmlns="jabber:iq:roster" ver=""/></iq>',
  ],
  // The roster of somebody else (XEP-0321) is none of ours.
  ['client', get(` ver='other'`, ` to='juliet@im.example'`), 'pass'],
  ['client', set(`<item jid='a@im.example'/>`), 'pass'],
  ['upstream', get(` ver='other'`), 'pass'],
])

const push = (from: string, items = `<item jid='mallory@evil.example' subscription='both'/>`) =>
  `<iq id='1' type='set' to='romeo@im.example/orchard'${from}><query xmlns='jabber:iq:roster'>${items}</query></iq>`
judges(rosterPushFromAccount, [
  ['upstream', push(''), 'pass'],
  ['upstream', push(` from='romeo@im.example'`), 'pass'],
  ['upstream', push(` from='Romeo@IM.example'`), 'pass'],
  ['upstream', push('', ''), 'pass'],
  ['upstream', push(` from='mallory@evil.example/x'`), 'reject service-unavailable'],
  ['upstream', push(` from='mallory@evil.example'`), 'reject service-unavailable'],
  ['upstream', push(` from='juliet@im.example'`), 'reject service-unavailable'],
  ['upstream', push(` from='im.example'`), 'reject service-unavailable'],
  ['upstream', push(` from='romeo@im.example/orchard'`), 'reject service-unavailable'],
  ['upstream', push(` from='romeo@im.example/'`), 'reject service-unavailable'],
  ['upstream', push(` from=''`), 'reject service-unavailable'],
  ['upstream', push(` from='r\u043emeo@im.example'`), 'reject service-unavailable'],
  ['upstream', push(` from='mallory@evil.example'`, ''), 'reject service-unavailable'],
  [
    'upstream',
    `<iq id='1' type='set' from='mallory@evil.example'><x xmlns='urn:x'/><query xmlns='jabber:iq:roster'/></iq>`,
    'reject service-unavailable',
  ],
  // Neither an answer nor a question, and other namespaces are no pushes (XEP-0144).
  ['upstream', `<iq id='1' type='get' from='mallory@evil.example'><query xmlns='jabber:iq:roster'/></iq>`, 'pass'],
  [
    'upstream',
    `<iq id='1' type='set' from='mallory@evil.example'><x xmlns='http://jabber.org/protocol/rosterx'/></iq>`,
    'pass',
  ],
  ['client', push(` from='mallory@evil.example'`), 'pass'],
])

const notice = (type: string, from: string) => `<presence type='${type}'${from}/>`
judges(subscribedNeedsRequest, [
  ['upstream', notice('subscribed', ` from='asked@im.example'`), 'pass'],
  ['upstream', notice('subscribed', ` from='asked@im.example/x'`), 'pass'],
  ['upstream', notice('subscribed', ` from='unknown@im.example'`), 'pass'],
  ['upstream', notice('subscribed', ` from='icq.gateway.example'`), 'pass'],
  ['upstream', notice('subscribed', ` from='friend@im.example'`), 'drop'],
  ['upstream', notice('subscribed', ` from='mallory@evil.example'`), 'drop'],
  // Without a sender it is the account itself (RFC 6120 section 8.1.2.1), which nobody asks.
  ['upstream', notice('subscribed', ''), 'drop'],
  ...['subscribe', 'unsubscribe', 'unsubscribed', 'unavailable', 'probe'].map(
    (type): Row => ['upstream', notice(type, ` from='mallory@evil.example'`), 'pass'],
  ),
  ['upstream', `<presence from='mallory@evil.example'/>`, 'pass'],
  ['upstream', `<message type='subscribed' from='mallory@evil.example'/>`, 'pass'],
  // Whether an outbound approval answers anything cannot be told (pre-approval, other resources).
  ['client', `<presence type='subscribed' to='mallory@evil.example'/>`, 'pass'],
])

judges(unsubscribedNeedsSubscription, [
  ['upstream', notice('unsubscribed', ` from='friend@im.example'`), 'pass'],
  ['upstream', notice('unsubscribed', ` from='friend@im.example/x'`), 'pass'],
  ['upstream', notice('unsubscribed', ` from='unknown@im.example'`), 'pass'],
  ['upstream', notice('unsubscribed', ` from='icq.gateway.example'`), 'pass'],
  ['upstream', notice('unsubscribed', ` from='mallory@evil.example'`), 'drop'],
  ['upstream', notice('unsubscribed', ''), 'drop'],
  ...['subscribe', 'unsubscribe', 'subscribed', 'unavailable', 'probe'].map(
    (type): Row => ['upstream', notice(type, ` from='mallory@evil.example'`), 'pass'],
  ),
  ['upstream', `<iq id='1' type='unsubscribed' from='mallory@evil.example'/>`, 'pass'],
  ['client', `<presence type='unsubscribed' to='mallory@evil.example'/>`, 'pass'],
])

const forwarded = `<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='a@im.example/x'><body>never said</body></message></forwarded>`
const carbon = (from: string, name = 'received', version = 2) =>
  `<message type='chat'${from}><${name} xmlns='urn:xmpp:carbons:${version}'>${forwarded}</${name}></message>`
judges(carbonsFromAccount, [
  ...['received', 'sent'].flatMap((name): Row[] => [
    ['upstream', carbon(` from='romeo@im.example'`, name), 'pass'],
    ['upstream', carbon(` from='Romeo@IM.EXAMPLE.'`, name), 'pass'],
    ['upstream', carbon('', name), 'pass'],
    ...[
      'mallory@evil.example',
      'im.example',
      'romeo@im.example/orchard',
      'romeo@im.example/other',
      '',
      'r\u043emeo@im.example',
    ].map((from): Row => ['upstream', carbon(` from='${from}'`, name), 'drop']),
    ['upstream', carbon(` from='mallory@evil.example'`, name, 1), 'drop'],
    ['upstream', carbon(` from='mallory@evil.example'`, name, 0), 'drop'],
    ['upstream', carbon(` from='mallory@evil.example'`, name, 9), 'pass'],
    ['client', carbon(` from='mallory@evil.example'`, name), 'pass'],
  ]),
  ...['', 'normal', 'headline', 'groupchat', 'error'].map(
    (type): Row => [
      'upstream',
      `<message type='${type}' from='mallory@evil.example'>words<x xmlns='urn:x'/><sent xmlns='urn:xmpp:carbons:2'/></message>`,
      'drop',
    ],
  ),
  // What the sender alone says of carbons, what others have forwarded, and what is deeper is no copy.
  ['upstream', carbon(` from='mallory@evil.example'`, 'private'), 'pass'],
  ['upstream', `<message from='mallory@evil.example'>${forwarded}</message>`, 'pass'],
  ['upstream', `<message from='mallory@evil.example'><received xmlns='urn:xmpp:receipts' id='1'/></message>`, 'pass'],
  [
    'upstream',
    `<message from='mallory@evil.example'><x xmlns='urn:x'><sent xmlns='urn:xmpp:carbons:2'/></x></message>`,
    'pass',
  ],
  ['upstream', `<iq id='1' type='set' from='mallory@evil.example'><sent xmlns='urn:xmpp:carbons:2'/></iq>`, 'pass'],
])

const answer = (type: string, id: string) => `<iq type='${type}' id='${id}' from='mallory@evil.example/x'/>`
judges(iqAnswerNeedsRequest, [
  ...['result', 'error'].flatMap((type): Row[] => [
    ['upstream', answer(type, 'asked'), 'pass'],
    ['upstream', answer(type, 'forgotten'), 'pass'],
    ['upstream', answer(type, 'other'), 'drop'],
    ['upstream', `<iq type='${type}' from='mallory@evil.example/x'/>`, 'drop'],
    // What is asked of the client it may answer, whatever the gate has seen.
    ['client', answer(type, 'other'), 'pass'],
    ['upstream', `<message type='${type}' id='other' from='mallory@evil.example/x'/>`, 'pass'],
    ['upstream', `<presence type='${type}' id='other' from='mallory@evil.example/x'/>`, 'pass'],
  ]),
  ...['get', 'set', 'Result', ''].map((type): Row => ['upstream', answer(type, 'other'), 'pass']),
])

t.test('a refusal says what was wrong', async t => {
  const rows: [Rule, xml: string, text: string][] = [
    [
      fromIsBoundJid,
      `<presence from='juliet@im.example'/>`,
      "the stanza's 'from' is not the JID that this stream is bound to",
    ],
    [subscriptionBareJids, `<presence type='subscribe'/>`, "a subscription stanza needs a 'to'"],
    [subscriptionBareJids, `<presence type='subscribe' to='a b@im.example'/>`, "'to' is not a JID"],
    [iqRequestOnePayload, `<iq id='1' type='get'/>`, 'a request holds one element, not none'],
    [iqRequestOnePayload, `<iq id='1' type='get'><a/><b/></iq>`, 'a request holds one element, not several'],
  ]
  for (const [rule, xml, text] of rows) {
    const verdict = rule.judge(read(xml), { ...usual, foreignFrom: 'close' })
    t.equal(verdict?.verdict === 'reject' ? verdict.error.text : verdict?.verdict === 'close' && verdict.text, text)
  }
})

t.test("what is outside of a rule's scope it has nothing against", async t => {
  const rows = [...tables.values()].flat()
  for (const rule of rules) {
    const index = new RulesByScope([{ rule, mode: 'enforce' }])
    let asked = 0
    for (const [from, xml] of rows) {
      const stanza = read(xml)
      // Twice: the second time from the list that was made the first time.
      const isAsked = [index.of(from, stanza), index.of(from, stanza)].map(list => list.length === 1)
      t.equal(isAsked[0], isAsked[1])
      if (isAsked[0]) asked++
      else t.equal(rule.judge(stanza, { ...usual, from }), undefined, `${rule.name}: ${xml}`)
    }
    t.ok(asked > 0 && asked < rows.length, `${rule.name} is asked about ${asked} of ${rows.length}`)
  }
  const all = activeRules({ default: 'enforce', modes: new Map() })
  t.equal(rulesByScope(all), rulesByScope(all), 'they are made once')
  const names = (from: Side, xml: string) =>
    rulesByScope(all)
      .of(from, read(xml))
      .map(({ rule }) => rule.name)
  t.same(names('client', `<message to='a@b'/>`), ['from-is-bound-jid'])
  t.same(names('client', `<message to='a@b' type='nobody-knows'/>`), ['from-is-bound-jid'])
  t.same(names('upstream', `<presence from='a@b'/>`), [])
  t.same(names('upstream', `<presence type='subscribed'/>`), [
    'subscription-bare-jids',
    'subscription-needs-request',
    'subscribed-needs-request',
  ])
  t.same(names('upstream', '<message/>'), ['carbons-from-account'])
})

t.test('every rule has its file, its row of the table, and a table here that it passes and does not', async t => {
  const files = readdirSync(new URL('../../../src/rules', import.meta.url)).map(file => basename(file, '.ts'))
  const names = rules.map(rule => rule.name)
  t.same(
    files.filter(name => !['judge', 'mode', 'outcome', 'rule', 'rules-by-scope', 'all-rules'].includes(name)).sort(),
    [...names].sort(),
  )
  t.equal(new Set(names).size, names.length)
  const page = readFileSync(new URL('../../../docs/rules.md', import.meta.url), 'utf8')
  const rowsOf = [...page.matchAll(/^\| `([\w-]+)` \| (?:RFC|XEP)/gm)].map(row => row[1])
  t.same(rowsOf, names, 'docs/rules.md shows them in the order of asking')
  for (const { name, clause, about } of rules) {
    const expected = (tables.get(name) ?? []).map(row => row[2])
    t.ok(expected.includes('pass') && expected.some(word => word !== 'pass'), `${name} has a table`)
    t.match(clause, /^(RFC |XEP-)\d+ /, `${name} names its clause`)
    t.match(about, /^[a-z].*[^.]$/, `${name} says what it is about`)
  }
})

const over = (name: string, verdict: (stanza: Stanza) => Verdict | undefined): Rule => ({
  name,
  clause: 'RFC 6121',
  about: name,
  judge: verdict,
})
const marks = (mark: string) =>
  over(`marks-${mark}`, ({ element }) => {
    const marked = withAttrs(element, { id: `${element.attrs.get('id') ?? ''}${mark}` })
    return { verdict: 'forward', stanza: stanzaOf(marked) as Stanza }
  })
const refuses = over('refuses', () => ({ verdict: 'reject', error: { condition: 'bad-request' } }))
const drops = over('drops', () => ({ verdict: 'drop' }))
const closes = over('closes', () => ({ verdict: 'close', error: 'invalid-from' }))
const silent = over('silent', () => undefined)
const mends: Rule = { ...refuses, name: 'mends', repair: stanza => readdressed(stanza, { id: 'mended' }) }
const cannot: Rule = { ...refuses, name: 'cannot', repair: () => undefined }
const stamps = over('stamps', stanza => ({
  verdict: 'forward',
  stanza: readdressed(stanza, { from: 'a@b' }),
  isRoutine: true,
}))

t.test('judge: the rules in order', async t => {
  const rows: [
    name: string,
    rules: [Rule, 'enforce' | 'repair' | 'observe'][],
    xml: string,
    verdict: string,
    said: string[],
  ][] = [
    ['no rules', [], '<presence/>', 'forward <presence/>', []],
    [
      'a rule that cannot repair observes',
      [[refuses, 'repair']],
      '<presence/>',
      'forward <presence/>',
      ['observe refuses reject'],
    ],
    [
      'what is needed to observe is done there too',
      [[rosterVersionHeld, 'observe']],
      get(` ver='other'`),
      emptied().replace('routine', 'forward'),
      [],
    ],
    ['nothing to say', [[silent, 'enforce']], '<presence/>', 'forward <presence/>', []],
    [
      'rewrites are handed on',
      [
        [marks('a'), 'enforce'],
        [silent, 'enforce'],
        [marks('b'), 'enforce'],
      ],
      '<presence/>',
      'forward <presence id="ab"/>',
      ['enforce marks-a forward', 'enforce marks-b forward'],
    ],
    [
      'an observed rewrite is seen by nobody',
      [
        [marks('a'), 'observe'],
        [marks('b'), 'enforce'],
      ],
      '<presence/>',
      'forward <presence id="b"/>',
      ['observe marks-a forward', 'enforce marks-b forward'],
    ],
    [
      'observed refusals forward the stanza untouched',
      [
        [refuses, 'observe'],
        [drops, 'observe'],
        [marks('a'), 'observe'],
      ],
      `<presence id='x'/>`,
      'forward <presence id="x"/>',
      ['observe refuses reject', 'observe drops drop', 'observe marks-a forward'],
    ],
    [
      'the first enforced refusal ends the asking',
      [
        [marks('a'), 'enforce'],
        [refuses, 'enforce'],
        [drops, 'enforce'],
      ],
      '<presence/>',
      'reject bad-request',
      ['enforce marks-a forward', 'enforce refuses reject'],
    ],
    [
      'what can be put right is, and the rest is asked',
      [
        [mends, 'repair'],
        [marks('a'), 'repair'],
      ],
      '<presence/>',
      'forward <presence id="mendeda"/>',
      ['repair mends forward', 'repair marks-a forward'],
    ],
    [
      'what cannot be put right is observed',
      [
        [cannot, 'repair'],
        [marks('a'), 'enforce'],
      ],
      '<presence/>',
      'forward <presence id="a"/>',
      ['observe cannot reject', 'enforce marks-a forward'],
    ],
    [
      'what could be put right is refused when enforced',
      [[mends, 'enforce']],
      '<presence/>',
      'reject bad-request',
      ['enforce mends reject'],
    ],
    ['a routine rewrite is no decision', [[stamps, 'enforce']], '<presence/>', 'forward <presence from="a@b"/>', []],
    ['... nor in mode repair', [[stamps, 'repair']], '<presence/>', 'forward <presence from="a@b"/>', []],
    ['... and observed it is left to the server', [[stamps, 'observe']], '<presence/>', 'forward <presence/>', []],
    [
      '... unless nothing could be observed without it',
      [[{ ...stamps, isNeededToObserve: true }, 'observe']],
      '<presence/>',
      'forward <presence from="a@b"/>',
      [],
    ],
    [
      'what is refused is not answered: an error',
      [[refuses, 'enforce']],
      `<presence type='error'/>`,
      'drop',
      ['enforce refuses drop'],
    ],
    ['... a message error', [[refuses, 'enforce']], `<message type='error'/>`, 'drop', ['enforce refuses drop']],
    ['... an IQ result', [[refuses, 'enforce']], `<iq type='result' id='1'/>`, 'drop', ['enforce refuses drop']],
    [
      '... observed',
      [[refuses, 'observe']],
      `<iq type='error' id='1'/>`,
      `forward <iq type="error" id="1"/>`,
      ['observe refuses drop'],
    ],
    [
      '... but it may be rewritten',
      [[marks('a'), 'enforce']],
      `<iq type='error' id=''/>`,
      'forward <iq type="error" id="a"/>',
      ['enforce marks-a forward'],
    ],
    [
      '... and end the stream',
      [[closes, 'enforce']],
      `<presence type='error'/>`,
      'close invalid-from',
      ['enforce closes close'],
    ],
    [
      '... but an IQ of no known type is',
      [[refuses, 'enforce']],
      `<iq type='subscribe' id='1'/>`,
      'reject bad-request',
      ['enforce refuses reject'],
    ],
  ]
  for (const [name, active, xml, verdict, decisions] of rows) {
    const judgement = judge(
      active.map(([rule, mode]) => ({ rule, mode })),
      read(xml),
      usual,
    )
    t.equal(said(judgement.verdict), verdict, name)
    t.same(
      judgement.decisions.map(each => `${each.mode} ${each.rule.name} ${each.verdict.verdict}`),
      decisions,
      name,
    )
  }
})

t.test('judge: all rules in their order', async t => {
  const active = activeRules({ default: 'enforce', modes: new Map() })
  const rows: Row[] = [
    ['client', `<presence from='mallory@evil.example' type='available'/>`, 'reject bad-request'],
    ['client', `<presence from='mallory@evil.example'/>`, 'forward <presence from="romeo@im.example/orchard"/>'],
    [
      'client',
      `<presence from='romeo@im.example/balcony' to='a@im.example/x' type='subscribe'/>`,
      `forward <presence from="romeo@im.example" to="a@im.example" type="subscribe"/>`,
    ],
    ['client', `<presence type='subscribe '/>`, 'reject bad-request'],
    ['client', `<presence type='error'/>`, 'drop'],
    ['upstream', `<presence from='mallory@evil.example/x' type='subscribed'/>`, 'drop'],
    [
      'upstream',
      `<presence from='mallory@evil.example/x' type='subscribe'/>`,
      `forward <presence from="mallory@evil.example" type="subscribe"/>`,
    ],
  ]
  for (const [from, xml, expected] of rows)
    t.equal(said(judge(active, read(xml), { ...usual, from }).verdict), expected, `${from}: ${xml}`)
})

t.test('repair: what each rule makes of a stanza that it has something against', async t => {
  const presence = (inside: string, attrs = '') => `<presence${attrs}>${inside}</presence>`
  const gone = `<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>`
  const rows: [Rule, xml: string, repaired: string | undefined][] = [
    [presenceChildren, presence('<show>online</show><status>hi</status>'), '<presence><status>hi</status></presence>'],
    [presenceChildren, presence('<show>online</show><show>away</show>'), '<presence><show>away</show></presence>'],
    [presenceChildren, presence('<show>away</show><show>xa</show>'), '<presence><show>away</show></presence>'],
    [presenceChildren, presence('<show>\n away </show>'), '<presence><show>away</show></presence>'],
    [presenceChildren, presence(`<show a='b'>away</show>`), '<presence><show>away</show></presence>'],
    [
      presenceChildren,
      presence(`<show a='b'>online</show><priority c='d'> 1</priority>`),
      '<presence><priority>1</priority></presence>',
    ],
    [
      presenceChildren,
      presence(`<status a='b' xml:lang='de' xmlns:x='urn:x' x:c='d'>weg</status>`),
      '<presence><status xml:lang="de">weg</status></presence>',
    ],
    [presenceChildren, presence('<priority> 5 </priority>'), '<presence><priority>5</priority></presence>'],
    [presenceChildren, presence('<priority/><priority>1</priority>'), '<presence><priority>1</priority></presence>'],
    [presenceChildren, presence('<priority>129</priority>'), '<presence/>'],
    [presenceChildren, presence('<status>a</status><status>b</status>'), '<presence><status>a</status></presence>'],
    [
      presenceChildren,
      presence(`<status>a</status><status xml:lang='EN'>b</status><status xml:lang='de'>c</status>`),
      '<presence><status>a</status><status xml:lang="de">c</status></presence>',
    ],
    [
      presenceChildren,
      presence(`<status>a</status><status xml:lang='de'>b</status>`, ` xml:lang='de'`),
      '<presence xml:lang="de"><status>a</status></presence>',
    ],
    [
      presenceChildren,
      presence(`text<unknown/><x xmlns='urn:x'>kept</x>`),
      '<presence><x xmlns="urn:x">kept</x></presence>',
    ],
    [presenceChildren, presence(`<error type='cancel'>${gone}</error>`), '<presence/>'],
    [
      presenceChildren,
      presence(`<error type='cancel'>${gone}</error><error type='cancel'>${gone}</error>`, ` type='error'`),
      `<presence type="error"><error type="cancel">${gone.replaceAll("'", '"')}</error></presence>`,
    ],
    [presenceChildren, presence('', ` type='error'`), undefined],
    [
      rosterSetOneItem,
      set(`<item jid='a@im.example' name='A' ask='subscribe' approved='true'><group>g</group></item>`),
      set(`<item jid='a@im.example' name='A'><group>g</group></item>`).replaceAll("'", '"'),
    ],
    [rosterSetOneItem, set(`<item jid='a@im.example'/><item jid='b@im.example'/>`), undefined],
    [rosterSetOneItem, set(`<item jid='a@im.example' ask='subscribe'><group/></item>`), undefined],
    [
      rosterSetOneItem,
      `<iq id='1' type='set'>a<query xmlns='jabber:iq:roster'><item jid='a@im.example' ask='subscribe'/></query></iq>`,
      '<iq id="1" type="set">a<query xmlns="jabber:iq:roster"><item jid="a@im.example"/></query></iq>',
    ],
    [rosterVersionHeld, get(` ver='other'`), emptied().replace('routine ', '')],
    [subscriptionBareJids, `<presence type='subscribe'/>`, undefined],
  ]
  t.equal(rosterVersionHeld.repair?.(read(get(` ver='held'`)), usual), undefined, 'what is right needs no repair')
  for (const [rule, xml, repaired] of rows) {
    const stanza = read(xml)
    t.not(rule.judge(stanza, usual), undefined, `${rule.name} has something against ${xml}`)
    const right = rule.repair?.(stanza, usual)
    t.equal(right && text(right), repaired, xml)
    if (right !== undefined) t.equal(rule.judge(right, usual), undefined, `${rule.name} has nothing against it then`)
  }
  for (const inside of refusedChildren) {
    const right = presenceChildren.repair?.(read(presence(inside)), usual)
    t.equal(right && presenceChildren.judge(right, usual), undefined, inside)
    t.not(right, undefined, `a presence without what offends: ${inside}`)
  }
})

t.test('modes: which a rule has, and what the default is worth to it', async t => {
  const repairing = rules.filter(rule => modesOf(rule).includes('repair')).map(({ name }) => name)
  t.same(repairing, [
    'from-is-bound-jid',
    'presence-children',
    'subscription-bare-jids',
    'roster-set-one-item',
    'roster-version-held',
  ])
  for (const { rule, mode } of activeRules({ default: 'repair', modes: new Map([['presence-type', 'enforce']]) }))
    t.equal(mode, rule === presenceType ? 'enforce' : repairing.includes(rule.name) ? 'repair' : 'observe', rule.name)
})

t.test('modes: a rule of the program is asked last, in the mode that the operator gave it', async t => {
  const settings: ModeSettings = { default: 'observe', modes: new Map([['mends', 'repair']]), own: [mends, silent] }
  t.same(
    rulesOf(settings).map(({ name }) => name),
    [...rules.map(({ name }) => name), 'mends', 'silent'],
  )
  t.same(
    activeRules(settings)
      .slice(-2)
      .map(({ rule, mode }) => `${rule.name} ${mode}`),
    ['mends repair', 'silent observe'],
  )
  t.equal(rulesOf({}), rules)
  t.equal(rulesOf({ own: [] }), rules, 'none added: no new list')
  t.same(modesOf(mends), ['enforce', 'repair', 'observe', 'off'])
  t.same(modesOf(silent), ['enforce', 'observe', 'off'])
})

t.test(
  'no rule stops an approval that answers no request: where it is offered it is legal (RFC 6121 section 3.4)',
  async t => {
    const active = activeRules({ default: 'enforce', modes: new Map() })
    for (const offersPreApproval of [true, false])
      for (const type of ['subscribed', 'unsubscribed'])
        for (const contact of ['asked', 'friend', 'unknown', 'mallory']) {
          const stanza = read(`<presence type='${type}' to='${contact}@im.example'/>`)
          const { verdict } = judge(active, stanza, { ...usual, offersPreApproval, mayRequest: () => false })
          t.equal(verdict.verdict, 'forward', `${type} to ${contact}, ${offersPreApproval ? 'offered' : 'not offered'}`)
        }
  },
)

t.test('the outcome of a rule as watchers are told it', async t => {
  const rows: [Rule, told: object][] = [
    [refuses, { verdict: 'reject', error: 'bad-request' }],
    [closes, { verdict: 'close', error: 'invalid-from' }],
    [drops, { verdict: 'drop' }],
    [marks('a'), { verdict: 'forward' }],
  ]
  for (const [rule, told] of rows) {
    const [decision] = judge([{ rule, mode: 'enforce' }], read('<presence/>'), usual).decisions
    t.strictSame(
      decision && ruleOutcomeOf(decision),
      { rule: rule.name, clause: 'RFC 6121', mode: 'enforce', ...told },
      rule.name,
    )
  }
})

t.test('modes: the default, and one by one', async t => {
  const modes = new Map([
    ['presence-type', 'off'],
    ['presence-children', 'enforce'],
  ] as const)
  const active = activeRules({ default: 'observe', modes })
  t.notOk(
    active.some(({ rule }) => rule === presenceType),
    'a rule that is off is not asked',
  )
  for (const { rule, mode } of active)
    t.equal(mode, rule === presenceChildren ? 'enforce' : 'observe', `${rule.name} has its mode`)
  const named = rules.filter(({ isOffByDefault }) => isOffByDefault === true)
  t.equal(active.length, rules.length - 1 - named.length)
  t.same(activeRules({ default: 'off', modes: new Map() }), [])
  for (const rule of named) {
    t.notOk(active.some(each => each.rule === rule))
    const modes = new Map([[rule.name, 'enforce']] as const)
    t.same(activeRules({ default: 'off', modes }), [{ rule, mode: 'enforce' }], 'its own mode switches it on')
  }
})
