/** Contacts that were kept as hashes alone, and are named again. */
import { detachedString } from '../stanza/detached-string.ts'
import type { Ledger } from './ledger.ts'
import type { AccountNews } from './news.ts'
import type { SubscriptionHistory } from './subscription-history.ts'

interface Account {
  readonly ledger: Ledger
  readonly since: Map<string, number>
  readonly history: SubscriptionHistory
}

/** Contacts that this names have their states, times and requests under their JIDs from now on. */
export function reveal({ ledger, since, history }: Account, news: AccountNews): void {
  if (ledger.hash === undefined) return
  for (const [hashed, contact] of ledger.reveal(contactsOf(news))) {
    const time = since.get(hashed)
    since.delete(hashed)
    if (time !== undefined) since.set(detachedString(contact), time)
    history.revealed(hashed, contact)
  }
}

function contactsOf(news: AccountNews): readonly string[] {
  if ('contact' in news) return [news.contact]
  if (news.news === 'push') return [news.item.jid]
  return news.news === 'roster' ? news.items.map(item => item.jid) : []
}
