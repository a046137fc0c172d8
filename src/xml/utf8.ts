import { isAscii, isUtf8 } from 'node:buffer'

const nothing = Buffer.alloc(0)

/**
 * Decodes UTF-8 strictly, from bytes that are cut anywhere. Node's decoders put U+FFFD where libexpat refuses a byte. This one
 * stops before the first bad byte (RFC 6120 section 11.6) and gives the text in front of it, so that the result does not depend
 * on how the bytes were cut.
 */
export class Utf8 {
  /** Set when a byte is no UTF-8. No more is decoded after it, unless the byte is taken away. */
  bad = false
  private tail: Buffer = nothing

  /** The text that these bytes complete. */
  decode(bytes: Uint8Array): string {
    let all = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (this.tail.length > 0) all = Buffer.concat([this.tail, all])
    if (!this.bad && isAscii(all)) {
      this.tail = nothing
      return all.toString('latin1')
    }
    const whole = this.bad ? 0 : wholeCharacters(all, all.length)
    const good = this.bad || isUtf8(all.subarray(0, whole)) ? whole : goodLength(all, whole)
    this.bad ||= good < whole
    // A copy: what is kept may outlive the buffer that it came in.
    this.tail = Buffer.from(all.subarray(good))
    return all.toString('utf8', 0, good)
  }

  /** The bytes that no text was given for; they are forgotten here, good or bad. */
  takeRest(): Buffer {
    const rest = this.tail
    this.tail = nothing
    this.bad = false
    return rest
  }

  get unfinished(): boolean {
    return this.tail.length > 0
  }
}

/** `end`, less the character that is cut there. */
function wholeCharacters(bytes: Buffer, end: number): number {
  for (let back = 1; back <= 3 && back <= end; back++) {
    const byte = bytes[end - back] as number
    if ((byte & 0xc0) === 0x80) continue
    return characterLength(byte) > back ? end - back : end
  }
  return end
}

/** The bytes of the character that a byte begins; 1 for what begins none. */
function characterLength(first: number): number {
  if (first >= 0xf0 && first <= 0xf4) return 4
  if (first >= 0xe0 && first < 0xf0) return 3
  return first >= 0xc2 && first < 0xe0 ? 2 : 1
}

/** The length of the longest prefix that is UTF-8, by bisection: a prefix that ends between characters stays good or bad. */
function goodLength(bytes: Buffer, end: number): number {
  let good = 0
  let bad = end
  while (good < bad) {
    const middle = wholeCharacters(bytes, (good + bad + 1) >> 1)
    if (middle > good) {
      if (isUtf8(bytes.subarray(good, middle))) good = middle
      else bad = middle - 1
      continue
    }
    // What is left is a part of one character: it is tried as a whole.
    const next = good + characterLength(bytes[good] as number)
    if (next > end || !isUtf8(bytes.subarray(good, next))) return good
    good = next
  }
  return good
}
