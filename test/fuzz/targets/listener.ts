/** A peer that only listens: it reads what the gate writes to it, and sees to it that this is a stream. */
import { type Framing, makeFraming, type Wire } from '../../../src/stream/framing.ts'
import type { StreamItem } from '../../../src/stream/item.ts'
import { upstreamLimits } from '../../../src/stream/limits.ts'
import { eventsOf } from '../events.ts'
import { promise } from './target.ts'

export class Listener {
  readonly wire: Wire
  private framing: Framing
  private state: 'silent' | 'open' | 'closed' = 'silent'

  constructor(wire: Wire) {
    this.wire = wire
    this.framing = makeFraming(wire, 'upstream', upstreamLimits)
  }

  /** A new stream begins: what was said of the one before is forgotten, its end tag is not owed. */
  restart(): void {
    promise(this.state !== 'closed', () => 'a stream begins behind an end tag')
    this.state = 'silent'
    this.framing = makeFraming(this.wire, 'upstream', upstreamLimits)
  }

  /** @throws {Broken} when the item does not belong here, or is read as something else */
  hear(item: StreamItem, text: string): void {
    const { item: kind } = item
    promise(this.state !== 'closed', () => `${kind} behind an end tag`)
    promise((kind === 'open') === (this.state === 'silent'), () => `${kind} to a stream that is ${this.state}`)
    this.state = kind === 'close' ? 'closed' : 'open'
    if (text === '') return
    this.framing.push(Buffer.from(text))
    const read = this.framing.next()
    promise(read !== undefined && isSame(item, read), () => `${text} was read as ${JSON.stringify(read)}`)
    promise(this.framing.next() === undefined, () => `more than one item: ${text}`)
  }
}

/** The header's attributes that are not written, and the language that a message inherits, are nobody's loss. */
function isSame(written: StreamItem, read: StreamItem): boolean {
  if (written.item === 'error') return read.item === 'element' && read.element.name === 'error'
  if (written.item !== 'element' || read.item !== 'element') return written.item === read.item
  if (read.element.attrs.size !== written.element.attrs.size && written.element.attrs.get('xml:lang') === undefined) {
    const attrs = new Map(read.element.attrs)
    attrs.delete('xml:lang')
    const { name, ns, children } = read.element
    return eventsOf({ name, ns, attrs, children }) === eventsOf(written.element)
  }
  return eventsOf(read.element) === eventsOf(written.element)
}
