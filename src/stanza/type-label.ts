import type { Kind } from './stanza.ts'

/** The types that the schemas enumerate, by kind; what an absent one means comes first (RFC 6120 section 8.2.3, RFC 6121 sections 4.7.1 and 5.2.2). */
const labels: Readonly<Record<Kind, readonly string[]>> = {
  presence: ['available', 'unavailable', 'subscribe', 'subscribed', 'unsubscribe', 'unsubscribed', 'probe', 'error'],
  message: ['normal', 'chat', 'error', 'groupchat', 'headline'],
  iq: ['other', 'get', 'set', 'result', 'error'],
}

/** A stanza's type as a metrics' label: a closed set, whatever a peer writes. There is no presence type `available`: it is `other`. */
export function typeLabel(kind: Kind, type: string | undefined): string {
  const known = labels[kind]
  if (type === undefined) return known[0] as string
  if (kind === 'presence' && type === 'available') return 'other'
  return known.includes(type) ? type : 'other'
}
