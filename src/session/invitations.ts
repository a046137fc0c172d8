/**
 * Invitations that the server makes for the user: the result of an ad-hoc command (XEP-0401 section 3) with a URI
 * `xmpp:romeo@im.example?roster;preauth=TOKEN`. Only these are visible here: a token that a client makes by itself (XEP-0379 section 3.2) passes
 * no stream before somebody shows it.
 */

import { parseDateTime } from '../stanza/date-time.ts'
import { detachedString } from '../stanza/detached-string.ts'
import { compareBare } from '../stanza/jid.ts'
import { isOwnServer } from '../stanza/own-addresses.ts'
import type { Stanza } from '../stanza/stanza.ts'
import { ns } from '../stream/namespaces.ts'
import { child, type Element, elements, text } from '../xml/element.ts'

export interface Invitation {
  readonly token: string
  /** Milliseconds since 1970; `undefined`: it is not said. */
  readonly expires: number | undefined
}

/** The commands `urn:xmpp:invite#invite` and `urn:xmpp:invite#create-account`. */
const commandPrefix = 'urn:xmpp:invite#'
/** Commands whose result is awaited; beyond this number the oldest is forgotten. */
const awaitedAtMost = 20
/** UTF-16 units of an id that is remembered, and of a token. */
const longest = 1_000

export class Invitations {
  private readonly account: string
  /** Ids of commands; `undefined`: none is awaited. */
  private awaited: Set<string> | undefined

  /** `account`: its bare JID. */
  constructor(account: string) {
    this.account = account
  }

  /** An IQ of the client's has gone on. */
  sent({ type, id, to, element }: Stanza): void {
    if (type !== 'set' || id === undefined || id.length > longest || !isOwnServer(to, this.account)) return
    const command = child(element, 'command', ns.commands)
    if (command?.attrs.get('node')?.startsWith(commandPrefix) !== true) return
    this.awaited ??= new Set()
    this.awaited.add(detachedString(id))
    if (this.awaited.size > awaitedAtMost) for (const oldest of this.awaited) if (this.awaited.delete(oldest)) break
  }

  /** An IQ of the server's has gone on; `undefined`: it holds no invitation to this account. */
  received({ type, id, from, element }: Stanza): Invitation | undefined {
    if (this.awaited === undefined || type !== 'result' || id === undefined || !this.awaited.has(id)) return undefined
    if (!isOwnServer(from, this.account)) return undefined
    this.awaited.delete(id)
    if (this.awaited.size === 0) this.awaited = undefined
    const command = child(element, 'command', ns.commands)
    const form = command && child(command, 'x', ns.dataForms)
    if (form === undefined) return undefined
    const token = tokenIn(fieldOf(form, 'uri') ?? '', this.account)
    return token === undefined ? undefined : { token, expires: parseDateTime(fieldOf(form, 'expire') ?? '') }
  }
}

/** The value of a form's field, which may stand in an item. */
function fieldOf(form: Element, name: string): string | undefined {
  const parts = elements(form).flatMap(part => (part.name === 'item' ? elements(part) : [part]))
  const isWanted = (part: Element) =>
    part.ns === ns.dataForms && part.name === 'field' && part.attrs.get('var') === name
  const field = parts.find(isWanted)
  const value = field && child(field, 'value', ns.dataForms)
  return value && text(value)
}

/** The token in a URI (RFC 5122) that invites to this account. */
export function tokenIn(uri: string, account: string): string | undefined {
  const [, path, query] = /^xmpp:([^?#]*)\?([^#]*)/i.exec(uri.trim()) ?? []
  if (path === undefined || query === undefined) return undefined
  const jid = decoded(path)
  if (jid === undefined || compareBare(jid, account) === 'different') return undefined
  const pair = query.split(';').find(each => each.startsWith('preauth='))
  const token = pair === undefined ? undefined : decoded(pair.slice('preauth='.length))
  return token === undefined || token === '' || token.length > longest ? undefined : token
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

/** The token that a request shows (XEP-0379 section 3.4). */
export function tokenOf(request: Element): string | undefined {
  const token = child(request, 'preauth', ns.preauth)?.attrs.get('token')
  return token === undefined || token === '' || token.length > longest ? undefined : token
}
