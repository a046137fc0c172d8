/** What `Compensation` remembers of each contact; with its record, data that JSON can hold. */
import type { Visible } from '../subscription/state.ts'
import type { ElementRecord } from '../xml/element-record.ts'

/**
 * - `heard`: an unasked `subscribed` has come; the push may follow.
 * - `undecided`: a push that nobody has asked for is held; the `subscribed` may follow.
 * - `seen`: the client has seen it; a late `subscribed` may follow.
 * - `expected`, `left`: another session of the account has taken the grant back, or has left it; this one's push is awaited.
 * - `undoing`: the `unsubscribe` was sent; the push that takes the grant back is awaited.
 * - `undone`: that push has come; echoes may follow.
 */
export const grantPhases = ['heard', 'undecided', 'seen', 'expected', 'left', 'undoing', 'undone'] as const
export type GrantPhase = (typeof grantPhases)[number]

/** A subscription that the server has granted, or may have. */
export interface Grant {
  /** As the server has spelled it. */
  readonly contact: string
  phase: GrantPhase
  /** What the roster showed before. */
  readonly before: Visible
  /** The client has seen the contact in the roster, as it was before. */
  readonly isItem: boolean
  /** The client or the ledger has seen the grant. */
  isShown: boolean
  /** While it was being taken back here, another session of the account has taken the contact's next grant back. */
  isRepeated?: boolean
  /** Full JIDs whose available presence was left out. */
  resources: string[]
  /** Of the `unsubscribe`. */
  id?: string
  /** When this phase is over, in milliseconds; `undefined`: its time has not begun to count. It is not kept. */
  until?: number | undefined
}

/** As data that JSON can hold. `key`: of the contact. */
export type GrantRecord = Omit<Grant, 'until' | 'isRepeated'> & { readonly key: string }

export interface CompensationRecord {
  readonly grants: readonly GrantRecord[]
  /** In their order. `key`: of the contact; empty for a roster push of another that keeps its place. */
  readonly held: readonly { readonly key: string; readonly element: ElementRecord }[]
}

const subscriptions: ReadonlySet<unknown> = new Set<Visible['subscription']>(['none', 'to', 'from', 'both'])

/** Throws when it is no record of a grant. */
export function grantOf({ key, contact, phase, before, isItem, isShown, resources, id }: GrantRecord): Grant {
  const isWhole =
    [key, contact, id ?? '', ...resources].every(each => typeof each === 'string') &&
    [before.ask, isItem, isShown].every(each => typeof each === 'boolean') &&
    grantPhases.some(known => known === phase) &&
    subscriptions.has(before.subscription)
  if (!isWhole) throw new TypeError('this is no grant')
  const grant: Grant = { contact, phase, before, isItem, isShown, resources: [...resources] }
  return id === undefined ? grant : { ...grant, id }
}

export function recordOfGrant(key: string, { until: _, isRepeated: __, ...grant }: Grant): GrantRecord {
  return { key, ...grant }
}
