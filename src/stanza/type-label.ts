import { iqTypes, messageTypes, presenceTypes } from './generated/types.ts'
import type { Kind } from './stanza.ts'

/** The types that the schemas enumerate, by kind, and what an absent one means (RFC 6121 sections 4.7.1 and 5.2.2; an IQ needs one). */
const labels: Readonly<Record<Kind, { readonly absent: string; readonly known: readonly string[] }>> = {
  presence: { absent: 'available', known: presenceTypes },
  message: { absent: 'normal', known: messageTypes },
  iq: { absent: 'other', known: iqTypes },
}

/** A stanza's type as a metrics' label: a closed set, whatever a peer writes. There is no presence type `available`: it is `other`. */
export function typeLabel(kind: Kind, type: string | undefined): string {
  const { absent, known } = labels[kind]
  if (type === undefined) return absent
  return known.includes(type) ? type : 'other'
}
