import type { Element } from '../xml/element.ts'

/**
 * The sender or the receiver of an item. The word "direction" is avoided: inbound means one thing for a proxy and the opposite in
 * RFC 6121.
 */
export type Side = 'client' | 'upstream'

export const other: Readonly<Record<Side, Side>> = { client: 'upstream', upstream: 'client' }

/** The stream error conditions (RFC 6120 section 4.9.3). */
export const streamErrors = [
  'bad-format',
  'bad-namespace-prefix',
  'conflict',
  'connection-timeout',
  'host-gone',
  'host-unknown',
  'improper-addressing',
  'internal-server-error',
  'invalid-from',
  'invalid-namespace',
  'invalid-xml',
  'not-authorized',
  'not-well-formed',
  'policy-violation',
  'remote-connection-failed',
  'reset',
  'resource-constraint',
  'restricted-xml',
  'see-other-host',
  'system-shutdown',
  'undefined-condition',
  'unsupported-encoding',
  'unsupported-feature',
  'unsupported-stanza-type',
  'unsupported-version',
] as const
export type StreamError = (typeof streamErrors)[number]

/** A stream header's attributes: `to`, `from`, `id`, `version`, `xml:lang`. */
export type Header = ReadonlyMap<string, string>

/** One XML stream as items, whatever the wire. */
export type StreamItem =
  | { readonly item: 'open'; readonly header: Header }
  | { readonly item: 'element'; readonly element: Element }
  | { readonly item: 'whitespace' }
  | { readonly item: 'close' }
  /** As read: what was wrong with the bytes; no item follows. As written: a whole `<stream:error/>`. `text` is for people. */
  | {
      readonly item: 'error'
      readonly condition: StreamError
      readonly text?: string | undefined
      /** With `see-other-host`: where to go (RFC 6120 section 4.9.3.19). */
      readonly host?: string | undefined
      /** An application's own condition (RFC 6120 section 4.9.4). */
      readonly application?: Element | undefined
    }
