/** The clients' streams, in pages. */

import type { Parameter, Query } from '../admin/query.ts'
import type { SessionView } from '../relay/watcher.ts'
import { bareOf, foldBare } from '../stanza/jid.ts'
import { wires } from '../stream/framing.ts'

const most = 200
const usual = 50

/** Names from the configuration: those of listeners, and the domains of routes. */
export interface Names {
  readonly listeners: readonly string[]
  readonly routes: readonly string[]
}

export function sessionParameters({ listeners, routes }: Names): Readonly<Record<string, Parameter>> {
  return {
    account: 'jid',
    route: routes,
    listener: listeners,
    wire: wires,
    /** Sessions of a page. */
    limit: { atLeast: 1, atMost: most },
    /** The last one of the page before. */
    after: { atMost: Number.MAX_SAFE_INTEGER },
  }
}

interface Row extends Omit<SessionView, 'jid' | 'address' | 'since' | 'route' | 'upstream'> {
  readonly account: string | null
  readonly resource: string | null
  readonly route: string | null
  readonly upstream: string | null
  /** The client's IP address. */
  readonly address: string | null
  /** ISO 8601, UTC. */
  readonly since: string
}

/** Oldest first. `total`: all that fit; `next`: what to ask for with `after`, `null`: nothing is left. */
export function sessionPage(all: Iterable<SessionView>, query: Query) {
  const limit = Number(query.get('limit')?.[0] ?? usual)
  const after = Number(query.get('after')?.[0] ?? 0)
  const sessions: Row[] = []
  let total = 0
  let isMore = false
  for (const session of all) {
    if (!isWanted(session, query)) continue
    total++
    if (session.id <= after) continue
    if (sessions.length < limit) sessions.push(rowOf(session))
    else isMore = true
  }
  return { total, next: isMore ? (sessions.at(-1)?.id ?? null) : null, sessions }
}

function isWanted(session: SessionView, query: Query): boolean {
  for (const name of ['route', 'listener', 'wire'] as const) {
    const values = query.get(name)
    if (values !== undefined && !values.includes(session[name] ?? '')) return false
  }
  const accounts = query.get('account')
  if (accounts === undefined) return true
  const { jid } = session
  return jid !== undefined && accounts.includes(foldBare(bareOf(jid)) ?? jid)
}

function rowOf({ jid, address, since, route, upstream, ...rest }: SessionView): Row {
  const account = jid === undefined ? null : bareOf(jid)
  const resource = account === null || jid === undefined ? null : jid.slice(account.length + 1)
  const names = { account, resource, route: route ?? null, upstream: upstream ?? null, address: address ?? null }
  return { ...rest, ...names, since: new Date(since).toISOString() }
}
