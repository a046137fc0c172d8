/**
 * The stanza counts of one session (XEP-0198): how an acknowledgement is translated, and what is still owed after a resumption.
 * They outlive the stream: a resumed session goes on with them.
 */

import type { RuleOutcome } from '../rules/outcome.ts'
import type { Stanza } from '../stanza/stanza.ts'
import type { Side } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import { type Element, element, withAttrs } from '../xml/element.ts'
import { type AckRecord, AckTranslator, parseCount, printOf, type Unit } from './acks.ts'

/** Seconds that a session waits for its resumption at most, whatever the server grants. */
export const awayAtMost = 86_400

/** What became of a stanza the first time, which the server sends again after a resumption. */
export type Repeated =
  /** Forwarded: it is judged without the ledger, and the ledger does not change. */
  | { readonly repeated: 'forwarded' }
  /** Forwarded by a verdict of the ledger, which stands. */
  | { readonly repeated: 'decided' }
  /** Left out, by these rules. */
  | { readonly repeated: 'dropped'; readonly said: readonly RuleOutcome[] }
  /** Another stanza was sent at this place before: the counts cannot be right. */
  | { readonly repeated: 'other' }

/** As data that JSON can hold. */
export interface CountsRecord {
  readonly uri: string
  readonly before: number
  readonly outbound: AckRecord
  readonly inbound: AckRecord
  readonly answered: readonly string[]
}

/** Answers that are remembered; beyond this number the oldest may be given twice. */
const answeredAtMost = 2_000

export class StanzaCounts {
  /** `urn:xmpp:sm:3` or `:2`, as the client asked. */
  readonly uri: string
  /** The client's stanzas on their way to the server, counted from `<enable/>` on. */
  private readonly outbound: AckTranslator
  /** The server's, counted from `<enabled/>` on. */
  private inbound: AckTranslator | undefined
  /** Stanzas before `<enabled/>`, which a client may count until it has read `<enabled/>`. */
  private before = 0
  /** What the server will send again, oldest first. */
  private repeats: Unit[] = []
  /** Prints of the client's stanzas that the gate has answered: if one comes again it is not answered again. */
  private answered: string[] = []

  constructor(uri: string, outbound = new AckTranslator()) {
    this.uri = uri
    this.outbound = outbound
  }

  /** Throws when it is no record of counts. */
  static restored({ uri, before, outbound, inbound, answered }: CountsRecord): StanzaCounts {
    if (typeof uri !== 'string' || !Number.isSafeInteger(before)) throw new TypeError('these are no counts')
    const counts = new StanzaCounts(uri, AckTranslator.restored(outbound))
    counts.inbound = AckTranslator.restored(inbound)
    counts.before = before
    counts.answered = [...answered]
    return counts
  }

  /** What a resumption needs; `undefined`: it is not whole. What the server is repeating at present it will repeat again. */
  get record(): CountsRecord | undefined {
    const { uri, before, outbound, inbound, answered } = this
    if (inbound === undefined || !this.isWhole) return undefined
    return { uri, before, outbound: outbound.record, inbound: inbound.record, answered }
  }

  /** The server has agreed: it counts from here on. `before`: stanzas that the client has got on this stream until now. */
  enabled(before = 0): void {
    if (this.inbound !== undefined) return
    this.inbound = new AckTranslator()
    this.before = before
  }

  get isEnabled(): boolean {
    return this.inbound !== undefined
  }

  /** Whether nothing was dropped that a resumption needs. */
  get isWhole(): boolean {
    return this.inbound !== undefined && !this.inbound.overflowed && !this.outbound.overflowed
  }

  /** A side acknowledges nothing, so that the gate has to keep ever more. */
  get isFlooded(): boolean {
    return this.outbound.isFlooded || this.inbound?.isFlooded === true
  }

  private from(side: Side): AckTranslator | undefined {
    return side === 'client' ? this.outbound : this.inbound
  }

  /** A stanza of this side was passed on. For `subscribed` and `unsubscribed`, which the ledger decides on, the verdict is kept. */
  passed(from: Side, stanza: Stanza): void {
    if (from === 'upstream' && isVerified(stanza)) this.inbound?.decided(printOf(stanza))
    else this.from(from)?.forwarded()
  }

  /** A stanza of this side's was left out or answered. */
  leftOut(from: Side, stanza: Stanza, said: readonly RuleOutcome[]): void {
    this.from(from)?.dropped(printOf(stanza), said)
  }

  /** The gate itself sends this stanza to this side. */
  added(to: Side, whole: Element): void {
    this.from(to === 'client' ? 'upstream' : 'client')?.added(whole)
  }

  /** Whether the gate has to answer this stanza of the client; not when it comes again and was answered before. */
  owesAnswer(stanza: Stanza): boolean {
    const at = this.answered.length === 0 ? -1 : this.answered.indexOf(printOf(stanza))
    if (at === -1) return true
    this.answered.splice(at, 1)
    return false
  }

  /** An `<a/>` of this side's as the other side is to get it; `undefined`: it claims what was never sent. */
  acknowledgement(from: Side, nonza: Element): Element | undefined {
    const h = parseCount(nonza.attrs.get('h'))
    // The side that acknowledges is the receiver of the other side's stanzas.
    const direction = from === 'client' ? this.inbound : this.outbound
    const told = h === undefined || direction === undefined ? undefined : this.acknowledged(from, direction, h)
    return told === undefined ? undefined : withAttrs(nonza, { h: String(told) })
  }

  /**
   * What the other side is told of this count. @xmpp/client counts all stanzas of its stream, and begins again at `<enabled/>` only when
   * all that came in one piece with it is read: an `<r/>` in that piece is answered with the old count. Such an answer acknowledges nothing.
   */
  private acknowledged(from: Side, direction: AckTranslator, h: number): number | undefined {
    const isEarly = from === 'client' && direction.isFresh && h > direction.sent && h - direction.sent <= this.before
    return direction.acknowledge(isEarly ? 0 : h)
  }

  /**
   * A client's `<resume/>` as the server is to get it; nothing is believed yet, since only the server knows whose session it is. A claim
   * to more than was sent reaches it as such; `undefined`: there is no count.
   */
  resumption(resume: Element): Element | undefined {
    const h = parseCount(resume.attrs.get('h'))
    const { inbound } = this
    if (h === undefined || inbound === undefined) return undefined
    return withAttrs(resume, { h: String(inbound.translate(h) ?? (inbound.offered + 1) % 2 ** 32) })
  }

  /** Whether this `<resume/>` claims more than was sent. */
  claimsTooMuch(resume: Element): boolean {
    const h = parseCount(resume.attrs.get('h'))
    return h === undefined || this.inbound?.translate(h) === undefined
  }

  /** The server's `<failed/>`, whose `h` tells what it had handled (XEP-0198 section 5). */
  failure(failed: Element): Element {
    const h = parseCount(failed.attrs.get('h'))
    const told = h === undefined ? undefined : this.outbound.translate(h)
    return h === undefined ? failed : withAttrs(failed, { h: told === undefined ? undefined : String(told) })
  }

  /**
   * The server has resumed: its `<resumed/>` as the client is to get it, and what the gate itself has to send again to each side at
   * once. `undefined`: a count claims what was never sent.
   */
  resumed(asked: Element, resumed: Element): { answer: Element; client: Element[]; upstream: Element[] } | undefined {
    const clientHas = parseCount(asked.attrs.get('h'))
    const serverHas = parseCount(resumed.attrs.get('h'))
    if (clientHas === undefined || serverHas === undefined || this.inbound === undefined) return undefined
    if (this.inbound.acknowledge(clientHas) === undefined) return undefined
    const told = this.outbound.acknowledge(serverHas)
    if (told === undefined) return undefined
    const owed = this.outbound.outstanding
    this.outbound.forget()
    const owedAnswers = owed.flatMap(unit => (unit.unit === 'dropped' ? [unit.print] : []))
    this.answered = [...this.answered, ...owedAnswers].slice(-answeredAtMost)
    const upstream = owed.flatMap(unit => (unit.unit === 'added' ? [unit.element] : []))
    for (const whole of upstream) this.outbound.added(whole)
    this.repeats = [...this.inbound.outstanding]
    return { answer: withAttrs(resumed, { h: String(told), location: undefined }), client: this.takeAdded(), upstream }
  }

  /** How the server's next stanza is to be taken; `undefined`: it is new. `next`: what the gate itself sends again behind it. */
  repeat(stanza: Stanza): { readonly how: Repeated; readonly next: readonly Element[] } | undefined {
    const unit = this.repeats[0]
    if (unit === undefined || unit.unit === 'added') return undefined
    if (unit.unit === 'forwarded' && unit.count > 1) this.repeats[0] = { unit: 'forwarded', count: unit.count - 1 }
    else this.repeats.shift()
    const how = repeated(unit, stanza)
    if (how.repeated === 'other') this.repeats = []
    return { how, next: this.takeAdded() }
  }

  /** Stanzas that were sent to this side so far. */
  sentTo(side: Side): number {
    return this.from(side === 'client' ? 'upstream' : 'client')?.sent ?? 0
  }

  /** What the gate added at this place of the order. */
  private takeAdded(): Element[] {
    const added: Element[] = []
    for (let unit = this.repeats[0]; unit?.unit === 'added'; unit = this.repeats[0]) {
      added.push(unit.element)
      this.repeats.shift()
    }
    return added
  }
}

function repeated(unit: Exclude<Unit, { unit: 'added' }>, stanza: Stanza): Repeated {
  if (unit.unit === 'forwarded') return { repeated: isVerified(stanza) ? 'other' : 'forwarded' }
  if ('count' in unit || unit.print !== printOf(stanza)) return { repeated: 'other' }
  return unit.unit === 'decided' ? { repeated: 'decided' } : { repeated: 'dropped', said: unit.said }
}

/** The two notifications that are verified against the roster. */
function isVerified(stanza: Stanza): boolean {
  return stanza.kind === 'presence' && (stanza.type === 'subscribed' || stanza.type === 'unsubscribed')
}

export function isStreamManagement(nonza: Element): boolean {
  return nonza.ns === ns.sm3 || nonza.ns === ns.sm2
}

/** Milliseconds that the server keeps a session whose stream is lost; it need not say (XEP-0198 section 3). */
export function resumableMilliseconds(enabled: Element): number {
  const max = parseCount(enabled.attrs.get('max')) ?? 3_600
  return Math.min(max, awayAtMost) * 1_000
}

/** The condition that goes with `undefined-condition` when a count is too high. */
export function handledTooHigh(nonza: Element, sent: number): Element {
  return element('handled-count-too-high', nonza.ns, { h: nonza.attrs.get('h'), 'send-count': String(sent) })
}

/** The server's `<enabled/>` as the client is to get it: without `location`, which would lead it past the gate. */
export function enabledForClient(enabled: Element): Element {
  const max = parseCount(enabled.attrs.get('max'))
  const lowered = max !== undefined && max > awayAtMost ? { max: String(awayAtMost) } : {}
  return withAttrs(enabled, { location: undefined, ...lowered })
}

/** The gate's own `<failed/>`. */
export function refusal(uri: string, condition: 'item-not-found' | 'unexpected-request'): Element {
  return element('failed', uri, {}, [element(condition, ns.stanzaErrors)])
}
