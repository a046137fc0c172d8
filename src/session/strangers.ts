/** The strangers of one account as the operator's policy sees them: the class of each, and what becomes of its request. */
import { keyOf } from '../account/contact-map.ts'
import type { Rank } from '../account/held-requests.ts'
import type { StrangerClass } from '../account/labels.ts'
import type { Asking, StrangerAction, StrangerPolicy } from '../account/stranger-policy.ts'
import { compareDomain } from '../stanza/jid.ts'
import type { Stanza } from '../stanza/stanza.ts'
import type { Element } from '../xml/element.ts'
import { Invitations, tokenOf } from './invitations.ts'

/** What is known of the account's roster. */
export interface KnownContacts {
  /** The roster shows the contact, the user has asked to see it, or its domain is trusted. */
  isNoStranger(contact: string): boolean
  /** Some contact in the roster has this domain, which is folded. */
  hasContactAt(domain: string): boolean
  /** The whole roster was seen: who is not in it is a stranger. Left out: it was. */
  knowsRoster?(): boolean
}

export class Strangers {
  private readonly policy: StrangerPolicy
  /** The account's. */
  private readonly key: string
  private readonly domain: string
  private readonly invitations: Invitations
  private readonly contacts: KnownContacts
  /** No class is accepted or dropped. */
  private readonly holdsAll: boolean

  /** `account`: its bare JID. */
  constructor(policy: StrangerPolicy, account: string, contacts: KnownContacts) {
    this.policy = policy
    this.holdsAll = policy.holdsAll
    this.key = keyOf(account)
    this.domain = domainOf(this.key)
    this.invitations = new Invitations(account)
    this.contacts = contacts
  }

  /** `isInvited`: the request shows the token of an invitation. */
  classOf(contact: string, isInvited: boolean): StrangerClass {
    const key = keyOf(contact)
    const domain = domainOf(key)
    if (this.policy.isListed(key, domain)) return 'listed'
    if (isInvited) return 'token'
    if (this.isOwn(domain)) return 'ownDomain'
    // A roster has a gateway as a contact whose JID is its domain.
    if (key === domain || this.contacts.isNoStranger(domain)) return 'gateway'
    return this.contacts.hasContactAt(domain) ? 'contactDomain' : 'other'
  }

  actionOf(strangerClass: StrangerClass): StrangerAction {
    return this.policy.actionOf(strangerClass)
  }

  /** What becomes of this contact's request, as long as it is a stranger. */
  actionFor(contact: string, isInvited: boolean): StrangerAction {
    return this.holdsAll ? 'hold' : this.policy.actionOf(this.classOf(contact, isInvited))
  }

  /** Who is no stranger may be taken for one until the roster was seen: nothing is dropped before. */
  get mayDrop(): boolean {
    return this.contacts.knowsRoster?.() !== false
  }

  rankOf(contact: string, isInvited: boolean): Rank {
    if (isInvited) return -1
    const domain = domainOf(keyOf(contact))
    if (this.isOwn(domain)) return 0
    return this.contacts.hasContactAt(domain) ? 1 : 2
  }

  /** So many requests of this contact or its domain, or to the account, have come within an hour that no more is shown. */
  isOverRate(contact: string): boolean {
    return this.policy.limitsRate && this.policy.isOverRate(this.askingOf(contact))
  }

  count(contact: string): void {
    if (this.policy.limitsRate) this.policy.count(this.askingOf(contact))
  }

  get mayTellUser(): boolean {
    return this.policy.mayTell(this.key)
  }

  /** `count`: requests that are held. `undefined`: the user was told today, or is not to be told. */
  headline(count: number): string | undefined {
    return this.policy.headlineFor(this.key, count)
  }

  /** Takes one denial from what may be said in the account's name. */
  mayDeny(): boolean {
    return this.policy.mayDeny(this.key)
  }

  private askingOf(contact: string): Asking {
    const sender = keyOf(contact)
    return { sender, domain: domainOf(sender), recipient: this.key }
  }

  /** Whether a request shows the token of an invitation that the account has made. */
  isInvited(request: Element): boolean {
    const token = tokenOf(request)
    return token !== undefined && this.policy.tokens.has(this.key, token)
  }

  /** An IQ of the client's has gone on. */
  sent(iq: Stanza): void {
    this.invitations.sent(iq)
  }

  /** An IQ of the server's has gone on. */
  received(iq: Stanza): void {
    const made = this.invitations.received(iq)
    if (made !== undefined) this.policy.tokens.add(this.key, made.token, made.expires)
  }

  private isOwn(domain: string): boolean {
    return compareDomain(domain, this.domain) === 'same'
  }
}

function domainOf(key: string): string {
  return key.slice(key.indexOf('@') + 1)
}
