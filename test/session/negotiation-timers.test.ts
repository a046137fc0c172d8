import t from 'tap'
import { NegotiationTimers, type Turn } from '../../src/session/negotiation-timers.ts'

const times = { header: 5, tls: 10, bound: 30, form: 300, answer: 60 }

/** [whose turn it is from when on, until when] */
type Step = readonly [Turn | 'fills', at: number, until?: number]

const tables: readonly (readonly [name: string, late: 'client' | 'server', ...Step[]])[] = [
  ['nothing is ever said', 'client', ['header', 0, 5]],
  ['a trickle does not prolong it', 'client', ['header', 0, 5], ['header', 3, 5], ['header', 4, 5]],
  ['a header, and then nothing', 'client', ['header', 0, 5], ['client', 2, 30]],
  ['TLS has a time of its own', 'client', ['header', 0, 5], ['client', 1, 30], ['tls', 2, 12]],
  ['TLS late in the budget', 'client', ['header', 0, 5], ['client', 4, 30], ['tls', 25, 30]],
  ['the header after TLS', 'client', ['header', 0, 5], ['tls', 2, 12], ['header', 4, 9]],
  ['the server has the word', 'server', ['header', 0, 5], ['server', 3, 63]],
  [
    "what the server takes is not the client's",
    'client',
    ['header', 0, 5],
    ['server', 3, 63],
    ['client', 53, 80],
    ['server', 60, 120],
    ['client', 100, 120],
  ],
  ['each answer has its time', 'server', ['header', 0, 5], ['server', 3, 63], ['client', 50, 77], ['server', 51, 111]],
  ['one answer in parts has one', 'server', ['header', 0, 5], ['server', 3, 63], ['server', 40, 63]],
  ['a form is filled in', 'client', ['header', 0, 5], ['client', 2, 30], ['fills', 20], ['client', 20, 300]],
  ['a header is due soon all the same', 'client', ['header', 0, 5], ['fills', 1], ['header', 1, 5]],
]

t.test('until when', async t => {
  for (const [name, late, ...steps] of tables) {
    const timers = new NegotiationTimers(times, 0)
    for (const [turn, at, until] of steps) {
      if (turn === 'fills') timers.fills()
      else t.equal(timers.until(turn, at), until, `${name}: ${turn} at ${at}`)
    }
    t.equal(timers.late, late, `${name}: whose fault it is`)
  }
})
