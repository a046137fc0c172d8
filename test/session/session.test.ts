import t from 'tap'
import { bound, boundWithRoster, play, wires } from '../playbook.ts'

for (const wire of wires) {
  t.test(`${wire}: a login`, async t => play(t, wire, bound(wire)))

  t.test(`${wire}: 'subscribed' is delivered only to one who asked`, async t =>
    play(
      t,
      wire,
      `${boundWithRoster(wire)}
      upstream: <presence from='juliet@im.example' type='subscribed'/>
      -> judged drop by subscribed-needs-request
      client: <presence xmlns='jabber:client' to='juliet@im.example' type='subscribe'/>
      -> judged forward by subscription-bare-jids
      -> tell asked juliet@im.example
      -> upstream: <presence to="juliet@im.example" type="subscribe" from="romeo@im.example"/>
      upstream: <presence from='juliet@im.example' type='subscribed'/>
      -> judged forward by none
      -> client ~ type="subscribed"
      upstream: <presence from='juliet@im.example' type='subscribed'/>
      -> judged drop by subscribed-needs-request`,
    ),
  )
}
