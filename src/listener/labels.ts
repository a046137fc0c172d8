/** Why connections are not served, and what becomes of renewed certificates: values of metrics' labels. This file imports nothing. */

/** Why a connection was not served; also the metrics' label. */
export const rejections = ['address', 'address-rate', 'total', 'lag', 'heap', 'queue'] as const
export type Rejection = (typeof rejections)[number]
/** Why nobody can be let in at present. */
export type Strain = Extract<Rejection, 'lag' | 'heap'>

/** Why a connection was closed before it reached the server; also the metrics' label. */
export const refusals = ['untrusted', 'missing', 'malformed', 'timeout'] as const
export type Refusal = (typeof refusals)[number]

/** What became of files that have changed; also the metrics' label. */
export const certificateOutcomes = ['loaded', 'refused'] as const
export type CertificateOutcome = (typeof certificateOutcomes)[number]
