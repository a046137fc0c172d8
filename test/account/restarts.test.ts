/**
 * Two users, with up to two resources each, on one server that follows the tables (`next`), behind one gate that is restarted at any
 * step. The server pushes before the presence, or after it. What the tables deliver is never refused. A forged notification, which they
 * refuse, is never accepted where the resource has seen its roster. Every sequence of a few steps is played, and longer random ones.
 */
import t from 'tap'
import { accountOf, wholeRecordOf } from '../../src/account/account-record.ts'
import { Accounts, type KeptAccount } from '../../src/account/accounts.ts'
import type { AccountNews } from '../../src/account/news.ts'
import { type Observed, RosterWatch } from '../../src/account/roster-watch.ts'
import type { Belief } from '../../src/rules/rule.ts'
import { type Stanza, type SubscriptionType, stanzaOf, subscriptionTypes } from '../../src/stanza/stanza.ts'
import { hiddenFields, shownFields } from '../../src/store/hidden-accounts.ts'
import { StoreKey } from '../../src/store/store-key.ts'
import { ns } from '../../src/stream/namespaces.ts'
import { next, type Subscription, visible } from '../../src/subscription/state.ts'
import { element } from '../../src/xml/element.ts'

const jids = ['romeo@im.example', 'juliet@im.example'] as const
type User = 0 | 1

type Step = { readonly user: User; readonly type: SubscriptionType } | 'restart'
const steps: readonly Step[] = [
  ...([0, 1] as const).flatMap(user => subscriptionTypes.map(type => ({ user, type }))),
  'restart',
]

/** A session of a user's, which has the server's roster versions. */
class Resource {
  readonly watch: RosterWatch
  readonly gate: Gate

  constructor(gate: Gate, user: User, index: number) {
    this.gate = gate
    this.watch = new RosterWatch(`${jids[user]}/${index}`)
    this.watch.joined(gate.accounts.attach(jids[user], this))
  }

  told(news: AccountNews): void {
    this.spread(this.watch.told(news))
  }

  spread(seen: Observed): void {
    for (const news of seen.news)
      for (const [member, told] of this.gate.accounts.tell(this, news).tell) member.told(told)
  }

  belief(type: string, contact: string): Belief {
    return type === 'subscribed' ? this.watch.answersRequest(contact) : this.watch.endsSubscription(contact)
  }
}

/** The accounts of one process, and the records of them that outlive it. */
class Gate {
  readonly records = new Map<string, Map<string, string>>()
  readonly accounts: Accounts<Resource>

  private readonly key: StoreKey | undefined

  /** `key`: contacts are kept as hashes. */
  constructor(key: StoreKey | undefined) {
    this.key = key
    const hashOf = (account: string) => key?.contactHash(account)
    const keep = (account: KeptAccount): void => {
      const shown = wholeRecordOf(account)
      const all = key === undefined ? shown : hiddenFields(key, account.key, shown)
      const fields = [...all].filter((field): field is [string, string] => field[1] !== undefined)
      this.records.set(account.key, new Map(fields))
    }
    this.accounts = new Accounts<Resource>(10, { began: () => {}, changed: keep, forgotten: () => {}, hashOf })
  }

  recall(records: ReadonlyMap<string, ReadonlyMap<string, string>>): void {
    for (const [key, fields] of records) {
      const kept = accountOf((this.key === undefined ? fields : shownFields(this.key, key, fields)) ?? new Map())
      if (kept === undefined) throw new Error('a record that is not read')
      for (const [member, news] of this.accounts.recall(key, kept.roster, kept.since)?.tell ?? []) member.told(news)
    }
  }
}

interface Setting {
  readonly resources: number
  readonly isPushFirst: boolean
  /** The records are read after the server has confirmed the version, and not before. */
  readonly isLate: boolean
  /** With it contacts are kept as hashes (`store.hash`). */
  readonly key: StoreKey | undefined
}

class Model {
  private gate: Gate
  private readonly states: [Subscription, Subscription] = [
    { to: 'none', from: 'none' },
    { to: 'none', from: 'none' },
  ]
  private readonly versions: [number, number] = [0, 0]
  /**
   * The user's own `unsubscribe` has ended something. RFC 3921 section 8.4 delivers the `unsubscribed` that answers it, its table 6
   * does not: a gate may do either.
   */
  private readonly echoDue: [boolean, boolean] = [false, false]
  private resources: [Resource[], Resource[]] = [[], []]
  private readonly setting: Setting
  readonly wrong: string[] = []
  decided = 0

  constructor(setting: Setting) {
    this.setting = setting
    this.gate = new Gate(setting.key)
    this.login(undefined)
  }

  play(step: Step): void {
    if (step === 'restart') this.restart()
    else this.send(step.user, step.type)
    this.forge()
  }

  private restart(): void {
    const { records } = this.gate
    this.gate = new Gate(this.setting.key)
    this.login(records)
    for (const [key, fields] of records) if (!this.gate.records.has(key)) this.gate.records.set(key, fields)
  }

  private login(records: Gate['records'] | undefined): void {
    const { resources, isLate } = this.setting
    const open = (user: User) => Array.from({ length: resources }, (_, index) => new Resource(this.gate, user, index))
    this.resources = [open(0), open(1)]
    if (records !== undefined && !isLate) this.gate.recall(records)
    for (const user of [0, 1] as const)
      for (const resource of this.resources[user]) {
        // The client has kept the roster with its version; at the first login it gets it whole.
        const ver = `${this.versions[user]}`
        const asked = records === undefined ? '' : ver
        const query = element('query', ns.roster, { ver: asked })
        resource.spread(resource.watch.sent(stanza('iq', { type: 'get', id: 'r' }, [query])))
        const whole = records === undefined ? [element('query', ns.roster, { ver })] : []
        resource.spread(resource.watch.received(stanza('iq', { type: 'result', id: 'r' }, whole)))
      }
    if (records !== undefined && isLate) this.gate.recall(records)
  }

  /** The first resource sends; the server changes both rosters and delivers. */
  private send(user: User, type: SubscriptionType): void {
    const other = (1 - user) as User
    const [sender] = this.resources[user] as [Resource]
    sender.spread(sender.watch.sent(stanza('presence', { type, to: jids[other] })))
    const out = next(this.states[user], 'outbound', type)
    if (type === 'unsubscribe' && out.state !== this.states[user]) this.echoDue[user] = true
    this.move(user, out.state)
    if (out.passes) this.deliver(other, type)
  }

  private deliver(user: User, type: SubscriptionType): void {
    const step = next(this.states[user], 'inbound', type)
    const { isPushFirst } = this.setting
    if (isPushFirst) this.move(user, step.state)
    if (step.passes) for (const resource of this.resources[user]) this.hear(resource, user, type)
    if (!isPushFirst) this.move(user, step.state)
    // An answer to one who has given up changes nothing, and is not delivered.
    if (step.autoReply !== undefined) this.deliver((1 - user) as User, step.autoReply)
  }

  private hear(resource: Resource, user: User, type: SubscriptionType): void {
    const contact = jids[1 - user] as string
    if (type === 'subscribed' || type === 'unsubscribed') {
      const belief = resource.belief(type, contact)
      if (belief === 'refuse') this.wrong.push(`refused ${type} to ${jids[user]}`)
    }
    resource.spread(resource.watch.received(stanza('presence', { type, from: contact })))
  }

  /** What a push shows is the visible state; where that is the same, there is none. */
  private move(user: User, after: Subscription): void {
    const before = visible(this.states[user])
    if (after.to !== 'none') this.echoDue[user] = false
    this.states[user] = after
    const { subscription, ask } = visible(after)
    if (before.subscription === subscription && before.ask === ask) return
    const ver = `${++this.versions[user]}`
    const item = element('item', ns.roster, {
      jid: jids[1 - user] as string,
      subscription,
      ask: ask ? 'subscribe' : undefined,
    })
    const push = stanza('iq', { type: 'set', id: 'p' }, [element('query', ns.roster, { ver }, [item])])
    for (const resource of this.resources[user]) resource.spread(resource.watch.received(push))
  }

  /** All was heard: what the tables do not deliver in this state must not be believed. */
  private forge(): void {
    for (const user of [0, 1] as const)
      for (const resource of this.resources[user])
        for (const type of ['subscribed', 'unsubscribed'] as const) {
          const belief = resource.belief(type, jids[1 - user] as string)
          const { passes } = next(this.states[user], 'inbound', type)
          if (belief !== 'unknown') this.decided++
          if (type === 'unsubscribed' && this.echoDue[user]) continue
          if (belief === (passes ? 'refuse' : 'accept'))
            this.wrong.push(`${belief} of a ${type} to ${jids[user]} in ${JSON.stringify(this.states[user])}`)
        }
  }
}

function stanza(kind: string, attrs: Record<string, string>, children: Parameters<typeof element>[3] = []): Stanza {
  return stanzaOf(element(kind, ns.client, attrs, children)) as Stanza
}

/** A hash costs more than a step of the model, and the model has few names. */
class QuickKey extends StoreKey {
  private readonly known = new Map<string, string>()

  override nameOf(kind: string, name: string): string {
    const text = `${kind} ${name}`
    const hash = this.known.get(text) ?? super.nameOf(kind, name)
    this.known.set(text, hash)
    return hash
  }
}

const settings: readonly Setting[] = [undefined, new QuickKey('a secret of the model')].flatMap(key =>
  [1, 2].flatMap(resources =>
    [false, true].flatMap(isPushFirst => [false, true].map(isLate => ({ resources, isPushFirst, isLate, key }))),
  ),
)

/** What went wrong first; `undefined`: nothing. */
function run(setting: Setting, sequence: readonly Step[]): { wrong: string | undefined; decided: number } {
  const model = new Model(setting)
  for (const step of sequence) model.play(step)
  const [first] = model.wrong
  const words = sequence.map(step => (step === 'restart' ? step : `${step.user}>${step.type}`)).join(' ')
  return { wrong: first && `${first} after ${words}, ${JSON.stringify(setting)}`, decided: model.decided }
}

t.test('every sequence of four steps', t => {
  const wrong: string[] = []
  let [played, decided] = [0, 0]
  const extend = (setting: Setting, sequence: readonly Step[]): void => {
    if (sequence.length < 4) {
      for (const step of steps) extend(setting, [...sequence, step])
      return
    }
    const result = run(setting, sequence)
    played++
    decided += result.decided
    if (result.wrong !== undefined) wrong.push(result.wrong)
  }
  // With hashes only what one resource sees; random sequences have two.
  const shorter = settings.filter(({ key, resources }) => key === undefined || resources === 1)
  for (const setting of shorter) extend(setting, [])
  t.equal(played, shorter.length * 9 ** 4)
  t.ok(decided > played, 'the ledgers decide')
  t.strictSame(wrong.slice(0, 5), [], `${wrong.length} of ${played}`)
  t.end()
})

t.test('random sequences of thirty steps', t => {
  const wrong: string[] = []
  let seed = 3921
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  for (let i = 0; i < 4_000; i++) {
    const sequence = Array.from({ length: 30 }, () => steps[random(steps.length)] as Step)
    const result = run(settings[i % settings.length] as Setting, sequence)
    if (result.wrong !== undefined) wrong.push(result.wrong)
  }
  t.strictSame(wrong.slice(0, 5), [], `${wrong.length}`)
  t.end()
})
