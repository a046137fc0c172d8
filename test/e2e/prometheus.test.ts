// A real Prometheus scrapes the gate while real traffic goes through it: what was sent is what it counts, every panel of every dashboard
// shows something, and the alerts that should fire do, and no others.
import { join } from 'node:path'
import t from 'tap'
import { dashboards } from '../../dashboards/build/all.ts'
import { auth, type RawClient } from '../clients/raw.ts'
import { filled, recordingRules, ruleFiles } from '../dashboards/files.ts'
import { startPrometheus } from '../servers/prometheus.ts'
import { Gate, makeCertificate, makeProsody } from './gate.ts'

/** Panels that rightly show nothing here, each with its reason. */
const empty: Readonly<Record<string, string>> = {
  'health: Requests of strangers by class': 'nobody has limited what strangers may ask',
  'abuse: Connections refused for their PROXY header': 'no listener of this gate expects one',
}

const users = ['romeo', 'juliet', 'mallory', 'friar']
const prosody = await makeProsody(t, { accounts: Object.fromEntries(users.map(user => [user, 'secret'])) })
const gate = await Gate.start(t, await makeCertificate(t), prosody, {
  rules: { modes: new Map([['presence-children', 'observe']]), foreignFrom: 'close' },
  store: { at: { path: join(t.testdir(), 'store') }, days: 90 },
})
const prometheus = await startPrometheus({
  targets: [gate.proxy.admin?.port ?? 0],
  rules: ruleFiles,
  every: 250,
})
t.teardown(() => prometheus.stop())
// `increase` sees differences: the first scrape comes before the traffic.
await prometheus.until('stanzagate_session_faults_total', samples => samples.length === 1)

/** What was sent, as a sum over the series of a metric. */
const sent: readonly (readonly [expr: string, number: number])[] = [
  ['stanzagate_stanzas_total{type="subscribe",from="client"}', 4],
  ['stanzagate_stanzas_total{type="subscribe",from="upstream"}', 3],
  ['stanzagate_stanzas_total{type="subscribed",from="client"}', 2],
  ['stanzagate_stanzas_total{type="subscribed",from="upstream",verdict="forward"}', 3],
  ['stanzagate_stanzas_total{type="subscribed",from="upstream",verdict="drop"}', 5],
  ['stanzagate_rule_decisions_total{rule="subscribed-needs-request",verdict="drop"}', 5],
  ['stanzagate_rule_decisions_total{rule="unsubscribed-needs-subscription",verdict="drop"}', 2],
  ['stanzagate_rule_decisions_total{rule="roster-push-from-account",verdict="reject"}', 3],
  ['stanzagate_rule_decisions_total{rule="presence-type",verdict="reject",mode="enforce"}', 4],
  ['stanzagate_rule_decisions_total{rule="presence-children",verdict="reject",mode="observe"}', 1],
  ['stanzagate_subscription_events_total{event="request-out"}', 4],
  ['stanzagate_subscription_events_total{event="approval-in"}', 2],
  ['stanzagate_subscription_events_total{event="denial-in"}', 1],
  ['stanzagate_subscription_decision_seconds_count{outcome="approved"}', 2],
  ['stanzagate_subscription_decision_seconds_count{outcome="denied"}', 1],
  ['stanzagate_subscription_undecided_total{type="subscribed"}', 1],
  ['stanzagate_subscription_illegal_transitions_total', 1],
  ['stanzagate_subscription_requests_failed_total', 1],
  ['stanzagate_negotiation_failures_total{stage="sasl",condition="not-authorized"}', 4],
  ['stanzagate_stream_resumptions_total{outcome="unknown"}', 2],
  ['stanzagate_stream_errors_total{condition="invalid-from",by="gate"}', 1],
  ['stanzagate_sessions_opened_total', 4],
  ['stanzagate_sessions_closed_total', 1],
  ['stanzagate_sessions_active', 3],
  ['stanzagate_session_faults_total', 0],
]

await t.test('what was sent is what Prometheus counts', async t => {
  const juliet = await gate.login('starttls', 'juliet', 'balcony')
  const romeo = await gate.login('wss', 'romeo', 'orchard')
  const mallory = await gate.login('direct', 'mallory', 'pda')
  for (const one of [juliet, romeo, mallory]) await one.appear()
  const friar = await gate.login('ws', 'friar', 'cell') // who never asks for his roster
  await befriend(romeo, juliet)
  await befriend(juliet, romeo)
  await refuse(juliet, mallory)
  juliet.send(presence('subscribe', 'nobody@stanzagate.invalid'))
  await juliet.element('the error', found => found.attrs.get('type') === 'error')
  await forge(juliet, friar)
  await misbehave(juliet, mallory)
  await knock()
  // A resumption's series begins with the first: `rate` sees the second, of a later scrape.
  await prometheus.until('stanzagate_stream_resumptions_total', samples => samples[0]?.value === 1)
  await knock()
  // What the clients have seen is counted; the last end, which they see only from outside, is waited for.
  await gate.counted('the end of the session', counts => counts.sum('sessions_closed_total') === 1)
  for (const [expr, number] of sent) {
    const [sample] = await prometheus
      .until(`sum(${expr})`, samples => samples[0]?.value === number)
      .catch(() => prometheus.query(`sum(${expr})`))
    t.equal(sample?.value, number, expr)
  }
  // Asked only now, when all of the above was in: nothing was counted twice meanwhile.
  for (const [expr, number] of sent)
    t.equal((await prometheus.query(`sum(${expr})`))[0]?.value, number, `${expr} still`)
  const scraped = await prometheus.query('sum(stanzagate_stanzas_received_total) - sum(stanzagate_stanzas_total)')
  t.equal(scraped[0]?.value, 0, 'what was received was judged, once')
})

await t.test('every panel shows something', async t => {
  await t.test('what the recording rules give is there', async t => {
    for (const { record } of recordingRules())
      t.ok((await prometheus.until(`{__name__="${record}"}`, samples => samples.length > 0)).length > 0, record)
  })
  for (const { name, rows } of dashboards)
    for (const { title, queries } of Object.values(rows).flat())
      for (const expr of Object.values(queries)) {
        const samples = await prometheus.query(filled(expr))
        const reason = empty[`${name}: ${title}`]
        if (reason === undefined) t.ok(samples.length > 0, `${name}: ${title}: ${expr}`)
        else t.strictSame(samples, [], `${name}: ${title}: ${reason}`)
        for (const { value } of samples) t.ok(Number.isFinite(value), `${name}: ${title}: a number`)
      }
})

await t.test('rules are in good health, and what should fire does', async t => {
  const wanted = [
    'StanzagateForgedApprovals subscribed-needs-request',
    'StanzagateForgedApprovals unsubscribed-needs-subscription',
    'StanzagateForgedStanzas roster-push-from-account',
    'StanzagateIllegalTransitions main',
    'StanzagateObservedRuleWouldAct presence-children',
  ]
  await prometheus.until('ALERTS{alertstate="firing"}', samples => samples.length >= wanted.length)
  const rules = await prometheus.rules()
  t.ok(rules.length > 40)
  t.strictSame(
    rules.filter(rule => rule.health !== 'ok'),
    [],
  )
  const firing = (await prometheus.alerts()).filter(alert => alert.state === 'firing')
  t.strictSame(
    firing.map(({ labels }) => `${labels.alertname} ${labels.rule ?? labels.upstream}`).toSorted(),
    wanted,
    'these and no others',
  )
  const { annotations } = firing.find(({ labels }) => labels.rule === 'subscribed-needs-request') ?? {}
  t.match(
    annotations?.description,
    /^[5-9] in 15 minutes at 127\.0\.0\.1:\d+ for localhost, dropped by subscribed-needs-request\.$/,
  )
  for (const { labels, annotations } of firing)
    t.notMatch(Object.values(annotations).join(' '), /no value|%!|\{\{/, `${labels.alertname}: the words are filled in`)
})

function presence(type: string, to: string): string {
  return `<presence xmlns='jabber:client' to='${to}' type='${type}'/>`
}

function bareOf({ jid }: RawClient): string {
  return jid.replace(/\/.*/, '')
}

function heard(client: RawClient, type: string, from: string): Promise<unknown> {
  const isIt = (name: string, attrs: ReadonlyMap<string, string>) =>
    name === 'presence' && attrs.get('type') === type && attrs.get('from') === from
  return client.element(`${type} from ${from}`, ({ name, attrs }) => isIt(name, attrs))
}

/** One asks, the other approves. */
async function befriend(one: RawClient, other: RawClient): Promise<void> {
  one.send(presence('subscribe', bareOf(other)))
  await heard(other, 'subscribe', bareOf(one))
  other.send(presence('subscribed', bareOf(one)))
  await heard(one, 'subscribed', bareOf(other))
}

async function refuse(one: RawClient, other: RawClient): Promise<void> {
  one.send(presence('subscribe', bareOf(other)))
  await heard(other, 'subscribe', bareOf(one))
  other.send(presence('unsubscribed', bareOf(one)))
  await heard(one, 'unsubscribed', bareOf(other))
}

/** What nobody asked for, and what the server should not do. */
async function forge(victim: RawClient, stranger: RawClient): Promise<void> {
  const to = bareOf(victim)
  for (const number of [1, 2, 3, 4, 5])
    await prosody.inject(victim.jid, `<presence from='stranger${number}@evil.example' to='${to}' type='subscribed'/>`)
  for (const number of [1, 2])
    await prosody.inject(victim.jid, `<presence from='stranger${number}@evil.example' to='${to}' type='unsubscribed'/>`)
  const push = (id: string, from: string, subscription: string) =>
    prosody.inject(
      victim.jid,
      `<iq type='set' id='${id}' from='${from}' to='${victim.jid}'><query xmlns='jabber:iq:roster'><item jid='benvolio@localhost' subscription='${subscription}'/></query></iq>`,
    )
  for (const number of [1, 2, 3]) await push(`forged${number}`, 'mallory@localhost', 'both')
  await push('none', to, 'none')
  await push('leap', to, 'both') // as no single stanza does
  await victim.settled()
  await prosody.inject(stranger.jid, `<presence from='romeo@localhost' to='${bareOf(stranger)}' type='subscribed'/>`)
  await stranger.settled()
}

async function misbehave(juliet: RawClient, mallory: RawClient): Promise<void> {
  for (const type of ['bogus', 'Subscribe', '', 'available'])
    juliet.send(`<presence xmlns='jabber:client' type='${type}'/>`)
  juliet.send(`<presence xmlns='jabber:client'><show>away</show><show>dnd</show></presence>`)
  await juliet.settled()
  mallory.send(`<message xmlns='jabber:client' from='romeo@localhost' to='${juliet.jid}'><body>x</body></message>`)
  await mallory.toTheEnd()
}

/** Logins that fail, and a stream that nobody knows. */
async function knock(): Promise<void> {
  const client = await gate.connect('plain')
  await client.opened()
  for (const _ of [1, 2]) {
    client.send(auth('romeo', 'wrong'))
    await client.named('failure')
  }
  client.send(auth('romeo'))
  await client.named('success')
  await client.opened()
  client.send(`<resume xmlns='urn:xmpp:sm:3' previd='nobody' h='0'/>`)
  await client.named('failed')
}
