/** Reports as log lines: one for the beginning and one for the end of a session, one for each decision against a stanza. */
import type { FastifyBaseLogger } from 'fastify'
import type { Report } from '../session/event.ts'
import type { Refusal } from '../transport/front.ts'
import type { About, Watcher } from '../transport/relay.ts'

export class Log implements Watcher {
  private readonly logger: FastifyBaseLogger

  constructor(logger: FastifyBaseLogger) {
    this.logger = logger
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

  refused(reason: Refusal, listener: string, address: string | undefined): void {
    this.logger.debug({ listener, address, reason }, 'connection refused for its PROXY header')
  }

  /** A stanza that was rewritten goes on: that is told at debug level. */
  private judged(report: Extract<Report, { report: 'judged' }>, about: About): void {
    const { from, kind, type, verdict, said, account, contact } = report
    const against = said.filter(each => each.verdict !== 'forward')
    if (against.length === 0) return
    this.logger.info({ stream: about.id, from, kind, type, verdict, said: against, account, contact }, 'stanza judged')
  }
}
