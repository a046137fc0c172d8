/** A server that lies, errs or falls silent at one place of a login, and is a good one up to there. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Bytes } from './case.ts'

/** What the hostile words stand in place of. `connect`: before the gate has said anything; `bound`: the answer to the first stanza. */
export const moments = ['connect', 'header', 'features', 'sasl', 'restart', 'second features', 'bind', 'bound'] as const
export type Moment = (typeof moments)[number]

/** `end`: the end tag of nobody, the transport's end; `reset`: its abort; `right`: what a good server says there; `on`: it
 * goes on as a good one. */
export type Say = Bytes | { readonly does: 'end' | 'reset' | 'right' | 'on' }

export interface Script {
  readonly at: Moment
  readonly says: readonly Say[]
}

const streams = 'http://etherx.jabber.org/streams'
const sasl = 'urn:ietf:params:xml:ns:xmpp-sasl'
const bindNs = 'urn:ietf:params:xml:ns:xmpp-bind'
export const serverHeader = `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='${streams}' from='localhost' id='f' version='1.0' xml:lang='en'>`
export const boundResult = `<iq type='result' id='bind'><bind xmlns='${bindNs}'><jid>juliet@localhost/x</jid></bind></iq>`

const right: Readonly<Record<Moment, string>> = {
  connect: '',
  header: serverHeader,
  features: `<stream:features><mechanisms xmlns='${sasl}'><mechanism>PLAIN</mechanism></mechanisms></stream:features>`,
  sasl: `<success xmlns='${sasl}'/>`,
  restart: serverHeader,
  'second features': `<stream:features><bind xmlns='${bindNs}'/></stream:features>`,
  bind: boundResult,
  bound: '',
}
/** After what the gate has said each thing is said. */
const cues: Readonly<Record<Moment, RegExp | undefined>> = {
  connect: undefined,
  header: /<stream:stream [^>]*>/,
  features: undefined,
  sasl: /<\/auth>/,
  restart: /<stream:stream [^>]*>/,
  'second features': undefined,
  bind: /<\/iq>/,
  bound: /<presence[^>]*\/>/,
}

export class HostileUpstream {
  /** What the next connection is in for. */
  script: Script = { at: 'bound', says: [] }
  private readonly server = createServer({ allowHalfOpen: true, noDelay: true }, socket => this.serve(socket))

  async listen(): Promise<number> {
    this.server.listen(0, '127.0.0.1')
    await once(this.server, 'listening')
    return (this.server.address() as AddressInfo).port
  }

  close(): void {
    this.server.close()
  }

  private serve(socket: Socket): void {
    const { script } = this
    let heard = ''
    let next = 0
    let isSilent = false
    const goOn = () => {
      for (; next < moments.length && !isSilent; next++) {
        const moment = moments[next] as Moment
        const cue = cues[moment]
        if (cue !== undefined) {
          const found = cue.exec(heard)
          if (found === null) return
          heard = heard.slice(found.index + found[0].length)
        }
        if (moment === script.at) isSilent = perform(socket, script.says, right[moment])
        else socket.write(right[moment])
      }
      this.answer(socket, heard)
    }
    socket.on('error', () => {}) // its end is told
    socket.on('end', () => socket.end())
    socket.on('data', bytes => {
      heard += bytes.toString('latin1')
      if (heard.includes('</stream:stream>')) socket.end(isSilent ? '' : '</stream:stream>')
      goOn()
    })
    goOn()
  }

  private answer(socket: Socket, heard: string): void {
    const [, id] = /<iq[^>]* id=["'](alive)["']/.exec(heard) ?? []
    if (id !== undefined) socket.write(`<iq type='result' id='${id}'/>`)
  }
}

/** Whether the server says nothing more by itself. */
function perform(socket: Socket, says: readonly Say[], right: string): boolean {
  let isSilent = true
  for (const say of says) {
    if (typeof say === 'string' || say instanceof Uint8Array) socket.write(say)
    else if (say.does === 'end') socket.end()
    else if (say.does === 'reset') socket.resetAndDestroy()
    else {
      if (say.does === 'right') socket.write(right)
      isSilent = false
    }
  }
  return isSilent
}
