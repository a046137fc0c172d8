import { bareOf } from '../stanza/jid.ts'
import type { Stanza } from '../stanza/stanza.ts'
import { typeLabel } from '../stanza/type-label.ts'
import type { Side } from '../stream/item.ts'
import type { Report, Said } from './event.ts'

/** The report of one stanza's fate. `account`: the bare JID, `undefined` before a resource is bound. */
export function judgedReport(
  from: Side,
  stanza: Stanza,
  verdict: Said['verdict'],
  said: readonly Said[],
  account: string | undefined,
): Report {
  const address = from === 'client' ? stanza.to : stanza.from
  return {
    report: 'judged',
    from,
    kind: stanza.kind,
    type: typeLabel(stanza.kind, stanza.type),
    verdict,
    said,
    account,
    contact: address === undefined ? undefined : bareOf(address),
  }
}
