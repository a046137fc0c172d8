/** One watcher that passes on to several what it is told. */
import type { About, Watcher } from '../relay/watcher.ts'
import { isDecision, isSubscription, type Judged } from '../session/judgement-report.ts'
import type { Report } from '../session/report.ts'
import { DecisionIds } from './decision-ids.ts'

/**
 * All watchers are told the same, with one id for each decision. Those that do not want something are not asked for it: most stanzas
 * just go on, and only a counter wants to know.
 */
export function fanOut(watchers: readonly Watcher[]): Watcher {
  const ids = new DecisionIds()
  const counting = watchers.filter(each => each.plain !== undefined)
  const isCounted = watchers.every(each => each.plain !== undefined || each.stanzas === 'decisions')
  const having = (name: 'sent' | 'bytes' | 'handled' | 'fault' | 'refused') =>
    watchers.filter(each => each[name] !== undefined)
  const [sent, bytes, handled, fault, refused] = (['sent', 'bytes', 'handled', 'fault', 'refused'] as const).map(
    having,
  ) as [Watcher[], Watcher[], Watcher[], Watcher[], Watcher[]]
  const report = (report: Report, about: About) => {
    const isNamed = report.report === 'judged' && (isDecision(report) || isSubscription(report))
    const named = isNamed ? { ...about, decision: ids.next() } : about
    for (const watcher of watchers) watcher.report(report, named)
  }
  const plain = (report: Judged, route: string | undefined) => {
    for (const watcher of counting) watcher.plain?.(report, route)
  }
  return {
    report,
    // Somebody wants to know of every stanza whose it is: then `report` has to be told.
    ...(isCounted && { plain }),
    sent: (to, kind, route) => {
      for (const watcher of sent) watcher.sent?.(to, kind, route)
    },
    bytes: (side, way, count) => {
      for (const watcher of bytes) watcher.bytes?.(side, way, count)
    },
    handled: (seconds, events) => {
      for (const watcher of handled) watcher.handled?.(seconds, events)
    },
    fault: (error, about) => {
      for (const watcher of fault) watcher.fault?.(error, about)
    },
    refused: (reason, listener, address) => {
      for (const watcher of refused) watcher.refused?.(reason, listener, address)
    },
  }
}
