import { kindOf } from '../../src/stanza/stanza.ts'
import type { RawClient } from './raw.ts'

/** Gives how many stanzas this client has got since the call. */
export function countStanzas(client: RawClient): () => number {
  let count = 0
  const push = client.inbox.push.bind(client.inbox)
  client.inbox.push = item => {
    if (item.item === 'element' && kindOf(item.element) !== undefined) count++
    push(item)
  }
  return () => count
}
