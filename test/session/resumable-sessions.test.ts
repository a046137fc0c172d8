/** Sessions that wait to be resumed: for how long, how many, and whose they are. Time is an argument. */
import t from 'tap'
import { BoundSession } from '../../src/session/bound.ts'
import { ResumableSessions } from '../../src/session/resumable-sessions.ts'
import { StanzaCounts } from '../../src/session/stanza-counts.ts'
import { ns } from '../../src/stream/namespaces.ts'

interface CertificateOwner {
  readonly name: string
}

/** `enter k A 10`, `lose A`, `take k B`, `leave A`, `find k`, `restore k 5`, `take-idle`, `take-out A`, `waiting`, and `at 5`: what time it is; with what comes of them. */
type Step = readonly [step: string, gives?: string]

const options = { rules: [], trustedDomains: new Set<string>(), newStreamId: () => 'x' }

function play(t: Tap, atMost: number, steps: readonly Step[]): void {
  const resumptions = new ResumableSessions<CertificateOwner>(atMost)
  const holders = new Map<string, CertificateOwner>()
  const bounds = new Map<string, BoundSession>()
  let now = 0
  const holder = (name: string) => {
    const known = holders.get(name) ?? { name }
    holders.set(name, known)
    return known
  }
  const boundOf = (key: string) => {
    const known = bounds.get(key)
    if (known !== undefined) return known
    const bound = new BoundSession(options, 'im.example', `romeo@im.example/${key}`)
    bounds.set(key, bound)
    // Without counts it cannot be resumed.
    if (key === 'uncounted') return bound
    bound.counts = new StanzaCounts(ns.sm3)
    bound.counts.enabled()
    return bound
  }
  const take = (step: string): string | undefined => {
    const [word, a = '', b = '', milliseconds] = step.split(' ')
    switch (word) {
      case 'at':
        now = Number(a)
        return undefined
      case 'enter':
        resumptions.offer(a, boundOf(a), holder(b), Number(milliseconds))
        return undefined
      case 'lose':
        resumptions.suspend(holder(a), now)
        return undefined
      case 'leave':
        resumptions.withdraw(holder(a))
        return undefined
      case 'take':
        return resumptions.takeOver(a, holder(b))?.name ?? 'nobody'
      case 'find': {
        const found = resumptions.find(a, now)
        return found === undefined ? 'nothing' : found.jid === boundOf(a).jid ? 'it' : found.jid
      }
      case 'restore':
        return resumptions.restore(
          { key: a, record: boundOf(a).record, resumableFor: 10, left: Number(b) },
          options,
          now,
        )
          ? 'read'
          : 'unreadable'
      case 'take-idle':
        return resumptions
          .takeOutIdle(now)
          .map(({ key, left }) => `${key} ${left}`)
          .join(', ')
      case 'take-out': {
        const found = resumptions.takeOut(holder(a))
        return found === undefined ? 'nothing' : `${found.key} ${found.left}`
      }
      case 'waiting':
        return String(resumptions.waiting)
      default:
        throw new Error(`no step: ${step}`)
    }
  }
  for (const [i, [step, gives]] of steps.entries()) t.equal(take(step), gives, `${i + 1}. ${step}`)
}

type Tap = Pick<typeof t, 'equal'>

const tables: readonly [name: string, atMost: number, steps: readonly Step[]][] = [
  ['an unknown key', 10, [['find k', 'nothing'], ['take k A', 'nobody'], ['lose A'], ['leave A'], ['waiting', '0']]],
  [
    'what another process has kept waits for the time that is left, then as long as ever',
    10,
    [
      ['at 100'],
      ['restore k 5', 'read'],
      ['find k', 'it'],
      ['at 104'],
      ['take-idle', 'k 1'],
      ['find k', 'nothing'],
      ['restore k 5', 'read'],
      ['take k A', 'nobody'],
      ['take-idle', ''],
      ['take-out B', 'nothing'],
      ['take-out A', 'k 10'],
      ['take-out A', 'nothing'],
      ['find k', 'nothing'],
      ['enter k A 10'],
      ['lose A'],
      ['at 109'],
      ['take-idle', 'k 5'],
      ['restore k 5', 'read'],
      ['at 114'],
      ['take-idle', ''],
      ['waiting', '0'],
    ],
  ],
  [
    'a session without counts is not kept for others',
    10,
    [['enter uncounted A 10'], ['take-out A', 'nothing'], ['lose A'], ['take-idle', ''], ['find uncounted', 'nothing']],
  ],
  [
    'a session that is in memory is newer than what was kept of it',
    10,
    [['enter k A 10'], ['restore k 5', 'read'], ['take-idle', ''], ['take k B', 'A'], ['at 6'], ['find k', 'it']],
  ],
  [
    'a session with its stream has no end',
    10,
    [['enter k A 10'], ['find k', 'it'], ['at 1000000'], ['find k', 'it'], ['waiting', '0']],
  ],
  [
    'without it, it waits as long as the server does, from then on',
    10,
    [
      ['enter k A 10'],
      ['at 100'],
      ['lose A'],
      ['waiting', '1'],
      ['find k', 'it'],
      ['at 109'],
      ['find k', 'it'],
      ['at 110'],
      ['find k', 'nothing'],
      ['waiting', '0'],
      ['at 109'],
      ['find k', 'nothing'],
    ],
  ],
  ['no time at all', 10, [['enter k A 0'], ['find k', 'it'], ['lose A'], ['find k', 'nothing']]],
  [
    'it is lost once: a second word of it changes nothing',
    10,
    [['enter k A 10'], ['lose A'], ['at 5'], ['lose A'], ['at 10'], ['find k', 'nothing']],
  ],
  [
    'closed: nothing is left',
    10,
    [['enter k A 10'], ['leave A'], ['find k', 'nothing'], ['take k B', 'nobody'], ['lose A'], ['find k', 'nothing']],
  ],
  ['closed after it was lost: it waits', 10, [['enter k A 10'], ['lose A'], ['leave A'], ['find k', 'it']]],
  [
    'taken after it was lost: the other holder has it, without an end',
    10,
    [
      ['enter k A 10'],
      ['lose A'],
      ['at 5'],
      ['take k B', 'nobody'],
      ['waiting', '0'],
      ['at 1000'],
      ['find k', 'it'],
      ['lose A'],
      ['leave A'],
      ['find k', 'it'],
      ['leave B'],
      ['find k', 'nothing'],
    ],
  ],
  [
    'taken, and lost again: its time is the same, and begins again',
    10,
    [
      ['enter k A 10'],
      ['lose A'],
      ['at 9'],
      ['take k B', 'nobody'],
      ['at 20'],
      ['lose B'],
      ['at 29'],
      ['find k', 'it'],
      ['at 30'],
      ['find k', 'nothing'],
    ],
  ],
  [
    'taken while its stream lasts: who had it is told, and has nothing to say any longer',
    10,
    [
      ['enter k A 10'],
      ['take k B', 'A'],
      ['waiting', '0'],
      ['lose A'],
      ['at 100'],
      ['find k', 'it'],
      ['leave A'],
      ['find k', 'it'],
      ['take k C', 'B'],
      ['lose B'],
      ['lose C'],
      ['waiting', '1'],
      ['at 110'],
      ['find k', 'nothing'],
    ],
  ],
  [
    'two sessions have nothing to do with each other',
    10,
    [['enter k A 10'], ['enter l B 20'], ['lose A'], ['lose B'], ['at 10'], ['find k', 'nothing'], ['find l', 'it']],
  ],
  [
    'a holder has one session: what it had before is gone',
    10,
    [['enter k A 10'], ['enter l A 10'], ['find k', 'nothing'], ['find l', 'it'], ['lose A'], ['waiting', '1']],
  ],
  [
    'a holder that had a session takes another',
    10,
    [
      ['enter k A 10'],
      ['enter l B 10'],
      ['lose B'],
      ['take l A', 'nobody'],
      ['find k', 'nothing'],
      ['find l', 'it'],
      ['lose A'],
      ['waiting', '1'],
    ],
  ],
  [
    'too many wait: the one that has waited longest goes',
    2,
    [
      ['enter k A 100'],
      ['enter l B 100'],
      ['enter m C 100'],
      ['enter n D 100'],
      ['lose C'],
      ['lose A'],
      ['waiting', '2'],
      ['at 1'],
      ['lose B'],
      ['waiting', '2'],
      ['find m', 'nothing'],
      ['find k', 'it'],
      ['find l', 'it'],
      ['find n', 'it'],
    ],
  ],
  [
    'those with their streams are not counted, nor sent away',
    1,
    [
      ['enter k A 10'],
      ['enter l B 10'],
      ['enter m C 10'],
      ['lose C'],
      ['find k', 'it'],
      ['find l', 'it'],
      ['find m', 'it'],
      ['lose B'],
      ['find m', 'nothing'],
      ['find l', 'it'],
      ['waiting', '1'],
    ],
  ],
  [
    'what has waited too long makes room by itself',
    10,
    [['enter k A 10'], ['enter l B 10'], ['lose A'], ['at 10'], ['lose B'], ['waiting', '1'], ['find k', 'nothing']],
  ],
  ['none may wait', 0, [['enter k A 10'], ['find k', 'it'], ['lose A'], ['find k', 'nothing'], ['waiting', '0']]],
]

for (const [name, atMost, steps] of tables) t.test(name, async t => play(t, atMost, steps))

t.test('an SM-ID that the server gives again', async t => {
  play(t, 10, [
    ['enter k A 10'],
    ['lose A'],
    ['enter k B 20'],
    ['waiting', '0'],
    ['at 100'],
    ['find k', 'it'],
    ['lose B'],
    ['at 119'],
    ['find k', 'it'],
    ['at 120'],
    ['find k', 'nothing'],
  ])
})

t.test('of one account no more wait than it may have sessions', async t => {
  const resumptions = new ResumableSessions<CertificateOwner>(10, 2)
  const options = { rules: [], trustedDomains: new Set<string>(), newStreamId: () => 'x' }
  const lose = (user: string, key: string) => {
    const holder = { name: key }
    resumptions.offer(key, new BoundSession(options, 'im.example', `${user}@im.example/${key}`), holder, 60)
    resumptions.suspend(holder, 0)
  }
  for (const [user, key] of [
    ['romeo', 'a'],
    ['juliet', 'b'],
    ['romeo', 'c'],
    ['romeo', 'd'],
  ] as const)
    lose(user, key)
  const found = () => ['a', 'b', 'c', 'd'].filter(key => resumptions.find(key, 1) !== undefined)
  t.same(found(), ['b', 'c', 'd'], "the account's own oldest goes")
  t.ok(resumptions.giveUp())
  t.same(found(), ['c', 'd'], 'who has waited longest is given up first')
  resumptions.expire(60)
  t.equal(resumptions.waiting, 0)
  t.notOk(resumptions.giveUp())
})

t.test('what is no session is not restored', async t => {
  const sessions = new ResumableSessions<CertificateOwner>(10)
  for (const record of [undefined, null, 'text', {}, { format: 1 }, { format: 2 }, { format: 3 }])
    t.equal(sessions.restore({ key: 'k', record, resumableFor: 10, left: 5 }, options, 0), false)
  t.equal(sessions.waiting, 0)
})
