/** The console of one gate: what watches for it from the start, and what its page asks. */
import type { FastifyBaseLogger } from 'fastify'
import { Access } from '../admin/access.ts'
import type { Admin, Config } from '../config/types.ts'
import type { Gate } from '../gate.ts'
import type { Watcher } from '../relay/watcher.ts'
import { LiveEvents } from './live-events.ts'
import { type OverviewSource, overviewOf } from './overview.ts'
import type { ConsoleOptions, QuarantineDesk } from './plugin.ts'
import { UpstreamReachability } from './upstream-reachability.ts'

export class Console {
  readonly access: Access
  /** What is in use; a reload changes it. */
  config: Config
  private readonly time: () => number
  private readonly since: number
  private readonly liveEvents: LiveEvents
  private readonly mayDecide: boolean
  private readonly withTexts: boolean
  private readonly reach: UpstreamReachability

  /** `time`: milliseconds since 1970. */
  constructor(
    config: Config,
    { token, address, write = false, requestTexts = true }: Admin,
    time: () => number = Date.now,
  ) {
    this.config = config
    this.time = time
    this.since = time()
    this.liveEvents = new LiveEvents(time)
    this.reach = new UpstreamReachability(time)
    this.access = new Access({ token, address })
    this.mayDecide = write
    this.withTexts = requestTexts
  }

  get watchers(): readonly Watcher[] {
    return [this.liveEvents, this.reach]
  }

  /** For `consolePlugin`. */
  optionsWith(gate: Gate, bound: OverviewSource['bound'], log: FastifyBaseLogger): ConsoleOptions {
    const { access, liveEvents, reach, since, time } = this
    const { metrics } = gate
    const sessions = () => gate.sessions()
    const pools = () => gate.pools()
    const source = { pools, metrics, reach, since, guarded: access.isGuarded, time, sessions, bound }
    const config = () => this.config
    return {
      ...{ access, liveEvents, log, sessions },
      get names() {
        const { listeners, routes } = config()
        return { listeners: listeners.map(({ name }) => name), routes: routes.map(({ domain }) => domain) }
      },
      get rules() {
        return config().rules
      },
      overview: () => overviewOf({ ...source, config: config() }),
      known: account => gate.known(account),
      quarantine: gate.holdsRequests ? this.deskOf(gate) : undefined,
      refused: () => metrics.adminRefused(),
    }
  }

  private deskOf(gate: Gate): QuarantineDesk {
    const { mayDecide, withTexts } = this
    return {
      ...{ mayDecide, withTexts },
      recall: account => gate.recallHeld(account),
      heldFor: account => gate.held(account),
      deniedFor: account => gate.denied(account),
      held: () => gate.allHeld(),
      decide: (decision, requests) => gate.decide(decision, requests),
    }
  }
}
