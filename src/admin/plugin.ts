/** The admin listener's routes as a Fastify plugin: /metrics, /healthz, /readyz, /api/offenders; and what is answered where there is none. */
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { FastifyBaseLogger, FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Negotiator from 'negotiator'
import type { ReloadResult } from '../config/reload.ts'
import { isBearer, isOfAnotherSite } from './access.ts'
import { sendProblem } from './problem.ts'
import { isProblem, readQuery } from './query.ts'
import { Refusals } from './refusals.ts'
import { securityHeaders } from './security-headers.ts'

interface Numbers {
  readonly contentType: string
  metrics(): Promise<string>
}

export interface AdminOptions {
  /** The bearer token that /metrics and /api ask for; `undefined`: nobody is asked. */
  readonly token: string | undefined
  readonly metrics: Numbers
  /** For a scraper that accepts OpenMetrics; left out: it gets `metrics`. */
  readonly openMetrics?: Numbers
  /** Default: the application's, which its lines name as the area `admin`. */
  readonly log?: Pick<FastifyBaseLogger, 'warn'>
  /** Milliseconds, from any beginning. */
  readonly now?: () => number
  /** What /api/offenders answers, as JSON; left out: there is no such route. */
  offenders?(): unknown
  /** Who may see them besides whoever has the token; left out: nobody. */
  admits?(request: FastifyRequest): boolean
  /** What POST /api/reload does; left out: there is no such route. */
  reload?(): Promise<ReloadResult>
  /** Whether clients are served: 200 or 503. */
  ready(): boolean
  /** A request had no right token. */
  refused?(): void
}

export async function adminPlugin(app: FastifyInstance, options: AdminOptions): Promise<void> {
  const { token, metrics, openMetrics, log = app.log.child({ area: 'admin' }), now } = options
  const refusals = new Refusals({ log, now, refused: () => options.refused?.() })
  const hasToken = ({ headers }: FastifyRequest) => token === undefined || isBearer(headers.authorization, token)
  const guard =
    (admits: (request: FastifyRequest) => boolean) => async (request: FastifyRequest, reply: FastifyReply) => {
      if (admits(request)) return
      // Where no token is required, the request comes from another site.
      const isForeign = token === undefined || isOfAnotherSite(request)
      return refusals.answer(request, reply, isForeign ? 'foreign' : 'no')
    }
  app.setNotFoundHandler(async (_request, reply) =>
    sendProblem(reply.headers(securityHeaders), {
      status: 404,
      detail: 'there is no such thing here, or it is not done by this method',
    }),
  )
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const { statusCode: status = 500, message } = error
    if (status >= 500) log.warn({ err: error }, 'a request to the admin listener failed')
    return sendProblem(reply.headers(securityHeaders), { status, detail: status >= 500 ? 'see the log' : message })
  })
  // Probes are open to all; what tells of traffic is not.
  app.get('/healthz', async (_request, reply) => reply.type('text/plain').send('ok\n'))
  app.get('/readyz', async (_request, reply) => {
    const ready = options.ready()
    return reply
      .code(ready ? 200 : 503)
      .type('text/plain')
      .send(ready ? 'ready\n' : 'not ready\n')
  })
  app.get('/metrics', { preHandler: guard(hasToken) }, async (request, reply) => {
    const isOpen = openMetrics !== undefined && wantsOpenMetrics(request.headers.accept)
    const numbers = isOpen ? openMetrics : metrics
    reply.header('vary', 'accept, accept-encoding').type(numbers.contentType)
    const text = await numbers.metrics()
    if (!wantsGzip(request.headers['accept-encoding'])) return reply.send(text)
    return reply.header('content-encoding', 'gzip').send(await gzipped(text))
  })
  if (options.offenders !== undefined)
    app.get('/api/offenders', { preHandler: guard(options.admits ?? hasToken) }, async (request, reply) => {
      const query = readQuery(request.query, {})
      reply.headers(securityHeaders)
      return isProblem(query) ? sendProblem(reply, query) : reply.send(options.offenders?.())
    })
  const { reload, admits = hasToken } = options
  if (reload !== undefined) {
    // It changes the gate: where there is a token, a login in a browser is not enough.
    const mayReload = (request: FastifyRequest) => admits(request) && hasToken(request)
    await app.register(async scope => {
      // It takes no body. Command-line clients send the content type of a form with an empty one: that is no reason to refuse it.
      scope.addContentTypeParser('*', (_request, payload, done) => {
        payload.resume()
        done(null)
      })
      scope.post('/api/reload', { preHandler: guard(mayReload) }, async (_request, reply) => {
        const result = await reload()
        reply.headers(securityHeaders)
        if (result.outcome !== 'refused') return reply.send(result)
        const detail = 'the configuration was refused; the one before stays in use'
        return sendProblem(reply, { status: 422, detail, problems: result.problems, needsRestart: result.needsRestart })
      })
    })
  }
}

const gzipped = promisify(gzip)

const plainText = 'text/plain;version=0.0.4'
const openText = 'application/openmetrics-text;version=1.0.0'
/** Parameters that do not choose the format: how names may be escaped, which none of ours needs. */
const escaping = /;\s*(?:escaping|charset)=[^;,]*/gi

/** Whether OpenMetrics is preferred (RFC 9110 section 12.4.2); plain text if both are preferred alike or neither is accepted. */
function wantsOpenMetrics(accept: string | undefined): boolean {
  if (accept === undefined) return false
  const negotiator = new Negotiator({ headers: { accept: accept.replaceAll(escaping, '') } })
  return negotiator.mediaTypes([plainText, openText])[0] === openText
}

function wantsGzip(encodings: string | undefined): boolean {
  if (encodings === undefined) return false
  return new Negotiator({ headers: { 'accept-encoding': encodings } }).encodings(['gzip', 'identity'])[0] === 'gzip'
}
