/**
 * What one account's resources are shown, in every order that servers show it, and what is believed of it.
 *
 *   both                  what the roster shows of juliet when the script begins; `-` is nothing
 *   >subscribe            romeo's first resource sends this (`>remove`: a roster set that removes her)
 *   [none?]               a roster push: the subscription, `?` for ask, `[-]` for a removal
 *   subscribed            a notification from juliet that is right, and has to be delivered
 *   !subscribed           one that is wrong, and has to be ignored
 *   ~subscribed           one of which the roster cannot tell; it may be either
 *   { a b | [c] [d] }     two lines that a server keeps in order each, but not to each other: played in every merger
 *   .                     what comes after it is heard when all else was heard by all
 *
 * With two resources each hears its own copy of everything, and the two are merged in every way in which nothing comes before the
 * client's stanza that caused it.
 */
import t from 'tap'
import { Accounts } from '../../src/account/accounts.ts'
import type { AccountNews } from '../../src/account/news.ts'
import { type Observed, RosterWatch } from '../../src/account/roster-watch.ts'
import { type Stanza, stanzaOf } from '../../src/stanza/stanza.ts'
import { ns } from '../../src/stream/namespaces.ts'
import { element } from '../../src/xml/element.ts'

const romeo = 'romeo@im.example'
const juliet = 'juliet@im.example'

type Token = string

interface Script {
  readonly start: string
  /** Every order of what is heard before the full stop. */
  readonly orders: readonly (readonly Token[])[]
  readonly end: readonly Token[]
}

function parse(script: string): Script {
  const [start, body = ''] = script.split(/:(.*)/s) as [string, string]
  const [middle = '', end = ''] = body.split(' .')
  let orders: Token[][] = [[]]
  for (const part of middle.match(/\{[^}]*\}|\S+/g) ?? []) {
    const choices = part.startsWith('{')
      ? mergers(...(part.slice(1, -1).split('|').map(words) as [Token[], Token[]]))
      : [[part]]
    orders = orders.flatMap(order => choices.map(choice => [...order, ...choice]))
  }
  return { start: start.trim(), orders, end: words(end) }
}

function words(text: string): Token[] {
  return text.match(/\S+/g) ?? []
}

/** Every way to merge two lists that keeps the order within each. */
function mergers<Item>(one: readonly Item[], two: readonly Item[]): Item[][] {
  const [first, ...rest] = one
  const [second, ...others] = two
  if (first === undefined || second === undefined) return [[...one, ...two]]
  return [
    ...mergers(rest, two).map(merged => [first, ...merged]),
    ...mergers(one, others).map(merged => [second, ...merged]),
  ]
}

/** One stream of the account, as a session treats it. */
class Resource {
  readonly watch = new RosterWatch(romeo)
  private readonly accounts: Accounts<Resource>

  constructor(accounts: Accounts<Resource>) {
    this.accounts = accounts
    this.watch.joined(accounts.attach(romeo, this))
  }

  /** Gets the roster. */
  fetch(shown: string): void {
    const query = element('query', ns.roster)
    this.spread(this.watch.sent(stanza('iq', { type: 'get', id: 'r' }, [query])))
    const full = element('query', ns.roster, {}, shown === '-' ? [] : [item(shown)])
    this.spread(this.watch.received(stanza('iq', { type: 'result', id: 'r' }, [full])))
  }

  leave(): void {
    for (const [member, news] of this.accounts.detach(this).tell) member.told(news)
  }

  told(news: AccountNews): void {
    this.spread(this.watch.told(news))
  }

  /** What became of it: nothing for what is no notification. */
  play(token: Token): 'accept' | 'refuse' | 'unknown' | undefined {
    if (token.startsWith('>')) return this.send(token.slice(1))
    if (token.startsWith('[')) {
      this.spread(this.watch.received(pushOf(token)))
      return undefined
    }
    return this.hear(token.replace(/^[!~]/, ''))
  }

  private send(type: string): undefined {
    this.spread(this.watch.sent(type === 'remove' ? pushOf('[-]') : stanza('presence', { type, to: juliet })))
  }

  private hear(type: string) {
    const answer =
      type === 'subscribed'
        ? this.watch.answersRequest(juliet)
        : type === 'unsubscribed'
          ? this.watch.endsSubscription(juliet)
          : undefined
    if (answer !== 'refuse') this.spread(this.watch.received(stanza('presence', { type, from: juliet })))
    return answer
  }

  private spread(seen: Observed): void {
    for (const news of seen.news) for (const [member, told] of this.accounts.tell(this, news).tell) member.told(told)
  }
}

function stanza(
  kind: string,
  attrs: Readonly<Record<string, string>>,
  children: Parameters<typeof element>[3] = [],
): Stanza {
  return stanzaOf(element(kind, ns.client, attrs, children)) as Stanza
}

const pushes = new Map<Token, Stanza>()

/** Made once: they are played a hundred thousand times. */
function pushOf(token: Token): Stanza {
  const made = pushes.get(token)
  if (made !== undefined) return made
  const push = stanza('iq', { type: 'set', id: 'p' }, [element('query', ns.roster, {}, [item(token.slice(1, -1))])])
  pushes.set(token, push)
  return push
}

function item(shown: string) {
  if (shown === '-') return element('item', ns.roster, { jid: juliet, subscription: 'remove' })
  const ask = shown.endsWith('?') ? 'subscribe' : undefined
  return element('item', ns.roster, { jid: juliet, subscription: shown.replace('?', ''), ask })
}

/**
 * How a resource takes part. `interested`: has fetched the roster. `deaf`: has not, and gets no pushes. `pushed`: has not, and is pushed
 * to all the same, as ejabberd does: nothing that is right may be refused, and what is wrong may pass.
 */
type Part = 'interested' | 'deaf' | 'pushed'

interface Line {
  readonly who: number
  readonly token: Token
  /** The client's stanzas that have to be sent before. */
  readonly needs: number
  /** Its place in the order. */
  readonly at: number
}

function linesOf(order: readonly Token[], who: number, part: Part, sender: number): Line[] {
  let sent = 0
  return order.flatMap((token, at): Line[] => {
    if (token.startsWith('>')) {
      sent++
      return who === sender ? [{ who, token, needs: sent - 1, at }] : []
    }
    // What a resource without a roster can say of a forged stanza depends on how far the leader is: that waits for the end.
    if (part === 'deaf' && token.startsWith('[')) return []
    if (part !== 'interested' && token.startsWith('!')) return []
    return [{ who, token, needs: sent, at }]
  })
}

/**
 * Whether a resource without a roster hears a notification when the leader does: it knows what the leader has been shown, and no more.
 */
function isInStep(merged: readonly Line[]): boolean {
  let leader = 0
  for (const { who, token, at } of merged) {
    if (who === 0) leader = token === 'leaves' ? Infinity : at + 1
    else if (leader < at || (leader > at + 1 && leader !== Infinity)) return false
  }
  return true
}

/** Mergers of two lists that are all played; of more, one in so many, evenly. */
const mergersAtMost = 400

/** Calls back with the mergers of two resources' lines in which nothing comes before the client's stanza that caused it. */
function merge(one: readonly Line[], two: readonly Line[], play: (merged: readonly Line[]) => void): void {
  let binomial = 1
  for (let i = 1; i <= one.length; i++) binomial *= (two.length + i) / i
  const stride = Math.ceil(binomial / mergersAtMost)
  let count = 0
  const merged: Line[] = []
  const step = (i: number, j: number, sent: number): void => {
    if (i === one.length && j === two.length) {
      if (count++ % stride === 0) play(merged)
      return
    }
    for (const line of [one[i], two[j]]) {
      if (line === undefined || line.needs > sent) continue
      merged.push(line)
      step(line === one[i] ? i + 1 : i, line === one[i] ? j : j + 1, line.token.startsWith('>') ? sent + 1 : sent)
      merged.pop()
    }
  }
  step(0, 0, 0)
}

/** What went wrong, or `undefined`. */
function run(start: string, parts: readonly Part[], lines: readonly Line[], end: readonly Token[]): string | undefined {
  const accounts = new Accounts<Resource>(10)
  const resources = parts.map(() => new Resource(accounts))
  for (const [index, part] of parts.entries()) if (part === 'interested') resources[index]?.fetch(start)
  const there = new Set(resources)
  const heard: string[] = []
  const hear = (who: number, token: Token): string | undefined => {
    const resource = resources[who] as Resource
    heard.push(`${who + 1}${token}`)
    if (token === 'leaves') {
      there.delete(resource)
      resource.leave()
      return undefined
    }
    const answer = resource.play(token)
    if (answer === undefined || token.startsWith('~')) return undefined
    // Without a resource that sees pushes the account is not known any more: nothing is refused.
    const blind =
      parts[who] === 'pushed' ||
      (parts[who] === 'deaf' && ![...there].some(other => parts[resources.indexOf(other)] === 'interested'))
    const good = token.startsWith('!') ? answer === 'refuse' || blind : answer !== 'refuse'
    return good ? undefined : `${answer} after ${start}: ${heard.join(' ')}`
  }
  for (const { who, token } of lines) {
    const wrong = hear(who, token)
    if (wrong !== undefined) return wrong
  }
  for (const resource of there)
    for (const token of end) {
      const wrong = hear(resources.indexOf(resource), token)
      if (wrong !== undefined) return wrong
    }
  return undefined
}

/**
 * The leader leaves and the second resource, which is as far, a token ahead or one behind, leads on; the third has no roster. Whom it
 * follows may fall back, and then it can be told one forged stanza too many, never one honest stanza too few.
 */
function handedOver({ start, orders, end }: Script, count: Count): void {
  for (const order of orders)
    for (const lag of [-1, 0, 1])
      for (let stays = 0; stays <= order.length; stays++) {
        const lines: Line[] = []
        const hear = (who: number, at: number): void => {
          const token = order[at]
          if (token === undefined || (who === 0 && at >= stays)) return
          if (token.startsWith('>') ? who === (at < stays ? 0 : 1) : who < 2 || !/^[[!]/.test(token))
            lines.push({ who, token, needs: 0, at })
        }
        if (lag < 0) hear(1, 0)
        if (stays === 0) lines.push({ who: 0, token: 'leaves', needs: 0, at: 0 })
        for (let at = 0; at <= order.length; at++) {
          hear(0, at)
          if (lag >= 0) hear(1, at - lag)
          if (at === stays - 1) lines.push({ who: 0, token: 'leaves', needs: 0, at })
          hear(2, at)
          if (lag < 0) hear(1, at + 1)
        }
        const last = lag <= 0 ? end : end.filter(token => !token.startsWith('!'))
        note(count, run(start, ['interested', 'interested', 'deaf'], lines, last))
      }
}

type Count = { played: number; readonly wrong: string[] }

function note(count: Count, wrong: string | undefined): void {
  count.played++
  if (wrong !== undefined) count.wrong.push(wrong)
}

/** One resource, in every order. */
function alone({ start, orders, end }: Script, count: Count): void {
  for (const order of orders) note(count, run(start, ['interested'], linesOf(order, 0, 'interested', 0), end))
}

/** One that logs in at any point of the script, and does not ask for the roster. */
function latecomer({ start, orders, end }: Script, count: Count): void {
  for (const order of orders)
    for (let from = 0; from <= order.length; from++)
      note(count, run(start, ['pushed'], linesOf(order.slice(from), 0, 'pushed', 0), end))
}

/** The same beside one that has the roster. */
function latecomerBeside({ start, orders, end }: Script, count: Count): void {
  for (const order of orders)
    for (let from = 0; from <= order.length; from++) {
      const late = linesOf(order, 1, 'pushed', 0).filter(({ at }) => at >= from)
      const heard = linesOf(order, 0, 'interested', 0)
      // Until a push tells, it knows what the leader has been shown, and no more.
      const isTold = late[0]?.token.startsWith('[') === true
      merge(heard, late, merged => {
        if (isTold || isInStep(merged)) note(count, run(start, ['interested', 'pushed'], merged, end))
      })
    }
}

/** Two, in the same order and in opposite ones, merged in every way; the second with a roster of its own, or without. */
function together({ start, orders, end }: Script, second: Part, count: Count): void {
  for (const [index, first] of orders.entries())
    for (const other of second === 'deaf' ? [first] : [first, orders.at(-1 - index) as Token[]]) {
      merge(linesOf(first, 0, 'interested', 0), linesOf(other, 1, second, 0), merged => {
        if (second === 'interested' || isInStep(merged)) note(count, run(start, ['interested', second], merged, end))
      })
    }
}

/** The first resource, which leads, leaves at every point; from then on the second one sends. */
function deserted({ start, orders, end }: Script, second: Part, count: Count): void {
  for (const order of orders.length < 3 ? orders : [orders[0] as Token[], orders.at(-1) as Token[]])
    for (let stays = 0; stays <= order.length; stays++) {
      const kept = linesOf(order.slice(0, stays), 0, 'interested', 0)
      const first = [...kept, { who: 0, token: 'leaves', needs: 0, at: stays }]
      const sentBefore = kept.filter(line => line.token.startsWith('>')).length
      let sent = 0
      const other = linesOf(order, 1, second, 1).filter(line => !line.token.startsWith('>') || ++sent > sentBefore)
      merge(first, other, merged => {
        // The second resource sends when the first is gone.
        const left = merged.findIndex(line => line.token === 'leaves')
        if (merged.some((line, index) => line.who === 1 && line.token.startsWith('>') && index < left)) return
        if (second === 'interested' || isInStep(merged)) note(count, run(start, ['interested', second], merged, end))
      })
    }
}

const scripts: Readonly<Record<string, readonly string[]>> = {
  approval: [
    '-: >subscribe [none?] { subscribed | [to] } . !subscribed unsubscribed',
    'none: >subscribe [none?] { subscribed | [to] } . !subscribed unsubscribed',
    'from: >subscribe [from?] { subscribed | [both] } . !subscribed unsubscribed',
    'none?: { subscribed | [to] } . !subscribed unsubscribed',
    'from?: { subscribed | [both] } . !subscribed',
  ],
  'approval before the ask push': ['none: >subscribe { subscribed | [none?] [to] } . !subscribed unsubscribed'],
  'approval after two requests': [
    'none: >subscribe >subscribe [none?] { subscribed | [to] } . !subscribed',
    'none: >subscribe [none?] >subscribe { subscribed | [to] } . !subscribed',
    'none: >subscribe [none?] >subscribe [none?] { subscribed | [to] } . !subscribed',
  ],
  'denial, then a new request and approval': [
    'none: >subscribe [none?] { unsubscribed | [none] } >subscribe [none?] { subscribed | [to] } . !subscribed unsubscribed',
    'from: >subscribe [from?] { unsubscribed | [from] } >subscribe [from?] { subscribed | [both] } . !subscribed',
    'none: >subscribe [none?] unsubscribed >subscribe [none] [none?] { subscribed | [to] } . !subscribed',
    'none: >subscribe [none?] [none] >subscribe { unsubscribed | [none?] } { subscribed | [to] } . !subscribed',
  ],
  'approval and cancellation at once': [
    'none: >subscribe [none?] { subscribed | [to] } { unsubscribed | [none] } . !subscribed !unsubscribed',
    'from: >subscribe [from?] { subscribed | [both] } { unsubscribed | [from] } . !subscribed !unsubscribed',
    'none: >subscribe [none?] subscribed unsubscribed [to] [none] . !subscribed',
    'none: >subscribe [none?] [to] [none] ~subscribed unsubscribed . !subscribed !unsubscribed',
    'none: >subscribe { unsubscribed | [none?] [none] } . !subscribed',
  ],
  'cancellation, then a new request': [
    'to: { unsubscribed | [none] } >subscribe [none?] { subscribed | [to] } . !subscribed unsubscribed',
    'both: { unsubscribed | [from] } >subscribe { subscribed | [from?] } [both] . !subscribed unsubscribed',
  ],
  'cancelled while pending': [
    'none: >subscribe [none?] >unsubscribe [none] . !subscribed',
    'none: >subscribe [none?] >unsubscribe ~subscribed [none] . !subscribed',
    'none: >subscribe [none?] >unsubscribe { unsubscribed | [none] } . !subscribed !unsubscribed',
    'from?: >unsubscribe [from] . !subscribed',
  ],
  'own unsubscribe before the ask push': [
    'none: >subscribe >unsubscribe [none?] [none] . !subscribed',
    'from: >subscribe >unsubscribe [from?] [from] . !subscribed',
    'none: >subscribe >unsubscribe [none?] { ~unsubscribed | [none] } . !subscribed',
  ],
  'own unsubscribe, and the answer': [
    'to: >unsubscribe { unsubscribed | [none] } . !subscribed !unsubscribed',
    'both: >unsubscribe { unsubscribed | [from] } . !subscribed !unsubscribed',
    'to: >unsubscribe [none] >subscribe [none?] { subscribed | [to] } . !subscribed unsubscribed',
    'to: >unsubscribe >subscribe [none] [none?] { subscribed | [to] } . !subscribed unsubscribed',
  ],
  'removal and the answers after it': [
    'to: >remove { unsubscribed | [-] } . !subscribed !unsubscribed',
    'both: >remove { unsubscribed | [-] } . !subscribed !unsubscribed',
    'none?: >remove { unsubscribed | [-] } . !subscribed !unsubscribed',
    'from: >remove [-] . !subscribed !unsubscribed',
    'both: >remove [-] >subscribe { unsubscribed | [none?] } { subscribed | [to] } . !subscribed',
    'none: >subscribe [none?] >remove [-] . !subscribed',
  ],
  'our approval crossing theirs': [
    'none: >subscribe [none?] { subscribed | [to] [both] } . !subscribed unsubscribed',
    'none: >subscribe [none?] { subscribed | [from?] [both] } . !subscribed unsubscribed',
    'none: subscribe >subscribe [none?] >subscribed { subscribed | [from?] [both] } . !subscribed',
  ],
  "a second 'subscribed'": [
    'none: >subscribe [none?] subscribed !subscribed [to] !subscribed . !subscribed',
    'none: >subscribe [none?] [to] subscribed !subscribed . !subscribed',
    'none: >subscribe subscribed !subscribed [none?] !subscribed [to] !subscribed . !subscribed',
    'from: >subscribe subscribed !subscribed [from?] !subscribed [both] !subscribed . !subscribed',
    'none?: subscribed !subscribed [to] !subscribed . !subscribed',
  ],
  "a forged 'subscribed' in the states that expect none": [
    '-: !subscribed . !subscribed',
    'none: !subscribed . !subscribed',
    'none: subscribe !subscribed . !subscribed',
    'to: !subscribed . !subscribed',
    'to: subscribe !subscribed . !subscribed',
    'from: !subscribed . !subscribed',
    'both: !subscribed . !subscribed',
    // Her request granted, her own grant invented.
    'none: subscribe >subscribed [from] !subscribed . !subscribed',
  ],
  "a forged 'unsubscribed'": [
    '-: !unsubscribed . !unsubscribed',
    'none: !unsubscribed . !unsubscribed',
    'none: subscribe !unsubscribed . !unsubscribed',
    'from: !unsubscribed . !unsubscribed',
    'none: subscribe >subscribed [from] !unsubscribed . !unsubscribed',
    'both: unsubscribe [to] unsubscribed [none] !unsubscribed . !unsubscribed',
  ],
  "'subscribe' in state To acknowledges (RFC 3921 section 9.4)": [
    'to: >subscribe !subscribed . !subscribed unsubscribed',
    'both: >subscribe !subscribed . !subscribed',
    'none: >subscribe [none?] { subscribed | [to] } >subscribe . !subscribed',
    'none: >subscribe [none?] subscribed >subscribe !subscribed [to] !subscribed . !subscribed',
    'to: >subscribe { unsubscribed | [none] } >unsubscribe . !subscribed !unsubscribed',
  ],
}

/** What only the roster shows: the request was made elsewhere, and a resource without a roster learns of it when the leader does. */
const elsewhere: Readonly<Record<string, readonly string[]>> = {
  'a request made elsewhere': [
    'none: [none?] { subscribed | [to] } . !subscribed unsubscribed',
    'from: [from?] { subscribed | [both] } . !subscribed unsubscribed',
    'none: [none?] { unsubscribed | [none] } [none?] { subscribed | [to] } . !subscribed',
    'none: [none?] subscribed !subscribed [to] !subscribed . !subscribed',
    'none: [none?] [none] . !subscribed',
    'to: [none] [none?] [to] . subscribed !subscribed',
    // One push may show two changes.
    'none: >subscribe [none?] { subscribed | [to] } [none?] { subscribed | [to] } . !subscribed',
    'none: >subscribe [none?] { subscribed | [to] } { unsubscribed | [none?] } { subscribed | [to] } . !subscribed',
  ],
  'cancellation, and who else sees it': [
    'to: { unsubscribed | [none] } . !subscribed !unsubscribed',
    'both: { unsubscribed | [from] } . !subscribed !unsubscribed',
    'none?: { unsubscribed | [none] } . !subscribed !unsubscribed',
  ],
}

const ways: readonly (readonly [string, (script: Script, count: Count) => void])[] = [
  ['one resource', alone],
  ['two resources', (script, count) => together(script, 'interested', count)],
  ['a second resource without a roster', (script, count) => together(script, 'deaf', count)],
  ['the leader leaves', (script, count) => deserted(script, 'interested', count)],
  ['one that is pushed to and has not asked', latecomer],
  ['one that is pushed to, beside one that has asked', latecomerBeside],
  ['another leads on, and one without a roster follows', handedOver],
  ['the leader leaves one without a roster', (script, count) => deserted(script, 'deaf', count)],
]

for (const [way, play] of ways)
  t.test(way, async t => {
    const all = Object.entries(way.endsWith('without a roster') ? scripts : { ...scripts, ...elsewhere })
    for (const [name, texts] of all) {
      const count: Count = { played: 0, wrong: [] }
      for (const text of texts) play(parse(text), count)
      t.same(count.wrong.slice(0, 3), [], `${name}: ${count.played} played, ${count.wrong.length} wrong`)
      t.ok(count.played >= texts.length)
    }
  })

t.test('contacts are those of the own roster, of the one that is followed, or of the one that was kept', async t => {
  const snapshot = { ver: 'v1', items: new Map([[juliet, { subscription: 'both', ask: false } as const]]) }
  const answers = (watch: RosterWatch) => [watch.isContact(juliet), watch.hasContactAt('im.example')]
  const watch = new RosterWatch(`${romeo}/orchard`)
  t.same(answers(watch), [false, false])
  watch.joined({ snapshot, live: false })
  t.same(answers(watch), [true, false], 'it may be out of date')
  watch.joined({ snapshot, live: true })
  t.same(answers(watch), [true, true])
  watch.told({ news: 'blind' })
  t.same(answers(watch), [true, false])
  const get = element('iq', ns.client, { type: 'get', id: 'r' }, [element('query', ns.roster)])
  watch.sent(stanzaOf(get) as Stanza)
  const result = element('iq', ns.client, { type: 'result', id: 'r' }, [element('query', ns.roster)])
  watch.received(stanzaOf(result) as Stanza)
  t.same(answers(watch), [false, false], 'the own roster is newer')
})
