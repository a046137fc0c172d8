/**
 * The two streams of a session: which connections are open, what is sent, and how the streams end. Whatever the reason, each side
 * gets what RFC 6120 sections 4.4 and 4.9 require: a header before an error, one error, one end tag, and then the end of its
 * connection.
 */
import type { AccountNews } from '../account/news.ts'
import { isKind } from '../stanza/stanza.ts'
import { type Side, type StreamError, type StreamItem, streamErrors } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import { type Element, elements } from '../xml/element.ts'
import type { Effect } from './event.ts'
import type { Cause, NegotiationStage } from './labels.ts'
import type { Report } from './report.ts'
import type { BoundOutput } from './resumable-session.ts'

/** What a stream header of the gate's own says (RFC 6120 section 4.7). */
export interface OwnHeader {
  /** Empty when the domain that was asked for is not served (RFC 6120 section 4.9.1.3). */
  readonly from: string
  readonly id: string
}

export class Streams implements BoundOutput {
  /** The effects of the present event. */
  out: Effect[] = []
  /** Why the session ends, once that is known. */
  cause: Cause | undefined
  /** Stanzas that the client was sent. */
  stanzasToClient = 0
  private state: 'open' | 'closing' | 'closed' = 'open'
  private readonly opened = { client: true, upstream: false }
  /** A stream header was sent to this side, and the end tag was not. */
  private readonly speaking = { client: false, upstream: false }
  private readonly ownHeader: () => OwnHeader

  constructor(ownHeader: () => OwnHeader) {
    this.ownHeader = ownHeader
  }

  get isOpen(): boolean {
    return this.state === 'open'
  }

  get isClosing(): boolean {
    return this.state === 'closing'
  }

  get isClosed(): boolean {
    return this.state === 'closed'
  }

  hasTransport(side: Side): boolean {
    return this.opened[side]
  }

  isSpeakingTo(side: Side): boolean {
    return this.speaking[side]
  }

  // Sending.

  report(report: Report): void {
    this.out.push({ effect: 'report', report })
  }

  /** Tells the other sessions of this account. */
  tell(account: string, news: AccountNews): void {
    this.out.push({ effect: 'tell-account', account, news })
  }

  /** The negotiation did not succeed; `condition`: `undefined` when the peer has named none. */
  failedAt(stage: NegotiationStage, condition = 'other'): void {
    this.report({ report: 'negotiation-failed', stage, condition })
  }

  send(to: Side, item: StreamItem): void {
    if (!this.opened[to]) return
    if (to === 'client' && item.item === 'element' && isKind(item.element.name)) this.stanzasToClient++
    if (item.item === 'open') this.speaking[to] = true
    this.out.push({ effect: 'send', to, item })
  }

  sendElement(to: Side, whole: Element): void {
    this.send(to, { item: 'element', element: whole })
  }

  /** The gate's own answer to an element of the client's that is no stanza; `undefined`: the element is left out. */
  answer(nonza: Element | undefined): void {
    this.report({ report: 'nonza', from: 'client', verdict: nonza === undefined ? 'drop' : 'reject' })
    if (nonza !== undefined) this.sendElement('client', nonza)
  }

  sayOwnHeader(): void {
    const { from, id } = this.ownHeader()
    const header = new Map([
      ['from', from],
      ['id', id],
      ['version', '1.0'],
      ['xml:lang', 'en'],
    ])
    this.send('client', { item: 'open', header })
  }

  /** The present stream with this side is over without an end tag: TLS or a new header follows (RFC 6120 section 4.3.3). */
  beginAnew(side: Side): void {
    this.speaking[side] = false
  }

  // Transports.

  connected(): void {
    this.opened.upstream = true
    this.report({ report: 'stream-opened', side: 'upstream' })
    if (!this.isOpen) this.end('upstream')
  }

  /** The transport of this side is gone. */
  lost(side: Side): void {
    if (!this.opened[side]) return
    this.opened[side] = false
    this.speaking[side] = false
    this.report({ report: 'stream-closed', side, cause: this.cause ?? `${side}-lost` })
    this.cause ??= `${side}-lost`
    if (!this.opened.client && !this.opened.upstream) {
      this.state = 'closed'
      return
    }
    if (this.state === 'closing' && side === 'upstream') this.end('client')
  }

  abort(): void {
    for (const side of ['client', 'upstream'] as const) if (this.opened[side]) this.out.push({ effect: 'abort', side })
  }

  // Ends.

  /** A stream error to the client, and the end of both streams (RFC 6120 section 4.9.1.1). */
  fail(condition: StreamError, cause: Cause, text?: string, application?: Element): void {
    if (!this.isOpen) return
    if (!this.speaking.client) this.sayOwnHeader()
    this.error('client', condition, text, application)
    this.close('upstream', cause)
  }

  /** The client is told to go to another host. */
  redirect(host: string): void {
    if (!this.isOpen) return
    if (!this.speaking.client) this.sayOwnHeader()
    this.report({ report: 'stream-error', side: 'client', by: 'gate', condition: 'see-other-host' })
    this.send('client', { item: 'error', condition: 'see-other-host', host })
    this.close('upstream', 'not-served')
  }

  /** A stream error to this side; the streams end by what follows. */
  error(to: Side, condition: StreamError, text?: string, application?: Element): void {
    this.report({ report: 'stream-error', side: to, by: 'gate', condition, ...(text !== undefined && { text }) })
    this.send(to, { item: 'error', condition, text, application })
  }

  /** This side has closed its stream, or is taken to have: the other side's is closed, and what it still says is waited for. */
  close(side: Side, cause: Cause = side === 'client' ? 'client-closed' : 'upstream-closed'): void {
    if (!this.isOpen) return
    this.state = 'closing'
    this.cause ??= cause
    // Without an upstream there is no end tag to wait for.
    if (side === 'client' && this.opened.upstream) return this.sayClose('upstream')
    if (side === 'upstream') this.sayClose('client')
    this.end('upstream')
  }

  /** The transports end without end tags: the server may keep the session, and the client may resume it. */
  cut(cause: Cause): void {
    if (this.state === 'closed') return
    this.state = 'closing'
    this.cause ??= cause
    this.speaking.client = false
    this.speaking.upstream = false
    for (const side of ['client', 'upstream'] as const) if (this.opened[side]) this.out.push({ effect: 'close', side })
  }

  /** This side has sent its end tag, or will send nothing more. If it is the upstream, the client's stream is ended too. */
  end(side: Side): void {
    this.sayClose(side)
    if (this.opened[side]) this.out.push({ effect: 'close', side })
    if (side === 'upstream') this.end('client')
  }

  private sayClose(to: Side): void {
    if (!this.speaking[to]) return
    this.send(to, { item: 'close' })
    this.speaking[to] = false
  }
}

/** The defined condition of a stream error; an unknown one is `undefined-condition`. */
export function conditionOf(error: Element): StreamError {
  const named = elements(error).find(node => node.ns === ns.streamErrors && node.name !== 'text')?.name
  return streamErrors.find(condition => condition === named) ?? 'undefined-condition'
}
