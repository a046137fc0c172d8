/** What other programs call. They give and get configurations in the shape of the configuration file; they are checked as the file is. */

import { ConfigError } from './config/problem.ts'
import { configFrom, pluginConfigFrom, type Reading, readWith } from './config/read.ts'
import type { ConfigFile, PluginFile, RuleKey } from './config/schema.ts'
import { type Proxy as Running, startProxy as start } from './proxy.ts'
import type { Watcher } from './relay/watcher.ts'
import { rules } from './rules/all-rules.ts'
import type { Rule } from './rules/rule.ts'
import type { Stanza } from './stanza/stanza.ts'
import { plainElement } from './xml/source-element.ts'

const builtIn: ReadonlySet<string> = new Set(rules.map(rule => rule.name))
/** A rule's name is also a key of the configuration and the value of a label. */
const goodName = /^[a-z][a-z0-9-]{0,63}$/

export interface StartOptions {
  /** Are told all that the metrics and the log are told. */
  readonly watchers?: readonly Watcher[]
  /** What `reload` and `POST /api/reload` take; left out: the configuration stays what it is. */
  readonly reread?: () => ConfigFile
  /** Rules of the program's own, asked after the built-in ones. Their modes are set by name, as those of the others are. */
  readonly ownRules?: readonly Rule[]
}

/**
 * A configuration file, YAML or JSON, checked; paths in it are absolute. `ownRules`: rules that it may name besides the built-in ones.
 * Throws `ConfigError` with all that is wrong.
 */
export function readConfig(file: string, ownRules: readonly Rule[] = []): ConfigFile {
  return readWith(file, keysWith(ownRules)).file
}

/** Starts the gate with its listeners. Rejects with `ConfigError` when the configuration is wrong, and when a listener cannot be bound. */
export async function startProxy(config: ConfigFile, options: StartOptions = {}): Promise<Running> {
  const { watchers, reread, ownRules = [] } = options
  const keys = keysWith(ownRules)
  const read = (file: ConfigFile): Reading => {
    const reading = configFrom(file, keys)
    const { rules } = reading.config
    return ownRules.length === 0
      ? reading
      : { ...reading, config: { ...reading.config, rules: { ...rules, own: ownRules.map(withPlainElements) } } }
  }
  const reading = read(config)
  const proxy = await start(reading.config, watchers, {}, reread && (() => read(reread())))
  for (const { key, message, remedy } of reading.warnings) proxy.log.warn({ key, remedy }, `${key} ${message}`)
  return proxy
}

/** The options of the plugin, checked. */
export function pluginConfig<Options extends PluginFile>(options: Options, ownRules: readonly Rule[] = []) {
  const config = pluginConfigFrom(options, keysWith(ownRules))
  return ownRules.length === 0
    ? config
    : { ...config, rules: { ...config.rules, own: ownRules.map(withPlainElements) } }
}

/** By the program's rule, so that a reload finds the rules unchanged. */
const wrapped = new WeakMap<Rule, Rule>()

function withPlainElements(rule: Rule): Rule {
  const known = wrapped.get(rule) ?? onPlainElements(rule)
  wrapped.set(rule, known)
  return known
}

/** The gate's own elements make their children when they are asked for. A program's rule gets objects that it may also spread. */
function onPlainElements(rule: Rule): Rule {
  const plain = (stanza: Stanza): Stanza => ({
    ...stanza,
    get element() {
      return plainElement(stanza.element)
    },
  })
  const { name, clause, about, isNeededToObserve = false } = rule
  const judge: Rule['judge'] = (stanza, facts) => rule.judge(plain(stanza), facts)
  if (rule.repair === undefined) return { name, clause, about, isNeededToObserve, judge }
  return {
    name,
    clause,
    about,
    isNeededToObserve,
    judge,
    repair: (stanza, facts) => rule.repair?.(plain(stanza), facts),
  }
}

/** The rules that a configuration may name. Throws `ConfigError` when a name of the program's own rules cannot be used. */
function keysWith(ownRules: readonly Rule[]): readonly RuleKey[] {
  const taken = new Set(builtIn)
  const problems = ownRules.flatMap(({ name }, index) => {
    const key = `ownRules[${index}].name`
    const place = { file: 'options', line: 0, column: 0, key }
    if (!goodName.test(name)) {
      const message = `'${name}' is no name of a rule`
      return [{ ...place, message, remedy: 'write lower-case letters, digits and hyphens, a letter first' }]
    }
    if (taken.has(name) || name === 'default')
      return [{ ...place, message: `'${name}' is taken`, remedy: 'choose another name' }]
    taken.add(name)
    return []
  })
  if (problems.length > 0) throw new ConfigError(problems)
  return [...builtIn, ...ownRules]
}
