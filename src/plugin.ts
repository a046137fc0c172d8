/** The gate as a Fastify plugin: XMPP over WebSocket in an application of one's own. */
import type { FastifyInstance } from 'fastify'
import { Gate, type GateConfig } from './gate.ts'
import { modes } from './rules/mode.ts'
import { clientLimits } from './stream/limits.ts'
import { websocketPlugin } from './transport/websocket.ts'

export interface StanzagateOptions extends Pick<GateConfig, 'upstreams' | 'routes'> {
  /** Default: every rule on `enforce`, no trusted domains. */
  readonly rules?: GateConfig['rules']
  /** Where WebSocket clients connect. Default `/xmpp-websocket`. */
  readonly path?: string
  /** Origins that may connect; left out: any. */
  readonly origins?: readonly string[]
  /** Where the metrics are served; left out: nowhere. Whoever reaches the application reads them. */
  readonly metricsPath?: string
}

/** `await app.register(stanzagate, { upstreams, routes })`. Closing the application ends the streams with `system-shutdown`. */
export async function stanzagate(app: FastifyInstance, options: StanzagateOptions): Promise<void> {
  const rules = options.rules ?? { default: modes[0], modes: new Map(), trustedDomains: [] }
  const gate = new Gate({ upstreams: options.upstreams, routes: options.routes, rules }, app.log)
  const path = options.path ?? '/xmpp-websocket'
  app.addHook('preClose', () => gate.stop())
  const serve = gate.serve('fastify', false)
  await app.register(websocketPlugin, { path, origins: options.origins, maxMessage: 2 * clientLimits.bytes, serve })
  if (options.metricsPath === undefined) return
  const { registry } = gate.metrics
  app.get(options.metricsPath, async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  )
}
