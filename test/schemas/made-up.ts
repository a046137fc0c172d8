/** Elements made up at random: right ones often enough to be accepted, and each fault often enough to be met. */
import fc from 'fast-check'
import { ns } from '../../src/stream/namespaces.ts'
import type { Element, Node } from '../../src/xml/element.ts'

/** Presence stanzas of jabber:client. */
export function presences(): fc.Arbitrary<Element> {
  const c = fc.constantFrom
  const none = fc.constant<[string, string][]>([])
  const inner = fc.constant<Node[]>([make('b', ns.client, [], [])])
  const plain = (name: string, values: fc.Arbitrary<string>, attrs: fc.Arbitrary<[string, string][]>) =>
    fc
      .tuple(
        mostly(attrs, attributes(['a', '1'], ['{urn:x}a', '1'], ['__proto__', '1'])),
        mostly(
          values.map((value): Node[] => [value]),
          inner,
        ),
      )
      .map(([attrs, children]) => make(name, ns.client, attrs, children))
  const show = plain('show', mostly(c('away', 'chat', 'dnd', 'xa'), c(' away ', 'xa\n', 'online', '', 'Away')), none)
  const bytes = ['0', '-128', '127', '+5', '007', '-0', '-000128', '+00127', '99', '119']
  const noBytes = ['128', '-129', '1.0', '', ' 3 ', '+128', '0x1', '1e1', '--1', '+', '3 4', '1000', '\u0663']
  const priority = plain('priority', mostly(c(...bytes), c(...noBytes)), none)
  const langs = attributes(['xml:lang', 'en', 'EN', 'de', 'pt-BR', ''])
  const badLangs = attributes(['xml:lang', 'not a language', 'en--us'])
  const status = plain('status', c('', 'a', 'x'.repeat(1025), '<&>'), mostly(langs, badLangs))
  const extension = fc
    .tuple(
      mostly(c('urn:x', 'http://jabber.org/protocol/caps'), c(ns.server, ns.stream), c('', ns.client)),
      mostly(none, attributes(['{urn:y}z', '1'], ['ver', '1'])),
      mostly(
        fc.constant<Node[]>([]),
        c<Node[]>(['text'], [make('y', '', [], ['b'])], [make('show', ns.client, [], ['never'])]),
      ),
    )
    .map(([namespace, attrs, children]) => make('c', namespace, attrs, children))
  const stray = c<Node>(' ', '\n\t', 'text', make('toString', ns.client, [], []), make('__proto__', ns.client, [], []))
  const child = mostly<Node>(fc.oneof(show, priority, status, extension), stray, errors())
  const type = mostly(
    c(undefined, 'probe', 'subscribe', 'subscribed', 'unavailable', 'unsubscribe', 'unsubscribed'),
    c(' subscribe ', 'probe\n', 'error', 'available', '', 'Subscribe', 'constructor'),
  )
  const common = attributes(
    ['id', 'a/b+c=', '1', ''],
    ['to', 'a@b', '@'],
    ['{urn:x}y', '1'],
    ['xml:lang', 'en', 'de', 'fr'],
  )
  const odd = attributes(['foo', '1'], ['__proto__', '1'], ['xml:lang', 'x y'])
  const usual = fc
    .tuple(type, mostly(common, odd), fc.array(child, { maxLength: 4 }))
    .map(([type, attrs, children]) => presence(type, attrs, children))
  const failed = fc
    .tuple(errors(), fc.array(mostly<Node>(fc.oneof(status, extension), errors()), { maxLength: 2 }))
    .map(([error, children]) => presence('error', [], [...children.slice(0, 1), error, ...children.slice(1)]))
  return mostly(usual, failed)
}

/** Queries of a roster set. */
export function rosterSets(): fc.Arbitrary<Element> {
  const of = (name: string, attrs: readonly [string, string][], children: readonly Node[]) =>
    make(name, ns.roster, attrs, children)
  const extension = fc.constantFrom<Node>(
    make('channel', 'urn:xmpp:mix:roster:0', [], []),
    make('item', 'urn:x', [], []),
  )
  const stray = fc.constantFrom<Node>('text', make('item', '', [], []), of('thing', [], []))
  const group = mostly<Node>(
    fc.constantFrom('Friends', 'Family', 'Work', '').map(name => of('group', [], [name])),
    fc.constantFrom<Node>(of('group', [['a', '1']], ['x']), of('group', [], [of('b', [], [])])),
    extension,
    stray,
  )
  const attrs = attributes(['name', 'a'], ['subscription', 'none', 'to', 'from', 'both', 'remove', 'maybe'])
  const servers = attributes(['ask', 'subscribe', 'unsubscribe'], ['approved', 'true', '0', 'yes'])
  const jid = mostly(fc.constant<[string, string][]>([['jid', 'a@b']]), fc.constant<[string, string][]>([]))
  const item = fc
    .tuple(jid, attrs, mostly(fc.constant<[string, string][]>([]), servers), fc.array(group, { maxLength: 3 }))
    .map(([jid, attrs, servers, children]) => of('item', [...jid, ...attrs, ...servers], children))
  const rest = fc.array(mostly<Node>(fc.constantFrom<Node>(' ', '\n'), item, extension, stray), { maxLength: 2 })
  return fc
    .tuple(
      mostly(
        item.map(one => [one]),
        fc.constant<Element[]>([]),
      ),
      rest,
      attributes(['ver', '1']),
    )
    .map(([one, rest, attrs]) => of('query', attrs, [...one, ...rest]))
}

function make(name: string, namespace: string, attrs: readonly [string, string][], children: readonly Node[]): Element {
  // Two texts side by side would be one when read again.
  const joined: Node[] = []
  for (const node of children) {
    const last = joined.at(-1)
    if (typeof node === 'string' && typeof last === 'string') joined[joined.length - 1] = last + node
    else if (node !== '') joined.push(node)
  }
  return { name, ns: namespace, attrs: new Map(attrs), children: joined }
}

/** One of these, the first most of the time. */
function mostly<T>(usual: fc.Arbitrary<T>, ...rare: fc.Arbitrary<T>[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: rare.length * 5, arbitrary: usual }, ...rare)
}

function attributes(...each: [name: string, ...values: string[]][]): fc.Arbitrary<[string, string][]> {
  const one = each.map(([name, ...values]) =>
    fc.option(
      fc.constantFrom(...values).map((value): [string, string] => [name, value]),
      { nil: undefined, freq: 2 },
    ),
  )
  return fc.tuple(...one).map(pairs => pairs.filter(pair => pair !== undefined))
}

function presence(type: string | undefined, attrs: readonly [string, string][], children: readonly Node[]): Element {
  return make('presence', ns.client, type === undefined ? attrs : [...attrs, ['type', type]], children)
}

function errors(): fc.Arbitrary<Element> {
  const of = (name: string, ...children: Node[]) => make(name, ns.stanzaErrors, [], children)
  const condition = mostly<Element[]>(
    fc.constantFrom([of('bad-request')], [of('gone', 'a@b')], [of('unexpected-request')]),
    fc.constantFrom([], [of('conflict'), of('forbidden')], [of('worse')], [of('conflict', 'text')]),
  )
  const beside = fc.array(
    mostly<Node>(
      fc.constantFrom(of('text', 'sorry'), make('x', 'urn:x', [], [])),
      fc.constantFrom<Node>('text', make('x', '', [], [])),
    ),
    { maxLength: 2 },
  )
  const attrs = mostly(
    fc.constantFrom('auth', 'cancel', 'continue', 'modify', 'wait').map((type): [string, string][] => [
      ['type', type],
      ['code', '404'],
    ]),
    fc.constantFrom<[string, string][]>(
      [],
      [['type', 'fatal']],
      [
        ['type', 'auth'],
        ['foo', '1'],
      ],
      [
        ['type', 'auth'],
        ['by', 'b'],
      ],
    ),
  )
  return fc
    .tuple(attrs, condition, beside, beside)
    .map(([attrs, condition, before, after]) => make('error', ns.client, attrs, [...before, ...condition, ...after]))
}
