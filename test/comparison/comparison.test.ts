/** Every case directly and through the gate, with real clients at real servers: the two transcripts are the same. */
import t from 'tap'
import { fastPath } from '../../src/xml/reader.ts'
import { clientKinds } from '../clients/all.ts'
import type { ClientWire } from '../clients/test-client.ts'
import { Gate, makeCertificate } from '../e2e/gate.ts'
import { trust } from '../servers/certificate.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { startProsody } from '../servers/prosody.ts'
import { elements, type Tree } from './canon.ts'
import { archive, blocking, disco, inactive, login, pep, resumption, rosterCase } from './cases-account.ts'
import { another, cancellation, carbons, file, messages, presence, room, subscription } from './cases-people.ts'
import { type Comparison, compare, type Part } from './compare.ts'
import { playConsole } from './console.ts'
import { exceptions, leftOut, unordered } from './exceptions.ts'
import { marked, Normaliser, renamings } from './normalise.ts'
import { countPlainTraffic } from './plain-traffic.ts'
import { type Case, type Ports, Stage, type Way } from './stage.ts'

t.setTimeout(180_000) // it takes about 25 s

const cases: readonly Case[] = [
  login,
  rosterCase,
  disco,
  presence,
  subscription,
  messages,
  another,
  carbons,
  archive,
  pep,
  blocking,
  room,
  inactive,
  file,
  resumption,
  cancellation,
]

/** A conversation that is held twice, each time by accounts of its own. */
interface Item {
  readonly client: string
  readonly wire: ClientWire
  readonly cases: number
  /** Cases that could be played through the gate alone, with the reason. */
  readonly notDirect: (server: string) => readonly string[]
  readonly play: (server: string, way: Way, mark: string) => Promise<Part[]>
}

const items: readonly Item[] = [
  ...clientKinds.flatMap(kind =>
    kind.wires.map(wire => ({
      client: kind.name,
      wire,
      cases: cases.length,
      notDirect: (server: string) =>
        cases.flatMap(one => {
          const reason = one.notDirect?.({ kind, wire, server })
          return reason === undefined ? [] : [`${one.name} through the gate only: ${reason}`]
        }),
      play: (server: string, way: Way, mark: string) => new Stage({ kind, wire, server }, way, mark).play(cases),
    })),
  ),
  ...(['starttls', 'direct'] as const).map(wire => ({
    client: 'go-sendxmpp',
    wire,
    cases: 2,
    notDirect: () => [],
    play: (_: string, way: Way, mark: string) => playConsole(wire, way, mark),
  })),
]

const users = items.flatMap((_, i) => ['d', 't'].flatMap(way => [marked('romeo', i + way), marked('juliet', i + way)]))

const certificate = await makeCertificate(t)
t.teardown(trust(certificate))
const options = {
  certificate,
  http: true,
  plain: true,
  accounts: Object.fromEntries(users.map(user => [user, 'secret'])),
}
const [prosody, ejabberd] = await Promise.all([startProsody(options), startEjabberd(options)])
t.teardown(() => Promise.all([prosody.stop(), ejabberd.stop()]))

interface Result {
  readonly server: string
  readonly item: Item
  readonly direct: readonly Part[]
  readonly comparison: Comparison
}

const servers = [
  { name: 'Prosody', server: prosody },
  { name: 'ejabberd', server: ejabberd },
] as const
const traffic = countPlainTraffic()

/** By server and item; an error is that of the conversation that broke off. */
const results = new Map<string, Result | Error>()
// The servers side by side, the clients one after the other: the machine is busy with either way of two of them.
await Promise.all(servers.map(({ name, server }) => playAll(name, server)))

async function playAll(server: string, { address, port, ports }: (typeof servers)[number]['server']): Promise<void> {
  const [gate, other] = await Promise.all([1, 2].map(() => Gate.start(t, certificate, { address, port })))
  const portsOf = (port: (wire: ClientWire) => number | undefined, wss: ClientWire = 'wss'): Ports => {
    const at = (wire: ClientWire) => ({ wire, port: port(wire) ?? 0 })
    return { starttls: at('starttls'), direct: at('direct'), ws: at('ws'), wss: at(wss) }
  }
  const own = portsOf(
    wire => ({ starttls: ports.c2s, direct: ports.directTls, ws: ports.http, wss: undefined })[wire],
    'ws',
  )
  const { cert } = certificate
  const ways: readonly Way[] = [
    { name: 'direct', ports: own, elsewhere: own, certificate: cert },
    {
      name: 'through',
      ports: portsOf(wire => gate?.port(wire)),
      elsewhere: portsOf(wire => other?.port(wire)),
      certificate: cert,
    },
  ]
  for (const [i, item] of items.entries()) {
    const played = await Promise.allSettled(ways.map(way => item.play(server, way, `${i}${way.name[0]}`)))
    const broken = played.find(one => one.status === 'rejected')
    const [direct = [], through = []] = played.map(one => (one.status === 'fulfilled' ? one.value : []))
    const result = { server, item, direct, comparison: compare(server, direct, through) }
    results.set(titleOf(server, item), broken === undefined ? result : (broken.reason as Error))
  }
}

function titleOf(server: string, { client, wire }: Item): string {
  return `${client} over ${wire} to ${server}`
}

const whole = [...results.values()].flatMap(result => (result instanceof Error ? [] : [result]))

for (const [title, result] of results) {
  t.test(title, async t => {
    if (result instanceof Error) throw result
    t.strictSame(result.comparison.differences, [], 'nothing but what is listed differs')
  })
}

t.test('the table', async t => {
  const table = [
    ['client', 'wire', 'server', 'cases', 'stanzas', 'differences', 'explained'],
    ...whole.map(({ server, item, comparison: { stanzas, differences, explained } }) => {
      const because = [...explained].map(([name, times]) => `${name} ${times}`).join(', ')
      const compared = item.cases - item.notDirect(server).length
      return [item.client, item.wire, server, compared, stanzas, differences.length, because].map(String)
    }),
  ]
  const widths = table[0]?.map((_, i) => Math.max(...table.map(row => row[i]?.length ?? 0))) ?? []
  for (const row of table)
    t.comment(
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
  for (const { name, clause, reason } of exceptions) t.comment(`explained: ${name} (${clause}): ${reason}`)
  for (const { what, reason } of renamings) t.comment(`renamed: ${what}: ${reason}`)
  for (const { what, reason } of leftOut) t.comment(`left out: ${what}: ${reason}`)
  for (const entry of unordered) t.comment(`in any order: ${entry.case} at ${entry.server}: ${entry.reason}`)
  for (const { server, item } of whole) {
    for (const what of item.notDirect(server)) t.comment(`${titleOf(server, item)}: ${what}`)
  }
  t.equal(whole.length, items.length * servers.length, 'every conversation came to its end')
  const used = new Set(whole.flatMap(({ comparison }) => [...comparison.explained.keys()]))
  t.strictSame([...used].sort(), exceptions.map(({ name }) => name).sort(), 'no exception is listed in vain')
})

t.test('how much of it was passed on as its text', async t => {
  const kinds = ['message', 'presence', 'iq'] as const
  const sides = ['client', 'upstream'] as const
  const names = [...new Set(items.map(({ client }) => client))]
  const rows = names.map(name => {
    const accounts = items.flatMap((item, i) =>
      item.client === name ? ['romeo', 'juliet'].map(user => `${marked(user, `${i}t`)}@localhost`) : [],
    )
    const cells = sides.flatMap(from =>
      kinds.map(kind => {
        const counted = traffic.filter(
          each => accounts.includes(each.account) && each.from === from && each.kind === kind,
        )
        const [plain, all] = [
          counted.reduce((sum, each) => sum + each.plain, 0),
          counted.reduce((sum, each) => sum + each.all, 0),
        ]
        return `${plain} of ${all}`
      }),
    )
    return [name, ...cells]
  })
  const head = [
    'client',
    ...sides.flatMap(from => kinds.map(kind => `${kind}, ${from === 'client' ? 'from it' : 'to it'}`)),
  ]
  for (const row of [head, ...rows])
    t.comment(
      row
        .map((cell, i) => cell.padEnd(i === 0 ? 14 : 19))
        .join(' ')
        .trimEnd(),
    )
  const share = traffic.reduce((sum, each) => sum + each.plain, 0) / traffic.reduce((sum, each) => sum + each.all, 0)
  if (fastPath.isOn) t.ok(share > 0.5, `${Math.round(share * 100)} % of all stanzas`)
})

t.test('an attribute or a child that is missing is a difference, each of them', async t => {
  for (const { server, item, direct } of whole) {
    t.strictSame(compare(server, direct, direct).differences, [], `${titleOf(server, item)}: itself`)
    const missed: string[] = []
    const excused = new Set<string>()
    let tried = 0
    for (const part of direct) {
      for (const [j, tree] of part.lines.entries()) {
        for (const less of lessened(tree)) {
          const lines = part.lines.with(j, less)
          tried += 1
          const { differences, explained } = compare(server, [part], [{ ...part, lines }])
          for (const name of explained.keys()) excused.add(name)
          if (differences.length + explained.size === 0) missed.push(`${part.case}: ${JSON.stringify(less)}`)
        }
      }
    }
    t.ok(tried > 10, `${tried} of them`)
    t.strictSame(missed, [], titleOf(server, item))
    // The one exception that takes something away is no difference here either.
    excused.delete('prosody-transport-status')
    t.equal(excused.size, 0, `nothing else is excused: ${[...excused]}`)
  }
})

/** The tree without one attribute, or without one child, at any depth. */
function lessened(tree: Tree): Tree[] {
  const without = Object.keys(tree.attrs).map(name => {
    const { [name]: _, ...attrs } = tree.attrs
    return { ...tree, attrs }
  })
  const childless = tree.children.map((_, i) => ({ ...tree, children: tree.children.toSpliced(i, 1) }))
  const deeper = elements(tree).flatMap(inner =>
    lessened(inner).map(less => ({ ...tree, children: tree.children.map(node => (node === inner ? less : node)) })),
  )
  return [...without, ...childless, ...deeper]
}

t.test('what is compared, and what is not', async t => {
  const differences = (one: readonly string[], other: readonly string[], wire: ClientWire = 'direct') => {
    const [direct, through] = [one, other].map(stanzas => partOfTest(stanzas, wire))
    return compare('Prosody', direct ? [direct] : [], through ? [through] : []).differences.length
  }
  const partOfTest = (stanzas: readonly string[], wire: ClientWire): Part => {
    const normaliser = new Normaliser()
    return { case: 'a case', actor: 'romeo', wire, lines: stanzas.map(xml => normaliser.line(xml)) }
  }
  const message = (attrs: string, inner = '') => `<message xmlns='jabber:client' ${attrs}>${inner}</message>`
  const table: readonly [string, readonly string[], readonly string[], number, ClientWire?][] = [
    [
      'ids by their first appearance',
      [message("id='a'"), message("id='b'")],
      [message("id='x'"), message("id='y'")],
      0,
    ],
    ['the same id again', [message("id='a'"), message("id='a'")], [message("id='x'"), message("id='y'")], 1],
    ['an id that is ours', [message("id='our-a'")], [message("id='our-b'")], 1],
    [
      'the spelling of a prefix',
      [message("xmlns:p='u' p:a='1'", '<p:b/>')],
      [message("xmlns:q='u' q:a='1'", "<b xmlns='u'/>")],
      0,
    ],
    ['a namespace', [message('', "<a xmlns='u'/>")], [message('', "<a xmlns='v'/>")], 1],
    ['the order of children', [message('', '<a/><b/>')], [message('', '<b/><a/>')], 1],
    ['text', [message('', '<body>e\u0301</body>')], [message('', '<body>\u00e9</body>')], 1],
    ['the order of stanzas', [message("to='a'"), message("to='b'")], [message("to='b'"), message("to='a'")], 2],
    ['one too few', [message(''), message('')], [message('')], 1],
    ['one too many', [message('')], [message(''), message('')], 1],
    ['a language on a WebSocket', [message('')], [message("xml:lang='en'")], 1, 'ws'],
    ['a language on TCP', [message('')], [message("xml:lang='en'")], 1],
    ['a full JID that stays', [message("from='a@b/c'")], [message("from='a@b'")], 1],
    [
      'accounts of the lane',
      [message(`from='${marked('romeo', '7d')}@b'`)],
      [message(`from='${marked('romeo', '7t')}@b'`)],
      0,
    ],
    [
      'accounts of two people',
      [message(`from='${marked('romeo', '7d')}@b'`)],
      [message(`from='${marked('juliet', '7t')}@b'`)],
      1,
    ],
  ]
  for (const [what, one, other, expected, wire] of table) t.equal(differences(one, other, wire), expected, what)
})
