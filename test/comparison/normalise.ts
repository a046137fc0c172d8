// What differs between any two conversations, gate or no gate, gets a name in the order of first appearance.
import { type Change, mapped, parse, type Tree } from './canon.ts'

/** What one client was sent in one case, and what it has said about itself. */
export type Line = Tree | string

export interface Renaming {
  readonly what: string
  readonly reason: string
  /** The sort of name it gets, or `undefined` where it does not apply. Each value keeps its name throughout a lane. */
  readonly sort: (value: string, name: string | undefined, owner: Tree) => string | undefined
}

/** What the cases choose themselves begins so, and is compared letter by letter. */
export const ours = 'our-'

const rsm = 'http://jabber.org/protocol/rsm'

/** Every value that is renamed. Everything else is compared as it is. */
export const renamings: readonly Renaming[] = [
  {
    what: 'id, on any element, unless the case has chosen it',
    reason: 'made up by a server or a library: of iqs, of archived messages (XEP-0313, XEP-0359), of pubsub items',
    sort: (value, name) => (name === 'id' && !value.startsWith(ours) ? 'id' : undefined),
  },
  {
    what: 'the text of <first/> and <last/> in a result set',
    reason: 'ids of archived messages (XEP-0059)',
    sort: (_, name, { ns, name: owner }) =>
      name === undefined && ns === rsm && (owner === 'first' || owner === 'last') ? 'id' : undefined,
  },
  {
    what: 'subid',
    reason: 'a random word of ejabberd (XEP-0060 section 6.1.2)',
    sort: (_, name) => (name === 'subid' ? 'subid' : undefined),
  },
  {
    what: 'stamp',
    reason: 'the time of day (XEP-0203)',
    sort: (value, name) => (name === 'stamp' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value) ? 'time' : undefined),
  },
  {
    what: 'ver of a roster',
    reason: 'a hash or a random word (RFC 6121 section 2.6.1)',
    sort: (value, name, { ns }) =>
      name === 'ver' && ns === 'jabber:iq:roster' && value !== '' ? 'version' : undefined,
  },
]

/** One lane's normaliser: it remembers the names. */
export class Normaliser {
  readonly #names = new Map<string, string>()
  readonly #counts = new Map<string, number>()

  line(xml: string): Tree {
    return mapped(parse(xml), this.#change)
  }

  /** Accounts and rooms are of their lane alone: without its mark they are the same in every lane. */
  text(text: string): string {
    return unmarked(text).replace(/(?<=\/go-sendxmpp\.)[\w-]+/g, value => this.#name('resource', value))
  }

  readonly #change: Change = (value, name, owner) => {
    for (const { sort } of renamings) {
      const found = sort(value, name, owner)
      // A time is no identity: two stamps that happen to be equal must not look different from two that do not.
      if (found === 'time') return '(time)'
      if (found !== undefined) return this.#name(found, value)
    }
    return this.text(value)
  }

  #name(sort: string, value: string): string {
    const key = `${sort} ${value}`
    const known = this.#names.get(key)
    if (known !== undefined) return known
    const count = (this.#counts.get(sort) ?? 0) + 1
    this.#counts.set(sort, count)
    this.#names.set(key, `(${sort} ${count})`)
    return `(${sort} ${count})`
  }
}

/** A name that only this lane uses: `marked('romeo', '7d')` is `romeo-7d-lane`. */
export function marked(name: string, lane: string): string {
  return `${name}-${lane}-lane`
}

function unmarked(text: string): string {
  return text.replace(/-\w+-lane\b/g, '')
}
