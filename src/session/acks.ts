/**
 * Stream management (XEP-0198) through a gate that leaves stanzas out and adds its own.
 *
 * Each direction has a sender and a receiver that count for themselves. A unit is
 * - `forwarded`: both count it;
 * - `dropped`: the sender counts it, the receiver never saw it;
 * - `added` by the gate: the receiver counts it, the sender never sent it.
 * The receiver's `h` counts forwarded and added units; what the sender is told must count forwarded and dropped ones. So the units that
 * the receiver has not acknowledged are kept, in order, and an `h` is walked along them.
 *
 * After a resumption the sender repeats what it was not told to be handled. The units that are left here say what became of each
 * the first time: a second verdict could differ, since the first one has changed the ledger (one request pays for one `subscribed`).
 */
import type { Stanza } from '../stanza/stanza.ts'
import { type Element, element } from '../xml/element.ts'
import type { Said } from './event.ts'

/** A unit that is more than one of a run of forwarded ones. */
export type Unit =
  | { readonly unit: 'forwarded'; readonly count: number }
  /** Forwarded by a verdict that depended on what was known then; `print` recognises the stanza. */
  | { readonly unit: 'decided'; readonly print: string }
  /** Left out, or answered in the receiver's place; `said`: by which rules. */
  | { readonly unit: 'dropped'; readonly print: string; readonly said: readonly Said[] }
  | { readonly unit: 'added'; readonly element: Element }

/** Counts are unsigned 32 bits wide and wrap (XEP-0198 section 5). */
const modulus = 2 ** 32
/** Units other than plain forwarded ones that may be outstanding; beyond it the stream cannot be resumed. */
const keptAtMost = 2_000

const nothing = element('nothing', '')

export class Direction {
  /** What the receiver has acknowledged, in its own count; and what the sender may be told of it. */
  private received: number
  private handled: number
  /** All that the receiver has ever acknowledged: this one does not wrap. */
  private total = 0
  /** Not acknowledged yet, oldest first. */
  private units: Unit[] = []
  private kept = 0
  /** Units had to be forgotten: what is left tells counts, not verdicts. */
  overflowed = false

  /** `start`: both counts at the beginning; other than 0 in tests of the wrap alone. */
  constructor(start = 0) {
    this.received = start
    this.handled = start
  }

  forwarded(): void {
    const last = this.units.at(-1)
    if (last?.unit === 'forwarded') this.units[this.units.length - 1] = { unit: 'forwarded', count: last.count + 1 }
    else this.units.push({ unit: 'forwarded', count: 1 })
  }

  decided(print: string): void {
    this.keep({ unit: 'decided', print })
  }

  dropped(print: string, said: readonly Said[]): void {
    this.keep({ unit: 'dropped', print, said })
  }

  added(element: Element): void {
    this.keep({ unit: 'added', element })
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
    this.units = walk.left
    this.kept = walk.left.filter(unit => unit.unit !== 'forwarded').length
    return this.handled
  }

  /** The same without believing it yet. */
  translate(h: number): number | undefined {
    const walk = this.walk(h)
    return walk && (this.handled + walk.handled) % modulus
  }

  /** The receiver's count, were everything acknowledged that was sent to it. */
  get sent(): number {
    let outstanding = 0
    for (const unit of this.units)
      outstanding += unit.unit === 'forwarded' ? unit.count : unit.unit === 'dropped' ? 0 : 1
    return (this.received + outstanding) % modulus
  }

  /** The sender's count of all that it has sent. */
  get offered(): number {
    let outstanding = 0
    for (const unit of this.units) outstanding += unit.unit === 'forwarded' ? unit.count : unit.unit === 'added' ? 0 : 1
    return (this.handled + outstanding) % modulus
  }

  /** What is not acknowledged, oldest first. */
  get outstanding(): readonly Unit[] {
    return this.units
  }

  /** The sender will send again all that is outstanding: it is counted anew as it comes. */
  forget(): void {
    this.units = []
    this.kept = 0
  }

  private keep(unit: Unit): void {
    if (this.kept >= keptAtMost) this.overflowed = true
    this.kept++
    this.units.push(this.overflowed ? bare(unit) : unit)
  }

  private walk(h: number): { received: number; handled: number; left: Unit[] } | undefined {
    const ahead = (h - this.received + modulus) % modulus
    const isOld = modulus - ahead <= this.total
    const acknowledged = isOld ? 0 : ahead
    let due = acknowledged
    let handled = 0
    let at = 0
    for (; at < this.units.length; at++) {
      const unit = this.units[at] as Unit
      if (unit.unit === 'dropped') {
        handled++
        continue
      }
      const count = unit.unit === 'forwarded' ? unit.count : 1
      if (due < count) break
      due -= count
      if (unit.unit !== 'added') handled += count
    }
    const left = this.units.slice(at)
    const first = left[0]
    if (due > 0) {
      if (first?.unit !== 'forwarded') return undefined
      left[0] = { unit: 'forwarded', count: first.count - due }
      handled += due
    }
    return { received: acknowledged, handled, left }
  }
}

/** What is left of a unit when there are too many: its kind. */
function bare(unit: Unit): Unit {
  if (unit.unit === 'forwarded') return unit
  if (unit.unit === 'added') return { unit: 'added', element: nothing }
  return unit.unit === 'decided' ? { unit: 'decided', print: '' } : { unit: 'dropped', print: '', said: [] }
}

/** What recognises a stanza that is sent again: servers add to it (`<delay/>`), but leave these as they were. */
export function printOf({ kind, type, from, to, id }: Stanza): string {
  return JSON.stringify([kind, type, from, to, id])
}

/** An `h` as it is written, or `undefined`: an unsigned integer of 32 bits. */
export function parseCount(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined
  const count = Number(text)
  return count < modulus ? count : undefined
}
