/** Whether the upstreams can be reached, as the gate's own attempts have shown. */

import type { About, Watcher } from '../relay/watcher.ts'
import type { ConnectFailure } from '../session/labels.ts'
import type { Report } from '../session/report.ts'

export interface Reached {
  /** By the last attempt; `unknown`: there was none. */
  readonly state: 'up' | 'down' | 'unknown'
  readonly lastError: { readonly reason: ConnectFailure; readonly time: string } | null
}

export class UpstreamReachability implements Watcher {
  readonly stanzas = 'decisions'
  private readonly time: () => number
  private readonly upstreams = new Map<string, Reached>()

  /** `time`: milliseconds since 1970. */
  constructor(time: () => number = Date.now) {
    this.time = time
  }

  of(upstream: string): Reached {
    return this.upstreams.get(upstream) ?? { state: 'unknown', lastError: null }
  }

  report(report: Report, { upstream }: About): void {
    if (report.report === 'stream-opened' && report.side === 'upstream' && upstream !== undefined) {
      const { state, lastError } = this.of(upstream)
      if (state !== 'up') this.upstreams.set(upstream, { state: 'up', lastError })
    } else if (report.report === 'connect-failed') {
      const lastError = { reason: report.reason, time: new Date(this.time()).toISOString() }
      this.upstreams.set(report.upstream, { state: 'down', lastError })
    }
  }
}
