/** The parameters of a request: each is known, and has a value that it can have, or the request is refused. */
import { didYouMean } from '../config/problem.ts'
import { bareOf, foldBare } from '../stanza/jid.ts'
import { isPattern } from './jid-pattern.ts'
import type { Problem } from './problem.ts'

/** A list of words; a JID, whose bare form is meant; part of a JID, where `*` stands for anything; or a whole number from 0, or `atLeast`, to this. */
export type Parameter = readonly string[] | 'jid' | 'pattern' | { readonly atLeast?: number; readonly atMost: number }

/** By name: the values that were given; any of them will do. JIDs are bare, and folded. */
export type Query = ReadonlyMap<string, readonly string[]>

export function readQuery(query: unknown, known: Readonly<Record<string, Parameter>>): Query | Problem {
  const read = new Map<string, string[]>()
  for (const [name, given] of Object.entries(query as Record<string, string | string[]>)) {
    const kind = Object.hasOwn(known, name) ? known[name] : undefined
    if (kind === undefined) {
      const names = Object.keys(known)
      const remedy = didYouMean(name, names, `known are ${names.join(', ')}`)
      const beside = names.length === 0 ? 'it takes none' : remedy
      return {
        status: 400,
        detail: `there is no parameter '${cut(name)}'; ${beside}`,
        parameter: cut(name),
        ...(names.length > 0 && { allowed: names }),
      }
    }
    const values = (Array.isArray(given) ? given : [given]).filter(value => value !== '')
    for (const value of values) {
      const good = goodOf(value, kind)
      if (typeof good !== 'string') return { status: 400, parameter: name, ...good }
      read.set(name, [...(read.get(name) ?? []), good])
    }
  }
  return read
}

export function isProblem(read: Query | Problem): read is Problem {
  return 'status' in read
}

type Flaw = Pick<Problem, 'detail' | 'allowed'>

function goodOf(value: string, kind: Parameter): string | Flaw {
  if (kind === 'jid')
    return foldBare(bareOf(value)) ?? { detail: `'${cut(value)}' is no JID; write one as romeo@im.example` }
  if (kind === 'pattern') return isPattern(value) ? value : { detail: `'${cut(value)}' is longer than a JID can be` }
  if ('atMost' in kind) {
    const { atLeast = 0, atMost } = kind
    const isGood = /^\d{1,15}$/.test(value) && Number(value) >= atLeast && Number(value) <= atMost
    return isGood ? value : { detail: `'${cut(value)}' is no whole number from ${atLeast} to ${atMost}` }
  }
  if (kind.includes(value)) return value
  const remedy = didYouMean(value, kind, `write one of ${kind.join(', ')}`)
  return { detail: `'${cut(value)}' is not one of them; ${remedy}`, allowed: kind }
}

/** The value as it was written, shortened. */
function cut(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
