/** Writes reports as log lines: one line for each session at its end, one for each decision against a stanza, and others by area. */
import type { FastifyBaseLogger } from 'fastify'
import { type LogArea, type LogConfig, type LogLevel, logAreas } from '../config/types.ts'
import type { Refusal } from '../listener/labels.ts'
import { type Rejection, rejections } from '../listener/labels.ts'
import type { About, Watcher } from '../relay/watcher.ts'
import { isDecision } from '../session/judgement-report.ts'
import type { Report } from '../session/report.ts'
import { bareOf } from '../stanza/jid.ts'
import { type MemberView, nameOf } from '../upstream/pool.ts'
import { LineBuffer } from './line-buffer.ts'
import { oneLine } from './one-line.ts'
import { prettyLine, styleFor } from './terminal-log.ts'

export { oneLine } from './one-line.ts'

type Out = NodeJS.WritableStream & { readonly isTTY?: boolean }

/**
 * The logger's options: one line of JSON for each message, whatever a peer has put into it. JSON leaves some characters that end
 * a line or control a terminal (DEL and C1, separators, invisible marks): these are escaped too. On a terminal the line is
 * written for people. On another standard output lines of fifty milliseconds leave together.
 */
export function loggerOptions(level: LogLevel, out: Out = process.stdout) {
  // An error of the log's stream ends no session.
  if (out.listenerCount('error') === 0) out.on('error', () => {})
  const style = styleFor(out)
  const write =
    out.isTTY === true
      ? (line: string) => void out.write(prettyLine(line, style))
      : (line: string) => void buffered(out).write(oneLine(line))
  return {
    level,
    stream: { write },
    serializers: { err: shownError },
  }
}

let standardOutput: LineBuffer | undefined

/** From now on no line waits for others. Called when the process is told to end. */
export function endLineBuffer(): void {
  standardOutput?.end()
}

function buffered(out: Out): Pick<LineBuffer, 'write'> {
  if (out !== process.stdout) return out
  standardOutput ??= new LineBuffer(out)
  return standardOutput
}

/** Only these parts of an error: Node's HTTP errors hold the bytes of the request, with the token in them. */
function shownError(error: Error & { readonly code?: unknown }) {
  const { name, code, message, stack = '' } = error
  return { type: name, code, message, stack }
}

/** Milliseconds between two lines about something that any peer can cause: otherwise a flood of stanzas would be a flood of lines. */
const quiet = 10_000

/** Lines about decisions of one stream within that time. */
const judgementsAtMost = 50

/** Limits lines to one in that time for each name, and counts what was left out. Names come from closed sets. */
export class LogThrottle {
  private readonly now: () => number
  /** By name: the time of the last line, and the number of events since. */
  private readonly counts = new Map<string, { told: number; count: number }>()

  /** `now`: milliseconds, from any beginning. */
  constructor(now: () => number = () => performance.now()) {
    this.now = now
  }

  /** How often it has happened since the last line, if it is time for one. */
  due(name: string): number | undefined {
    const so = this.counts.get(name) ?? { told: Number.NEGATIVE_INFINITY, count: 0 }
    this.counts.set(name, so)
    so.count++
    const now = this.now()
    if (now - so.told < quiet) return undefined
    const { count } = so
    so.told = now
    so.count = 0
    return count
  }
}

export type Loggers = Readonly<Record<LogArea, FastifyBaseLogger>>

/** A logger for each area, which its lines name; those of the areas that have no level of their own have the logger's. */
export function loggersOf(logger: FastifyBaseLogger, { areas = {} }: Pick<LogConfig, 'areas'>): Loggers {
  const made = logAreas.map(area => {
    const level = areas[area]
    return [area, logger.child({ area }, level === undefined ? {} : { level })] as const
  })
  return Object.fromEntries(made) as Record<LogArea, FastifyBaseLogger>
}

/** These levels from now on, for a logger and those of its areas. */
export function relevel(logger: FastifyBaseLogger, loggers: Loggers, { level, areas = {} }: LogConfig): void {
  logger.level = level
  for (const area of logAreas) loggers[area].level = areas[area] ?? level
}

export class Log implements Watcher {
  readonly stanzas = 'decisions'
  private readonly to: Loggers
  private readonly seldom: LogThrottle
  private readonly now: () => number
  /** By stream: since when its lines about decisions are counted, and how many there were. */
  private readonly judgements = new Map<number, { since: number; lines: number }>()

  private readonly addressOf: (upstream: string) => string | undefined

  /** One logger: for every area. `now`: milliseconds, from any beginning. `addressOf`: where an upstream is, `address:port`. */
  constructor(
    logger: FastifyBaseLogger | Loggers,
    now: () => number = () => performance.now(),
    addressOf: (upstream: string) => string | undefined = () => undefined,
  ) {
    this.addressOf = addressOf
    this.to = 'rules' in logger ? logger : (Object.fromEntries(logAreas.map(area => [area, logger])) as Loggers)
    this.seldom = new LogThrottle(now)
    this.now = now
  }

  report(report: Report, about: About): void {
    const { id: stream, listener, client } = about
    const { connections, sessions, upstream } = this.to
    switch (report.report) {
      case 'session-opened':
        return sessions.debug({ stream, listener, client, route: about.route, jid: report.jid }, 'session opened')
      case 'session-closed':
        return sessions.info(this.lifeOf(report, about), 'session closed')
      case 'connect-failed':
        return this.unreached(report, about)
      case 'stream-error': {
        const { side, by, condition, text } = report
        const to = side === 'upstream' ? upstream : sessions
        const fields = { stream, listener, client, side, by, condition, text }
        // Anybody can bring it about: the line names the last of them, and how many there were.
        const count = this.seldom.due(`error ${side} ${by} ${condition}`)
        if (count === undefined) return to.debug(fields, 'stream error')
        return to.info({ ...fields, count }, 'stream error')
      }
      case 'negotiation-failed':
        return this.failed(report, about)
      case 'judged':
        return this.judged(report, about)
      case 'compensation':
        // Others can bring it about by the thousand.
        if (report.outcome === 'passed' || this.leftOutOf(stream) === undefined)
          return this.to.rules.debug({ stream, ...report }, 'subscription granted unasked')
        return this.to.rules.info({ stream, ...report }, 'subscription granted unasked')
      case 'stream-opened':
      case 'stream-closed':
        if (report.report === 'stream-closed' && report.side === 'client') this.judgements.delete(stream)
        return (report.side === 'upstream' ? upstream : connections).debug(
          { stream, listener, client, ...report },
          'stream',
        )
      default:
        return sessions.debug({ stream, ...report }, 'seen')
    }
  }

  fault(error: unknown, about: About): void {
    this.to.sessions.error(
      { stream: about.id, listener: about.listener, err: error },
      'a session was ended because of an error in the gate',
    )
  }

  refused(reason: Refusal | Rejection, listener: string, address: string | undefined): void {
    if ((rejections as readonly string[]).includes(reason)) return this.turnedAway(reason, listener, address)
    this.to.connections.debug({ listener, address, reason }, 'connection refused for its PROXY header')
  }

  /** The line names the last of them. */
  private turnedAway(reason: string, listener: string, address: string | undefined): void {
    const count = this.seldom.due(`refused ${reason}`)
    if (count !== undefined) this.to.connections.warn({ reason, listener, address, count }, 'connections refused')
  }

  /** While a server is down each client that connects makes an attempt. */
  private unreached(
    { upstream, reason }: Extract<Report, { report: 'connect-failed' }>,
    { id, tlsFault }: About,
  ): void {
    const fields = { upstream, address: this.addressOf(upstream), reason, tlsFault, stream: id }
    const count = this.seldom.due(`unreached ${upstream} ${reason}`)
    if (count === undefined) this.to.upstream.debug(fields, 'upstream not reached')
    else this.to.upstream.warn({ ...fields, count }, 'upstream not reached')
  }

  /** A member of an upstream has failed, or is back. */
  memberChanged(upstream: string, member: MemberView): void {
    const { state, sessions, ejections } = member
    const fields = { upstream, member: nameOf(member), connections: sessions, ejections }
    if (state === 'ejected')
      this.to.upstream.warn(fields, 'a member of an upstream has failed: it gets no streams for now')
    else this.to.upstream.info(fields, 'a member of an upstream is back')
  }

  /** TLS came first, and failed: there was no stream yet. `fault`: as `tlsFaultOf` has it. */
  handshakeFailed(listener: string, client: string | undefined, tlsFault: string | undefined): void {
    const fields = { listener, client, stage: 'tls', condition: 'handshake', tlsFault }
    const count = this.seldom.due('failed tls handshake')
    if (count === undefined) this.to.sessions.debug(fields, 'negotiation failed')
    else this.to.sessions.info({ ...fields, count }, 'negotiation failed')
  }

  /** The same; at debug level each has its line. */
  private failed(report: Extract<Report, { report: 'negotiation-failed' }>, about: About): void {
    const { stage, condition } = report
    const { id: stream, listener, client } = about
    const count = this.seldom.due(`failed ${stage} ${condition}`)
    const tlsFault = stage === 'tls' ? about.tlsFault : undefined
    const fields = { stream, listener, client, route: about.route, stage, condition, tlsFault }
    if (count === undefined) this.to.sessions.debug(fields, 'negotiation failed')
    else this.to.sessions.info({ ...fields, count }, 'negotiation failed')
  }

  /** A stanza that was only rewritten goes on: that is told at debug level. */
  private judged(report: Extract<Report, { report: 'judged' }>, about: About): void {
    if (!isDecision(report)) return
    const { from, kind, type, verdict, said, account, contact } = report
    const against = said.filter(each => each.verdict !== 'forward')
    const { id: stream, decision } = about
    const fields = { stream, decision, from, kind, type, verdict, account, contact }
    if (verdict === 'forward' && against.length === 0) {
      const isRewritten = said.some(({ mode }) => mode !== 'observe')
      return this.to.rules.debug({ ...fields, said }, isRewritten ? 'stanza rewritten' : 'stanza would be rewritten')
    }
    const leftOut = this.leftOutOf(stream)
    if (leftOut === undefined) return this.to.rules.debug({ ...fields, said: against }, 'stanza judged')
    this.to.rules.info({ ...fields, said: against, ...(leftOut > 0 ? { leftOut } : {}) }, 'stanza judged')
  }

  /** Lines of this stream that were left out before this one; `undefined`: this one is too. Who errs in a flood would flood the log. */
  private leftOutOf(stream: number): number | undefined {
    const now = this.now()
    const before = this.judgements.get(stream)
    const isNew = before === undefined || now - before.since >= quiet
    const current = isNew ? { since: now, lines: 1 } : { since: before.since, lines: before.lines + 1 }
    this.judgements.set(stream, current)
    if (current.lines > judgementsAtMost) return undefined
    return isNew ? Math.max((before?.lines ?? 0) - judgementsAtMost, 0) : 0
  }

  /** One line about a whole session. */
  private lifeOf({ jid, cause }: Extract<Report, { report: 'session-closed' }>, about: About) {
    const { id: stream, listener, wire, tls, route, client, traffic, began } = about
    const account = bareOf(jid)
    const resource = jid.slice(account.length + 1)
    const seconds = began === undefined ? undefined : Math.round(performance.now() - began) / 1_000
    // The metrics' decisions are more: rewrites too.
    const { decisions: against, ...counts } = traffic ?? {}
    return { stream, account, resource, listener, wire, tls, route, client, seconds, ...counts, against, cause }
  }
}
