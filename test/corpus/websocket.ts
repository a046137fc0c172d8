/** A WebSocket client made by hand, for frames that no library would send. RFC 6455 sections 4 and 5. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { RawClient, type Transport } from '../clients/raw.ts'
import { within } from '../clients/within.ts'
import type { Frame } from './case.ts'

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
export const path = '/xmpp-websocket'

/** The request of an upgrade, with headers put otherwise or, by `undefined`, left out. */
export function upgrade(changes: Readonly<Record<string, string | undefined>> = {}, line = `GET ${path} HTTP/1.1`) {
  const headers = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'AAECAwQFBgcICQoLDA0ODw==',
    'Sec-WebSocket-Protocol': 'xmpp',
    ...changes,
  }
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]))
  return `${[line, ...lines].join('\r\n')}\r\n\r\n`
}

export function encoded({ opcode = opcodes.text, fin = true, rsv = 0, masked = true, payload = '' }: Frame): Buffer {
  const content = Buffer.from(payload as string)
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  const size = content.length
  const mark = masked ? 0x80 : 0
  const head =
    size < 126
      ? Buffer.from([first, mark | size])
      : size < 65_536
        ? Buffer.from([first, mark | 126, size >> 8, size & 0xff])
        : Buffer.concat([Buffer.from([first, mark | 127, 0, 0, 0, 0]), uint32(size)])
  if (!masked) return Buffer.concat([head, content])
  // A mask of zeros leaves the payload as it is, and is a mask.
  return Buffer.concat([head, uint32(0), content])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** What has come of frames; `undefined` as long as one is not whole. A server's are not masked. */
function decoded(bytes: Buffer): { opcode: number; payload: Buffer; length: number } | undefined {
  if (bytes.length < 2) return undefined
  const short = (bytes[1] as number) & 0x7f
  const head = short === 126 ? 4 : short === 127 ? 10 : 2
  if (bytes.length < head) return undefined
  const size = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? bytes.readUInt32BE(6) : short
  if (bytes.length < head + size) return undefined
  return {
    opcode: (bytes[0] as number) & 0x0f,
    payload: bytes.subarray(head, head + size),
    length: head + size,
  }
}

export interface RawTransport extends Transport {
  /** Past the framing. */
  write(bytes: Buffer): void
}

/** Upgraded; rejects with the status when it is refused. */
export async function connectByHand(port: number): Promise<RawClient & { readonly transport: RawTransport }> {
  const socket = connect(port, '127.0.0.1').setNoDelay(true)
  await within('a connection', once(socket, 'connect'))
  socket.write(upgrade())
  const client = new RawClient({
    wire: 'websocket',
    send: data => socket.write(encoded({ payload: data })),
    write: (bytes: Buffer) => socket.write(bytes),
    end: () => socket.end(),
    destroy: () => socket.destroy(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  } as RawTransport)
  await within('the upgrade', upgraded(socket, client))
  return client as RawClient & { readonly transport: RawTransport }
}

function upgraded(socket: Socket, client: RawClient): Promise<void> {
  let held: Buffer = Buffer.alloc(0)
  let isOpen = false
  let code: number | undefined
  return new Promise((resolve, reject) => {
    socket.on('error', () => {}) // its end is told
    socket.on('close', () => {
      client.inbox.push({ item: 'gone', code: code ?? 1006 })
      reject(new Error('closed before the upgrade'))
    })
    socket.on('data', bytes => {
      held = Buffer.concat([held, bytes])
      if (!isOpen) {
        const end = held.indexOf('\r\n\r\n')
        if (end === -1) return
        const [, status] = /^HTTP\/1\.1 (\d+)/.exec(held.toString('latin1')) ?? []
        if (status !== '101') return reject(new Error(`status ${status}`))
        held = held.subarray(end + 4)
        isOpen = true
        resolve()
      }
      for (let frame = decoded(held); frame !== undefined; frame = decoded(held)) {
        held = held.subarray(frame.length)
        if (frame.opcode === opcodes.text) client.received(frame.payload)
        else if (frame.opcode === opcodes.pong) client.inbox.push({ item: 'whitespace' })
        else if (frame.opcode === opcodes.close) {
          code = frame.payload.length >= 2 ? frame.payload.readUInt16BE(0) : 1005
          socket.end(encoded({ opcode: opcodes.close, payload: frame.payload }))
        }
      }
    })
  })
}
