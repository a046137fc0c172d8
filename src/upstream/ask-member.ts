/** Whether a server serves streams: one is opened, and its features are awaited. Nobody is logged in. */

import type { Clock } from '../transport/clock.ts'
import type { Connection } from '../transport/connection.ts'
import { dial, type Target } from './dial.ts'

/** Milliseconds from the dial until the features have come. */
const patience = 5_000
/** Bytes that are read. */
const atMost = 65_536

/** `domain`: the XMPP domain that is asked for. Never rejects. */
export function servesStreams(target: Target, domain: string, clock: Clock): Promise<boolean> {
  return new Promise(resolve => {
    let connection: Connection | undefined
    const settle = (serves: boolean) => {
      cancel()
      giveUp()
      connection?.abort()
      resolve(serves)
    }
    const cancel = clock.after(patience, () => settle(false))
    const giveUp = dial(
      target,
      { domain, client: undefined },
      made => {
        connection = made
        listen(made, settle)
        made.write([headerFor(domain)])
      },
      () => settle(false),
    )
  })
}

function listen(connection: Connection, settle: (serves: boolean) => void): void {
  let text = ''
  const gone = () => settle(false)
  connection.start({
    data: bytes => {
      text += Buffer.from(bytes).toString('latin1')
      if (/<(?:stream:)?features\b/.test(text)) settle(true)
      else if (/<(?:stream:)?error\b/.test(text) || text.length > atMost) settle(false)
    },
    drained: () => {},
    stalled: gone,
    secured: () => {},
    ended: gone,
    closed: gone,
    wrote: () => {},
  })
}

function headerFor(domain: string): string {
  const to = domain.replaceAll('&', '&amp;').replaceAll("'", '&apos;').replaceAll('<', '&lt;')
  const streams = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
  return `<?xml version='1.0'?><stream:stream to='${to}' version='1.0' ${streams}>`
}
