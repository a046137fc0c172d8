/** Paths of a WebSocket listener that the gate answers itself where the listener has a `url` (XEP-0156, RFC 6415). */
export const hostMetaPaths = ['/.well-known/host-meta', '/.well-known/host-meta.json'] as const
