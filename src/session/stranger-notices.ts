/** What the gate itself has to say about strangers' requests: to the user, to the server, and to those who watch. */
import { bareOf } from '../stanza/jid.ts'
import type { Side } from '../stream/item.ts'
import { ns } from '../stream/namespaces.ts'
import { type Element, element } from '../xml/element.ts'
import type { Report } from './report.ts'

export type Notice =
  | { readonly notice: 'report'; readonly report: Report }
  /** The user is told how many requests are held. */
  | { readonly notice: 'headline'; readonly body: string }
  /** The server is told, in the user's name, that this stranger's request is denied. */
  | { readonly notice: 'denial'; readonly contact: string }

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
