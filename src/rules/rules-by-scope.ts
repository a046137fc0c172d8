import type { Kind, Stanza } from '../stanza/stanza.ts'
import type { Side } from '../stream/item.ts'
import type { ActiveRule } from './judge.ts'

/** Finds the rules whose scope a stanza is in, in the order of asking, so that most stanzas meet none or one. */
export class RulesByScope {
  private readonly rules: readonly ActiveRule[]
  /** Types that some rule names. All others have the same rules, and share one list. */
  private readonly named: ReadonlySet<string>
  private readonly lists: Readonly<Record<Side, Readonly<Record<Kind, Map<string | undefined, readonly ActiveRule[]>>>>>

  constructor(rules: readonly ActiveRule[]) {
    this.rules = rules
    this.named = new Set(rules.flatMap(({ rule }) => rule.scope?.types ?? []))
    const kinds = () => ({ message: new Map(), presence: new Map(), iq: new Map() })
    this.lists = { client: kinds(), upstream: kinds() }
  }

  of(from: Side, { kind, type }: Stanza): readonly ActiveRule[] {
    const lists = this.lists[from][kind]
    const key = type !== undefined && this.named.has(type) ? type : undefined
    const known = lists.get(key)
    if (known !== undefined) return known
    const list = this.rules.filter(({ rule }) => isInScope(rule.scope, from, kind, key))
    lists.set(key, list)
    return list
  }
}

function isInScope(
  { from, kinds, types }: NonNullable<ActiveRule['rule']['scope']> = {},
  side: Side,
  kind: Kind,
  type: string | undefined,
) {
  return (
    (from === undefined || from === side) &&
    (kinds === undefined || kinds.includes(kind)) &&
    (types === undefined || (type !== undefined && types.includes(type)))
  )
}

const made = new WeakMap<readonly ActiveRule[], RulesByScope>()

/** Made once for each list of rules. */
export function rulesByScope(rules: readonly ActiveRule[]): RulesByScope {
  const known = made.get(rules) ?? new RulesByScope(rules)
  made.set(rules, known)
  return known
}
