/**
 * A session whose resource is bound: every stanza is judged, counted for stream management, watched for what it says of the roster,
 * and passed on, answered or left out. It survives its stream when stream management lets it be resumed.
 */
import { type ActiveRule, type Decision, type Judgement, judge } from '../rules/judge.ts'
import type { Facts, ForeignFrom } from '../rules/rule.ts'
import { errorReply, type StanzaError } from '../stanza/error.ts'
import { bareOf, foldDomain, parseJid } from '../stanza/jid.ts'
import type { Stanza } from '../stanza/stanza.ts'
import { other, type Side, type StreamError } from '../stream/item.ts'
import type { Element } from '../xml/element.ts'
import { Asked } from './asked.ts'
import type { Cause, News, Recalled, Report, Said } from './event.ts'
import { judgedReport } from './judged.ts'
import type { Management, Repeated } from './management.ts'
import { RosterWatch, type Seen } from './roster-watch.ts'

/** What a bound session wants done; the stream that it is on does it. */
export interface Voice {
  send(to: Side, whole: Element): void
  report(report: Report): void
  tell(news: News): void
  fail(condition: StreamError, cause: Cause, text?: string): void
  /** The language that this side's stanzas inherit from its stream. */
  langOf(side: Side): string | undefined
}

/** Read anew for each stanza: a reload may change them while sessions are there. */
export interface BoundOptions {
  readonly rules: readonly ActiveRule[]
  /** Folded domains whose notifications are believed unasked. */
  readonly trustedDomains: ReadonlySet<string>
  /** What becomes of a client's stanza whose `from` is another's address; left out: `override`. */
  readonly foreignFrom?: ForeignFrom
}

/** What the session has seen and a rule may ask for. */
type Known = Pick<Facts, 'roster' | 'asked'>

/** What a stanza that was forwarded before is judged by: what was believed then is believed again. */
const believing: Known = {
  roster: { answersRequest: () => 'accept', endsSubscription: () => 'accept', holdsVersion: () => true },
  asked: () => 'accept',
}

export class Bound {
  /** The full JID, in the server's spelling. */
  readonly jid: string
  readonly bare: string
  readonly watch: RosterWatch
  /** From the client's `<enable/>` on; `undefined` without stream management. */
  management: Management | undefined
  private readonly options: BoundOptions
  private readonly domain: string
  private readonly requests: Asked
  private readonly known: Known

  /** `domain`: the one that the client asked for, who answers in the server's place. */
  constructor(options: BoundOptions, domain: string, jid: string) {
    this.options = options
    this.domain = domain
    this.jid = jid
    this.bare = bareOf(jid)
    this.watch = new RosterWatch(jid)
    this.requests = new Asked(jid)
    this.known = { roster: this.watch, asked: answer => this.requests.answers(answer) }
  }

  stanza(from: Side, stanza: Stanza, voice: Voice): void {
    const repeat = from === 'upstream' ? this.management?.repeat(stanza) : undefined
    if (repeat === undefined) return this.fresh(from, stanza, voice)
    this.repeated(stanza, repeat.how, voice)
    for (const whole of repeat.next) voice.send('client', whole)
  }

  /** What the rest of the session's phases forbid: answered, and nothing passed on. */
  refuse(stanza: Stanza, error: StanzaError, voice: Voice): void {
    voice.report(judgedReport('client', stanza, 'reject', [], this.bare))
    this.reject('client', stanza, error, [], voice)
  }

  /** What the account's sessions know. A roster that this one has seen before its stream was resumed is told them again. */
  recalled(recalled: Recalled, voice: Voice): void {
    this.watch.recalled(recalled)
    this.spread(this.watch.retold(), voice)
  }

  /** Another session of the account has told something. */
  told(news: News, voice: Voice): void {
    this.spread(this.watch.told(news), voice)
  }

  private fresh(from: Side, stanza: Stanza, voice: Voice): void {
    const { watch, requests } = this
    const { verdict, said } = this.judge(from, stanza, this.known, voice)
    switch (verdict.verdict) {
      case 'forward':
        if (from === 'client') requests.sent(verdict.stanza)
        else requests.received(stanza)
        this.spread(from === 'client' ? watch.sent(verdict.stanza) : watch.received(verdict.stanza), voice)
        this.management?.passed(from, stanza)
        return voice.send(other[from], verdict.stanza.element)
      case 'reject':
        return this.reject(from, stanza, verdict.error, said, voice)
      case 'drop':
        this.spread(watch.refused(from, stanza), voice)
        return this.leaveOut(from, stanza, said, voice)
      case 'close':
        return voice.fail(verdict.error, `${from}-error`, verdict.text)
    }
  }

  private reject(from: Side, stanza: Stanza, error: StanzaError, said: readonly Said[], voice: Voice): void {
    const { management } = this
    this.leaveOut(from, stanza, said, voice)
    if (from === 'client' && management?.owesAnswer(stanza) === false) return
    const to = from === 'client' ? this.jid : undefined
    const answer = errorReply(stanza, error, { by: this.domain, to })
    if (answer === undefined) return
    management?.added(from, answer)
    voice.send(from, answer)
  }

  private leaveOut(from: Side, stanza: Stanza, said: readonly Said[], voice: Voice): void {
    this.management?.leftOut(from, stanza, said)
    if (this.management?.isFlooded === true)
      voice.fail('policy-violation', `${from}-error`, 'too much is not acknowledged')
  }

  /** RFC 6121 has no word on it; XEP-0198 has the server repeat what it was not told to have arrived. */
  private repeated(stanza: Stanza, how: Repeated, voice: Voice): void {
    switch (how.repeated) {
      case 'dropped':
        return voice.report(judgedReport('upstream', stanza, 'drop', how.said, this.bare))
      case 'forwarded':
      case 'decided': {
        const { verdict } = this.judge('upstream', stanza, believing, voice)
        if (verdict.verdict === 'forward') return voice.send('client', verdict.stanza.element)
        break
      }
      case 'other':
        break
    }
    voice.fail('internal-server-error', 'upstream-error', 'what the server repeats is not what it sent')
  }

  private judge(
    from: Side,
    stanza: Stanza,
    known: Known,
    voice: Voice,
  ): { verdict: Judgement['verdict']; said: Said[] } {
    const { verdict, decisions } = judge(this.options.rules, stanza, this.facts(from, known, voice))
    const said = decisions.map(saidOf)
    voice.report(judgedReport(from, stanza, verdict.verdict, said, this.bare, contact => this.watch.stateOf(contact)))
    return { verdict, said }
  }

  private facts(from: Side, known: Known, voice: Voice): Facts {
    const { jid, bare } = this
    const trusts = (contact: string) => isTrusted(contact, this.options.trustedDomains)
    return {
      from,
      jid,
      bare,
      foreignFrom: this.options.foreignFrom ?? 'override',
      lang: voice.langOf(from),
      ...known,
      trusts,
    }
  }

  private spread({ news, reports }: Seen, voice: Voice): void {
    for (const item of news) voice.tell(item)
    for (const report of reports) voice.report(report)
  }
}

/** Whether a contact's domain is one of these, which are folded. */
export function isTrusted(contact: string, domains: ReadonlySet<string>): boolean {
  const domain = domains.size === 0 ? undefined : parseJid(bareOf(contact))?.domain
  const folded = domain === undefined ? undefined : foldDomain(domain)
  return folded !== undefined && domains.has(folded)
}

/** A decision as those who watch are told it: no text in it is a peer's. */
export function saidOf({ rule: { name: rule, clause }, mode, verdict }: Decision): Said {
  const said = { rule, clause, mode, verdict: verdict.verdict }
  switch (verdict.verdict) {
    case 'reject':
      return { ...said, error: verdict.error.condition }
    case 'close':
      return { ...said, error: verdict.error }
    default:
      return said
  }
}
