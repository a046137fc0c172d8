/**
 * Whatever a server sends in whatever order, with rule `subscription-needs-request` on: in the end the client's roster is the server's, each push is
 * answered by one of the two, once, and pushes keep their order. Without an unasked `subscribed` nothing is left out at all.
 */
import fc from 'fast-check'
import t from 'tap'
import { activeRules } from '../../src/rules/all-rules.ts'
import { BoundSession } from '../../src/session/bound.ts'
import { stanzaOf } from '../../src/stanza/stanza.ts'
import type { Side } from '../../src/stream/item.ts'
import { ns } from '../../src/stream/namespaces.ts'
import { child, type Element, element, elements } from '../../src/xml/element.ts'

const jid = 'romeo@im.example/orchard'
const contacts = ['a@far.example', 'b@far.example', 'new@far.example'] as const
const begin = { 'a@far.example': 'from', 'b@far.example': 'both' } as const
const subscriptions = ['none', 'to', 'from', 'both'] as const

type Event =
  | { readonly event: 'push'; readonly contact: string; readonly subscription: string }
  | { readonly event: 'presence'; readonly contact: string; readonly type: string | undefined }
  | { readonly event: 'told'; readonly contact: string; readonly isUndone: boolean }
  | { readonly event: 'roster' | 'resumption' }
  | { readonly event: 'wait'; readonly milliseconds: number }

const contact = fc.constantFrom(...contacts)
const events = (types: readonly (string | undefined)[]) =>
  fc.array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ event: fc.constant('push'), contact, subscription: fc.constantFrom(...subscriptions) }),
      },
      { weight: 4, arbitrary: fc.record({ event: fc.constant('presence'), contact, type: fc.constantFrom(...types) }) },
      fc.record({ event: fc.constant('wait'), milliseconds: fc.constantFrom(500, 1_000, 10_000) }),
      fc.record({ event: fc.constantFrom('roster', 'resumption') }),
      ...(types.includes('subscribed')
        ? [fc.record({ event: fc.constant('told'), contact, isUndone: fc.boolean() })]
        : []),
    ) as fc.Arbitrary<Event>,
    { minLength: 1, maxLength: 25 },
  )

/** A server and a client with a session between them. */
class World {
  readonly server = new Map<string, string>(Object.entries(begin))
  readonly client = new Map<string, string>()
  readonly pushed: string[] = []
  readonly shown: string[] = []
  readonly answered: string[] = []
  readonly presences = { sent: [] as string[], shown: [] as string[] }
  private readonly options = {
    rules: activeRules({ default: 'enforce', modes: new Map() }),
    trustedDomains: new Set<string>(),
    mayCompensate: () => ++this.taken % 3 !== 0,
    newStreamId: () => 'id',
  }
  private session = new BoundSession(this.options, 'im.example', jid)
  private taken = 0
  private ids = 0
  private now = 0
  private readonly output = {
    sendElement: (to: Side, whole: Element) => (to === 'client' ? this.show(whole) : this.hear(whole)),
    report: () => {},
    tell: () => {},
    fail: (condition: string) => {
      throw new Error(condition)
    },
  }

  take(event: Event): void {
    switch (event.event) {
      case 'push':
        return this.push(event.contact, event.subscription)
      case 'presence': {
        const id = `n${++this.ids}`
        if (event.type !== 'subscribed') this.presences.sent.push(id)
        return this.say(element('presence', ns.client, { id, from: event.contact, type: event.type }))
      }
      case 'told':
        return this.session.told(
          { news: 'unasked-grant', contact: event.contact, isUndone: event.isUndone },
          this.output,
        )
      case 'roster':
        return this.roster()
      case 'resumption': {
        this.session.joined({ snapshot: undefined, live: false }, this.output)
        return
      }
      case 'wait':
        this.session.until(this.now)
        this.now += event.milliseconds
        this.session.late(this.now, this.output)
    }
  }

  roster(): void {
    const id = `r${++this.ids}`
    const get = element('iq', ns.client, { type: 'get', id }, [element('query', ns.roster)])
    this.session.stanza('client', stanzaOf(get) as never, undefined, this.output)
    const items = [...this.server].map(([jid, subscription]) => element('item', ns.roster, { jid, subscription }))
    this.say(element('iq', ns.client, { type: 'result', id }, [element('query', ns.roster, {}, items)]))
  }

  private push(jid: string, subscription: string): void {
    const id = `p${++this.ids}`
    this.server.set(jid, subscription)
    this.pushed.push(id)
    const query = element('query', ns.roster, {}, [element('item', ns.roster, { jid, subscription })])
    this.say(element('iq', ns.client, { type: 'set', id }, [query]))
  }

  private say(whole: Element): void {
    this.session.stanza('upstream', stanzaOf(whole) as never, undefined, this.output)
  }

  private show(whole: Element): void {
    const id = whole.attrs.get('id') ?? ''
    if (whole.name === 'presence') return void this.presences.shown.push(id)
    const query = child(whole, 'query', ns.roster)
    if (whole.attrs.get('type') === 'set') this.shown.push(id)
    else this.client.clear()
    for (const { attrs } of query === undefined ? [] : elements(query))
      this.client.set(attrs.get('jid') ?? '', attrs.get('subscription') ?? '')
  }

  private hear({ name, attrs }: Element): void {
    if (name === 'iq' && attrs.get('type') === 'result') this.answered.push(attrs.get('id') ?? '')
  }
}

function played(list: readonly Event[]): World {
  const world = new World()
  world.roster()
  for (const event of list) world.take(event)
  for (let i = 0; i < 3; i++) world.take({ event: 'wait', milliseconds: 10_000 })
  return world
}

const runs = { numRuns: 20_000, seed: 20_261_128 }

t.test('with unasked approvals', async () => {
  fc.assert(
    fc.property(events([undefined, 'unavailable', 'subscribed', 'subscribed', 'unsubscribed']), list => {
      const { server, client, pushed, shown, answered } = played(list)
      const known = (roster: Map<string, string>) => contacts.map(each => roster.get(each) ?? 'none').join()
      if (known(server) !== known(client))
        throw new Error(`the client's roster is ${known(client)}, not ${known(server)}`)
      if (pushed.filter(id => shown.includes(id)).join() !== shown.join()) throw new Error(`the order is ${shown}`)
      const once = [...shown, ...answered].toSorted().join()
      if (once !== pushed.toSorted().join()) throw new Error(`shown: ${shown}; answered: ${answered}`)
    }),
    runs,
  )
})

t.test('without', async () => {
  fc.assert(
    fc.property(events([undefined, 'unavailable', 'subscribe', 'unsubscribe']), list => {
      const { pushed, shown, answered, presences } = played(list)
      if (pushed.join() !== shown.join() || answered.length > 0)
        throw new Error(`shown: ${shown}; answered: ${answered}`)
      if (presences.sent.toSorted().join() !== presences.shown.toSorted().join()) throw new Error(`${presences.shown}`)
    }),
    runs,
  )
})
