/** One watcher that passes on to several what it is told. */
import type { About, Watcher } from '../relay/watcher.ts'
import { isDecision, isSubscription } from '../session/judgement-report.ts'
import type { Report } from '../session/report.ts'
import { DecisionIds } from './decision-ids.ts'

/**
 * All watchers are told the same, with one id for each decision. Those that do not want something are not asked for it: most stanzas
 * just go on, and only a counter wants to know.
 */
export function fanOut(watchers: readonly Watcher[]): Watcher {
  const ids = new DecisionIds()
  const isCounted = watchers.every(each => each.plain !== undefined || each.stanzas === 'decisions')
  const report = (report: Report, about: About) => {
    const isNamed = report.report === 'judged' && (isDecision(report) || isSubscription(report))
    // The relay has made the object for this report.
    if (isNamed) about.decision = ids.next()
    for (const watcher of watchers) watcher.report(report, about)
  }
  return {
    report,
    // Otherwise somebody wants to know of every stanza whose it is: then `report` has to be told.
    ...(isCounted && { plain: toAll(watchers.flatMap(each => each.plain?.bind(each) ?? [])) }),
    sent: toAll(watchers.flatMap(each => each.sent?.bind(each) ?? [])),
    bytes: toAll(watchers.flatMap(each => each.bytes?.bind(each) ?? [])),
    handled: toAll(watchers.flatMap(each => each.handled?.bind(each) ?? [])),
    fault: toAll(watchers.flatMap(each => each.fault?.bind(each) ?? [])),
    refused: toAll(watchers.flatMap(each => each.refused?.bind(each) ?? [])),
  }
}

/** Calls each of them; one alone is called directly, as these are called for every stanza. */
function toAll<Args extends readonly unknown[]>(calls: readonly ((...args: Args) => void)[]): (...args: Args) => void {
  const [first] = calls
  if (calls.length === 1 && first !== undefined) return first
  return (...args) => {
    for (const call of calls) call(...args)
  }
}
