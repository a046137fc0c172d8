/** Of the stanzas of a conversation: how many were spelled so plainly that they were passed on as their text (xml/canonical.ts). */
import { BoundSession } from '../../src/session/bound.ts'
import { bareOf } from '../../src/stanza/jid.ts'
import type { Kind } from '../../src/stanza/stanza.ts'
import type { Side } from '../../src/stream/item.ts'
import { SourceElement } from '../../src/xml/source-element.ts'

export interface PlainTraffic {
  readonly account: string
  readonly from: Side
  readonly kind: Kind
  plain: number
  all: number
}

/** From now on every stanza of a bound session in this process is counted. Gives the counts, which grow. */
export function countPlainTraffic(): readonly PlainTraffic[] {
  const counts: PlainTraffic[] = []
  const { stanza: original } = BoundSession.prototype
  BoundSession.prototype.stanza = function (from, stanza, lang, output) {
    const account = bareOf(this.jid)
    const { kind } = stanza
    let count = counts.find(each => each.account === account && each.from === from && each.kind === kind)
    if (count === undefined) {
      count = { account, from, kind, plain: 0, all: 0 }
      counts.push(count)
    }
    count.all++
    if (stanza.element instanceof SourceElement) count.plain++
    original.call(this, from, stanza, lang, output)
  }
  return counts
}
