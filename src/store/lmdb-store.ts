/** The embedded store: a folder with a file of LMDB, which several processes of one machine may have open. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, stat, statfs, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { RootDatabase } from 'lmdb'
import type { Fields } from '../account/account-record.ts'
import type { CheckResult } from './lmdb-check.ts'
import {
  behind,
  checkKey,
  type EntryKey,
  entryText,
  fieldOf,
  formatKey,
  keyOf,
  lastDay,
  layout,
  rangeOf,
} from './lmdb-layout.ts'
import {
  formatWith,
  NoPlaceError,
  type RecordChange,
  refuseOtherKey,
  type Store,
  StoreError,
  storeFormat,
} from './store.ts'
import type { StoreKey } from './store-key.ts'

type Database = RootDatabase<string, EntryKey>

/** What LMDB calls its files. */
const dataFile = 'data.mdb'
const lockFile = 'lock.mdb'
/** Says that the folder is a store, also when LMDB's file is lost. */
const markFile = 'STANZAGATE-STORE'
/** Records that are looked at before others have their turn. */
const recordsAtOnce = 200
/** Of a disk on which nothing can be written at present: the gate goes on, and tries again. By Node's names, and by the numbers that lmdb gives. */
const passing = ['ENOSPC', 'EROFS', 'EIO', 'EDQUOT'] as const
const passingCodes: readonly unknown[] = [...passing, ...passing.map(name => constants.errno[name])]
/** Bytes of a disk's room without which no store is made: LMDB maps its lock's file into memory, and a disk without room for it ends the process. */
const roomAtLeast = 1_048_576

/**
 * Opens the store in this folder, and makes it where there is none. Rejects with `StoreError` when it is damaged, foreign, newer, or may
 * not be written, and with `StoreKeyError` when it was not written with this key; `key`: left out: without one. While the disk is full or read-only, it resolves, and calls fail until the store could be opened.
 */
export async function openLmdbStore(path: string, key?: StoreKey): Promise<Store> {
  const store = new LmdbStore(path, key)
  try {
    await store.opened()
  } catch (error) {
    if (error instanceof StoreError) throw error
    if (!passingCodes.includes(codeOf(error))) throw unusable(path, error)
  }
  return store
}

class LmdbStore implements Store {
  readonly place: string
  private readonly key: StoreKey | undefined
  private database: Promise<Database> | undefined

  constructor(path: string, key: StoreKey | undefined) {
    this.place = path
    this.key = key
  }

  opened(): Promise<Database> {
    this.database ??= openDatabase(this.place, this.key).catch(error => {
      this.database = undefined
      throw error
    })
    return this.database
  }

  async load(record: string): Promise<Fields> {
    const db = await this.opened()
    const fields = new Map<string, string>()
    // Most accounts of a new store: a look at one entry costs less than at a range.
    if (db.get(keyOf(record, lastDay)) === undefined) return fields
    for (const { key, value } of db.getRange(rangeOf(record))) {
      const [name, text] = fieldOf(key, value)
      if (name !== lastDay) fields.set(name, text)
    }
    return fields
  }

  async save(changes: readonly RecordChange[]): Promise<readonly string[]> {
    const db = await this.opened()
    if (!existsSync(join(this.place, markFile))) await this.lost()
    let unfit: string[] = []
    await write(db, () => {
      unfit = []
      for (const { record, fields, isWhole, expects, until } of changes) {
        if (expects !== undefined && !expects.texts.includes(textOf(db, record, expects.name) ?? '')) {
          unfit.push(record)
          continue
        }
        if (isWhole) for (const key of [...db.getKeys(rangeOf(record))]) db.removeSync(key)
        if (isWhole && fields.size === 0) continue
        db.putSync(keyOf(record, lastDay), String(until))
        for (const [field, text] of fields) {
          if (text === undefined) db.removeSync(keyOf(record, field))
          else db.putSync(keyOf(record, field), entryText(field, text))
        }
      }
    })
    return unfit
  }

  async forgetBefore(day: number): Promise<number> {
    const db = await this.opened()
    let start: EntryKey | undefined = ['']
    let forgotten = 0
    // A damaged file may lead back to where it was read. Others may add records meanwhile.
    const { entryCount } = db.getStats() as { entryCount: number }
    let left = 2 * entryCount + 1_000
    while (start !== undefined) {
      left -= recordsAtOnce
      if (left + recordsAtOnce < 0) throw new Error('the entries of the store are not in their order')
      const { old, next } = oldRecords(db, start, day)
      if (old.length > 0)
        await write(db, () => {
          for (const key of old) {
            // Another process may have kept it for longer meanwhile.
            if (Number(db.get(key)) >= day) continue
            for (const each of [...db.getKeys({ start: key, end: behind(key) })]) db.removeSync(each)
            forgotten++
          }
        })
      start = next
      await new Promise(resolve => setImmediate(resolve))
    }
    return forgotten
  }

  /** The folder was removed: what is written goes nowhere. The next call makes it anew. */
  private async lost(): Promise<never> {
    const database = this.database
    this.database = undefined
    await (await database)?.close()
    throw new Error('the folder of the store was removed')
  }

  async close(): Promise<void> {
    const database = this.database
    this.database = Promise.reject(new Error('the store is closed'))
    this.database.catch(() => {})
    await (await database?.catch(() => undefined))?.close()
  }
}

function textOf(db: Database, record: string, field: string): string | undefined {
  const key = keyOf(record, field)
  const value = db.get(key)
  return value === undefined ? undefined : fieldOf(key, value)[1]
}

/** Looks at some records. Gives the keys of the last days of those that are old, and where to go on; `undefined`: there are no more. */
function oldRecords(db: Database, start: EntryKey, day: number): { old: EntryKey[]; next: EntryKey | undefined } {
  const old: EntryKey[] = []
  let next = start
  for (let seen = 0; seen < recordsAtOnce; seen++) {
    const [first] = db.getRange({ start: next, limit: 1 })
    if (first === undefined) return { old, next: undefined }
    if (first.key[1] === lastDay && Number(first.value) < day) old.push(first.key)
    next = behind(first.key)
  }
  return { old, next }
}

async function openDatabase(path: string, key: StoreKey | undefined): Promise<Database> {
  // Not those above it: a path that is misspelled is told.
  await mkdir(path, { mode: 0o700 }).catch(error => {
    if (codeOf(error) !== 'EEXIST') throw error
  })
  await refuseOdd(path)
  await refuseBad(path)
  const { open } = await import('lmdb')
  // Batches by turns of the event loop are lmdb's default. When one fails, a promise is rejected that nobody can handle.
  const options = { ...layout, path, permissionsMode: 0o600, eventTurnBatching: false }
  const db: Database = open(options as Parameters<typeof open>[0])
  if (db.get(formatKey) === undefined) await write(db, () => begin(db, key))
  try {
    const found = { format: Number(db.get(formatKey)), check: db.get(checkKey) }
    refuseOtherKey(path, key, found, `move ${path} away`)
  } catch (error) {
    await db.close()
    throw error
  }
  if (!existsSync(join(path, markFile))) await writeFile(join(path, markFile), markOf(key), { mode: 0o600 })
  return db
}

function markOf(key: StoreKey | undefined): string {
  return `A store of Stanzagate, format ${formatWith(key)}. What the gate keeps across restarts is in ${dataFile}.\n`
}

/** Writes what the store is, unless another process has done so meanwhile. */
function begin(db: Database, key: StoreKey | undefined): void {
  if (db.get(formatKey) !== undefined) return
  db.putSync(formatKey, String(formatWith(key)))
  if (key !== undefined) db.putSync(checkKey, key.check)
}

/** Makes changes in one transaction. When it resolves, they are on the disk. */
async function write(db: Database, change: () => void): Promise<void> {
  try {
    await db.transaction(change)
    await db.flushed
  } catch (error) {
    // What LMDB has to say of a failed commit it says in a promise of its own.
    const { commitError } = error as { commitError?: Promise<unknown> }
    if (commitError === undefined) throw error
    await commitError
    throw error
  }
}

/** Throws for what is no folder with files: LMDB would end the process. */
async function refuseOdd(path: string): Promise<void> {
  if (!(await stat(path)).isDirectory()) throw new Error('it is no folder')
  for (const name of [dataFile, lockFile]) {
    const found = await stat(join(path, name)).catch(() => undefined)
    if (found !== undefined && !found.isFile()) throw new Error(`${name} is no file`)
  }
  if (existsSync(join(path, lockFile))) return
  const { bavail, bsize } = await statfs(path)
  if (bavail * bsize < roomAtLeast) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
}

/** Throws `StoreError` for files that must not be opened. */
async function refuseBad(path: string): Promise<void> {
  const file = join(path, dataFile)
  const size = (await stat(file).catch(() => undefined))?.size ?? 0
  const isMarked = existsSync(join(path, markFile))
  if (size === 0) {
    if (isMarked) throw new StoreError(`${file} is lost: the folder is a store, and that file is empty`, wayOut(path))
    return
  }
  const { found, detail } = await checked(path)
  if (found === 'good' || (found === 'empty' && !isMarked)) return
  if (found === 'unusable') throw new Error(detail)
  if (found === 'newer') {
    const remedy = 'start that version, or name another folder in store.path'
    throw new StoreError(
      `${file} is of a newer version of Stanzagate (format ${detail}; this one knows ${storeFormat})`,
      remedy,
    )
  }
  if (found === 'foreign')
    throw new StoreError(`${file} is not a store of Stanzagate`, 'name another folder in store.path')
  throw new StoreError(`${file} is damaged${detail === undefined ? '' : ` (${detail})`}`, wayOut(path))
}

function wayOut(path: string): string {
  return `put back a copy, or move ${path} away: the gate then begins with nothing, and learns each roster when its account logs in`
}

const program = fileURLToPath(new URL('./lmdb-check.js', import.meta.url))

async function checked(path: string): Promise<CheckResult> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [program, path])
    return JSON.parse(stdout)
  } catch (error) {
    const { signal } = error as { signal?: string }
    if (typeof signal !== 'string') throw error
    return { found: 'damaged', detail: `reading it ends with ${signal}` }
  }
}

function unusable(path: string, error: unknown): NoPlaceError {
  const message = error instanceof Error ? error.message : String(error)
  return new NoPlaceError(
    `${path} cannot be used as the store: ${message}`,
    'name a folder that the gate may write in store.path, or write store: none',
  )
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code
}
