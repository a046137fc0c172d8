/** Carries out in a session what `Redelivery` wants done: the gate's ping, and requests that are delivered again. */
import { keyOf } from '../account/contact-map.ts'
import { type RuleOutcome, ruleOutcomeOf } from '../rules/outcome.ts'
import { redeliverRequests } from '../rules/redeliver-requests.ts'
import { hasResource } from '../stanza/jid.ts'
import { type Stanza, stanzaOf } from '../stanza/stanza.ts'
import type { Side } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import { element } from '../xml/element.ts'
import type { BoundWays } from './bound-ways.ts'
import { judgedReport, type Reported } from './judgement-report.ts'
import { blockedBy, type Due, type Redeliveries, Redelivery, type RedeliveryRecord } from './redelivery.ts'
import type { BoundOutput } from './resumable-session.ts'

/** The session's own ways. */
export interface RedeliveringSession extends Pick<BoundWays, 'ask' | 'deliver' | 'leaveOut' | 'judge'> {
  /** The client's full JID. */
  readonly jid: string
  /** The account's. */
  readonly bare: string
  /** What the reports say of a contact. */
  readonly reported: Reported
  newStreamId(): string
  /** A stanza of the gate's was left out. */
  leftOut(stanza: Stanza, said: readonly RuleOutcome[], output: BoundOutput): void
}

export class Redelivering {
  private readonly redeliveries: Redeliveries
  private readonly redelivery: Redelivery
  private readonly session: RedeliveringSession

  constructor(redeliveries: Redeliveries, session: RedeliveringSession) {
    this.redeliveries = redeliveries
    this.redelivery = new Redelivery(redeliveries, session.jid)
    this.session = session
  }

  get record(): RedeliveryRecord {
    return this.redelivery.record
  }

  /** `null`: the gate before has not delivered requests again. Throws when it is no record. */
  restore(record: RedeliveryRecord | null): void {
    if (record === null) this.redelivery.skip()
    else this.redelivery.restore(record)
  }

  /** A stanza of the server's has come, and is not judged yet. */
  comes(stanza: Stanza): void {
    this.redelivery.came(stanza)
  }

  /** A stanza has gone on: requests may be due that the server does not deliver again. */
  passed(from: Side, stanza: Stanza, output: BoundOutput): void {
    if (from === 'client') this.blocked(stanza, output)
    const due = this.redelivery[from === 'client' ? 'sent' : 'received'](stanza)
    if (due?.due === 'deliver') return this.deliver(due, output)
    if (due !== undefined) this.session.ask(this.redelivery.ping(`stanzagate-${this.session.newStreamId()}`), output)
  }

  /** Whether it is the answer to the gate's ping, which is then kept from the client. */
  answered(stanza: Stanza, output: BoundOutput): boolean {
    if (!this.redelivery.isPong(stanza)) return false
    this.session.leaveOut(stanza, output)
    const due = this.redelivery.answered()
    if (due?.due === 'deliver') this.deliver(due, output)
    return true
  }

  /** A contact that the client blocks (XEP-0191) is shown no more. */
  private blocked(stanza: Stanza, output: BoundOutput): void {
    const { bare } = this.session
    const blocked = blockedBy(stanza, bare)
    if (blocked.length === 0) return
    for (const { contact } of this.redeliveries.unanswered(bare))
      if (blocked.some(jid => isOrHas(jid, contact))) output.tell(bare, { news: 'answered', contact })
  }

  /** To the client these are stanzas of the server's; they are judged like one. */
  private deliver({ contacts }: Extract<Due, { due: 'deliver' }>, output: BoundOutput): void {
    const { session } = this
    for (const contact of contacts) {
      const stanza = stanzaOf(element('presence', ns.client, { type: 'subscribe', from: contact, to: session.bare }))
      if (stanza === undefined) continue
      const { verdict, decisions } = session.judge(stanza, 'redelivered')
      const said = decisions.map(ruleOutcomeOf)
      const mode = said.find(({ rule }) => rule === redeliverRequests.name)?.mode
      if (mode === undefined) return
      const isHeld = verdict.verdict !== 'forward'
      const outcome = mode === 'observe' ? 'observed' : isHeld ? 'held' : 'delivered'
      output.report({ report: 'redelivery', type: 'subscribe', outcome })
      if (mode === 'observe') continue
      output.report(judgedReport('upstream', stanza, verdict.verdict, said, session.bare, session.reported))
      if (isHeld) session.leftOut(stanza, said, output)
      else session.deliver(stanza, output)
    }
  }
}

/** Whether this is the contact's bare JID, or its domain. */
function isOrHas(jid: string, contact: string): boolean {
  if (hasResource(jid)) return false
  const key = keyOf(jid)
  return key === contact || (!key.includes('@') && contact.endsWith(`@${key}`))
}
