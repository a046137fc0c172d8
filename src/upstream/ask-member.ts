/** Whether a server serves streams: one is opened, with TLS where it is expected, and its features are awaited. Nobody is logged in. */

import type { Clock } from '../transport/clock.ts'
import type { Connection } from '../transport/connection.ts'
import { dial, type Target } from './dial.ts'

/** Milliseconds from the dial until the features have come. */
const patience = 5_000
/** Characters that are read of one stream. */
const atMost = 65_536

/** `domain`: the XMPP domain that is asked for. Never rejects. */
export function servesStreams(target: Target, domain: string, clock: Clock): Promise<boolean> {
  return new Promise(resolve => {
    let connection: Connection | undefined
    const settle = (serves: boolean) => {
      // The first answer counts: a connection with TLS says at once that it is closed.
      resolve(serves)
      cancel()
      giveUp()
      connection?.abort()
    }
    const cancel = clock.after(patience, () => settle(false))
    const giveUp = dial(
      target,
      { domain, client: undefined },
      made => {
        connection = made
        listen(made, headerFor(domain), target.mode === 'starttls', settle)
      },
      () => settle(false),
    )
  })
}

function listen(connection: Connection, header: string, starttls: boolean, settle: (serves: boolean) => void): void {
  let text = ''
  let isPlain = starttls
  const gone = () => settle(false)
  const read = () => {
    const found = wordIn(text)
    if (found === undefined) return text.length > atMost ? gone() : undefined
    if (found === 'features' && !isPlain) return settle(/<(?:\w+:)?stream\b[^>]*\sversion\s*=\s*["']0*[1-9]/.test(text))
    if (found === 'features' && /<(?:\w+:)?starttls\b/.test(text)) {
      text = ''
      return connection.write([`<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`])
    }
    if (found !== 'proceed' || !isPlain) return gone()
    isPlain = false
    text = ''
    connection.secure(Buffer.alloc(0))
  }
  connection.start({
    data: bytes => {
      text += Buffer.from(bytes).toString('latin1')
      read()
    },
    drained: () => {},
    stalled: gone,
    secured: () => connection.write([header]),
    ended: gone,
    closed: gone,
    wrote: () => {},
  })
  connection.write([header])
}

/** What the server has said, once it is whole; `undefined`: nothing yet. */
function wordIn(text: string): 'features' | 'proceed' | 'error' | undefined {
  if (/<(?:stream:)?error\b/.test(text)) return 'error'
  if (/<(?:stream:)?features\b[^>]*(?:\/>|>[\s\S]*<\/(?:stream:)?features\s*>)/.test(text)) return 'features'
  return /<(?:\w+:)?proceed\b[^>]*>/.test(text) ? 'proceed' : undefined
}

function headerFor(domain: string): string {
  const to = domain.replaceAll('&', '&amp;').replaceAll("'", '&apos;').replaceAll('<', '&lt;')
  const streams = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
  return `<?xml version='1.0'?><stream:stream to='${to}' version='1.0' ${streams}>`
}
