/** An external component (XEP-0114) of the tests' servers: whoever lives at `stranger.localhost`. It answers nothing by itself. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { within } from '../clients/within.ts'

export interface Component {
  /** Writes stanzas; their namespace is that of the component's stream. */
  send(xml: string): void
  /** Waits until what the server has sent matches, and gives the first group of it. What came before is gone. */
  until(what: string, wanted: RegExp): Promise<string>
  stop(): void
}

/** `port`: the server's component port. Rejects when the server does not take the secret. */
export async function startComponent(port: number, secret: string, domain = 'stranger.localhost'): Promise<Component> {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.setEncoding('utf8').on('data', data => {
    text += data
  })
  const until = async (what: string, wanted: RegExp): Promise<string> => {
    for (;;) {
      const found = wanted.exec(text)
      if (found !== null) {
        text = text.slice(found.index + found[0].length)
        return found[1] ?? ''
      }
      await within(what, once(socket, 'data'))
    }
  }
  const namespaces = `xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'`
  socket.write(`<stream:stream ${namespaces} to='${domain}'>`)
  const id = await until("the component's stream", /<stream:stream[^>]*\sid=['"]([^'"]*)/)
  socket.write(`<handshake>${createHash('sha1').update(`${id}${secret}`).digest('hex')}</handshake>`)
  await until('the handshake', /<handshake\s*\/>|<handshake>/)
  return { send: xml => socket.write(xml), until, stop: () => socket.destroy() }
}
