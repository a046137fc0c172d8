/**
 * Stream management (XEP-0198) on one stream: what each side says of it, in elements of its own and inside SASL2, and the way to a
 * resumption. The counts themselves are in `stanza-counts.ts`, and outlive the stream. Each function says what it found; the session
 * decides what follows.
 */
import { domainSkeletonOf } from '../stanza/jid.ts'
import type { Side } from '../stream/item.ts'
import type { Element } from '../xml/element.ts'
import { parseCount } from './acks.ts'
import type { Cause } from './labels.ts'
import type { Phase } from './negotiation.ts'
import type { ResumableSession } from './resumable-session.ts'
import { inlineResumeOf, withInlineResume, withManagement } from './sasl2.ts'
import { enabledForClient, handledTooHigh, refusal, resumableMilliseconds, StanzaCounts } from './stanza-counts.ts'
import type { Streams } from './streams.ts'

/** How far a session has come. Only the session writes it. */
export interface Progress {
  readonly phase: Phase
  /** As the client has spelled it; empty as long as it has named none. */
  readonly domain: string
  /** The upstream's name; empty as long as none was chosen. */
  readonly upstream: string
  /** The bound resource; `undefined` before. */
  readonly bound: ResumableSession | undefined
}

/** A session that goes on here, and what is still owed to both sides. */
export interface Resumed {
  readonly session: ResumableSession
  readonly owed: Readonly<Record<Side, readonly Element[]>>
}

/** What the client's element means: it asks for a resumption, and `found` is to be told what there is; or it was dealt with. */
export type ClientStep = 'resumption' | 'done'
/** What the upstream's element means. */
export type UpstreamStep = Resumed | 'resumption-failed' | 'done'

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
  private readonly streams: Streams
  private resuming: Resuming | undefined
  private resumable = false

  constructor(streams: Streams) {
    this.streams = streams
  }

  /** The session can be resumed when its stream is lost. */
  get isResumable(): boolean {
    return this.resumable
  }

  /** Whether this SASL2 request asks for a resumption inline; `found` is to be told what there is then. */
  asksInline(request: Element, at: Progress): boolean {
    const resume = inlineResumeOf(request)
    if (resume !== undefined) this.find(resume, request, at)
    return resume !== undefined
  }

  /** The authentication has failed, and what was asked for with it. */
  refused(): void {
    this.resuming = undefined
  }

  /** The upstream's SASL2 success: as the client is to get it, or the session that it has resumed. */
  success(received: Element): Element | Resumed | 'done' {
    const { resuming } = this
    const isUnknown = resuming !== undefined && resuming.found === undefined
    const owed = isUnknown ? [refusal(resuming.asked.ns, 'item-not-found')] : []
    let resumed: Element | undefined
    const success = withManagement(received, owed, nonza => {
      if (nonza.name === 'resumed') resumed = nonza
      if (nonza.name === 'enabled') return enabledForClient(nonza)
      return nonza.name === 'failed' ? (resuming?.found?.counts?.failure(nonza) ?? nonza) : nonza
    })
    if (resumed !== undefined)
      return this.resume(resumed, answer => withManagement(received, [], nonza => (nonza === resumed ? answer : nonza)))
    if (resuming?.found !== undefined) this.streams.report({ report: 'resumption', outcome: 'refused' })
    this.resuming = undefined
    return success
  }

  /** The success has bound a resource, and may have enabled stream management with it: the counts start here (XEP-0386). */
  boundInline(success: Element, at: Progress): void {
    let enabled: Element | undefined
    withManagement(success, [], nonza => {
      if (nonza.name === 'enabled') enabled = nonza
      return nonza
    })
    if (enabled === undefined || at.bound === undefined) return
    at.bound.counts = new StanzaCounts(enabled.ns)
    this.enabled(enabled, at)
  }

  client(nonza: Element, at: Progress): ClientStep {
    const { streams } = this
    const counts = at.bound?.counts
    switch (nonza.name) {
      case 'enable':
        // RFC 6120 has the resource first; a stream is managed once (XEP-0198 section 3).
        if (at.bound === undefined || counts !== undefined) {
          streams.answer(refusal(nonza.ns, 'unexpected-request'))
          return 'done'
        }
        at.bound.counts = new StanzaCounts(nonza.ns)
        streams.sendElement('upstream', nonza)
        return 'done'
      case 'resume':
        if (at.phase !== 'authenticated') {
          streams.answer(refusal(nonza.ns, 'unexpected-request'))
          return 'done'
        }
        this.find(nonza, undefined, at)
        return 'resumption'
      case 'r':
        if (counts === undefined) streams.answer(undefined)
        else streams.sendElement('upstream', nonza)
        return 'done'
      case 'a':
        this.clientAcknowledges(nonza, counts)
        return 'done'
      default:
        streams.answer(undefined)
        return 'done'
    }
  }

  upstream(nonza: Element, at: Progress): UpstreamStep {
    const { bound } = at
    const counts = bound?.counts
    switch (nonza.name) {
      case 'enabled':
        if (counts === undefined || counts.isEnabled) break
        this.streams.sendElement('client', enabledForClient(nonza))
        this.enabled(nonza, at)
        return 'done'
      case 'failed':
        if (at.phase === 'resuming') return this.resumeFailed(nonza)
        if (bound === undefined || counts === undefined || counts.isEnabled) break
        bound.counts = undefined
        this.streams.sendElement('client', nonza)
        return 'done'
      case 'resumed':
        if (at.phase !== 'resuming') break
        return this.resume(nonza, answer => answer)
      case 'r':
        if (counts === undefined) break
        this.streams.sendElement('client', nonza)
        return 'done'
      case 'a': {
        if (counts === undefined) break
        const told = counts.acknowledgement('upstream', nonza)
        if (told === undefined) this.lied('upstream', nonza, counts)
        else this.streams.sendElement('client', told)
        return 'done'
      }
    }
    this.streams.report({ report: 'nonza', from: 'upstream', verdict: 'drop' })
    return 'done'
  }

  private clientAcknowledges(nonza: Element, counts: StanzaCounts | undefined): void {
    const { streams } = this
    if (counts?.isEnabled !== true || counts.uri !== nonza.ns) return streams.answer(undefined)
    if (parseCount(nonza.attrs.get('h')) === undefined)
      return streams.fail('bad-format', 'client-error', "<a/> has no count for its 'h'")
    const told = counts.acknowledgement('client', nonza)
    if (told === undefined) return this.lied('client', nonza, counts)
    streams.sendElement('upstream', told)
  }

  /** The upstream counts from here on, and may let the session be resumed. */
  private enabled(nonza: Element, at: Progress): void {
    const { bound } = at
    const id = nonza.attrs.get('id')
    const resume = nonza.attrs.get('resume')
    bound?.counts?.enabled(this.streams.stanzasToClient)
    if (bound === undefined || id === undefined || (resume !== 'true' && resume !== '1')) return
    this.resumable = true
    this.streams.out.push({
      effect: 'offer-resumption',
      key: keyOf(id, at),
      bound,
      resumableFor: resumableMilliseconds(nonza),
    })
  }

  private find(asked: Element, authenticate: Element | undefined, at: Progress): void {
    const key = keyOf(asked.attrs.get('previd') ?? '', at)
    this.resuming = { asked, key, authenticate, found: undefined }
    this.streams.out.push({ effect: 'find-resumable', key })
  }

  /**
   * What the gate has of the session that is to be resumed; without it there can be no true count, and the client binds again. Gives the
   * phase that follows; `undefined`: nobody asks any longer.
   */
  found(session: ResumableSession | undefined): Phase | undefined {
    const { resuming, streams } = this
    if (resuming === undefined || !streams.isOpen) return undefined
    const { asked, authenticate } = resuming
    const counts = session?.counts
    const isFound = counts?.isWhole === true && counts.uri === asked.ns
    const told = isFound ? counts.resumption(asked) : undefined
    if (told !== undefined) resuming.found = session
    else streams.report({ report: 'resumption', outcome: 'unknown' })
    if (authenticate !== undefined) {
      streams.sendElement('upstream', withInlineResume(authenticate, told))
      return 'authenticating'
    }
    if (told !== undefined) {
      streams.sendElement('upstream', told)
      return 'resuming'
    }
    this.resuming = undefined
    streams.answer(refusal(asked.ns, 'item-not-found'))
    return 'authenticated'
  }

  /**
   * The upstream has ended its stream instead of an answer to a resumption. If it was asked with a count that is too high, that is why, and
   * the client is told so (XEP-0198 section 5); says whether it was.
   */
  blames(): boolean {
    const counts = this.resuming?.found?.counts
    if (this.resuming === undefined || counts === undefined || !counts.claimsTooMuch(this.resuming.asked)) return false
    this.lied('client', this.resuming.asked, counts)
    return true
  }

  /** XEP-0198 section 5: the client may bind a resource on the same stream. */
  private resumeFailed(failed: Element): 'resumption-failed' {
    const answer = this.resuming?.found?.counts?.failure(failed) ?? failed
    this.resuming = undefined
    this.streams.report({ report: 'resumption', outcome: 'refused' })
    this.streams.sendElement('client', answer)
    return 'resumption-failed'
  }

  /** `wrap`: what the client's `<resumed/>` stands in. */
  private resume(resumed: Element, wrap: (answer: Element) => Element): Resumed | 'done' {
    const { resuming, streams } = this
    const found = resuming?.found
    const counts = found?.counts
    if (resuming === undefined || found === undefined || counts === undefined) {
      streams.fail('internal-server-error', 'upstream-error')
      return 'done'
    }
    const owed = counts.resumed(resuming.asked, resumed)
    if (owed === undefined) {
      if (counts.claimsTooMuch(resuming.asked)) this.lied('client', resuming.asked, counts)
      else this.lied('upstream', resumed, counts)
      return 'done'
    }
    this.resuming = undefined
    this.resumable = true
    streams.sendElement('client', wrap(owed.answer))
    if (resuming.authenticate !== undefined) streams.out.push({ effect: 'authenticated' })
    streams.report({ report: 'resumption', outcome: 'resumed' })
    streams.out.push({ effect: 'take-over', key: resuming.key })
    return { session: found, owed: { client: owed.client, upstream: owed.upstream } }
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

  /** Another stream has resumed the session: this one ends with `conflict`. */
  superseded(): void {
    if (!this.streams.isOpen) return
    this.resumable = false
    this.streams.error('client', 'conflict')
    this.streams.send('client', { item: 'close' })
    this.streams.cut('superseded')
  }

  /** The streams end. A session whose stream is lost can be resumed; one whose stream was closed cannot (XEP-0198 section 5). */
  ended(): void {
    if (!this.resumable) return
    this.streams.out.push({ effect: lost.has(this.streams.cause) ? 'suspend' : 'withdraw-resumption' })
  }
}

/** The streams ended without end tags, so that the server keeps the session. */
const lost: ReadonlySet<Cause | undefined> = new Set<Cause>([
  'client-lost',
  'upstream-lost',
  'slow-client',
  'slow-upstream',
])

/** SM-IDs of different upstreams or domains are different sessions. */
function keyOf(id: string, { upstream, domain }: Progress): string {
  return JSON.stringify([upstream, domainSkeletonOf(domain), id])
}
