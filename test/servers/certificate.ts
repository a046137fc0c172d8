// Certificates for servers on loopback, and clients that believe them.
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import tls from 'node:tls'
import { generate } from 'selfsigned'

/** Paths of PEM files. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** Makes a certificate for these domains, signed by itself and valid for a year, as two files in `folder`. */
export async function writeCertificate(folder: string, domains: readonly string[]): Promise<Certificate> {
  const pems = await generate([{ name: 'commonName', value: domains[0] ?? 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'subjectAltName', altNames: domains.map(value => ({ type: 2, value })) },
    ],
  })
  const certificate = { cert: join(folder, 'certificate.pem'), key: join(folder, 'key.pem') }
  await writeFile(certificate.cert, pems.cert)
  await writeFile(certificate.key, pems.private, { mode: 0o600 })
  return certificate
}

/**
 * Lets every TLS client of this process that names no authorities itself believe this certificate: @xmpp/client has no
 * option for that, and NODE_EXTRA_CA_CERTS is read only once, before the certificate exists. Gives the way back.
 */
export function trust(certificate: Certificate): () => void {
  const ca = readFileSync(certificate.cert)
  const createSecureContext = tls.createSecureContext
  tls.createSecureContext = options => createSecureContext(options?.ca ? options : { ...options, ca })
  return () => {
    tls.createSecureContext = createSecureContext
  }
}
