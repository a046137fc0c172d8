// Every client that a suite can drive, and the wires that it can speak.
import { SlixmppClient } from './slixmpp.ts'
import { StropheClient } from './strophe.ts'
import type { ClientWire, TestClient } from './test-client.ts'
import { XmppClient } from './xmpp-client.ts'

export interface ClientKind {
  readonly name: string
  readonly wires: readonly ClientWire[]
  /** `certificate` is the path of the PEM file that it shall trust; this process has to trust it as well. */
  make(certificate: string): TestClient
}

export const clientKinds: readonly ClientKind[] = [
  { name: '@xmpp/client', wires: ['starttls', 'direct', 'ws', 'wss'], make: () => new XmppClient() },
  { name: 'slixmpp', wires: ['starttls', 'direct'], make: certificate => new SlixmppClient(certificate) },
  // PLAIN, because the test servers' accounts have fewer iterations of SCRAM than strophe.js accepts.
  { name: 'strophe.js', wires: ['ws', 'wss'], make: () => new StropheClient({ plain: true }) },
]
