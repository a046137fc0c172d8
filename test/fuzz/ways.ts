/** The ways through the gate: whose bytes are read on which wire, and on which wire they are written again. */
import type { Wire } from '../../src/stream/framing.ts'
import type { Side } from '../../src/stream/item.ts'

export interface Way {
  readonly name: string
  readonly from: Side
  /** Read on this one; */
  readonly wire: Wire
  /** written on this one. */
  readonly out: Wire
}

export const ways: readonly Way[] = [
  { name: 'client, TCP', from: 'client', wire: 'tcp', out: 'tcp' },
  { name: 'client, WebSocket', from: 'client', wire: 'websocket', out: 'tcp' },
  { name: 'server, to TCP', from: 'upstream', wire: 'tcp', out: 'tcp' },
  { name: 'server, to WebSocket', from: 'upstream', wire: 'tcp', out: 'websocket' },
]
