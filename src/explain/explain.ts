/**
 * What the gate does with one stanza, and why: the rules in the order in which they are asked, as a structure that a terminal or
 * a page can show. Everything here is a function of its arguments. It asks the rules themselves and knows none of them by name.
 */

import type { StrangerSettings } from '../account/stranger-policy.ts'
import { defaultLimits } from '../config/limits.ts'
import type { RulesConfig } from '../config/types.ts'
import { type AuditSide, auditSides } from '../observe/audit.ts'
import { activeRules, modeIn, rules, rulesOf } from '../rules/all-rules.ts'
import { type Decision, type Judgement, judge } from '../rules/judge.ts'
import type { Mode } from '../rules/mode.ts'
import { type RuleOutcome, ruleOutcomeOf } from '../rules/outcome.ts'
import type { Facts, Rule } from '../rules/rule.ts'
import { isTrusted } from '../session/bound.ts'
import { decidingOf } from '../session/judgement-report.ts'
import { PendingIqs } from '../session/pending-iqs.ts'
import { errorReply } from '../stanza/error.ts'
import { bareOf, foldDomain, parseJid } from '../stanza/jid.ts'
import { type Kind, type Stanza, stanzaOf, subscriptionTypeOf } from '../stanza/stanza.ts'
import { typeLabel } from '../stanza/type-label.ts'
import { tcpFraming } from '../stream/framing.ts'
import type { Side, StreamItem } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import { element } from '../xml/element.ts'
import { reasonsOf } from './reasons.ts'
import { type PreApprovalName, rosterIn, type ServerStep, type StateName, serverSteps, stateNames } from './states.ts'
import type { Step } from './step.ts'
import { strangerReason } from './stranger-reason.ts'

/** What is not known, or does not apply, is null. */
export interface Explanation {
  readonly from: AuditSide
  readonly kind: Kind
  /** As in the metrics: an absent one by its name, one that there is not as `other`. */
  readonly type: string
  readonly account: string | null
  readonly contact: string | null
  /** What is known of the contact's subscription. */
  readonly state: StateName | null
  /** What becomes of it. */
  readonly verdict: RuleOutcome['verdict']
  readonly isRewritten: boolean
  /** The rule that counts: that decided, else would have, else rewrote. */
  readonly rule: string | null
  readonly clause: string | null
  readonly mode: RuleOutcome['mode'] | null
  /** Sentences. */
  readonly why: readonly string[]
  readonly path: readonly Step[]
  /** The states in which it would pass, of a `subscribed` and an `unsubscribed` from the server. */
  readonly passesIn: readonly StateName[] | null
  /** What a server does with it by RFC 6121, of a subscription stanza. */
  readonly server: readonly ServerStep[]
  /** XML: what the other side gets. */
  readonly forwarded: string | null
  /** XML: what its sender gets, a stanza error or a stream error. */
  readonly answer: string | null
}

export interface Question {
  readonly stanza: Stanza
  readonly from: Side
  /** The full JID that is bound. */
  readonly jid: string
  readonly state: StateName
  /** Default: every rule enforces, nobody is trusted. */
  readonly rules?: RulesConfig
  /** What the configuration says of strangers' requests; left out: nothing is known of it. */
  readonly strangers?: StrangerSettings | undefined
  /** Whom the client has asked under the stanza's id, of an IQ result or error. */
  readonly asked?: readonly string[]
  /** What the server offers, and what the user has made of it; default: `none`. */
  readonly preApproval?: PreApprovalName | undefined
  /** Roster versions whose contents the gate knows. */
  readonly versions?: readonly string[]
}

/** What a recorded decision says; the stanza itself was not kept. */
export interface Recorded {
  readonly from: Side
  readonly kind: Kind
  readonly type: string
  readonly account: string | null
  readonly contact: string | null
  readonly state: StateName | null
  readonly preApproval?: PreApprovalName
  /** Of a stanza that no rule has spoken of; otherwise they say what became of it. */
  readonly verdict: RuleOutcome['verdict']
  readonly said: readonly Omit<RuleOutcome, 'clause'>[]
}

const enforced: RulesConfig = { default: 'enforce', modes: new Map(), trustedDomains: [] }

export function explainStanza(question: Question): Explanation {
  const { stanza, from, jid, state, rules: settings = enforced, strangers } = question
  const routine = new Set<Rule>()
  const { verdict, decisions } = judgementIn(state, question, rule => routine.add(rule))
  const said = decisions.map(ruleOutcomeOf)
  const address = from === 'client' ? stanza.to : stanza.from
  const contact = address === undefined ? null : bareOf(address)
  const type = typeLabel(stanza.kind, stanza.type)
  const path = rulesOf(settings).map((rule): Step => {
    const decision = decisions.find(each => each.rule === rule)
    const mode = decision?.mode ?? modeIn(settings, rule)
    const texts = { error: decision ? (ruleOutcomeOf(decision).error ?? null) : null, text: textOf(decision) }
    const verdict = decision?.verdict.verdict ?? (routine.has(rule) ? 'forward' : undefined)
    const step = stepOf(rule, mode, verdict)
    return { ...step, ...(routine.has(rule) ? { outcome: 'rewrote' } : {}), ...texts }
  })
  const { passesIn, server } = statesOf(question, stanza)
  const summary = summaryOf(verdict.verdict, said)
  const isStranger = from === 'upstream' && contact !== null && (state === 'none' || state === 'unknown')
  const stranger =
    strangers === undefined || !isStranger ? undefined : strangerReason(strangers, bareOf(jid), bareOf(contact))
  return {
    ...{ from: auditSides[from], kind: stanza.kind, type, account: bareOf(jid), contact, state },
    ...summary,
    isRewritten: summary.isRewritten || (verdict.verdict === 'forward' && routine.size > 0),
    why: reasonsOf({ stanza, from, verdict: verdict.verdict, path: closed(path), state, stranger }),
    path: closed(path),
    passesIn,
    server,
    forwarded: verdict.verdict === 'forward' ? write({ item: 'element', element: verdict.stanza.element }) : null,
    answer: answerOf(stanza, from, jid, verdict),
  }
}

/** Explains a recorded decision. */
export function explainRecord(record: Recorded): Explanation {
  const { from, said, state } = record
  const stanza = standInFor(record)
  const known = rules.map(({ name, clause, about }) => ({ name, clause, about }))
  const foreign = said.filter(({ rule }) => !known.some(({ name }) => name === rule))
  const all = [...foreign.map(({ rule }) => ({ name: rule, clause: '', about: '' })), ...known]
  const path = closed(
    all.map((rule): Step => {
      const spoken = said.find(each => each.rule === rule.name)
      return { ...stepOf(rule, spoken?.mode ?? null, spoken?.verdict), error: spoken?.error ?? null, text: null }
    }),
  )
  const whole = said.map(each => ({ ...each, clause: all.find(({ name }) => name === each.rule)?.clause ?? '' }))
  const decided = whole.find(each => each.mode !== 'observe' && each.verdict !== 'forward')
  const verdict = said.length === 0 ? record.verdict : (decided?.verdict ?? 'forward')
  const { preApproval } = record
  const question = { stanza, from, jid: record.account ?? '', state: state ?? ('unknown' as const), preApproval }
  const { passesIn, server } = state === null ? { passesIn: null, server: [] } : statesOf(question, stanza)
  const { kind, type, account, contact } = record
  return {
    ...{ from: auditSides[from], kind, type, account, contact, state },
    ...summaryOf(verdict, whole),
    why: reasonsOf({ stanza, from, verdict, path, state }),
    ...{ path, passesIn, server, forwarded: null, answer: null },
  }
}

function judgementIn(state: StateName, question: Question, onRoutine?: (rule: Rule) => void): Judgement {
  const { stanza, from, jid, rules: settings = enforced, asked = [], versions = [] } = question
  const { preApproval = 'none' } = question
  const bare = bareOf(jid)
  const requests = new PendingIqs(jid)
  for (const to of asked) requests.sent({ ...stanza, kind: 'iq', type: 'get', to })
  const trusted = new Set(settings.trustedDomains.flatMap(domain => foldDomain(domain) ?? []))
  const address = from === 'client' ? stanza.to : (stanza.from ?? bare)
  const facts: Facts = {
    ...{ from, jid, bare, lang: undefined },
    foreignFrom: settings.foreignFrom ?? 'override',
    unverified: settings.unknown ?? 'pass',
    mayRequest: () => true,
    isIdleApproval: () => false,
    isRequestHeld: () => false,
    offersPreApproval: preApproval !== 'none',
    isGrantedUnasked: () => false,
    trusts: contact => isTrusted(contact, trusted),
    asked: answer => requests.answers(answer),
    roster: rosterIn(state, address, versions),
  }
  return judge(activeRules(settings), stanza, facts, onRoutine)
}

type Named = Pick<Step, 'clause' | 'about'> & { readonly name: string }

function stepOf({ name, clause, about }: Named, mode: Mode | null, verdict: RuleOutcome['verdict'] | undefined) {
  const outcome = mode === 'off' ? 'off' : verdict === undefined ? 'nothing' : outcomeOf(mode, verdict)
  return { rule: name, clause, about, mode, outcome, verdict: verdict ?? null } as const
}

function outcomeOf(mode: Mode | null, verdict: RuleOutcome['verdict']): 'would' | 'rewrote' | 'decided' {
  if (mode === 'observe') return 'would'
  return verdict === 'forward' ? 'rewrote' : 'decided'
}

/** Nobody is asked after the rule that decided. */
function closed(path: readonly Step[]): Step[] {
  const end = path.findIndex(({ outcome }) => outcome === 'decided')
  return path.map((step, at) =>
    end !== -1 && at > end && step.outcome === 'nothing' ? { ...step, outcome: 'unasked' } : step,
  )
}

function textOf(decision: Decision | undefined): string | null {
  switch (decision?.verdict.verdict) {
    case 'reject':
      return decision.verdict.error.text ?? null
    case 'close':
      return decision.verdict.text ?? null
    default:
      return null
  }
}

function summaryOf(verdict: RuleOutcome['verdict'], said: readonly RuleOutcome[]) {
  const deciding = decidingOf(said)
  const isRewritten = verdict === 'forward' && said.some(each => each.mode !== 'observe' && each.verdict === 'forward')
  const { rule = null, clause = null, mode = null } = deciding ?? {}
  return { verdict, isRewritten, rule, clause, mode }
}

/** For the two notifications that depend on the state, the verdict in every state; and what a server does with a subscription stanza. */
function statesOf(question: Question, stanza: Stanza): Pick<Explanation, 'passesIn' | 'server'> {
  const type = subscriptionTypeOf(stanza)
  if (type === undefined) return { passesIn: null, server: [] }
  const isVerified = question.from === 'upstream' && (type === 'subscribed' || type === 'unsubscribed')
  const passes = (state: StateName) => judgementIn(state, question).verdict.verdict === 'forward'
  const direction = question.from === 'client' ? 'outbound' : 'inbound'
  return {
    passesIn: isVerified ? stateNames.filter(passes) : null,
    server: serverSteps(question.state, direction, type, question.preApproval),
  }
}

/** A stanza for what depends on kind, type and contact only. */
function standInFor({ from, kind, type, contact }: Recorded): Stanza {
  const spelled = type === typeLabel(kind, undefined) ? undefined : type
  const address = from === 'client' ? { to: contact ?? undefined } : { from: contact ?? undefined }
  return stanzaOf(element(kind, ns.client, { type: spelled, ...address })) as Stanza
}

function answerOf(stanza: Stanza, from: Side, jid: string, verdict: Judgement['verdict']): string | null {
  if (verdict.verdict === 'close') {
    const { error: condition, text } = verdict
    return write({ item: 'error', condition, text })
  }
  if (verdict.verdict !== 'reject') return null
  const by = parseJid(jid)?.domain ?? ''
  const answer = errorReply(stanza, verdict.error, { by, to: from === 'client' ? jid : undefined })
  return answer === undefined ? null : write({ item: 'element', element: answer })
}

function write(item: StreamItem): string {
  return tcpFraming('client', defaultLimits.client).write(item)
}
