// What is not legitimate, from both sides, on every wire: stopped or passed as the rules say, and counted so. The same again with
// the rules observing, and with the rules off.
import t from 'tap'
import type { Mode } from '../../src/rules/mode.ts'
import { connectTcp, type RawClient } from '../clients/raw.ts'
import { type Counts, Gate, makeCertificate, makeProsody, type WireName, wires, writeRoster } from './gate.ts'

const modes = ['enforce', 'observe', 'off'] as const
const users = modes.flatMap(mode => wires.map(wire => `juliet${mode}${wire}`))
const certificate = await makeCertificate(t)
const prosody = await makeProsody(t, {
  accounts: Object.fromEntries([...users, 'romeo', 'friar', 'mallory'].map(user => [user, 'secret'])),
})

const roster = {
  'romeo@localhost': 'both',
  'friar@localhost': 'to',
  'nurse@localhost': 'from',
  'tybalt@localhost': 'none',
  'paris@localhost': 'none+ask',
  'mercutio@localhost': 'from+ask',
}

/** Written into the session: the element, and in `enforce` what comes of it: `-` nothing. */
const forgeries: readonly (readonly [type: string, from: string, enforced: 'passes' | 'stopped'])[] = [
  ['subscribed', 'stranger@evil.example', 'stopped'],
  ['subscribed', 'stranger@evil.example/full', 'stopped'],
  ['subscribed', 'romeo@localhost', 'stopped'],
  ['subscribed', 'ROMEO@LocalHost', 'stopped'],
  ['subscribed', 'friar@localhost', 'stopped'],
  ['subscribed', 'nurse@localhost', 'stopped'],
  ['subscribed', 'tybalt@localhost', 'stopped'],
  ['subscribed', 'localhost', 'stopped'],
  ['subscribed', 'paris@localhost', 'passes'],
  ['subscribed', 'paris@localhost', 'stopped'],
  ['unsubscribed', 'stranger@evil.example', 'stopped'],
  ['unsubscribed', 'nurse@localhost', 'stopped'],
  ['unsubscribed', 'tybalt@localhost', 'stopped'],
  ['unsubscribed', 'friar@localhost', 'passes'],
  ['unsubscribed', 'mercutio@localhost', 'passes'],
  // Pending requests are invisible to a client, so these cannot be told from true ones.
  ['subscribe', 'stranger@evil.example', 'passes'],
  ['unsubscribe', 'stranger@evil.example', 'passes'],
]

const pushes: readonly (readonly [from: string | undefined, enforced: 'passes' | 'stopped'])[] = [
  ['mallory@localhost/pda', 'stopped'],
  ['mallory@localhost', 'stopped'],
  ['romeo@localhost', 'stopped'],
  ['localhost', 'stopped'],
  ['OWN/full', 'stopped'],
  ['', 'stopped'],
  ['OWN', 'passes'],
  [undefined, 'passes'],
]

const gates: Gate[] = []
for (const mode of modes) {
  const gate = await Gate.start(t, certificate, prosody, { rules: { default: mode } })
  gates.push(gate)
  for (const wire of wires) t.test(`${mode}: ${wire}`, t => attack(t, gate, mode, wire))
}

t.test("another's address ends the stream where the operator wants it so", async t => {
  const gate = await Gate.start(t, certificate, prosody, { rules: { foreignFrom: 'close' } })
  const before = await gate.metrics()
  for (const wire of wires) {
    const friar = await gate.login(wire, 'friar', wire)
    friar.send(`<message xmlns='jabber:client' from='romeo@localhost' to='romeo@localhost'><body>x</body></message>`)
    t.match((await friar.toTheEnd()).map(inShort).join(), /^stream error invalid-from,close,gone/)
  }
  t.strictSame((await gate.metrics()).rulesSince(before), { 'from-is-bound-jid enforce close': wires.length })
})

t.test('one stanza, one count', async t => {
  const [enforcing, observing] = gates
  for (const [gate, mode] of [
    [enforcing, 'enforce'],
    [observing, 'observe'],
  ] as const) {
    const counts = await gate?.metrics()
    for (const rule of ['subscribed-needs-request', 'roster-push-from-account', 'presence-type']) {
      const decisions = counts?.sum('rule_decisions_total', { rule, mode }) ?? 0
      t.ok(decisions > 0)
      t.equal(counts?.sum('stanzas_total', { rule, mode }), decisions, `${mode}: ${rule}`)
    }
  }
})

type Test = Pick<typeof t, 'equal' | 'strictSame' | 'match' | 'notMatch' | 'ok'>

async function attack(t: Test, gate: Gate, mode: Mode, wire: WireName): Promise<void> {
  const user = `juliet${mode}${wire}`
  const bare = `${user}@localhost`
  await writeRoster(prosody, user, roster)
  const romeo = await gate.login('plain', 'romeo', `${mode}${wire}`)
  // Past the gate, which knows that he has asked nobody: what is sent in his name is written by the server.
  const mallory = await (await connectTcp(prosody.port)).login('mallory', 'pda')
  const juliet = await gate.login(wire, user, 'balcony')
  await juliet.roster() // and no presence: that would let the contacts' servers speak
  const counted = countedBy(gate)

  // Forged notifications. The gate's own view of the roster must not move with what it stopped.
  let passed: string[] = []
  let stopped: Record<string, number> = {}
  await counted(async () => {
    for (const [number, [type, from, enforced]] of forgeries.entries()) {
      const forged = `<presence from='${from}' to='${bare}' type='${type}' id='f${number}'/>`
      await prosody.inject(juliet.jid, forged)
      if (enforced === 'passes' || mode !== 'enforce')
        passed.push(`${type} ${mode === 'enforce' ? bareOf(from) : from}`)
      else stopped[`${type}-`] = (stopped[`${type}-`] ?? 0) + 1
    }
    t.strictSame((await juliet.settled()).map(inShort), passed)
  }).then((said): unknown => {
    if (mode === 'off') return t.strictSame(said, {})
    t.equal(said[`subscribed-needs-request ${mode} drop`], mode === 'enforce' ? stopped['subscribed-'] : 9)
    return t.equal(said[`unsubscribed-needs-subscription ${mode} drop`], stopped['unsubscribed-'] ?? 3)
  })

  // Forged pushes: of an item that would make the next forged approval right.
  passed = []
  stopped = {}
  const said = await counted(async () => {
    for (const [number, [spelled, enforced]] of pushes.entries()) {
      const from = spelled?.replace('OWN', bare)
      const item = `<item jid='victim${number}@localhost' subscription='none' ask='subscribe'/>`
      const sender = from === undefined ? '' : `from='${from}'`
      await prosody.inject(
        juliet.jid,
        `<iq type='set' id='p${number}' ${sender} to='${juliet.jid}'><query xmlns='jabber:iq:roster'>${item}</query></iq>`,
      )
      await prosody.inject(juliet.jid, `<presence from='victim${number}@localhost' to='${bare}' type='subscribed'/>`)
      if (enforced === 'stopped' && mode === 'enforce') continue
      passed.push(`push p${number}`, `subscribed victim${number}@localhost`)
    }
    t.strictSame((await juliet.settled()).map(inShort), passed)
  })
  const bad = pushes.filter(([, enforced]) => enforced === 'stopped').length
  if (mode === 'enforce') {
    t.equal(said['roster-push-from-account enforce reject'], bad)
    t.equal(said['subscribed-needs-request enforce drop'], bad)
    const refused = await mallory.withId('p0')
    t.match(`${refused.name} ${refused.attrs.get('type')} ${refused.attrs.get('from')}`, `iq error ${juliet.jid}`)
  } else if (mode === 'observe') t.equal(said['roster-push-from-account observe reject'], bad)
  else t.strictSame(said, {})

  await misbehave(t, mode, counted, juliet, romeo, bare)
}

/** What a client does wrong itself. */
async function misbehave(
  t: Test,
  mode: Mode,
  counted: (action: () => Promise<void>) => Promise<Record<string, number>>,
  juliet: RawClient,
  romeo: RawClient,
  bare: string,
): Promise<void> {
  const wrong = [
    `type='available'`,
    `type=''`,
    `type='Subscribe' to='romeo@localhost'`,
    `type=' subscribe ' to='romeo@localhost'`,
    `type='subscribe '  to='romeo@localhost'`,
    `type='toString'`,
  ]
  await counted(async () => {
    for (const [number, attributes] of wrong.entries())
      juliet.send(`<presence xmlns='jabber:client' ${attributes} id='w${number}'/>`)
    juliet.send(`<presence xmlns='jabber:client' id='two'><show>away</show><show>dnd</show></presence>`)
    const answers = await juliet.settled()
    if (mode === 'enforce')
      t.strictSame(answers.map(inShort), [
        ...wrong.map((_, number) => `error w${number} bad-request`),
        'error two bad-request',
      ])
  }).then((said): unknown => {
    if (mode === 'off') return t.strictSame(said, {})
    t.equal(said[`presence-type ${mode} reject`], wrong.length)
    return t.equal(said[`presence-children ${mode} reject`], 1)
  })

  // The contact sees bare addresses whatever the client wrote; a stale resource of its own is put right.
  await counted(async () => {
    juliet.send(
      `<presence xmlns='jabber:client' from='${bare}/old' to='romeo@localhost/full' type='subscribed' id='s1'/>`,
    )
    juliet.send(
      `<message xmlns='jabber:client' from='${bare.toUpperCase()}/old' to='${romeo.jid}' id='s2'><body>x</body></message>`,
    )
    juliet.send(`<presence xmlns='jabber:client' to='${romeo.jid}' id='s3'/>`)
    const got = await romeo.withId('s2')
    t.equal(got.attrs.get('from'), juliet.jid)
    t.equal((await romeo.withId('s3')).attrs.get('from'), juliet.jid, 'directed presence keeps its resource')
  }).then((said): unknown => {
    if (mode === 'off') return t.strictSame(said, {})
    t.equal(said[`from-is-bound-jid ${mode} forward`], 2)
    return t.equal(said[`subscription-bare-jids ${mode} forward`], 1)
  })

  // A client should not probe, and may.
  await counted(async () => {
    juliet.send(`<presence xmlns='jabber:client' to='romeo@localhost' type='probe'/>`)
    await juliet.settled()
  }).then(said => t.strictSame(said, {}))

  // Another's address is overridden: by the gate, or by the server's own check.
  const said = await counted(async () => {
    juliet.send(
      `<message xmlns='jabber:client' from='romeo@localhost' to='${romeo.jid}' id='foreign'><body>x</body></message>`,
    )
    t.equal((await romeo.withId('foreign')).attrs.get('from'), juliet.jid)
  })
  t.strictSame(said, mode === 'off' ? {} : { [`from-is-bound-jid ${mode} forward`]: 1 })
  for (const client of [juliet, romeo]) client.transport.destroy()
}

function countedBy(gate: Gate): (action: () => Promise<void>) => Promise<Record<string, number>> {
  return async action => {
    const before: Counts = await gate.metrics()
    await action()
    return (await gate.metrics()).rulesSince(before)
  }
}

function bareOf(jid: string): string {
  return jid.replace(/\/.*/, '')
}

/** `subscribed romeo@localhost`, `push p1`, `error w1 bad-request`. */
function inShort(line: string): string {
  const attribute = (name: string) => new RegExp(`[( ]${name}=([^ )]*)`).exec(line)?.[1] ?? ''
  if (line.startsWith('{http://etherx.jabber.org/streams}error')) return `stream error ${/\[([\w-]+)/.exec(line)?.[1]}`
  if (line.includes('{jabber:iq:roster}')) return `push ${attribute('id')}`
  if (attribute('type') === 'error')
    return `error ${attribute('id')} ${/\)\[([\w-]+)/.exec(line.slice(line.indexOf('[') + 1))?.[1]}`
  return line.startsWith('presence') ? `${attribute('type')} ${attribute('from')}` : line
}
