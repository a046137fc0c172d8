import { readFileSync } from 'node:fs'
import { Ajv, type DefinedError } from 'ajv'
import type { CertificateFiles, LogConfig, Route, TcpListener, TrustedProxies, Upstream } from '../config.ts'
import type { Mode } from '../rules/mode.ts'
import type { ForeignFrom } from '../rules/rule.ts'
import { rules as allRules, modesOf } from '../rules/table.ts'
import type { ProxyVersion } from '../transport/proxy-protocol.ts'
import { type Annotated, explain } from './explain.ts'
import { formats } from './formats.ts'
import type { LimitsFile } from './limits.ts'
import type { Source } from './source.ts'

/** A file that the schema has nothing against. */
export interface ConfigFile {
  readonly listeners: readonly (TcpFile | WebsocketFile)[]
  readonly admin?: {
    readonly address: string
    readonly port: number
    readonly token?: string
    readonly readyNeedsUpstream?: boolean
  }
  readonly upstreams: Readonly<Record<string, UpstreamFile>>
  readonly routes: readonly Route[]
  readonly rules?: RulesFile
  readonly limits?: LimitsFile
  readonly audit?: AuditFile
  readonly log?: Partial<LogConfig>
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

interface UpstreamFile {
  readonly address: string
  readonly port: number
  readonly proxyProtocol?: ProxyVersion
  readonly tls: { readonly mode: Upstream['tls']['mode']; readonly ca?: string; readonly servername?: string }
}

interface RulesFile {
  readonly default?: Mode
  readonly trustedDomains?: readonly string[]
  readonly foreignFrom?: ForeignFrom
  readonly [rule: string]: Mode | readonly string[] | ForeignFrom | undefined
}

/** Reports what is wrong; `undefined` if anything is. */
export function validate(source: Source, ruleNames: readonly string[]): ConfigFile | undefined {
  const schema = schemaWith(ruleNames)
  const ajv = new Ajv({ allErrors: true, verbose: true, discriminator: true, formats })
  const validates = ajv.compile<ConfigFile>(schema)
  const value = source.place('')?.value
  if (validates(value)) return value
  for (const error of validates.errors ?? []) {
    const { pointer, message, remedy } = explain(error as DefinedError, source, schema.definitions)
    // Said already: the tag of a union is missing twice, and a variable that is not set has no good value.
    if (!source.isFaulty(pointer)) source.report(pointer, message, remedy)
  }
  return undefined
}

interface RootSchema {
  readonly properties: {
    readonly rules: { additionalProperties: unknown; readonly properties: Record<string, Annotated> }
  }
  readonly definitions: Readonly<Record<string, Annotated>>
}

/** Names of the rules that have the mode `repair`. */
const repairing: ReadonlySet<string> = new Set(
  allRules.filter(rule => modesOf(rule).includes('repair')).map(({ name }) => name),
)

/** The schema in the package's root, told the names of the rules: a misspelt rule is then a key like any other. */
function schemaWith(ruleNames: readonly string[]): RootSchema {
  // From dist/src/config, in the repository as in an installed package.
  const path = new URL('../../../schemas/config.schema.json', import.meta.url)
  const schema: RootSchema = JSON.parse(readFileSync(path, 'utf8'))
  const { rules } = schema.properties
  for (const name of ruleNames)
    rules.properties[name] = { $ref: `#/definitions/${repairing.has(name) ? 'mode' : 'modeWithoutRepair'}` }
  rules.additionalProperties = false
  return schema
}
