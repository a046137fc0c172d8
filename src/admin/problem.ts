/** What is wrong with a request, as a problem document (RFC 9457). */
import type { FastifyReply } from 'fastify'

export interface Problem {
  readonly status: number
  /** For people: what is wrong, and what would be right. */
  readonly detail: string
  /** The parameter or the member of the body that is meant. */
  readonly parameter?: string
  /** What may stand there. */
  readonly allowed?: readonly string[]
  /** What is wrong with a configuration, and what in it needs a restart. */
  readonly problems?: readonly unknown[]
  readonly needsRestart?: readonly string[]
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not found',
  413: 'Content too large',
  415: 'Unsupported media type',
  422: 'Unprocessable content',
  429: 'Too many requests',
  500: 'Internal server error',
  503: 'Service unavailable',
}

export function sendProblem(reply: FastifyReply, { status, ...more }: Problem): FastifyReply {
  const problem = { title: titles[status] ?? 'Error', status, ...more }
  return reply.code(status).type('application/problem+json').send(JSON.stringify(problem))
}
