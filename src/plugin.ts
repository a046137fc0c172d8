/** The gate as a Fastify plugin: XMPP over WebSocket in an application of one's own. */
import type { FastifyInstance, RegisterOptions } from 'fastify'
import { defaultLimits } from './config/limits.ts'
import type { PluginFile } from './config/schema.ts'
import { pluginConfig } from './embed.ts'
import { Gate } from './gate.ts'
import { websocketPlugin } from './listener/websocket.ts'
import type { Rule } from './rules/rule.ts'
import { openStore } from './store/open-store.ts'

/** `upstreams`, `routes`, `rules`, `limits`, `audit` and `store` (left out: none) as in the configuration file, and: */
export interface StanzagateOptions extends PluginFile {
  /** Where WebSocket clients connect. Default `/xmpp-websocket`. */
  readonly path?: string
  /** Origins that may connect; left out: any. */
  readonly origins?: readonly string[]
  /** Where the metrics are served; left out: nowhere. Whoever reaches the application reads them. */
  readonly metricsPath?: string
  /** Rules of the program's own, asked after the built-in ones; left out: none. */
  readonly ownRules?: readonly Rule[]
}

/**
 * `await app.register(stanzagate, { upstreams, routes })`. Closing the application ends the streams with `system-shutdown`. Rejects with
 * `ConfigError`, and with `StoreError` when the store must not be used.
 */
export async function stanzagate(app: FastifyInstance, options: StanzagateOptions): Promise<void> {
  // Options that Fastify itself adds.
  const { prefix, logLevel, logSerializers, ownRules, ...own } = options as StanzagateOptions & RegisterOptions
  const {
    upstreams,
    routes,
    rules,
    limits = defaultLimits,
    audit,
    store,
    path = '/xmpp-websocket',
    origins,
    metricsPath,
  } = pluginConfig(own, ownRules)
  const opened = store && (await openStore(store))
  const gate = new Gate({ upstreams, routes, rules, limits, audit, store }, app.log, [], opened && { store: opened })
  app.addHook('preClose', () => gate.stop())
  const serve = gate.serve('fastify', false)
  // The application accepts connections itself: only those that ask for a WebSocket are admitted here.
  const admission = gate.listenerAdmission('fastify', undefined, [])
  const maxMessage = 2 * limits.client.bytes
  await app.register(websocketPlugin, {
    path,
    origins,
    maxMessage,
    maxFragments: limits.fragments,
    serve,
    admit: ({ raw }, client) => admission.ask(raw.socket, client?.source.address),
  })
  if (metricsPath === undefined) return
  const { registry } = gate.metrics
  app.get(metricsPath, async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()))
}
