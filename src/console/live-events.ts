/**
 * Sends subscription traffic and decisions to viewers as they happen. The last ones are kept for a viewer that comes later or
 * comes back; a viewer that does not read is disconnected. Without viewers a stanza that just goes on costs one comparison.
 */

import type { Parameter, Query } from '../admin/query.ts'
import { metrics, stateLabel, verdicts } from '../observe/metric-definitions.ts'
import type { About, Watcher } from '../relay/watcher.ts'
import type { RuleOutcome } from '../rules/outcome.ts'
import { decidingOf, isDecision, isSubscription, type Judged } from '../session/judgement-report.ts'
import type { Report } from '../session/report.ts'
import { detachedString } from '../stanza/detached-string.ts'
import { foldBare } from '../stanza/jid.ts'

/** What is not known is null. */
export interface FeedEvent {
  /** Names of decisions sort by time. */
  readonly id: string
  /** ISO 8601, UTC. */
  readonly time: string
  readonly direction: Direction
  readonly account: string | null
  readonly contact: string | null
  readonly kind: Judged['kind']
  readonly type: string
  /** Of the type `other`: the attribute as its sender wrote it, shortened. */
  readonly spelled: string | null
  /** What was known of the contact's subscription before. */
  readonly state: string | null
  /** What the rule that counts has said; with mode observe it was not carried out. */
  readonly verdict: RuleOutcome['verdict']
  readonly error: string | null
  readonly rule: string
  readonly clause: string | null
  readonly mode: RuleOutcome['mode'] | null
  readonly route: string | null
  readonly listener: string
  /** Counts the gate's connections. */
  readonly session: number
}

/** As RFC 6121 has it: the user's stanzas are outbound. */
export const directions = ['outbound', 'inbound'] as const
export type Direction = (typeof directions)[number]

/** No rule has spoken. */
const nobody = 'none'

export const eventParameters = {
  account: 'jid',
  contact: 'jid',
  type: metrics.stanzas.labels.type,
  verdict: verdicts,
  rule: metrics.stanzas.labels.rule,
  direction: directions,
} as const satisfies Record<string, Parameter>

export const eventsAtMost = 500
export const viewersAtMost = 20
/** UTF-16 units of a JID that are shown: no bare JID is longer (RFC 7622 section 3.1). */
const longest = 2_047
/** Characters of a type that are shown. */
const spelledAtMost = 40

export interface Viewer {
  readonly query: Query
  /** `id` and the event as JSON. */
  see(id: string, json: string): void
}

export class LiveEvents implements Watcher {
  readonly stanzas = 'decisions'
  private readonly time: () => number
  /** A ring: the oldest one is overwritten. */
  private readonly kept: KeptEvent[] = []
  private next = 0
  private readonly viewers = new Set<Viewer>()

  /** `time`: milliseconds since 1970. */
  constructor(time: () => number = Date.now) {
    this.time = time
  }

  /**
   * Sends the kept events at once, from the one after that id. Gives the function that ends it; `undefined`: there are too many
   * viewers.
   */
  join(viewer: Viewer, after?: string): (() => void) | undefined {
    if (this.viewers.size >= viewersAtMost) return undefined
    for (const event of [...this.kept.slice(this.next), ...this.kept.slice(0, this.next)]) {
      if (after !== undefined && event.id <= after) continue
      if (isWanted(event, viewer.query)) viewer.see(event.id, jsonOf(event))
    }
    this.viewers.add(viewer)
    return () => this.viewers.delete(viewer)
  }

  report(report: Report, about: About): void {
    if (about.decision === undefined || report.report !== 'judged') return
    if (!isDecision(report) && !isSubscription(report)) return
    const event = eventOf(report, about, about.decision, this.time())
    this.kept[this.next] = event
    this.next = (this.next + 1) % eventsAtMost
    let json: string | undefined
    for (const viewer of this.viewers) {
      if (!isWanted(event, viewer.query)) continue
      json ??= jsonOf(event)
      viewer.see(event.id, json)
    }
  }
}

/** Milliseconds since 1970 are written as ISO 8601 only when somebody looks. */
type KeptEvent = Omit<FeedEvent, 'time'> & { readonly time: number }

function jsonOf(event: KeptEvent): string {
  const whole: FeedEvent = { ...event, time: new Date(event.time).toISOString() }
  return JSON.stringify(whole)
}

function eventOf(report: Judged, about: About, id: string, time: number): KeptEvent {
  const { from, kind, type, account, contact, state, said, verdict } = report
  const deciding = decidingOf(said)
  return {
    id,
    time,
    direction: from === 'client' ? 'outbound' : 'inbound',
    account: shortened(account),
    // It is kept longer than the stanza that it was read from.
    contact: contact === undefined ? null : detachedString(shortened(contact) as string),
    kind,
    type,
    spelled: type === 'other' ? spelledOf(report) : null,
    state: state === undefined ? null : state === 'unknown' ? state : stateLabel(state),
    verdict: deciding?.verdict ?? verdict,
    error: deciding?.error ?? null,
    rule: deciding?.rule ?? nobody,
    clause: deciding?.clause ?? null,
    mode: deciding?.mode ?? null,
    route: about.route ?? null,
    listener: about.listener,
    session: about.id,
  }
}

/** An unknown type, shortened: it helps to find who sends it. */
function spelledOf({ spelled }: Judged): string | null {
  if (spelled === undefined) return null
  const signs = Array.from(spelled.slice(0, 2 * spelledAtMost + 2))
  return signs.length > spelledAtMost ? `${signs.slice(0, spelledAtMost).join('')}…` : detachedString(spelled)
}

function shortened(jid: string | undefined): string | null {
  if (jid === undefined) return null
  return jid.length > longest ? `${jid.slice(0, longest)}…` : jid
}

function isWanted(event: KeptEvent, query: Query): boolean {
  for (const [name, values] of query) {
    const own = event[name as keyof typeof eventParameters]
    const value = name === 'account' || name === 'contact' ? own && (foldBare(own) ?? own) : own
    if (value === null || !values.includes(value)) return false
  }
  return true
}
