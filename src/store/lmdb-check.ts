/**
 * Looks at the files of an embedded store, as a process of its own: LMDB maps files into memory and trusts them, so a damaged file
 * may end the process that reads it. Reads every entry, and writes to standard output one line of JSON, a `CheckResult`.
 */
import { compareKeys, open, type RootDatabase } from 'lmdb'
import { type EntryKey, formatKey, layout } from './lmdb-layout.ts'
import { storeFormat } from './store.ts'

export interface CheckResult {
  /** `unusable`: the system does not let it be read. */
  readonly found: 'good' | 'empty' | 'foreign' | 'newer' | 'damaged' | 'unusable'
  /** More of it, for people. */
  readonly detail?: string
}

/** An entry that another process writes meanwhile is counted in one place and not in the other. */
const attempts = 3

function check(path: string): CheckResult {
  const db = open<string, EntryKey>({ ...layout, path, readOnly: true })
  const format = db.get(formatKey)
  if (format === undefined) return { found: entriesOf(db) === 0 ? 'empty' : 'foreign' }
  if (!/^[1-9]\d*$/.test(format)) return { found: 'damaged', detail: 'its version cannot be read' }
  if (Number(format) > storeFormat) return { found: 'newer', detail: format }
  let [told, walked] = [0, -1]
  for (let attempt = 0; attempt < attempts && told !== walked; attempt++) {
    told = entriesOf(db)
    walked = 0
    let before: EntryKey = []
    for (const { key, value } of db.getRange({})) {
      if (!Array.isArray(key) || typeof value !== 'string') return { found: 'damaged', detail: 'an entry has no text' }
      if (walked > 0 && compareKeys(before, key) >= 0)
        return { found: 'damaged', detail: 'entries are not in their order' }
      before = key
      walked++
    }
  }
  return told === walked ? { found: 'good' } : { found: 'damaged', detail: `${walked} of ${told} entries can be read` }
}

/** As LMDB's own page says. */
function entriesOf(db: RootDatabase<string, EntryKey>): number {
  return (db.getStats() as { entryCount: number }).entryCount
}

let result: CheckResult
try {
  result = check(process.argv[2] ?? '')
} catch (error) {
  const { code } = error as { code?: unknown }
  // LMDB's own are negative, the system's are not.
  const isOfSystem = typeof code === 'number' && code > 0
  result = {
    found: isOfSystem ? 'unusable' : 'damaged',
    detail: error instanceof Error ? error.message : String(error),
  }
}
// At once: closing a damaged file may fail too.
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
