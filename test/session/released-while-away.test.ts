/** Requests that the operator has released while a session was suspended are shown behind the next stanza after its resumption. */
import t from 'tap'
import { Quarantine } from '../../src/account/quarantine.ts'
import { PendingRequests } from '../../src/session/pending-requests.ts'
import type { BoundOutput } from '../../src/session/resumable-session.ts'
import { StrangerRequests } from '../../src/session/stranger-requests.ts'
import { type Stanza, stanzaOf } from '../../src/stanza/stanza.ts'
import { element } from '../../src/xml/element.ts'

const romeo = 'romeo@im.example'
const stanza = (kind: string, attrs: Readonly<Record<string, string>> = {}) =>
  stanzaOf(element(kind, 'jabber:client', attrs)) as Stanza

t.test('a release while the session was away', t => {
  const quarantine = new Quarantine({ perLogin: 1, perDay: 9 }, () => 1_000)
  const pending = new PendingRequests(quarantine, romeo, { isNoStranger: () => false, hasContactAt: () => false })
  const shown: (string | undefined)[] = []
  const output: BoundOutput = { sendElement() {}, report() {}, tell() {}, fail() {} }
  const requests = new StrangerRequests(pending, 'im.example', `${romeo}/orchard`, {
    say() {},
    show: ({ from }) => shown.push(from),
    judge: each => ({ verdict: { verdict: 'forward', stanza: each }, decisions: [] }),
  })
  requests.passed('client', stanza('presence'), output)
  for (const from of ['a@x', 'b@x', 'c@x']) {
    const request = stanza('presence', { type: 'subscribe', from })
    if (pending.isHeld(from, request)) pending.hold(request)
    else requests.passed('upstream', request, output)
  }
  quarantine.decide(romeo, 'c@x', 'release')
  requests.passed('upstream', stanza('message', { from: 'juliet@im.example' }), output)
  t.same(shown, [], 'nobody has told this session')
  requests.joined()
  t.same(shown, [], 'what is owed comes first')
  for (let i = 0; i < 2; i++) requests.passed('upstream', stanza('message', { from: 'juliet@im.example' }), output)
  t.same(shown, ['c@x'])
  t.end()
})
