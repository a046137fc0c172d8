/**
 * The accounts that the probes use: the user, the strangers, and the subscriptions between them. It remembers what it has
 * changed, and restores it.
 */
import { randomBytes } from 'node:crypto'
import { type Account, Client, type Item, itemOf, Refused } from './client.ts'
import { Component, type ComponentOptions } from './component.ts'
import { Contact } from './contact.ts'
import { CannotProbe, type ProbeTarget } from './probe-target.ts'
import { Gone, Late } from './received-elements.ts'
import { isPresenceFrom, presence, rosterQueryOf, sameBare } from './stanzas.ts'
import { UpstreamStream } from './upstream-stream.ts'

export interface TestAccountsOptions {
  readonly accounts: readonly Account[]
  readonly component: ComponentOptions | undefined
  /** How many strangers ask at once. */
  readonly strangers: number
  /** Goes on where the accounts have contacts. */
  readonly force: boolean
}

/** Milliseconds for a stanza to reach the other side of a server that does not answer for it. */
const quiet = 1_000
/** Milliseconds for what a server does beside the way that was waited for. */
const linger = 50
/** Milliseconds for putting everything back. */
const patience = 30_000

/** What the user has seen of a peer since a mark, in order. */
export interface SeenByUser {
  readonly presences: readonly string[]
  readonly items: readonly Item[]
  readonly order: readonly ('presence' | 'push')[]
}

export class TestAccounts {
  readonly ground: ProbeTarget
  readonly strangers: number
  user: Client
  private readonly second: Client | undefined
  private readonly component: Component | undefined
  private readonly rosters = new Map<Client, readonly Item[]>()
  private readonly met: Contact[] = []
  private readonly run = randomBytes(4).toString('hex')
  /** Strangers' IQs reach the user, so that the answer to one says that what went before has arrived. */
  private reachable = true

  private constructor(
    ground: ProbeTarget,
    strangers: number,
    user: Client,
    second: Client | undefined,
    component: Component | undefined,
  ) {
    this.ground = ground
    this.strangers = strangers
    this.user = user
    this.second = second
    this.component = component
  }

  /** Everybody logs in. Throws `Refused`, with everybody gone again. */
  static async enter(ground: ProbeTarget, options: TestAccountsOptions): Promise<TestAccounts> {
    const entered: { close(): unknown }[] = []
    const enter = async <Entrant extends { close(): unknown }>(entrant: Promise<Entrant>): Promise<Entrant> => {
      entered.push(await entrant)
      return entrant
    }
    try {
      const clients: Client[] = []
      for (const account of options.accounts) clients.push(await enter(login(ground, account)))
      const [user, second] = clients
      if (user === undefined) throw new Refused('no account was given')
      const component = options.component && (await enter(Component.open(options.component, ground.deadline)))
      const world = new TestAccounts(ground, options.strangers, user, second, component)
      for (const client of clients) await world.prepare(client, options.force)
      return world
    } catch (error) {
      await Promise.all(entered.map(each => each.close()))
      throw error
    }
  }

  /** There are strangers whose stanzas no server checks (the component). */
  get hasStrangers(): boolean {
    return this.component !== undefined
  }

  /** Somebody whom the user does not know. */
  stranger(): Contact {
    if (this.component === undefined) throw new CannotProbe('there is no component')
    const peer = Contact.ofComponent(this.component, `doctor-${this.run}-${this.met.length + 1}`)
    this.met.push(peer)
    return peer
  }

  /** Somebody whom the user does not know, and whose server may hold them to the rules. */
  contact(): Contact {
    if (this.component !== undefined || this.second === undefined) return this.stranger()
    const peer = Contact.ofClient(this.second)
    this.met.push(peer)
    return peer
  }

  /** Resolves when all that the peer and the user have said has had its effect on both. */
  async settle(peer: Contact): Promise<void> {
    if (this.reachable) {
      await peer.reach(this.user.jid, 3_000).catch(error => {
        if (!(error instanceof Late)) throw error
        this.reachable = false
      })
    }
    await this.user.settled()
    await this.ground.deadline.pause(this.reachable ? linger : quiet)
  }

  /** What the user has seen of the peer since the mark of the user's mailbox. */
  seen(peer: Contact, mark: number): SeenByUser {
    const presences: string[] = []
    const items: Item[] = []
    const order: ('presence' | 'push')[] = []
    for (const heard of this.user.mail.since(mark)) {
      const item = rosterQueryOf(heard)?.children.find(node => typeof node !== 'string')
      if (heard.name === 'iq' && heard.attrs.get('type') === 'set' && typeof item === 'object') {
        if (!sameBare(heard.attrs.get('from') ?? this.user.bare, this.user.bare)) continue
        if (!sameBare(item.attrs.get('jid') ?? '', peer.bare)) continue
        items.push(itemOf(item))
        order.push('push')
      } else if (isPresenceFrom(heard, peer.bare, heard.attrs.get('type') ?? '')) {
        presences.push(heard.attrs.get('type') ?? '')
        order.push('presence')
      }
    }
    return { presences, items, order }
  }

  /** What the user's roster holds of the peer now. */
  async item(peer: Contact): Promise<Item | undefined> {
    return (await this.user.roster()).find(({ jid }) => sameBare(jid, peer.bare))
  }

  /** Settles what the user has asked of the peer. Throws `Unfit` when the request has not reached it. */
  async asked(peer: Contact): Promise<void> {
    await this.settle(peer)
    if (peer.heard(0, this.user.bare, 'subscribe').length === 0)
      throw new CannotProbe("the user's request does not reach the contact: something holds requests back")
  }

  /** Throws `Unfit` unless the roster shows that subscription. */
  async mustBe(peer: Contact, subscription: string): Promise<void> {
    const item = await this.item(peer)
    if (item?.subscription !== subscription)
      throw new CannotProbe(
        `the subscription is '${item?.subscription ?? 'none'}' where it should have become '${subscription}'`,
      )
  }

  /** Another session of the user's. */
  session(): Promise<Client> {
    return login(this.ground, this.user.account)
  }

  /** Between two probes: the user is there again, and the second account unknown again. */
  async next(): Promise<void> {
    if (this.user.mail.gone !== undefined) {
      const before = this.rosters.get(this.user) ?? []
      this.user = await this.session()
      this.rosters.set(this.user, before)
      await this.user.roster()
      await this.user.appear()
    }
    if (this.component === undefined && this.met.length > 0) await this.forget(this.met.splice(0))
  }

  /** Puts everything back and goes; gives what could not be put back. */
  async leave(): Promise<string[]> {
    this.ground.deadline.set(patience)
    try {
      await this.next()
      await this.forget(this.met)
      return await this.differences()
    } catch (error) {
      if (!(error instanceof Late || error instanceof Gone || error instanceof Refused)) throw error
      return [`${this.user.account.jid}: what was changed could not be put back: ${error.message}`]
    } finally {
      await Promise.all([this.user.close(), this.second?.close(), this.component?.close()])
    }
  }

  private async prepare(client: Client, force: boolean): Promise<void> {
    const items = await client.roster()
    if (items.length > 0 && !force) {
      throw new Refused(
        `${client.account.jid}: its roster is not empty (${items.length}); the doctor adds and removes contacts: give an account made for tests, or --force`,
      )
    }
    const other = [this.user, this.second].find(each => each !== client)
    if (items.some(({ jid }) => other !== undefined && sameBare(jid, other.bare)))
      throw new Refused(`${client.account.jid}: the other account is in its roster; remove it there`)
    this.rosters.set(client, items)
    await client.appear()
  }

  /** Ends what there is between the user and these, pending requests and pre-approvals too. */
  private async forget(peers: readonly Contact[]): Promise<void> {
    const { user, second } = this
    for (const { bare } of peers) {
      user.send(presence({ type: 'unsubscribed', to: bare, id: user.id() }))
      await user.remove(bare)
    }
    // Contacts that have asked the user.
    const held = this.rosters.get(user)?.some(({ jid }) => sameBare(jid, user.bare))
    if (held !== true) await user.remove(user.bare)
    await user.settled()
    if (this.component === undefined && second !== undefined) {
      second.send(presence({ type: 'unsubscribed', to: user.bare, id: second.id() }))
      await second.remove(user.bare)
      await second.settled()
      // The removal has told the user's account, whose server may have made an item of it.
      await user.remove(second.bare)
    }
  }

  private async differences(): Promise<string[]> {
    const found: string[] = []
    for (const client of [this.user, this.second]) {
      if (client === undefined) continue
      const { jid } = client.account
      const fresh = await login(this.ground, client.account)
      const [before, after] = [this.rosters.get(client) ?? [], await fresh.roster()].map(shown)
      for (const item of after ?? []) if (!before?.includes(item)) found.push(`${jid}: in its roster is left ${item}`)
      for (const item of before ?? [])
        if (!after?.includes(item)) found.push(`${jid}: its roster no longer has ${item}`)
      await fresh.appear()
      await this.ground.deadline.pause(linger)
      for (const bare of new Set(
        [...this.met, ...(this.second ? [this.second, this.user] : [this.user])].map(each => each.bare),
      )) {
        const isPending = fresh.mail.since(0).some(heard => isPresenceFrom(heard, bare, 'subscribe'))
        if (isPending) found.push(`${jid}: a request of ${bare} is left`)
      }
      await fresh.close()
    }
    return found
  }
}

function shown(items: readonly Item[]): string[] {
  return items.map(
    ({ jid, name, subscription, ask, groups }) =>
      `${jid} (${subscription}${ask ? ', asked' : ''}${name === undefined ? '' : `, '${name}'`}${groups.map(each => `, in '${each}'`).join('')})`,
  )
}

async function login(ground: ProbeTarget, account: Account): Promise<Client> {
  let leg: UpstreamStream
  try {
    leg = await UpstreamStream.open(ground.target, ground.domain, ground.deadline)
  } catch (error) {
    throw new Refused(`${account.jid}: ${(error as Error).message}`)
  }
  // An active attacker that has removed it would like to get the password.
  if (ground.target.mode === 'starttls' && !leg.offersStarttls) {
    leg.abort()
    throw new Refused(
      `${account.jid}: is not logged in: the server offers no STARTTLS, and stanzagate.yaml says tls.mode: starttls`,
    )
  }
  return Client.login(account, leg)
}
