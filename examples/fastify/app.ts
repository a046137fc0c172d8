/** A Fastify application with a route of its own, the metrics, and XMPP over WebSocket through the gate. */
import fastify from 'fastify'
import { stanzagate } from 'stanzagate'

const app = fastify({ logger: true })

app.get('/', async () => ({ chat: '/xmpp-websocket' }))

await app.register(stanzagate, {
  upstreams: { main: { address: '127.0.0.1', port: Number(process.env.XMPP_PORT ?? 15222), tls: { mode: 'none' } } },
  routes: [{ domain: process.env.XMPP_DOMAIN ?? 'im.example', upstream: 'main' }],
  rules: { default: 'observe', 'subscribed-needs-request': 'enforce' },
  path: '/xmpp-websocket',
  metricsPath: '/metrics',
})

// Closing the application ends the streams with `system-shutdown`.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void app.close())

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 5280) })
