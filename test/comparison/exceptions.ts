// Every difference between a conversation with the server itself and the same one through the gate that is as it should be.

import type { ClientWire } from '../clients/test-client.ts'
import { find, type Tree } from './canon.ts'
import { ours } from './normalise.ts'

export interface Where {
  readonly server: string
  /** The wire of whoever received the line. */
  readonly wire: ClientWire
  /** Whether one of those who talk is on a WebSocket. */
  readonly anyWebsocket: boolean
  /** All that this client was sent through the gate. */
  readonly told: readonly Tree[]
}

export interface Exception {
  /** A rule of the gate, or the clause that binds it. */
  readonly name: string
  readonly clause: string
  readonly reason: string
  /** What the gate makes of a line that comes directly as `direct`; the very same object where it leaves it alone. */
  expected(direct: Tree, where: Where): Tree
}

const subscriptionTypes = new Set(['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed'])
const roster = 'jabber:iq:roster'

/** A line that differs must be equal once all of these have been applied; each is counted where it has changed it. */
export const exceptions: readonly Exception[] = [
  {
    name: 'subscription-bare-jids',
    clause: 'RFC 6121 3.1.2',
    reason: 'the server delivers one of the four subscription types with a full JID',
    expected: direct => {
      const { from, to, type = '' } = direct.attrs
      if (direct.name !== 'presence' || !subscriptionTypes.has(type)) return direct
      const isFull = [from, to].some(jid => jid?.includes('/'))
      const bare = (jid: string) => jid.split('/')[0] ?? ''
      const changed = { ...(from !== undefined && { from: bare(from) }), ...(to !== undefined && { to: bare(to) }) }
      return isFull ? { ...direct, attrs: { ...direct.attrs, ...changed } } : direct
    },
  },
  {
    name: 'roster-version-held',
    clause: 'RFC 6121 2.6.2',
    reason: 'a version that the gate does not know is not asked for: the whole roster instead of an empty result',
    expected: (direct, { told }) => {
      const { id } = direct.attrs
      if (id !== `${ours}version-elsewhere` || direct.children.length > 0) return direct
      const whole = told.find(one => one.attrs.id === `${ours}whole-roster`)
      return whole === undefined || find(whole, 'query', roster) === undefined
        ? direct
        : { ...direct, children: whole.children }
    },
  },
  {
    name: 'prosody-transport-status',
    clause: 'RFC 6121 4.5.2',
    reason:
      'Prosody itself puts into the unavailable presence of a client that goes without a word how its TLS ended; TLS ends at the gate',
    expected: (direct, { server }) => {
      const isUnavailable = direct.name === 'presence' && direct.attrs.type === 'unavailable'
      const status = isUnavailable && find(direct, 'status', direct.ns)
      if (server !== 'Prosody' || !status || status.children[0] !== 'Disconnected: unexpected eof while reading')
        return direct
      return { ...direct, children: direct.children.filter(node => node !== status) }
    },
  },
  {
    name: 'ejabberd-websocket-namespace',
    clause: 'Namespaces in XML 6.2',
    reason:
      "ejabberd 23.01 itself reads no xmlns='' on its WebSocket; through the gate, which writes to it over TCP, it does",
    expected: (direct, { server, anyWebsocket }) => {
      if (server !== 'ejabberd' || !anyWebsocket) return direct
      const lost = find(direct, 'z', 'urn:example')
      return lost === undefined ? direct : replaced(direct, lost, { ...lost, ns: '' })
    },
  },
]

function replaced(tree: Tree, old: Tree, by: Tree): Tree {
  if (tree === old) return by
  const children = tree.children.map(node => (typeof node === 'string' ? node : replaced(node, old, by)))
  return { ...tree, children }
}

/** Lines that no client is compared by. */
export const leftOut: readonly {
  readonly what: string
  readonly reason: string
  readonly is: (one: Tree) => boolean
}[] = [
  {
    what: `results with an id in ${ours}settle-`,
    reason: 'the pings by which a case waits until a server is done',
    is: one => one.name === 'iq' && one.attrs.id?.startsWith(`${ours}settle-`) === true,
  },
]

/** Cases whose stanzas a server sends in no fixed order: compared as a set, each stanza still as often as it came. */
export const unordered: readonly { readonly server: string; readonly case: string; readonly reason: string }[] = [
  {
    server: 'ejabberd',
    case: 'another client of the account',
    reason: 'each session is a process, and answers the presence probe of the new one when it gets to run',
  },
]
