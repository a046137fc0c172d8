/**
 * The audit: one line of JSON for each decision. It says who, to whom, what, in which state and by which rule; it never holds the
 * text of a message or a status.
 */

import { createHmac } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import type { AuditConfig } from '../config/types.ts'
import type { About, Watcher } from '../relay/watcher.ts'
import type { RuleOutcome } from '../rules/outcome.ts'
import { pendingRequests } from '../rules/pending-requests.ts'
import { subscriptionNeedsRequest } from '../rules/subscription-needs-request.ts'
import { decidingOf, isDecision, isSubscription, type Judged } from '../session/judgement-report.ts'
import type { Report } from '../session/report.ts'
import { foldBare } from '../stanza/jid.ts'
import type { Side } from '../stream/item.ts'
import type { Clock } from '../transport/clock.ts'
import { AuditFile, type AuditOutcome } from './audit-file.ts'
import { oneLine } from './log.ts'
import { stateLabel } from './metric-definitions.ts'

/** One line. A value that is not known is null. */
export interface AuditRecord {
  /** ISO 8601, UTC. */
  readonly time: string
  /** Also in the log's line of this decision. */
  readonly id: string | null
  readonly account: string | null
  readonly contact: string | null
  /** `gate`: the gate itself has sent it in the account's name. */
  readonly from: AuditSide | 'gate'
  readonly kind: Judged['kind']
  readonly type: string
  /** What was known of the contact's subscription before. */
  readonly state: string | null
  /** The server offers pre-approval (RFC 6121 section 3.4); of what is about a subscription. */
  readonly preApproval: boolean | null
  /** What the rule that counts has said; with mode observe it was not carried out. */
  readonly verdict: RuleOutcome['verdict']
  readonly error: string | null
  readonly rule: string | null
  readonly clause: string | null
  readonly mode: RuleOutcome['mode'] | null
  /** All that the rules said, in order. */
  readonly said: readonly Pick<RuleOutcome, 'rule' | 'mode' | 'verdict' | 'error'>[]
  readonly route: string | null
  readonly listener: string
  /** Counts the gate's connections since it was started; the log calls it `stream`. */
  readonly session: number
}

export type AuditSide = 'client' | 'server'
export const auditSides: Readonly<Record<Side, AuditSide>> = { client: 'client', upstream: 'server' }

/** The beginning of every hash of a JID. No JID begins so: it would have a colon. */
export const hashPrefix = 'hmac:'

/** The hash of a bare JID under a key: HMAC-SHA-256, 128 bits of it. All spellings of one account have one hash. */
export function hashedJid(key: string, jid: string): string {
  const named = foldBare(jid) ?? jid
  return `${hashPrefix}${createHmac('sha256', key).update(named).digest('hex').slice(0, 32)}`
}

/** UTF-16 units of a JID that are written: no bare JID is longer (RFC 7622 section 3.1). */
const longest = 2_047
/** Milliseconds between two lines of the log about lines that were lost. */
const quiet = 60_000
const noOutcomes: readonly RuleOutcome[] = []
/** Milliseconds that what still waits may take when the gate stops. */
const lastWords = 2_000

export interface AuditOptions {
  readonly config: AuditConfig
  readonly clock: Clock
  readonly logger: Pick<FastifyBaseLogger, 'error'>
  counted(outcome: AuditOutcome, lines: number): void
  /** Milliseconds since 1970; default: now. */
  readonly time?: () => number
}

export class Audit implements Watcher {
  readonly stanzas = 'decisions'
  private readonly options: AuditOptions
  private readonly file: AuditFile
  private readonly name: (jid: string) => string
  private lost = { told: Number.NEGATIVE_INFINITY, count: 0 }

  constructor(options: AuditOptions) {
    this.options = options
    const { config, clock } = options
    const { key } = config
    this.name = key === undefined ? shortened : jid => hashedJid(key, jid)
    const told = (outcome: AuditOutcome, lines: number, why?: string) => {
      options.counted(outcome, lines)
      if (outcome === 'lost') this.complain(lines, why)
    }
    this.file = new AuditFile({ path: config.file, now: () => clock.now(), told })
  }

  report(report: Report, about: About): void {
    if (report.report === 'request-denied') return this.denied(report, about)
    const judged = report.report === 'compensation' ? undoingOf(report) : report
    if (judged?.report !== 'judged') return
    if (!isDecision(judged) && !(this.options.config.all && isSubscription(judged))) return
    const time = (this.options.time ?? Date.now)()
    this.file.add(oneLine(JSON.stringify(recordOf(judged, about, time, this.name))))
  }

  private denied({ account, contact }: Extract<Report, { report: 'request-denied' }>, about: About): void {
    const said = { kind: 'presence', type: 'unsubscribed', verdict: 'forward', said: noOutcomes } as const
    const time = (this.options.time ?? Date.now)()
    const record = recordOf({ report: 'judged', from: 'client', account, contact, ...said }, about, time, this.name)
    const { name: rule, clause } = pendingRequests
    this.file.add(oneLine(JSON.stringify({ ...record, id: null, from: 'gate', rule, clause } satisfies AuditRecord)))
  }

  /** The file is opened again, wherever its path leads now. */
  reopen(): void {
    this.file.reopen()
  }

  /** Resolves when what waits is written, or the disk has had its time. */
  async stop(): Promise<void> {
    const { clock } = this.options
    let cancel = () => {}
    const enough = new Promise<void>(resolve => {
      cancel = clock.after(lastWords, resolve)
    })
    await Promise.race([this.file.close(), enough])
    cancel()
  }

  private complain(lines: number, why: string | undefined): void {
    const { clock, config, logger } = this.options
    this.lost.count += lines
    const now = clock.now()
    if (now - this.lost.told < quiet) return
    logger.error({ file: config.file, reason: why, lines: this.lost.count }, 'lines of the audit are lost')
    this.lost = { told: now, count: 0 }
  }
}

/** The `unsubscribe` that the gate has sent in the account's name; `undefined`: it has sent none. */
function undoingOf({
  outcome,
  account,
  contact,
  before,
}: Extract<Report, { report: 'compensation' }>): Judged | undefined {
  if (outcome !== 'undone') return undefined
  const { name: rule, clause } = subscriptionNeedsRequest
  return {
    report: 'judged',
    from: 'client',
    kind: 'presence',
    type: 'unsubscribe',
    verdict: 'forward',
    said: [{ rule, clause, mode: 'enforce', verdict: 'forward' }],
    account,
    contact,
    state: before,
  }
}

function recordOf(report: Judged, about: About, time: number, name: (jid: string) => string): AuditRecord {
  const { account, contact, said, state, offersPreApproval = null } = report
  const deciding = decidingOf(said)
  return {
    time: new Date(time).toISOString(),
    id: about.decision ?? null,
    account: account === undefined ? null : name(account),
    contact: contact === undefined ? null : name(contact),
    from: auditSides[report.from],
    kind: report.kind,
    type: report.type,
    state: state === undefined ? null : state === 'unknown' ? state : stateLabel(state),
    preApproval: offersPreApproval,
    verdict: deciding?.verdict ?? report.verdict,
    error: deciding?.error ?? null,
    rule: deciding?.rule ?? null,
    clause: deciding?.clause ?? null,
    mode: deciding?.mode ?? null,
    said: said.map(({ clause: _, ...rest }) => rest),
    route: about.route ?? null,
    listener: about.listener,
    session: about.id,
  }
}

function shortened(jid: string): string {
  return jid.length > longest ? `${jid.slice(0, longest)}…` : jid
}
