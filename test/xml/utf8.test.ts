import t from 'tap'
import { Utf8 } from '../../src/xml/utf8.ts'
import { seeded } from './reading.ts'

interface Outcome {
  readonly text: string
  readonly bad: boolean
  readonly unfinished: boolean
}

function decode(...parts: readonly Buffer[]): Outcome {
  const utf8 = new Utf8()
  let text = ''
  for (const part of parts) {
    // Lent, and overwritten afterwards: nothing may be kept by reference.
    const lent = Buffer.from(part)
    text += utf8.decode(lent)
    lent.fill(0x41)
  }
  return { text, bad: utf8.bad, unfinished: utf8.unfinished }
}

const hex = (digits: string) => Buffer.from(digits.replaceAll(' ', ''), 'hex')

/** What it is, the bytes, how many of them are good. */
const malformed: readonly (readonly [name: string, bytes: string, good: number])[] = [
  ['an overlong <, two bytes', 'c0 bc', 0],
  ['an overlong <, three bytes', 'e0 80 bc', 0],
  ['an overlong <, four bytes', 'f0 80 80 bc', 0],
  ['an overlong NUL', 'c0 80', 0],
  ['the greatest overlong of two bytes', 'c1 bf', 0],
  ['the greatest overlong of three bytes', 'e0 9f bf', 0],
  ['the greatest overlong of four bytes', 'f0 8f bf bf', 0],
  ['a high surrogate', 'ed a0 80', 0],
  ['a low surrogate', 'ed bf bf', 0],
  ['CESU-8', 'ed a0 bd ed b8 80', 0],
  ['beyond U+10FFFF', 'f4 90 80 80', 0],
  ['a lead of five bytes', 'f8 88 80 80 80', 0],
  ['F5', 'f5 80 80 80', 0],
  ['FE', 'fe', 0],
  ['FF', 'ff', 0],
  ['a stray continuation', '80', 0],
  ['a stray continuation after ASCII', '41 bf', 1],
  ['one continuation too many after two bytes', 'c3 a9 80', 2],
  ['one continuation too many after three bytes', 'e2 82 ac 80', 3],
  ['one continuation too many after four bytes', 'f0 9f 98 80 80', 4],
  ['three continuations too many', 'e2 82 ac 80 80 80', 3],
  ['two bytes cut by ASCII', 'c3 41', 0],
  ['three bytes cut by ASCII', 'e2 82 41', 0],
  ['four bytes cut by ASCII', 'f0 9f 98 41', 0],
  ['three bytes cut by another character', 'e2 82 c3 a9', 0],
  ['Latin-1', '63 61 66 e9 20 61', 3],
  ['UTF-16 with a BOM', 'ff fe 3c 00', 0],
  ['after good text', 'c3 a9 e2 82 ac f0 9f 98 80 ff', 9],
]

t.test('what is malformed is refused, what stands before it is read, however it is cut', t => {
  for (const [name, digits, good] of malformed) {
    for (const [before, after] of [
      ['', ''],
      ['<a>é', '</a>'],
      ['x'.repeat(50), '😀'.repeat(20)],
    ] as const) {
      const bytes = Buffer.concat([Buffer.from(before), hex(digits), Buffer.from(after)])
      const text = before + hex(digits).subarray(0, good).toString()
      // What could still become a character at the very end is not bad yet; one more byte of ASCII settles it.
      const settled = Buffer.concat([bytes, Buffer.from('.')])
      for (let cut = 0; cut <= settled.length; cut++) {
        const outcome = decode(settled.subarray(0, cut), settled.subarray(cut))
        t.match(outcome, { text, bad: true }, `${name}, cut at ${cut}`)
      }
      t.match(decode(...[...settled].map(byte => Buffer.from([byte]))), { text, bad: true }, `${name}, byte by byte`)
    }
  }
  t.end()
})

t.test('what is well-formed is read, however it is cut', t => {
  const text = '\ufeffa\0\u007f\u0080\u07ff\u0800\ud7ff\ue000\ufffd\ufffe\uffff\u{10000}\u{10ffff}\ufeff'
  const bytes = Buffer.from(text)
  for (let one = 0; one <= bytes.length; one++) {
    for (let two = one; two <= bytes.length; two++) {
      const outcome = decode(bytes.subarray(0, one), bytes.subarray(one, two), bytes.subarray(two))
      if (outcome.text !== text || outcome.bad || outcome.unfinished) t.strictSame(outcome, text, `${one} ${two}`)
    }
  }
  t.strictSame(decode(bytes), { text, bad: false, unfinished: false })
  t.end()
})

t.test('what is unfinished at the end is known, and is handed on with the rest', t => {
  for (const digits of ['c3', 'e2', 'e2 82', 'f0', 'f0 9f', 'f0 9f 98']) {
    const utf8 = new Utf8()
    t.equal(utf8.decode(Buffer.concat([Buffer.from('é'), hex(digits)])), 'é')
    t.match(utf8, { bad: false, unfinished: true }, digits)
    t.strictSame(utf8.takeRest(), hex(digits))
    t.match(utf8, { bad: false, unfinished: false }, `${digits}, taken away`)
    t.equal(utf8.decode(Buffer.from('b')), 'b')
  }
  const utf8 = new Utf8()
  t.equal(utf8.decode(hex('41 16 ff 03')), 'A\u0016')
  t.equal(utf8.decode(Buffer.from('later')), '', 'nothing after the first bad byte')
  t.strictSame(utf8.takeRest(), Buffer.concat([hex('ff 03'), Buffer.from('later')]))
  t.equal(utf8.bad, false, 'what is taken away is not held against those who come after')
  t.end()
})

t.test('random bytes: as TextDecoder reads the longest good prefix, however they are cut', t => {
  const random = seeded(77)
  const fatal = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const prefix = (bytes: Buffer): string => {
    for (let end = bytes.length; end >= 0; end--) {
      try {
        return fatal.decode(bytes.subarray(0, end))
      } catch {
        // Not good as far as here: a byte less.
      }
    }
    return ''
  }
  const parts = [
    '61',
    'c3a9',
    'e282ac',
    'f09f9880',
    'efbbbf',
    '80',
    'bf',
    'c3',
    'e2',
    'e282',
    'f0',
    'f09f',
    'ed',
    'ff',
    'e0',
    'f4',
  ]
  let differing = 0
  for (let count = 0; count < 20_000; count++) {
    const digits = Array.from({ length: 1 + random(12) }, () => parts[random(random(3) === 0 ? parts.length : 5)]).join(
      '',
    )
    const bytes = count % 4 === 0 ? Buffer.from(Array.from({ length: random(8) }, () => random(256))) : hex(digits)
    const whole = decode(bytes)
    const one = random(bytes.length + 1)
    const pieces = [
      decode(bytes.subarray(0, one), bytes.subarray(one)),
      decode(...[...bytes].map(byte => Buffer.from([byte]))),
    ]
    const expected = prefix(bytes)
    const same = pieces.every(cut => JSON.stringify(cut) === JSON.stringify(whole))
    const isWhole = expected === whole.text && whole.unfinished === Buffer.byteLength(expected) < bytes.length
    if ((same && isWhole) || differing++ > 3) continue
    t.strictSame([whole.text, ...pieces], [expected, whole, whole], bytes.toString('hex'))
  }
  t.equal(differing, 0)
  t.end()
})

t.test('a prefix is found by halving in long text as in short', t => {
  for (const length of [1, 2, 3, 63, 64, 65, 4095, 4096, 4097]) {
    const good = '€é😀x'.repeat(length)
    const outcome = decode(Buffer.concat([Buffer.from(good), hex('80'), Buffer.from('y'.repeat(length))]))
    t.equal(outcome.text, good, `${length}`)
    t.equal(outcome.bad, true)
  }
  t.end()
})
