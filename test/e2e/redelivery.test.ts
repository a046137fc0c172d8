/**
 * Unanswered requests at each login, with the rule `redeliver-requests`: real servers deliver them, and nobody gets one twice; a Prosody that is made to
 * deliver each once is found out, and the gate does it in its place.
 */
import t, { type Test } from 'tap'
import { countStanzas } from '../clients/count-stanzas.ts'
import { auth, type RawClient } from '../clients/raw.ts'
import { type Component, startComponent } from '../servers/component.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { startProsody } from '../servers/prosody.ts'
import { Gate, makeCertificate } from './gate.ts'

const certificate = await makeCertificate(t)
const users = ['romeo', 'juliet', 'nurse', 'friar', 'paris']
const options = {
  plain: true,
  componentSecret: 'mellon',
  accounts: Object.fromEntries(users.map(user => [user, 'secret'])),
}
const rules = { modes: new Map([['redeliver-requests', 'enforce']] as const) }
const minute = 60_000

function asked(lines: readonly string[]): string[] {
  return lines.flatMap(line => /^presence\(from=([^ ]+) .*\btype=subscribe\b/.exec(line)?.[1] ?? [])
}

const appears = `<presence xmlns='jabber:client'/>`
const asksRoster = `<iq xmlns='jabber:client' type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>`
/** In what order a client begins. */
const beginnings: Readonly<Record<string, readonly string[]>> = {
  'roster, then presence': [asksRoster, appears],
  'presence, then roster': [appears, asksRoster],
  'no roster': [appears],
}

/** The gate sends its ping when the roster has come, perhaps behind the client's first one. */
async function settled(client: RawClient): Promise<string[]> {
  return [...(await client.settled()), ...(await client.settled())]
}

class Stage {
  readonly gate: Gate
  readonly clock: { now: number }
  private readonly component: Component
  private count = 0

  constructor(gate: Gate, clock: { now: number }, component: Component) {
    this.gate = gate
    this.clock = clock
    this.component = component
  }

  /** A stranger has asked each of these, and the server has taken it. */
  async ask(stranger: string, asks: readonly string[]): Promise<void> {
    const from = `${stranger}@stranger.localhost`
    for (const user of asks) this.component.send(`<presence from='${from}' to='${user}@localhost' type='subscribe'/>`)
    const id = `taken${++this.count}`
    this.component.send(`<iq type='get' id='${id}' from='${from}' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>`)
    await this.component.until('the answer', new RegExp(`<iq [^>]*id=['"]${id}['"]`))
  }

  async login(user: string): Promise<RawClient> {
    this.clock.now += 1_000
    return this.gate.login('direct', user, `x${++this.count}`)
  }

  async begin(client: RawClient, beginning: readonly string[]): Promise<string[]> {
    for (const line of beginning) client.send(line)
    const first = await settled(client)
    // The gate may wait for a minute, and then for the next stanza.
    this.clock.now += minute + 1
    client.send(appears)
    return asked([...first, ...(await settled(client))])
  }

  async logout(client: RawClient): Promise<void> {
    client.send(client.endTag)
    await client.toTheEnd()
  }

  async redelivered(outcome = 'delivered'): Promise<number> {
    return (await this.gate.metrics()).sum('redeliveries_total', { outcome })
  }
}

async function stageOf(t: Test, start: typeof startProsody | typeof startEjabberd, modules: string[] = []) {
  const server = await start({ ...options, ...(modules.length > 0 && { modules }) })
  t.teardown(() => server.stop())
  const component = await startComponent(server.ports.component ?? 0, 'mellon')
  t.teardown(() => component.stop())
  const clock = { now: Date.UTC(2026, 10, 28) }
  const gate = await Gate.start(t, certificate, server, { rules, senses: { time: () => clock.now } })
  return new Stage(gate, clock, component)
}

for (const [name, start] of Object.entries({ Prosody: startProsody, ejabberd: startEjabberd }))
  t.test(`${name} delivers each request again by itself, and the gate none`, async t => {
    const stage = await stageOf(t, start)
    const strangers = ['bot1', 'bot2', 'bot3']
    const all = new Set(strangers.map(stranger => `${stranger}@stranger.localhost`))
    for (const stranger of strangers) await stage.ask(stranger, users)
    // At first the gate has seen none of them, then all.
    for (const [how, beginning] of Object.entries(beginnings))
      for (let round = 0; round < 2; round++)
        for (const user of users) {
          const client = await stage.login(user)
          const got = await stage.begin(client, beginning)
          t.same([got.length, new Set(got)], [all.size, all], `${how}: ${user}, each once`)
          await stage.logout(client)
        }
    // Two resources, the second while the first is there.
    const [one, other] = [await stage.login('romeo'), await stage.login('romeo')]
    const [roster = [], presence = []] = Object.values(beginnings)
    t.equal((await stage.begin(one, roster)).length, all.size)
    t.equal((await stage.begin(other, presence)).length, all.size)
    // On ejabberd a resource of negative priority gets none, on Prosody all: as without the gate.
    const low = await stage.login('juliet')
    low.send(asksRoster)
    low.send(`<presence xmlns='jabber:client'><priority>-1</priority></presence>`)
    t.equal(asked(await low.settled()).length, name === 'Prosody' ? all.size : 0)
    // What is answered comes no more.
    one.send(`<presence xmlns='jabber:client' to='bot1@stranger.localhost' type='unsubscribed'/>`)
    await one.settled()
    const last = await stage.login('romeo')
    t.equal((await stage.begin(last, roster)).length, all.size - 1)
    for (const outcome of ['delivered', 'held', 'observed']) t.equal(await stage.redelivered(outcome), 0, outcome)
    t.equal((await stage.gate.metrics()).sum('session_faults_total'), 0)
    for (const client of [one, other, low, last]) client.transport.destroy()
  })

t.test('where the server delivers each once', async t => {
  const stage = await stageOf(t, startProsody, ['stanzagate_once'])
  const [roster = [], presence = [], blind = []] = Object.values(beginnings)
  // They are there when they are asked.
  const clients = new Map<string, RawClient>()
  for (const user of users) {
    const client = await stage.login(user)
    await client.appear()
    clients.set(user, client)
  }
  await stage.ask('bot', users)
  for (const [user, client] of clients) {
    const got = await client.element('the request', found => found.attrs.get('type') === 'subscribe')
    t.equal(got.attrs.get('from'), 'bot@stranger.localhost', user)
    await stage.logout(client)
  }

  // The gate waits at three accounts; at the third it is sure.
  for (const [index, user] of users.slice(0, 3).entries()) {
    const client = await stage.login(user)
    const got = await stage.begin(client, index === 1 ? presence : roster)
    t.same(got, index === 2 ? ['bot@stranger.localhost'] : [], user)
    await stage.logout(client)
  }
  t.equal(await stage.redelivered(), 1)

  // From now on the request comes at once, behind the roster, at each login.
  for (const beginning of [roster, presence]) {
    const client = await stage.login('friar')
    for (const line of beginning) client.send(line)
    const lines = await settled(client)
    t.same(asked(lines), ['bot@stranger.localhost'])
    const at = (part: string) => lines.findIndex(line => line.includes(part))
    t.ok(at('jabber:iq:roster') < at('type=subscribe'), 'behind the roster')
    t.same(
      lines.filter(line => line.includes('stanzagate')),
      [],
      "nothing of the gate's own is seen",
    )
    await stage.logout(client)
  }
  const unseeing = await stage.login('friar')
  t.same(await stage.begin(unseeing, blind), [], 'a client that asks for no roster gets none')
  await stage.logout(unseeing)

  // Stream management: what the gate has added is counted, and sent again when it was not acknowledged.
  const romeo = await stage.login('romeo')
  romeo.send(`<enable xmlns='urn:xmpp:sm:3' resume='true'/>`)
  const previd = (await romeo.named('enabled')).attrs.get('id')
  const got = countStanzas(romeo)
  for (const line of roster) romeo.send(line)
  t.same(asked(await settled(romeo)), ['bot@stranger.localhost'])
  const h = got()
  romeo.transport.destroy()
  await stage.gate.counted('the loss', after => after.sum('streams_closed_total', { cause: 'client-lost' }) > 0)
  const again = await stage.gate.connect('ws')
  await again.opened()
  again.send(auth('romeo'))
  await again.named('success')
  await again.opened()
  // Without the last two: the request and the answer to the ping behind it.
  again.send(`<resume xmlns='urn:xmpp:sm:3' previd='${previd}' h='${h - 2}'/>`)
  t.equal((await again.named('resumed')).attrs.get('h'), '4', 'its roster get, its presence and its two pings')
  t.same(asked(await again.settled()), ['bot@stranger.localhost'])
  again.send(`<a xmlns='urn:xmpp:sm:3' h='${h + 1}'/>`)
  t.same(asked(await again.settled()), [])

  // The answer is taken by the server, and the request comes no more.
  again.send(`<presence xmlns='jabber:client' to='bot@stranger.localhost' type='subscribed'/>`)
  const push = await again.element('the push', found => found.name === 'iq' && found.attrs.get('type') === 'set')
  t.match(JSON.stringify([...push.children]), 'query')
  const later = await stage.login('romeo')
  t.same(await stage.begin(later, roster), [])
  const counts = await stage.gate.metrics()
  t.equal(counts.sum('rule_decisions_total', { rule: 'redeliver-requests', verdict: 'forward' }), 4)
  t.equal(counts.sum('redeliveries_total'), 4)
  t.equal(counts.sum('session_faults_total'), 0)
  for (const client of [again, later]) client.transport.destroy()
})
