/** The gate's own figures, so that the corpus stands at their edges wherever they are put. */
import { defaultLimits } from '../../src/config/limits.ts'

export const {
  client: clientLimits,
  beforeLogin: strangerLimits,
  upstream: upstreamLimits,
  loginFailures,
  fragments,
} = defaultLimits

/** Here one process is the gate, its clients and those who listen: how late its event loop is says nothing. */
export const unhurried = { overload: { ...defaultLimits.overload, lag: 60_000 } }
