/** Carries out in a session what `Compensation` wants done, as the rule's mode has it. */
import type { AccountNews } from '../account/news.ts'
import type { ActiveRule } from '../rules/judge.ts'
import { subscriptionNeedsRequest } from '../rules/subscription-needs-request.ts'
import { bareOf } from '../stanza/jid.ts'
import { type Stanza, stanzaOf } from '../stanza/stanza.ts'
import { ns } from '../stream/namespaces.ts'
import { element } from '../xml/element.ts'
import type { BoundWays } from './bound-ways.ts'
import { Compensation } from './compensation.ts'
import type { Due, GrantedRoster } from './compensation-due.ts'
import type { CompensationRecord } from './compensation-record.ts'
import type { BoundOutput } from './resumable-session.ts'

export interface GuardOptions {
  readonly rules: readonly ActiveRule[]
  mayCompensate?(account: string): boolean
  newStreamId(): string
}

/** The session's own ways. */
export interface GuardedSession extends Pick<BoundWays, 'say' | 'deliver' | 'leaveOut' | 'read'> {
  readonly roster: GrantedRoster
}

export class GrantGuard {
  private readonly options: GuardOptions
  private readonly account: string
  private readonly session: GuardedSession
  private readonly compensation: Compensation

  /** `account`: its bare JID. */
  constructor(options: GuardOptions, account: string, session: GuardedSession) {
    this.options = options
    this.account = account
    this.session = session
    this.compensation = new Compensation(account, session.roster, () => options.mayCompensate?.(account) ?? false)
  }

  get record(): CompensationRecord | undefined {
    return this.compensation.record
  }

  /** Throws when it is no record. */
  restore(record: CompensationRecord): void {
    this.compensation.restore(record)
  }

  isGrantedUnasked(stanza: Stanza): boolean {
    return this.compensation.isGrantedUnasked(stanza)
  }

  /** A stanza of the server's has come, and is not judged yet. */
  comes(stanza: Stanza, output: BoundOutput): void {
    this.compensation.comes(stanza)
    this.carryOut(output)
  }

  /** A stanza of the server's has passed the rules. Says whether it was kept from the client. `isUnseen`: it never sees it. */
  received(stanza: Stanza, isUnseen: boolean, output: BoundOutput): boolean {
    if (stanza.kind === 'message') return false
    const { mode } = this
    if (mode === 'off') return false
    const isTaken = this.compensation.received(stanza, mode === 'enforce', isUnseen)
    if (isTaken) this.session.leaveOut(stanza, output)
    this.carryOut(output)
    return isTaken
  }

  /** A stanza of the server's was left out by a rule. */
  refused(stanza: Stanza, output: BoundOutput): void {
    const { mode } = this
    if (mode === 'off') return
    this.compensation.refused(stanza, mode === 'enforce')
    this.carryOut(output)
  }

  told({ contact, isUndone }: Extract<AccountNews, { news: 'unasked-grant' }>, output: BoundOutput): void {
    if (this.mode === 'off') return
    this.compensation.told(contact, isUndone)
    this.carryOut(output)
  }

  until(now: number): number | undefined {
    return this.compensation.until(now)
  }

  late(now: number, output: BoundOutput): void {
    this.compensation.late(now)
    this.carryOut(output)
  }

  resumed(): void {
    this.compensation.resumed()
  }

  private get mode(): ActiveRule['mode'] | 'off' {
    return this.options.rules.find(({ rule }) => rule === subscriptionNeedsRequest)?.mode ?? 'off'
  }

  private carryOut(output: BoundOutput): void {
    const { due } = this.compensation
    if (due.length === 0) return
    this.compensation.due = []
    for (const each of due) this.perform(each, output)
  }

  private perform(due: Due, output: BoundOutput): void {
    const { account, session } = this
    switch (due.due) {
      case 'deliver':
        return session.deliver(due.stanza, output)
      case 'answer': {
        const { id, from } = due.push
        return session.say('upstream', element('iq', ns.client, { type: 'result', id, to: from }), output)
      }
      case 'read':
        return session.read('upstream', due.push, output)
      case 'unsubscribe': {
        const id = `stanzagate-${this.options.newStreamId()}`
        due.grant.id = id
        const undo = element('presence', ns.client, { type: 'unsubscribe', id, to: bareOf(due.contact) })
        const stanza = due.isShown ? stanzaOf(undo) : undefined
        if (stanza !== undefined) session.read('client', stanza, output)
        return session.say('upstream', undo, output)
      }
      case 'report': {
        const { outcome, before } = due
        return output.report({ report: 'compensation', outcome, account, contact: bareOf(due.contact), before })
      }
      case 'tell':
        return output.tell(account, { news: 'unasked-grant', contact: due.contact, isUndone: due.isUndone })
    }
  }
}
