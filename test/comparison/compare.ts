// Two transcripts side by side.
import { line, type Tree } from './canon.ts'
import { exceptions, leftOut, unordered, type Where } from './exceptions.ts'
import type { Normaliser } from './normalise.ts'

/** What one client was sent during one case. */
export interface Part {
  readonly case: string
  readonly actor: string
  readonly wire: Where['wire']
  readonly lines: readonly Tree[]
}

export interface Comparison {
  /** Stanzas that were compared. */
  readonly stanzas: number
  readonly differences: readonly string[]
  /** How often each exception explained one. */
  readonly explained: ReadonlyMap<string, number>
}

export function partOf(normaliser: Normaliser, part: Omit<Part, 'lines'>, stanzas: readonly string[]): Part {
  const lines = stanzas.map(xml => normaliser.line(xml)).filter(one => !leftOut.some(({ is }) => is(one)))
  return { ...part, lines }
}

export function compare(server: string, direct: readonly Part[], through: readonly Part[]): Comparison {
  const differences: string[] = []
  const explained = new Map<string, number>()
  const anyWebsocket = through.some(({ wire }) => wire === 'ws' || wire === 'wss')
  let stanzas = 0
  const key = (part: Part | undefined) => part && `${part.case}, ${part.actor}`
  for (let i = 0; i < Math.max(direct.length, through.length); i += 1) {
    const [one, other] = [direct[i], through[i]]
    if (one === undefined || other === undefined || key(one) !== key(other)) {
      differences.push(`${key(one) ?? 'nothing'} direct, ${key(other) ?? 'nothing'} through`)
      break
    }
    const told = through.filter(({ actor }) => actor === other.actor).flatMap(({ lines }) => lines)
    const where: Where = { server, wire: other.wire, anyWebsocket, told }
    const made = one.lines.map(tree => expected(tree, where))
    const came = other.lines.map(tree => line(tree))
    stanzas += made.length
    const inOrder = !unordered.some(entry => entry.server === server && entry.case === one.case)
    const pairs = inOrder ? side(made, came) : matched(made, came)
    for (const [left, right] of pairs) {
      if (left !== undefined && left.direct === right) continue
      if (left !== undefined && left.line === right) {
        for (const name of left.names) explained.set(name, (explained.get(name) ?? 0) + 1)
        continue
      }
      differences.push(`${key(one)}\n  direct:  ${left?.direct ?? 'nothing'}\n  through: ${right ?? 'nothing'}`)
    }
  }
  return { stanzas, differences, explained }
}

/** A direct line as it came, as the gate shall give it on, and why. */
interface Expected {
  readonly direct: string
  readonly line: string
  readonly names: readonly string[]
}

function expected(direct: Tree, where: Where): Expected {
  const names: string[] = []
  let tree = direct
  for (const exception of exceptions) {
    const changed = exception.expected(tree, where)
    if (changed !== tree) names.push(exception.name)
    tree = changed
  }
  return { direct: line(direct), line: line(tree), names }
}

type Pair = readonly [Expected | undefined, string | undefined]

function side(made: readonly Expected[], came: readonly string[]): Pair[] {
  return Array.from({ length: Math.max(made.length, came.length) }, (_, i) => [made[i], came[i]] as const)
}

function matched(made: readonly Expected[], came: readonly string[]): Pair[] {
  const left = [...came]
  const pairs: Pair[] = []
  for (const one of made) {
    const index = left.findIndex(text => text === one.direct || text === one.line)
    pairs.push([one, index < 0 ? undefined : left.splice(index, 1)[0]])
  }
  return [...pairs, ...left.map((text): Pair => [undefined, text])]
}
