/**
 * `npm run bench:core`: what one stanza costs on the pure path of one process, without sockets: reading, judging, writing. Microseconds,
 * the median of rounds that are run one after the other; nothing passes or fails. `--sizes`: one chat message of growing size, with the fast
 * path and without it.
 */
import { parseArgs } from 'node:util'
import { activeRules } from '../../src/rules/all-rules.ts'
import { BoundSession } from '../../src/session/bound.ts'
import { Streams } from '../../src/session/streams.ts'
import { type Stanza, stanzaOf } from '../../src/stanza/stanza.ts'
import { tcpFraming } from '../../src/stream/framing.ts'
import { other, type Side, type StreamItem } from '../../src/stream/item.ts'
import { clientLimits, upstreamLimits } from '../../src/stream/limits.ts'
import { ns } from '../../src/stream/namespaces.ts'
import { fastPath } from '../../src/xml/reader.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    count: { type: 'string', default: '20000' },
    json: { type: 'boolean', default: false },
    sizes: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const count = Number(values.count)

const chat = (quote: string) =>
  `<message to='romeo@localhost/orchard' id='a1b2c3d4e5' type='chat'><body>Wherefore art thou Romeo? Deny thy father and refuse thy name</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>`.replaceAll(
    "'",
    quote,
  )

const cases: readonly (readonly [name: string, from: Side, xml: string])[] = [
  ['chat, single quotes', 'client', chat("'")],
  ['chat, double quotes', 'client', chat('"')],
  ['chat from the server', 'upstream', chat("'").replace('<message', "<message from='juliet@localhost/balcony'")],
  [
    'presence',
    'upstream',
    `<presence from='romeo@localhost/orchard' to='juliet@localhost/balcony'><show>away</show><status>in the orchard</status><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://example.org/client' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>`,
  ],
  [
    'roster push',
    'upstream',
    `<iq type='set' id='push1' to='juliet@localhost/balcony'><query xmlns='jabber:iq:roster' ver='ver7'><item jid='romeo@localhost' subscription='both' name='Romeo'><group>Friends</group></item></query></iq>`,
  ],
  ['ping', 'client', `<iq type='get' id='ping1' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>`],
]

interface Row {
  readonly name: string
  readonly bytes: number
  readonly read: number
  readonly judge: number
  readonly write: number
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, two) => one - two)[Math.floor(numbers.length / 2)] as number
}

/** Microseconds for one of `count` calls. */
function timed(work: () => void): number {
  const began = performance.now()
  work()
  return ((performance.now() - began) * 1_000) / count
}

function reader(from: Side) {
  const framing = tcpFraming(from, from === 'client' ? clientLimits : upstreamLimits)
  framing.push(
    Buffer.from(`<?xml version='1.0'?><stream:stream xmlns='${ns.client}' xmlns:stream='${ns.stream}' version='1.0'>`),
  )
  if (framing.next()?.item !== 'open') throw new Error('the stream header was not read')
  framing.readInBulk()
  return framing
}

function measured(name: string, from: Side, xml: string): Row {
  const bytes = Buffer.from(xml)
  const framing = reader(from)
  const out = reader(other[from])
  const session = new BoundSession(
    { rules: activeRules({ default: 'enforce', modes: new Map() }), trustedDomains: new Set(), newStreamId: () => 'x' },
    'localhost',
    'juliet@localhost/balcony',
  )
  const streams = new Streams(() => ({ from: 'localhost', id: 'x' }))
  streams.connected()
  framing.push(bytes)
  const item = framing.next()
  if (item?.item !== 'element') throw new Error(`${name} was not read: ${JSON.stringify(item)}`)
  const stanza = stanzaOf(item.element) as Stanza
  const samples = { read: [] as number[], judge: [] as number[], write: [] as number[] }
  for (let round = 0; round < rounds; round++) {
    samples.read.push(
      timed(() => {
        for (let i = 0; i < count; i++) {
          framing.push(bytes)
          if (framing.next()?.item !== 'element') throw new Error('not read')
        }
      }),
    )
    samples.judge.push(
      timed(() => {
        for (let i = 0; i < count; i++) {
          streams.out = []
          session.stanza(from, stanza, 'en', streams)
        }
      }),
    )
    const written: StreamItem = item
    samples.write.push(
      timed(() => {
        for (let i = 0; i < count; i++) out.write(written)
      }),
    )
  }
  return {
    name,
    bytes: bytes.length,
    read: median(samples.read),
    judge: median(samples.judge),
    write: median(samples.write),
  }
}

/** A message of so many bytes comes in reads of 64 KiB, as from a socket. */
function bySize(): void {
  console.log(
    '| Bytes | Read and written | For each byte | Without the fast path | For each byte |\n|--:|--:|--:|--:|--:|',
  )
  for (const size of [100, 256, 1_024, 4_096, 16_384, 65_536, 131_072, 250_000]) {
    const text = `<message to='romeo@localhost/orchard' id='a1' type='chat'><body></body></message>`
    const bytes = Buffer.from(
      text.replace('<body>', `<body>${'deny thy father '.repeat(size / 16).slice(0, size - text.length)}`),
    )
    const each = [true, false].map(isOn => {
      fastPath.isOn = isOn
      const [framing, out] = [reader('client'), reader('upstream')]
      const times = Math.max(Math.ceil(2e7 / size / (isOn ? 1 : 4)), 20)
      const samples = Array.from({ length: rounds }, () => {
        const began = performance.now()
        for (let i = 0; i < times; i++) {
          let item: StreamItem | undefined
          for (let at = 0; at < bytes.length; at += 65_536) {
            framing.push(bytes.subarray(at, at + 65_536))
            item = framing.next()
          }
          if (item?.item !== 'element') throw new Error(`${size} bytes were not read`)
          out.write(item)
        }
        return ((performance.now() - began) * 1_000) / times
      })
      return median(samples)
    })
    const cells = each.map(time => `${time.toFixed(1)} µs | ${((time * 1_000) / bytes.length).toFixed(2)} ns`)
    console.log(`| ${bytes.length} | ${cells.join(' | ')} |`)
  }
}

if (values.sizes) {
  bySize()
  process.exit()
}

const rows = cases.map(([name, from, xml]) => measured(name, from, xml))
if (values.json) console.log(JSON.stringify(rows))
else {
  console.log('| Stanza | Bytes | Read | Judge | Write | All |\n|---|--:|--:|--:|--:|--:|')
  for (const { name, bytes, read, judge, write } of rows) {
    const [r, j, w, all] = [read, judge, write, read + judge + write].map(each => each.toFixed(2))
    console.log(`| ${name} | ${bytes} | ${r} µs | ${j} µs | ${w} µs | ${all} µs |`)
  }
}
