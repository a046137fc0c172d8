/**
 * How records stand in LMDB. An entry has the key `[record, field]` and the field's text as its value. The field '' is the record's last day,
 * and sorts before the others. Names that are too long for a key stand there as their hash, and before the text.
 */
import { createHash } from 'node:crypto'

/** Of LMDB. Without `noSubdir` a path with a dot in its last name would be a file. */
export const layout = { encoding: 'string', noSubdir: false } as const

export type EntryKey = string[]

/** Its value is the version of the layout. */
export const formatKey: EntryKey = ['format', 'version']
/** Its value is the `StoreKey.check` of the key that the store is written with. Without a key there is no such entry. */
export const checkKey: EntryKey = ['format', 'key']
/** Of the record's field with its last day; days since 1970. */
export const lastDay = ''

/** Bytes of a name in a key. LMDB's keys have 1,978 at most. */
const nameAtMost = 900
const hashMark = '\u0001'
const endOfName = '\u0000'

export function keyOf(record: string, field: string): EntryKey {
  return [keyName(record), keyName(field)]
}

/** From the first entry of a record to behind its last. */
export function rangeOf(record: string): { start: EntryKey; end: EntryKey } {
  const name = keyName(record)
  return { start: [name], end: behind([name]) }
}

/** Behind the last entry of the record that this key belongs to. */
export function behind([name = '']: EntryKey): EntryKey {
  return [name, '\u{10ffff}']
}

/** What the entry of a field holds. */
export function entryText(field: string, text: string): string {
  return isLong(field) ? field + endOfName + text : text
}

/** The other way: the name and the text of an entry's field. */
export function fieldOf(key: EntryKey, value: string): readonly [name: string, text: string] {
  const [, name = ''] = key
  if (!name.startsWith(hashMark)) return [name, value]
  const end = value.indexOf(endOfName)
  return [value.slice(0, end), value.slice(end + 1)]
}

function keyName(name: string): string {
  return isLong(name) ? hashMark + createHash('sha256').update(name).digest('base64url') : name
}

function isLong(name: string): boolean {
  return name.length > nameAtMost || Buffer.byteLength(name) > nameAtMost
}
