/** Approvals of contacts that see the user already (rule `outbound-requests`): which are known to change nothing, and which may be an answer. */
import t from 'tap'
import { bound, boundWithRoster, play, type Stage, wires } from '../playbook.ts'

const item = (jid: string, subscription: string, more = '') =>
  `<item jid='${jid}' subscription='${subscription}'${more}/>`
const items = [
  item('from@far.example', 'from'),
  item('asked@far.example', 'from', ` ask='subscribe'`),
  item('both@far.example', 'both'),
  item('to@far.example', 'to'),
  item('none@far.example', 'none'),
  item('strasse@far.example', 'both'),
].join('')
const approves = (to: string) => `
    client: <presence type='subscribed' to='${to}'/>`
const isLeftOut = (to: string) => `${approves(to)}
    -> judged drop by outbound-requests`
const passes = (to: string) => `${approves(to)}
    -> judged forward by none
    -> upstream ~ type="subscribed"`
const comes = (from: string, type: string) => `
    upstream: <presence type='${type}' from='${from}'/>
    -> judged forward by none
    -> client ~ type="${type}"`
const says = (to: string, type: string) => `
    client: <presence type='${type}' to='${to}'/>
    -> judged forward by none
    -> upstream ~ type="${type}"`
const isPushed = (jid: string, subscription: string, moved = '') => `
    upstream: <iq type='set' id='p'><query xmlns='jabber:iq:roster'>${item(jid, subscription)}</query></iq>
    -> judged forward by none
    -> tell push ${jid}
    ${moved === '' ? '' : `-> transition ${moved}`}
    -> client ~ id="p"`

const on: Stage = { requests: 10, trustedDomains: ['gateway.example'] }

for (const wire of wires) {
  const book = (name: string, script: string, stage = on) =>
    t.test(`${wire}: ${name}`, async t => play(t, wire, script, stage))
  const roster = boundWithRoster(wire, items)

  book(
    'From, From with a request, Both: nothing would change. Anything else may be right',
    `${roster}
    ${isLeftOut('from@far.example')}
    ${isLeftOut('From@FAR.example')}
    ${isLeftOut('asked@far.example')}
    ${isLeftOut('both@far.example')}
    ${passes('to@far.example')}
    ${passes('none@far.example')}
    ${passes('absent@far.example')}
    ${passes('straße@far.example')}
    ${says('from@far.example', 'unsubscribed')}
    ${says('both@far.example', 'unsubscribed')}
    ${says('none@far.example', 'unsubscribed')}`,
  )
  book('without the limit all pass', `${roster}${passes('from@far.example')}${passes('both@far.example')}`, {})
  book('where nothing is known all pass', `${bound(wire)}${passes('from@far.example')}`)
  book(
    'trusted domains',
    `${boundWithRoster(wire, item('icq@gateway.example', 'both'))}${passes('icq@gateway.example')}`,
  )
  for (const type of ['subscribe', 'unsubscribe'])
    book(
      `after the contact's ${type} it may be an answer, until a push shows the contact`,
      `${roster}
    ${comes('both@far.example', type)}
    ${passes('both@far.example')}
    ${passes('both@far.example')}
    ${isLeftOut('from@far.example')}
    ${isPushed('both@far.example', 'both')}
    ${isLeftOut('both@far.example')}`,
    )
  book(
    'after a push that takes it away, and after one that grants it again',
    `${roster}
    ${isPushed('both@far.example', 'to', 'both to to')}
    ${comes('both@far.example', 'unsubscribe')}
    ${passes('both@far.example')}
    ${isPushed('both@far.example', 'both', 'to to both')}
    ${isLeftOut('both@far.example')}`,
  )
  book(
    "after the user's own unsubscribed",
    `${roster}
    ${says('both@far.example', 'unsubscribed')}
    ${passes('both@far.example')}`,
  )
  book(
    'after a removal',
    `${roster}
    client: <iq type='set' id='s'><query xmlns='jabber:iq:roster'>${item('both@far.example', 'remove')}</query></iq>
    -> judged forward by none
    -> tell gave-up both@far.example
    -> upstream ~ id="s"
    ${passes('both@far.example')}`,
  )
}
