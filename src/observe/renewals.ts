/** What becomes of certificates, in the metrics and in the log. */
import type { FastifyBaseLogger } from 'fastify'
import { ageFlaw } from '../config/warnings.ts'
import type { CertificatesOptions } from '../transport/certificates.ts'
import type { Metrics } from './metrics.ts'

/** The metrics know of listeners' certificates alone; the log of upstreams' authorities too. */
export function renewals(metrics: Metrics, logger: FastifyBaseLogger): Pick<CertificatesOptions, 'loaded' | 'refused'> {
  return {
    loaded: (holder, [certificate], isFirst) => {
      if (certificate === undefined) return
      const expires = Date.parse(certificate.validTo)
      if ('listener' in holder) {
        metrics.certified(holder.listener, expires / 1_000)
        if (!isFirst) metrics.reloaded(holder.listener, 'loaded')
      }
      if (isFirst) return
      logger.info({ ...holder, expires: new Date(expires).toISOString() }, 'certificate read anew, and in use')
      const flaw = ageFlaw(certificate, 0, Date.now())
      if (flaw !== undefined) logger.warn(holder, `the certificate ${flaw[0]}; ${flaw[1]}`)
    },
    refused: (holder, file, reason) => {
      if ('listener' in holder) metrics.reloaded(holder.listener, 'refused')
      logger.error({ ...holder, file, reason }, 'certificate read anew and refused; the one before stays in use')
    },
  }
}
