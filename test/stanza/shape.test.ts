import t from 'tap'
import {
  presenceChildrenFault,
  presenceTypeFault,
  type RosterFault,
  rosterSetFault,
  type ShapeFault,
} from '../../src/stanza/shape.ts'
import { type Element, element } from '../../src/xml/element.ts'
import { parse } from '../schemas/oracle.ts'

t.test('V2: the type, to the letter', t => {
  const types = ['unavailable', 'subscribe', 'subscribed', 'unsubscribe', 'unsubscribed', 'probe', 'error']
  const not = [
    'available',
    '',
    'Subscribe',
    ' subscribe ',
    'subscribe ',
    'subscribe\u0020',
    'subscribe\n',
    'constructor',
  ]
  t.equal(presenceTypeFault(element('presence', 'jabber:client')), undefined, 'absent')
  for (const type of types) t.equal(presenceTypeFault(typed(type)), undefined, type)
  for (const type of not) {
    t.equal(presenceTypeFault(typed(type))?.check, 'V2', JSON.stringify(type))
    t.equal(presenceChildrenFault(typed(type), 'en'), undefined, 'the children have no fault of their own')
  }
  t.equal(presenceTypeFault(typed('__proto__'))?.check, 'V2')
  t.end()
})

const bad = `<bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>`
const gone = `<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:a@b</gone>`
const text = `<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>sorry</text>`
const failed = (inside: string, attrs = "type='modify'") => `<error ${attrs}>${inside}</error>`
const caps = `<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/>`

/** What the presence holds, the check that it fails, and words of the sentence; the stanza's own attributes last. */
type Row = [content: string, check: ShapeFault['check'] | 'pass', words?: RegExp | undefined, attrs?: string]

t.test('children of a presence', t => {
  const rows: Row[] = [
    ['', 'pass'],
    ['\n  <show>away</show>\n  <status>out</status>\t<priority>5</priority>\r\n', 'pass'],
    [
      `${caps}<status/><priority>-128</priority><x xmlns='urn:x'><show xmlns='jabber:client'>?</show></x><show>xa</show>`,
      'pass',
    ],
    [`<status>${'x'.repeat(1025)}</status>`, 'pass'],
    // V5
    ['<show>away</show><show>away</show>', 'V5', /one <show\/>/],
    ['<show>online</show>', 'V5', /away, chat, dnd or xa/],
    ['<show/>', 'pass'],
    ['<show></show><show>away</show><status></status>', 'pass'],
    ["<show a='1'/>", 'V9'],
    ['<show> away </show>', 'V5', /white space/],
    ['<show>Away</show>', 'V5'],
    ['<show>toString</show>', 'V5'],
    ['<priority>1</priority><priority>1</priority>', 'V5', /one <priority\/>/],
    ...['0', '-0', '+5', '007', '-128', '-00128', '+127', '127', '109', '119'].map((p): Row => [priority(p), 'pass']),
    ...[
      '128',
      '-129',
      '+128',
      '1.0',
      '',
      ' ',
      ' 3 ',
      '3\n',
      '1e1',
      '0x1',
      '--1',
      '+',
      '-',
      '1 2',
      '200',
      '1000',
      '\u0661',
    ].map((p): Row => [priority(p), 'V5', /-128 to 127/]),
    // V6 is let pass
    ['<show>away</show><priority>1</priority>', 'pass', undefined, "type='unavailable'"],
    // V7
    [failed(bad), 'pass', undefined, "type='error'"],
    [failed(gone + text), 'pass', undefined, "type='error'"],
    [failed(`${text}<mine xmlns='urn:x'/>${bad}`, "type='wait' code='404' by='b'"), 'pass', undefined, "type='error'"],
    [`<q xmlns='urn:x'/>${failed(bad)}${caps}`, 'pass', undefined, "type='error'"],
    ['', 'V7', /exactly one <error\/>/, "type='error'"],
    [`<error xmlns='urn:x' type='wait'>${bad}</error>`, 'V7', /exactly one <error\/>/, "type='error'"],
    [failed(bad) + failed(bad), 'V7', /exactly one <error\/>/, "type='error'"],
    [failed(bad), 'V7', /of type error only/],
    [failed(bad), 'V7', /of type error only/, "type='unavailable'"],
    [failed(bad, ''), 'V7', /auth, cancel/, "type='error'"],
    [failed(bad, "type='fatal'"), 'V7', /auth, cancel/, "type='error'"],
    [failed(bad, "type=' wait '"), 'V7', /auth, cancel/, "type='error'"],
    [failed(''), 'V7', /one defined condition/, "type='error'"],
    [failed(text), 'V7', /one defined condition/, "type='error'"],
    [failed('<bad-request/>'), 'V7', /one defined condition/, "type='error'"],
    [failed(bad + gone), 'V7', /one defined condition/, "type='error'"],
    [failed(bad.replace('bad', 'worse')), 'V7', /one defined condition/, "type='error'"],
    // V8
    ["<x xmlns=''/>", 'V8', /extension namespaces/],
    ["<x xmlns='jabber:server'/>", 'V8'],
    ["<show xmlns='jabber:server'>away</show>", 'V8'],
    ["<x xmlns='http://etherx.jabber.org/streams'/>", 'V8'],
    ['<shown/>', 'V8'],
    ['<body>hello</body>', 'V8'],
    ['<__proto__/>', 'V8'],
    ['<constructor/>', 'V8'],
    ['<show>away</show>hello', 'V8'],
    ['\u00a0', 'V8'],
    // V9
    ["<show xml:lang='en'>away</show>", 'V9', /<show\/> has no attributes/],
    ["<show x:a='1' xmlns:x='urn:x'>away</show>", 'V9', /<show\/> has no attributes/],
    ["<show __proto__='1'>away</show>", 'V9', /<show\/> has no attributes/],
    ['<show>away<b/></show>', 'V9', /<show\/> holds text only/],
    ["<show>away<b xmlns='urn:x'/></show>", 'V9', /<show\/> holds text only/],
    ["<priority a='1'>1</priority>", 'V9', /<priority\/> has no attributes/],
    ['<priority>1<b/></priority>', 'V9', /<priority\/> holds text only/],
    ["<status xml:lang='en'>a</status>", 'pass'],
    ["<status a='1'>a</status>", 'V9', /no attribute but xml:lang/],
    ["<status xml:lang='en' xml:space='preserve'>a</status>", 'V9', /no attribute but xml:lang/],
    ["<status x:lang='en' xmlns:x='urn:x'>a</status>", 'V9', /no attribute but xml:lang/],
    ["<status __proto__='1'>a</status>", 'V9', /no attribute but xml:lang/],
    ['<status>a<b/></status>', 'V9', /<status\/> holds text only/],
    // the stanza's own attributes are others' affair
    ['', 'pass', undefined, "__proto__='1' constructor='1' x:a='1' xmlns:x='urn:x' id='a/b+c='"],
  ]
  for (const [content, check, words, attrs = ''] of rows) {
    const fault = presenceChildrenFault(parse(`<presence xmlns='jabber:client' ${attrs}>${content}</presence>`), 'en')
    t.equal(fault?.check ?? 'pass', check, `${check}: ${attrs} ${content.slice(0, 100)}`)
    if (words !== undefined) t.match(fault?.text, words)
    if (fault !== undefined) t.match(fault.text, /^[A-Z<].*\.$/, 'a sentence')
  }
  t.end()
})

t.test('V5: statuses differ in language, their own or inherited', t => {
  const rows: [
    stream: string | undefined,
    presence: string | undefined,
    statuses: (string | undefined)[],
    ok: boolean,
  ][] = [
    ['en', undefined, [undefined], true],
    ['en', undefined, [undefined, undefined], false],
    [undefined, undefined, [undefined, undefined], false],
    ['en', undefined, [undefined, 'de'], true],
    ['en', undefined, [undefined, 'en'], false],
    ['en', undefined, ['EN', undefined], false],
    [undefined, undefined, [undefined, 'en'], true],
    ['en', 'de', [undefined, 'en'], true],
    ['en', 'de', [undefined, 'de'], false],
    ['en', 'de', [undefined, 'DE'], false],
    ['en', undefined, ['de', 'fr', 'it', 'de'], false],
    ['en', undefined, ['en-GB', 'en-US', 'en'], true],
    ['en', undefined, ['', undefined], true],
    [undefined, undefined, ['', undefined], false],
    ['en', undefined, ['__proto__', '__proto__'], false],
    ['en', undefined, ['__proto__', 'constructor'], true],
  ]
  for (const [stream, lang, statuses, ok] of rows) {
    const children = statuses.map(own => element('status', 'jabber:client', { 'xml:lang': own }, ['same text']))
    const presence = element('presence', 'jabber:client', { 'xml:lang': lang }, children)
    const fault = presenceChildrenFault(presence, stream)
    t.equal(fault?.check, ok ? undefined : 'V5', `${stream} ${lang} ${statuses}`)
    if (!ok) t.match(fault?.text, /same language/)
  }
  const foreign = element('status', 'urn:x', {}, ['a'])
  const status = element('status', 'jabber:client', {}, ['a'])
  const others = element('presence', 'jabber:client', {}, [foreign, status, foreign])
  t.equal(presenceChildrenFault(others, 'en'), undefined, "an extension's status is none")
  t.end()
})

t.test('text in pieces is one text', t => {
  const show = (...children: string[]) =>
    element('presence', 'jabber:client', {}, [element('show', 'jabber:client', {}, children)])
  t.equal(presenceChildrenFault(show('aw', 'ay'), 'en'), undefined)
  t.equal(presenceChildrenFault(show('away', ' '), 'en')?.check, 'V5')
  t.end()
})

t.test('roster sets', t => {
  const item = (content = '', attrs = '') => `<item jid='a@b' ${attrs}>${content}</item>`
  const rows: [content: string, answer: RosterFault['condition'] | 'pass', words?: RegExp][] = [
    [item(), 'pass'],
    [`\n  ${item('\n<group>Friends</group>\n<group>friends</group>', "name='' subscription='remove'")}\n`, 'pass'],
    [
      item("<channel xmlns='urn:xmpp:mix:roster:0'/>", "subscription='maybe' x:a='1' xmlns:x='urn:x' __proto__='1'"),
      'pass',
    ],
    [`${item()}<note xmlns='urn:x'/>`, 'pass'],
    ['', 'bad-request', /exactly one/],
    ["<item xmlns='urn:x' jid='a@b'/>", 'bad-request', /exactly one/],
    [item() + item(), 'bad-request', /exactly one/],
    ["<item name='a'/>", 'bad-request', /has a jid/],
    [item('', "ask='subscribe'"), 'bad-request', /does not set ask/],
    [item('', "ask=''"), 'bad-request', /does not set ask/],
    [item('', "approved='false'"), 'bad-request', /does not set approved/],
    [item('<group>a</group><group>b</group><group>a</group>'), 'bad-request', /once only/],
    [item('<group>__proto__</group><group>__proto__</group>'), 'bad-request', /once only/],
    [item('<group/>'), 'not-acceptable', /has a name/],
    [item("<group a='1'>a</group>"), 'bad-request', /<group\/> has no attributes/],
    [item('<group>a<b/></group>'), 'bad-request', /<group\/> holds text only/],
    [item('text'), 'bad-request', /nothing else/],
    [item('<thing/>'), 'bad-request', /nothing else/],
    [item("<group xmlns=''>a</group>"), 'bad-request', /nothing else/],
    [`${item()}text`, 'bad-request', /nothing else/],
    [`${item()}<items/>`, 'bad-request', /nothing else/],
    [`${item()}<item xmlns='' jid='c@d'/>`, 'bad-request', /nothing else/],
  ]
  for (const [content, answer, words] of rows) {
    const fault = rosterSetFault(parse(`<query xmlns='jabber:iq:roster'>${content}</query>`))
    t.equal(fault?.condition ?? 'pass', answer, `${answer}: ${content}`)
    if (words !== undefined) t.match(fault?.text, words)
  }
  t.end()
})

function typed(type: string): Element {
  const errors = type === 'error' ? [element('error', 'jabber:client', { type: 'wait' }, [])] : []
  return element('presence', 'jabber:client', { type }, errors)
}

function priority(value: string): string {
  return `<priority>${value}</priority>`
}
