/** Whom an approval may still change something for, beyond what playbooks show: the bound, and the record. */
import t from 'tap'
import { RosterWatch } from '../../src/account/roster-watch.ts'
import { stanzaOf } from '../../src/stanza/stanza.ts'
import { ns } from '../../src/stream/namespaces.ts'
import { type Element, element } from '../../src/xml/element.ts'

const jid = 'romeo@im.example/orchard'
const contact = (n: number) => `c${n}@far.example`

function watch(contacts: number): RosterWatch {
  const one = new RosterWatch(jid)
  const items = Array.from({ length: contacts }, (_, n) =>
    element('item', ns.roster, { jid: contact(n), subscription: 'from' }),
  )
  const query = (children: Element[]) => [element('query', ns.roster, {}, children)]
  one.sent(stanzaOf(element('iq', ns.client, { type: 'get', id: 'r' }, query([]))) as never)
  one.received(stanzaOf(element('iq', ns.client, { type: 'result', id: 'r' }, query(items))) as never)
  return one
}

function withdraws(one: RosterWatch, n: number): void {
  one.received(stanzaOf(element('presence', ns.client, { type: 'unsubscribe', from: contact(n) })) as never)
}

t.test('a record takes doubts along', async t => {
  const one = watch(2)
  t.same(
    [one.isGranted(contact(0)), one.isGranted(contact(1)), one.isGranted('other@far.example')],
    [true, true, false],
  )
  withdraws(one, 0)
  const restored = RosterWatch.restored(jid, JSON.parse(JSON.stringify(one.record)))
  for (const each of [one, restored]) t.same([each.isGranted(contact(0)), each.isGranted(contact(1))], [false, true])
  t.same(restored.record, one.record)
})

t.test('beyond the bound all are in doubt, for good', async t => {
  const one = watch(1_002)
  for (let n = 0; n < 1_000; n++) withdraws(one, n)
  t.ok(one.isGranted(contact(1_001)))
  withdraws(one, 1_000)
  t.notOk(one.isGranted(contact(1_001)))
  t.equal(one.record.doubted, null)
  t.notOk(RosterWatch.restored(jid, one.record).isGranted(contact(1_001)))
})
