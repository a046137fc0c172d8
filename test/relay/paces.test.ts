// How much and how long: the token bucket, and the time that an element has.
import t from 'tap'
import { ElementDeadline } from '../../src/relay/element-deadline.ts'
import type { Clock } from '../../src/transport/clock.ts'
import { TokenBucket } from '../../src/transport/token-bucket.ts'

t.test('the bucket', async t => {
  const tables: readonly (readonly [name: string, ...steps: (readonly [at: number, take: number, wait: number])[]])[] =
    [
      ['a burst is free', [0, 100, 0], [0, 1, 100]],
      ['it fills again', [0, 100, 0], [500, 5, 0], [500, 1, 100]],
      ['never above its brim', [0, 0, 0], [60_000, 100, 0], [60_000, 1, 100]],
      ['a debt is waited for', [0, 130, 3_000], [1_000, 0, 2_000], [3_000, 0, 0]],
      ['a debt grows', [0, 110, 1_000], [500, 10, 1_500]],
    ]
  for (const [name, ...steps] of tables) {
    const bucket = new TokenBucket({ perSecond: 10, burst: 100 }, 0)
    for (const [at, take, wait] of steps) {
      bucket.take(take, at)
      t.equal(bucket.wait(at), wait, `${name}: ${take} at ${at}`)
    }
  }
})

class FakeClock implements Clock {
  private time = 0
  private timers: { at: number; call: () => void }[] = []

  now(): number {
    return this.time
  }

  after(milliseconds: number, call: () => void): () => void {
    const timer = { at: this.time + milliseconds, call }
    this.timers.push(timer)
    return () => {
      this.timers = this.timers.filter(other => other !== timer)
    }
  }

  goTo(time: number): void {
    for (;;) {
      const due = this.timers.filter(timer => timer.at <= time).toSorted((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.timers = this.timers.filter(other => other !== due)
      this.time = due.at
      due.call()
    }
    this.time = time
  }

  get waiting(): number {
    return this.timers.length
  }
}

/** At a time: so many bytes of an element are there, `end` when one has ended with them; or the gate stops or begins to read. */
type Step = readonly [at: number, what: number | 'hold' | 'read' | 'stop', ended?: 'end']

t.test('the time that an element has: 1 s, and a second for each 10 KiB', async t => {
  const tables: readonly (readonly [name: string, late: number | undefined, ...Step[]])[] = [
    ['begun, and no more', 1_000, [0, 0], [0, 5]],
    ['a trickle does not prolong it', 1_000, [0, 5], [900, 7], [999, 8]],
    ['nothing was begun', undefined, [0, 0], [500, 0]],
    ['ended in time', undefined, [0, 5], [900, 0, 'end']],
    ['ended, and another begun', 1_900, [0, 5], [900, 5, 'end']],
    ['a long one has as much as it needs', 4_000, [0, 5], [900, 30_720]],
    ['what grows has more, and ends', undefined, [0, 5], [900, 30_720], [3_900, 0, 'end']],
    [
      'while nothing is read nobody is late; it is looked at again in a second',
      3_000,
      [0, 5],
      [500, 'hold'],
      [2_000, 'read'],
    ],
    ['held for ever', undefined, [0, 5], [500, 'hold']],
    ['held before it began', 1_500, [0, 'hold'], [500, 5], [500, 'read']],
    ['over', undefined, [0, 5], [500, 'stop']],
  ]
  for (const [name, expected, ...steps] of tables) {
    const clock = new FakeClock()
    let pending = 0
    const late: number[] = []
    const elementDeadline = new ElementDeadline(
      clock,
      1_000,
      () => pending,
      () => late.push(clock.now()),
    )
    for (const [at, what, ended] of steps) {
      clock.goTo(at)
      if (what === 'stop') elementDeadline.stop()
      else if (typeof what === 'string') elementDeadline.hold(what === 'hold')
      else {
        pending = what
        elementDeadline.read(ended === 'end')
      }
    }
    clock.goTo(60_000)
    t.same(
      late.map(time => Math.floor(time)),
      expected === undefined ? [] : [expected],
      name,
    )
    elementDeadline.stop()
    t.equal(clock.waiting, 0, `${name}: no timer is left`)
  }
})
