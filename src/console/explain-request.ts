/** A question by whoever runs the gate: what it would make of this stanza, with the rules as they are configured. */

import type { Problem } from '../admin/problem.ts'
import type { RulesConfig } from '../config/types.ts'
import { type Explanation, explainStanza } from '../explain/explain.ts'
import { readStanza } from '../explain/read-stanza.ts'
import { isStateName, stateNames } from '../explain/states.ts'
import { hasResource, parseJid } from '../stanza/jid.ts'

const senders = ['client', 'server'] as const
const members = ['stanza', 'from', 'state', 'account']

/** `body`: the JSON that was sent, whatever it is. */
export function explained(body: unknown, rules: RulesConfig): Explanation | Problem {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return wrong('body', 'send an object with stanza, from, state and account')
  const unknown = Object.keys(body).find(name => !members.includes(name))
  if (unknown !== undefined) return wrong(unknown.slice(0, 100), 'there is no such member', members)
  const { stanza: xml, from = 'server', state = 'none', account } = body as Readonly<Record<string, unknown>>
  if (typeof xml !== 'string' || xml.trim() === '') return wrong('stanza', 'give one stanza, as XML')
  if (from !== 'client' && from !== 'server') return wrong('from', 'who has sent it: client or server', senders)
  if (typeof state !== 'string' || !isStateName(state))
    return wrong('state', `what the roster shows of the contact: one of ${stateNames.join(', ')}`, stateNames)
  if (typeof account !== 'string' || parseJid(account)?.local === undefined)
    return wrong('account', 'whose session it is: a JID, as juliet@im.example/balcony')
  const side = from === 'client' ? 'client' : 'upstream'
  const stanza = readStanza(Buffer.from(xml), side)
  if ('flaw' in stanza) return wrong('stanza', stanza.flaw)
  const jid = hasResource(account) ? account : `${account}/console`
  return explainStanza({ stanza, from: side, jid, state, rules })
}

function wrong(parameter: string, detail: string, allowed?: readonly string[]): Problem {
  return { status: 400, parameter, detail, ...(allowed && { allowed }) }
}
