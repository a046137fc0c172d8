// When unanswered requests are delivered again: after presence and roster, only where the server does not, and never what is answered, blocked or held.
import t from 'tap'
import { Accounts } from '../../src/account/accounts.ts'
import type { AccountNews } from '../../src/account/news.ts'
import { Quarantine, type RequestLimits } from '../../src/account/quarantine.ts'
import { accountsNeeded, RedeliveringServers } from '../../src/account/redelivering-servers.ts'
import { activeRules } from '../../src/rules/all-rules.ts'
import type { Mode } from '../../src/rules/mode.ts'
import { BoundSession } from '../../src/session/bound.ts'
import { deliveredWithin } from '../../src/session/redelivery.ts'
import type { Report } from '../../src/session/report.ts'
import { StanzaCounts } from '../../src/session/stanza-counts.ts'
import { stanzaOf } from '../../src/stanza/stanza.ts'
import type { Side } from '../../src/stream/item.ts'
import { ns } from '../../src/stream/namespaces.ts'
import { type Element, element } from '../../src/xml/element.ts'

const presence = (attrs: Record<string, string> = {}, children: Element[] = []) =>
  element('presence', ns.client, attrs, children)
const iq = (attrs: Record<string, string>, children: Element[] = []) => element('iq', ns.client, attrs, children)
const priority = (value: string) => [element('priority', ns.client, {}, [value])]
const asks = (from: string) => presence({ type: 'subscribe', from })

interface Options {
  readonly mode?: Mode
  readonly limits?: RequestLimits
}

/** A gate before a server, with a clock. */
class World {
  now = 1_000_000
  readonly servers = new RedeliveringServers()
  readonly accounts = new Accounts<Client>(100)
  readonly reports: Report[] = []
  readonly options
  private ids = 0

  constructor({ mode = 'enforce', limits }: Options = {}) {
    const { servers, accounts } = this
    this.options = {
      rules: activeRules({ default: 'enforce', modes: new Map([['redeliver-requests', mode]]) }),
      trustedDomains: new Set<string>(),
      newStreamId: () => `${++this.ids}`,
      quarantine: limits && new Quarantine(limits, () => this.now),
      redeliveries: {
        servers,
        now: () => this.now,
        unanswered: (account: string) => accounts.unanswered(account, this.now),
      },
    }
  }

  /** A session that has asked for its roster and appeared. Gives it with what it was sent. */
  login(name: string): Client {
    const client = new Client(this, `${name}@im.example/${++this.ids}`)
    client.begin()
    return client
  }

  /** The user has got these requests and logged out. */
  asked(name: string, ...contacts: string[]): void {
    const client = this.login(name)
    client.pong()
    for (const contact of contacts) client.server(asks(contact))
    client.logout()
    this.now += 5
  }

  /** The server was watched at so many accounts, and has delivered nothing. */
  learnt(accounts = accountsNeeded): void {
    for (let at = 0; at < accounts; at++) {
      this.asked(`witness${at}`, `paris${++this.ids}@im.example`)
      const client = this.login(`witness${at}`)
      client.pong()
      this.now += deliveredWithin
      client.client(presence({}))
      client.logout()
    }
  }

  get outcomes(): string[] {
    return this.reports.flatMap(report => (report.report === 'redelivery' ? [report.outcome] : []))
  }
}

class Client {
  readonly world: World
  session: BoundSession
  private readonly sent: string[] = []
  private pingId: string | undefined

  constructor(world: World, jid: string) {
    this.world = world
    this.session = new BoundSession(world.options, 'im.example', jid)
    this.session.joined(world.accounts.attach(this.session.bare, this), this)
  }

  begin(): void {
    this.roster()
    this.client(presence())
  }

  roster(): void {
    this.client(iq({ type: 'get', id: 'r' }, [element('query', ns.roster)]))
    this.server(iq({ type: 'result', id: 'r' }, [element('query', ns.roster)]))
  }

  client(whole: Element): void {
    this.give('client', whole)
  }

  server(whole: Element): void {
    this.give('upstream', whole)
  }

  /** The server answers the gate's ping, if there is one. */
  pong(): void {
    if (this.pingId !== undefined) this.server(iq({ type: 'result', id: this.pingId }))
    this.pingId = undefined
  }

  logout(): void {
    this.world.accounts.detach(this)
  }

  /** What was sent since the last time, without the client's own presence and roster. */
  got(): string[] {
    return this.sent.splice(0).filter(line => !/^(upstream presence |(upstream|client) iq (get|result) r)$/.test(line))
  }

  sendElement(to: Side, { name, attrs }: Element): void {
    const isPing = to === 'upstream' && attrs.get('id')?.startsWith('stanzagate-') === true
    if (isPing) this.pingId = attrs.get('id')
    const id = isPing ? 'ping' : attrs.get('id')
    const words = [to, name, attrs.get('type') ?? '', id, attrs.get('from')]
    this.sent.push(words.filter(word => word !== undefined).join(' '))
  }

  report(report: Report): void {
    this.world.reports.push(report)
  }

  tell(_account: string, news: AccountNews): void {
    this.world.accounts.tell(this, news, this.world.now)
  }

  fail(condition: string): void {
    this.sent.push(`fails: ${condition}`)
  }

  private give(from: Side, whole: Element): void {
    const stanza = stanzaOf(whole)
    if (stanza !== undefined) this.session.stanza(from, stanza, undefined, this)
  }
}

const again = (...contacts: string[]) => contacts.map(contact => `client presence subscribe ${contact}`)
const ping = ['upstream iq get ping']

t.test('a server that does not deliver them again is found out, and then the gate does', async t => {
  const world = new World()
  world.asked('romeo', 'paris@im.example')
  for (let at = 0; at < accountsNeeded - 1; at++) {
    world.learnt(1 + at)
    t.equal(world.servers.of('im.example'), 'unknown', 'of one account more than once says nothing more')
  }
  const romeo = world.login('romeo')
  t.same(romeo.got(), ping)
  romeo.pong()
  t.same(romeo.got(), [], 'its answer is hidden, and the server has a minute')
  world.now += deliveredWithin - 1
  romeo.client(presence())
  t.same(romeo.got(), [])
  world.now++
  romeo.server(presence({ from: 'juliet@im.example/balcony' }))
  t.same(romeo.got(), ['client presence  juliet@im.example/balcony', ...again('paris@im.example')])
  world.now += deliveredWithin
  romeo.client(presence())
  t.same(romeo.got(), [], 'once in a session')
  t.same(world.outcomes, ['delivered'])
  romeo.logout()

  // From now on at once, and at each login until it is answered.
  for (let login = 0; login < 2; login++) {
    const next = world.login('romeo')
    t.same(next.got(), ping)
    next.pong()
    t.same(next.got(), again('paris@im.example'))
    next.logout()
    world.now += 5
  }
  const other = world.login('romeo')
  const last = world.login('romeo')
  other.client(presence({ type: 'unsubscribed', to: 'paris@im.example' }))
  last.got()
  last.pong()
  t.same(last.got(), [], 'another session has answered meanwhile')
})

t.test('a server that does deliver them is found out at the first', async t => {
  for (const when of ['before the ping', 'before its answer', 'within a minute']) {
    const world = new World()
    world.asked('romeo', 'paris@im.example')
    const romeo = new Client(world, 'romeo@im.example/x')
    romeo.client(presence())
    if (when === 'before the ping') romeo.server(asks('Paris@im.example'))
    romeo.roster()
    if (when === 'before its answer') romeo.server(asks('paris@im.example'))
    romeo.pong()
    if (when === 'within a minute') romeo.server(asks('paris@im.example'))
    t.equal(world.servers.of('im.example'), 'does', when)
    world.now += deliveredWithin
    romeo.client(presence())
    const came = again(when === 'before the ping' ? 'Paris@im.example' : 'paris@im.example')
    t.same(romeo.got(), when === 'before the ping' ? came : [...ping, ...came])
    romeo.logout()
    t.same(world.login('romeo').got(), [], 'nothing more is asked')
    world.learnt()
    t.equal(world.servers.of('im.example'), 'does', 'and that stays')
  }
})

t.test('a server that begins to deliver them is left alone', async t => {
  const world = new World()
  world.learnt()
  world.asked('romeo', 'paris@im.example', 'tybalt@im.example')
  const romeo = world.login('romeo')
  romeo.server(asks('paris@im.example'))
  romeo.pong()
  t.same(romeo.got(), [...ping, ...again('paris@im.example')], 'the other one was withdrawn')
  t.equal(world.servers.of('im.example'), 'does')
})

t.test('another domain is another server', async t => {
  const servers = new RedeliveringServers()
  for (const account of ['a', 'b', 'c']) servers.missed('one.example', account)
  t.equal(servers.of('one.example'), 'does-not')
  t.equal(servers.of('other.example'), 'unknown')
  servers.came('one.example')
  servers.missed('one.example', 'd')
  t.equal(servers.of('one.example'), 'does')
  for (let at = 0; at < 1_000; at++) servers.came(`d${at}.example`)
  t.equal(servers.of('one.example'), 'unknown', 'a bound')
})

t.test('who gets none', async t => {
  const world = new World()
  world.learnt()
  world.asked('romeo', 'paris@im.example')
  const begins: Readonly<Record<string, (client: Client) => void>> = {
    'no roster': client => client.client(presence()),
    'no presence': client => client.roster(),
    'a roster get that fails': client => {
      client.client(iq({ type: 'get', id: 'r' }, [element('query', ns.roster)]))
      client.client(presence())
      client.server(iq({ type: 'error', id: 'r' }, [element('error', ns.client, { type: 'cancel' })]))
    },
    'negative priority': client => {
      client.roster()
      client.client(presence({}, priority('-1')))
      client.client(presence({}, priority('1')))
    },
    'directed presence': client => {
      client.roster()
      client.client(presence({ to: 'room@rooms.example/romeo' }))
    },
    'gone before the roster came': client => {
      client.client(presence())
      client.client(presence({ type: 'unavailable' }))
      client.roster()
    },
    'no request': client => {
      client.logout()
      const nurse = world.login('nurse')
      t.same(nurse.got(), [])
    },
  }
  for (const [name, begin] of Object.entries(begins)) {
    const client = new Client(world, 'romeo@im.example/x')
    begin(client)
    client.pong()
    const got = client.got().filter(line => line.includes('subscribe') || line.includes('ping'))
    t.same(got, [], name)
    client.logout()
  }
  const gone = world.login('romeo')
  gone.client(presence({ type: 'unavailable' }))
  t.same(gone.got(), [...ping, 'upstream presence unavailable'])
  gone.pong()
  t.same(gone.got(), [], 'gone before the answer')
  const good = world.login('romeo')
  good.pong()
  t.same(good.got(), [...ping, ...again('paris@im.example')], 'all others do')
})

t.test('what is blocked, granted or removed is not delivered again', async t => {
  const block = (jid: string) =>
    iq({ type: 'set', id: 'b' }, [element('block', ns.blocking, {}, [element('item', ns.blocking, { jid })])])
  const ends: readonly (readonly [(client: Client) => void, number])[] = [
    [client => client.client(block('Paris@im.example')), 1],
    [client => client.client(block('im.example')), 1],
    [client => client.client(block('far.example')), 1],
    [client => client.client(block('paris@im.example/phone')), 2],
    [client => client.client(iq({ type: 'set', id: 'b' }, [element('unblock', ns.blocking)])), 2],
    [
      client => {
        const item = element('item', ns.roster, { jid: 'paris@im.example', subscription: 'from' })
        client.server(iq({ type: 'set', id: 'p' }, [element('query', ns.roster, {}, [item])]))
      },
      1,
    ],
    [
      client => {
        const item = element('item', ns.roster, { jid: 'paris@im.example', subscription: 'remove' })
        client.client(iq({ type: 'set', id: 's' }, [element('query', ns.roster, {}, [item])]))
      },
      1,
    ],
  ]
  for (const [end, left] of ends) {
    const world = new World()
    world.learnt()
    world.asked('romeo', 'paris@im.example', 'bot@far.example')
    const romeo = world.login('romeo')
    end(romeo)
    romeo.got()
    romeo.pong()
    t.equal(romeo.got().length, left, `${end}`)
  }
})

t.test('the flood shield holds them as it would hold the server', async t => {
  const world = new World({ limits: { perLogin: 2, perDay: 50 } })
  world.learnt()
  world.asked('romeo', 'a@far.example', 'b@far.example')
  world.now += 1
  const first = world.login('romeo')
  first.pong()
  t.same(first.got(), [...ping, ...again('a@far.example', 'b@far.example')])
  first.server(asks('c@far.example'))
  t.same(first.got(), [])
  first.logout()
  world.now += 5
  // Room is kept for the one that is held from before.
  const second = world.login('romeo')
  second.pong()
  t.same(second.got(), [...ping, ...again('a@far.example')])
  const held = [...(world.options.quarantine?.heldFor('romeo@im.example') ?? [])].map(({ contact }) => contact)
  t.same(held, ['c@far.example', 'b@far.example'])
  second.logout()

  // One for a login.
  const narrow = new World({ limits: { perLogin: 1, perDay: 50 } })
  narrow.learnt()
  const known = narrow.accounts.attach('nurse@im.example', undefined as never)
  t.equal(known.live, false)
  for (const contact of ['a@far.example', 'b@far.example'])
    narrow.accounts.tell(
      undefined as never,
      { news: 'subscription', direction: 'inbound', type: 'subscribe', contact },
      narrow.now,
    )
  narrow.now += 5
  const nurse = narrow.login('nurse')
  nurse.pong()
  t.same(nurse.got(), [...ping, ...again('a@far.example')])
  t.same(narrow.outcomes.slice(-2), ['delivered', 'held'])
  nurse.client(presence({ type: 'unsubscribed', to: 'a@far.example' }))
  t.same(
    nurse.got(),
    ['upstream presence unsubscribed nurse@im.example', ...again('b@far.example')],
    'and it is released',
  )
})

t.test('observe delivers nothing and counts; off does nothing at all', async t => {
  const world = new World({ mode: 'observe' })
  world.learnt()
  world.asked('romeo', 'paris@im.example')
  const romeo = world.login('romeo')
  romeo.pong()
  t.same(romeo.got(), ping)
  t.same(world.outcomes.at(-1), 'observed')
  const off = new World({ mode: 'off' })
  off.asked('romeo', 'paris@im.example')
  t.same(off.login('romeo').got(), [])
  t.equal(off.login('romeo').session.record, undefined)
})

t.test('stream management counts them, and another process goes on', async t => {
  for (const when of ['before the answer', 'within the minute']) {
    const world = new World()
    world.learnt(accountsNeeded - 1)
    world.asked('romeo', 'paris@im.example')
    const romeo = new Client(world, 'romeo@im.example/x')
    romeo.session.counts = new StanzaCounts(ns.sm3)
    romeo.session.counts.enabled()
    romeo.begin()
    t.same(romeo.got(), ping)
    const hand = () => {
      const record = JSON.parse(JSON.stringify(romeo.session.record))
      romeo.session = BoundSession.restored(world.options, record) as BoundSession
      t.same(JSON.parse(JSON.stringify(romeo.session.record)), record)
    }
    if (when === 'before the answer') hand()
    romeo.pong()
    if (when === 'within the minute') hand()
    world.now += deliveredWithin
    romeo.server(presence({ from: 'juliet@im.example/balcony' }))
    t.same(romeo.got(), ['client presence  juliet@im.example/balcony', ...again('paris@im.example')], when)
    const ask = element('resume', ns.sm3, { previd: 'x', h: '3' })
    // Roster, pong, presence of the server; roster, presence, request of the client.
    t.equal(romeo.session.counts?.resumption(ask)?.attrs.get('h'), '3')
    // Roster, presence and ping of the gate; the client has sent two.
    const told = romeo.session.counts?.acknowledgement('upstream', element('a', ns.sm3, { h: '3' }))
    t.equal(told?.attrs.get('h'), '2')
    hand()
    world.now += deliveredWithin
    romeo.client(presence())
    t.same(romeo.got(), [])
  }
  const damaged = { phase: 'soon', rosterId: null, hasRoster: true, appearedAt: 1, pingId: null, answeredAt: 0 }
  const world = new World()
  const romeo = new Client(world, 'romeo@im.example/x')
  romeo.session.counts = new StanzaCounts(ns.sm3)
  romeo.session.counts.enabled()
  const record = JSON.parse(JSON.stringify(romeo.session.record))
  t.throws(() => BoundSession.restored(world.options, { ...record, redelivery: damaged }))
  // The rule was off when the session began: the server may have delivered them by now.
  world.learnt()
  world.asked('romeo', 'paris@im.example')
  romeo.session = BoundSession.restored(world.options, { ...record, redelivery: null }) as BoundSession
  romeo.begin()
  romeo.pong()
  t.same(romeo.got(), [])
})
