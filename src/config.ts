import type { Mode } from './rules/mode.ts'

/** A certificate chain and its key, as paths of PEM files resolved against the configuration file's folder. */
export interface CertificateFiles {
  readonly cert: string
  readonly key: string
}

export interface TcpListener {
  readonly kind: 'tcp'
  /** The metrics' label; `tcp-PORT` unless the file names it. */
  readonly name: string
  readonly address: string
  readonly port: number
  readonly tls: ({ readonly mode: 'starttls' | 'direct' } & CertificateFiles) | { readonly mode: 'none' }
}

export interface WebsocketListener {
  readonly kind: 'websocket'
  /** The metrics' label; `websocket-PORT` unless the file names it. */
  readonly name: string
  readonly address: string
  readonly port: number
  readonly path: string
  /** With it the listener is wss. */
  readonly tls: CertificateFiles | undefined
  /** Origins that may connect, as browsers spell them; `undefined`: any. A client that sends no Origin passes. */
  readonly origins: readonly string[] | undefined
}

export type Listener = TcpListener | WebsocketListener

export interface Upstream {
  readonly name: string
  readonly address: string
  readonly port: number
  readonly tls: {
    readonly mode: 'none' | 'starttls' | 'direct'
    /** Path of a PEM file of authorities to trust instead of the system's; `undefined`: the system's. */
    readonly ca: string | undefined
    /** The name that the upstream's certificate must bear; `undefined`: the XMPP domain that the client asked for. */
    readonly servername: string | undefined
  }
}

export interface Route {
  /** As configured: a domain, or `*` for any. */
  readonly domain: string
  readonly upstream: string
}

export interface Admin {
  readonly address: string
  readonly port: number
  /** Bearer token; required when the address is not loopback. */
  readonly token: string | undefined
}

export interface RulesConfig {
  readonly default: Mode
  /** By rule name; a rule that is not here has the default. */
  readonly modes: ReadonlyMap<string, Mode>
  /** Domains (gateways) whose unasked `subscribed` and `unsubscribed` are believed. */
  readonly trustedDomains: readonly string[]
}

export const logLevels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof logLevels)[number]

export interface Config {
  readonly listeners: readonly Listener[]
  readonly admin: Admin | undefined
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly routes: readonly Route[]
  readonly rules: RulesConfig
  readonly log: { readonly level: LogLevel }
}
