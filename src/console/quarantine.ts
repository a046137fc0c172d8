/** Requests of strangers that are held, for the operator: a list in pages, and what he decides about them. */
import type { HeldRequest } from '../account/held-requests.ts'
import { isPattern, jidPattern, onlyJidOf } from '../admin/jid-pattern.ts'
import type { Problem } from '../admin/problem.ts'
import type { Parameter, Query } from '../admin/query.ts'
import { ns } from '../stream/namespaces.ts'
import { child, text } from '../xml/element.ts'

const most = 200
const usual = 50
/** UTF-16 units of a stranger's text that are shown. */
const textAtMost = 500

export const quarantineParameters: Readonly<Record<string, Parameter>> = {
  account: 'pattern',
  contact: 'pattern',
  /** Requests of a page. */
  limit: { atLeast: 1, atMost: most },
  /** Requests before the page. */
  after: { atMost: Number.MAX_SAFE_INTEGER },
}

/** What the list is made of. */
export interface HeldSource {
  held(): Iterable<readonly [account: string, request: HeldRequest]>
  /** The texts that strangers have written are shown. */
  readonly withTexts: boolean
}

/** Of one account those come first that are let through first. `total`: all that fit; `next`: what to ask for with `after`, `null`: nothing is left. */
export function quarantinePage({ held, withTexts }: HeldSource, query: Query) {
  const limit = Number(query.get('limit')?.[0] ?? usual)
  const after = Number(query.get('after')?.[0] ?? 0)
  const fits = fitting(query.get('account') ?? ['*'], query.get('contact') ?? ['*'])
  const requests = []
  let total = 0
  for (const [account, request] of held()) {
    if (!fits(account, request.key)) continue
    if (total >= after && requests.length < limit) requests.push({ account, ...heldRow(request, withTexts) })
    total++
  }
  const next = after + requests.length
  return { total, next: next < total ? next : null, requests }
}

/** `since`: ISO 8601, UTC; `text`: `null`: there is none. Left out: texts are not shown. */
export function heldRow({ contact, since, why, element }: HeldRequest, withText: boolean) {
  const status = withText ? child(element, 'status', ns.client) : undefined
  const said = status === undefined ? null : text(status).slice(0, textAtMost)
  return { contact, since: new Date(since).toISOString(), why, ...(withText && { text: said }) }
}

export interface Choice {
  /** Folded bare JIDs, or patterns. */
  readonly account: string
  readonly contact: string
}

const members = ['account', 'contact']

/** `body`: the JSON that was sent, whatever it is. */
export function choiceOf(body: unknown): Choice | Problem {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return wrong('body', 'send an object with account and contact')
  const unknown = Object.keys(body).find(name => !members.includes(name))
  if (unknown !== undefined) return wrong(unknown.slice(0, 100), 'there is no such member', members)
  const { account, contact } = body as Readonly<Record<string, unknown>>
  const chosen = { account: named(account), contact: named(contact) }
  if (chosen.account === undefined)
    return wrong('account', 'whose requests: a bare JID such as juliet@im.example, or a pattern such as *@im.example')
  if (chosen.contact === undefined)
    return wrong('contact', 'whose requests: a bare JID such as bot@spam.example, or a pattern such as *@spam.example')
  return { account: chosen.account, contact: chosen.contact }
}

/** The requests that fit. One whose account and sender are named need not be held: it may come yet. */
export function chosenOf({ account, contact }: Choice, held: HeldSource['held']): (readonly [string, string])[] {
  if (onlyJidOf(account) !== undefined && onlyJidOf(contact) !== undefined) return [[account, contact]]
  const fits = fitting([account], [contact])
  const chosen: (readonly [string, string])[] = []
  for (const [of, { key }] of held()) if (fits(of, key)) chosen.push([of, key])
  return chosen
}

function fitting(
  accounts: readonly string[],
  contacts: readonly string[],
): (account: string, contact: string) => boolean {
  const accountFits = anyOf(accounts)
  const contactFits = anyOf(contacts)
  return (account, contact) => accountFits(account) && contactFits(contact)
}

function anyOf(patterns: readonly string[]): (jid: string) => boolean {
  const all = patterns.map(jidPattern)
  return jid => all.some(fits => fits(jid))
}

function named(value: unknown): string | undefined {
  if (typeof value !== 'string' || !isPattern(value)) return undefined
  return value.includes('*') ? value : onlyJidOf(value)
}

function wrong(parameter: string, detail: string, allowed?: readonly string[]): Problem {
  return { status: 400, parameter, detail, ...(allowed && { allowed }) }
}
