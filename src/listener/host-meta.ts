/** Where clients find the WebSocket (XEP-0156; RFC 6415), as a Fastify plugin: two documents that any web page may read. */
import type { FastifyInstance } from 'fastify'
import { hostMetaPaths } from '../config/reserved-paths.ts'
import { quoted } from '../xml/writer.ts'

const rel = 'urn:xmpp:alt-connections:websocket'

/** `url` is the WebSocket's, as clients reach it. */
export async function hostMetaPlugin(app: FastifyInstance, { url }: { readonly url: string }): Promise<void> {
  const documents = [
    { type: 'application/xrd+xml; charset=utf-8', body: xrd(url) },
    { type: 'application/json; charset=utf-8', body: jrd(url) },
  ]
  for (const [index, { type, body }] of documents.entries()) {
    // XEP-0156 section 3: a client in a browser comes from anywhere.
    app.get(hostMetaPaths[index] as string, (_request, reply) =>
      reply.header('access-control-allow-origin', '*').type(type).send(body),
    )
  }
}

function xrd(url: string): string {
  return `<?xml version="1.0" encoding="utf-8"?>
<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">
  <Link rel="${rel}" href=${quoted(url)}/>
</XRD>
`
}

function jrd(url: string): string {
  return `${JSON.stringify({ links: [{ rel, href: url }] })}\n`
}
