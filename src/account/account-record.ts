/**
 * An account as the fields of a record: `roster` with the version of the roster, a field for each contact that the roster shows, and one for each that
 * has sent what is not acknowledged. Only accounts whose whole roster was seen have a record.
 */
import type { Visible } from '../subscription/state.ts'
import type { KeptAccount } from './accounts.ts'
import type { RosterSnapshot } from './ledger.ts'

/** Texts by name. */
export type Fields = ReadonlyMap<string, string>

export interface AccountRecord {
  readonly roster: RosterSnapshot
  /** When a contact has come to its state, by folded bare JID; milliseconds since 1970. */
  readonly since: ReadonlyMap<string, number>
  /** Texts of `Unacknowledged.textOf`, by folded bare JID. */
  readonly unacknowledged: ReadonlyMap<string, string>
}

/** Its text says at which version the other fields stand. */
export const rosterField = 'roster'
export const contactPrefix = 'contact:'
export const unacknowledgedPrefix = 'unacknowledged:'

/** Gives the fields of these contacts, and that of the roster. `undefined`: the field is to be removed. */
export function fieldsOf(account: KeptAccount, contacts: Iterable<string>): Map<string, string | undefined> {
  const fields = new Map<string, string | undefined>([[rosterField, rosterText(account.ledger.ver)]])
  for (const contact of contacts) {
    const state = account.ledger.itemOf(contact)
    fields.set(contactPrefix + contact, state && contactText(state, account.since.get(contact)))
    const text = account.unacknowledged.textOf(contact)
    if (text !== undefined || account.unacknowledged.isGone(contact)) fields.set(unacknowledgedPrefix + contact, text)
  }
  return fields
}

/** Gives all fields. */
export function wholeRecordOf(account: KeptAccount): Map<string, string | undefined> {
  return fieldsOf(account, new Set([...account.ledger.visibleItems().keys(), ...account.unacknowledged.keys()]))
}

/** `undefined`: these are not the fields of an account. */
export function accountOf(fields: Fields): AccountRecord | undefined {
  const roster = rosterFrom(fields.get(rosterField))
  if (roster === undefined) return undefined
  const items = new Map<string, Visible>()
  const since = new Map<string, number>()
  const unacknowledged = new Map<string, string>()
  for (const [name, text] of fields) {
    if (name.startsWith(unacknowledgedPrefix)) unacknowledged.set(name.slice(unacknowledgedPrefix.length), text)
    if (!name.startsWith(contactPrefix)) continue
    const found = contactForm.exec(text)
    if (found === null) return undefined
    const [, subscription, ask, time] = found
    const contact = name.slice(contactPrefix.length)
    items.set(contact, { subscription: subscription as Visible['subscription'], ask: ask !== undefined })
    if (time !== undefined) since.set(contact, Number(time))
  }
  return { roster: { ...roster, items }, since, unacknowledged }
}

/** `version 17`, or `no version`. */
export function rosterText(ver: string | undefined): string {
  return ver === undefined ? 'no version' : `version ${ver}`
}

function rosterFrom(text: string | undefined): { ver: string | undefined } | undefined {
  if (text === 'no version') return { ver: undefined }
  return text?.startsWith('version ') ? { ver: text.slice('version '.length) } : undefined
}

const contactForm = /^(none|to|from|both)(\+ask)?(?: (\d{1,15}))?$/

/** `both`, `none+ask`, with the time at which the contact came to this state: `to 1764300000000`. */
function contactText({ subscription, ask }: Visible, since: number | undefined): string {
  return `${subscription}${ask ? '+ask' : ''}${since === undefined ? '' : ` ${Math.round(since)}`}`
}
