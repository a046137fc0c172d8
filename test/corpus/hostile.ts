/** Plays the cases of a hostile server: one after the other, since the server is told beforehand what it is to be. */
import { auth, bind, type Item, outline, type RawClient, shown } from '../clients/raw.ts'
import { within } from '../clients/within.ts'
import type { Gate } from '../e2e/gate.ts'
import type { Wire } from './case.ts'
import type { HostileCase } from './cases/upstream.ts'
import type { Result } from './player.ts'
import type { HostileUpstream } from './upstream.ts'
import { connectByHand } from './websocket.ts'

const streams = 'http://etherx.jabber.org/streams'
const patience = 8_000

export async function playHostile(
  one: HostileCase,
  wire: Wire,
  gate: Gate,
  upstream: HostileUpstream,
): Promise<Result> {
  upstream.script = one
  const items: Item[] = []
  const about = { case: one, wire, server: 'hostile' }
  let client: RawClient | undefined
  try {
    client = await (wire === 'ws' ? connectByHand(gate.port('ws')) : gate.connect(wire))
    await within('the case', login(client, items, one), patience)
    const detail = faultOf(one, wire, items)
    const isPoisoned = items.some(item => item.item === 'element' && outline(item.element).includes('poison'))
    return { ...about, ok: detail === '', unsafe: isPoisoned || items.some(item => item.item === 'error'), detail }
  } catch (error) {
    return {
      ...about,
      ok: false,
      unsafe: false,
      detail: `${(error as Error).message}; got ${items.map(shown).join(' ')}`,
    }
  } finally {
    client?.transport.destroy()
  }
}

/** As far as the server lets it. */
async function login(client: RawClient, items: Item[], one: HostileCase): Promise<void> {
  const until = async (name: string) => {
    const isEnough = (item: Item) => {
      items.push(item)
      return (
        item.item === 'gone' ||
        (item.item === 'element' && (item.element.name === name || item.element.attrs.get('id') === name))
      )
    }
    await client.inbox.until(name, isEnough)
    return items.at(-1)?.item !== 'gone'
  }
  client.send(client.header())
  if (!(await until('features'))) return
  client.send(auth('juliet'))
  if (!(await until('success'))) return
  client.send(client.header())
  if (!(await until('features'))) return
  client.send(bind('x'))
  if (!(await until('bind'))) return
  client.send("<presence xmlns='jabber:client'/>")
  const lives = typeof one.expect === 'object' && !('error' in one.expect)
  if (lives) client.send("<iq xmlns='jabber:client' type='get' id='alive'><ping xmlns='urn:xmpp:ping'/></iq>")
  await until(lives ? 'alive' : 'the end')
}

function faultOf({ expect }: HostileCase, wire: Wire, items: readonly Item[]): string {
  const kept = items.filter(item => item.item !== 'whitespace')
  const got = `got ${kept.map(shown).join(' ')}`
  const last = kept.at(-1)
  const errors = kept.flatMap(item =>
    item.item === 'element' && item.element.ns === streams && item.element.name === 'error' ? [item.element] : [],
  )
  const isEnded = kept.at(-2)?.item === 'close' && last?.item === 'gone' && (wire !== 'ws' || last.code === 1000)
  if (kept[0]?.item !== 'open') return `no header: ${got}`
  if (expect === 'ends') return isEnded && errors.length === 0 ? '' : got
  if ('error' in expect) {
    const condition = errors
      .map(outline)
      .join()
      .match(/error\[([\w-]+)/)?.[1]
    const isRight = errors.length === 1 && expect.error.some(one => one === condition)
    return isRight &&
      isEnded &&
      kept.at(-3) === kept.find(item => item.item === 'element' && item.element === errors[0])
      ? ''
      : got
  }
  const text = kept.map(shown).join(' ')
  const isRight = last?.item === 'element' && errors.length === 0
  return isRight && text.includes(expect.passes ?? '') && !(expect.stops !== undefined && text.includes(expect.stops))
    ? ''
    : got
}
