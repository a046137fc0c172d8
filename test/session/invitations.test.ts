/** Which tokens an invitation shows, and which of them are remembered. */
import t from 'tap'
import { InvitationTokens } from '../../src/account/invitation-tokens.ts'
import { Invitations, tokenIn, tokenOf } from '../../src/session/invitations.ts'
import { parseDateTime } from '../../src/stanza/date-time.ts'
import { stanzaOf } from '../../src/stanza/stanza.ts'
import { type Element, element, type Node } from '../../src/xml/element.ts'

const romeo = 'romeo@im.example'

t.test('dates and times', t => {
  const table: readonly [string, string | undefined][] = [
    ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00Z'],
    ['2026-11-28T07:00:01Z', '2026-11-28T07:00:01Z'],
    ['2028-02-29T23:59:59.123Z', '2028-02-29T23:59:59Z'],
    ['2028-03-01T00:30:00+01:00', '2028-02-29T23:30:00Z'],
    ['1999-12-31T22:00:00-05:30', '2000-01-01T03:30:00Z'],
    ['2000-02-29T00:00:00Z', '2000-02-29T00:00:00Z'],
    ['2100-03-01T00:00:00Z', '2100-03-01T00:00:00Z'],
    ['1969-12-31T23:59:59Z', '1969-12-31T23:59:59Z'],
    ['2026-13-01T00:00:00Z', undefined],
    ['2026-11-28', undefined],
    ['2026-11-28T07:00:01', undefined],
    ['', undefined],
  ]
  for (const [given, same] of table)
    t.equal(parseDateTime(given), same === undefined ? undefined : Date.parse(same), given)
  t.end()
})

t.test('the token of a URI', t => {
  const table: readonly [string, string | undefined][] = [
    ['xmpp:romeo@im.example?roster;preauth=abc', 'abc'],
    ['xmpp:romeo@im.example?roster;preauth=a%2Bb;ibr=y', 'a+b'],
    ['XMPP:Romeo@IM.example?preauth=abc#page', 'abc'],
    ['xmpp:romeo%40im.example?roster;preauth=abc', 'abc'],
    ['xmpp:romeo@im.example?roster;name=Romeo;preauth=abc', 'abc'],
    ['xmpp:juliet@im.example?roster;preauth=abc', undefined],
    ['xmpp:im.example?register;preauth=abc', undefined],
    ['xmpp:romeo@im.example?roster', undefined],
    ['xmpp:romeo@im.example?roster;preauth=', undefined],
    ['xmpp:romeo@im.example?roster;preauth=%', undefined],
    [`xmpp:romeo@im.example?roster;preauth=${'x'.repeat(1_001)}`, undefined],
    ['xmpp:romeo@im.example;preauth=abc', undefined],
    ['https://im.example/?preauth=abc', undefined],
    ['', undefined],
  ]
  for (const [uri, token] of table) t.equal(tokenIn(uri, romeo), token, uri.slice(0, 80))
  t.end()
})

const commands = 'http://jabber.org/protocol/commands'
const field = (name: string, value: string) =>
  element('field', 'jabber:x:data', { var: name }, [element('value', 'jabber:x:data', {}, [value])])
const form = (...fields: Element[]) => element('x', 'jabber:x:data', { type: 'result' }, fields)
const uri = field('uri', `xmpp:${romeo}?roster;preauth=abc`)
const expire = field('expire', '2026-11-29T00:00:00Z')

function iq(attrs: Readonly<Record<string, string>>, children: readonly Node[], node = 'urn:xmpp:invite#invite') {
  const command = element('command', commands, { node }, children)
  return stanzaOf(element('iq', 'jabber:client', attrs, [command])) as NonNullable<ReturnType<typeof stanzaOf>>
}

t.test('invitations in a stream', t => {
  const asked = { type: 'set', id: '1', to: 'im.example' }
  const answered = { type: 'result', id: '1', from: 'im.example' }
  const abc = { token: 'abc', expires: Date.parse('2026-11-29T00:00:00Z') }
  const table: readonly [what: string, asked: Parameters<typeof iq>, answer: Parameters<typeof iq>, object?][] = [
    ['asked and answered', [asked, []], [answered, [form(uri, expire)]], abc],
    ['in an item', [asked, []], [answered, [form(element('item', 'jabber:x:data', {}, [uri, expire]))]], abc],
    ['without a time', [asked, []], [answered, [form(uri)]], { token: 'abc', expires: undefined }],
    [
      'with no time',
      [asked, []],
      [answered, [form(uri, field('expire', 'soon'))]],
      { token: 'abc', expires: undefined },
    ],
    ['of an account', [asked, [], 'urn:xmpp:invite#create-account'], [answered, [form(uri, expire)]], abc],
    ['another command', [asked, [], 'urn:x'], [answered, [form(uri, expire)]]],
    ['another id', [asked, []], [{ ...answered, id: '2' }, [form(uri, expire)]]],
    ['a stranger answers', [asked, []], [{ ...answered, from: 'mallory@far.example' }, [form(uri, expire)]]],
    ['a stranger is asked', [{ ...asked, to: 'far.example' }, []], [answered, [form(uri, expire)]]],
    ['an error', [asked, []], [{ ...answered, type: 'error' }, [form(uri, expire)]]],
    ['a get', [{ ...asked, type: 'get' }, []], [answered, [form(uri, expire)]]],
    ['no form', [asked, []], [answered, []]],
    ['no URI', [asked, []], [answered, [form(expire, field('landing-url', 'https://im.example'))]]],
  ]
  for (const [what, question, answer, expected] of table) {
    const invitations = new Invitations(romeo)
    t.equal(invitations.received(iq(...answer)), undefined, `${what}: nobody has asked`)
    invitations.sent(iq(...question))
    t.same(invitations.received(iq(...answer)), expected, what)
    t.equal(expected && invitations.received(iq(...answer)), undefined, `${what}: once`)
  }
  const many = new Invitations(romeo)
  for (let id = 0; id < 21; id++) many.sent(iq({ ...asked, id: String(id) }, []))
  t.equal(many.received(iq({ ...answered, id: '0' }, [form(uri)])), undefined, 'the oldest is forgotten')
  t.same(many.received(iq({ ...answered, id: '20' }, [form(uri)])), { token: 'abc', expires: undefined })
  t.end()
})

t.test('the token of a request', t => {
  const request = (...children: Node[]) => element('presence', 'jabber:client', { type: 'subscribe' }, children)
  const preauth = (attrs: Readonly<Record<string, string>>, ns = 'urn:xmpp:pars:0') => element('preauth', ns, attrs)
  t.equal(tokenOf(request(preauth({ token: 'abc' }))), 'abc')
  t.equal(tokenOf(request(element('status', 'jabber:client', {}, ['hi']), preauth({ token: 'abc' }))), 'abc')
  for (const none of [[], [preauth({})], [preauth({ token: '' })], [preauth({ token: 'abc' }, 'urn:x')]])
    t.equal(tokenOf(request(...none)), undefined)
  t.end()
})

t.test('tokens that are remembered', t => {
  const clock = { now: 1_000_000 }
  const tokens = new InvitationTokens(() => clock.now, { perAccount: 2, accounts: 2 })
  tokens.add('a', 'one', undefined)
  tokens.add('a', 'two', clock.now + 1_000)
  t.same([tokens.has('a', 'one'), tokens.has('a', 'two'), tokens.has('b', 'one')], [true, true, false])
  clock.now += 1_000
  t.same([tokens.has('a', 'one'), tokens.has('a', 'two')], [true, false], 'one has expired')
  clock.now += 7 * 86_400_000 - 1_001
  t.equal(tokens.has('a', 'one'), true)
  clock.now += 1
  t.equal(tokens.has('a', 'one'), false, 'a week is over')
  for (const token of ['1', '2', '3']) tokens.add('a', token, undefined)
  t.same(
    ['1', '2', '3'].map(token => tokens.has('a', token)),
    [false, true, true],
    'the oldest is forgotten',
  )
  tokens.add('b', '1', undefined)
  tokens.add('c', '1', undefined)
  t.same(
    ['a', 'b', 'c'].map(account => tokens.has(account, account === 'a' ? '3' : '1')),
    [false, true, true],
  )
  t.end()
})
