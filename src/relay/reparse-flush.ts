/**
 * libexpat since 2.6, and Debian's 2.5 with its security fixes, does not look again at a tag that was cut by the end of a read before
 * the bytes it holds have doubled (its reparse deferral). Prosody and many clients leave that on. When the last tag of a burst is cut
 * so, the stanza lies there unread until somebody happens to send more, and its sender waits for an answer.
 *
 * So a burst that can have been cut is followed, once it is quiet, by as much white space as its longest tag is long, which is
 * enough for the bytes to have doubled. White space between stanzas is nothing to a stream (RFC 6120 sections 4.6.1 and 11.7).
 */
import type { Clock } from '../transport/clock.ts'

/** Bytes that arrive in one piece on any network: a segment of TCP over Ethernet, less its options. */
const uncut = 1_400
/** Milliseconds without a write after which a burst is over. */
const quiet = 50

export class ReparseFlush {
  private readonly clock: Clock
  private readonly write: (space: string) => void
  /** UTF-16 units of this burst, and of its longest tag. */
  private burst = 0
  private longest = 0
  private last = Number.NEGATIVE_INFINITY
  private cancel: (() => void) | undefined

  constructor(clock: Clock, write: (space: string) => void) {
    this.clock = clock
    this.write = write
  }

  /** These were written, in one write. */
  wrote(texts: readonly string[]): void {
    const now = this.clock.now()
    if (this.cancel === undefined && now - this.last > quiet) this.burst = 0
    this.last = now
    for (const text of texts) this.burst += text.length
    if (this.burst <= uncut) return
    // Tags of writes that were not looked at are no longer than what was let pass.
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

/** Of text as the writer has it: `>` may stand in an attribute, and anything in a CDATA section. One pass, whatever it holds. */
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
