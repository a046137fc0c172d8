/**
 * What a rule's verdict is worth. `enforce`: it is carried out. `repair`: a stanza that can be put right is put right and goes on;
 * what cannot be put right is only reported. `observe`: it is only reported. `off`: the rule is not asked.
 */
export const modes = ['enforce', 'repair', 'observe', 'off'] as const
export type Mode = (typeof modes)[number]

/** `override`: the bound JID takes its place (RFC 6120 section 8.1.2.1); `close`: the stream ends with `invalid-from`. */
export type ForeignFrom = 'override' | 'close'
