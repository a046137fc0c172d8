/**
 * A session whose resource is bound. Every stanza is judged by the rules, counted for stream management, read for what it says of
 * the roster, and then passed on, answered or left out. The session can outlive its stream when stream management allows a
 * resumption.
 */

import type { AccountNews, AccountSnapshot } from '../account/news.ts'
import type { Quarantine } from '../account/quarantine.ts'
import { type Observed, RosterWatch } from '../account/roster-watch.ts'
import type { StrangerPolicy } from '../account/stranger-policy.ts'
import { type ActiveRule, type Judgement, judge } from '../rules/judge.ts'
import type { ForeignFrom, Unverified } from '../rules/mode.ts'
import { type RuleOutcome, ruleOutcomeOf } from '../rules/outcome.ts'
import { redeliverRequests } from '../rules/redeliver-requests.ts'
import type { Facts } from '../rules/rule.ts'
import { rulesByScope } from '../rules/rules-by-scope.ts'
import { errorReply, type StanzaError } from '../stanza/error.ts'
import { bareOf, foldDomain, parseJid } from '../stanza/jid.ts'
import { type Stanza, stanzaOf } from '../stanza/stanza.ts'
import { other, type Side } from '../stream/item.ts'
import type { Visible } from '../subscription/state.ts'
import type { Element } from '../xml/element.ts'
import type { BoundWays } from './bound-ways.ts'
import type { GrantedRoster } from './compensation-due.ts'
import { GrantGuard } from './grant-guard.ts'
import { judgedReport } from './judgement-report.ts'
import { PendingIqs } from './pending-iqs.ts'
import { PendingRequests } from './pending-requests.ts'
import { Redelivering } from './redelivering.ts'
import type { Redeliveries } from './redelivery.ts'
import type { BoundOutput, ResumableSession } from './resumable-session.ts'
import { type Hidden, RosterFetch } from './roster-fetch.ts'
import { type SessionRecord, sessionFormat } from './session-record.ts'
import { type Repeated, StanzaCounts } from './stanza-counts.ts'
import { StrangerRequests } from './stranger-requests.ts'

/** Read for each stanza, because a reload may change them while sessions exist. */
export interface BoundOptions {
  readonly rules: readonly ActiveRule[]
  /** Folded domains whose notifications are believed unasked. */
  readonly trustedDomains: ReadonlySet<string>
  /** What becomes of a client's stanza whose `from` is another's address; left out: `override`. */
  readonly foreignFrom?: ForeignFrom
  /** What becomes of a notification that cannot be verified; left out: it passes. */
  readonly unverified?: Unverified
  /** Takes one request from what this account may ask for; left out: as many as it likes. */
  mayRequest?(account: string): boolean
  /** Takes one from the unasked grants that this account may take back; left out: none is looked for. */
  mayCompensate?(account: string): boolean
  /** Where requests of strangers wait; left out: none has to. */
  readonly quarantine?: Quarantine | undefined
  /** What becomes of strangers' requests by class; left out: all wait there. */
  readonly strangers?: StrangerPolicy | undefined
  /** What is known for delivering unanswered requests again; left out: none is. */
  readonly redeliveries?: Redeliveries | undefined
  /** Each time another one, which nobody can guess. */
  newStreamId(): string
}

/** What a session remembers of its streams. */
interface Memory {
  readonly watch: RosterWatch
  readonly requests: PendingIqs
  readonly fetch: RosterFetch
}

/** The facts that the session remembers for the rules. */
type KnownFacts = Pick<Facts, 'roster' | 'asked' | 'isRequestHeld' | 'isGrantedUnasked'>

/** The facts for a stanza that was forwarded before and comes again: everything is believed again. */
const believing: KnownFacts = {
  roster: { answersRequest: () => 'accept', endsSubscription: () => 'accept', holdsVersion: () => true },
  asked: () => 'accept',
  isRequestHeld: () => false,
  isGrantedUnasked: () => false,
}

const saidNothing: readonly RuleOutcome[] = []

export class BoundSession implements ResumableSession {
  /** The full JID, in the server's spelling. */
  readonly jid: string
  readonly bare: string
  readonly watch: RosterWatch
  /** From the client's `<enable/>` on; `undefined` without stream management. */
  counts: StanzaCounts | undefined
  offersPreApproval = false
  private readonly options: BoundOptions
  private readonly domain: string
  private readonly requests: PendingIqs
  private readonly fetch: RosterFetch
  private readonly strangers: StrangerRequests | undefined
  private readonly guard: GrantGuard | undefined
  private readonly redelivering: Redelivering | undefined
  /** Another session of the account sees its roster. */
  private isLive = false
  private readonly known: KnownFacts
  private readonly trusts: Facts['trusts']
  private readonly mayRequest: Facts['mayRequest']
  private readonly isIdleApproval: Facts['isIdleApproval']

  /** `domain`: the domain that the client has asked for; the gate's answers come from it. `memory`: left out: it begins. */
  constructor(options: BoundOptions, domain: string, jid: string, memory = begun(jid)) {
    this.options = options
    this.domain = domain
    this.jid = jid
    this.bare = bareOf(jid)
    this.watch = memory.watch
    this.requests = memory.requests
    this.fetch = memory.fetch
    this.mayRequest = () => this.options.mayRequest?.(this.bare) ?? true
    this.isIdleApproval = contact => this.options.mayRequest !== undefined && this.watch.isGranted(contact)
    this.trusts = contact => isTrusted(contact, this.options.trustedDomains)
    const ways = this.ways()
    const strangers = this.strangersOf(options, ways)
    this.strangers = strangers
    const guard = options.mayCompensate && new GrantGuard(options, this.bare, { ...ways, roster: this.grantedRoster() })
    this.guard = guard
    this.redelivering = this.redeliveringOf(options, ways)
    this.known = {
      roster: this.watch,
      asked: answer => this.requests.answers(answer),
      isRequestHeld:
        strangers === undefined ? believing.isRequestHeld : (contact, request) => strangers.isHeld(contact, request),
      isGrantedUnasked: guard === undefined ? believing.isGrantedUnasked : stanza => guard.isGrantedUnasked(stanza),
    }
  }

  /** A session that another process has kept; `undefined`: the record is of another version. Throws when it is no record of a session. */
  static restored(options: BoundOptions, record: SessionRecord): BoundSession | undefined {
    if (record.format !== sessionFormat) return undefined
    const { jid, domain, offersPreApproval, counts, requests, watch, fetch, pending, compensation, redelivery } = record
    if (typeof jid !== 'string' || typeof domain !== 'string') throw new TypeError('a session has a JID and a domain')
    const session = new BoundSession(options, domain, jid, {
      watch: RosterWatch.restored(jid, watch),
      requests: PendingIqs.restored(jid, requests),
      fetch: RosterFetch.restored(bareOf(jid), fetch),
    })
    if (typeof offersPreApproval !== 'boolean') throw new TypeError('a server offers pre-approval or does not')
    session.offersPreApproval = offersPreApproval
    session.counts = StanzaCounts.restored(counts)
    if (pending !== null) session.strangers?.restore(pending)
    if (compensation !== null) session.guard?.restore(compensation)
    session.redelivering?.restore(redelivery)
    return session
  }

  get record(): SessionRecord | undefined {
    const { jid, domain, offersPreApproval, watch, requests, fetch } = this
    const counts = this.counts?.record
    if (counts === undefined) return undefined
    const pending = this.strangers?.record ?? null
    const compensation = this.guard?.record ?? null
    const redelivery = this.redelivering?.record ?? null
    const memory = {
      requests: requests.record,
      watch: watch.record,
      fetch: fetch.record,
      pending,
      compensation,
      redelivery,
    }
    return { format: sessionFormat, jid, domain, offersPreApproval, counts, ...memory }
  }

  stanza(from: Side, stanza: Stanza, lang: string | undefined, output: BoundOutput): void {
    const repeat = from === 'upstream' ? this.counts?.repeat(stanza) : undefined
    if (repeat === undefined) return this.fresh(from, stanza, lang, output)
    this.repeated(stanza, repeat.how, lang, output)
    for (const whole of repeat.next) output.sendElement('client', whole)
  }

  /** A stanza that is not allowed in this phase: it is answered and not passed on. */
  refuse(stanza: Stanza, error: StanzaError, output: BoundOutput): void {
    output.report(judgedReport('client', stanza, 'reject', [], this.bare))
    this.reject('client', stanza, error, [], output)
  }

  /** After a resumption the session tells the account's other sessions the roster that it has seen. */
  joined(snapshot: AccountSnapshot, output: BoundOutput): void {
    this.isLive = snapshot.live
    this.watch.joined(snapshot)
    this.spread(this.watch.retold(), output)
    this.guard?.resumed()
    this.strangers?.joined()
  }

  /** Another session of the account has told something. */
  told(news: AccountNews, output: BoundOutput): void {
    this.spread(this.watch.told(news), output)
    if (news.news === 'unasked-grant') this.guard?.told(news, output)
    if (news.news === 'roster') this.isLive = true
    if (news.news === 'requests-decided') return this.strangers?.decided(news.released, output)
    if (news.news !== 'blind') return
    this.isLive = false
    if (this.fetch.isWanted) this.fetchRoster(output)
  }

  private fresh(from: Side, stanza: Stanza, lang: string | undefined, output: BoundOutput): void {
    const { watch, requests, redelivering } = this
    if (from === 'upstream') redelivering?.comes(stanza)
    const guard = from === 'upstream' ? this.guard : undefined
    guard?.comes(stanza, output)
    const { verdict, said } = this.judge(from, stanza, lang, this.known, output)
    switch (verdict.verdict) {
      case 'forward':
        if (from === 'client') {
          if (this.fetch.sent(verdict.stanza)) this.fetchRoster(output)
          requests.sent(verdict.stanza)
        } else {
          requests.received(stanza)
          if (redelivering?.answered(stanza, output) === true) return
          const hidden = this.fetch.received(stanza)
          if (guard?.received(verdict.stanza, hidden !== undefined, output) === true) return
          if (hidden !== undefined) return this.hide(stanza, hidden, output)
        }
        this.spread(from === 'client' ? watch.sent(verdict.stanza) : watch.received(verdict.stanza), output)
        this.counts?.passed(from, stanza)
        output.sendElement(other[from], verdict.stanza.element)
        this.strangers?.passed(from, verdict.stanza, output)
        redelivering?.passed(from, verdict.stanza, output)
        return
      case 'reject':
        return this.reject(from, stanza, verdict.error, said, output)
      case 'drop':
        this.spread(watch.refused(from, stanza), output)
        this.leaveOut(from, stanza, said, output)
        this.strangers?.leftOut(stanza, said, output)
        guard?.refused(stanza, output)
        return
      case 'close':
        return output.fail(verdict.error, `${from}-error`, verdict.text)
    }
  }

  /** Asks the server for the roster, where that is configured and nobody else of the account sees it. */
  private fetchRoster(output: BoundOutput): void {
    if (this.options.unverified !== 'fetch' || this.isLive) return
    output.report({ report: 'roster-fetch', event: 'asked' })
    this.ask(this.fetch.request(`stanzagate-${this.options.newStreamId()}`), output)
  }

  /** A stanza that is only for the gate. */
  private hide(stanza: Stanza, { event, answer }: Hidden, output: BoundOutput): void {
    this.spread(this.watch.received(stanza), output)
    output.report({ report: 'roster-fetch', event })
    this.leaveOut('upstream', stanza, saidNothing, output)
    if (answer !== undefined) this.say('upstream', answer, output)
  }

  until(now: number): number | undefined {
    return this.guard?.until(now)
  }

  late(now: number, output: BoundOutput): void {
    this.guard?.late(now, output)
  }

  private strangersOf({ quarantine, strangers }: BoundOptions, ways: BoundWays): StrangerRequests | undefined {
    if (quarantine === undefined) return undefined
    const { watch, trusts, bare, domain, jid } = this
    const contacts = {
      isNoStranger: (contact: string) => watch.isContact(contact) || trusts(contact),
      hasContactAt: (name: string) => watch.hasContactAt(name),
      knowsRoster: () => watch.isComplete,
    }
    return new StrangerRequests(new PendingRequests(quarantine, bare, contacts, strangers), domain, jid, ways)
  }

  private redeliveringOf(
    { redeliveries, rules, newStreamId }: BoundOptions,
    ways: BoundWays,
  ): Redelivering | undefined {
    // The rule is on when the session begins.
    const isOn = rules.some(({ rule }) => rule.name === redeliverRequests.name)
    if (redeliveries === undefined || !isOn) return undefined
    const { jid, bare } = this
    return new Redelivering(redeliveries, {
      ...ways,
      ...{ jid, bare, newStreamId, reported: this },
      leftOut: (stanza, said, output) => this.strangers?.leftOut(stanza, said, output),
    })
  }

  private grantedRoster(): GrantedRoster {
    const { watch, trusts } = this
    return {
      stateOf: contact => watch.stateOf(contact),
      isContact: contact => watch.isContact(contact),
      isUnasked: contact => watch.isUnasked(contact),
      answersRequest: contact => watch.answersRequest(contact),
      endsSubscription: contact => watch.endsSubscription(contact),
      trusts,
    }
  }

  private ways(): BoundWays {
    const { watch } = this
    return {
      say: (to, whole, output) => this.say(to, whole, output),
      ask: (request, output) => this.ask(request, output),
      deliver: (stanza, output) => this.deliver(stanza, output),
      show: (stanza, output) => this.show(stanza, output),
      leaveOut: (stanza, output) => this.leaveOut('upstream', stanza, saidNothing, output),
      read: (from, stanza, output) =>
        this.spread(from === 'client' ? watch.sent(stanza) : watch.received(stanza), output),
      judge: (stanza, as) => {
        const facts = this.facts('upstream', undefined, as === 'passed' ? believing : this.known)
        const rules = rulesByScope(this.options.rules).of('upstream', stanza)
        return judge(rules, stanza, as === 'passed' ? facts : { ...facts, isRedelivered: true })
      },
    }
  }

  private say(to: Side, whole: Element, output: BoundOutput): void {
    this.counts?.added(to, whole)
    output.sendElement(to, whole)
  }

  private ask(request: Element, output: BoundOutput): void {
    const stanza = stanzaOf(request)
    if (stanza === undefined) return
    this.requests.sent(stanza)
    this.spread(this.watch.sent(stanza), output)
    this.say('upstream', request, output)
  }

  private show(stanza: Stanza, output: BoundOutput): void {
    this.spread(this.watch.received(stanza), output)
    this.say('client', stanza.element, output)
  }

  private deliver(stanza: Stanza, output: BoundOutput): void {
    this.spread(this.watch.received(stanza), output)
    const unseen = this.fetch.received(stanza)
    if (unseen?.answer !== undefined) return this.say('upstream', unseen.answer, output)
    this.say('client', stanza.element, output)
    this.strangers?.passed('upstream', stanza, output)
  }

  private reject(
    from: Side,
    stanza: Stanza,
    error: StanzaError,
    said: readonly RuleOutcome[],
    output: BoundOutput,
  ): void {
    const { counts } = this
    this.leaveOut(from, stanza, said, output)
    if (from === 'client' && counts?.owesAnswer(stanza) === false) return
    const to = from === 'client' ? this.jid : undefined
    const answer = errorReply(stanza, error, { by: this.domain, to })
    if (answer === undefined) return
    counts?.added(from, answer)
    output.sendElement(from, answer)
  }

  private leaveOut(from: Side, stanza: Stanza, said: readonly RuleOutcome[], output: BoundOutput): void {
    this.counts?.leftOut(from, stanza, said)
    if (this.counts?.isFlooded === true)
      output.fail('policy-violation', `${from}-error`, 'too much is not acknowledged')
  }

  /** XEP-0198: the server repeats the stanzas that it was not told to have arrived. */
  private repeated(stanza: Stanza, how: Repeated, lang: string | undefined, output: BoundOutput): void {
    switch (how.repeated) {
      case 'dropped':
        return output.report(judgedReport('upstream', stanza, 'drop', how.said, this.bare))
      case 'forwarded':
      case 'decided': {
        const { verdict } = this.judge('upstream', stanza, lang, believing, output)
        if (verdict.verdict === 'forward') return output.sendElement('client', verdict.stanza.element)
        break
      }
      case 'other':
        break
    }
    output.fail('internal-server-error', 'upstream-error', 'what the server repeats is not what it sent')
  }

  private judge(
    from: Side,
    stanza: Stanza,
    lang: string | undefined,
    known: KnownFacts,
    output: BoundOutput,
  ): { verdict: Judgement['verdict']; said: readonly RuleOutcome[] } {
    const rules = rulesByScope(this.options.rules).of(from, stanza)
    const { verdict, decisions } = judge(rules, stanza, this.facts(from, lang, known))
    const said = decisions.length === 0 ? saidNothing : decisions.map(ruleOutcomeOf)
    const report = judgedReport(from, stanza, verdict.verdict, said, this.bare, this)
    output.report(report)
    return { verdict, said }
  }

  /** What is known of a contact's subscription, or `undefined`. */
  stateOf(contact: string): Visible | undefined {
    return this.watch.stateOf(contact)
  }

  private facts(from: Side, lang: string | undefined, known: KnownFacts): Facts {
    const { jid, bare, trusts, mayRequest, isIdleApproval } = this
    const { foreignFrom = 'override', unverified = 'pass' } = this.options
    return {
      from,
      jid,
      bare,
      foreignFrom,
      unverified,
      lang,
      roster: known.roster,
      asked: known.asked,
      isRequestHeld: known.isRequestHeld,
      isGrantedUnasked: known.isGrantedUnasked,
      trusts,
      mayRequest,
      offersPreApproval: this.offersPreApproval,
      isIdleApproval,
    }
  }

  private spread({ news, reports }: Observed, output: BoundOutput): void {
    for (const item of news) output.tell(this.bare, item)
    for (const report of reports) output.report(report)
  }
}

function begun(jid: string): Memory {
  return { watch: new RosterWatch(jid), requests: new PendingIqs(jid), fetch: new RosterFetch(bareOf(jid)) }
}

/** Whether a contact's domain is one of these, which are folded. */
export function isTrusted(contact: string, domains: ReadonlySet<string>): boolean {
  const domain = domains.size === 0 ? undefined : parseJid(bareOf(contact))?.domain
  const folded = domain === undefined ? undefined : foldDomain(domain)
  return folded !== undefined && domains.has(folded)
}
