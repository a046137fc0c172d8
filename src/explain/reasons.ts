/** Why a verdict is what it is, in words. */
import type { RuleOutcome } from '../rules/outcome.ts'
import { pendingRequests } from '../rules/pending-requests.ts'
import { redeliverRequests } from '../rules/redeliver-requests.ts'
import { subscriptionNeedsRequest } from '../rules/subscription-needs-request.ts'
import { isAnswerable } from '../stanza/error.ts'
import type { Stanza } from '../stanza/stanza.ts'
import type { Side } from '../stream/item.ts'
import type { StateName } from './states.ts'
import type { Step } from './step.ts'

export interface ReasonsInput {
  readonly stanza: Stanza
  readonly from: Side
  readonly verdict: RuleOutcome['verdict']
  readonly path: readonly Step[]
  readonly state: StateName | null
  /** What is configured for a stranger with this address; `undefined`: it is not known. */
  readonly stranger?: string | undefined
}

const infinitives: Readonly<Record<RuleOutcome['verdict'], string>> = {
  forward: 'rewritten it',
  reject: 'answered it with an error',
  drop: 'left it out',
  close: 'ended the stream',
}

/** Sentences; the rules' own words are in them. Never none. */
export function reasonsOf({ stanza, from, verdict, path, state, stranger }: ReasonsInput): string[] {
  const out: string[] = []
  for (const step of path) {
    const right = `${step.about} (${step.clause})`
    const isAgain = step.rule === redeliverRequests.name
    if (step.outcome === 'rewrote')
      out.push(
        isAgain ? `The gate delivers it, as the server has not: ${right}.` : `${step.rule} put it right: ${right}.`,
      )
    if (step.outcome === 'would' && step.verdict !== null) {
      const error = step.error === null ? '' : `, ${errorWords(step)}`
      out.push(`${step.rule} only observes, and would have ${infinitives[step.verdict]}${error}: ${right}.`)
    }
    if (step.outcome === 'decided') out.push(`${step.rule} decided: ${right}.`, effectOf(step))
  }
  const isVerified = from === 'upstream' && (stanza.type === 'subscribed' || stanza.type === 'unsubscribed')
  if (verdict === 'drop' && from === 'client' && !isAnswerable(stanza))
    out.push('What is itself an error or a result is never answered (RFC 6120 8.3.1).')
  if (verdict === 'forward' && isVerified && stanza.kind === 'presence' && state === 'unknown')
    out.push('Nothing is known of the contact, so nothing can be verified: it passes.')
  if (verdict === 'drop' && isVerified && stanza.kind === 'presence' && state === 'unknown')
    out.push(
      'Nothing is known of the contact, and rules.unknown is drop: what cannot be verified is left out, right or not.',
    )
  if (out.length > 0) return out
  if (from === 'upstream' && stanza.kind === 'presence' && stanza.type === 'subscribe')
    return ['No rule has anything against it.', pendingUnknown, ...(stranger === undefined ? [] : [stranger])]
  const isSeen = state !== null && /^(from|both)/.test(state)
  if (from === 'client' && stanza.kind === 'presence' && stanza.type === 'subscribed' && isSeen)
    return ['No rule has anything against it.', idleWords]
  return [verdict === 'forward' ? 'No rule has anything against it.' : "No rule spoke: the session's phase forbids it."]
}

const idleWords =
  'With limits.requestsPerHour outbound-requests may leave it out nevertheless: the contact sees the user already, and whether it has asked anew is not known here.'
const undoneWords =
  'It showed that the server has granted the subscription. The gate keeps the roster push and the presence from the client, and takes the grant back with an `unsubscribe` as long as limits.compensationsPerHour allows.'
const pendingUnknown =
  "With limits.pendingRequests a stranger's request may be held nevertheless: how many were shown is not known here."

function effectOf(step: Step): string {
  switch (step.verdict) {
    case 'reject':
      return `It is not passed on; whoever sent it is answered with ${errorWords(step)}.`
    case 'close':
      return `The stream ends with ${errorWords(step)}.`
    default:
      if (step.rule === subscriptionNeedsRequest.name) return undoneWords
      return step.rule === pendingRequests.name
        ? 'It is held until there is room for it, or left out if it was shown or is held already, or if its class of strangers is dropped (limits.pendingRequests.strangers); the server delivers it again at each login.'
        : 'It is not passed on, and nobody is told.'
  }
}

function errorWords({ error, text }: Step): string {
  return text === null ? `${error}` : `${error} ("${text}")`
}
