/**
 * Makes libexpat parse a tag that was cut at the end of a read. libexpat since 2.6, and Debian's 2.5 with its security fixes,
 * does not parse a cut tag again before the number of bytes it holds has doubled (reparse deferral). Prosody and many clients
 * leave that on. When the last tag of a burst is cut, the stanza stays unread until more bytes come, and its sender waits for an
 * answer. So a burst that may have been cut is followed, after a pause, by white space as long as its longest tag: then the bytes
 * have doubled. White space between stanzas has no meaning in a stream (RFC 6120 sections 4.6.1 and 11.7).
 */
import type { Clock } from '../transport/clock.ts'

/** Bytes that are never cut: one TCP segment over Ethernet, without options. */
const uncut = 1_400
/** Milliseconds without a write after which a burst is over. */
const quiet = 50

export class ReparseFlush {
  private readonly clock: Clock
  private readonly write: (space: string) => void
  /** UTF-16 units of the present burst, and of its longest tag. */
  private burst = 0
  private longest = 0
  private last = Number.NEGATIVE_INFINITY
  private cancel: (() => void) | undefined

  constructor(clock: Clock, write: (space: string) => void) {
    this.clock = clock
    this.write = write
  }

  /** These texts were written at `now`, on the clock, in one write. */
  wrote(texts: readonly string[], now: number): void {
    if (this.cancel === undefined && now - this.last > quiet) this.burst = 0
    this.last = now
    for (const text of texts) this.burst += text.length
    if (this.burst <= uncut) return
    // Tags in earlier writes of this burst were not measured; together those are not longer than this.
    if (this.cancel === undefined) this.longest = uncut
    for (const text of texts) this.longest = Math.max(this.longest, longestTag(text))
    this.cancel ??= this.clock.after(quiet, () => this.look())
  }

  stop(): void {
    this.cancel?.()
    this.cancel = undefined
  }

  private look(): void {
    const since = this.clock.now() - this.last
    if (since < quiet) {
      this.cancel = this.clock.after(quiet - since, () => this.look())
      return
    }
    this.cancel = undefined
    this.burst = 0
    this.write(' '.repeat(this.longest))
  }
}

/**
 * UTF-16 units of the longest tag in text that xml/writer.ts has written. `>` may stand in an attribute, and anything in a CDATA
 * section.
 */
function longestTag(text: string): number {
  let longest = 0
  let from = text.indexOf('<')
  while (from !== -1) {
    if (text.startsWith(section, from)) {
      const end = text.indexOf(']]>', from)
      from = end === -1 ? -1 : text.indexOf('<', end)
      continue
    }
    const end = endOfTag(text, from)
    if (end === -1) return Math.max(longest, text.length - from)
    longest = Math.max(longest, end + 1 - from)
    from = text.indexOf('<', end)
  }
  return longest
}

const section = '<![CDATA['

/** The place of the `>` that ends the tag; -1: there is none. */
function endOfTag(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x3e) return at
    if (code !== 0x22 && code !== 0x27) continue
    at = text.indexOf(code === 0x22 ? '"' : "'", at + 1)
    if (at === -1) return -1
  }
  return -1
}
