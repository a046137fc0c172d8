import { dirname, resolve } from 'node:path'
import type { Mode } from '../rules/mode.ts'
import { check } from './cross-checks.ts'
import { limitsOf } from './limits.ts'
import { ConfigError, type Problem } from './problem.ts'
import { type AuditFile, type ConfigFile, type PluginFile, type RuleKey, validate, validatePlugin } from './schema.ts'
import type { Source } from './source.ts'
import { objectSource, readSource } from './source-text.ts'
import type { AuditConfig, CertificateFiles, Config, Listener, StoreConfig } from './types.ts'
import { warningsOf } from './warnings.ts'

/**
 * Reads and checks a configuration file, YAML or JSON, with the PEM files that it names. A text that is `${NAME}` as a whole stands
 * for that variable of the environment. `ruleKeys` are those that may have a mode of their own. Throws `ConfigError` with all that
 * is wrong. `warn` is told what is not wrong yet, as of `now`, in milliseconds since 1970.
 */
export function readConfig(
  path: string,
  ruleKeys: readonly RuleKey[],
  warn: (warning: Problem) => void = () => {},
  now: number = Date.now(),
): Config {
  const { config, warnings } = readWith(path, ruleKeys, now)
  for (const warning of warnings) warn(warning)
  return config
}

/** A configuration as it stands in a file. */
export interface Reading {
  readonly config: Config
  /** In the file's shape, with variables put in and paths that are absolute. */
  readonly file: ConfigFile
  readonly warnings: readonly Problem[]
  /** Makes a problem of what another part of the program has found wrong, by its JSON pointer. */
  problem(pointer: string, message: string, remedy: string): Problem
}

/** Reads a configuration file, for callers that may find more problems in it. */
export function readWith(path: string, ruleKeys: readonly RuleKey[], now: number = Date.now()): Reading {
  return readingOf(readSource(path, process.env), dirname(resolve(path)), ruleKeys, now)
}

/** Reads what a program gives in the file's shape; relative paths start at the working folder. */
export function configFrom(value: unknown, ruleKeys: readonly RuleKey[], now: number = Date.now()): Reading {
  return readingOf(objectSource(value, process.env), process.cwd(), ruleKeys, now)
}

/** The plugin's options: the part that a gate needs without listeners, and the others as they are. Throws `ConfigError`. */
export function pluginConfigFrom<Options extends PluginFile>(value: Options, ruleKeys: readonly RuleKey[]) {
  const source = objectSource(value, process.env)
  const options = checked(source, process.cwd(), () => validatePlugin<Options>(source, ruleKeys))
  return { ...options, ...partsOf(options, process.cwd()) }
}

function readingOf(source: Source, folder: string, ruleKeys: readonly RuleKey[], now: number): Reading {
  const file = checked(source, folder, () => validate(source, ruleKeys))
  return {
    file: withPaths(file, folder),
    config: configOf(file, folder, source.isFile),
    warnings: warningsOf(source, folder, now),
    problem: (...said) => source.problem(...said),
  }
}

function checked<File>(source: Source, folder: string, validates: () => File | undefined): File {
  // No more can be checked in a file that is no YAML or was not read to its end.
  if (source.place('') === undefined || source.isFaulty('')) throw new ConfigError(source.problems)
  const file = validates()
  check(source, folder)
  if (file === undefined || source.problems.length > 0) throw new ConfigError(source.problems)
  return file
}

/** A copy that means the same wherever the program's working folder is. */
function withPaths(file: ConfigFile, folder: string): ConfigFile {
  const copy: ConfigFile = structuredClone(file)
  const store = storeOf(copy.store, folder)
  const tlsOf = <Tls extends object>(tls: Tls): Tls =>
    Object.fromEntries(
      Object.entries(tls).map(([key, value]) => [
        key,
        ['cert', 'key', 'ca'].includes(key) ? resolve(folder, value) : value,
      ]),
    ) as Tls
  const absolute = <Part extends { readonly tls?: object }>(part: Part): Part =>
    part.tls === undefined ? part : { ...part, tls: tlsOf(part.tls) }
  const upstreams = Object.entries(copy.upstreams).map(([name, upstream]) => [name, absolute(upstream)] as const)
  return {
    ...copy,
    listeners: copy.listeners.map(absolute),
    upstreams: Object.fromEntries(upstreams),
    ...(copy.audit ? { audit: { ...copy.audit, file: resolve(folder, copy.audit.file) } } : {}),
    ...(store ? { store: { ...store.at, days: store.days, ...(store.hash && { hash: store.hash }) } } : {}),
  }
}

function configOf(file: ConfigFile, folder: string, isFile: boolean): Config {
  return {
    listeners: listenersOf(file, folder),
    admin: file.admin === undefined ? undefined : { token: undefined, ...file.admin },
    ...partsOf(file, folder),
    store: storeOf(file.store ?? (isFile ? {} : undefined), folder),
    log: { level: 'info', ...file.log },
    ...(file.watch === true && { watch: true }),
  }
}

function partsOf(file: PluginFile, folder: string): Omit<Config, 'listeners' | 'admin' | 'log'> {
  const { default: fallback = 'enforce', trustedDomains = [], foreignFrom, unknown, ...byName } = file.rules ?? {}
  const upstreams = Object.entries(file.upstreams).map(([name, { tls, address, port, members, ...rest }]) => {
    const ca = tls.ca === undefined ? undefined : resolve(folder, tls.ca)
    const all = members?.map(({ weight = 1, ...at }) => ({ ...at, weight }))
    // The checks have seen to it that there is one of the two.
    const first = all?.[0] ?? { address: address ?? '', port: port ?? 0 }
    const at = { address: first.address, port: first.port, ...(all && { members: all }) }
    return [name, { name, ...at, tls: { mode: tls.mode, ca, servername: tls.servername }, ...rest }] as const
  })
  return {
    upstreams: new Map(upstreams),
    routes: file.routes.map(route => ({ ...route })),
    rules: {
      default: fallback,
      modes: new Map(Object.entries(byName) as [string, Mode][]),
      trustedDomains,
      ...(foreignFrom !== undefined && { foreignFrom }),
      ...(unknown !== undefined && { unknown }),
    },
    limits: limitsOf(file.limits),
    audit: file.audit && auditOf(file.audit, folder),
    store: storeOf(file.store, folder),
  }
}

/** The default is a folder beside the file; a program that gives no file and no store has none. */
function storeOf(store: ConfigFile['store'], folder: string): StoreConfig | undefined {
  if (store === undefined || store === 'none') return undefined
  const { path, redis, days = 90, hash } = store
  const rest = { days, ...(hash !== undefined && { hash }) }
  if (redis !== undefined) return { at: { redis }, ...rest }
  // systemd names several folders with colons between them.
  const [state = folder] = process.env.STATE_DIRECTORY?.split(':') ?? []
  if (path !== undefined) return { at: { path: resolve(folder, path) }, ...rest }
  return { at: { path: resolve(state, 'stanzagate.store') }, ...rest, isDefault: true }
}

function auditOf({ file, all = false, hash = false, key }: AuditFile, folder: string): AuditConfig {
  return { file: resolve(folder, file), all, key: hash ? key : undefined }
}

function listenersOf(file: ConfigFile, folder: string): Listener[] {
  const names = new Set(file.listeners.map(listener => listener.name))
  return file.listeners.map(listener =>
    listenerOf(listener, listener.name ?? freeName(`${listener.kind}-${listener.port}`, names), folder),
  )
}

function listenerOf(listener: ConfigFile['listeners'][number], name: string, folder: string): Listener {
  switch (listener.kind) {
    case 'tcp': {
      const { kind, tls, ...rest } = listener
      if (tls.mode === 'none') return { ...rest, kind, name, tls: { mode: 'none' } }
      return { ...rest, kind, name, tls: { mode: tls.mode, ...pemOf(tls, folder) } }
    }
    case 'websocket': {
      const { path = '/xmpp-websocket', origins, ...rest } = listener
      const tls = listener.tls === undefined ? undefined : pemOf(listener.tls, folder)
      return { ...rest, name, path, tls, origins }
    }
  }
}

/** A port may be listened to at two addresses: the second listener is `tcp-5222-2`, and so on. */
function freeName(name: string, taken: Set<string | undefined>): string {
  let free = name
  for (let number = 2; taken.has(free); number++) free = `${name}-${number}`
  taken.add(free)
  return free
}

function pemOf({ cert, key }: CertificateFiles, folder: string): CertificateFiles {
  return { cert: resolve(folder, cert), key: resolve(folder, key) }
}
