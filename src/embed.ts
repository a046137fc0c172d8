/** What other programs call. They give and get configurations in the shape of the configuration file; they are checked as the file is. */

import { configFrom, pluginConfigFrom, type Reading, readWith } from './config/read.ts'
import type { ConfigFile, PluginFile } from './config/schema.ts'
import { type Proxy as Running, startProxy as start } from './proxy.ts'
import type { Watcher } from './relay/watcher.ts'
import { rules } from './rules/table.ts'

const ruleNames = rules.map(rule => rule.name)

export interface StartOptions {
  /** Are told all that the metrics and the log are told. */
  readonly watchers?: readonly Watcher[]
  /** What `reload` and `POST /api/reload` take; left out: the configuration stays what it is. */
  readonly reread?: () => ConfigFile
}

/** A configuration file, YAML or JSON, checked; paths in it are absolute. Throws `ConfigError` with all that is wrong. */
export function readConfig(file: string): ConfigFile {
  return readWith(file, ruleNames).file
}

/** Starts the gate with its listeners. Rejects with `ConfigError` when the configuration is wrong, and when a listener cannot be bound. */
export async function startProxy(config: ConfigFile, options: StartOptions = {}): Promise<Running> {
  const { watchers, reread } = options
  const reading = configFrom(config, ruleNames)
  const again = reread && ((): Reading => configFrom(reread(), ruleNames))
  const proxy = await start(reading.config, watchers, {}, again)
  for (const { key, message, remedy } of reading.warnings) proxy.log.warn({ key, remedy }, `${key} ${message}`)
  return proxy
}

/** The options of the plugin, checked. */
export function pluginConfig<Options extends PluginFile>(options: Options) {
  return pluginConfigFrom(options, ruleNames)
}
