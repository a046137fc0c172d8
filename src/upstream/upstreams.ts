/** The servers behind the gate, by their names in the configuration: where they are, and how they are dialled. */
import { readFileSync } from 'node:fs'
import type { Upstream } from '../config/types.ts'
import type { ConnectFailure } from '../session/labels.ts'
import type { Addresses } from '../transport/address.ts'
import type { Connection } from '../transport/connection.ts'
import { dial, type Target, type TlsAtMost } from './dial.ts'
import { hostPort } from './probe.ts'

/** What a connection to an upstream is for. */
export interface Dialled {
  /** The name of the upstream. */
  readonly upstream: string
  /** The XMPP domain. */
  readonly domain: string
  /** The client, for a PROXY header; `undefined`: not known. */
  readonly client: Addresses | undefined
  /** The version of the client's TLS; `undefined`: none, or not known. */
  readonly tls: string | undefined
}

export class Upstreams {
  private readonly targets: Map<string, Target>
  /** Names of those that have refused TLS 1.2. */
  private readonly withoutTls12 = new Set<string>()

  /** Throws when a certificate file cannot be read. */
  constructor(upstreams: ReadonlyMap<string, Upstream>) {
    this.targets = new Map([...upstreams].map(([name, upstream]) => [name, targetOf(upstream)]))
  }

  get names(): readonly string[] {
    return [...this.targets.keys()]
  }

  /** `address:port`; `undefined`: there is no such upstream. */
  addressOf(name: string): string | undefined {
    const target = this.targets.get(name)
    return target && hostPort(target)
  }

  /** The gate has to ask it for TLS (STARTTLS). */
  needsStarttls(name: string): boolean {
    return this.targets.get(name)?.mode === 'starttls'
  }

  /** From now on its certificate is checked against these authorities, given as PEM. */
  trust(name: string, ca: string): void {
    const target = this.targets.get(name)
    if (target !== undefined) this.targets.set(name, { ...target, ca })
  }

  /** See `dial`: exactly one of the two callbacks is called, unless the function returned is called before. */
  dial(
    { upstream, domain, client, tls }: Dialled,
    done: (connection: Connection) => void,
    failed: (reason: ConnectFailure, detail?: string) => void,
  ): () => void {
    const target = this.targets.get(upstream)
    if (target === undefined) throw new Error(`there is no upstream '${upstream}'`)
    return dial(target, domain, client, done, failed, this.tlsAtMost(upstream, tls))
  }

  /** The client's version, unless the upstream has refused it before: a login matters more. */
  private tlsAtMost(name: string, tls: string | undefined): TlsAtMost | undefined {
    // There is none newer than TLS 1.3.
    if (tls !== 'TLSv1.2' || this.withoutTls12.has(name)) return undefined
    return { version: tls, refused: () => this.withoutTls12.add(name) }
  }
}

/** Where an upstream is, ready to be dialled. Throws when its authorities cannot be read. */
export function targetOf({ address, port, tls, proxyProtocol }: Upstream): Target {
  const ca = tls.ca === undefined ? undefined : readFileSync(tls.ca, 'utf8')
  return { address, port, mode: tls.mode, ca, servername: tls.servername, proxyProtocol }
}
