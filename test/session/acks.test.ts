import fc from 'fast-check'
import t from 'tap'
import { activeRules } from '../../src/rules/all-rules.ts'
import { AckTranslator, parseCount } from '../../src/session/acks.ts'
import { BoundSession } from '../../src/session/bound.ts'
import type { BoundOutput } from '../../src/session/resumable-session.ts'
import { StanzaCounts } from '../../src/session/stanza-counts.ts'
import { type Stanza, stanzaOf } from '../../src/stanza/stanza.ts'
import { element } from '../../src/xml/element.ts'

const added = element('message', 'jabber:client')
const seed = 20_261_125

/** `f` forwarded, `d` dropped, `i` added, `v` forwarded by a verdict. */
function directionOf(units: string, start = 0): AckTranslator {
  const direction = new AckTranslator(start)
  for (const unit of units) {
    if (unit === 'f') direction.forwarded()
    else if (unit === 'd') direction.dropped('print', [])
    else if (unit === 'v') direction.decided('print')
    else direction.added(added)
  }
  return direction
}

t.test("what the sender is told of the receiver's h", async t => {
  const cases: [units: string, h: number, told: number | undefined][] = [
    ['', 0, 0],
    ['', 1, undefined],
    ['fff', 2, 2],
    ['fff', 3, 3],
    ['fff', 4, undefined],
    ['d', 0, 1],
    ['fdf', 0, 0],
    ['fdf', 1, 2],
    ['fdf', 2, 3],
    ['fdf', 3, undefined],
    ['ddf', 0, 2],
    ['fi', 1, 1],
    ['fi', 2, 1],
    ['if', 1, 0],
    ['if', 2, 1],
    ['idf', 0, 0],
    ['idf', 1, 1],
    ['vdv', 1, 2],
    ['iii', 3, 0],
  ]
  for (const [units, h, told] of cases) {
    t.equal(directionOf(units).translate(h), told, `${units} ${h}: translated`)
    t.equal(directionOf(units).acknowledge(h), told, `${units} ${h}: acknowledged`)
  }
})

t.test('counts wrap at 2^32', async t => {
  const direction = directionOf('ffdf', 2 ** 32 - 2)
  t.equal(direction.sent, 1)
  t.equal(direction.acknowledge(2 ** 32 - 1), 2 ** 32 - 1)
  t.equal(direction.acknowledge(0), 1, 'the second one, and the dropped one behind it')
  t.equal(direction.acknowledge(1), 2)
  t.equal(direction.acknowledge(2), undefined)
})

t.test('an h that lies behind says nothing new', async t => {
  const direction = directionOf('fff')
  t.equal(direction.acknowledge(2), 2)
  t.equal(direction.acknowledge(1), 2)
  t.equal(direction.acknowledge(3), 3)
})

t.test('too many units to keep: counts go on, a resumption is out of the question', async t => {
  const direction = directionOf('fd'.repeat(3_000))
  t.ok(direction.overflowed)
  t.equal(direction.acknowledge(1_000), 2_000)
  t.equal(direction.acknowledge(3_000), 6_000)
})

t.test('what is never acknowledged is kept as counts, in bounded room', async t => {
  const many = directionOf('d'.repeat(50_000))
  t.ok(many.overflowed)
  t.equal(many.outstanding.length, 1, 'a run is one unit')
  t.notOk(many.isFlooded)
  t.equal(many.acknowledge(0), 50_000)
  t.notOk(many.overflowed, 'nothing is outstanding: all is known again')

  const long = new AckTranslator()
  for (let i = 0; i < 3; i++) long.added(element('presence', 'jabber:client', { id: 'A'.repeat(200_000) }))
  t.ok(long.overflowed, 'few units, but long ones')
  t.equal(long.sent, 3)

  const mixed = directionOf('df'.repeat(5_000))
  t.notOk(mixed.isFlooded)
  mixed.dropped('print', [])
  t.ok(mixed.isFlooded, 'more than anybody who means well leaves')
  t.equal(mixed.acknowledge(5_000), 10_001)
  t.notOk(mixed.isFlooded)
})

t.test(`model (seed ${seed}): nothing forwarded is ever called handled before it was received`, async t => {
  const script = fc.array(fc.constantFrom('f', 'd', 'i', 'v', 'ack'), { maxLength: 60 })
  fc.assert(
    fc.property(script, fc.array(fc.nat()), fc.nat(2 ** 32 - 1), (steps, choices, start) => {
      const direction = new AckTranslator(start)
      // The whole history, against the window that the direction keeps.
      const history: string[] = []
      let acknowledged = 0
      for (const [i, step] of steps.entries()) {
        if (step !== 'ack') {
          history.push(step)
          if (step === 'f') direction.forwarded()
          else if (step === 'd') direction.dropped('', [])
          else if (step === 'v') direction.decided('')
          else direction.added(added)
          continue
        }
        const received = history.filter(unit => unit !== 'd').length
        acknowledged += (choices[i % Math.max(choices.length, 1)] ?? 0) % (received - acknowledged + 1)
        let left = acknowledged
        let handled = 0
        for (const unit of history) {
          if (unit === 'd') handled++
          else if (left-- > 0) handled += unit === 'i' ? 0 : 1
          else break
        }
        const told = direction.acknowledge((acknowledged + start) % 2 ** 32)
        if (told !== (handled + start) % 2 ** 32) return false
        if (direction.sent !== (received + start) % 2 ** 32) return false
        if (direction.translate((received + 1 + start) % 2 ** 32) !== undefined) return false
      }
      return true
    }),
    { seed, numRuns: 5_000 },
  )
  t.pass('5,000 scripts')
})

t.test('an h as it is written', async t => {
  for (const [text, count] of [
    ['0', 0],
    ['4294967295', 4_294_967_295],
    ['4294967296', undefined],
    ['-1', undefined],
    ['', undefined],
    ['1.0', undefined],
    [' 1', undefined],
    [undefined, undefined],
  ] as const)
    t.equal(parseCount(text), count, `'${text}'`)
})

t.test('a stream whose client fills what is kept, and asks for no acknowledgement, ends', async t => {
  const options = {
    rules: activeRules({ default: 'enforce', modes: new Map() }),
    trustedDomains: new Set<string>(),
    newStreamId: () => 'x',
  }
  const bound = new BoundSession(options, 'im.example', 'romeo@im.example/orchard')
  bound.counts = new StanzaCounts('urn:xmpp:sm:3')
  bound.counts.enabled()
  const failures: unknown[][] = []
  const output: BoundOutput = {
    sendElement() {},
    report() {},
    tell() {},
    fail: (...reason) => failures.push(reason),
  }
  const bogus = stanzaOf(element('presence', 'jabber:client', { type: 'bogus' })) as Stanza
  const good = stanzaOf(element('message', 'jabber:client', { to: 'juliet@im.example' })) as Stanza
  for (let i = 0; i < 5_000; i++) for (const stanza of [bogus, good]) bound.stanza('client', stanza, undefined, output)
  t.same(failures, [])
  bound.stanza('client', bogus, undefined, output)
  t.same(failures, [['policy-violation', 'client-error', 'too much is not acknowledged']])
})
