/** One watcher that passes on to several what it is told. */
import type { Watcher } from '../relay/watcher.ts'
import { DecisionIds, isDecision, isSubscription } from './decision-ids.ts'

/** All watchers are told the same, with one id for each decision. */
export function fanOut(watchers: readonly Watcher[]): Watcher {
  const ids = new DecisionIds()
  return {
    report: (report, about) => {
      const isNamed = report.report === 'judged' && (isDecision(report) || isSubscription(report))
      const named = isNamed ? { ...about, decision: ids.next() } : about
      for (const watcher of watchers) watcher.report(report, named)
    },
    sent: (to, kind, route) => {
      for (const watcher of watchers) watcher.sent?.(to, kind, route)
    },
    bytes: (side, way, count) => {
      for (const watcher of watchers) watcher.bytes(side, way, count)
    },
    took: seconds => {
      for (const watcher of watchers) watcher.took(seconds)
    },
    fault: (error, about) => {
      for (const watcher of watchers) watcher.fault(error, about)
    },
    refused: (reason, listener, address) => {
      for (const watcher of watchers) watcher.refused(reason, listener, address)
    },
  }
}
