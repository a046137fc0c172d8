/**
 * What is counted of an account's subscriptions, however many resources hear of it and in whatever order: by tables, and against a model
 * of an honest server, which knows the state that no roster shows.
 */
import fc from 'fast-check'
import t from 'tap'
import { Accounts } from '../../src/account/accounts.ts'
import type { AccountNews } from '../../src/account/news.ts'
import { type Observed, RosterWatch } from '../../src/account/roster-watch.ts'
import type { Report } from '../../src/session/report.ts'
import { type Stanza, type SubscriptionType, stanzaOf, subscriptionTypes } from '../../src/stanza/stanza.ts'
import { ns } from '../../src/stream/namespaces.ts'
import { type Direction, isStep, next, type Subscription, type Visible, visible } from '../../src/subscription/state.ts'
import { type Element, element } from '../../src/xml/element.ts'

const romeo = 'romeo@im.example'
const contacts = ['juliet@im.example', 'nurse@im.example', 'Tybalt@elsewhere.example'] as const

/** One resource: its stream, and what it tells the account. */
class Resource {
  readonly watch = new RosterWatch(romeo)
  readonly world: World

  constructor(world: World) {
    this.world = world
    this.watch.joined(world.accounts.attach(romeo, this))
  }

  sends(stanza: Stanza): void {
    this.spread(this.watch.sent(stanza))
  }

  hears(stanza: Stanza): void {
    this.spread(this.watch.received(stanza))
  }

  /** Asks for the roster, and gets it. */
  fetches(items: readonly Element[]): void {
    this.sends(made('iq', { type: 'get', id: 'r' }, [element('query', ns.roster)]))
    this.hears(made('iq', { type: 'result', id: 'r' }, [element('query', ns.roster, {}, items)]))
  }

  spread({ news }: Observed): void {
    for (const each of news) this.world.spread(this.world.accounts.tell(this, each, this.world.time))
  }
}

class World {
  readonly accounts = new Accounts<Resource>(10)
  readonly resources: Resource[] = []
  readonly counted: string[] = []
  time = 1_000_000

  spread({ tell, reports }: { tell: readonly (readonly [Resource, AccountNews])[]; reports: readonly Report[] }): void {
    for (const report of reports)
      if (report.report === 'subscription')
        this.counted.push(report.seconds === undefined ? report.event : `${report.event} ${report.seconds}`)
    for (const [resource, news] of tell) resource.spread(resource.watch.told(news))
  }

  login(items: readonly Element[] | undefined): Resource {
    const resource = new Resource(this)
    this.resources.push(resource)
    if (items !== undefined) resource.fetches(items)
    return resource
  }

  logout(resource: Resource): void {
    this.resources.splice(this.resources.indexOf(resource), 1)
    this.spread(this.accounts.detach(resource))
  }
}

function made(name: string, attrs: Record<string, string | undefined>, children: readonly Element[] = []): Stanza {
  return stanzaOf(element(name, ns.client, attrs, children)) as Stanza
}

function itemOf(jid: string, state: Visible | 'removed', approved = false): Element {
  if (state === 'removed') return element('item', ns.roster, { jid, subscription: 'remove' })
  const { subscription, ask } = state
  return element('item', ns.roster, {
    jid,
    subscription,
    ask: ask ? 'subscribe' : undefined,
    approved: approved ? 'true' : undefined,
  })
}

function pushOf(item: Element): Stanza {
  return made('iq', { type: 'set', id: 'p' }, [element('query', ns.roster, {}, [item])])
}

/** `none`, `both`, `none?` with ask, `none+` with a pre-approval. */
function shown(jid: string, word: string): Element {
  if (word === 'removed') return itemOf(jid, 'removed')
  const [, subscription, mark] = /^(none|to|from|both)([?+]?)$/.exec(word) as unknown as [
    string,
    Visible['subscription'],
    string,
  ]
  return itemOf(jid, { subscription, ask: mark === '?' }, mark === '+')
}

/**
 * `login ITEM?`, `login blind` (asks for no roster), `logout` (the first resource), `> TYPE` and `> remove` (the last resource sends),
 * `< TYPE` and `[ITEM]` (every resource hears), `wait SECONDS`. All of one contact.
 */
function play(script: string): string[] {
  const [jid] = contacts
  const world = new World()
  for (const line of script.split(';').map(each => each.trim())) {
    const [word = '', rest = ''] = line.split(' ')
    const { resources } = world
    if (word === 'wait') world.time += Number(rest) * 1_000
    else if (word === 'login') world.login(rest === 'blind' ? undefined : rest === '' ? [] : [shown(jid, rest)])
    else if (word === 'logout') world.logout(resources[0] as Resource)
    else if (word === '>' && rest === 'remove')
      resources.at(-1)?.sends(made('iq', { type: 'set' }, [element('query', ns.roster, {}, [itemOf(jid, 'removed')])]))
    else if (word === '>') resources.at(-1)?.sends(made('presence', { type: rest, to: jid }))
    else {
      const heard =
        word === '<' ? made('presence', { type: rest, from: jid, to: romeo }) : pushOf(shown(jid, word.slice(1, -1)))
      for (const resource of [...resources]) resource.hears(heard)
    }
  }
  return world.counted
}

const rows: readonly (readonly [script: string, ...counted: string[]])[] = [
  // A request of the user's.
  ['login; > subscribe; [none?]; wait 90; < subscribed; [to]', 'request-out', 'approval-in 90'],
  ['login; > subscribe; [none?]; wait 90; [to]; < subscribed', 'request-out', 'approval-in 90'],
  ['login; > subscribe; [none?]; wait 5; [none]; < unsubscribed', 'request-out', 'denial-in 5'],
  ['login; > subscribe; [none?]; > subscribe; > subscribe; [to]', 'request-out', 'approval-in 0'],
  ['login; > subscribe; [to]; < subscribed', 'request-out', 'approval-in 0'], // pre-approved
  ['login to; > subscribe', ...[]], // an acknowledgement
  ['login; login; > subscribe; [none?]; < subscribed; [to]', 'request-out', 'approval-in 0'],
  ['login; > subscribe; [none?]; login none?; > subscribe; [to]', 'request-out', 'approval-in 0'],
  ['login none?; wait 7; [to]', 'approval-in 7'], // it was made before, or elsewhere
  ['login; [none?]; wait 7; [to]', 'approval-in 7'],
  ['login; [to]', ...[]], // nobody has asked
  ['login from; [both]', 'mutual'], // not an approval
  // What becomes of it while nobody looks.
  ['login; > subscribe; [none?]; logout; wait 100; login to', 'request-out', 'approval-in 100'],
  ['login; > subscribe; [none?]; logout; wait 100; login none', 'request-out', 'denial-in 100'],
  ['login; > subscribe; [none?]; logout; wait 100; login', 'request-out', 'denial-in 100'],
  ['login from; > subscribe; [from?]; logout; login both; login both', 'request-out', 'approval-in 0', 'mutual'],
  ['login; > subscribe; [none?]; logout; wait 9; login none?; wait 1; [to]', 'request-out', 'approval-in 10'],
  ['login; > subscribe; logout; login', 'request-out'], // whether it was answered cannot be known
  // Taking it back.
  ['login; > subscribe; [none?]; > unsubscribe; [none]', 'request-out', 'withdrawal-out'],
  ['login; > subscribe; [none?]; > remove; [removed]', 'request-out', 'withdrawal-out'],
  ['login to; > unsubscribe; [none]', 'withdrawal-out'],
  [
    'login to; > unsubscribe; > subscribe; [none]; [none?]; wait 3; [to]',
    'request-out',
    'withdrawal-out',
    'approval-in 3',
  ],
  ['login; > unsubscribe; > subscribe; [none?]; [none]', 'request-out', 'denial-in 0'], // there was nothing to take back
  ['login; > unsubscribe; > subscribe; [to]; [none]', 'request-out', 'approval-in 0', 'cancellation-in'],
  ['login to; [none]; < unsubscribed', 'cancellation-in'],
  ['login to; < unsubscribed; [none]', 'cancellation-in'],
  ['login both; < unsubscribed; [from]', 'cancellation-in'],
  ['login both; > remove; [removed]', 'withdrawal-out', 'cancellation-out'],
  ['login both; [removed]', 'withdrawal-out', 'cancellation-out'], // by another client, which does not use the gate
  // A request of the contact's.
  ['login; < subscribe; > subscribed; [from]', 'request-in', 'approval-out'],
  ['login; login; < subscribe; < subscribe; > subscribed; [from]', 'request-in', 'approval-out'],
  ['login; < subscribe; logout; login; < subscribe; > subscribed; [from]', 'request-in', 'approval-out'],
  ['login; < subscribe; > unsubscribed', 'request-in', 'denial-out'],
  ['login; < subscribe; > unsubscribed; < subscribe', 'request-in', 'denial-out', 'request-in'],
  ['login; < subscribe; < unsubscribe; < unsubscribe', 'request-in', 'withdrawal-in'],
  [
    'login; < subscribe; > unsubscribed; < subscribe; > subscribed; [from]; < unsubscribe; [none]',
    'request-in',
    'denial-out',
    'request-in',
    'approval-out',
    'withdrawal-in',
  ],
  ['login from; > unsubscribed; [none]', 'cancellation-out'],
  // Approved by another client, which does not use the gate.
  ['login; < subscribe; [from]; < unsubscribe; [none]', 'request-in', 'approval-out', 'withdrawal-in'],
  ['login from; < unsubscribe; [none]', 'withdrawal-in'],
  ['login from; [none]; < unsubscribe', 'withdrawal-in'],
  ['login to; < subscribe; > subscribed; [both]', 'request-in', 'approval-out', 'mutual'],
  // Ahead of the contact.
  ['login; > subscribed; [none+]; [none+]', 'pre-approval'],
  ['login; > subscribed; [none+]; [from]', 'pre-approval', 'approval-out'],
  ['login; < subscribe; > subscribed; [from+]', 'request-in', 'approval-out'],
  // A change that is none of these.
  ['login both; [both]; [both]', ...[]],
  // Without a roster there are no pushes: the answers themselves have to do.
  ['login blind; > subscribe; wait 4; < subscribed; < subscribed', 'request-out', 'approval-in 4'],
  ['login blind; login blind; > subscribe; wait 4; < unsubscribed', 'request-out', 'denial-in 4'],
  ['login blind; login; > subscribe; wait 4; < subscribed; [to]', 'request-out', 'approval-in 4'],
]

t.test('what counts as what', async t => {
  for (const [script, ...counted] of rows) t.same(play(script), counted, script)
})

t.test('a bound: of the oldest it is forgotten that they were counted', async t => {
  const world = new World()
  const resource = world.login([])
  const asks = (i: number) =>
    resource.hears(made('presence', { type: 'subscribe', from: `c${i}@im.example`, to: romeo }))
  for (let i = 0; i < 1_001; i++) asks(i)
  asks(1_000)
  t.equal(world.counted.length, 1_001)
  asks(0)
  t.equal(world.counted.length, 1_002)
})

t.test('a step of a visible state is what one stanza makes of it', async t => {
  const none = { subscription: 'none', ask: false } as const
  const rows: readonly (readonly [before: string, after: string, legal: boolean])[] = [
    ['none', 'none?', true],
    ['none?', 'to', true],
    ['from?', 'both', true],
    ['none', 'from', true],
    ['both', 'to', true],
    ['both', 'from', true],
    ['both', 'both?', true], // no request is shown where all is granted
    ['none', 'to', false],
    ['from', 'both', false],
    ['none', 'both', false],
    ['both', 'none', false],
    ['to', 'from', false],
    ['none?', 'from', false],
    ['to', 'none?', false],
  ]
  const read = (word: string) => ({ ...none, subscription: word.replace('?', ''), ask: word.endsWith('?') }) as Visible
  for (const [before, after, legal] of rows) t.equal(isStep(read(before), read(after)), legal, `${before} to ${after}`)
  for (const [before] of rows) t.ok(isStep(read(before), undefined), `${before} removed`)
})

/** An honest server, one account and its contacts; it counts by what nobody else can see. */
class Model {
  readonly world = new World()
  readonly wanted: string[] = []
  private readonly states = new Map<string, Subscription>(contacts.map(jid => [jid, { to: 'none', from: 'none' }]))
  /** Requests whose answer nobody has told the user yet, with their time. */
  private readonly open = new Map<string, number>()
  /** Contacts that ask, and of whom a client was told. */
  private readonly told = new Set<string>()

  login(): void {
    const { world } = this
    if (world.resources.length === 3) return
    const items = contacts.map(jid => shownOf(jid, this.stateOf(jid)))
    if (world.resources.length === 0) for (const jid of contacts) this.catchUp(jid)
    const resource = world.login(items)
    // RFC 6121 section 3.1.3: what waits is told at each login.
    for (const jid of contacts) if (this.stateOf(jid).from === 'pending') this.asks(jid, [resource])
  }

  logout(choice: number): void {
    const { resources } = this.world
    if (resources.length > 0) this.world.logout(resources[choice % resources.length] as Resource)
  }

  outbound(jid: string, type: SubscriptionType, choice: number): void {
    const { resources } = this.world
    const sender = resources[choice % resources.length]
    if (sender === undefined) return
    sender.sends(made('presence', { type, to: jid }))
    this.happens(jid, 'outbound', type, choice)
  }

  inbound(jid: string, type: SubscriptionType, choice: number): void {
    // What a contact takes back while nobody looks cannot be known: it would be counted as one request with the next.
    if (type === 'unsubscribe' && this.world.resources.length === 0) return
    this.happens(jid, 'inbound', type, choice)
  }

  remove(jid: string, choice: number): void {
    const { resources } = this.world
    const sender = resources[choice % resources.length]
    if (sender === undefined) return
    sender.sends(made('iq', { type: 'set' }, [element('query', ns.roster, {}, [itemOf(jid, 'removed')])]))
    const before = this.stateOf(jid)
    if (before.to !== 'none') this.wanted.push('withdrawal-out')
    if (before.from === 'active') this.wanted.push('cancellation-out')
    this.open.delete(jid)
    this.states.set(jid, { to: 'none', from: before.from === 'pending' ? 'pending' : 'none' })
    for (const resource of resources) resource.hears(pushOf(itemOf(jid, 'removed')))
  }

  private happens(jid: string, direction: Direction, type: SubscriptionType, choice: number): void {
    const before = this.stateOf(jid)
    const { state, passes } = next(before, direction, type)
    this.states.set(jid, state)
    const isSeen = this.world.resources.length > 0
    if (isSeen) this.want(jid, direction, type, before, state)
    if (before.from === 'pending' && state.from !== 'pending') this.told.delete(jid)
    if (direction === 'outbound' && type === 'subscribe' && before.to === 'none') this.open.set(jid, this.world.time)
    if (isSeen && state.to !== 'pending') this.open.delete(jid)
    const isPushed = JSON.stringify(visible(before)) !== JSON.stringify(visible(state))
    // Servers differ in what comes first, and each resource hears at its own time.
    for (const [i, resource] of [...this.world.resources].entries()) {
      const push = () => isPushed && resource.hears(pushOf(shownOf(jid, state)))
      const presence = () => {
        if (direction === 'outbound' || !passes) return
        if (type === 'subscribe') this.asks(jid, [resource])
        else resource.hears(made('presence', { type, from: jid, to: romeo }))
      }
      const isPushFirst = ((choice >> i) & 1) === 1
      for (const each of isPushFirst ? [push, presence] : [presence, push]) each()
    }
  }

  private want(
    jid: string,
    direction: Direction,
    type: SubscriptionType,
    before: Subscription,
    after: Subscription,
  ): void {
    const way = direction === 'outbound' ? 'out' : 'in'
    const asker = type === 'subscribe' || type === 'unsubscribe' ? direction === 'outbound' : direction === 'inbound'
    const half = asker ? 'to' : 'from'
    if (before[half] === after[half]) return
    const waited = half === 'to' && way === 'in' && before.to === 'pending' ? ` ${this.waited(jid)}` : ''
    if (type === 'subscribe' && way === 'out') this.wanted.push('request-out')
    if (type === 'subscribed') this.wanted.push(`approval-${way}${waited}`)
    if (type === 'unsubscribe') this.wanted.push(`withdrawal-${way}`)
    if (type === 'unsubscribed')
      this.wanted.push(`${before[half] === 'pending' ? 'denial' : 'cancellation'}-${way}${waited}`)
    if (type === 'subscribed' && after.to === 'active' && after.from === 'active') this.wanted.push('mutual')
  }

  private asks(jid: string, resources: readonly Resource[]): void {
    if (!this.told.has(jid)) this.wanted.push('request-in')
    this.told.add(jid)
    for (const resource of resources) resource.hears(made('presence', { type: 'subscribe', from: jid, to: romeo }))
  }

  /** The first login after a time without any: what was answered meanwhile. */
  private catchUp(jid: string): void {
    const state = this.stateOf(jid)
    if (!this.open.has(jid) || state.to === 'pending') return
    this.wanted.push(`${state.to === 'active' ? 'approval' : 'denial'}-in ${this.waited(jid)}`)
    if (state.to === 'active' && state.from === 'active') this.wanted.push('mutual')
    this.open.delete(jid)
  }

  private waited(jid: string): number {
    return (this.world.time - (this.open.get(jid) ?? 0)) / 1_000
  }

  private stateOf(jid: string): Subscription {
    return this.states.get(jid) as Subscription
  }
}

function shownOf(jid: string, state: Subscription): Element {
  return itemOf(jid, visible(state))
}

t.test('as an honest server would count, whatever happens', async t => {
  const steps = ['login', 'login', 'logout', 'wait', 'remove', ...subscriptionTypes, ...subscriptionTypes] as const
  const step = fc.tuple(fc.nat({ max: steps.length - 1 }), fc.nat({ max: 63 }), fc.constantFrom(...contacts))
  let counted = 0
  const kinds = new Set<string>()
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }), script => {
      const model = new Model()
      model.login()
      for (const [index, choice, jid] of script) {
        const word = steps[index] as (typeof steps)[number]
        if (word === 'login') model.login()
        else if (word === 'logout') model.logout(choice)
        else if (word === 'wait') model.world.time += choice * 1_000
        else if (word === 'remove') model.remove(jid, choice)
        else if (index < steps.length - subscriptionTypes.length) model.outbound(jid, word, choice)
        else model.inbound(jid, word, choice)
      }
      const [got, wanted] = [model.world.counted.toSorted(), model.wanted.toSorted()]
      if (JSON.stringify(got) !== JSON.stringify(wanted)) throw new Error(`counted ${got}\nnot ${wanted}`)
      counted += got.length
      for (const each of got) kinds.add(each.replace(/ .*/, ''))
    }),
    { seed: 6121, numRuns: 2_000 },
  )
  t.ok(counted > 10_000, `${counted} events`)
  t.equal(kinds.size, 11, 'of every kind but the pre-approval')
})
