/** Reads one decision from an audit file. */
import { createReadStream } from 'node:fs'
import { type AuditRecord, auditSides } from '../observe/audit.ts'
import { modes } from '../rules/mode.ts'
import type { RuleOutcome } from '../rules/outcome.ts'
import { kinds } from '../stanza/stanza.ts'
import { CallError } from './call-error.ts'
import type { Recorded } from './explain.ts'
import { isStateName } from './states.ts'

/** UTF-16 units that a line may have. The audit's own have some thousands at most. */
const longest = 1_048_576

/** The decision of this id, and its record. Throws `CallError` when there is none, or the file cannot be read or is no audit. */
export async function findRecord(file: string, id: string): Promise<{ record: AuditRecord; recorded: Recorded }> {
  const wanted = id.toLowerCase()
  let lines = 0
  try {
    for await (const line of linesOf(file)) {
      lines++
      // Cheaper than to parse them all.
      if (!line.includes(wanted)) continue
      const read = parse(line)
      if (read?.id !== wanted) continue
      if (!isRecord(read)) throw new CallError(`${file}, line ${lines}: this is no record of an audit`)
      return { record: read, recorded: recordedOf(read) }
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    throw new CallError(`${file} cannot be read (${code})`)
  }
  throw new CallError(`there is no decision '${id}' among the ${lines} lines of ${file}`)
}

/** A file may be one line without an end: no more is kept of it than a line may have. */
async function* linesOf(file: string): AsyncGenerator<string> {
  let rest = ''
  let number = 1
  for await (const chunk of createReadStream(file, 'utf8')) {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      yield line
      number++
    }
    if (rest.length > longest)
      throw new CallError(`${file}, line ${number}: it has more than ${longest} characters: this is no audit's file`)
  }
  if (rest !== '') yield rest
}

type Unsure = Readonly<Partial<Record<keyof AuditRecord, unknown>>>

function parse(line: string): Unsure | null | undefined {
  try {
    return JSON.parse(line)
  } catch {
    // A line that was cut by a full disk is not the one that was asked for.
    return undefined
  }
}

/** Whether all that is made use of is as the audit writes it: anybody may have written the file. */
function isRecord(read: Unsure): read is AuditRecord {
  const { time, account, contact, from, kind, type, verdict, said, route, listener, session } = read
  return (
    kinds.some(known => known === kind) &&
    (from === auditSides.client || from === auditSides.upstream) &&
    [time, type, listener].every(isText) &&
    [account, contact, route].every(each => each === null || isText(each)) &&
    typeof session === 'number' &&
    isVerdict(verdict) &&
    Array.isArray(said) &&
    said.every(isSaid)
  )
}

function isSaid(each: Readonly<Partial<Record<keyof RuleOutcome, unknown>>> | null): boolean {
  if (typeof each !== 'object' || each === null) return false
  const { rule, mode, verdict, error } = each
  const isMode = mode !== 'off' && modes.some(known => known === mode)
  return isText(rule) && isMode && isVerdict(verdict) && (error === undefined || isText(error))
}

const verdicts: ReadonlySet<unknown> = new Set<RuleOutcome['verdict']>(['forward', 'reject', 'drop', 'close'])

function isVerdict(value: unknown): boolean {
  return verdicts.has(value)
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}

function recordedOf(record: AuditRecord): Recorded {
  const { from, kind, type, account, contact, state, verdict, said } = record
  // Older records do not say it, and anybody may have written the file.
  const preApproval = record.preApproval === true ? 'offered' : 'none'
  const side = from === auditSides.client ? 'client' : 'upstream'
  const known = typeof state === 'string' && isStateName(state) ? state : null
  return { from: side, kind, type, account, contact, state: known, preApproval, verdict, said }
}
