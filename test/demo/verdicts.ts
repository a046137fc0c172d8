/** What became of the conversation's stanzas: the gate's own reports as a table. */

import type { Watcher } from '../../src/relay/watcher.ts'
import { rules } from '../../src/rules/all-rules.ts'
import type { Report } from '../../src/session/report.ts'

type Judged = Extract<Report, { report: 'judged' }>

/** Collects what is reported of presence stanzas, the matter of this gate. */
export class Verdicts implements Watcher {
  private readonly judged: Judged[] = []

  report(report: Report): void {
    if (report.report === 'judged' && report.kind === 'presence') this.judged.push(report)
  }

  bytes(): void {}
  handled(): void {}
  fault(): void {}
  refused(): void {}

  /** One row a stanza; nothing is said of a stanza that was right as it came but that it went on. */
  table(): string[] {
    const rows = this.judged.map(report => {
      const said = report.said.at(-1)
      const way = report.from === 'client' ? `${report.account} → server` : `server → ${report.account}`
      const { clause = '–' } = rules.find(rule => rule.name === said?.rule) ?? {}
      return [
        way,
        `presence ${report.type}`,
        outcomes[report.verdict](said !== undefined),
        report.verdict,
        said?.rule ?? '–',
        clause,
      ]
    })
    const all = [['who', 'sent', 'what came out', 'verdict', 'rule', 'clause'], ...rows]
    const widths = (all[0] as string[]).map((_, column) => Math.max(...all.map(row => (row[column] as string).length)))
    return all.map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] as number))
        .join('  ')
        .trimEnd(),
    )
  }
}

const outcomes: Readonly<Record<Judged['verdict'], (isChanged: boolean) => string>> = {
  forward: isChanged => (isChanged ? 'the same, with bare JIDs' : 'the same'),
  reject: () => 'an error for the sender',
  drop: () => 'nothing',
  close: () => 'a stream error',
}
