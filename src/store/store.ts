/** Where records are kept beyond the process. A record is a set of named texts, its fields. */
import type { Fields } from '../account/account-record.ts'
import type { StoreKey } from './store-key.ts'

export interface RecordChange {
  /** The record's name. */
  readonly record: string
  /** Texts by name; `undefined`: the field is removed. */
  readonly fields: ReadonlyMap<string, string | undefined>
  /** Fields that are not named are removed too. Without any field the record is removed. */
  readonly isWhole: boolean
  /** The change fits only a record whose field `name` has one of these texts. Left out: it fits any. */
  readonly expects?: { readonly name: string; readonly texts: readonly string[] } | undefined
  /** The record may be forgotten after this day; days since 1970. */
  readonly until: number
}

/** Calls may fail, and take as long as they will: whoever calls goes on without. */
export interface Store {
  /** What it is and where, for the log. */
  readonly place: string
  /** Gives the fields of a record; none: nothing is kept under this name. */
  load(record: string): Promise<Fields>
  /**
   * A record is changed as a whole or not at all. When it resolves, the changes survive the end of the process, however it ends. Gives the names of
   * records that were left as they are, because they are not as expected: another gate has changed them, or the store has lost something.
   */
  save(changes: readonly RecordChange[]): Promise<readonly string[]>
  /** Forgets records whose last day is before this one; days since 1970. Gives their number, as far as it is known. */
  forgetBefore(day: number): Promise<number>
  /** By it gates tell each other what cannot wait for a record; left out: there is none. What is told while it fails is lost. */
  readonly channel?: StoreChannel
  close(): Promise<void>
}

/** Each gate hears what the others have told, in the order of their telling, and not what it has told itself. */
export interface StoreChannel {
  tell(text: string): void
  listen(hear: (text: string) => void): void
}

/** The store must not be used as it is: the gate does not start. */
export class StoreError extends Error {
  /** What to do. */
  readonly remedy: string

  constructor(message: string, remedy: string) {
    super(message)
    this.remedy = remedy
  }
}

/** Nothing can be kept at this place: the folder may not be written, say. */
export class NoPlaceError extends StoreError {}

/** The store was written with another `store.hash` than the configuration has, or only one of them has one. */
export class StoreKeyError extends StoreError {}

/** The version of what is in a store: 1 with JIDs as they are, 2 with hashes in their place (`store.hash`). */
export function formatWith(key: StoreKey | undefined): number {
  return key === undefined ? 1 : 2
}

/** The newest version that this program knows. */
export const storeFormat = 2

/**
 * Throws `StoreKeyError` when what is at this place was not written with this key. `format`: its version; `check`: `StoreKey.check` of the key that
 * it was written with. `otherPlace`: how to name another one.
 */
export function refuseOtherKey(
  place: string,
  key: StoreKey | undefined,
  { format, check }: { readonly format: number; readonly check: string | undefined },
  otherPlace: string,
): void {
  if (format === formatWith(key) && check === key?.check) return
  if (key === undefined)
    throw new StoreKeyError(
      `${place} was written with store.hash, which the configuration does not have`,
      `put store.hash back, or ${otherPlace}: the gate then begins with nothing`,
    )
  if (format === 1)
    throw new StoreKeyError(
      `${place} was written without store.hash, and holds JIDs as they are`,
      `${otherPlace}, and remove what was written: the gate then begins with nothing, and learns each roster when its account logs in`,
    )
  throw new StoreKeyError(
    `${place} was written with another store.hash`,
    `put the former store.hash back, or ${otherPlace}: the gate then begins with nothing`,
  )
}
