/** What the gate itself has to say about strangers' requests: to the user, to the server, and to those who watch. */
import type { RequestOutcome, StrangerClass } from '../account/labels.ts'
import { bareOf } from '../stanza/jid.ts'
import type { Side } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import { type Element, element } from '../xml/element.ts'
import type { Report } from './report.ts'
import type { Strangers } from './strangers.ts'

export type Notice =
  | { readonly notice: 'report'; readonly report: Report }
  /** The user is told how many requests are held. */
  | { readonly notice: 'headline'; readonly body: string }
  /** The server is told, in the user's name, that this stranger's request is denied. */
  | { readonly notice: 'denial'; readonly contact: string }

/** What is to be said, in one session, since it was taken. */
export class StrangerNotices {
  private readonly strangers: Strangers
  private readonly countHeld: () => number
  /** `undefined`: nothing. */
  private notices: Notice[] | undefined
  /** A request was held, and the user may be told. */
  private isHeadlineDue = false

  /** `countHeld`: how many requests are held for the account. */
  constructor(strangers: Strangers, countHeld: () => number) {
    this.strangers = strangers
    this.countHeld = countHeld
  }

  get hasAny(): boolean {
    return this.notices !== undefined || this.isHeadlineDue
  }

  /** `isNext`: the stanza before was none that is held: how many there are is told after the last of them. */
  take(isNext: boolean): readonly Notice[] {
    const { notices = [] } = this
    this.notices = undefined
    if (!isNext || !this.isHeadlineDue) return notices
    this.isHeadlineDue = false
    const count = this.countHeld()
    const body = count === 0 ? undefined : this.strangers.headline(count)
    return body === undefined ? notices : [...notices, { notice: 'headline', body }]
  }

  /** A request has come. */
  came(strangerClass: StrangerClass, outcome: RequestOutcome): void {
    this.add({ notice: 'report', report: { report: 'stranger-request', class: strangerClass, outcome } })
  }

  /** A request is kept. */
  held(): void {
    if (this.strangers.mayTellUser) this.isHeadlineDue = true
  }

  dropped(contact: string): void {
    if (this.strangers.mayDeny()) this.add({ notice: 'denial', contact })
  }

  private add(notice: Notice): void {
    this.notices ??= []
    this.notices.push(notice)
  }
}

/** `domain`: the account's; `jid`: the client's full JID. */
export function stanzaOfNotice(
  notice: Exclude<Notice, { notice: 'report' }>,
  domain: string,
  jid: string,
): { readonly to: Side; readonly element: Element; readonly report: Report } {
  if (notice.notice === 'headline') {
    const body = element('body', ns.client, {}, [notice.body])
    const message = element('message', ns.client, { type: 'headline', from: domain, to: jid }, [body])
    return { to: 'client', element: message, report: { report: 'headline' } }
  }
  // RFC 6121 section 3.1.4. It tells the stranger nothing of the user's presence.
  const contact = bareOf(notice.contact)
  const account = bareOf(jid)
  const denial = element('presence', ns.client, { type: 'unsubscribed', to: contact, from: account })
  return { to: 'upstream', element: denial, report: { report: 'request-denied', account, contact } }
}
