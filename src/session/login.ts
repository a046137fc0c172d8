/**
 * SASL (RFC 6120 section 6) and SASL2 (XEP-0388): what the client asks, what the upstream answers, and how often it may go wrong. Each
 * function says what it found; the session decides what follows.
 */

import { ns } from '../stream/namespaces.ts'
import { child, type Element, element } from '../xml/element.ts'
import { type CredentialFault, claimsOf, credentialFault } from './authzid.ts'
import { failureOf } from './negotiation.ts'
import type { Streams } from './streams.ts'

/** What the upstream's answer means for the login. */
export type LoginAnswer =
  | 'success'
  /** A step of the exchange: the client is to answer. */
  | 'step'
  /** A task for a person, which may take long (XEP-0388 section 2.6). */
  | 'task'
  /** The login has failed; `too-often`: for the last time, and the stream is over. */
  | 'failed'
  | 'too-often'
  /** XEP-0509: the client has relied on features of an earlier time, and is to try again; no credentials were looked at. */
  | 'features-changed'

export class Login {
  /** Credentials may name another account to act for: the route says so. */
  actsForOthers = false
  private readonly streams: Streams
  /** Failed logins; the last of them ends the stream (RFC 6120 section 6.4.5 has 2 to 5 retries). */
  private readonly failuresAtMost: number
  private failures = 0
  /** Reads the names in messages of the mechanism that was begun last, where they are in clear text. */
  private claims: ReturnType<typeof claimsOf>

  constructor(streams: Streams, failuresAtMost: number) {
    this.streams = streams
    this.failuresAtMost = failuresAtMost
  }

  /** What is wrong with the credentials of this request; `undefined`: nothing that can be seen here. */
  faultOf(request: Element, domain: string): CredentialFault | undefined {
    if (request.name === 'auth' || request.name === 'authenticate') this.claims = claimsOf(request)
    return this.actsForOthers ? undefined : this.claims && credentialFault(request, this.claims, domain)
  }

  /** Refuses a request for its credentials. `asked`: the upstream was asked to end the exchange, and answers. */
  refuse(request: Element, fault: CredentialFault): 'asked' | 'failed' | 'too-often' {
    // The upstream waits for the response of an exchange that it has begun: it is told that there is none, and says so.
    if (request.name === 'response') {
      this.streams.sendElement('upstream', element('abort', request.ns))
      return 'asked'
    }
    this.streams.sendElement('client', element('failure', request.ns, {}, [element(fault, ns.sasl)]))
    return this.failed(fault)
  }

  /** Passes on the upstream's answer, unless it is the success, which the session passes on in its own way. */
  answer(received: Element): LoginAnswer {
    if (received.name === 'success') {
      // The request and its credentials are not kept any longer.
      this.claims = undefined
      return 'success'
    }
    this.streams.sendElement('client', received)
    if (received.name === 'continue') return 'task'
    if (received.name !== 'failure') return 'step'
    if (child(received, 'config-version-mismatch', ns.iap) !== undefined) return 'features-changed'
    return this.failed(failureOf(received, ns.sasl))
  }

  private failed(condition: string | undefined): 'failed' | 'too-often' {
    this.streams.failedAt('sasl', condition)
    return ++this.failures >= this.failuresAtMost ? 'too-often' : 'failed'
  }
}
