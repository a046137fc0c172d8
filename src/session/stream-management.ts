/**
 * Stream management (XEP-0198) on one stream: what each side says of it, in elements of its own and inside SASL2, and the way to a
 * resumption. The counts themselves are kept in `management.ts`, which outlives the stream.
 */
import { domainSkeletonOf } from '../stanza/jid.ts'
import type { Side } from '../stream/item.ts'
import type { Element } from '../xml/element.ts'
import { parseCount } from './acks.ts'
import type { Phase } from './negotiation.ts'
import type { ResumableSession } from './resumable-session.ts'
import { inlineResumeOf, withInlineResume, withManagement } from './sasl2.ts'
import { enabledForClient, handledTooHigh, patienceOf, refusal, StanzaCounts } from './stanza-counts.ts'
import type { Streams } from './streams.ts'

/** How far a session has come. */
export interface Progress {
  phase: Phase
  /** As the client has spelled it; empty as long as it has named none. */
  domain: string
  /** The upstream's name; empty as long as none was chosen. */
  upstream: string
  /** The bound resource; `undefined` before. */
  bound: ResumableSession | undefined
}

/** The session that this is a part of. */
export interface Stage {
  readonly streams: Streams
  readonly at: Progress
  /** The resource is bound, or bound again. */
  begin(bound: ResumableSession): void
  /** The gate's own answer to a nonza of the client's; `undefined`: it is left out. */
  answer(nonza: Element | undefined): void
}

/** A resumption that the client has asked for (XEP-0198 section 5). */
interface Resuming {
  readonly asked: Element
  readonly key: string
  /** The SASL2 request that asked for it inline; `undefined` for a `<resume/>` by itself. */
  readonly authenticate: Element | undefined
  /** What was found under its SM-ID; `undefined`: nothing that can be resumed. */
  found: ResumableSession | undefined
}

export class StreamManagement {
  private readonly stage: Stage
  private readonly streams: Streams
  private readonly at: Progress
  private resuming: Resuming | undefined
  private resumable = false

  constructor(stage: Stage) {
    this.stage = stage
    this.streams = stage.streams
    this.at = stage.at
  }

  /** The session can be resumed when its stream is lost. */
  get isResumable(): boolean {
    return this.resumable
  }

  /** A SASL2 request that asks for a resumption inline is taken here; says whether it was. */
  asksInline(request: Element): boolean {
    const resume = inlineResumeOf(request)
    if (resume !== undefined) this.fetch(resume, request)
    return resume !== undefined
  }

  /** The authentication has failed, and what was asked for with it. */
  refused(): void {
    this.resuming = undefined
  }

  /** The server's SASL2 success as the client is to get it; `undefined`: it resumed the stream, and that was told. */
  success(received: Element): Element | undefined {
    const { resuming } = this
    const isUnknown = resuming !== undefined && resuming.found === undefined
    const owed = isUnknown ? [refusal(resuming.asked.ns, 'item-not-found')] : []
    let resumed: Element | undefined
    const success = withManagement(received, owed, nonza => {
      if (nonza.name === 'resumed') resumed = nonza
      if (nonza.name === 'enabled') return enabledForClient(nonza)
      return nonza.name === 'failed' ? (resuming?.found?.counts?.failure(nonza) ?? nonza) : nonza
    })
    if (resumed !== undefined) {
      this.resume(resumed, answer => withManagement(received, [], nonza => (nonza === resumed ? answer : nonza)))
      return undefined
    }
    if (resuming?.found !== undefined) this.streams.report({ report: 'resumption', outcome: 'refused' })
    this.resuming = undefined
    return success
  }

  /** The success has bound a resource, and may have enabled stream management with it: the counts start here (XEP-0386). */
  boundInline(success: Element): void {
    let enabled: Element | undefined
    withManagement(success, [], nonza => {
      if (nonza.name === 'enabled') enabled = nonza
      return nonza
    })
    if (enabled === undefined || this.at.bound === undefined) return
    this.at.bound.counts = new StanzaCounts(enabled.ns)
    this.enabled(enabled)
  }

  client(nonza: Element): void {
    const counts = this.at.bound?.counts
    const isRunning = counts?.isEnabled === true && counts.uri === nonza.ns
    switch (nonza.name) {
      case 'enable':
        // RFC 6120 has the resource first; a stream is managed once (XEP-0198 section 3).
        if (this.at.bound === undefined || counts !== undefined)
          return this.stage.answer(refusal(nonza.ns, 'unexpected-request'))
        this.at.bound.counts = new StanzaCounts(nonza.ns)
        return this.streams.sendElement('upstream', nonza)
      case 'resume':
        if (this.at.phase !== 'authenticated') return this.stage.answer(refusal(nonza.ns, 'unexpected-request'))
        return this.fetch(nonza, undefined)
      case 'r':
        return counts === undefined ? this.stage.answer(undefined) : this.streams.sendElement('upstream', nonza)
      case 'a': {
        if (!isRunning) return this.stage.answer(undefined)
        if (parseCount(nonza.attrs.get('h')) === undefined)
          return this.streams.fail('bad-format', 'client-error', "<a/> has no count for its 'h'")
        const told = counts.acknowledgement('client', nonza)
        if (told === undefined) return this.lied('client', nonza, counts)
        return this.streams.sendElement('upstream', told)
      }
      default:
        return this.stage.answer(undefined)
    }
  }

  upstream(nonza: Element): void {
    const { bound } = this.at
    const counts = bound?.counts
    switch (nonza.name) {
      case 'enabled':
        if (counts === undefined || counts.isEnabled) break
        this.streams.sendElement('client', enabledForClient(nonza))
        return this.enabled(nonza)
      case 'failed':
        if (this.at.phase === 'resuming') return this.onResumeFailed(nonza)
        if (bound === undefined || counts === undefined || counts.isEnabled) break
        bound.counts = undefined
        return this.streams.sendElement('client', nonza)
      case 'resumed':
        if (this.at.phase !== 'resuming') break
        return this.resume(nonza, answer => answer)
      case 'r':
        if (counts === undefined) break
        return this.streams.sendElement('client', nonza)
      case 'a': {
        if (counts === undefined) break
        const told = counts.acknowledgement('upstream', nonza)
        if (told === undefined) return this.lied('upstream', nonza, counts)
        return this.streams.sendElement('client', told)
      }
    }
    this.streams.report({ report: 'nonza', from: 'upstream', verdict: 'drop' })
  }

  /** The server counts from here on, and may let the session be resumed. */
  private enabled(nonza: Element): void {
    const { bound } = this.at
    const id = nonza.attrs.get('id')
    const resume = nonza.attrs.get('resume')
    bound?.counts?.enabled(this.streams.stanzasToClient)
    if (bound === undefined || id === undefined || (resume !== 'true' && resume !== '1')) return
    this.resumable = true
    this.streams.out.push({ effect: 'offer-resumption', key: this.keyOf(id), bound, patience: patienceOf(nonza) })
  }

  /** An SM-ID is the server's own: another server's means another session. */
  private keyOf(id: string): string {
    return JSON.stringify([this.at.upstream, domainSkeletonOf(this.at.domain), id])
  }

  private fetch(asked: Element, authenticate: Element | undefined): void {
    const key = this.keyOf(asked.attrs.get('previd') ?? '')
    this.at.phase = 'resuming'
    this.resuming = { asked, key, authenticate, found: undefined }
    this.streams.out.push({ effect: 'find-resumable', key })
  }

  /** What the gate has of the session that is to be resumed; without it there can be no true count, and the client binds anew. */
  fetched(found: ResumableSession | undefined): void {
    const { resuming } = this
    if (resuming === undefined || !this.streams.isOpen) return
    const { asked, authenticate } = resuming
    const counts = found?.counts
    const isFound = counts?.isWhole === true && counts.uri === asked.ns
    const told = isFound ? counts.resumption(asked) : undefined
    if (told !== undefined) resuming.found = found
    else this.streams.report({ report: 'resumption', outcome: 'unknown' })
    if (authenticate !== undefined) {
      this.at.phase = 'authenticating'
      return this.streams.sendElement('upstream', withInlineResume(authenticate, told))
    }
    if (told !== undefined) return this.streams.sendElement('upstream', told)
    this.resuming = undefined
    this.at.phase = 'authenticated'
    this.stage.answer(refusal(asked.ns, 'item-not-found'))
  }

  /**
   * The server has ended its stream instead of an answer to a resumption. If it was asked with a count that is too high, that is why, and
   * the client is told so (XEP-0198 section 5); says whether it was.
   */
  blames(): boolean {
    const counts = this.resuming?.found?.counts
    if (this.resuming === undefined || counts === undefined || !counts.claimsTooMuch(this.resuming.asked)) return false
    this.lied('client', this.resuming.asked, counts)
    return true
  }

  /** XEP-0198 section 5: the client may bind a resource on the same stream. */
  private onResumeFailed(failed: Element): void {
    const answer = this.resuming?.found?.counts?.failure(failed) ?? failed
    this.resuming = undefined
    this.at.phase = 'authenticated'
    this.streams.report({ report: 'resumption', outcome: 'refused' })
    this.streams.sendElement('client', answer)
  }

  /** `wrap`: what the client's `<resumed/>` stands in. */
  private resume(resumed: Element, wrap: (answer: Element) => Element): void {
    const { resuming } = this
    const found = resuming?.found
    const counts = found?.counts
    if (resuming === undefined || found === undefined || counts === undefined)
      return this.streams.fail('internal-server-error', 'upstream-error')
    const owed = counts.resumed(resuming.asked, resumed)
    if (owed === undefined) {
      const isClient = counts.claimsTooMuch(resuming.asked)
      return isClient ? this.lied('client', resuming.asked, counts) : this.lied('upstream', resumed, counts)
    }
    this.resuming = undefined
    this.resumable = true
    this.streams.sendElement('client', wrap(owed.answer))
    if (resuming.authenticate !== undefined) this.streams.out.push({ effect: 'admit' })
    this.streams.report({ report: 'resumption', outcome: 'resumed' })
    this.streams.out.push({ effect: 'take-over', key: resuming.key })
    this.stage.begin(found)
    for (const whole of owed.client) this.streams.sendElement('client', whole)
    for (const whole of owed.upstream) this.streams.sendElement('upstream', whole)
  }

  /** A count of what was never sent: the stream of the side that lied ends with the extension's own condition. */
  private lied(side: Side, nonza: Element, counts: StanzaCounts): void {
    const sent = counts.sentTo(side)
    const text = `${nonza.attrs.get('h')} stanzas are acknowledged, and ${sent} were sent`
    const application = handledTooHigh(nonza, sent)
    if (side === 'client') return this.streams.fail('undefined-condition', 'client-error', text, application)
    if (this.streams.isOpen) this.streams.error('upstream', 'undefined-condition', text, application)
    this.streams.fail('internal-server-error', 'upstream-error')
  }

  /** The session goes on on another stream: this one has nothing to say any longer. */
  superseded(): void {
    if (!this.streams.isOpen) return
    this.resumable = false
    this.streams.error('client', 'conflict')
    this.streams.send('client', { item: 'close' })
    this.streams.cut('superseded')
  }

  /** A stream that is lost can be resumed; one that was closed cannot (XEP-0198 section 5). */
  ended(): void {
    if (!this.resumable) return
    const { cause } = this.streams
    this.streams.out.push({
      effect: cause === 'client-lost' || cause === 'upstream-lost' ? 'await-resumption' : 'end-resumption',
    })
  }
}
