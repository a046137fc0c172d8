/**
 * The addresses, accounts and contacts with most decisions against them. They are no labels of metrics, because there can be any
 * number of them: each kind has a limited number of counters (Metwally and others, 2005: Space-Saving). A name with more than its
 * share of all decisions is certainly among them. A count is too high by at most its `error`, and never too low.
 */

import type { About, Watcher } from '../relay/watcher.ts'
import type { RuleOutcome } from '../rules/outcome.ts'
import { decidingOf } from '../session/judgement-report.ts'
import type { Report } from '../session/report.ts'
import { detachedString } from '../stanza/detached-string.ts'
import { foldBare } from '../stanza/jid.ts'

export const offenderKinds = ['account', 'contact', 'address'] as const
export type OffenderKind = (typeof offenderKinds)[number]

export interface Offender {
  readonly kind: OffenderKind
  /** A bare JID, or an IP address. */
  readonly key: string
  /** Decisions against it, at most. */
  readonly count: number
  /** By which the count may be too high. */
  readonly error: number
  /** The rule of the last one; `none`: the stream was not far enough for the stanza, or the connection was not served. */
  readonly rule: string
  /** Observed: it would have been, and the stanza was forwarded. */
  readonly mode: RuleOutcome['mode']
}

interface Counter {
  count: number
  error: number
  rule: string
  mode: Offender['mode']
}

const countersAtMost = 200
/** UTF-16 units of a name: no bare JID is longer (RFC 7622 section 3.1). */
const longest = 2_047

/** Finds the most frequent of any number of names with a limited number of counters. */
export class Sketch {
  private readonly counters = new Map<string, Counter>()
  private readonly atMost: number

  constructor(atMost = countersAtMost) {
    this.atMost = atMost
  }

  add(name: string, rule: string, mode: Offender['mode']): void {
    const counter = this.counters.get(name)
    if (counter !== undefined) {
      counter.count++
      counter.rule = rule
      counter.mode = mode
      return
    }
    // A name that replaces the rarest one may have been counted before, at most as often as that one.
    const error = this.counters.size < this.atMost ? 0 : this.takeRarest()
    this.counters.set(detachedString(name), { count: error + 1, error, rule, mode })
  }

  /** Most first. */
  *[Symbol.iterator](): Iterator<Counter & { readonly name: string }> {
    const all = [...this.counters].sort(([, a], [, b]) => b.count - a.count)
    for (const [name, counter] of all) yield { name, ...counter }
  }

  private takeRarest(): number {
    let rarest = ''
    let least = Number.POSITIVE_INFINITY
    for (const [name, { count }] of this.counters) {
      if (count >= least) continue
      rarest = name
      least = count
      // Nothing is rarer than what was counted once.
      if (least === 1) break
    }
    this.counters.delete(rarest)
    return least
  }
}

export class Offenders implements Watcher {
  readonly stanzas = 'decisions'
  private readonly sketches: Readonly<Record<OffenderKind, Sketch>> = {
    account: new Sketch(),
    contact: new Sketch(),
    address: new Sketch(),
  }

  /** For the API: JSON as it is, most first. */
  snapshot(): Offender[] {
    const all = offenderKinds.flatMap(kind =>
      [...this.sketches[kind]].map(({ name: key, ...counter }) => ({ kind, key, ...counter })),
    )
    return all.sort((a, b) => b.count - a.count)
  }

  report(report: Report, about: About): void {
    if (report.report !== 'judged') return
    const deciding = decidingOf(report.said)
    const { rule = 'none', mode = 'enforce', verdict = report.verdict } = deciding ?? {}
    if (verdict === 'forward') return
    // A stanza from the server is the contact's doing, not the client's.
    if (report.from === 'upstream') return this.add('contact', report.contact, rule, mode)
    this.add('account', report.account, rule, mode)
    this.add('address', about.client, rule, mode)
  }

  refused(_reason: string, _listener: string, address: string | undefined): void {
    this.add('address', address, 'none', 'enforce')
  }

  private add(kind: OffenderKind, name: string | undefined, rule: string, mode: Offender['mode']): void {
    if (name === undefined) return
    const key = kind === 'address' ? name : (foldBare(name) ?? name.slice(0, longest))
    this.sketches[kind].add(key, rule, mode)
  }
}
