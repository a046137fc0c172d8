/**
 * Stream management (XEP-0198) through a gate that leaves out stanzas and adds its own. Each direction has a sender and a
 * receiver that count for themselves. A unit is
 * - `forwarded`: both count it;
 * - `dropped`: the sender counts it, the receiver never gets it;
 * - `added` by the gate: the receiver counts it, the sender never sent it.
 * The receiver's `h` counts forwarded and added units; what the sender is told must count forwarded and dropped ones. So the
 * units that the receiver has not acknowledged are kept in order, and an `h` is translated by going through them. After a
 * resumption the sender repeats what it was not told to be handled. The kept units say what became of each the first time. The
 * rules are not asked again: they could decide otherwise, since the first verdict has changed the ledger (one request makes one
 * `subscribed` believable).
 */

import type { RuleOutcome } from '../rules/outcome.ts'
import type { Stanza } from '../stanza/stanza.ts'
import type { Element } from '../xml/element.ts'
import { type ElementRecord, elementOfRecord, recordOfElement } from '../xml/element-record.ts'

/** What became of one stanza, or of a run of them. */
export type Unit =
  | { readonly unit: 'forwarded'; readonly count: number }
  /** Forwarded by a verdict that depended on the ledger; `print` recognises the stanza. */
  | { readonly unit: 'decided'; readonly print: string }
  /** Left out, or answered by the gate; `said`: by which rules. */
  | { readonly unit: 'dropped'; readonly print: string; readonly said: readonly RuleOutcome[] }
  | { readonly unit: 'added'; readonly element: Element }
  /** When too many units are kept, only their kind and number. */
  | { readonly unit: 'only-dropped' | 'only-added'; readonly count: number }

type UnitRecord =
  | Exclude<Unit, { readonly unit: 'added' }>
  | { readonly unit: 'added'; readonly element: ElementRecord }

/** As data that JSON can hold. */
export interface AckRecord {
  readonly received: number
  readonly handled: number
  readonly total: number
  readonly units: readonly UnitRecord[]
}

/** Counts are unsigned 32 bits wide and wrap (XEP-0198 section 5). */
const modulus = 2 ** 32
/** Units other than forwarded ones that are kept, and UTF-16 units of their content. Beyond it the session cannot be resumed. */
const keptAtMost = 2_000
const sizeAtMost = 262_144
/** Outstanding units, a run counted as one, beyond which the stream is ended as an attack. */
const outstandingAtMost = 10_000

export class AckTranslator {
  /** What the receiver has acknowledged, in its own count; and what the sender may be told of it. */
  private received: number
  private handled: number
  /** The total that the receiver has acknowledged; it does not wrap. */
  private total = 0
  /** Not acknowledged yet, oldest first. */
  private units: Unit[] = []
  private kept = 0
  private size = 0
  /** Units had to be dropped: what is left has counts, but no verdicts. */
  overflowed = false

  /** `start`: both counts at the beginning; other than 0 in tests of the wrap alone. */
  constructor(start = 0) {
    this.received = start
    this.handled = start
  }

  /** Throws when it is no record of one. */
  static restored({ received, handled, total, units }: AckRecord): AckTranslator {
    const acks = new AckTranslator()
    for (const [count, end] of [
      [received, modulus],
      [handled, modulus],
      [total, Number.MAX_SAFE_INTEGER],
    ] as const)
      if (!Number.isSafeInteger(count) || count < 0 || count >= end) throw new TypeError('a count is a whole number')
    acks.received = received
    acks.handled = handled
    acks.total = total
    for (const unit of units) acks.restore(unit)
    return acks
  }

  get record(): AckRecord {
    const { received, handled, total } = this
    const units = this.units.map(unit =>
      unit.unit === 'added' ? { unit: unit.unit, element: recordOfElement(unit.element) } : unit,
    )
    return { received, handled, total, units }
  }

  private restore(unit: UnitRecord): void {
    switch (unit.unit) {
      case 'forwarded':
        if (!Number.isSafeInteger(unit.count) || unit.count < 1)
          throw new TypeError('a run is a whole number of stanzas')
        return this.count('forwarded', unit.count)
      case 'decided':
        return this.decided(unit.print)
      case 'dropped':
        if (!Array.isArray(unit.said) || !unit.said.every(isOutcome)) throw new TypeError('rules leave out stanzas')
        return this.dropped(unit.print, unit.said)
      case 'added':
        return this.added(elementOfRecord(unit.element))
      default:
        throw new TypeError('only what is whole is kept')
    }
  }

  forwarded(): void {
    this.count('forwarded')
  }

  decided(print: string): void {
    this.keep({ unit: 'decided', print }, print.length)
  }

  dropped(print: string, said: readonly RuleOutcome[]): void {
    this.keep({ unit: 'dropped', print, said }, print.length)
  }

  added(element: Element): void {
    const unit = { unit: 'added', element } as const
    this.keep(unit, sizeOf(unit))
  }

  /** So much is outstanding that it can only be an attack on the memory. */
  get isFlooded(): boolean {
    return this.units.length > outstandingAtMost
  }

  /**
   * The receiver acknowledges `h`: what the sender is to be told instead, or `undefined` when the receiver cannot have got that many.
   * Dropped units right behind the acknowledged ones count as handled: nobody else will ever acknowledge them. An `h` that was true
   * once says nothing new.
   */
  acknowledge(h: number): number | undefined {
    const walk = this.walk(h)
    if (walk === undefined) return undefined
    this.received = (this.received + walk.received) % modulus
    this.total += walk.received
    this.handled = (this.handled + walk.handled) % modulus
    for (const gone of walk.at === 0 ? [] : this.units.splice(0, walk.at)) {
      if (gone.unit === 'forwarded') continue
      this.kept--
      this.size -= sizeOf(gone)
    }
    // Nothing is outstanding any more whose content was dropped.
    if (this.units.length === 0) this.overflowed = false
    const first = this.units[0]
    if (walk.part > 0 && first !== undefined && 'count' in first)
      this.units[0] = { ...first, count: first.count - walk.part }
    return this.handled
  }

  /** The translation of `h`, without applying it. */
  translate(h: number): number | undefined {
    const walk = this.walk(h)
    return walk && (this.handled + walk.handled) % modulus
  }

  /** The receiver has acknowledged nothing yet. */
  get isFresh(): boolean {
    return this.total === 0
  }

  /** The receiver's count, were everything acknowledged that was sent to it. */
  get sent(): number {
    return (this.received + this.outstandingOf(isReceived)) % modulus
  }

  /** The sender's count of all that it has sent. */
  get offered(): number {
    return (this.handled + this.outstandingOf(isSent)) % modulus
  }

  /** What is not acknowledged, oldest first. */
  get outstanding(): readonly Unit[] {
    return this.units
  }

  /** The sender will send again all that is outstanding: it is counted again as it comes. */
  forget(): void {
    this.units = []
    this.kept = 0
    this.size = 0
  }

  private outstandingOf(counts: (unit: Unit) => boolean): number {
    let outstanding = 0
    for (const unit of this.units) if (counts(unit)) outstanding += countOf(unit)
    return outstanding
  }

  private keep(unit: Exclude<Unit, { count: number }>, size: number): void {
    if (!this.overflowed && (this.kept >= keptAtMost || this.size + size > sizeAtMost)) this.overflow()
    if (this.overflowed) return this.count(bare(unit))
    this.kept++
    this.size += size
    this.units.push(unit)
  }

  /** From now on runs of kinds are all that is kept. */
  private overflow(): void {
    this.overflowed = true
    const before = this.units
    this.forget()
    for (const unit of before) this.count(bare(unit), countOf(unit))
  }

  private count(unit: Counted, more = 1): void {
    const last = this.units.at(-1)
    if (last?.unit === unit) this.units[this.units.length - 1] = { unit, count: last.count + more }
    else this.units.push({ unit, count: more })
  }

  /** How far `h` reaches: whole units, and a part of the run behind them. */
  private walk(h: number): { received: number; handled: number; at: number; part: number } | undefined {
    const ahead = (h - this.received + modulus) % modulus
    const isOld = modulus - ahead <= this.total
    const received = isOld ? 0 : ahead
    let due = received
    let handled = 0
    let at = 0
    for (; at < this.units.length; at++) {
      const unit = this.units[at] as Unit
      const count = countOf(unit)
      if (isReceived(unit)) {
        if (due < count) break
        due -= count
      }
      if (isSent(unit)) handled += count
    }
    const first = this.units[at]
    if (due > 0 && first === undefined) return undefined
    if (due > 0 && first !== undefined && isSent(first)) handled += due
    return { received, handled, at, part: due }
  }
}

function isOutcome(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

type Counted = Extract<Unit, { count: number }>['unit']

function countOf(unit: Unit): number {
  return 'count' in unit ? unit.count : 1
}

function isReceived({ unit }: Unit): boolean {
  return unit !== 'dropped' && unit !== 'only-dropped'
}

function isSent({ unit }: Unit): boolean {
  return unit !== 'added' && unit !== 'only-added'
}

function sizeOf(unit: Unit): number {
  if (unit.unit === 'decided' || unit.unit === 'dropped') return unit.print.length
  if (unit.unit !== 'added') return 0
  let size = 0
  for (const value of unit.element.attrs.values()) size += value.length
  return size
}

function bare(unit: Unit): Counted {
  if (unit.unit === 'dropped' || unit.unit === 'only-dropped') return 'only-dropped'
  return unit.unit === 'added' || unit.unit === 'only-added' ? 'only-added' : 'forwarded'
}

/** UTF-16 units of an attribute that a print holds. */
const printed = 200

/** What recognises a stanza that is sent again: servers add to it (`<delay/>`), but leave these as they were. */
export function printOf({ kind, type, from, to, id }: Stanza): string {
  const short = (value: string | undefined) => (value === undefined ? undefined : value.slice(0, printed))
  return JSON.stringify([kind, type, from, to, id].map(short))
}

/** An `h` as it is written, or `undefined`: an unsigned integer of 32 bits. */
export function parseCount(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined
  const count = Number(text)
  return count < modulus ? count : undefined
}
