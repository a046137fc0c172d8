/** What becomes of certificates, in the metrics and in the log. */
import type { FastifyBaseLogger } from 'fastify'
import { ageFlaw } from '../config/warnings.ts'
import type { CertificateOwner, CertificatesOptions } from '../listener/certificates.ts'
import type { Metrics } from './metrics.ts'

/** The metrics know of listeners' certificates alone; the log of upstreams' authorities too. */
export function certificateWatcher(
  metrics: Metrics,
  logger: FastifyBaseLogger,
): Pick<CertificatesOptions, 'loaded' | 'refused'> {
  const refused = new Set<string>()
  /** Of the certificates in use, by their holder. */
  const fingerprints = new Map<string, string>()
  const nameOf = (holder: CertificateOwner) =>
    'listener' in holder ? `listener ${holder.listener}` : `upstream ${holder.upstream}`
  return {
    loaded: (holder, certificates, isFirst) => {
      const [certificate] = certificates
      if (certificate === undefined) return
      const name = nameOf(holder)
      const fingerprint = certificates.map(each => each.fingerprint256).join()
      const isSame = fingerprints.get(name) === fingerprint
      fingerprints.set(name, fingerprint)
      const expires = Date.parse(certificate.validTo)
      if ('listener' in holder) {
        metrics.certified(holder.listener, expires / 1_000)
        if (!isFirst) metrics.reloaded(holder.listener, 'loaded')
      }
      if (isFirst) return
      const fields = { ...holder, expires: new Date(expires).toISOString() }
      const wasRefused = refused.delete(name)
      if (wasRefused) logger.info(fields, 'certificate mended: read again, and in use')
      else if (isSame) logger.debug(fields, 'certificate read again: it is the one in use')
      else logger.info(fields, 'certificate read again, and in use')
      const flaw = ageFlaw(certificate, 0, Date.now())
      if (flaw !== undefined) logger.warn(holder, `the certificate ${flaw[0]}; ${flaw[1]}`)
    },
    refused: (holder, file, reason) => {
      refused.add(nameOf(holder))
      if ('listener' in holder) metrics.reloaded(holder.listener, 'refused')
      logger.error({ ...holder, file, reason }, 'certificate read again and refused; the one before stays in use')
    },
  }
}
