/** What a rule's verdict is worth: it is carried out, only reported, or not asked for. */
export const modes = ['enforce', 'observe', 'off'] as const
export type Mode = (typeof modes)[number]
