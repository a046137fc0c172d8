/** Who has the session of a client that comes back. */
import t from 'tap'
import { SessionMembers } from '../../src/upstream/session-members.ts'

const romeo = 'romeo@im.example'

t.test('as long as the server keeps it, by account before address', async t => {
  const members = new SessionMembers()
  members.holds('main', { member: 'a:1', until: 600 }, [romeo, '192.0.2.1'])
  members.holds('main', { member: 'b:1', until: 900 }, [undefined, '192.0.2.1'])
  const of = (now: number, ...clients: (string | undefined)[]) => members.memberOf('main', clients, now)
  t.same([of(0, romeo, '192.0.2.1'), of(0, undefined, '192.0.2.1'), of(599, romeo)], ['a:1', 'b:1', 'a:1'])
  t.same([of(600, romeo), of(600, romeo, '192.0.2.1'), of(900, undefined, '192.0.2.1')], [undefined, 'b:1', undefined])
  t.equal(members.memberOf('other', [romeo], 0), undefined)
  members.holds('main', { member: 'c:1', until: 2_000 }, [romeo])
  t.equal(of(1_000, romeo), 'c:1', 'the last one counts')
})

t.test('of too many the oldest is forgotten', async t => {
  const members = new SessionMembers()
  for (let i = 0; i <= 20_000; i++) members.holds('main', { member: 'a:1', until: 9 }, [`user${i}@im.example`])
  t.equal(members.memberOf('main', ['user0@im.example'], 0), undefined)
  t.equal(members.memberOf('main', ['user1@im.example'], 0), 'a:1')
})
