import { readFileSync } from 'node:fs'
import { Ajv, type DefinedError } from 'ajv'
import { rules as allRules, modesOf } from '../rules/all-rules.ts'
import type { ForeignFrom, Mode, Unverified } from '../rules/mode.ts'
import type { Rule } from '../rules/rule.ts'
import type { ProxyVersion } from '../transport/proxy-protocol.ts'
import { formats } from './formats.ts'
import type { LimitsFile } from './limits.ts'
import { type Annotated, explain } from './schema-errors.ts'
import type { Source } from './source.ts'
import type { Balance, CertificateFiles, LogConfig, Route, TcpListener, TrustedProxies, Upstream } from './types.ts'

/** A file that has passed the schema. */
export interface ConfigFile extends PluginFile {
  readonly listeners: readonly ListenerFile[]
  readonly admin?: {
    readonly address: string
    readonly port: number
    readonly token?: string
    readonly readyNeedsUpstream?: boolean
    readonly write?: boolean
    readonly requestTexts?: boolean
  }
  readonly log?: Partial<LogConfig>
  readonly watch?: boolean
}

export type ListenerFile = TcpFile | WebsocketFile

/** The part that a gate needs without listeners. */
export interface PluginFile {
  readonly upstreams: Readonly<Record<string, UpstreamFile>>
  readonly routes: readonly Route[]
  readonly rules?: RulesFile
  readonly limits?: LimitsFile
  readonly audit?: AuditFile
  readonly store?: 'none' | StoreFile
}

export interface StoreFile {
  readonly path?: string
  readonly redis?: string
  readonly days?: number
  readonly hash?: string
}

export interface AuditFile {
  readonly file: string
  readonly all?: boolean
  readonly hash?: boolean
  readonly key?: string
}

type TcpFile = Omit<TcpListener, 'name'> & { readonly name?: string }

interface WebsocketFile {
  readonly kind: 'websocket'
  readonly name?: string
  readonly address: string
  readonly port: number
  readonly path?: string
  readonly tls?: CertificateFiles
  readonly plaintext?: 'allowed'
  readonly origins?: readonly string[]
  readonly proxyProtocol?: TrustedProxies
  readonly forwardedFor?: TrustedProxies
  readonly url?: string
}

export interface UpstreamFile {
  readonly address?: string
  readonly port?: number
  readonly members?: readonly { readonly address: string; readonly port: number; readonly weight?: number }[]
  readonly balance?: Balance
  readonly proxyProtocol?: ProxyVersion
  readonly tls: { readonly mode: Upstream['tls']['mode']; readonly ca?: string; readonly servername?: string }
}

export interface RulesFile {
  readonly default?: Mode
  readonly trustedDomains?: readonly string[]
  readonly foreignFrom?: ForeignFrom
  readonly unknown?: Unverified
  readonly [rule: string]: Mode | readonly string[] | ForeignFrom | Unverified | undefined
}

/** A rule that may have a mode of its own: the name of a built-in one, or a rule of the program's own. */
export type RuleKey = string | Pick<Rule, 'name' | 'repair'>

/** Reports what is wrong; `undefined` if anything is. */
export function validate(source: Source, ruleKeys: readonly RuleKey[]): ConfigFile | undefined {
  return validated<ConfigFile>(source, schemaWith(ruleKeys))
}

/** The same of the options of the plugin: the application has the listeners, the log and what an admin listener would serve. */
export function validatePlugin<Options extends PluginFile>(
  source: Source,
  ruleKeys: readonly RuleKey[],
): Options | undefined {
  const schema = schemaWith(ruleKeys)
  const { upstreams, routes, rules, limits, audit, store } = schema.properties
  const { path, origins } = websocketOf(schema)
  const metricsPath = { ...path, description: 'a path that starts with a slash, as /metrics', examples: ['/metrics'] }
  const properties = { upstreams, routes, rules, limits, audit, store, path, origins, metricsPath }
  return validated<Options>(source, { ...schema, required: ['upstreams', 'routes'], properties } as RootSchema)
}

function validated<File>(source: Source, schema: RootSchema): File | undefined {
  const ajv = new Ajv({ allErrors: true, verbose: true, discriminator: true, allowUnionTypes: true, formats })
  const validates = ajv.compile<File>(schema)
  const value = source.place('')?.value
  if (validates(value)) return value
  for (const error of validates.errors ?? []) {
    const { pointer, message, remedy } = explain(error as DefinedError, source, schema.definitions)
    // Reported already: the tag of a union is missing twice, and a variable that is not set has no value.
    if (!source.isFaulty(pointer)) source.report(pointer, message, remedy)
  }
  return undefined
}

interface RootSchema {
  readonly properties: Readonly<Record<string, Annotated>> & {
    readonly rules: { additionalProperties: unknown; readonly properties: Record<string, Annotated> }
  }
  readonly definitions: Readonly<Record<string, Annotated>>
}

/** Names of the rules that have the mode `repair`. */
const repairing: ReadonlySet<string> = new Set(
  allRules.filter(rule => modesOf(rule).includes('repair')).map(({ name }) => name),
)
/** What the schema has for a listener of WebSockets. */
function websocketOf({ definitions }: RootSchema): Readonly<Record<string, Annotated>> {
  const each = definitions.listener?.oneOf?.find(({ properties }) => properties?.kind?.const === 'websocket')
  return each?.properties ?? {}
}

/** The schema with the names of the rules added: a misspelt rule is then an unknown key. */
function schemaWith(ruleKeys: readonly RuleKey[]): RootSchema {
  // From dist/src/config, in the repository as in an installed package.
  const path = new URL('../../../schemas/config.schema.json', import.meta.url)
  const schema: RootSchema = JSON.parse(readFileSync(path, 'utf8'))
  const { rules } = schema.properties
  for (const key of ruleKeys) {
    const name = typeof key === 'string' ? key : key.name
    const isRepairing = typeof key === 'string' ? repairing.has(key) : key.repair !== undefined
    rules.properties[name] = { $ref: `#/definitions/${isRepairing ? 'mode' : 'modeWithoutRepair'}` }
  }
  rules.additionalProperties = false
  return schema
}
