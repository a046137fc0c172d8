/**
 * What becomes of a rule's verdict. `enforce`: it is carried out. `repair`: a stanza that can be repaired is repaired and goes
 * on; for any other the verdict is only recorded. `observe`: it is only recorded. `off`: the rule is not asked.
 */
export const modes = ['enforce', 'repair', 'observe', 'off'] as const
export type Mode = (typeof modes)[number]

/** `override`: the bound JID takes its place (RFC 6120 section 8.1.2.1); `close`: the stream ends with `invalid-from`. */
export type ForeignFrom = 'override' | 'close'

/**
 * What becomes of a `subscribed` or `unsubscribed` of a contact of whose subscription nothing was seen. `fetch`: it passes, and the roster is
 * asked for, for clients that do not ask for it.
 */
export type Unverified = 'pass' | 'fetch' | 'drop'
