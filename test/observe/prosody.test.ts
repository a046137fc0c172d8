// What two clients did with a real Prosody behind the gate, as Prometheus gets to see it; weeks pass in no time.
import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { auth } from '../clients/raw.ts'
import { Gate, makeCertificate, makeProsody } from '../e2e/gate.ts'

let time = Date.UTC(2026, 0, 1)
const day = 86_400
const certificate = await makeCertificate(t)
const users = ['romeo', 'juliet', 'nurse', 'hermit']
const prosody = await makeProsody(t, { accounts: Object.fromEntries(users.map(user => [user, 'secret'])) })
const gate = await Gate.start(t, certificate, prosody, { senses: { time: () => time } })

const presence = (type: string, to: string) => `<presence xmlns='jabber:client' type='${type}' to='${to}@localhost'/>`

t.test('who asked, who approved, who refused, and how long it took', async t => {
  const romeo = await gate.login('direct', 'romeo', 'orchard')
  const second = await gate.login('ws', 'romeo', 'street')
  const juliet = await gate.login('starttls', 'juliet', 'balcony')
  const nurse = await gate.login('plain', 'nurse', 'chamber')
  const all = [romeo, second, juliet, nurse]
  for (const client of all) await client.appear()
  const settle = async () => {
    // What one has done reaches the others before the answer to what they ask after it.
    for (const client of [...all, ...all]) await client.settled()
  }
  const before = await gate.metrics()
  const since = async () => {
    const after = await gate.metrics()
    const counted: Record<string, number> = {}
    for (const [, event = ''] of after.text.matchAll(/_subscription_events_total\{event="([\w-]+)"/g)) {
      const count =
        after.sum('subscription_events_total', { event }) - before.sum('subscription_events_total', { event })
      if (count !== 0) counted[event] = count
    }
    return { after, counted }
  }

  romeo.send(presence('subscribe', 'juliet'))
  await settle()
  t.same((await since()).counted, { 'request-out': 1, 'request-in': 1 }, 'two resources, one request')
  time += 2 * day * 1_000
  juliet.send(presence('subscribed', 'romeo') + presence('subscribe', 'romeo'))
  await settle()
  time += 30_000
  second.send(presence('subscribed', 'juliet'))
  await settle()
  t.same((await since()).counted, {
    'request-out': 2,
    'request-in': 2,
    'approval-out': 2,
    'approval-in': 2,
    mutual: 2, // both accounts are behind this gate
  })
  romeo.send(presence('subscribe', 'nurse'))
  await settle()
  time += 7 * day * 1_000
  nurse.send(presence('unsubscribed', 'romeo'))
  await settle()
  juliet.send(presence('unsubscribed', 'romeo'))
  await settle()
  // There is nothing to take back; and Prosody keeps a pre-approval, but its pushes do not show it.
  romeo.send(presence('unsubscribe', 'nurse') + presence('subscribed', 'hermit'))
  await settle()
  const { after, counted } = await since()
  t.same(counted, {
    'request-out': 3,
    'request-in': 3,
    'approval-out': 2,
    'approval-in': 2,
    'denial-out': 1,
    'denial-in': 1,
    'cancellation-out': 1,
    'cancellation-in': 1,
    mutual: 2,
  })
  const decided = (outcome: string, le: number | '+Inf') =>
    after.sum('subscription_decision_seconds_bucket', { outcome, le: String(le) })
  t.same(
    [60, day, 3 * day, '+Inf' as const].map(le => decided('approved', le)),
    [1, 1, 2, 2],
  )
  t.same(
    [3 * day, 7 * day, '+Inf' as const].map(le => decided('denied', le)),
    [0, 1, 1],
  )
  t.equal(after.sum('subscription_decision_seconds_sum', { outcome: 'approved' }), 2 * day + 30)
  t.equal(after.sum('subscription_illegal_transitions_total'), 0, 'Prosody does as it should')
  t.equal(after.sum('subscription_undecided_total'), 0)
  // Two approvals, of which one has two resources; a denial and a cancellation for both resources.
  t.ok(after.sum('subscription_decided_total', { type: 'subscribed' }) >= 3)

  for (const [tls, wire, count] of [
    ['TLSv1.3', 'tcp', 2],
    ['none', 'websocket', 1],
    ['none', 'tcp', 1],
  ] as const)
    t.equal(after.sum('client_streams', { tls, wire, phase: 'bound' }), count, `${wire} ${tls}`)
  for (const client of all) {
    client.send(client.endTag)
    await client.toTheEnd()
  }
  const end = await gate.counted('their ends', counts => counts.sum('streams_active', { side: 'client' }) === 0)
  t.equal(end.sum('client_streams'), 0)
})

t.test('what the gate received and did not send is what it stopped, but for its answers', async t => {
  const romeo = await gate.login('plain', 'romeo', 'orchard')
  await romeo.appear()
  const before = await gate.metrics()
  romeo.send(`<presence xmlns='jabber:client' type='bogus' id='b'/>`)
  await prosody.inject(romeo.jid, `<presence from='stranger@evil.example' type='subscribed'/>`)
  await romeo.settled()
  const after = await gate.metrics()
  const more = (name: string, labels: Record<string, string>) => after.sum(name, labels) - before.sum(name, labels)
  const rows = [
    ['stanzas_received_total', { from: 'client', kind: 'presence' }, 1],
    ['stanzas_sent_total', { to: 'upstream', kind: 'presence' }, 0],
    ['stanzas_received_total', { from: 'upstream', kind: 'presence' }, 1],
    ['stanzas_sent_total', { to: 'client', kind: 'presence' }, 1], // the answer to the bogus one
    ['stanzas_total', { verdict: 'reject' }, 1],
    ['stanzas_total', { verdict: 'drop' }, 1],
    ['subscription_decided_total', { type: 'subscribed' }, 1],
  ] as const
  for (const [name, labels, count] of rows) t.equal(more(name, labels), count, `${name} ${JSON.stringify(labels)}`)
  for (const kind of ['message', 'presence', 'iq']) {
    const counted = (from: string, to: string) =>
      after.sum('stanzas_received_total', { from, kind }) - after.sum('stanzas_sent_total', { to, kind })
    const stopped = ['reject', 'drop', 'close']
    const all = (from: string) =>
      stopped.reduce((sum, verdict) => sum + after.sum('stanzas_total', { from, verdict, kind }), 0)
    const answered = (from: string) => after.sum('stanzas_total', { from, verdict: 'reject', kind })
    t.equal(counted('client', 'upstream'), all('client') - answered('upstream'), kind)
    t.equal(counted('upstream', 'client'), all('upstream') - answered('client'), kind)
  }

  const admin = `http://127.0.0.1:${gate.proxy.admin?.port}`
  const offenders = (await (await fetch(`${admin}/api/offenders`)).json()) as Record<string, unknown>[]
  t.same(offenders.map(({ kind, key, count, rule }) => `${kind} ${key} ${count} ${rule}`).toSorted(), [
    'account romeo@localhost 1 presence-type',
    'address 127.0.0.1 1 presence-type',
    'contact stranger@evil.example 1 subscribed-needs-request',
  ])
  const open = await fetch(`${admin}/metrics`, { headers: { accept: 'application/openmetrics-text;version=1.0.0' } })
  t.match(
    await open.text(),
    /rule="presence-type",verdict="reject".*\} 1 # \{decision_id="[0-9a-z]{16}"\} 1 \d+(\.\d+)?$/m,
  )
  romeo.send(romeo.endTag)
  await romeo.toTheEnd()
})

t.test('who did not get in', async t => {
  const before = await gate.metrics()
  const stranger = await gate.connect('plain')
  await stranger.opened()
  stranger.send(auth('romeo', 'wrong'))
  await stranger.named('failure')
  for (const listener of ['direct', 'wss'] as const) {
    const plain = connect({ port: gate.port(listener), host: '127.0.0.1' })
    plain.end('no TLS\r\n').resume()
    await once(plain, 'close')
  }
  const counts = await gate.counted(
    'all three',
    counts => counts.sum('negotiation_failures_total') === before.sum('negotiation_failures_total') + 3,
  )
  const failed = (stage: string, condition: string, listener: string) =>
    counts.sum('negotiation_failures_total', { stage, condition, listener })
  t.equal(failed('sasl', 'not-authorized', 'plain'), 1)
  t.equal(failed('tls', 'handshake', 'direct'), 1)
  t.equal(failed('tls', 'handshake', 'wss'), 1)
  stranger.transport.destroy()
})
