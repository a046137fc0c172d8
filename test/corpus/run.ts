/** Plays the corpus: each case on every wire that it knows, or on one that another day would be another. */
import { Gate } from '../e2e/gate.ts'
import type { Certificate } from '../servers/certificate.ts'
import { type Case, type ClassName, classes, type Wire } from './case.ts'
import { cases } from './cases/all.ts'
import { hostileCases } from './cases/upstream.ts'
import { playHostile } from './hostile.ts'
import { unhurried } from './limits.ts'
import { play, type Result } from './player.ts'
import type { Stage, Teardowns } from './stage.ts'
import { HostileUpstream } from './upstream.ts'

export interface Choice {
  /** Every wire, not one of each case. */
  readonly all: boolean
  /** Only these classes. */
  readonly classes?: readonly string[] | undefined
  /** Only cases whose names have this in them. */
  readonly name?: string | undefined
}

/** What is played: without `all` the wires take turns, from case to case, and from server to server by `turn`. */
export function chosen<Any extends Pick<Case, 'class' | 'name' | 'wires'>>(
  cases: readonly Any[],
  turn: number,
  { all, classes, name }: Choice,
): (readonly [Any, Wire])[] {
  return cases
    .filter(one => classes === undefined || classes.includes(one.class))
    .filter(one => name === undefined || one.name.includes(name))
    .flatMap((one, index) => {
      const wires = all ? one.wires : one.wires.slice((index + turn) % one.wires.length).slice(0, 1)
      return wires.map(wire => [one, wire] as const)
    })
}

/** As many at a time as there are accounts. */
export async function playAll(stage: Stage, choice: Choice): Promise<Result[]> {
  const known = cases.filter(one => one.only === undefined || one.only === stage.name)
  const plays = chosen(known, stage.name === 'prosody' ? 0 : 1, choice)
  const results: Result[] = []
  const queue = plays[Symbol.iterator]()
  await Promise.all(
    stage.slots.map(async slot => {
      for (const [one, wire] of queue) results.push(await play(one, wire, stage, slot))
    }),
  )
  return results
}

/** A server that is none, with a gate of its own. */
export async function playAllHostile(t: Teardowns, certificate: Certificate, choice: Choice): Promise<Result[]> {
  const upstream = new HostileUpstream()
  t.teardown(() => upstream.close())
  const gate = await Gate.start(
    t,
    certificate,
    { address: '127.0.0.1', port: await upstream.listen() },
    { limits: unhurried },
  )
  const results: Result[] = []
  for (const [one, wire] of chosen(hostileCases, 0, choice)) results.push(await playHostile(one, wire, gate, upstream))
  return results
}

export interface Row {
  readonly class: ClassName
  readonly server: string
  readonly wire: string
  readonly cases: number
  readonly asExpected: number
  readonly unsafe: number
}

export function rowsOf(results: readonly Result[]): Row[] {
  const servers = [...new Set(results.map(result => result.server))]
  const wires = [...new Set(results.map(result => result.wire))].sort()
  return classes.flatMap(name =>
    servers.flatMap(server =>
      wires.flatMap(wire => {
        const own = results.filter(
          ({ case: one, ...by }) => one.class === name && by.server === server && by.wire === wire,
        )
        if (own.length === 0) return []
        const [asExpected, unsafe] = [own.filter(({ ok }) => ok).length, own.filter(({ unsafe }) => unsafe).length]
        return [{ class: name, server, wire, cases: own.length, asExpected, unsafe }]
      }),
    ),
  )
}

export function tableOf(rows: readonly Row[]): string {
  const total = (of: 'cases' | 'asExpected' | 'unsafe') => rows.reduce((sum, row) => sum + row[of], 0)
  const lines = rows.map(
    row => `| ${row.class} | ${row.server} | ${row.wire} | ${row.cases} | ${row.asExpected} | ${row.unsafe} |`,
  )
  return [
    '| Class | Server | Wire | Cases | As expected | Unsafe |',
    '|---|---|---|---|---|---|',
    ...lines,
    `| all | | | ${total('cases')} | ${total('asExpected')} | ${total('unsafe')} |`,
  ].join('\n')
}

export function shownResult({ case: one, server, wire, unsafe, detail }: Result): string {
  return `${unsafe ? 'UNSAFE: ' : ''}${one.class}: ${one.name} (${server}, ${wire}): ${detail.slice(0, 1_500)}`
}
