/** Whether the upstreams can be reached. `check` and the start ask once; where `/readyz` depends on it, it is asked every five seconds. */
import type { ConnectFailure } from '../session/labels.ts'
import { dial, type Target } from './dial.ts'
import { nameOf } from './pool.ts'

/** What one attempt has shown. */
export interface Probe {
  readonly upstream: string
  /** `address:port`. */
  readonly address: string
  /** `undefined`: it was reached. */
  readonly failure: ConnectFailure | undefined
  /** What OpenSSL or Node calls the fault, where it is one of TLS. */
  readonly detail: string | undefined
}

/** Connects and disconnects; nothing of XMPP is sent. `domain`: the name that a certificate must have where none is configured. */
export function probe(upstream: string, target: Target, domain: string): Promise<Probe> {
  const address = nameOf(target)
  return new Promise(resolve => {
    dial(
      target,
      { domain, client: undefined },
      connection => {
        connection.abort()
        resolve({ upstream, address, failure: undefined, detail: undefined })
      },
      (failure, detail) => resolve({ upstream, address, failure, detail }),
    )
  })
}

const words: Readonly<Record<ConnectFailure, string>> = {
  refused: 'nothing listens there',
  timeout: 'there is no answer',
  unreachable: 'there is no way to it',
  name: 'the name is not known',
  tls: 'TLS does not come about',
  starttls: 'TLS does not come about',
  version: 'its XMPP version is not served',
  lost: 'it closes the connection',
}

/** The attempt in words: `127.0.0.1:15222 is not reached: nothing listens there`. */
export function probeWords({ address, failure, detail }: Probe): string {
  if (failure === undefined) return `${address} is reached`
  return `${address} is not reached: ${words[failure]}${detail === undefined ? '' : ` (${detail})`}`
}

/** Milliseconds between two attempts. */
const every = 5_000

/** Asks each member of each upstream every five seconds. The gate is ready while at least one of them is reached. */
export class UpstreamWatch {
  private readonly probes: () => readonly (() => Promise<Probe>)[]
  private isAnyReached = false
  private timer: NodeJS.Timeout | undefined
  private stopped = false

  /** `probes`: those of the configuration that is in use. */
  constructor(probes: () => readonly (() => Promise<Probe>)[]) {
    this.probes = probes
  }

  /** Resolves when each was asked once. */
  async start(): Promise<void> {
    const asked = await Promise.all(this.probes().map(ask => ask()))
    this.isAnyReached = asked.some(({ failure }) => failure === undefined)
    if (this.stopped) return
    this.timer = setTimeout(() => void this.start(), every)
    this.timer.unref()
  }

  get isOneReached(): boolean {
    return this.isAnyReached
  }

  stop(): void {
    this.stopped = true
    clearTimeout(this.timer)
  }
}
