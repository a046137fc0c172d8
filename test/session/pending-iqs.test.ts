/** Who may answer what the client has asked, in a table; and that what is remembered has bounds, and what they cost. */
import t from 'tap'
import { PendingIqs } from '../../src/session/pending-iqs.ts'
import { type Stanza, stanzaOf } from '../../src/stanza/stanza.ts'
import { element } from '../../src/xml/element.ts'

const jid = 'romeo@im.example/orchard'

function iq(type: string | undefined, attributes: { id?: string; to?: string; from?: string }): Stanza {
  return stanzaOf(element('iq', 'jabber:client', { type, ...attributes })) as Stanza
}

function answers(asked: PendingIqs, from: string | undefined, id = '1', type = 'result') {
  return asked.answers(iq(type, { id, ...(from !== undefined && { from }) }))
}

/** Asked for, who may answer, and who may not. */
const rows: readonly (readonly [to: string | undefined, may: readonly string[], mayNot: readonly string[]])[] = [
  [
    undefined,
    [],
    ['mallory@evil.example', 'mallory@im.example', 'muc.im.example', 'evil.im.example', '', '/', '@im.example'],
  ],
  ['im.example', [], ['mallory@im.example/im.example', 'mallory@evil.example']],
  [jid, [], ['romeo@im.example/other', 'romeo@im.example/', 'romeo@evil.example/orchard']],
  ['ROMEO@im.example', [], ['romeo@im.example/other']],
  ['romeo@im.example/other', ['romeo@im.example/other', 'Romeo@IM.example./other'], ['romeo@im.example/third']],
  [
    'Juliet@IM.example./balcony',
    ['juliet@im.example/balcony', 'juliet@im.example', 'Juliet@IM.example./balcony'],
    ['juliet@im.example/Balcony', 'juliet@im.example/tomb', 'nurse@im.example/balcony', 'juliet@evil.example/balcony'],
  ],
  [
    'juliet@capulet.example',
    ['juliet@capulet.example', 'capulet.example', 'CAPULET.example', 'capulet.example/server'],
    ['juliet@capulet.example/balcony', 'sub.capulet.example', 'example', 'tybalt@capulet.example'],
  ],
  [
    'gateway.example',
    ['gateway.example', 'Gateway.Example.', 'gateway.example/bot'],
    ['x@gateway.example', 'way.example'],
  ],
  [
    'room@muc.im.example/third witch',
    ['room@muc.im.example/third witch', 'room@muc.im.example', 'muc.im.example'],
    ['room@muc.im.example/mallory', 'other@muc.im.example/third witch', 'room@muc.im.example/third  witch'],
  ],
  // A server may spell what is not ASCII in another way.
  [
    'room@muc.im.example/\uff2b\u00e9',
    ['room@muc.im.example/K\u00e9', 'room@muc.im.example'],
    ['other@muc.im.example/\uff2b\u00e9'],
  ],
  ['\u0130x@capulet.example', ['i\u0307x@capulet.example', '\u0130x@capulet.example'], ['\u0130x@evil.example']],
  ['\ufb01@capulet.example', ['fi@capulet.example', 'capulet.example'], ['fi@evil.example', 'evil.example']],
  // What profiles prepare differently: each server answers from what its own has made of it. Another domain stays another.
  [
    'stra\u00dfe@capulet.example',
    ['strasse@capulet.example', 'STRASSE@capulet.example', 'stra\u00dfe@capulet.example', 'capulet.example'],
    ['strasse@evil.example', 'strase@capulet.example', 'mallory@capulet.example'],
  ],
  [
    '\u03bd\u03af\u03ba\u03bf\u03c2@muc.im.example/nick',
    [
      '\u03bd\u03af\u03ba\u03bf\u03c3@muc.im.example/nick',
      '\u03bd\u03af\u03ba\u03bf\u03c3@muc.im.example',
      'muc.im.example',
    ],
    ['\u03bd\u03af\u03ba\u03bf\u03c3@muc.im.example/mallory', '\u03bd\u03af\u03ba\u03bf@muc.im.example'],
  ],
  [
    '\u1e9e@capulet.example',
    ['ss@capulet.example', '\u00df@capulet.example', '\u1e9e@capulet.example'],
    ['s@capulet.example'],
  ],
  [
    'a@stra\u00dfe.example',
    ['a@strasse.example', 'strasse.example', 'a@xn--strae-oqa.example', 'xn--strae-oqa.example'],
    ['b@strasse.example', 'a@strase.example'],
  ],
  ['bob@STRASSE.\ufb01', ['bob@strasse.fi', 'strasse.fi'], ['bob@strasse.example']],
  ['a@b\u00fccher.example', ['a@xn--bcher-kva.example', 'xn--bcher-kva.example'], ['a@bucher.example']],
  // Of an address that is none nobody can tell who will answer.
  ['a b@capulet.example', ['a b@capulet.example', 'capulet.example', 'anybody@else.example'], []],
  ['', ['', 'anybody@else.example'], []],
]

const own = [undefined, jid, 'romeo@im.example', 'Romeo@IM.EXAMPLE', 'im.example', 'IM.example.', 'im.example/server']

t.test('who may answer', async t => {
  for (const [to, may, mayNot] of rows) {
    const asked = new PendingIqs(jid)
    for (const from of [...own, ...may, ...mayNot]) {
      const isOwn = own.includes(from)
      t.equal(answers(asked, from), isOwn ? 'accept' : 'refuse', `${from}, before anything was asked`)
    }
    asked.sent(iq('get', { id: '1', ...(to !== undefined && { to }) }))
    for (const type of ['result', 'error']) {
      for (const from of [...own, ...may]) t.equal(answers(asked, from, '1', type), 'accept', `${to}: ${from}: ${type}`)
      for (const from of mayNot) t.equal(answers(asked, from, '1', type), 'refuse', `${to}: ${from}: ${type}`)
    }
    for (const from of may) t.equal(answers(asked, from, '2'), 'refuse', `${to}: ${from}, another id`)
  }
})

t.test('an account that cannot be compared is its own server to nobody else', async t => {
  const asked = new PendingIqs('\u2665@im.example/a')
  for (const from of ['\u2665@im.example', '\u2665@im.example/a', 'im.example', undefined])
    t.equal(answers(asked, from), 'accept', String(from))
  for (const from of ['\u2663@im.example', 'mallory@im.example', '\u2665@im.example/b'])
    t.equal(answers(asked, from), 'refuse', from)

  const nowhere = new PendingIqs('romeo@i\u00adm.example/orchard')
  for (const from of ['romeo@i\u00adm.example', 'romeo@i\u00adm.example/orchard'])
    t.equal(answers(nowhere, from), 'accept', from)
  for (const from of ['\u2665@evil.example', 'im.example', 'mallory@i\u00adm.example'])
    t.equal(answers(nowhere, from), 'refuse', from)
})

t.test('who has answered may answer again, for a while', async t => {
  const stranger = 'mallory@evil.example'
  const asked = new PendingIqs(jid)
  const told = () => ['a@b.example/c', 'b.example', stranger].map(from => answers(asked, from)).join(' ')
  asked.sent(iq('get', { id: '1', to: 'a@b.example/c' }))
  asked.sent(iq('get', { id: '1', to: 'B.example' }))
  for (const from of ['a@b.example/c', 'b.example', 'a@B.example./c', 'a@b.example', stranger, undefined]) {
    asked.received(iq('result', { id: '1', ...(from && { from }) }))
    t.equal(told(), 'accept accept refuse', from ?? 'nobody')
  }
  // Five hundred others are answered, and are as many as are remembered.
  const others = (count: number, id: (i: number) => string) => {
    for (let i = 0; i < count; i++) {
      asked.sent(iq('set', { id: id(i), to: 'x@y.example' }))
      asked.received(iq('error', { id: id(i), from: 'X@y.example' }))
    }
  }
  others(498, i => `o${i}`)
  t.equal(told(), 'accept accept refuse')
  others(1, () => 'one')
  t.equal(told(), 'refuse accept refuse', "the oldest is forgotten, and nobody else's answer is doubted for it")
  others(1, () => 'more')
  t.equal(told(), 'refuse refuse refuse')
  for (const from of ['y.example', 'x@y.example', stranger])
    t.equal(answers(asked, from, 'o0'), from === stranger ? 'refuse' : 'accept', from)
  others(66, i => `${i}${'i'.repeat(1_000)}`)
  t.equal(answers(asked, 'x@y.example', 'o0'), 'refuse')
  t.equal(answers(asked, 'x@y.example', 'more'), 'accept')
  others(2_000, i => `again ${i}${'i'.repeat(1_000)}`)
  t.equal(answers(asked, 'x@y.example', 'more'), 'refuse', 'long ones are fewer')
  t.equal(answers(asked, stranger), 'refuse', 'none of them was open for long')
})

t.test("with one id for everything, the domain's answer is not its user's", async t => {
  const asked = new PendingIqs(jid)
  for (const to of ['a@b.example/c', 'b.example', '\u2665@c.example']) asked.sent(iq('get', { id: '1', to }))
  // Answered, and pushed out by others that are: what is still open stays.
  for (const from of ['im.example', 'B.example.', 'a@b.example', '\u2663@c.example'])
    asked.received(iq('result', { id: '1', from }))
  asked.received(iq('get', { id: '1', from: 'a@b.example/c' }))
  asked.received(
    stanzaOf(element('message', 'jabber:client', { type: 'error', id: '1', from: 'a@b.example/c' })) as Stanza,
  )
  for (let i = 0; i < 500; i++) {
    asked.sent(iq('get', { id: `${i + 2}`, to: 'x@y.example' }))
    asked.received(iq('result', { id: `${i + 2}`, from: 'x@y.example' }))
  }
  t.equal(answers(asked, 'a@b.example/c'), 'accept')
  t.equal(answers(asked, '\u2665@c.example'), 'accept')
  t.equal(answers(asked, 'b.example'), 'accept', "the domain speaks for its user's request")
  asked.received(iq('result', { id: '1', from: 'A@b.example/c' }))
  for (let i = 0; i < 500; i++) {
    asked.sent(iq('get', { id: `${i + 1_000}`, to: 'x@y.example' }))
    asked.received(iq('result', { id: `${i + 1_000}`, from: 'x@y.example' }))
  }
  t.equal(answers(asked, 'a@b.example/c'), 'refuse')
})

t.test('what is a request', async t => {
  for (const [type, expected] of [
    ['get', 'accept'],
    ['set', 'accept'],
    // Servers answer that it is none.
    [undefined, 'accept'],
    ['subscribe', 'accept'],
    ['result', 'refuse'],
    ['error', 'refuse'],
  ] as const) {
    const asked = new PendingIqs(jid)
    asked.sent(iq(type, { to: 'a@b.example' }))
    t.equal(asked.answers(iq('error', { from: 'a@b.example' })), expected, String(type))
  }
  const asked = new PendingIqs(jid)
  asked.sent(stanzaOf(element('message', 'jabber:client', { id: '1', to: 'a@b.example' })) as Stanza)
  t.equal(answers(asked, 'a@b.example'), 'refuse', 'a message')
})

t.test('what is remembered has bounds, and of what was forgotten nothing is said', async t => {
  const stranger = 'mallory@evil.example'
  const asked = new PendingIqs(jid)
  for (let i = 0; i < 2_000; i++) asked.sent(iq('get', { id: `${i}`, to: 'a@b.example' }))
  // Neither counts: the own server may answer anyway.
  for (let i = 0; i < 10; i++)
    for (const to of ['im.example', undefined]) asked.sent(iq('get', { id: 'own', ...(to && { to }) }))
  t.equal(answers(asked, stranger, '0'), 'refuse')
  asked.received(iq('result', { id: '1000', from: 'a@b.example' }))
  asked.sent(iq('get', { id: 'more', to: 'a@b.example' }))
  t.equal(answers(asked, 'a@b.example', '0'), 'accept', 'an answered one makes room')
  t.equal(answers(asked, stranger, 'more'), 'refuse')
  asked.sent(iq('get', { id: 'one more', to: 'a@b.example' }))
  t.equal(answers(asked, 'a@b.example', '0'), 'unknown', 'the oldest')
  t.equal(answers(asked, 'a@b.example', '1'), 'accept', 'the next')
  t.equal(answers(asked, stranger, 'one more'), 'unknown')

  const reused = new PendingIqs(jid)
  const ask = (id: string) => reused.sent(iq('get', { id, to: 'a@b.example' }))
  ask('again')
  reused.received(iq('result', { id: 'again', from: 'a@b.example' }))
  for (let i = 0; i < 1_999; i++) ask(`${i}`)
  ask('again')
  ask('one more')
  for (let i = 0; i < 500; i++) {
    reused.sent(iq('get', { id: `x${i}`, to: 'x@y.example' }))
    reused.received(iq('result', { id: `x${i}`, from: 'x@y.example' }))
  }
  t.equal(answers(reused, 'a@b.example', 'again'), 'accept', 'the age of a request is not that of its id')

  const long = new PendingIqs(jid)
  const id = 'i'.repeat(262_144)
  const to = `${'a'.repeat(1_000)}@b.example`
  long.sent(iq('get', { id: `${id}x`, to }))
  t.equal(answers(long, to, `${id}x`), 'accept', 'a long id')
  t.equal(answers(long, stranger, `${id}x`), 'refuse')
  // 200 units of the id and 1,010 of the address.
  for (let i = 1; i < 216; i++) long.sent(iq('get', { id: `${i} ${id}`, to }))
  t.equal(answers(long, stranger), 'refuse', '216 long ones are not too many')
  long.sent(iq('get', { id, to }))
  t.equal(answers(long, stranger), 'unknown')

  const same = new PendingIqs(jid)
  for (let i = 0; i < 2_001; i++) same.sent(iq('get', { id: '1', to: `a${i}@b.example` }))
  t.equal(answers(same, 'a0@b.example'), 'unknown', 'all under one id')
  t.equal(answers(same, 'a1@b.example'), 'accept')

  for (const to of [
    `a@b.example/${'r'.repeat(262_144)}`,
    `${'a'.repeat(1_023)}@${'b'.repeat(1_023)}/${'r'.repeat(1_024)}`,
  ]) {
    const beyond = new PendingIqs(jid)
    beyond.sent(iq('get', { id: '1', to }))
    t.equal(answers(beyond, stranger), 'accept', 'no JID is as long: who answers cannot be told')
  }
})
