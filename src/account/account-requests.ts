/**
 * What is known of the requests of strangers to one account, and its record in a store: for each stranger a field for its request and one for what the
 * operator has decided, and one for the day's times. Of gates with one store, one may decide while another one writes the request.
 */
import { type ElementRecord, elementOfRecord, recordOfElement } from '../xml/element-record.ts'
import { type HeldRequest, HeldRequests, type Rank, type WhyHeld } from './held-requests.ts'

/** What the operator says of a stranger's requests: they are shown whatever the limits say, or left out. */
export const decisions = ['release', 'deny'] as const
export type Decision = (typeof decisions)[number]

export interface Decided {
  readonly decision: Decision
  /** Milliseconds since 1970. */
  readonly since: number
}

/** Strangers are named by their key. */
export interface AccountRequests {
  /** The account's. */
  readonly key: string
  readonly held: HeldRequests
  /** Whose request was shown and is not answered, and when it was shown last, oldest first. */
  readonly shown: Map<string, number>
  /** What the operator has decided, oldest first. */
  readonly decided: Map<string, Decided>
  /** When requests were shown for the first time, oldest first; those of the last 24 hours. */
  times: number[]
}

/** Keeps requests beyond the process. Accounts and strangers are named by their keys. */
export interface QuarantineKeeper {
  /** A session of the account begins: `Quarantine.recall` may tell what was kept of it. */
  began(account: string): void
  /** What is known of this stranger's request is not what it was. */
  changed(account: string, contact: string): void
  /** What the operator has decided about this stranger is not what it was. */
  decided(account: string, contact: string): void
}

export function noRequests(account: string): AccountRequests {
  return { key: account, held: new HeldRequests(), shown: new Map(), decided: new Map(), times: [] }
}

/** Takes in what was kept, but for held requests. */
export function merged(known: AccountRequests, kept: AccountRequests): void {
  const shown = [...kept.shown].filter(([key]) => !known.shown.has(key) && known.held.get(key) === undefined)
  inOrder(known.shown, shown, time => time)
  const decided = [...kept.decided].filter(([key, { since }]) => since > (known.decided.get(key)?.since ?? 0))
  inOrder(known.decided, decided, each => each.since)
  known.times = [...new Set([...kept.times, ...known.times])].sort((one, other) => one - other)
}

function inOrder<Value>(
  map: Map<string, Value>,
  more: readonly [string, Value][],
  timeOf: (value: Value) => number,
): void {
  if (more.length === 0) return
  const all = [...new Map([...map, ...more])].sort(([, one], [, other]) => timeOf(one) - timeOf(other))
  map.clear()
  for (const [key, value] of all) map.set(key, value)
}

const timesField = 'times'
const strangerPrefix = 'request:'
const decisionPrefix = 'decided:'

interface KeptRequest extends Pick<HeldRequest, 'contact' | 'since' | 'why' | 'rank'> {
  readonly element: ElementRecord
}

interface ContactRecord {
  readonly held?: KeptRequest
  readonly shown?: number
}

/** The field of a stranger's request, and that of what the operator has decided about the stranger. */
export function requestField(contact: string): string {
  return strangerPrefix + contact
}

export function decisionField(contact: string): string {
  return decisionPrefix + contact
}

/** These fields, and that of the times. `undefined`: the field is to be removed. */
export function requestFieldsOf(requests: AccountRequests, names: Iterable<string>): Map<string, string | undefined> {
  const fields = new Map<string, string | undefined>([[timesField, JSON.stringify(requests.times)]])
  for (const name of names)
    fields.set(
      name,
      name.startsWith(decisionPrefix)
        ? decisionText(requests, name.slice(decisionPrefix.length))
        : contactText(requests, name.slice(strangerPrefix.length)),
    )
  return fields
}

/** Leaves out what these fields say. */
export function forgetFields(requests: AccountRequests, names: Iterable<string>): void {
  for (const name of names) {
    if (name.startsWith(decisionPrefix)) {
      requests.decided.delete(name.slice(decisionPrefix.length))
      continue
    }
    const contact = name.slice(strangerPrefix.length)
    requests.held.delete(contact)
    requests.shown.delete(contact)
  }
}

function decisionText({ decided }: AccountRequests, key: string): string | undefined {
  const decision = decided.get(key)
  return decision && JSON.stringify(decision)
}

function contactText({ held, shown }: AccountRequests, key: string): string | undefined {
  const request = held.get(key)
  const record: ContactRecord = {
    ...(request !== undefined && { held: heldRecord(request) }),
    ...(shown.has(key) && { shown: shown.get(key) as number }),
  }
  return Object.keys(record).length === 0 ? undefined : JSON.stringify(record)
}

function heldRecord({ contact, since, why, rank, element }: HeldRequest): KeptRequest {
  return { contact, since, why, rank, element: recordOfElement(element) }
}

/** Throws when these are not the fields of such a record. */
export function requestsOf(account: string, fields: ReadonlyMap<string, string>): AccountRequests {
  const requests = noRequests(account)
  const held: HeldRequest[] = []
  const shown: [string, number][] = []
  const decided: [string, Decided][] = []
  for (const [name, text] of fields) {
    if (name === timesField) requests.times = numbersOf(JSON.parse(text))
    if (name.startsWith(decisionPrefix))
      decided.push([name.slice(decisionPrefix.length), decidedOf(JSON.parse(text) as Decided)])
    if (!name.startsWith(strangerPrefix)) continue
    const key = name.slice(strangerPrefix.length)
    const record = JSON.parse(text) as ContactRecord
    if (record.held !== undefined) held.push(heldOf(key, record.held))
    if (record.shown !== undefined) shown.push([key, timeOf(record.shown)])
  }
  held.sort((one, other) => one.since - other.since)
  for (const request of held) requests.held.add(request, 1)
  inOrder(requests.shown, shown, time => time)
  inOrder(requests.decided, decided, each => each.since)
  return requests
}

function heldOf(key: string, { contact, since, why, rank, element }: KeptRequest): HeldRequest {
  if (typeof contact !== 'string') throw new TypeError('a held request has a contact')
  const own = { why: String(why) as WhyHeld, rank: (Number.isInteger(rank) ? rank : 2) as Rank }
  return { key, contact, since: timeOf(since), ...own, element: elementOfRecord(element) }
}

function decidedOf({ decision, since }: Decided): Decided {
  if (!decisions.includes(decision)) throw new TypeError(`${decision} is no decision`)
  return { decision, since: timeOf(since) }
}

function numbersOf(value: unknown): number[] {
  if (!Array.isArray(value)) throw new TypeError('the times are a list')
  return value.map(timeOf)
}

function timeOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError('a time is a number')
  return value
}
