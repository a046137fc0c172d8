/** The configuration as the parts of the program have it: every default is put in. Imports nothing but the words of rules and limits. */
import type { ForeignFrom, Mode, Unverified } from '../rules/mode.ts'
import type { Rule } from '../rules/rule.ts'
import type { Limits } from './limits.ts'

/** A certificate chain and its key, as paths of PEM files resolved against the configuration file's folder. */
export interface CertificateFiles {
  readonly cert: string
  readonly key: string
}

export interface TrustedProxies {
  /** CIDRs: `10.0.0.0/8`, `2001:db8::/32`, or single addresses. */
  readonly trusted: readonly string[]
}

export interface TcpListener {
  readonly kind: 'tcp'
  /** The metrics' label; `tcp-PORT` unless the file names it. */
  readonly name: string
  readonly address: string
  readonly port: number
  readonly tls: ({ readonly mode: 'starttls' | 'direct' } & CertificateFiles) | { readonly mode: 'none' }
  /** Without TLS beyond loopback: somebody has written that it may be. */
  readonly plaintext?: 'allowed' | undefined
  /** Proxies whose connections begin with a PROXY header; left out: nobody's do. */
  readonly proxyProtocol?: TrustedProxies | undefined
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
  /** Without TLS beyond loopback: somebody has written that it may be. */
  readonly plaintext?: 'allowed' | undefined
  /** Origins that may connect, as browsers spell them; `undefined`: any. A client that sends no Origin passes. */
  readonly origins: readonly string[] | undefined
  /** Proxies whose connections begin with a PROXY header; left out: nobody's do. */
  readonly proxyProtocol?: TrustedProxies | undefined
  /** Proxies whose X-Forwarded-For is believed; left out: nobody's is. */
  readonly forwardedFor?: TrustedProxies | undefined
  /** The URL by which clients reach it, told in host-meta (XEP-0156); left out: there is no host-meta. */
  readonly url?: string | undefined
}

export type Listener = TcpListener | WebsocketListener

/** One server of several that serve the same. */
export interface Member {
  readonly address: string
  readonly port: number
  /** Its share of new streams, beside those of the others; 0: it gets none. */
  readonly weight: number
}

export const balances = ['least-sessions', 'round-robin', 'hash-account', 'hash-address'] as const
/** How members get their streams. */
export type Balance = (typeof balances)[number]

export interface Upstream {
  readonly name: string
  /** With members, those of the first one. */
  readonly address: string
  readonly port: number
  /** Left out: the only one is at `address` and `port`. */
  readonly members?: readonly Member[] | undefined
  /** Left out: `least-sessions`. */
  readonly balance?: Balance | undefined
  /** It expects a PROXY header of this version with the client's address; left out: none. */
  readonly proxyProtocol?: 'v1' | 'v2' | undefined
  readonly tls: {
    readonly mode: 'none' | 'starttls' | 'direct'
    /** Path of a PEM file of authorities to trust instead of the system's; `undefined`: the system's. */
    readonly ca: string | undefined
    /** The name that the upstream's certificate must bear; `undefined`: the XMPP domain that the client asked for. */
    readonly servername: string | undefined
  }
}

export interface Route {
  /** As configured: a domain, `*.` and a domain for all below it, or `*` for any. */
  readonly domain: string
  /** `undefined`: nobody serves it; its clients are sent elsewhere, or turned away. */
  readonly upstream?: string | undefined
  /** Where its clients are sent: a host with or without a port. */
  readonly redirect?: string | undefined
  /** What its clients are told when they are turned away. */
  readonly closed?: string | undefined
  /** `any`: credentials may name another account to act for. Left out: `own`. */
  readonly authzid?: 'own' | 'any' | undefined
}

export interface Admin {
  readonly address: string
  readonly port: number
  /** Bearer token; required when the address is not loopback. */
  readonly token: string | undefined
  /** `/readyz` says 503 while no upstream is reached, too. Left out: it does not look at them. */
  readonly readyNeedsUpstream?: boolean | undefined
  /** The API and the console may release and deny requests of strangers. Left out: they change nothing. */
  readonly write?: boolean | undefined
  /** `false`: the texts of held requests are not shown. Left out: they are. */
  readonly requestTexts?: boolean | undefined
}

export interface RulesConfig {
  readonly default: Mode
  /** By rule name; a rule that is not here has the default. */
  readonly modes: ReadonlyMap<string, Mode>
  /** Domains (gateways) whose unasked `subscribed` and `unsubscribed` are believed. */
  readonly trustedDomains: readonly string[]
  /** What becomes of a client's stanza whose `from` is another's address; left out: `override`. */
  readonly foreignFrom?: ForeignFrom | undefined
  /** What becomes of a notification that the roster says nothing about; left out: `pass`. */
  readonly unknown?: Unverified | undefined
  /** Rules that a program has added, asked after the built-in ones; left out: none. */
  readonly own?: readonly Rule[] | undefined
}

/** The file to which decisions are written. */
export interface AuditConfig {
  /** The file's path. */
  readonly file: string
  /** Every subscription stanza has its line, also one that nobody had anything against. */
  readonly all: boolean
  /** JIDs are written as their hashes with this key; `undefined`: as they are. */
  readonly key: string | undefined
}

/** Where accounts are kept across restarts. */
export interface StoreConfig {
  /** A folder, or the URL of a Redis, which may hold a password. */
  readonly at: { readonly path: string } | { readonly redis: string }
  /** Days that an account is kept after its last session. */
  readonly days: number
  /** The secret with which JIDs are hashed before they are written; left out: they are written as they are. */
  readonly hash?: string | undefined
  /** Nobody has chosen this place. */
  readonly isDefault?: boolean
}

export const logLevels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof logLevels)[number]
/** What lines are about: clients' transports, sessions and their streams, decisions, the servers behind, the admin listener. */
export const logAreas = ['connections', 'sessions', 'rules', 'upstream', 'admin'] as const
export type LogArea = (typeof logAreas)[number]

export interface LogConfig {
  readonly level: LogLevel
  /** Levels of areas that have one of their own. */
  readonly areas?: Readonly<Partial<Record<LogArea, LogLevel>>> | undefined
}

export interface Config {
  readonly listeners: readonly Listener[]
  readonly admin: Admin | undefined
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly routes: readonly Route[]
  readonly rules: RulesConfig
  /** Left out: `defaultLimits`. */
  readonly limits?: Limits | undefined
  /** Left out: there is none. */
  readonly audit?: AuditConfig | undefined
  /** Left out: nothing is kept. */
  readonly store?: StoreConfig | undefined
  readonly log: LogConfig
  /** The file is reloaded when it has changed. Left out: it is not. */
  readonly watch?: boolean | undefined
}
