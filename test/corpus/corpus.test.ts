/**
 * The corpus on real servers: every case with each of them, on one wire that differs from case to case; on all wires it is
 * `npm run corpus -- --all`. Nothing may be other than expected, and nobody may get what nobody may get.
 */
import t from 'tap'
import { makeCertificate } from '../e2e/gate.ts'
import { classes, servers } from './case.ts'
import { cases } from './cases/all.ts'
import { hostileCases } from './cases/upstream.ts'
import { documents } from './documents.ts'
import { playAll, playAllHostile, rowsOf, shownResult, tableOf } from './run.ts'
import { Stage } from './stage.ts'

// Some thousands of logins, on a machine that has other things to do.
t.setTimeout(170_000)

const certificate = await makeCertificate(t)
const slots = 12

t.test('the corpus itself', async t => {
  const known = [...cases, ...hostileCases]
  for (const name of classes) t.ok(known.filter(one => one.class === name).length >= 30, `${name}: enough of them`)
  const names = known.flatMap(one => one.wires.map(wire => `${one.class}: ${one.name} (${wire})`))
  t.strictSame(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
    'every case has a name of its own',
  )
  t.ok(documents().length > cases.length, 'and its bytes are there for others')
})

for (const server of servers)
  t.test(server, async t => {
    const stage = await Stage.start(t, server, certificate, slots)
    const results = await playAll(stage, { all: false })
    t.strictSame(results.filter(({ ok, unsafe }) => !ok || unsafe).map(shownResult), [])
    await stage.settled()
    t.strictSame(stage.late, [], 'nor did anything come later')
    t.ok(results.length >= 1_000)
    t.comment(tableOf(rowsOf(results)))
  })

t.test('a hostile server', async t => {
  const results = await playAllHostile(t, certificate, { all: false })
  t.strictSame(results.filter(({ ok, unsafe }) => !ok || unsafe).map(shownResult), [])
  t.equal(results.length, hostileCases.length)
})
