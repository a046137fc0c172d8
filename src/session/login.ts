/** SASL (RFC 6120 section 6) and SASL2 (XEP-0388): the client's requests, the server's answers, and how often it may go wrong. */

import { copied } from '../stanza/copied.ts'
import { ns } from '../stream/namespaces.ts'
import { child, type Element, element } from '../xml/element.ts'
import { type CredentialFault, claimsOf, credentialFault } from './authzid.ts'
import { boundInlineOf, failureOf } from './negotiation.ts'
import type { Progress, StreamManagement } from './stream-management.ts'
import type { Streams } from './streams.ts'

/** The session that this is a part of. */
export interface LoginStage {
  readonly streams: Streams
  readonly at: Progress
  readonly streamManagement: StreamManagement
  /** Failed logins; the last of them ends the stream (RFC 6120 section 6.4.5 has 2 to 5 retries). */
  readonly failuresAtMost: number
  /** A task is open, which is for somebody to do. */
  fills(): void
  /** A new stream begins on both sides. */
  restart(): void
  /** Whether this resource may be bound; if not, the stream is over. */
  mayBind(jid: string): boolean
  /** The success has bound it (XEP-0386). */
  bind(jid: string): void
}

export class Login {
  /** Credentials may name another account to act for: the route says so. */
  actsForOthers = false
  private readonly stage: LoginStage
  private failures = 0
  /** Reads who wants to be whom, where the mechanism that was begun last says so in the clear. */
  private claims: ReturnType<typeof claimsOf>

  constructor(stage: LoginStage) {
    this.stage = stage
  }

  ask(request: Element): void {
    const { streams, at, streamManagement } = this.stage
    if (at.phase !== 'negotiating') return streams.fail('not-authorized', 'client-error')
    if (request.name === 'auth' || request.name === 'authenticate') this.claims = claimsOf(request)
    const fault = this.actsForOthers ? undefined : this.claims && credentialFault(request, this.claims, at.domain)
    if (fault !== undefined) return this.refuse(request, fault)
    if (streamManagement.asksInline(request)) return
    at.phase = 'authenticating'
    streams.sendElement('upstream', request)
  }

  answer(received: Element): void {
    const { streams, at, streamManagement } = this.stage
    // An answer that nobody waits for.
    if (at.phase !== 'authenticating') return streams.report({ report: 'nonza', from: 'upstream', verdict: 'drop' })
    if (received.name === 'success') return this.succeed(received)
    at.phase = 'negotiating'
    streams.sendElement('client', received)
    if (received.name === 'continue') this.stage.fills()
    if (received.name !== 'failure') return
    // XEP-0509: the client has relied on features of an earlier time, and is to try again; no credentials were looked at.
    if (child(received, 'config-version-mismatch', ns.iap) !== undefined) return streamManagement.refused()
    this.fail(failureOf(received, ns.sasl))
  }

  private succeed(received: Element): void {
    const { streams, at } = this.stage
    at.phase = 'authenticated'
    if (received.ns === ns.sasl2) return this.succeedInline(received)
    streams.sendElement('client', received)
    streams.out.push({ effect: 'admit' })
    this.stage.restart()
  }

  /** XEP-0386: the success holds the bound JID; XEP-0198: or a resumption. */
  private succeedInline(received: Element): void {
    const { streams, streamManagement } = this.stage
    const success = streamManagement.success(received)
    if (success === undefined) return
    const jid = boundInlineOf(received)
    if (jid !== undefined && !this.stage.mayBind(jid)) return
    streams.sendElement('client', success)
    streams.out.push({ effect: 'admit' })
    if (jid === undefined) return
    this.stage.bind(copied(jid))
    streamManagement.boundInline(received)
  }

  private refuse(request: Element, fault: CredentialFault): void {
    const { streams, at } = this.stage
    // The server waits for the response of an exchange that it has begun: it is told that there is none, and says so.
    if (request.name === 'response') {
      at.phase = 'authenticating'
      return streams.sendElement('upstream', element('abort', request.ns))
    }
    streams.sendElement('client', element('failure', request.ns, {}, [element(fault, ns.sasl)]))
    this.fail(fault)
  }

  private fail(condition: string | undefined): void {
    const { streams, streamManagement, failuresAtMost } = this.stage
    streams.failedAt('sasl', condition)
    streamManagement.refused()
    if (++this.failures >= failuresAtMost)
      streams.fail('policy-violation', 'client-error', 'too many attempts to authenticate')
  }
}
