/** Reports as log lines: one for the beginning and one for the end of a session, one for each decision against a stanza. */
import type { FastifyBaseLogger } from 'fastify'
import type { LogLevel } from '../config.ts'
import type { Report } from '../session/event.ts'
import { type Rejection, rejections } from '../transport/admission.ts'
import type { Refusal } from '../transport/front.ts'
import type { About, Watcher } from '../transport/relay.ts'

/**
 * How the gate logs: one line of JSON for each message, whatever a peer has made it say. JSON leaves some characters as they are that
 * end a line or steer a terminal all the same (DEL and C1, separators, marks that are not seen): those are escaped too.
 */
export function loggerOptions(level: Exclude<LogLevel, 'silent'>, out: NodeJS.WritableStream = process.stdout) {
  // A log that nobody reads any longer ends no session.
  if (out.listenerCount('error') === 0) out.on('error', () => {})
  const write = (line: string): void => {
    out.write(oneLine(line))
  }
  return {
    level,
    stream: { write },
    serializers: { err: shownError },
  }
}

const steering = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu

/** A line of JSON, which is one also for a terminal, and for whoever takes other characters than JSON does for the end of a line. */
export function oneLine(json: string): string {
  return json.replace(steering, escaped)
}

/** A character beyond the first plane is two in JSON. */
function escaped(character: string): string {
  return character.replace(/[\s\S]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** No more of an error than this: Node's HTTP errors carry the bytes of the request, with the token in them. */
function shownError(error: Error & { readonly code?: unknown }) {
  const { name, code, message, stack = '' } = error
  return { type: name, code, message, stack }
}

/** Milliseconds between two lines about connections that were refused for one reason: whoever floods the gate would flood its log. */
const quiet = 10_000

export class Log implements Watcher {
  private readonly logger: FastifyBaseLogger
  private readonly now: () => number
  /** By reason: the time of the last line, and what has not been told since. */
  private readonly rejected = new Map<string, { told: number; count: number }>()

  /** `now`: milliseconds, from any beginning. */
  constructor(logger: FastifyBaseLogger, now: () => number = () => performance.now()) {
    this.logger = logger
    this.now = now
  }

  report(report: Report, about: About): void {
    switch (report.report) {
      case 'session-opened':
        return this.logger.info(
          { stream: about.id, listener: about.listener, client: about.client, route: about.route, jid: report.jid },
          'session opened',
        )
      case 'session-closed':
        return this.logger.info({ stream: about.id, jid: report.jid, cause: report.cause }, 'session closed')
      case 'connect-failed':
        return this.logger.warn(
          { stream: about.id, upstream: report.upstream, reason: report.reason },
          'upstream not reached',
        )
      case 'stream-error':
        return this.logger.info(
          { stream: about.id, side: report.side, by: report.by, condition: report.condition },
          'stream error',
        )
      case 'judged':
        return this.judged(report, about)
      case 'stream-opened':
      case 'stream-closed':
        return this.logger.debug(
          { stream: about.id, listener: about.listener, client: about.client, ...report },
          'stream',
        )
      default:
        return this.logger.debug({ stream: about.id, ...report }, 'seen')
    }
  }

  bytes(): void {}

  took(): void {}

  fault(error: unknown, about: About): void {
    this.logger.error(
      { stream: about.id, listener: about.listener, err: error },
      'a session was ended because of an error in the gate',
    )
  }

  refused(reason: Refusal | Rejection, listener: string, address: string | undefined): void {
    if ((rejections as readonly string[]).includes(reason)) return this.turnedAway(reason, listener, address)
    this.logger.debug({ listener, address, reason }, 'connection refused for its PROXY header')
  }

  /** The line names the last of them. */
  private turnedAway(reason: string, listener: string, address: string | undefined): void {
    const so = this.rejected.get(reason) ?? { told: Number.NEGATIVE_INFINITY, count: 0 }
    this.rejected.set(reason, so)
    so.count++
    const now = this.now()
    if (now - so.told < quiet) return
    this.logger.warn({ reason, listener, address, count: so.count }, 'connections refused')
    so.told = now
    so.count = 0
  }

  /** A stanza that was rewritten goes on: that is told at debug level. */
  private judged(report: Extract<Report, { report: 'judged' }>, about: About): void {
    const { from, kind, type, verdict, said, account, contact } = report
    const against = said.filter(each => each.verdict !== 'forward')
    if (against.length === 0) return
    const { id: stream, decision } = about
    this.logger.info({ stream, decision, from, kind, type, verdict, said: against, account, contact }, 'stanza judged')
  }
}
