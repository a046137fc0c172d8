import t from 'tap'
import { ReparseFlush } from '../../src/relay/reparse-flush.ts'
import type { Clock } from '../../src/transport/clock.ts'

class Hand implements Clock {
  time = 0
  due: { at: number; call: () => void } | undefined
  now = () => this.time
  after = (milliseconds: number, call: () => void) => {
    const due = { at: this.time + milliseconds, call }
    this.due = due
    return () => {
      if (this.due === due) this.due = undefined
    }
  }
  pass(milliseconds: number): void {
    const until = this.time + milliseconds
    while (this.due !== undefined && this.due.at <= until) {
      const { at, call } = this.due
      this.due = undefined
      this.time = at
      call()
    }
    this.time = until
  }
}

function staged() {
  const clock = new Hand()
  const written: string[] = []
  return { clock, written, reparseFlush: new ReparseFlush(clock, space => written.push(space)) }
}

const text = (length: number) => `<a>${'x'.repeat(length - 7)}</a>`
const tag = (length: number) => `<a b="${'x'.repeat(length - 9)}"/>`

t.test('what arrives in one piece needs nothing', async t => {
  const { clock, written, reparseFlush } = staged()
  reparseFlush.wrote([text(1_400)], clock.now())
  clock.pass(100)
  reparseFlush.wrote([text(1_400)], clock.now())
  clock.pass(10_000)
  t.same(written, [])
})

t.test('a burst is followed by as much white space as its longest tag, once it is quiet', async t => {
  const { clock, written, reparseFlush } = staged()
  reparseFlush.wrote([text(1_000)], clock.now())
  clock.pass(10)
  reparseFlush.wrote([tag(3_000), text(100)], clock.now())
  for (let i = 0; i < 10; i++) {
    clock.pass(40)
    reparseFlush.wrote([text(50)], clock.now())
  }
  t.same(written, [], 'not before it is quiet')
  clock.pass(50)
  t.same(written, [' '.repeat(3_000)])
  clock.pass(10_000)
  t.equal(written.length, 1, 'once')
})

t.test('a tag ends behind its attributes, whatever they hold; a CDATA section is none', async t => {
  for (const [text, length] of [
    [`<a b="${'>'.repeat(2_000)}"/>`, 2_009],
    [`<a b='${'">'.repeat(1_000)}' c="'"/><b/>`, 2_015],
    [`<a><![CDATA[${`<'"`.repeat(700)}]]></a><c d="${'x'.repeat(1_500)}"/>`, 1_509],
    [`<a>${'>'.repeat(2_000)}</a>`, 1_400],
  ] as const) {
    const { clock, written, reparseFlush } = staged()
    reparseFlush.wrote([text], clock.now())
    clock.pass(100)
    t.same(
      written.map(space => space.length),
      [length],
      text.slice(0, 20),
    )
  }
})

t.test('what was not looked at counts as one long tag', async t => {
  const { clock, written, reparseFlush } = staged()
  reparseFlush.wrote([tag(1_300)], clock.now())
  reparseFlush.wrote([text(200)], clock.now())
  clock.pass(100)
  t.same(written, [' '.repeat(1_400)])
})

t.test('nothing after the end', async t => {
  const { clock, written, reparseFlush } = staged()
  reparseFlush.wrote([text(9_000)], clock.now())
  reparseFlush.stop()
  clock.pass(1_000)
  t.same(written, [])
})
