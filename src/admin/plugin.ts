/** The admin listener's routes as a Fastify plugin: /metrics, /healthz, /readyz. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

export interface AdminOptions {
  /** The bearer token that /metrics asks for; `undefined`: nobody is asked. */
  readonly token: string | undefined
  readonly metrics: { readonly contentType: string; metrics(): Promise<string> }
  /** Whether clients are served: 200 or 503. */
  ready(): boolean
}

export async function adminPlugin(app: FastifyInstance, options: AdminOptions): Promise<void> {
  const { token, metrics } = options
  // What a probe needs is open; what tells of traffic is not.
  app.get('/healthz', async (_request, reply) => reply.type('text/plain').send('ok\n'))
  app.get('/readyz', async (_request, reply) => {
    const ready = options.ready()
    return reply
      .code(ready ? 200 : 503)
      .type('text/plain')
      .send(ready ? 'ready\n' : 'not ready\n')
  })
  app.get('/metrics', async (request, reply) => {
    if (token !== undefined && !isBearer(request.headers.authorization, token))
      return reply
        .code(401)
        .header('www-authenticate', 'Bearer')
        .type('text/plain')
        .send('a bearer token is required\n')
    return reply.type(metrics.contentType).send(await metrics.metrics())
  })
}

/** Compared in constant time: hashes have one length. */
function isBearer(header: string | undefined, token: string): boolean {
  const match = /^Bearer +(\S+)$/i.exec(header ?? '')
  if (match === null) return false
  const digest = (value: string) => createHash('sha256').update(value).digest()
  return timingSafeEqual(digest(match[1] as string), digest(token))
}
