/** The answers to requests that are not allowed, the same at every route of the admin listener; they are logged and counted. */
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import { LogThrottle } from '../observe/log.ts'
import type { Admitted } from './access.ts'
import { sendProblem } from './problem.ts'
import { WrongTokens } from './wrong-tokens.ts'

export interface RefusalsOptions {
  readonly log: Pick<FastifyBaseLogger, 'warn'>
  /** Milliseconds, from any beginning. */
  readonly now?: (() => number) | undefined
  /** For the metrics. */
  refused?(): void
}

export class Refusals {
  private readonly options: RefusalsOptions
  private readonly wrongTokens: WrongTokens
  private readonly seldom: LogThrottle

  constructor(options: RefusalsOptions) {
    this.options = options
    this.wrongTokens = new WrongTokens(options.now)
    this.seldom = new LogThrottle(options.now)
  }

  /** 403 to another site; 401, or 429 after too many wrong tokens. A request with the right token is never refused. */
  answer(request: FastifyRequest, reply: FastifyReply, admitted: Exclude<Admitted, 'yes'>): FastifyReply {
    if (admitted === 'foreign') {
      this.tell(request, 403)
      return sendProblem(reply, {
        status: 403,
        detail: 'ask by the name of the listener itself, and not from another site',
      })
    }
    const wait = givesToken.test(request.headers.authorization ?? '') ? this.guessed(request.ip) : undefined
    if (wait === undefined) {
      this.tell(request, 401)
      return sendProblem(reply.header('www-authenticate', 'Bearer'), {
        status: 401,
        detail: 'a bearer token is required',
      })
    }
    this.tell(request, 429)
    return sendProblem(reply.header('retry-after', String(wait)), {
      status: 429,
      detail: `too many wrong tokens: wait ${wait} s, or give the right one`,
    })
  }

  /** A wrong token in the login form, or one that is not checked; logged and counted like the others. */
  login(request: FastifyRequest, reason: 'wrong' | 'later'): void {
    this.options.refused?.()
    const count = this.seldom.due('login')
    if (count !== undefined) this.options.log.warn({ address: request.ip, reason, count }, 'login refused')
  }

  private guessed(address: string): number | undefined {
    const wait = this.wrongTokens.waitOf(address)
    if (wait === undefined) this.wrongTokens.add(address)
    return wait
  }

  /** The line names the last of them. */
  private tell({ ip, routeOptions }: FastifyRequest, status: number): void {
    this.options.refused?.()
    const count = this.seldom.due('request')
    if (count !== undefined)
      this.options.log.warn({ address: ip, path: routeOptions.url, status, count }, 'requests refused')
  }
}

const givesToken = /^Bearer +\S/i
