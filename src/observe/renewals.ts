/** What becomes of certificates, in the metrics and in the log. */
import type { FastifyBaseLogger } from 'fastify'
import { ageFlaw } from '../config/warnings.ts'
import type { CertificatesOptions, Holder } from '../transport/certificates.ts'
import type { Metrics } from './metrics.ts'

/** The metrics know of listeners' certificates alone; the log of upstreams' authorities too. */
export function renewals(metrics: Metrics, logger: FastifyBaseLogger): Pick<CertificatesOptions, 'loaded' | 'refused'> {
  const refused = new Set<string>()
  const nameOf = (holder: Holder) =>
    'listener' in holder ? `listener ${holder.listener}` : `upstream ${holder.upstream}`
  return {
    loaded: (holder, [certificate], isFirst) => {
      if (certificate === undefined) return
      const expires = Date.parse(certificate.validTo)
      if ('listener' in holder) {
        metrics.certified(holder.listener, expires / 1_000)
        if (!isFirst) metrics.reloaded(holder.listener, 'loaded')
      }
      if (isFirst) return
      const fields = { ...holder, expires: new Date(expires).toISOString() }
      const wasRefused = refused.delete(nameOf(holder))
      logger.info(
        fields,
        wasRefused ? 'certificate mended: read anew, and in use' : 'certificate read anew, and in use',
      )
      const flaw = ageFlaw(certificate, 0, Date.now())
      if (flaw !== undefined) logger.warn(holder, `the certificate ${flaw[0]}; ${flaw[1]}`)
    },
    refused: (holder, file, reason) => {
      refused.add(nameOf(holder))
      if ('listener' in holder) metrics.reloaded(holder.listener, 'refused')
      logger.error({ ...holder, file, reason }, 'certificate read anew and refused; the one before stays in use')
    },
  }
}
