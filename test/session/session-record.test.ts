/** What a session remembers, as JSON and back: it judges alike. What is damaged is refused. */
import fc from 'fast-check'
import t from 'tap'
import { Ledger } from '../../src/account/ledger.ts'
import { activeRules } from '../../src/rules/all-rules.ts'
import { BoundSession } from '../../src/session/bound.ts'
import { StanzaCounts } from '../../src/session/stanza-counts.ts'
import { stanzaOf } from '../../src/stanza/stanza.ts'
import type { Side } from '../../src/stream/item.ts'
import { ns } from '../../src/stream/namespaces.ts'
import { type Element, element } from '../../src/xml/element.ts'
import { elementOfRecord, recordOfElement } from '../../src/xml/element-record.ts'

const options = {
  rules: activeRules({ default: 'enforce', modes: new Map() }),
  trustedDomains: new Set<string>(),
  unverified: 'fetch',
  mayCompensate: () => true,
  newStreamId: () => 'id',
} as const
const jid = 'romeo@im.example/orchard'

/** What a session sends, to whom. */
class Output {
  readonly sent: string[] = []

  sendElement(to: Side, { name, attrs }: Element): void {
    this.sent.push(`${to} ${name} ${attrs.get('type') ?? ''} ${attrs.get('id') ?? ''}`)
  }

  report(): void {}
  tell(): void {}
  fail(condition: string): void {
    this.sent.push(`fails: ${condition}`)
  }
}

function give(session: BoundSession, from: Side, whole: Element): string[] {
  const output = new Output()
  const stanza = stanzaOf(whole)
  if (stanza !== undefined) session.stanza(from, stanza, undefined, output)
  return output.sent
}

const presence = (attrs: Record<string, string>) => element('presence', ns.client, attrs)
const iq = (attrs: Record<string, string>, children: Element[] = []) => element('iq', ns.client, attrs, children)
const item = (attrs: Record<string, string>) => element('item', ns.roster, attrs)

const push = (id: string, contact: string, subscription: string) =>
  iq({ type: 'set', id }, [element('query', ns.roster, {}, [item({ jid: contact, subscription })])])

/** A session with something of everything in its memory. */
function full(): BoundSession {
  const session = new BoundSession(options, 'im.example', jid)
  session.offersPreApproval = true
  session.counts = new StanzaCounts(ns.sm3)
  session.counts.enabled(2)
  give(session, 'client', presence({}))
  give(session, 'client', iq({ type: 'get', id: 'roster' }, [element('query', ns.roster)]))
  const items = [
    item({ jid: 'juliet@im.example', subscription: 'both' }),
    item({ jid: 'nurse@im.example', subscription: 'none', ask: 'subscribe' }),
    item({ jid: 'mallory@evil.example', subscription: 'from' }),
    item({ jid: 'held@evil.example', subscription: 'from' }),
  ]
  give(session, 'upstream', iq({ type: 'result', id: 'roster' }, [element('query', ns.roster, { ver: '7' }, items)]))
  give(session, 'client', presence({ type: 'subscribe', id: 'asks', to: 'tybalt@im.example' }))
  give(session, 'client', iq({ type: 'get', id: 'asked', to: 'room@rooms.example' }, [element('query', 'urn:x')]))
  give(session, 'client', iq({ type: 'get', id: 'again' }, [element('query', ns.roster, { ver: '7' })]))
  // The answer to a version that the gate does not know.
  give(session, 'client', iq({ type: 'get', id: 'elder' }, [element('query', ns.roster, { ver: '5' })]))
  give(session, 'upstream', iq({ type: 'result', id: 'elder' }))
  give(session, 'client', presence({ type: 'bogus', id: 'bad' }))
  give(session, 'upstream', presence({ type: 'subscribed', from: 'stranger@evil.example', id: 'forged' }))
  // It was acknowledged and resumed before; the client's bad stanza was not acknowledged, and comes again.
  give(session, 'client', presence({ type: 'bogus', id: 'worse' }))
  session.counts.acknowledgement('client', element('a', ns.sm3, { h: '2' }))
  session.counts.resumed(element('resume', ns.sm3, { h: '4' }), element('resumed', ns.sm3, { h: '3' }))
  give(session, 'upstream', presence({ type: 'subscribed', from: 'nurse@im.example', id: 'decided' }))
  // One grant is taken back; of another it is not known yet.
  give(session, 'upstream', push('granted', 'mallory@evil.example', 'both'))
  give(session, 'upstream', presence({ type: 'subscribed', from: 'mallory@evil.example', id: 'unasked' }))
  give(session, 'upstream', push('undecided', 'held@evil.example', 'both'))
  return session
}

/** What comes then, and whose answers differ when something was forgotten. */
const next: readonly (readonly [Side, Element])[] = [
  ['upstream', presence({ type: 'subscribed', from: 'nurse@im.example', id: 'twice' })],
  ['upstream', presence({ type: 'subscribed', from: 'tybalt@im.example', id: 'answer' })],
  ['upstream', presence({ type: 'unsubscribed', from: 'juliet@im.example', id: 'end' })],
  ['upstream', presence({ type: 'unsubscribed', from: 'paris@im.example', id: 'no-end' })],
  ['upstream', iq({ type: 'result', id: 'asked', from: 'room@rooms.example' })],
  ['upstream', iq({ type: 'result', id: 'unasked', from: 'room@rooms.example' })],
  ['upstream', iq({ type: 'result', id: 'again' })],
  ['upstream', push('back', 'mallory@evil.example', 'from')],
  ['upstream', presence({ type: 'subscribed', from: 'held@evil.example', id: 'late' })],
  ['client', presence({})],
]

t.test('a session that was kept goes on as if nothing had been', async t => {
  const text = JSON.stringify(full().record)
  const restored = BoundSession.restored(options, JSON.parse(text)) as BoundSession
  t.equal(JSON.stringify(restored.record), text)
  t.equal(restored.offersPreApproval, true)
  const ask = element('resume', ns.sm3, { previd: 'x', h: '5' })
  const answer = element('resumed', ns.sm3, { previd: 'x', h: '4' })
  const whole = full()
  t.match(whole.record, { counts: { before: 2, answered: [/./], inbound: { total: 4 } }, watch: { present: '' } })
  t.same(restored.counts?.resumption(ask), whole.counts?.resumption(ask))
  t.same(restored.counts?.resumed(ask, answer), whole.counts?.resumed(ask, answer))
  for (const [from, stanza] of next) t.same(give(restored, from, stanza), give(whole, from, stanza))
  t.equal(JSON.stringify(restored.record), JSON.stringify(whole.record))
  const forgetful = new BoundSession(options, 'im.example', jid)
  const [first] = next
  t.not(first && `${give(full(), ...first)}`, first && `${give(forgetful, ...first)}`, 'memory matters here')
})

t.test('a session that cannot be resumed has no record', async t => {
  const session = new BoundSession(options, 'im.example', jid)
  t.equal(session.record, undefined)
  session.counts = new StanzaCounts(ns.sm3)
  t.equal(session.record, undefined, 'the server has not agreed yet')
})

t.test('records of other versions, and damaged ones', async t => {
  const record = JSON.parse(JSON.stringify(full().record))
  t.equal(BoundSession.restored(options, { ...record, format: 1 }), undefined)
  for (const damaged of [
    { ...record, counts: undefined },
    { ...record, counts: { ...record.counts, outbound: { ...record.counts.outbound, received: '1' } } },
    { ...record, counts: { ...record.counts, inbound: { ...record.counts.inbound, units: [{ unit: 'only-added' }] } } },
    ...[
      { unit: 'added', element: [1] },
      { unit: 'added', element: ['jabber:client', 'message', [['id', 1]], []] },
      { unit: 'dropped', print: '[]', said: null },
      { unit: 'dropped', print: '[]', said: [1] },
      ...['1', undefined, 0, -1, 1.5, 2 ** 60].map(count => ({ unit: 'forwarded', count })),
    ].map(unit => ({
      ...record,
      counts: { ...record.counts, inbound: { ...record.counts.inbound, units: [unit] } },
    })),
    { ...record, counts: { ...record.counts, inbound: { ...record.counts.inbound, handled: 2 ** 32 } } },
    { ...record, watch: { ...record.watch, own: { ...record.watch.own, contacts: [['a@b', 999_999]] } } },
    { ...record, requests: 'none' },
    { ...record, offersPreApproval: undefined },
    { ...record, fetch: null },
    { ...record, compensation: { grants: [{ key: 'a@b' }], held: [] } },
    {
      ...record,
      compensation: { ...record.compensation, grants: [{ ...record.compensation.grants[0], phase: 'lost' }] },
    },
    { ...record, compensation: { grants: [], held: [{ key: 1, element: ['x', '', [], []] }] } },
  ])
    t.throws(() => BoundSession.restored(options, damaged))
  t.throws(() => BoundSession.restored(options, null as never))
})

t.test('every state of a contact has its code, and elements come back as they were', async t => {
  const contacts = Array.from({ length: 9 * 27 * 8 }, (_, code): [string, number] => [`c${code}@b`, code])
  const record = { complete: true, ver: null, contacts }
  t.same(Ledger.restored(record).record, record)
  const whole = element('iq', ns.client, { 'xml:lang': 'fr', '{urn:a}b': '1' }, [
    element('a', '', {}, ['<&', element('b', 'urn:b')]),
  ])
  t.same(elementOfRecord(JSON.parse(JSON.stringify(recordOfElement(whole)))), whole)
})

t.test('whatever the store gives, it is a session or refused', async () => {
  const text = JSON.stringify(full().record)
  fc.assert(
    fc.property(fc.nat(text.length), fc.nat(20), fc.string({ maxLength: 6 }), (at, length, put) => {
      let record: unknown
      try {
        record = JSON.parse(text.slice(0, at) + put + text.slice(at + length))
      } catch {
        return
      }
      try {
        BoundSession.restored(options, record as never)
      } catch (error) {
        if (!(error instanceof TypeError)) throw error
      }
    }),
    { numRuns: 3_000, seed: 20_261_128 },
  )
})
