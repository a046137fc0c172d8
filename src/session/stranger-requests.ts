/** Carries out in a session what `PendingRequests` wants done: requests are held and released, and its notices are said. */
import type { HeldRequest } from '../account/held-requests.ts'
import type { RuleOutcome } from '../rules/outcome.ts'
import { pendingRequests } from '../rules/pending-requests.ts'
import { type Stanza, stanzaOf } from '../stanza/stanza.ts'
import type { Side } from '../stream/item.ts'
import type { BoundWays } from './bound-ways.ts'
import type { PendingRequests, PendingRequestsRecord } from './pending-requests.ts'
import type { BoundOutput } from './resumable-session.ts'
import { type Notice, stanzaOfNotice } from './stranger-notices.ts'

export class StrangerRequests {
  private readonly pending: PendingRequests
  private readonly domain: string
  private readonly jid: string
  private readonly session: Pick<BoundWays, 'say' | 'show' | 'judge'>
  /** The session was resumed: the operator may have released some meanwhile. They are shown behind the next stanza. */
  private isResumed = false

  /** `domain`: the account's; `jid`: the client's full JID. */
  constructor(
    pending: PendingRequests,
    domain: string,
    jid: string,
    session: Pick<BoundWays, 'say' | 'show' | 'judge'>,
  ) {
    this.pending = pending
    this.domain = domain
    this.jid = jid
    this.session = session
  }

  get record(): PendingRequestsRecord {
    return this.pending.record
  }

  /** Throws when it is no record. */
  restore(record: PendingRequestsRecord): void {
    this.pending.restore(record)
  }

  isHeld(contact: string, request: Stanza): boolean {
    return this.pending.isHeld(contact, request)
  }

  /** A stanza has gone on. */
  passed(from: Side, stanza: Stanza, output: BoundOutput): void {
    const mayRelease = this.pending[from === 'client' ? 'sent' : 'received'](stanza) || this.isResumed
    this.isResumed = false
    if (mayRelease) this.release(output)
    if (this.pending.notices.hasAny) this.tell(this.pending.notices.take(true), output)
  }

  /** A stanza of the server's was left out. `said`: what the rules said. */
  leftOut(stanza: Stanza, said: readonly RuleOutcome[], output: BoundOutput): void {
    if (said.at(-1)?.rule !== pendingRequests.name) return
    if (this.pending.hold(stanza)) this.release(output)
    this.tell(this.pending.notices.take(false), output)
  }

  /** Held requests for which there is room now are shown. To the client they are stanzas that it gets later. */
  release(output: BoundOutput): void {
    for (let held = this.pending.release(); held !== undefined; held = this.pending.release()) this.show(held, output)
  }

  /** The operator has decided. Another session of the account may have shown these already, and has taken them from what is held. */
  decided(released: readonly HeldRequest[], output: BoundOutput): void {
    for (const held of released) if (this.pending.decided(held)) this.show(held, output)
    this.release(output)
  }

  /** The session is one of its account's from now on. */
  joined(): void {
    this.isResumed = true
  }

  private show({ element }: HeldRequest, output: BoundOutput): void {
    const stanza = stanzaOf(element)
    const verdict = stanza && this.session.judge(stanza, 'passed').verdict
    if (verdict?.verdict !== 'forward') return
    output.report({ report: 'request-released' })
    this.session.show(verdict.stanza, output)
  }

  private tell(notices: readonly Notice[], output: BoundOutput): void {
    for (const each of notices) {
      if (each.notice === 'report') {
        output.report(each.report)
        continue
      }
      const { to, element, report } = stanzaOfNotice(each, this.domain, this.jid)
      output.report(report)
      this.session.say(to, element, output)
    }
  }
}
