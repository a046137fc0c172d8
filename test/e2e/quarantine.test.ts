/**
 * The operator releases and denies requests that are held, on real servers: at once for a session that is there, across a restart for one that comes
 * later, and at another gate with the same Redis.
 */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { StoreConfig } from '../../src/config/types.ts'
import { patience } from '../clients/within.ts'
import { startComponent } from '../servers/component.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { startProsody } from '../servers/prosody.ts'
import { RedisServer } from '../servers/redis.ts'
import { Gate, makeCertificate } from './gate.ts'

const certificate = await makeCertificate(t)
const secret = 'mellon'
const options = { plain: true, componentSecret: secret, accounts: { romeo: 'secret', juliet: 'secret' } }
const [prosody, ejabberd, redis] = await Promise.all([
  startProsody(options),
  startEjabberd(options),
  RedisServer.start(),
])
t.teardown(() => Promise.all([prosody.stop(), ejabberd.stop(), redis.stop()]))

const token = 'a-token-for-the-operator'
const limits = { pendingRequests: { perLogin: 2, perDay: 50 } }
const bots = Array.from({ length: 20 }, (_, i) => `bot${i}@stranger.localhost`)

type Server = typeof prosody | typeof ejabberd

function gateFor(t: Test, server: Server, store: StoreConfig): Promise<Gate> {
  return Gate.start(t, certificate, server, { limits, store, admin: { token, write: true } })
}

interface Held {
  readonly contact: string
  readonly since: string
  readonly text: string | null
}

/** What an operator does with curl. */
class Operator {
  private readonly url: string
  private readonly headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }

  constructor({ proxy }: Gate) {
    this.url = `http://127.0.0.1:${proxy.admin?.port}/api`
  }

  async account(jid: string): Promise<{ quarantine: Held[]; denied: { contact: string }[] }> {
    return (await fetch(`${this.url}/accounts/${jid}`, { headers: this.headers })).json() as never
  }

  async total(query: string): Promise<number> {
    const answer = await fetch(`${this.url}/quarantine?${query}`, { headers: this.headers })
    return ((await answer.json()) as { total: number }).total
  }

  async decide(decision: 'release' | 'deny', account: string, contact: string): Promise<number> {
    const body = JSON.stringify({ account, contact })
    const answer = await fetch(`${this.url}/quarantine/${decision}`, { method: 'POST', headers: this.headers, body })
    return ((await answer.json()) as { requests: number }).requests
  }

  /** Asks again until so many are held. */
  async holds(jid: string, count: number): Promise<Held[]> {
    const until = performance.now() + patience
    for (;;) {
      const { quarantine = [] } = await this.account(jid)
      if (quarantine.length === count) return quarantine
      if (performance.now() > until) throw new Error(`${quarantine.length} are held, not ${count}`)
    }
  }
}

const asked = (lines: readonly string[]) =>
  lines.flatMap(line => /^presence\(from=([^ ]+) .*\btype=subscribe\b/.exec(line)?.[1] ?? [])

for (const [name, server] of Object.entries({ Prosody: prosody, ejabberd })) {
  t.test(`${name}: at once, and after a restart`, async t => {
    const store = { at: { path: join(t.testdir(), 'store') }, days: 90 }
    const component = await startComponent(server.ports.component ?? 0, secret)
    t.teardown(() => component.stop())
    const first = await gateFor(t, server, store)
    const operator = new Operator(first)
    let romeo = await first.login('starttls', 'romeo', 'orchard')
    await romeo.appear()
    component.send(
      bots
        .map(bot => `<presence from='${bot}' to='romeo@localhost' type='subscribe'><status>Hi!</status></presence>`)
        .join(''),
    )
    const [released, other] = (await operator.holds('romeo@localhost', 18)).map(({ contact }) => contact).slice(-2)
    if (released === undefined || other === undefined) throw new Error('nothing is held')
    const shown = asked(await romeo.settled())
    t.equal(shown.length, 2)

    t.equal(await operator.decide('release', 'Romeo@localhost', released), 1)
    t.same(asked(await romeo.settled()), [released], 'what is released is there at once')
    const denied = bots.slice(0, 10).filter(bot => ![...shown, released, other].includes(bot))
    t.equal(await operator.decide('deny', '*@localhost', 'bot?@stranger.localhost'.replace('?', '*')), 17)
    t.equal(await operator.total('account=romeo@localhost'), 0)
    t.equal((await operator.account('romeo@localhost')).denied.length, 17)
    for (const bot of bots.filter(bot => ![...shown, released, ...denied].includes(bot)))
      t.equal(await operator.decide('release', 'romeo@localhost', bot), 1)
    t.same(asked(await romeo.settled()), [], 'what was forgotten comes again from the server')
    romeo.send(romeo.endTag)
    await romeo.toTheEnd()
    await first.proxy.stop()

    const second = await gateFor(t, server, store)
    const later = new Operator(second)
    const known = await later.account('romeo@localhost')
    t.same(new Set(known.denied.map(({ contact }) => contact)), new Set(denied), 'what was denied is known')
    romeo = await second.login('ws', 'romeo', 'orchard')
    await romeo.roster()
    romeo.send(`<presence xmlns='jabber:client'/>`)
    await second.counted(
      'all denied requests',
      counts => counts.sum('rule_decisions_total', { rule: 'pending-requests' }) >= denied.length,
    )
    const wanted = bots.filter(bot => !denied.includes(bot))
    const got = new Set(asked(await romeo.settled()))
    t.same(
      wanted.filter(bot => !shown.includes(bot) && !got.has(bot)),
      [],
      'all that were released are shown, beyond the limit',
    )
    t.same(
      denied.filter(bot => got.has(bot)),
      [],
    )
    t.equal(await later.total(''), wanted.length - got.size)
    const counts = await first.metrics().catch(() => undefined)
    t.equal(counts, undefined, 'the first gate is gone')
    for (const bot of bots) romeo.send(`<presence xmlns='jabber:client' to='${bot}' type='unsubscribed'/>`)
    await romeo.settled()
    romeo.send(romeo.endTag)
    await romeo.toTheEnd()
  })

  t.test(`${name}: at another gate with the same Redis`, async t => {
    const store = { at: { redis: redis.url.replace(/0$/, server === prosody ? '1' : '2') }, days: 90 }
    const component = await startComponent(server.ports.component ?? 0, secret)
    t.teardown(() => component.stop())
    const [here, there] = [await gateFor(t, server, store), await gateFor(t, server, store)]
    const juliet = await here.login('direct', 'juliet', 'balcony')
    await juliet.appear()
    component.send(
      bots
        .slice(0, 4)
        .map(bot => `<presence from='${bot}' to='juliet@localhost' type='subscribe'/>`)
        .join(''),
    )
    await new Operator(here).holds('juliet@localhost', 2)
    const operator = new Operator(there)
    const [held] = await operator.holds('juliet@localhost', 2)
    await juliet.settled()
    t.equal(await operator.decide('release', 'juliet@localhost', held?.contact ?? ''), 1)
    const request = await juliet.element('the request', ({ attrs }) => attrs.get('from') === held?.contact)
    t.equal(request.attrs.get('type'), 'subscribe')
    await operator.holds('juliet@localhost', 1)
    t.equal(await operator.decide('deny', 'juliet@localhost', '*'), 1)
    await new Operator(here).holds('juliet@localhost', 0)
    for (const bot of bots.slice(0, 4)) juliet.send(`<presence xmlns='jabber:client' to='${bot}' type='unsubscribed'/>`)
    await juliet.settled()
    juliet.send(juliet.endTag)
    await juliet.toTheEnd()
  })
}
