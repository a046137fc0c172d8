import t from 'tap'
import { errorReply, type StanzaError } from '../../src/stanza/error.ts'
import { kinds, readdressed, type Stanza, stanzaOf, subscriptionTypeOf } from '../../src/stanza/stanza.ts'
import { child, element, elements, text, withAttrs, withChildren } from '../../src/xml/element.ts'
import { write } from '../../src/xml/writer.ts'

const client = 'jabber:client'
const stanzas = 'urn:ietf:params:xml:ns:xmpp-stanzas'
const by = 'im.example'
const own = 'juliet@im.example/balcony'

function stanza(name: string, attrs: Readonly<Record<string, string>>): Stanza {
  return stanzaOf(element(name, client, attrs, [element('payload', 'urn:x')])) as Stanza
}

const reply = (to: Stanza, error: StanzaError = { condition: 'bad-request' }) => {
  const answer = errorReply(to, error, { by, to: own })
  return answer === undefined ? undefined : write(answer, { content: client })
}

t.test('what is never answered', t => {
  for (const kind of kinds) t.equal(reply(stanza(kind, { type: 'error', id: '1' })), undefined, `an error in ${kind}`)
  t.equal(reply(stanza('iq', { type: 'result', id: '1' })), undefined, 'an IQ result')
  t.end()
})

t.test('what is answered', t => {
  const answered: readonly (readonly [kind: string, type: string | undefined])[] = [
    ['iq', 'get'],
    ['iq', 'set'],
    ['iq', 'no such type'],
    ['iq', undefined],
    ['message', undefined],
    ['message', 'result'],
    ['presence', 'subscribe'],
    ['presence', 'unavailable'],
    ['presence', 'Error'],
  ]
  for (const [kind, type] of answered) {
    const said = reply(stanza(kind, { ...(type === undefined ? {} : { type }), to: 'romeo@im.example', id: 'a&b' }))
    const expected =
      `<${kind} from="romeo@im.example" to="${own}" id="a&amp;b" type="error">` +
      `<error type="modify" by="${by}"><bad-request xmlns="${stanzas}"/></error></${kind}>`
    t.equal(said, expected, `${kind} ${type ?? 'without a type'}: no payload, same id`)
  }
  t.end()
})

/** RFC 6120 section 8.3.1: addresses are turned round, never into a malformed one. */
const addressed: readonly (readonly [name: string, from: string | undefined, to: string | undefined, ...string[]])[] = [
  ['both', 'a@b/c', 'd@e', 'from="d@e" to="a@b/c"'],
  ['no sender named', undefined, 'd@e', `from="d@e" to="${own}"`],
  ['to nobody: the answer is from nobody', undefined, undefined, `to="${own}"`],
  ['a malformed target', undefined, 'd@e@f', `from="${by}" to="${own}"`],
  ['an empty target', undefined, '', `from="${by}" to="${own}"`],
  ['a malformed sender', 'a b@c', 'd@e', `from="d@e" to="${own}"`],
  ['a sender to escape', 'a@b/"', 'd@e', `from="d@e" to="a@b/&#34;"`],
]

t.test('addresses', t => {
  for (const [name, from, to, expected] of addressed) {
    const said = reply(
      stanza('presence', { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }),
    )
    t.ok(said?.startsWith(`<presence ${expected} type="error">`), `${name}: ${said}`)
  }
  const nobody = errorReply(stanza('message', {}), { condition: 'bad-request' }, { by })
  t.strictSame([...(nobody?.attrs ?? [])], [['type', 'error']], 'nobody to answer to, and no id to repeat')
  t.end()
})

t.test('each condition has an error type that RFC 6120 section 8.3.3 gives it', t => {
  const types: Readonly<Record<StanzaError['condition'], string>> = {
    'bad-request': 'modify',
    'jid-malformed': 'modify',
    'not-acceptable': 'modify',
    'not-allowed': 'cancel',
    'policy-violation': 'modify',
    'resource-constraint': 'wait',
    'service-unavailable': 'cancel',
    'unexpected-request': 'modify',
  }
  for (const [condition, type] of Object.entries(types) as [StanzaError['condition'], string][]) {
    const answer = errorReply(stanza('iq', { type: 'set', id: '1' }), { condition, text: 'why <' }, { by })
    const error = answer === undefined ? undefined : child(answer, 'error', client)
    t.strictSame(
      [...(error?.attrs ?? [])],
      [
        ['type', type],
        ['by', by],
      ],
      condition,
    )
    const names = error === undefined ? [] : elements(error).map(({ name, ns }) => `{${ns}}${name}`)
    t.strictSame(names, [`{${stanzas}}${condition}`, `{${stanzas}}text`])
    const words = error === undefined ? undefined : child(error, 'text', stanzas)
    t.equal(words?.attrs.get('xml:lang'), 'en')
    t.equal(words && text(words), 'why <')
  }
  t.end()
})

t.test('what is a stanza', t => {
  const all: readonly (readonly [name: string, ns: string, isStanza: boolean])[] = [
    ['message', client, true],
    ['presence', client, true],
    ['iq', client, true],
    ['Presence', client, false],
    ['r', client, false],
    ['presence', 'jabber:server', false],
    ['presence', '', false],
    ['presence', 'urn:xmpp:sm:3', false],
    ['constructor', client, false],
    ['__proto__', client, false],
  ]
  for (const [name, ns, isStanza] of all)
    t.equal(stanzaOf(element(name, ns))?.kind, isStanza ? name : undefined, `{${ns}}${name}`)
  t.match(stanza('iq', { type: 't', to: 'b', from: 'c', id: 'd' }), {
    kind: 'iq',
    type: 't',
    to: 'b',
    from: 'c',
    id: 'd',
  })
  t.end()
})

t.test('an empty attribute is there, an attribute of another namespace is not', t => {
  const foreign = element('presence', client, { '{urn:x}type': 'subscribe', to: '', id: '' })
  t.strictSame(
    { ...(stanzaOf(foreign) as Stanza), element: undefined },
    { kind: 'presence', element: undefined, type: undefined, to: '', from: undefined, id: '' },
  )
  t.end()
})

t.test('the four subscription types, in presence alone', t => {
  for (const type of ['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed'] as const) {
    t.equal(subscriptionTypeOf(stanza('presence', { type })), type)
    t.equal(subscriptionTypeOf(stanza('message', { type })), undefined)
  }
  for (const type of ['Subscribe', ' subscribe', 'subscribe ', '', 'probe', 'available', 'constructor'])
    t.equal(subscriptionTypeOf(stanza('presence', { type })), undefined, JSON.stringify(type))
  t.equal(subscriptionTypeOf(stanza('presence', {})), undefined)
  t.end()
})

t.test('a rewrite is a new stanza', t => {
  const first = stanza('presence', { to: 'a@b', id: '1', 'xml:lang': 'en' })
  const second = readdressed(first, { from: own, to: undefined, id: undefined })
  t.strictSame(
    [...second.element.attrs],
    [
      ['xml:lang', 'en'],
      ['from', own],
    ],
  )
  t.match(second, { kind: 'presence', from: own, to: undefined, id: undefined })
  t.equal(first.to, 'a@b')
  t.equal(first.from, undefined)
  t.equal(second.element.children, first.element.children, 'what is inside is shared')
  t.end()
})

t.test('elements', t => {
  const inside = [element('a', 'u'), 'x', element('a', 'v'), element('b', 'u'), 'y', element('c', 'u', {}, ['z'])]
  const outer = element('outer', 'u', { one: '1', two: undefined }, inside)
  t.strictSame([...outer.attrs], [['one', '1']])
  t.strictSame(
    elements(outer),
    inside.filter(node => typeof node !== 'string'),
  )
  t.equal(child(outer, 'a', 'v'), inside[2])
  t.equal(child(outer, 'a', 'u'), inside[0], 'the first')
  t.equal(child(outer, 'a', 'w'), undefined)
  t.equal(text(outer), 'xy', "not the children's")
  t.strictSame([...withAttrs(outer, { one: undefined, three: '3' }).attrs], [['three', '3']])
  t.strictSame([...outer.attrs], [['one', '1']])
  t.strictSame(withChildren(outer, ['q']).children, ['q'])
  t.equal(outer.children, inside)
  t.end()
})
