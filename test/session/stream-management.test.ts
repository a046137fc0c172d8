/**
 * Stream management (XEP-0198) word by word: what is granted, what each side is told of the other's counts when the gate has left
 * stanzas out or added its own, and what is said again when a stream is resumed. `model.test.ts` has the same in random order.
 */
import t from 'tap'
import {
  authenticated,
  boundWithRoster,
  endTag,
  failed,
  header,
  opened,
  play,
  serverHeader,
  wires,
} from '../playbook.ts'

const sm = `xmlns='urn:xmpp:sm:3'`
const sasl = `xmlns='urn:ietf:params:xml:ns:xmpp-sasl'`
const sasl2 = `xmlns='urn:xmpp:sasl:2'`
const auth = `<auth ${sasl} mechanism='PLAIN'>AGp1bGlldABzZWNyZXQ=</auth>`
const bindIq = `<iq id='b9' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>`
const boundIq = `<iq id='b9' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>romeo@im.example/balcony</jid></bind></iq>`
const written = (stanza: string) => stanza.replaceAll("'", '"')

// The client's stanzas.

/** Forwarded. */
const says = (id: string) => `
    client: <message to='juliet@im.example' id='${id}'/>
    -> judged forward by none
    -> upstream: <message to="juliet@im.example" id="${id}"/>`
/** Answered by the gate: left out on the way to the server, and added on the way to the client. */
const errs = (id: string) => `
    client: <presence id='${id}' type='bogus'/>
    -> judged reject by presence-type
    ${answered(id)}`
const answered = (id: string) => `-> client ~ <presence to="romeo@im.example/orchard" id="${id}" type="error">`
/** Once more, and the answer was given. */
const errsAgain = (id: string) => `
    client: <presence id='${id}' type='bogus'/>
    -> judged reject by presence-type`
const asks = `
    client: <presence to='juliet@im.example' type='subscribe'/>
    -> judged forward by none
    -> tell asked juliet@im.example
    -> upstream ~ type="subscribe"`

// The server's.

const hears = (id: string) => `
    upstream: <message from='juliet@im.example' id='${id}'/>
    -> judged forward by none
    -> client: <message from="juliet@im.example" id="${id}"/>`
/** Left out. */
const isLiedTo = (from = 'mallory@evil.example') => `
    upstream: <presence from='${from}' type='subscribed'/>
    -> judged drop by subscribed-needs-request`
/** Left out on the way to the client, and answered: added on the way to the server. */
const isPushed = (id: string) => `
    ${isPushedAgain(id)}
    ${refusedPush(id)}`
const refusedPush = (id: string) => `-> upstream ~ <iq to="mallory@evil.example/x" id="${id}" type="error">`
const isPushedAgain = (id: string) => `
    upstream: <iq from='mallory@evil.example/x' id='${id}' type='set'><query xmlns='jabber:iq:roster'><item jid='a@b'/></query></iq>
    -> judged reject by roster-push-from-account`
const approved = `
    upstream: <presence from='juliet@im.example' type='subscribed'/>
    -> judged forward by none
    -> client: <presence from="juliet@im.example" type="subscribed"/>`

// What they acknowledge, and what the other one is told of it.

const clientHas = (h: number, told: number) => `
    client: <a ${sm} h='${h}'/>
    -> upstream: <a xmlns="urn:xmpp:sm:3" h="${told}"/>`
const serverHas = (h: number, told: number) => `
    upstream: <a ${sm} h='${h}'/>
    -> client: <a xmlns="urn:xmpp:sm:3" h="${told}"/>`

const tooHigh = (h: string, sent: number, uri = 'urn:xmpp:sm:3') =>
  `<stream:error><undefined-condition xmlns="urn:ietf:params:xml:ns:xmpp-streams"/><text xmlns="urn:ietf:params:xml:ns:xmpp-streams" xml:lang="en">${h} stanzas are acknowledged, and ${sent} were sent</text><handled-count-too-high xmlns="${uri}" h="${h}" send-count="${sent}"/></stream:error>`
const failure = (condition: string, uri = 'urn:xmpp:sm:3', h?: number) =>
  `<failed xmlns="${uri}"${h === undefined ? '' : ` h="${h}"`}><${condition} xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></failed>`
const refused = (condition: string, uri?: string) => `
    -> nonza reject from client
    -> client: ${failure(condition, uri)}`

// Streams that are lost.

const lost = (jid = 'romeo@im.example/orchard') => `
    closed client
    -> stream-closed client client-lost
    -> close upstream
    -> lose
    closed upstream
    -> stream-closed upstream client-lost
    -> session-closed ${jid} client-lost`
const upstreamLost = `
    closed upstream
    -> stream-closed upstream upstream-lost
    -> close client
    -> lose
    closed client
    -> stream-closed client upstream-lost
    -> session-closed romeo@im.example/orchard upstream-lost`

const goesOn = `
    -> resumption resumed
    -> take
    -> session-opened romeo@im.example/orchard
    -> negotiated
    -> recall romeo@im.example
    -> tell roster`
const unknown = `
    -> fetch
    -> resumption unknown
    ${refused('item-not-found')}`

for (const wire of wires) {
  const book = (name: string, ...scripts: string[]) => t.test(`${wire}: ${name}`, async t => play(t, wire, scripts))
  const end = endTag(wire)
  /** What the client says in one go, and what comes of each part: on a WebSocket message by message. */
  const atOnce = (...parts: readonly (readonly [element: string, effects: string])[]) =>
    wire === 'tcp'
      ? `client: ${parts.map(([element]) => element).join('')}\n${parts.map(([, effects]) => effects).join('\n')}`
      : parts.map(([element, effects]) => `client: ${element}\n${effects}`).join('\n')

  /** Bound, with an empty roster. */
  const seen = boundWithRoster(wire)
  const enable = `client: <enable ${sm} resume='true'/>
    -> upstream: <enable xmlns="urn:xmpp:sm:3" resume="true"/>`
  const enabled = `upstream: <enabled ${sm} id='x1' resume='true' max='600'/>
    -> client: <enabled xmlns="urn:xmpp:sm:3" id="x1" resume="true" max="600"/>
    -> keep for 600000`
  const managed = `${seen}
    ${enable}
    ${enabled}`

  /** The client has got `h` of the server's stanzas, the server `serverH` of the client's; each in its own count and in the other's. */
  const resumption = (h: number, told: number, serverH: number, serverTold: number) => `
    client: <resume ${sm} previd='x1' h='${h}'/>
    -> fetch
    -> upstream: <resume xmlns="urn:xmpp:sm:3" previd="x1" h="${told}"/>
    upstream: <resumed ${sm} previd='x1' h='${serverH}'/>
    -> client: <resumed xmlns="urn:xmpp:sm:3" previd="x1" h="${serverTold}"/>
    ${goesOn}`
  const resumed = (...counts: Parameters<typeof resumption>) => `${authenticated(wire)}
    ${resumption(...counts)}`

  // Answers.

  const asksFor = (id: string) => `
    client: <iq id='${id}' to='juliet@im.example/balcony' type='get'><ping xmlns='urn:xmpp:ping'/></iq>
    -> judged forward by none
    -> upstream ~ id="${id}"`
  const isAnswered = (id: string) => `
    upstream: <iq id='${id}' from='juliet@im.example/balcony' type='result'/>
    -> judged forward by none
    -> client ~ id="${id}"`
  const isAnsweredUnasked = (id: string) => `
    upstream: <iq id='${id}' from='juliet@im.example/balcony' type='result'/>
    -> judged drop by iq-answer-needs-request`
  const asking = `${managed}
    ${asksFor('q1')}
    ${asksFor('q2')}
    ${isAnswered('q1')}
    ${isAnsweredUnasked('q0')}
    ${hears('g1')}
    ${lost()}`
  book(
    'an answer that was delivered is delivered again, one that was left out is not, and what was asked before is still asked',
    asking,
    `${resumed(0, 0, 2, 2)}
    ${isAnswered('q1')}
    ${isAnsweredUnasked('q0')}
    ${hears('g1')}
    ${isAnswered('q2')}
    ${isAnsweredUnasked('q0')}`,
  )
  book(
    'a request that is sent again is answered, whether the answer had come or not',
    asking,
    `${resumed(2, 3, 0, 0)}
    ${asksFor('q1')}
    ${asksFor('q2')}
    ${isAnswered('q2')}
    ${isAnswered('q1')}`,
  )

  // Enabling.

  for (const uri of ['urn:xmpp:sm:3', 'urn:xmpp:sm:2'])
    for (const [name, granted, told, kept] of [
      ['resumable', `id='x1' resume='true' max='600'`, `id='x1' resume='true' max='600'`, 600],
      ['resumable by another spelling', `id='x1' resume='1' max='600'`, `id='x1' resume='1' max='600'`, 600],
      ['for as long as the server likes', `id='x1' resume='true'`, `id='x1' resume='true'`, 3_600],
      [
        'for longer than the gate can',
        `id='x1' resume='true' max='86401'`,
        `id='x1' resume='true' max='86400'`,
        86_400,
      ],
      ['elsewhere', `id='x1' location='[2001:db8::7]:5222' resume='true' max='9'`, `id='x1' resume='true' max='9'`, 9],
      ['not resumable', '', '', undefined],
      ['not resumable, in so many words', `id='x1' resume='false'`, `id='x1' resume='false'`, undefined],
      ['resumable, but nobody knows by what', `resume='true'`, `resume='true'`, undefined],
    ] as const)
      book(
        `${uri} is enabled: ${name}`,
        `${seen}
        client: <enable xmlns='${uri}' resume='true' max='100000'/>
        -> upstream: <enable xmlns="${uri}" resume="true" max="100000"/>
        upstream: <enabled xmlns='${uri}' ${granted}/>
        -> client: <enabled xmlns="${uri}"${told === '' ? '' : ` ${written(told)}`}/>
        ${kept === undefined ? '' : `-> keep for ${kept * 1_000}`}
        ${says('m1')}
        client: <r xmlns='${uri}'/>
        -> upstream: <r xmlns="${uri}"/>
        upstream: <a xmlns='${uri}' h='1'/>
        -> client: <a xmlns="${uri}" h="1"/>
        ${hears('g1')}
        upstream: <r xmlns='${uri}'/>
        -> client: <r xmlns="${uri}"/>
        client: <a xmlns='${uri}' h='1'/>
        -> upstream: <a xmlns="${uri}" h="1"/>`,
      )
  book(
    'the server will not: the stream goes on without, and the client may ask again',
    `${seen}
    ${enable}
    ${says('m0')}
    upstream: <failed ${sm}><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>
    -> client: ${failure('unexpected-request')}
    client: <r ${sm}/>
    -> nonza drop from client
    client: <a ${sm} h='0'/>
    -> nonza drop from client
    ${enable}
    ${says('m1')}
    ${enabled}
    ${serverHas(1, 1)}`,
  )
  book(
    'a second <enable/> is refused, before the first is answered and after, and counts go on',
    `${seen}
    ${enable}
    ${says('m1')}
    client: <enable ${sm}/>
    ${refused('unexpected-request')}
    client: <enable xmlns='urn:xmpp:sm:2'/>
    ${refused('unexpected-request', 'urn:xmpp:sm:2')}
    ${enabled}
    client: <enable ${sm} resume='true'/>
    ${refused('unexpected-request')}
    client: <resume ${sm} previd='x1' h='0'/>
    ${refused('unexpected-request')}
    ${says('m2')}
    ${hears('g1')}
    ${clientHas(1, 1)}
    ${serverHas(2, 2)}`,
  )
  book(
    'enabled in one go with the resource (XEP-0198 section 3 has it after binding)',
    `${authenticated(wire)}
    ${atOnce(
      [bindIq, '-> judged forward by none\n-> upstream ~ b9'],
      [`<enable ${sm} resume='true'/>`, ''],
      [`<message to='juliet@im.example' id='m1'/>`, ''],
    )}
    upstream: ${boundIq}
    -> judged forward by none
    -> client ~ balcony
    -> session-opened romeo@im.example/balcony
    -> negotiated
    -> recall romeo@im.example
    -> upstream: <enable xmlns="urn:xmpp:sm:3" resume="true"/>
    -> judged forward by none
    -> upstream ~ id="m1"
    ${enabled}
    ${serverHas(1, 1)}`,
  )
  book(
    'what nobody has asked for is left out',
    `${seen}
    upstream: <enabled ${sm} id='x1' resume='true'/>
    -> nonza drop from upstream
    upstream: <a ${sm} h='0'/>
    -> nonza drop from upstream
    upstream: <failed ${sm}/>
    -> nonza drop from upstream
    client: <enabled ${sm}/>
    -> nonza drop from client
    ${enable}
    ${enabled}
    upstream: <enabled ${sm} id='x2' resume='true'/>
    -> nonza drop from upstream
    upstream: <resumed ${sm} previd='x1' h='7'/>
    -> nonza drop from upstream
    upstream: <failed ${sm}/>
    -> nonza drop from upstream
    client: <resumed ${sm} previd='x1' h='7'/>
    -> nonza drop from client
    client: <a xmlns='urn:xmpp:sm:2' h='0'/>
    -> nonza drop from client
    ${says('m1')}
    ${serverHas(1, 1)}`,
  )

  // Counts.

  book(
    "the client's stanzas that the gate answers are told to be handled when those before them are",
    `${managed}
    ${errs('e1')}
    ${says('m1')}
    ${errs('e2')}
    ${errs('e3')}
    ${says('m2')}
    ${says('m3')}
    ${errs('e4')}
    ${serverHas(0, 1)}
    ${serverHas(1, 4)}
    ${serverHas(2, 5)}
    ${serverHas(1, 5)}
    ${serverHas(3, 7)}
    ${errs('e5')}
    ${serverHas(3, 8)}`,
  )
  book(
    "the server's stanzas that the gate leaves out are told to be handled when those before them are",
    `${managed}
    ${hears('g1')}
    ${isLiedTo()}
    ${isPushed('p1')}
    ${hears('g2')}
    ${isLiedTo()}
    ${clientHas(0, 0)}
    ${clientHas(1, 3)}
    ${clientHas(2, 5)}`,
  )
  book(
    "the gate's own stanzas are told to nobody as the other's",
    `${managed}
    ${hears('g1')}
    ${errs('e1')}
    ${hears('g2')}
    ${clientHas(1, 1)}
    ${clientHas(2, 1)}
    ${clientHas(3, 2)}
    ${says('m1')}
    ${isPushed('p1')}
    ${says('m2')}
    ${serverHas(1, 2)}
    ${serverHas(2, 2)}
    ${serverHas(3, 3)}
    ${clientHas(3, 3)}`,
  )
  book(
    "before <enabled/>: the client's stanzas count, the server's do not, nor do the gate's own",
    `${seen}
    ${says('m0')}
    ${hears('g0')}
    ${atOnce(
      [`<enable ${sm} resume='true'/>`, '-> upstream: <enable xmlns="urn:xmpp:sm:3" resume="true"/>'],
      [`<message to='juliet@im.example' id='m1'/>`, '-> judged forward by none\n-> upstream ~ id="m1"'],
      [`<presence id='e1' type='bogus'/>`, `-> judged reject by presence-type\n${answered('e1')}`],
      [`<r ${sm}/>`, '-> upstream: <r xmlns="urn:xmpp:sm:3"/>'],
    )}
    ${hears('g1')}
    ${isLiedTo()}
    ${isPushed('p1')}
    ${enabled}
    ${serverHas(1, 2)}
    ${serverHas(2, 2)}
    ${clientHas(0, 0)}
    ${hears('g2')}
    ${clientHas(1, 1)}
    client: <a ${sm} h='2'/>
    -> stream-error undefined-condition gate client
    -> client: ${tooHigh('2', 1)}
    -> client: ${end}
    -> upstream: </stream:stream>
    -> close upstream
    -> close client
    -> leave`,
  )
  book(
    'nonzas and white space do not count',
    `${managed}
    client: <inactive xmlns='urn:xmpp:csi:0'/>
    -> upstream ~ <inactive
    client: <r ${sm}/>
    -> upstream ~ <r
    upstream: <x xmlns='urn:x'/>
    -> client ~ <x
    ${clientHas(0, 0)}
    ${serverHas(0, 0)}`,
  )

  // Too high.

  for (const [h, sent] of [
    ['2', 1],
    ['2147483647', 1],
  ] as const)
    book(
      `the client has handled ${h} of ${sent}`,
      `${managed}
      ${isLiedTo()}
      ${hears('g1')}
      ${clientHas(1, 2)}
      client: <a ${sm} h='${h}'/>
      -> stream-error undefined-condition gate client
      -> client: ${tooHigh(h, sent)}
      -> client: ${end}
      -> upstream: </stream:stream>
      -> close upstream
      -> close client
      -> leave`,
    )
  // @xmpp/client counts from the beginning of its stream until it has taken note of <enabled/>.
  book(
    'a first count that has the stanzas before <enabled/> in it acknowledges nothing',
    `${managed}
    ${isLiedTo()}
    ${hears('g1')}
    ${clientHas(2, 1)}
    ${clientHas(1, 2)}
    client: <a ${sm} h='2'/>
    -> stream-error undefined-condition gate client
    -> client: ${tooHigh('2', 1)}
    -> client: ${end}
    -> upstream: </stream:stream>
    -> close upstream
    -> close client
    -> leave`,
  )
  book(
    'the server has handled 2 of 1',
    `${managed}
    ${errs('e1')}
    ${says('m1')}
    upstream: <a ${sm} h='2'/>
    -> stream-error undefined-condition gate upstream
    -> upstream: ${tooHigh('2', 1)}
    ${failed(wire, 'internal-server-error')}
    -> leave`,
  )
  book(
    'a count that was handled again and again says nothing new',
    `${managed}
    ${hears('g1')}
    ${hears('g2')}
    ${clientHas(2, 2)}
    ${clientHas(1, 2)}
    ${clientHas(0, 2)}
    client: <a ${sm} h='4294967295'/>
    -> stream-error undefined-condition gate client
    -> client: ${tooHigh('4294967295', 2)}
    -> client: ${end}
    -> upstream: </stream:stream>
    -> close upstream
    -> close client
    -> leave`,
  )

  // Resuming.

  /** Of the client's two are forwarded and one is answered, of the server's two are forwarded and two left out, one of them answered. */
  const busy = `${managed}
    ${says('m1')}
    ${errs('e1')}
    ${says('m2')}
    ${hears('g1')}
    ${isLiedTo()}
    ${isPushed('p1')}
    ${hears('g2')}`
  for (const [who, isLost] of [
    ['client', lost()],
    ['server', upstreamLost],
  ] as const) {
    book(
      `the ${who} was lost, and nothing has arrived: everything is said again, once`,
      `${busy}
      ${isLost}`,
      `${resumed(0, 0, 0, 0)}
      ${answered('e1')}
      ${refusedPush('p1')}
      ${hears('g1')}
      ${isLiedTo()}
      ${isPushedAgain('p1')}
      ${hears('g2')}
      ${says('m1')}
      ${errsAgain('e1')}
      ${says('m2')}
      ${clientHas(3, 4)}
      ${serverHas(3, 3)}
      ${hears('g3')}
      ${says('m3')}
      ${errs('e1')}
      ${clientHas(5, 5)}
      ${serverHas(4, 5)}`,
    )
    book(
      `the ${who} was lost, and half has arrived`,
      `${busy}
      ${isLost}`,
      `${resumed(2, 3, 1, 2)}
      ${refusedPush('p1')}
      ${hears('g2')}
      ${says('m2')}
      ${hears('g3')}
      ${isLiedTo()}
      ${clientHas(4, 6)}
      ${serverHas(3, 3)}`,
    )
    book(
      `the ${who} was lost, and all has arrived`,
      `${busy}
      ${isLost}`,
      `${resumed(3, 4, 3, 3)}
      ${hears('g3')}
      ${says('m3')}
      ${clientHas(4, 5)}
      ${serverHas(4, 4)}`,
    )
  }
  book(
    'what the gate has added between what is said again keeps its place',
    `${managed}
    ${hears('g1')}
    ${errs('e1')}
    ${errs('e2')}
    ${hears('g2')}
    ${errs('e3')}
    ${lost()}`,
    `${resumed(0, 0, 0, 3)}
    ${hears('g1')}
    ${answered('e1')}
    ${answered('e2')}
    ${hears('g2')}
    ${answered('e3')}
    ${hears('g3')}
    ${clientHas(6, 3)}`,
  )
  for (const side of ['client', 'upstream'] as const)
    book(
      `the ${side} took nothing, and the streams were cut`,
      `${busy}
      stalled ${side}
      -> close client
      -> close upstream
      -> abort ${side}
      -> lose
      closed client
      -> stream-closed client slow-${side}
      closed upstream
      -> stream-closed upstream slow-${side}
      -> session-closed romeo@im.example/orchard slow-${side}`,
      `${resumed(0, 0, 0, 0)}
      ${answered('e1')}
      ${refusedPush('p1')}
      ${hears('g1')}`,
    )
  book(
    'lost again, before anything was said again',
    `${busy}
    ${lost()}`,
    `${resumed(0, 0, 0, 0)}
    ${answered('e1')}
    ${refusedPush('p1')}
    ${lost()}`,
    `${resumed(0, 0, 0, 0)}
    ${answered('e1')}
    ${refusedPush('p1')}
    ${hears('g1')}
    ${isLiedTo()}
    ${isPushedAgain('p1')}
    ${hears('g2')}
    ${says('m1')}
    ${errsAgain('e1')}
    ${says('m2')}
    ${clientHas(3, 4)}
    ${serverHas(3, 3)}`,
  )
  book(
    "the stream that was there goes, and what still comes on it is nobody's",
    `${busy}
    superseded
    -> stream-error conflict gate client
    -> client ~ <conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>
    -> client: ${end}
    -> close client
    -> close upstream
    client: <message to='juliet@im.example' id='late'/>
    upstream: <message from='juliet@im.example' id='late'/>
    closed client
    -> stream-closed client superseded
    closed upstream
    -> stream-closed upstream superseded
    -> session-closed romeo@im.example/orchard superseded`,
    `${resumed(3, 4, 3, 3)}
    ${hears('late')}
    ${says('late')}
    ${clientHas(4, 5)}
    ${serverHas(4, 4)}`,
  )
  book(
    'thousands are forwarded and not acknowledged: the count is right',
    `${managed}
    ${Array.from({ length: 2_500 }, () => `upstream: <message/>\n-> judged forward by none\n-> client: <message/>`).join('\n')}
    ${lost()}`,
    resumed(2_500, 2_500, 0, 0),
  )

  // Resumptions that come to nothing.

  for (const [name, said, told] of [
    ['with what it has handled', ` h='1'`, 2],
    ['with less', ` h='0'`, 0],
    ['without a count', '', undefined],
    ['with a count that is a lie', ` h='9'`, undefined],
  ] as const)
    book(
      `the server does not resume, ${name}: a resource can be bound on the same stream`,
      `${busy}
      ${lost()}`,
      `${authenticated(wire)}
      client: <resume ${sm} previd='x1' h='2'/>
      -> fetch
      -> upstream: <resume xmlns="urn:xmpp:sm:3" previd="x1" h="3"/>
      upstream: <failed ${sm}${said}><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>
      -> resumption refused
      -> client: ${failure('item-not-found', undefined, told)}
      client: ${bindIq}
      -> judged forward by none
      -> upstream ~ b9
      upstream: ${boundIq}
      -> judged forward by none
      -> client ~ balcony
      -> session-opened romeo@im.example/balcony
      -> negotiated
      -> recall romeo@im.example
      ${says('m1')}
      ${enable}
      upstream: <enabled ${sm} id='x2' resume='true' max='600'/>
      -> client ~ x2
      -> keep for 600000
      ${clientHas(0, 0)}`,
    )
  const resume = `client: <resume ${sm} previd='x1' h='0'/>`
  book(
    'an unknown SM-ID, or none: nobody else is asked',
    `${managed}
    ${lost()}`,
    `${authenticated(wire)}
    client: <resume ${sm} previd='x2' h='0'/>
    ${unknown}
    client: <resume ${sm} h='0'/>
    ${unknown}
    client: <resume xmlns='urn:xmpp:sm:2' previd='x1' h='0'/>
    -> fetch
    -> resumption unknown
    ${refused('item-not-found', 'urn:xmpp:sm:2')}
    ${resumption(0, 0, 0, 0)}`,
  )
  book(
    'the same SM-ID at another domain is another session',
    `${managed}
    ${lost()}`,
    `${authenticated(wire)}
    ${resume}
    ${unknown}`.replaceAll('im.example', 'second.example'),
  )
  for (const [name, ending] of [
    [
      'the client has closed',
      `client: ${end}
      -> upstream: </stream:stream>
      -> leave
      upstream: </stream:stream>
      -> close upstream
      -> client: ${end}
      -> close client`,
    ],
    [
      'the server has closed',
      `upstream: </stream:stream>
      -> client: ${end}
      -> upstream: </stream:stream>
      -> close upstream
      -> close client
      -> leave`,
    ],
    [
      'the server has reported an error',
      `upstream: <stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>
      -> stream-error reset peer upstream
      -> client ~ <reset
      -> client: ${end}
      -> upstream: </stream:stream>
      -> close upstream
      -> close client
      -> leave`,
    ],
    [
      'the client has made an error',
      `client: <features xmlns='http://etherx.jabber.org/streams'/>
      ${failed(wire, 'unsupported-stanza-type')}
      -> leave`,
    ],
    [
      'it was never to be resumed',
      `closed client
      -> stream-closed client client-lost
      -> close upstream`,
    ],
  ] as const)
    book(
      `${name}: nothing is left to resume`,
      `${
        name === 'it was never to be resumed'
          ? `${seen}
      client: <enable ${sm}/>
      -> upstream ~ <enable
      upstream: <enabled ${sm} id='x1'/>
      -> client ~ x1`
          : managed
      }
      ${ending}`,
      `${authenticated(wire)}
      ${resume}
      ${unknown}`,
    )
  for (const [side, one] of [
    ['left out', `upstream: <presence from='a@b' type='subscribed'/>\n-> judged drop by subscribed-needs-request`],
    ['answered', `client: <presence type='x'/>\n-> judged reject by presence-type\n-> client ~ type="error"`],
  ])
    for (const [length, outcome] of [
      [2_000, resumption(0, side === 'left out' ? 2_000 : 0, 0, side === 'left out' ? 0 : 2_000)],
      [2_001, `${resume}\n${unknown}`],
    ] as const) {
      if (side === 'answered' && length === 2_000) continue
      book(
        `${length} ${side} are not acknowledged: ${length > 2_000 ? 'too many to resume' : 'as many as are kept'}`,
        `${managed}
        ${Array.from({ length }, () => one).join('\n')}
        ${lost()}`,
        `${authenticated(wire)}
        ${outcome}`,
      )
    }
  for (const [how, ends] of [
    [
      'an error',
      `upstream: <stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>
    -> stream-error undefined-condition peer upstream`,
    ],
    ['its end tag', 'upstream: </stream:stream>'],
  ] as const)
    book(
      `the server answers a <resume/> that claims too much with ${how}: the client is told why`,
      `${busy}
      ${lost()}`,
      `${authenticated(wire)}
      client: <resume ${sm} previd='x1' h='9'/>
      -> fetch
      -> upstream: <resume xmlns="urn:xmpp:sm:3" previd="x1" h="5"/>
      ${ends}
      -> stream-error undefined-condition gate client
      -> client: ${tooHigh('9', 3)}
      -> client: ${end}
      -> upstream: </stream:stream>
      -> close upstream
      -> close client`,
    )
  book(
    'a <resume/> that claims too much is for the server to judge, who knows whose session it is; the session still waits',
    `${busy}
    ${lost()}`,
    `${authenticated(wire)}
    client: <resume ${sm} previd='x1' h='4'/>
    -> fetch
    -> upstream: <resume xmlns="urn:xmpp:sm:3" previd="x1" h="5"/>
    upstream: <failed ${sm}><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>
    -> resumption refused
    -> client ~ item-not-found
    client: <resume ${sm} previd='x1' h='4'/>
    -> fetch
    -> upstream: <resume xmlns="urn:xmpp:sm:3" previd="x1" h="5"/>
    # A server that lets it pass nevertheless: the gate does not.
    upstream: <resumed ${sm} previd='x1' h='3'/>
    -> stream-error undefined-condition gate client
    -> client: ${tooHigh('4', 3)}
    -> client: ${end}
    -> upstream: </stream:stream>
    -> close upstream
    -> close client`,
    resumed(3, 4, 3, 3),
  )
  book(
    'a <resumed/> that claims too much',
    `${busy}
    ${lost()}`,
    `${authenticated(wire)}
    client: <resume ${sm} previd='x1' h='3'/>
    -> fetch
    -> upstream ~ h="4"
    upstream: <resumed ${sm} previd='x1' h='4'/>
    -> stream-error undefined-condition gate upstream
    -> upstream: ${tooHigh('4', 3)}
    ${failed(wire, 'internal-server-error')}`,
  )

  // Pipelined.

  book(
    'what is pipelined behind <resume/> waits for its answer (XEP-0305)',
    `${busy}
    ${lost()}`,
    `${opened(wire)}
    ${atOnce(
      [auth, '-> upstream ~ PLAIN'],
      [header(wire), ''],
      [`<resume ${sm} previd='x1' h='3'/>`, ''],
      [`<message to='juliet@im.example' id='m3'/>`, ''],
    )}
    upstream: <success ${sasl}/>
    -> client ~ <success
    -> authenticated
    -> restart client
    -> restart upstream
    -> upstream ~ to="im.example"
    upstream: ${serverHeader('s2')}
    -> client ~ id="s2"
    -> fetch
    -> upstream: <resume xmlns="urn:xmpp:sm:3" previd="x1" h="4"/>
    upstream: <stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>
    -> client ~ <bind
    upstream: <resumed ${sm} previd='x1' h='3'/>
    -> client: <resumed xmlns="urn:xmpp:sm:3" previd="x1" h="3"/>
    ${goesOn}
    -> judged forward by none
    -> upstream: <message to="juliet@im.example" id="m3"/>
    ${serverHas(4, 4)}`,
  )

  // What is known of the roster.

  book(
    "one request pays for one 'subscribed', also when that is said again",
    `${managed}
    ${asks}
    ${approved}
    ${isLiedTo('juliet@im.example')}
    ${lost()}`,
    `${resumed(0, 0, 1, 1)}
    ${approved}
    ${isLiedTo('juliet@im.example')}
    ${isLiedTo('juliet@im.example')}
    ${lost()}`,
    `${resumed(0, 0, 1, 1)}
    ${approved}
    ${isLiedTo('juliet@im.example')}
    ${isLiedTo('juliet@im.example')}
    ${clientHas(1, 3)}`,
  )
  book(
    "a 'subscribed' that has arrived is not paid for again",
    `${managed}
    ${asks}
    ${approved}
    ${lost()}`,
    `${resumed(1, 1, 1, 1)}
    ${isLiedTo('juliet@im.example')}`,
  )
  book(
    'a request of before pays after',
    `${managed}
    ${asks}
    ${lost()}`,
    `${resumed(0, 0, 1, 1)}
    ${approved}
    ${isLiedTo('juliet@im.example')}`,
  )
  book(
    'a request that is said again pays once',
    `${managed}
    ${asks}
    ${lost()}`,
    `${resumed(0, 0, 0, 0)}
    client: <presence to='juliet@im.example' type='subscribe'/>
    -> judged forward by none
    -> upstream ~ type="subscribe"
    ${approved}
    ${isLiedTo('juliet@im.example')}`,
  )

  for (const [name, before, instead] of [
    ['a message for an approval', `${asks}${approved}`, `<message from='juliet@im.example' id='g1'/>`],
    [
      "another's approval",
      `${asks}${approved}`,
      `<presence from='mallory@evil.example' to='romeo@im.example' type='subscribed'/>`,
    ],
    ['an approval for a message', hears('g1'), `<presence from='juliet@im.example' type='subscribed'/>`],
    ['a denial for a message', hears('g1'), `<presence from='juliet@im.example' type='unsubscribed'/>`],
    ["another's approval for one that was left out", `${hears('g0')}${isLiedTo()}`, undefined],
  ] as const)
    book(
      `the server repeats what it has not sent: ${name}`,
      `${managed}
      ${before}
      ${lost()}`,
      `${authenticated(wire)}
      ${resume}
      -> fetch
      -> upstream ~ h="0"
      upstream: <resumed ${sm} previd='x1' h='0'/>
      -> client ~ <resumed
      ${goesOn}
      ${instead === undefined ? hears('g0') : ''}
      upstream: ${instead ?? `<presence from='juliet@im.example' type='subscribed'/>`}
      ${failed(wire, 'internal-server-error')}
      -> leave`,
    )

  // In SASL2 and Bind 2.

  const authenticate = (asked: string, told: string) => `${opened(wire)}
    client: <authenticate ${sasl2} mechanism='PLAIN'><initial-response>AGE=</initial-response>${asked}</authenticate>
    -> fetch
    -> upstream: <authenticate xmlns="urn:xmpp:sasl:2" mechanism="PLAIN"><initial-response>AGE=</initial-response>${told}</authenticate>`
  const success = (identifier: string, inside: string) =>
    `<success xmlns="urn:xmpp:sasl:2"><authorization-identifier>${identifier}</authorization-identifier>${inside}</success>`
  book(
    'SASL2: resumed inline; no features follow (XEP-0198)',
    `${busy}
    ${lost()}`,
    `${authenticate(
      `<resume ${sm} previd='x1' h='2'/><bind xmlns='urn:xmpp:bind:0'/>`,
      `<resume xmlns="urn:xmpp:sm:3" previd="x1" h="3"/><bind xmlns="urn:xmpp:bind:0"/>`,
    )}
    upstream: <challenge ${sasl2}>cg==</challenge>
    -> client ~ <challenge
    client: <response ${sasl2}>YQ==</response>
    -> upstream ~ <response
    upstream: ${success('romeo@im.example', `<resumed xmlns="urn:xmpp:sm:3" previd="x1" h="1" location="evil.example"/>`)}
    -> client: ${success('romeo@im.example', `<resumed xmlns="urn:xmpp:sm:3" previd="x1" h="2"/>`)}
    -> authenticated
    ${goesOn}
    ${refusedPush('p1')}
    ${hears('g2')}
    ${says('m2')}
    ${clientHas(3, 4)}
    ${serverHas(3, 3)}
    ${isLiedTo()}
    ${lost()}`,
    `${resumed(3, 5, 3, 3)}`,
  )
  book(
    'SASL2: a second <resume/> is left out',
    `${managed}
    ${lost()}`,
    authenticate(
      `<resume ${sm} previd='x1' h='0'/><resume ${sm} previd='x2' h='7'/>`,
      `<resume xmlns="urn:xmpp:sm:3" previd="x1" h="0"/>`,
    ),
  )
  book(
    'SASL2: an inline resumption that claims too much',
    `${managed}
    ${lost()}`,
    `${opened(wire)}
    client: <authenticate ${sasl2} mechanism='PLAIN'><resume ${sm} previd='x1' h='9'/></authenticate>
    -> fetch
    -> upstream: <authenticate xmlns="urn:xmpp:sasl:2" mechanism="PLAIN"><resume xmlns="urn:xmpp:sm:3" previd="x1" h="1"/></authenticate>
    upstream: <failure ${sasl2}><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></failure>
    -> client ~ not-authorized`,
  )
  book(
    'SASL2: not resumed, but bound, and enabled again',
    `${busy}
    ${lost()}`,
    `${authenticate(
      `<resume ${sm} previd='x1' h='3'/><bind xmlns='urn:xmpp:bind:0'><enable ${sm} resume='true'/></bind>`,
      `<resume xmlns="urn:xmpp:sm:3" previd="x1" h="4"/><bind xmlns="urn:xmpp:bind:0"><enable xmlns="urn:xmpp:sm:3" resume="true"/></bind>`,
    )}
    upstream: ${success('romeo@im.example/orchard', `${failure('item-not-found', undefined, 1)}<bound xmlns="urn:xmpp:bind:0"><enabled xmlns="urn:xmpp:sm:3" id="x2" location="evil.example:5222" max="100000" resume="true"/></bound>`)}
    -> resumption refused
    -> client: ${success('romeo@im.example/orchard', `${failure('item-not-found', undefined, 2)}<bound xmlns="urn:xmpp:bind:0"><enabled xmlns="urn:xmpp:sm:3" id="x2" max="86400" resume="true"/></bound>`)}
    -> authenticated
    -> session-opened romeo@im.example/orchard
    -> negotiated
    -> recall romeo@im.example
    -> keep for 86400000
    upstream: <stream:features/>
    -> client ~ features/>
    ${says('m1')}
    ${errs('e1')}
    ${hears('g1')}
    ${clientHas(2, 1)}
    ${serverHas(1, 2)}`,
  )
  for (const [name, granted, keeps] of [
    ['granted', `<enabled xmlns="urn:xmpp:sm:3" id="x2" resume="true"/>`, true],
    ['refused', failure('internal-server-error'), false],
  ] as const)
    book(
      `Bind 2: <enable/> inline, ${name}`,
      `${opened(wire)}
      client: <authenticate ${sasl2} mechanism='PLAIN'><bind xmlns='urn:xmpp:bind:0'><tag>x</tag><enable ${sm} resume='true'/></bind></authenticate>
      -> upstream ~ <bind xmlns="urn:xmpp:bind:0"><tag>x</tag><enable xmlns="urn:xmpp:sm:3" resume="true"/></bind>
      upstream: ${success('romeo@im.example/orchard', `<bound xmlns="urn:xmpp:bind:0">${granted}</bound>`)}
      -> client: ${success('romeo@im.example/orchard', `<bound xmlns="urn:xmpp:bind:0">${granted}</bound>`)}
      -> authenticated
      -> session-opened romeo@im.example/orchard
      -> negotiated
      -> recall romeo@im.example
      ${keeps ? '-> keep for 3600000' : ''}
      ${says('m1')}
      ${keeps ? serverHas(1, 1) : `client: <r ${sm}/>\n-> nonza drop from client`}`,
    )
  book(
    'SASL2: resumed, and nobody has asked',
    `${opened(wire)}
    client: <authenticate ${sasl2} mechanism='PLAIN'/>
    -> upstream ~ PLAIN
    upstream: ${success('romeo@im.example', `<resumed xmlns="urn:xmpp:sm:3" previd="x1" h="1"/>`)}
    ${failed(wire, 'internal-server-error')}`,
  )

  // The rest of negotiation.

  for (const [name, request, xmlns] of [
    ['SASL', auth, sasl],
    ['SASL2', `<authenticate ${sasl2} mechanism='PLAIN'/>`, sasl2],
  ])
    book(
      `${name}: the fifth failure is the last (RFC 6120 section 6.4.5)`,
      `${opened(wire)}
      ${Array.from(
        { length: 5 },
        () => `client: ${request}
      -> upstream ~ PLAIN
      upstream: <failure ${xmlns}><not-authorized/></failure>
      -> client ~ <not-authorized`,
      ).join('\n')}
      ${failed(wire, 'policy-violation')}`,
    )
  const offer = `<authentication xmlns="urn:xmpp:sasl:2"><mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>HT-SHA-256-ENDP</mechanism><mechanism>SCRAM-SHA-1</mechanism><inline><sm xmlns="urn:xmpp:sm:3"/><bind xmlns="urn:xmpp:bind:0"><inline><feature var="urn:xmpp:sm:3"/></inline></bind></inline></authentication><mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><mechanism>SCRAM-SHA-1</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism> X </mechanism></mechanisms><sasl-channel-binding xmlns="urn:xmpp:sasl-cb:0"><channel-binding type="tls-server-end-point"/><channel-binding type="tls-unique"/></sasl-channel-binding>`
  book(
    'mechanisms and channel-binding types are as the server has them, and so is its proof of them (XEP-0440, XEP-0474)',
    `${opened(wire)}
    upstream: <stream:features>${offer}</stream:features>
    -> client ~ features>${offer}</stream:features>
    client: <auth ${sasl} mechanism='SCRAM-SHA-1'>biwsbj1yb21lbyxyPWFiYw==</auth>
    -> upstream ~ >biwsbj1yb21lbyxyPWFiYw==<
    upstream: <challenge ${sasl}>cj1hYmNkZWYscz1jMkZzZEE9PSxpPTQwOTYsaD1hR0Z6YUE9PQ==</challenge>
    -> client ~ >cj1hYmNkZWYscz1jMkZzZEE9PSxpPTQwOTYsaD1hR0Z6YUE9PQ==<`,
  )
  for (const uri of ['urn:xmpp:sm:3', 'urn:xmpp:sm:2'])
    book(
      `${uri} is offered`,
      `${authenticated(wire)}
      upstream: <stream:features><sm xmlns='${uri}'><optional/></sm></stream:features>
      -> client ~ features><sm xmlns="${uri}"><optional/></sm></stream:features>`,
    )
}
