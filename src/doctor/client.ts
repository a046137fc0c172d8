/** A user's client: it logs in, asks for the roster and sends presence. It answers requests as clients do. */
import { randomBytes } from 'node:crypto'
import { bareOf } from '../stanza/jid.ts'
import { ns } from '../stream/namespaces.ts'
import { child, type Element, element, elements, text } from '../xml/element.ts'
import { Gone, type ReceivedElements } from './received-elements.ts'
import { type Exchange, exchangeFor, SaslError } from './sasl.ts'
import { answerTo, conditionOf, iq, isAnswer, isRequest, ping, presence, rosterQueryOf, rosterSet } from './stanzas.ts'
import type { UpstreamStream } from './upstream-stream.ts'

export interface Account {
  /** A bare JID. */
  readonly jid: string
  readonly password: string
}

export interface Item {
  readonly jid: string
  readonly name: string | undefined
  readonly subscription: string
  readonly ask: boolean
  readonly groups: readonly string[]
}

/** The account cannot be used; the message says which and why. */
export class Refused extends Error {}

export class Client {
  readonly account: Account
  readonly leg: UpstreamStream
  /** The full JID, as the server has bound it. */
  readonly jid: string
  /** Of the login. */
  readonly mechanism: string
  /** The server signs the list of mechanisms that it has offered (XEP-0474). */
  readonly signsOffer: boolean
  /** What the server says of its TLS (XEP-0515); `undefined`: nothing. */
  readonly tlsSaid: string | undefined
  private count = 0

  private constructor(account: Account, leg: UpstreamStream, jid: string, exchange: Exchange) {
    this.account = account
    this.leg = leg
    this.jid = jid
    this.mechanism = exchange.mechanism
    this.signsOffer = exchange.signsOffer
    this.tlsSaid = exchange.tlsSaid
    leg.heard = heard => {
      if (isRequest(heard)) leg.send(answerTo(heard))
    }
  }

  /** Logs in on a new stream and binds a resource. Throws `Refused`. */
  static async login(account: Account, leg: UpstreamStream): Promise<Client> {
    try {
      const exchange = await authenticate(account, leg)
      await leg.restart(domainOf(account))
      return new Client(account, leg, await bind(leg), exchange)
    } catch (error) {
      leg.abort()
      throw error instanceof Refused ? error : new Refused(`${account.jid}: ${(error as Error).message}`)
    }
  }

  get mail(): ReceivedElements {
    return this.leg.mail
  }

  get bare(): string {
    return bareOf(this.jid)
  }

  send(...stanzas: readonly Element[]): void {
    this.leg.send(...stanzas)
  }

  /** An id that no stanza of this session has had. */
  id(): string {
    this.count += 1
    return `doctor-${this.count}`
  }

  /** Sends an IQ and gives its answer, also when that is an error. */
  async ask(attributes: Readonly<Record<string, string>>, child: Element): Promise<Element> {
    const id = this.id()
    const { mark } = this.mail
    this.send(iq({ ...attributes, id }, [child]))
    return this.mail.find(`answer to <${child.name} xmlns='${child.ns}'/>`, mark, heard => isAnswer(heard, id))
  }

  /** Resolves when the server has answered: what it was sent before is done. */
  async settled(): Promise<void> {
    const id = this.id()
    const { mark } = this.mail
    this.send(ping({ id, to: domainOf(this.account) }))
    await this.mail.find('answer to a ping', mark, heard => isAnswer(heard, id))
  }

  async roster(): Promise<Item[]> {
    const answer = await this.ask({ type: 'get' }, element('query', ns.roster))
    const query = rosterQueryOf(answer)
    if (query === undefined) throw new Refused(`${this.bare}: no roster (${conditionOf(answer) ?? 'empty answer'})`)
    return elements(query).map(itemOf)
  }

  /** Whether there was such an item. */
  async remove(jid: string): Promise<boolean> {
    const id = this.id()
    const { mark } = this.mail
    this.send(rosterSet(id, { jid, subscription: 'remove' }))
    const answer = await this.mail.find('answer to a roster set', mark, heard => isAnswer(heard, id))
    return answer.attrs.get('type') === 'result'
  }

  /** The first presence; what the server has kept for the user has come when it resolves. */
  async appear(): Promise<void> {
    this.send(presence())
    await this.settled()
  }

  close(): Promise<void> {
    return this.leg.close()
  }
}

export function itemOf(item: Element): Item {
  return {
    jid: item.attrs.get('jid') ?? '',
    name: item.attrs.get('name'),
    subscription: item.attrs.get('subscription') ?? 'none',
    ask: item.attrs.get('ask') === 'subscribe',
    groups: elements(item)
      .filter(each => each.name === 'group')
      .map(text)
      .toSorted(),
  }
}

export function domainOf({ jid }: Account): string {
  return jid.slice(jid.indexOf('@') + 1)
}

async function authenticate(account: Account, leg: UpstreamStream): Promise<Exchange> {
  const user = account.jid.slice(0, account.jid.indexOf('@'))
  const exchange = exchangeFor(leg.mechanisms, user, account.password, randomBytes(18).toString('base64'))
  if (exchange === undefined) {
    const offer = leg.mechanisms.join(', ') || 'none at all'
    throw new Refused(`${account.jid}: the server offers no SASL mechanism that takes a password here (${offer})`)
  }
  let { mark } = leg.mail
  leg.send(element('auth', ns.sasl, { mechanism: exchange.mechanism }, [base64(exchange.first)]))
  for (;;) {
    const heard = await leg.mail.find('answer to the login', mark, each => each.ns === ns.sasl)
    mark = leg.mail.mark
    if (heard.name === 'failure') throw new Refused(`${account.jid}: ${refusalOf(heard)}`)
    const data = Buffer.from(text(heard), 'base64')
    try {
      if (heard.name === 'success') {
        exchange.finish(data)
        return exchange
      }
      leg.send(element('response', ns.sasl, {}, [base64(exchange.answer(data))]))
    } catch (error) {
      if (error instanceof SaslError) throw new Refused(`${account.jid}: the server ${error.message}`)
      throw error
    }
  }
}

/** An empty message is one equals sign (RFC 6120 section 6.4.2). */
function base64(bytes: Buffer): string {
  return bytes.length === 0 ? '=' : bytes.toString('base64')
}

function refusalOf(failure: Element): string {
  const [condition] = elements(failure).filter(each => each.name !== 'text')
  const said = child(failure, 'text', ns.sasl)
  const words = said === undefined ? '' : `, '${text(said)}'`
  const isPassword = condition?.name === 'not-authorized'
  return `the server refuses ${isPassword ? 'its name or password' : 'the login'} (${condition?.name ?? 'no reason'}${words})`
}

async function bind(leg: UpstreamStream): Promise<string> {
  const { mark } = leg.mail
  const resource = element('resource', ns.bind, {}, [`stanzagate-doctor-${randomBytes(4).toString('hex')}`])
  leg.send(iq({ type: 'set', id: 'bind' }, [element('bind', ns.bind, {}, [resource])]))
  const answer = await leg.mail.find('bound resource', mark, heard => isAnswer(heard, 'bind'))
  const bound = child(answer, 'bind', ns.bind)
  const jid = bound && child(bound, 'jid', ns.bind)
  if (jid === undefined) throw new Gone(`the server binds no resource (${conditionOf(answer) ?? 'no reason'})`)
  return text(jid)
}
