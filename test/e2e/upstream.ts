import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** As much of a server as it takes to bind a resource. */
export class Upstream {
  /** What it binds; as XML has it. */
  jid = 'juliet@localhost/x'
  socket: Socket | undefined
  readonly server = createServer(socket => this.serve(socket.on('error', () => {}))).listen(0, '127.0.0.1')

  async port(): Promise<number> {
    if (!this.server.listening) await once(this.server, 'listening')
    return (this.server.address() as AddressInfo).port
  }

  /** The bytes that come from now on until, and with, this text, which it then answers with itself. */
  bytesUntil(text: string): Promise<number> {
    let count = 0
    return new Promise(resolve => {
      this.socket?.on('data', bytes => {
        count += bytes.length
        if (!String(bytes).includes(text)) return
        this.socket?.end(text)
        resolve(count)
      })
    })
  }

  private serve(socket: Socket): void {
    this.socket = socket
    const header = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='x' version='1.0'>`
    const sasl = `xmlns='urn:ietf:params:xml:ns:xmpp-sasl'`
    const bindNs = `xmlns='urn:ietf:params:xml:ns:xmpp-bind'`
    const steps: [when: RegExp, answer: string][] = [
      [/<stream:stream .*>/, `${header}<stream:features><mechanisms ${sasl}/></stream:features>`],
      [/<\/auth>/, `<success ${sasl}/>`],
      [/<stream:stream .*>/, `${header}<stream:features><bind ${bindNs}/></stream:features>`],
      [/<\/iq>/, `<iq type='result' id='bind'><bind ${bindNs}><jid>${this.jid}</jid></bind></iq>`],
    ]
    let heard = ''
    socket.on('data', bytes => {
      heard += steps.length > 0 ? bytes : ''
      if (steps[0]?.[0].test(heard) !== true) return
      socket.write(steps.shift()?.[1] ?? '')
      heard = ''
    })
  }
}
