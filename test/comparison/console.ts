// go-sendxmpp, which can be told to send and to listen, and nothing else: what others are sent of it, and what it prints.
import { type ConsoleTarget, listenOnConsole, sendFromConsole } from '../clients/console.ts'
import { XmppClient } from '../clients/xmpp-client.ts'
import { type Part, partOf } from './compare.ts'
import { marked, Normaliser } from './normalise.ts'
import { stanza, type Way } from './stage.ts'

const words = 'e\u0301 <&> \u{1f9e1}'

/** Romeo's other client watches while go-sendxmpp writes in his name to Juliet's, and Juliet's to him. */
export async function playConsole(wire: 'starttls' | 'direct', way: Way, mark: string): Promise<Part[]> {
  const [romeo, juliet] = [marked('romeo', mark), marked('juliet', mark)]
  const witness = new XmppClient()
  const where = { domain: 'localhost', password: 'secret' }
  const { port } = way.ports[wire]
  const account = (user: string): ConsoleTarget => ({ ...where, wire, port, user, certificate: way.certificate })
  let stop = async () => {}
  try {
    const { jid } = await witness.connect({ ...where, ...way.ports.starttls, user: romeo, resource: 'garden' })
    await witness.send('<presence/>')
    await witness.waitFor(stanza('presence', { from: jid }), 'the own presence')
    const listener = await listenOnConsole(account(juliet))
    stop = listener.stop
    await sendFromConsole(account(romeo), `${juliet}@localhost`, words)
    const printed = /[^ ]+@localhost: .*/u.exec(await listener.printed(new RegExp(`${romeo}@localhost: ${words}`, 'u')))
    const console = `${romeo}@localhost/go-sendxmpp`
    await witness.waitFor(stanza('presence', { from: console }), 'its presence')
    await witness.waitFor(stanza('presence', { from: console, type: 'unavailable' }), 'that it is gone')
    await sendFromConsole(account(juliet), jid, words)
    await witness.waitFor(stanza('message', { from: juliet }), 'the message of the console')
    const normaliser = new Normaliser()
    const text = `<printed>${escaped(printed?.[0] ?? 'nothing')}</printed>`
    return [
      partOf(normaliser, { case: 'presence and a message', actor: 'witness', wire: 'starttls' }, witness.received()),
      partOf(normaliser, { case: 'a message', actor: 'console', wire }, [text]),
    ]
  } finally {
    await Promise.all([stop(), witness.stop()])
  }
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
