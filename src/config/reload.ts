/** Applies a new configuration to a running gate: it is checked first, applied completely or not at all, and ends no session. */

import { isDeepStrictEqual } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import type { ReloadOutcome } from './labels.ts'
import { ConfigError, type Problem } from './problem.ts'
import type { Reading } from './read.ts'
import type { Config } from './types.ts'

/** A part of the running gate that takes a new configuration without a restart. */
export interface Reloadable {
  /** Of the keys that differ, as `rules.default` or `upstreams.main`, those that it takes; of a section it takes all or none. */
  changed(keys: readonly string[]): readonly string[]
  /** Does everything that may fail. What is wrong is reported to `flaw`, and then nothing is applied. What it returns cannot fail. */
  prepare(next: Config, flaw: Flaw): Prepared | Promise<Prepared>
}

export interface Prepared {
  /** Puts it to use, at once. */
  apply(): void
  /** Another part was refused: what `prepare` has opened is closed. Left out: nothing was opened. */
  discard?(): void
}

/** `pointer`: the JSON pointer of the part of the file that is meant. */
export type Flaw = (pointer: string, message: string, remedy: string) => void

export interface ReloadResult {
  readonly outcome: ReloadOutcome
  /** Keys that are in use as the file has them now. */
  readonly changed: readonly string[]
  /** Keys that differ from what is in use, and are taken by a restart alone. */
  readonly needsRestart: readonly string[]
  /** Why it was refused; else empty. */
  readonly problems: readonly Problem[]
}

export interface ReloadOptions {
  /** What is in use at the start. */
  readonly running: Config
  readonly parts: readonly Reloadable[]
  /** Reads the file; throws `ConfigError`. Left out: there is none, and a reload changes nothing. */
  readonly read?: (() => Reading) | undefined
  readonly log: Pick<FastifyBaseLogger, 'info' | 'warn' | 'error'>
  counted(outcome: ReloadOutcome): void
}

export class Reload {
  private readonly options: ReloadOptions
  private last: Promise<unknown> = Promise.resolve()
  /** The configuration in use; of a file that was applied in part, that part. */
  private running: Config

  constructor(options: ReloadOptions) {
    this.options = options
    this.running = options.running
  }

  get config(): Config {
    return this.running
  }

  /** One after the other, in the order of asking. Never rejects for what a file says. */
  run(): Promise<ReloadResult> {
    const result = this.last.then(() => this.once())
    this.last = result.catch(() => {})
    return result
  }

  private async once(): Promise<ReloadResult> {
    const { read, counted } = this.options
    if (read === undefined) return { outcome: 'unchanged', changed: [], needsRestart: [], problems: [] }
    const result = await this.take(read)
    counted(result.outcome)
    this.tell(result)
    return result
  }

  private async take(read: () => Reading): Promise<ReloadResult> {
    const reading = readingOf(read)
    if ('problems' in reading) return refused(reading.problems)
    const { config, warnings } = reading
    const keys = differences(this.running, config)
    const taken = this.options.parts
      .map(part => ({ part, keys: part.changed(keys) }))
      .filter(each => each.keys.length > 0)
    const changed = taken.flatMap(each => each.keys)
    const needsRestart = keys.filter(key => !changed.includes(key))
    const problems: Problem[] = []
    const flaw: Flaw = (...said) => problems.push(reading.problem(...said))
    const prepared: Prepared[] = []
    for (const { part } of taken) prepared.push(await part.prepare(config, flaw))
    if (problems.length > 0) {
      for (const each of prepared) each.discard?.()
      return { ...refused(problems), needsRestart }
    }
    for (const each of prepared) each.apply()
    this.running = merged(this.running, config, changed)
    for (const { file, line, key, message, remedy } of warnings)
      this.options.log.warn({ file, line, key, remedy }, `${key} ${message}`)
    return { outcome: changed.length > 0 ? 'applied' : 'unchanged', changed, needsRestart, problems }
  }

  private tell({ outcome, changed, needsRestart, problems }: ReloadResult): void {
    const { log } = this.options
    for (const { file, line, key, message, remedy } of problems)
      log.error({ file, line, key, problem: message, remedy }, refusal)
    if (outcome === 'applied') log.info({ changed }, 'configuration read again, and in use')
    if (outcome === 'unchanged') log.info('configuration read again: nothing to be taken is new')
    if (needsRestart.length > 0) log.warn({ needsRestart }, 'the configuration differs in what needs a restart')
  }
}

const refusal = 'configuration read again and refused; the one before stays in use'

function refused(problems: readonly Problem[]): ReloadResult {
  return { outcome: 'refused', changed: [], needsRestart: [], problems }
}

function readingOf(read: () => Reading): Reading | { readonly problems: readonly Problem[] } {
  try {
    return read()
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.problems }
    // A program's own `reread` may throw anything; it ends no session.
    const message = `cannot be read (${error instanceof Error ? error.message : String(error)})`
    return { problems: [{ file: 'options', line: 0, column: 0, key: '', message, remedy: 'mend what reads it' }] }
  }
}

/** Sections whose keys are named one by one; of the others only the section is named. */
type Section = Readonly<Record<string, unknown>>

/** The names, one or two deep, of what differs: `routes`, `log.level`, `rules.presence-type`, `upstreams.main`, `listeners[0]`. */
export function differences(before: Config, after: Config): string[] {
  const [old, now] = [shown(before), shown(after)]
  return Object.keys({ ...old, ...now }).flatMap(name => differencesIn(name, old[name], now[name]))
}

function differencesIn(name: string, before: unknown, after: unknown): string[] {
  if (isDeepStrictEqual(before, after)) return []
  const [old, now] = [entriesOf(before), entriesOf(after)]
  if (old === undefined || now === undefined) return [name]
  const isList = Array.isArray(before) || Array.isArray(after)
  return Object.keys({ ...old, ...now })
    .filter(key => !isDeepStrictEqual(old[key], now[key]))
    .map(key => (isList ? `${name}[${key}]` : `${name}.${key}`))
}

/** Routes are compared as one list; modes stand in the file beside the other keys of `rules`. */
function shown({ rules, routes, ...rest }: Config): Section {
  const { modes, ...others } = rules
  return { ...rest, routes: JSON.stringify(routes), rules: { ...others, ...Object.fromEntries(modes) } }
}

function entriesOf(value: unknown): Section | undefined {
  if (value instanceof Map) return Object.fromEntries(value)
  return typeof value === 'object' && value !== null ? { ...value } : undefined
}

/** What is in use from now on: sections whose keys were taken, the rest as it was. */
function merged(running: Config, next: Config, changed: readonly string[]): Config {
  const sections = new Set(changed.map(key => key.replace(/[.[].*$/s, '')))
  const taken = Object.fromEntries(Object.entries(next).filter(([name]) => sections.has(name)))
  return { ...running, ...taken }
}
