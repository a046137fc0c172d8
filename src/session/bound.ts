/**
 * A session whose resource is bound. Every stanza is judged by the rules, counted for stream management, read for what it says of
 * the roster, and then passed on, answered or left out. The session can outlive its stream when stream management allows a
 * resumption.
 */

import { keyOf } from '../account/contact-map.ts'
import type { AccountNews, AccountSnapshot } from '../account/news.ts'
import type { Quarantine } from '../account/quarantine.ts'
import { type Observed, RosterWatch } from '../account/roster-watch.ts'
import type { StrangerPolicy } from '../account/stranger-policy.ts'
import { type ActiveRule, type Judgement, judge } from '../rules/judge.ts'
import type { ForeignFrom, Unverified } from '../rules/mode.ts'
import { type RuleOutcome, ruleOutcomeOf } from '../rules/outcome.ts'
import { pendingRequests } from '../rules/pending-requests.ts'
import { redeliverRequests } from '../rules/redeliver-requests.ts'
import type { Facts } from '../rules/rule.ts'
import { rulesByScope } from '../rules/rules-by-scope.ts'
import { errorReply, type StanzaError } from '../stanza/error.ts'
import { bareOf, foldDomain, hasResource, parseJid } from '../stanza/jid.ts'
import { type Stanza, stanzaOf } from '../stanza/stanza.ts'
import { other, type Side } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import type { Visible } from '../subscription/state.ts'
import { type Element, element } from '../xml/element.ts'
import { GrantGuard, type GuardedSession } from './grant-guard.ts'
import { judgedReport } from './judgement-report.ts'
import { PendingIqs } from './pending-iqs.ts'
import { PendingRequests } from './pending-requests.ts'
import { blockedBy, type Due, type Redeliveries, Redelivery } from './redelivery.ts'
import type { BoundOutput, ResumableSession } from './resumable-session.ts'
import { type Hidden, RosterFetch } from './roster-fetch.ts'
import { type SessionRecord, sessionFormat } from './session-record.ts'
import { type Repeated, StanzaCounts } from './stanza-counts.ts'
import { type Notice, stanzaOfNotice } from './stranger-notices.ts'

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
  private readonly pending: PendingRequests | undefined
  private readonly guard: GrantGuard | undefined
  private readonly redelivery: Redelivery | undefined
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
    const pending =
      options.quarantine &&
      new PendingRequests(
        options.quarantine,
        this.bare,
        {
          isNoStranger: contact => this.watch.isContact(contact) || this.trusts(contact),
          hasContactAt: name => this.watch.hasContactAt(name),
          knowsRoster: () => this.watch.isComplete,
        },
        options.strangers,
      )
    this.pending = pending
    const guard = options.mayCompensate && new GrantGuard(options, this.bare, this.guarded())
    this.guard = guard
    const { redeliveries } = options
    if (redeliveries !== undefined && isRedelivering(options)) this.redelivery = new Redelivery(redeliveries, jid)
    this.known = {
      roster: this.watch,
      asked: answer => this.requests.answers(answer),
      isRequestHeld:
        pending === undefined ? believing.isRequestHeld : (contact, request) => pending.isHeld(contact, request),
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
    if (pending !== null) session.pending?.restore(pending)
    if (compensation !== null) session.guard?.restore(compensation)
    if (redelivery === null) session.redelivery?.skip()
    else session.redelivery?.restore(redelivery)
    return session
  }

  get record(): SessionRecord | undefined {
    const { jid, domain, offersPreApproval, watch, requests, fetch } = this
    const counts = this.counts?.record
    if (counts === undefined) return undefined
    const pending = this.pending?.record ?? null
    const compensation = this.guard?.record ?? null
    const redelivery = this.redelivery?.record ?? null
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
  }

  /** Another session of the account has told something. */
  told(news: AccountNews, output: BoundOutput): void {
    this.spread(this.watch.told(news), output)
    if (news.news === 'unasked-grant') this.guard?.told(news, output)
    if (news.news === 'roster') this.isLive = true
    if (news.news === 'requests-decided') return this.release(output)
    if (news.news !== 'blind') return
    this.isLive = false
    if (this.fetch.isWanted) this.fetchRoster(output)
  }

  private fresh(from: Side, stanza: Stanza, lang: string | undefined, output: BoundOutput): void {
    const { watch, requests, redelivery } = this
    if (from === 'upstream') redelivery?.came(stanza)
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
          if (redelivery?.isPong(stanza) === true) return this.ponged(stanza, redelivery, output)
          const hidden = this.fetch.received(stanza)
          if (guard?.received(verdict.stanza, hidden !== undefined, output) === true) return
          if (hidden !== undefined) return this.hide(stanza, hidden, output)
        }
        this.spread(from === 'client' ? watch.sent(verdict.stanza) : watch.received(verdict.stanza), output)
        this.counts?.passed(from, stanza)
        output.sendElement(other[from], verdict.stanza.element)
        if (this.pending !== undefined) this.passedBy(this.pending, from, verdict.stanza, output)
        if (redelivery !== undefined) this.redeliver(from, verdict.stanza, redelivery, output)
        return
      case 'reject':
        return this.reject(from, stanza, verdict.error, said, output)
      case 'drop':
        this.spread(watch.refused(from, stanza), output)
        this.leaveOut(from, stanza, said, output)
        if (said.at(-1)?.rule === pendingRequests.name && this.pending !== undefined)
          this.setAside(this.pending, stanza, output)
        guard?.refused(stanza, output)
        return
      case 'close':
        return output.fail(verdict.error, `${from}-error`, verdict.text)
    }
  }

  /** Asks the server for the roster, where that is configured and nobody else of the account sees it. */
  private fetchRoster(output: BoundOutput): void {
    if (this.options.unverified !== 'fetch' || this.isLive) return
    const request = this.fetch.request(`stanzagate-${this.options.newStreamId()}`)
    const stanza = stanzaOf(request)
    if (stanza === undefined) return
    this.requests.sent(stanza)
    this.spread(this.watch.sent(stanza), output)
    this.counts?.added('upstream', request)
    output.report({ report: 'roster-fetch', event: 'asked' })
    output.sendElement('upstream', request)
  }

  /** A stanza that is only for the gate. */
  private hide(stanza: Stanza, { event, answer }: Hidden, output: BoundOutput): void {
    this.spread(this.watch.received(stanza), output)
    output.report({ report: 'roster-fetch', event })
    this.leaveOut('upstream', stanza, saidNothing, output)
    if (answer === undefined) return
    this.counts?.added('upstream', answer)
    output.sendElement('upstream', answer)
  }

  private passedBy(pending: PendingRequests, from: Side, stanza: Stanza, output: BoundOutput): void {
    if (pending[from === 'client' ? 'sent' : 'received'](stanza)) this.release(output)
    if (pending.notices.hasAny) this.say(pending.notices.take(true), output)
  }

  private setAside(pending: PendingRequests, stanza: Stanza, output: BoundOutput): void {
    if (pending.hold(stanza)) this.release(output)
    this.say(pending.notices.take(false), output)
  }

  private say(notices: readonly Notice[], output: BoundOutput): void {
    for (const each of notices) {
      if (each.notice === 'report') {
        output.report(each.report)
        continue
      }
      const { to, element, report } = stanzaOfNotice(each, this.domain, this.jid)
      this.counts?.added(to, element)
      output.report(report)
      output.sendElement(to, element)
    }
  }

  /** A stanza has gone on: requests may be due that the server does not deliver again. */
  private redeliver(from: Side, stanza: Stanza, redelivery: Redelivery, output: BoundOutput): void {
    if (from === 'client') this.blocked(stanza, output)
    const due = redelivery[from === 'client' ? 'sent' : 'received'](stanza)
    if (due?.due === 'deliver') return this.deliverAgain(due, output)
    if (due === undefined) return
    const request = redelivery.ping(`stanzagate-${this.options.newStreamId()}`)
    const ping = stanzaOf(request)
    if (ping !== undefined) this.requests.sent(ping)
    this.counts?.added('upstream', request)
    output.sendElement('upstream', request)
  }

  /** The server has answered the gate's ping. */
  private ponged(stanza: Stanza, redelivery: Redelivery, output: BoundOutput): void {
    this.leaveOut('upstream', stanza, saidNothing, output)
    const due = redelivery.answered()
    if (due?.due === 'deliver') this.deliverAgain(due, output)
  }

  /** A contact that the client blocks (XEP-0191) is shown no more. */
  private blocked(stanza: Stanza, output: BoundOutput): void {
    const blocked = blockedBy(stanza, this.bare)
    if (blocked.length === 0) return
    for (const { contact } of this.options.redeliveries?.unanswered(this.bare) ?? [])
      if (blocked.some(jid => isOrHas(jid, contact))) output.tell(this.bare, { news: 'answered', contact })
  }

  /** To the client these are stanzas of the server's; they are judged like one. */
  private deliverAgain({ contacts }: Extract<Due, { due: 'deliver' }>, output: BoundOutput): void {
    const rules = rulesByScope(this.options.rules)
    for (const contact of contacts) {
      const whole = element('presence', ns.client, { type: 'subscribe', from: contact, to: this.bare })
      const stanza = stanzaOf(whole)
      if (stanza === undefined) continue
      const facts = { ...this.facts('upstream', undefined, this.known), isRedelivered: true }
      const { verdict, decisions } = judge(rules.of('upstream', stanza), stanza, facts)
      const said = decisions.map(ruleOutcomeOf)
      const mode = said.find(({ rule }) => rule === redeliverRequests.name)?.mode
      if (mode === undefined) return
      const isHeld = verdict.verdict !== 'forward'
      const outcome = mode === 'observe' ? 'observed' : isHeld ? 'held' : 'delivered'
      output.report({ report: 'redelivery', type: 'subscribe', outcome })
      if (mode === 'observe') continue
      output.report(judgedReport('upstream', stanza, verdict.verdict, said, this.bare, this))
      if (verdict.verdict !== 'forward') {
        if (said.at(-1)?.rule === pendingRequests.name && this.pending !== undefined)
          this.setAside(this.pending, stanza, output)
        continue
      }
      this.spread(this.watch.received(stanza), output)
      this.counts?.added('client', whole)
      output.sendElement('client', whole)
      if (this.pending !== undefined) this.passedBy(this.pending, 'upstream', stanza, output)
    }
  }

  /** Held requests for which there is room now are shown. To the client they are stanzas that it gets later. */
  private release(output: BoundOutput): void {
    for (let held = this.pending?.release(); held !== undefined; held = this.pending?.release()) {
      const stanza = stanzaOf(held.element)
      if (stanza === undefined) continue
      const rules = rulesByScope(this.options.rules).of('upstream', stanza)
      const { verdict } = judge(rules, stanza, this.facts('upstream', undefined, believing))
      if (verdict.verdict !== 'forward') continue
      this.spread(this.watch.received(verdict.stanza), output)
      this.counts?.added('client', verdict.stanza.element)
      output.report({ report: 'request-released' })
      output.sendElement('client', verdict.stanza.element)
    }
  }

  until(now: number): number | undefined {
    return this.guard?.until(now)
  }

  late(now: number, output: BoundOutput): void {
    this.guard?.late(now, output)
  }

  private guarded(): GuardedSession {
    const { watch, trusts } = this
    return {
      roster: {
        stateOf: contact => watch.stateOf(contact),
        isContact: contact => watch.isContact(contact),
        isUnasked: contact => watch.isUnasked(contact),
        answersRequest: contact => watch.answersRequest(contact),
        endsSubscription: contact => watch.endsSubscription(contact),
        trusts,
      },
      say: (whole, output) => this.sayUpstream(whole, output),
      deliver: (stanza, output) => this.deliver(stanza, output),
      leaveOut: (stanza, output) => this.leaveOut('upstream', stanza, saidNothing, output),
      read: (from, stanza, output) =>
        this.spread(from === 'client' ? watch.sent(stanza) : watch.received(stanza), output),
    }
  }

  /** The gate says something in the client's name. */
  private sayUpstream(whole: Element, output: BoundOutput): void {
    this.counts?.added('upstream', whole)
    output.sendElement('upstream', whole)
  }

  /** A stanza of the server's that was held goes to the client, who gets it later. */
  private deliver(stanza: Stanza, output: BoundOutput): void {
    this.spread(this.watch.received(stanza), output)
    const unseen = this.fetch.received(stanza)
    if (unseen?.answer !== undefined) return this.sayUpstream(unseen.answer, output)
    this.counts?.added('client', stanza.element)
    output.sendElement('client', stanza.element)
    if (this.pending?.received(stanza) === true) this.release(output)
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

/** The rule is on when the session begins. */
function isRedelivering({ rules }: BoundOptions): boolean {
  return rules.some(({ rule }) => rule.name === redeliverRequests.name)
}

/** Whether this is the contact's bare JID, or its domain. */
function isOrHas(jid: string, contact: string): boolean {
  if (hasResource(jid)) return false
  const key = keyOf(jid)
  return key === contact || (!key.includes('@') && contact.endsWith(`@${key}`))
}

/** Whether a contact's domain is one of these, which are folded. */
export function isTrusted(contact: string, domains: ReadonlySet<string>): boolean {
  const domain = domains.size === 0 ? undefined : parseJid(bareOf(contact))?.domain
  const folded = domain === undefined ? undefined : foldDomain(domain)
  return folded !== undefined && domains.has(folded)
}
