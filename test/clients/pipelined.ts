import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { starttls } from './raw.ts'
import { within } from './within.ts'

/** STARTTLS with the ClientHello right behind the command (XEP-0305); rejects when no TLS comes of it. */
export async function connectPipelined(port: number, header: string, ca: string): Promise<TLSSocket> {
  const socket = connect(port, '127.0.0.1')
  socket.write(header)
  await within('the features', untilText(socket, '</stream:features>'))
  const secure = connectTls({ socket: new Pipelined(socket), ca, servername: 'localhost' })
  secure.on('close', () => socket.destroy())
  await within('TLS', once(secure, 'secureConnect'))
  return secure
}

async function untilText(socket: Socket, text: string): Promise<void> {
  let all = ''
  while (!all.includes(text)) all += String((await once(socket, 'data'))[0])
}

/** A socket for TLS that sends the command together with the ClientHello, and takes `<proceed/>` out of what comes. */
class Pipelined extends Duplex {
  private head: string | undefined = starttls
  private proceeding = Buffer.alloc(0)
  private readonly socket: Socket

  constructor(socket: Socket) {
    super()
    this.socket = socket
    const proceed = `<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`
    let proceeded = false
    socket.on('data', bytes => {
      if (proceeded) {
        this.push(bytes)
        return
      }
      this.proceeding = Buffer.concat([this.proceeding, bytes])
      if (this.proceeding.length < proceed.length) return
      proceeded = true
      if (this.proceeding.length > proceed.length) this.push(this.proceeding.subarray(proceed.length))
    })
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const bytes = this.head === undefined ? chunk : Buffer.concat([Buffer.from(this.head), chunk])
    this.head = undefined
    this.socket.write(bytes, done)
  }
}
