/** The gate as a Fastify plugin: XMPP over WebSocket in an application of one's own. */
import type { FastifyInstance } from 'fastify'
import { defaultLimits } from './config/limits.ts'
import { Gate, type GateConfig } from './gate.ts'
import { modes } from './rules/mode.ts'
import { websocketPlugin } from './transport/websocket.ts'

export interface StanzagateOptions extends Pick<GateConfig, 'upstreams' | 'routes'> {
  /** Default: every rule on `enforce`, no trusted domains. */
  readonly rules?: GateConfig['rules']
  /** Default: those of the configuration file. */
  readonly limits?: GateConfig['limits']
  /** Left out: decisions leave no lines. */
  readonly audit?: GateConfig['audit']
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
  const limits = options.limits ?? defaultLimits
  const { upstreams, routes, audit } = options
  const gate = new Gate({ upstreams, routes, rules, limits, audit }, app.log)
  const path = options.path ?? '/xmpp-websocket'
  app.addHook('preClose', () => gate.stop())
  const serve = gate.serve('fastify', false)
  // The application's connections are its own: asked is for those that want a WebSocket.
  const door = gate.door('fastify', undefined, [])
  const { origins } = options
  const maxMessage = 2 * limits.client.bytes
  await app.register(websocketPlugin, {
    path,
    origins,
    maxMessage,
    maxFragments: limits.fragments,
    serve,
    admit: ({ raw }, client) => door.ask(raw.socket, client?.source.address),
  })
  if (options.metricsPath === undefined) return
  const { registry } = gate.metrics
  app.get(options.metricsPath, async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  )
}
