/** One decision out of an audit's file. */
import { open } from 'node:fs/promises'
import { type AuditRecord, auditSides } from '../observe/audit.ts'
import { kinds } from '../stanza/stanza.ts'
import { CallError } from './call.ts'
import type { Recorded } from './explain.ts'
import { isStateName } from './states.ts'

/** The decision of this id, and its record. Throws `CallError` when there is none, or the file cannot be read. */
export async function findRecord(file: string, id: string): Promise<{ record: AuditRecord; recorded: Recorded }> {
  const wanted = id.toLowerCase()
  let lines = 0
  try {
    for await (const line of (await open(file)).readLines()) {
      lines++
      // Cheaper than to parse them all.
      if (!line.includes(wanted)) continue
      const record = parse(line)
      if (record?.id === wanted) return { record, recorded: recordedOf(record) }
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    throw new CallError(`${file} cannot be read (${code})`)
  }
  throw new CallError(`there is no decision '${id}' among the ${lines} lines of ${file}`)
}

/** A line that is whole and an audit's. */
function parse(line: string): AuditRecord | undefined {
  let read: Partial<AuditRecord> | null
  try {
    read = JSON.parse(line)
  } catch {
    // A line that a full disk has cut: not the one that was asked for.
    return undefined
  }
  const isRecord =
    typeof read === 'object' &&
    read !== null &&
    kinds.some(kind => kind === read.kind) &&
    (read.from === 'client' || read.from === 'server') &&
    typeof read.type === 'string' &&
    Array.isArray(read.said)
  return isRecord ? (read as AuditRecord) : undefined
}

function recordedOf({ from, kind, type, account, contact, state, verdict, said }: AuditRecord): Recorded {
  const side = from === auditSides.client ? 'client' : 'upstream'
  const known = typeof state === 'string' && isStateName(state) ? state : null
  return { from: side, kind, type, account, contact, state: known, verdict, said }
}
