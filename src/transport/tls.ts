/** The TLS versions and suites of the gate, for every listener and every connection to an upstream. */
import { constants } from 'node:crypto'
import type { SecureContextOptions } from 'node:tls'

/** A certificate chain and its key, as PEM. */
export interface Pem {
  readonly cert: string
  readonly key: string
}

/**
 * RFC 7590 section 3.4 and BCP 195 (RFC 9325 section 4.2): forward secrecy and authenticated encryption alone. These are the suites of
 * Mozilla's intermediate profile without DHE, which Node serves with parameters of one's own making only.
 */
const suites = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
]

/**
 * To clients: TLS 1.2 or later. A client that asks for a renegotiation has its request refused: no XMPP client needs one, and each
 * costs the gate far more than the client. Compression tells secrets by their lengths (CRIME).
 */
export function serverTls(pem: Pem): SecureContextOptions {
  return {
    ...pem,
    minVersion: 'TLSv1.2',
    ciphers: suites.join(':'),
    // All suites are strong; a client without AES in hardware knows best which one is fast for it.
    honorCipherOrder: false,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
  }
}

/**
 * What went wrong with TLS, in OpenSSL's words, which name the alert (`tlsv1 alert unknown ca`), or by Node's code (`CERT_HAS_EXPIRED`);
 * nothing of it is a peer's text. `undefined`: not known.
 */
export function tlsFaultOf(error: Error | undefined): string | undefined {
  const { reason, code } = (error ?? {}) as { readonly reason?: unknown; readonly code?: unknown }
  if (typeof reason === 'string' && /^[\w :.-]{1,80}$/.test(reason)) return reason
  return typeof code === 'string' ? code : undefined
}

/**
 * TLS to upstreams, which are the operator's own and may be old: version 1.2 or later, with Node's suites. `ca`: PEM; else the
 * system's.
 */
export function upstreamTls(ca: string | undefined): SecureContextOptions {
  return { minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) }
}
