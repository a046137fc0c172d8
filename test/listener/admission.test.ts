// Who may come in, and when; and when the gate has enough to do. Every clock and every reading is the test's.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import t from 'tap'
import { defaultLimits } from '../../src/config/limits.ts'
import { Admission, type AdmissionOptions, blockOf, roomOf } from '../../src/listener/admission.ts'
import type { Rejection } from '../../src/listener/labels.ts'
import { ListenerAdmission } from '../../src/listener/listener-admission.ts'
import { Overload, ProcessReadings } from '../../src/listener/overload.ts'
import { Log } from '../../src/observe/log.ts'
import { trustOf } from '../../src/transport/trusted-networks.ts'
import { HandClock } from '../clients/hand-clock.ts'
import { within } from '../clients/within.ts'

interface Limits {
  total?: number
  perAddress?: number
  newPerSecond?: number
  newBurst?: number
  exempt?: string[]
  admittedPerSecond?: number
  queue?: number
}

/** Everybody is named by the order of coming, from 1. */
class House {
  readonly clock = new HandClock()
  readonly admission: Admission
  readonly served: number[] = []
  readonly refused: (Rejection | undefined)[] = []
  waiting = 0
  strain: ReturnType<AdmissionOptions['strain']>
  private readonly leaves: (() => void)[] = []

  constructor(limits: Limits = {}) {
    const { exempt = [], admittedPerSecond = 1_000_000, queue = 0, ...rest } = limits
    const most = { total: undefined, perAddress: 1_000, newPerSecond: 1_000, newBurst: 1_000 }
    this.admission = new Admission({
      connections: { ...most, ...rest },
      exempt: trustOf(exempt),
      overload: { admittedPerSecond, queue },
      clock: this.clock,
      strain: () => this.strain,
      waits: change => {
        this.waiting += change
      },
    })
  }

  comes(address?: string): string {
    const name = this.leaves.length + 1
    let word = 'waits'
    const leave = this.admission.ask(address, {
      serve: () => {
        word = 'served'
        this.served.push(name)
      },
      refuse: reason => {
        word = reason ?? 'stopped'
        this.refused.push(reason)
      },
    })
    this.leaves.push(leave)
    return word
  }

  goes(name: number): void {
    this.leaves[name - 1]?.()
  }
}

/** `+ ADDRESS` comes, `- NAME` goes, `MS ms` pass; and what is said of it. */
type Step = readonly [what: string, expected?: string]

t.test('who is let in', async t => {
  const cases: readonly (readonly [name: string, limits: Limits, steps: readonly Step[]])[] = [
    [
      'so many of one address at a time',
      { perAddress: 2 },
      [
        ['+ 192.0.2.1', 'served'],
        ['+ 192.0.2.1', 'served'],
        ['+ 192.0.2.1', 'address'],
        ['+ 192.0.2.2', 'served'],
        ['- 3'], // was not let in: nothing to give back
        ['+ 192.0.2.1', 'address'],
        ['- 1'],
        ['- 1'], // twice does no harm
        ['+ 192.0.2.1', 'served'],
        ['+ 192.0.2.1', 'address'],
      ],
    ],
    [
      'an address in any spelling',
      { perAddress: 1 },
      [
        ['+ ::ffff:192.0.2.1', 'served'],
        ['+ 192.0.2.1', 'address'],
        ['+ ::FFFF:c000:0201', 'address'],
        ['+ 2001:db8::1', 'served'],
        ['+ 2001:DB8:0:0::1', 'address'],
        ['+ fe80::1%eth0', 'served'],
        ['+ fe80::1', 'address'],
      ],
    ],
    [
      'a /64 of IPv6 is one',
      { perAddress: 1 },
      [
        ['+ 2001:db8:1:2::1', 'served'],
        ['+ 2001:db8:1:2:ffff:ffff:ffff:ffff', 'address'],
        ['+ 2001:db8:1:3::1', 'served'],
        ['+ 2001:db8:1::1', 'served'],
        ['+ 2001:db8:1:0:1::1', 'address'],
      ],
    ],
    [
      'so many new ones of one address',
      { newPerSecond: 2, newBurst: 3 },
      [
        ['+ 192.0.2.1', 'served'],
        ['+ 192.0.2.1', 'served'],
        ['+ 192.0.2.1', 'served'],
        ['+ 192.0.2.1', 'address-rate'],
        ['+ 192.0.2.2', 'served'],
        ['- 1'],
        ['- 2'],
        ['- 3'], // coming and going is what it costs
        ['+ 192.0.2.1', 'address-rate'],
        ['490 ms'],
        ['+ 192.0.2.1', 'address-rate'],
        ['11 ms'],
        ['+ 192.0.2.1', 'served'],
        ['+ 192.0.2.1', 'address-rate'],
        ['10000 ms'],
        ['+ 192.0.2.1', 'served'],
        ['+ 192.0.2.1', 'served'],
        ['+ 192.0.2.1', 'served'],
        ['+ 192.0.2.1', 'address-rate'],
      ],
    ],
    [
      'so many in all',
      { total: 2, exempt: ['192.0.2.9'] },
      [
        ['+ 192.0.2.9', 'served'],
        ['+ -', 'served'],
        ['+ 192.0.2.1', 'total'],
        ['+ 192.0.2.9', 'total'],
        ['- 1'],
        ['+ 192.0.2.1', 'served'],
        ['+ -', 'total'],
      ],
    ],
    [
      'who is exempt, or not known, is not counted by address',
      { perAddress: 1, newBurst: 1, exempt: ['10.0.0.0/8', '::1'] },
      [
        ['+ 10.1.2.3', 'served'],
        ['+ 10.1.2.3', 'served'],
        ['+ ::ffff:10.1.2.3', 'served'],
        ['+ ::1', 'served'],
        ['+ ::1', 'served'],
        ['+ -', 'served'],
        ['+ -', 'served'],
        ['+ 11.1.2.3', 'served'],
        ['+ 11.1.2.3', 'address'],
      ],
    ],
    [
      'one after the other',
      { admittedPerSecond: 2, queue: 3 },
      [
        ['+ -', 'served'],
        ['+ -', 'waits'],
        ['+ -', 'waits'],
        ['+ -', 'waits'],
        ['+ -', 'queue'],
        ['499 ms', 'served 1, 3 wait'],
        ['1 ms', 'served 1 2, 2 wait'],
        ['+ -', 'waits'], // 6, behind those who were there
        ['+ -', 'queue'],
        ['- 3', 'served 1 2, 2 wait'], // does not use up its turn
        ['500 ms', 'served 1 2 4, 1 wait'],
        ['- 4', 'served 1 2 4, 1 wait'],
        ['500 ms', 'served 1 2 4 6, 0 wait'],
        ['+ -', 'waits'],
        ['500 ms', 'served 1 2 4 6 8, 0 wait'],
        ['500 ms'],
        ['+ -', 'served'],
      ],
    ],
    [
      'a tenth of a second at once',
      { admittedPerSecond: 20, queue: 10 },
      [
        ['+ -', 'served'],
        ['+ -', 'served'],
        ['+ -', 'waits'],
        ['+ -', 'waits'],
        ['50 ms', 'served 1 2 3, 1 wait'],
        ['50 ms', 'served 1 2 3 4, 0 wait'],
      ],
    ],
    [
      'those who wait have their place',
      { admittedPerSecond: 1, queue: 10, perAddress: 1, total: 3 },
      [
        ['+ 192.0.2.1', 'served'],
        ['+ 192.0.2.2', 'waits'],
        ['+ 192.0.2.2', 'address'],
        ['+ 192.0.2.3', 'waits'],
        ['+ 192.0.2.4', 'total'],
        ['- 2', 'served 1, 1 wait'],
        ['+ 192.0.2.2', 'waits'],
      ],
    ],
    [
      'nobody while there is enough to do',
      { admittedPerSecond: 10, queue: 10 },
      [
        ['+ -', 'served'],
        ['+ -', 'waits'],
        ['lag'],
        ['+ -', 'lag'],
        ['1000 ms', 'served 1, 1 wait'],
        ['heap'],
        ['+ -', 'heap'],
        ['1000 ms', 'served 1, 1 wait'],
        ['well'],
        ['100 ms', 'served 1 2, 0 wait'],
        ['+ -', 'waits'],
        ['100 ms', 'served 1 2 5, 0 wait'],
        ['100 ms'],
        ['+ -', 'served'],
      ],
    ],
    [
      'the end',
      { admittedPerSecond: 1, queue: 10 },
      [
        ['+ -', 'served'],
        ['+ -', 'waits'],
        ['+ -', 'waits'],
        ['stop', 'served 1, 0 wait'],
        ['+ -', 'stopped'],
        ['- 2', 'served 1, 0 wait'],
        ['9000 ms', 'served 1, 0 wait'],
      ],
    ],
  ]
  for (const [name, limits, steps] of cases) {
    const house = new House(limits)
    for (const [index, [what, expected]] of steps.entries()) {
      const [first, second = ''] = what.split(' ')
      let said = ''
      if (first === '+') said = house.comes(second === '-' ? undefined : second)
      else if (first === '-') house.goes(Number(second))
      else if (second === 'ms') house.clock.advance(Number(first))
      else if (first === 'stop') house.admission.stop()
      else house.strain = first === 'lag' || first === 'heap' ? first : undefined
      const so = said === '' ? `served ${house.served.join(' ')}, ${house.waiting} wait` : said
      if (expected !== undefined) t.equal(so, expected, `${name}: ${index + 1}: ${what}`)
    }
    t.ok(house.clock.timers <= (house.waiting > 0 ? 1 : 0), `${name}: a timer only for those who wait`)
  }
})

t.test('of who waits little is read, and nothing is lost', async t => {
  const house = new House({ admittedPerSecond: 1, queue: 10 })
  house.comes()
  const seen: Buffer[] = []
  const sockets: Socket[] = []
  const server = createServer(socket => {
    socket.on('data', bytes => seen.push(bytes))
    socket.on('end', () => socket.end('all of it'))
  })
  const listenerAdmission = new ListenerAdmission({
    admission: house.admission,
    proxyHeaders: undefined,
    forwards: () => false,
    refused: () => {},
  })
  listenerAdmission.guard(server)
  server.prependListener('connection', socket => sockets.push(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const said = Buffer.from(Array.from({ length: 1_000_000 }, (_, index) => index % 251))
  const client = connect(port, '127.0.0.1')
  client.end(said)
  await within('a beginning', once(client, 'connect'))
  let read = -1
  for (let same = 0; same < 50; ) {
    await new Promise(setImmediate)
    const now = sockets[0]?.bytesRead ?? 0
    same = now === read && now > 0 ? same + 1 : 0
    read = now
  }
  t.ok(read > 0 && read < 100_000, `${read} bytes are read`)
  t.strictSame([seen.length, house.waiting], [0, 1])
  house.clock.advance(1_000)
  const answered = once(client, 'data')
  t.equal(String((await within('an answer', answered))[0]), 'all of it')
  t.ok(Buffer.concat(seen).equals(said), 'every byte, in order')
  await within('the end', once(client, 'close'))
  t.equal(house.waiting, 0)
})

t.test('what is known of addresses is forgotten', async t => {
  const house = new House({ newPerSecond: 10, newBurst: 20, total: 3_000 })
  for (let n = 0; n < 2_000; n++) house.comes(`10.0.${n >> 8}.${n & 255}`)
  t.equal(house.admission.known, 2_000)
  for (let n = 0; n < 1_999; n++) house.goes(n + 1)
  house.clock.advance(1_999)
  house.comes('10.0.0.1')
  t.equal(house.admission.known, 2_000, 'not before its bucket is full')
  house.clock.advance(1)
  house.comes()
  t.equal(house.admission.known, 2, 'who is there, and who has come back')
  for (let n = 0; n < 5_000; n++) house.comes(`10.9.${n >> 8}.${n & 255}`)
  t.ok(house.admission.known < 3_001, 'who was not let in is not remembered')
})

t.test('an address is itself, or a /64', async t => {
  const rows: [string, string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::', '0:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
    ['1:2::8', '1:2:0:0::/64'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4::/64'],
    ['1::3:4:5:6:7:8', '1:0:3:4::/64'],
    ['1:2:3::6:7:8', '1:2:3:0::/64'],
    ['1:2:3:4::8', '1:2:3:4::/64'],
    ['::4:5:6:7:8', '0:0:0:4::/64'],
    ['::5:6:7:8', '0:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['::3:4:5:6:192.0.2.1', '0:0:3:4::/64'],
  ]
  for (const [address, block] of rows) t.equal(blockOf(address), block, address)
})

t.test('how many connections the descriptors are enough for', async t => {
  for (const [descriptors, room] of [
    [undefined, undefined],
    [1_024, 462],
    [65_536, 32_718],
    [64, 1],
  ] as const)
    t.equal(roomOf(descriptors), room, `${descriptors}`)
})

t.test('when the gate has enough to do', async t => {
  const clock = new HandClock()
  const now = { lag: 0, heap: 0 }
  let shed = 0
  let stopped = false
  const overload = new Overload({
    limits: { lag: 200, refuseAt: 0.8, closeAt: 0.9 },
    readings: {
      lag: () => now.lag,
      heap: () => now.heap,
      stop: () => {
        stopped = true
      },
    },
    clock,
    shed: () => shed++,
  })
  t.equal(overload.strain, undefined)
  const rows: [lag: number, heap: number, strain: string | undefined, shed: number][] = [
    [200, 0.8, undefined, 0],
    [900, 0.5, undefined, 0], // may be one long burst
    [201, 0.5, undefined, 0],
    [201, 0.5, undefined, 0],
    [201, 0.5, 'lag', 0],
    [0, 0.81, 'heap', 0],
    [500, 0.85, 'heap', 0],
    [0, 0.91, 'heap', 0], // may be rubbish
    [0, 0.89, 'heap', 0],
    [0, 0.95, 'heap', 0],
    [0, 0.95, 'heap', 1],
    [300, 0.91, 'heap', 2],
    [0, 0.9, 'heap', 2],
    [0, 0.1, undefined, 2],
  ]
  for (const [lag, heap, strain, count] of rows) {
    Object.assign(now, { lag, heap })
    clock.advance(249)
    clock.advance(1)
    t.strictSame([overload.strain, shed], [strain, count], `${lag} ms late, ${heap} of the heap`)
  }
  overload.stop()
  t.strictSame([clock.timers, stopped], [0, true], 'nobody looks any more')
})

t.test("what the process says: the lateness in the middle, and the heap's share", async t => {
  const readings = new ProcessReadings()
  t.teardown(() => readings.stop())
  const late = async (milliseconds: number) => {
    readings.lag()
    for (let turn = 0; turn < 5; turn++) {
      await new Promise(resolve => setTimeout(resolve, 1))
      const until = performance.now() + milliseconds
      while (performance.now() < until);
    }
    return readings.lag()
  }
  t.ok((await late(120)) > 60, 'a loop that is late at every turn')
  const part = readings.heap()
  t.ok(part > 0 && part < 1, `${part}`)
})

t.test('the log tells of a reason at most every ten seconds', async t => {
  const lines: [level: string, fields: object, message: string][] = []
  const at = (level: string) => (fields: object, message: string) => lines.push([level, fields, message])
  let now = 0
  const log = new Log({ warn: at('warn'), debug: at('debug') } as unknown as FastifyBaseLogger, () => now)
  const rows: [time: number, reason: Rejection, told: number | undefined][] = [
    [0, 'address', 1],
    [1, 'address', undefined],
    [2, 'queue', 1],
    [9_999, 'address', undefined],
    [10_000, 'address', 3],
    [10_001, 'address', undefined],
    [10_002, 'queue', 1],
    [99_000, 'address', 2],
  ]
  for (const [time, reason, count] of rows) {
    now = time
    log.refused(reason, 'clients', '192.0.2.1')
    const told = lines.splice(0)
    const line = ['warn', { reason, listener: 'clients', address: '192.0.2.1', count }, 'connections refused']
    t.strictSame(told, count === undefined ? [] : [line], `${time}: ${reason}`)
  }
  log.refused('missing', 'clients', '192.0.2.1')
  t.equal(lines[0]?.[0], 'debug', 'a PROXY header is another matter')
})

t.test('the defaults leave honest users alone', async t => {
  const { connections, overload, exempt } = defaultLimits
  const house = new House({ ...connections, ...overload, exempt: [...exempt], total: 10_000 })
  for (let n = 0; n < 100; n++) t.not(house.comes('192.0.2.1'), 'address-rate')
  for (let n = 0; n < 300; n++) t.not(house.comes('127.0.0.1'), 'address')
  house.clock.advance(1_000)
  t.equal(house.waiting, 0, '400 people come back within a second')
  t.equal(house.refused.length, 0)
})
