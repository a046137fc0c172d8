/** The schema's opinion of a source, in an operator's words: descriptions and examples come from the schema itself. */
import { readFileSync } from 'node:fs'
import { Ajv, type DefinedError } from 'ajv'
import { formats } from './formats.ts'
import { didYouMean } from './problem.ts'
import { join, lastOf, type Source } from './source.ts'

/** What a file holds that the schema has nothing against. */
export interface ConfigFile {
  readonly listeners: readonly (TcpFile | WebsocketFile)[]
  readonly admin?: { readonly address: string; readonly port: number; readonly token?: string }
  readonly upstreams: Readonly<Record<string, UpstreamFile>>
  readonly routes: readonly { readonly domain: string; readonly upstream: string }[]
  readonly rules?: Readonly<Record<string, unknown>>
  readonly log?: { readonly level?: string }
}

interface ListenerFile {
  readonly name?: string
  readonly address: string
  readonly port: number
}

export interface TcpFile extends ListenerFile {
  readonly kind: 'tcp'
}

export interface WebsocketFile extends ListenerFile {
  readonly kind: 'websocket'
}

export interface UpstreamFile {
  readonly address: string
}
