import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { FlushQueue } from '../../src/relay/flush-queue.ts'

/** Adds so many in one turn of the event loop. Gives what was flushed at once, and after the turn. */
async function turnWith(queue: FlushQueue, count: number): Promise<{ atOnce: number[]; later: number[] }> {
  const flushed: number[] = []
  for (let i = 0; i < count; i++) queue.add({ flush: () => flushed.push(i) }, performance.now())
  const atOnce = [...flushed]
  await turn()
  return { atOnce, later: flushed.slice(atOnce.length) }
}

const upTo = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

t.test('few are flushed at once', async t => {
  const queue = new FlushQueue()
  for (const count of [1, 3, 2, 1])
    t.same(await turnWith(queue, count), { atOnce: upTo(0, count), later: [] }, `${count}`)
})

t.test('many wait for the end of the turn, in their order', async t => {
  const queue = new FlushQueue()
  t.same(await turnWith(queue, 6), { atOnce: [0, 1, 2], later: [3, 4, 5] }, 'from the fourth on')
  t.same(await turnWith(queue, 5), { atOnce: [], later: upTo(0, 5) }, 'after a busy turn all of them')
  t.same(await turnWith(queue, 1), { atOnce: [], later: [0] }, 'also one')
  t.same(await turnWith(queue, 1), { atOnce: [0], later: [] }, 'after a turn with few none')
})

t.test('one that throws keeps none of the others', async t => {
  const queue = new FlushQueue()
  await turnWith(queue, 4)
  const flushed: number[] = []
  const caught = new Promise(resolve => process.once('uncaughtException', resolve))
  for (let i = 0; i < 5; i++)
    queue.add(
      {
        flush: () => {
          if (i === 1) throw new Error('it cannot be written')
          flushed.push(i)
        },
      },
      performance.now(),
    )
  t.match(await caught, { message: 'it cannot be written' })
  await turn()
  t.same(flushed, [0, 2, 3, 4])
})

t.test('what is added while others are flushed has its own turn', async t => {
  const queue = new FlushQueue()
  await turnWith(queue, 4)
  const flushed: string[] = []
  const late = { flush: () => flushed.push('late') }
  const early = {
    flush: (at: number) => {
      flushed.push('early')
      queue.add(late, at)
    },
  }
  for (let i = 0; i < 4; i++) queue.add(i === 0 ? early : { flush: () => flushed.push(`${i}`) }, performance.now())
  await turn()
  t.same(flushed, ['early', '1', '2', '3'])
  await turn()
  t.same(flushed.at(-1), 'late')
})
