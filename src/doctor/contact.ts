/** A contact or a stranger: an address of the component, or the second account. */
import { bareOf } from '../stanza/jid.ts'
import type { Element, Node } from '../xml/element.ts'
import type { Client } from './client.ts'
import type { Component } from './component.ts'
import type { ReceivedElements } from './received-elements.ts'
import { isAnswer, isPresenceFrom, ping, presence, sameBare } from './stanzas.ts'

export class Contact {
  readonly bare: string
  readonly full: string
  readonly mail: ReceivedElements
  private readonly write: (stanza: Element) => void
  private count = 0

  private constructor(full: string, mail: ReceivedElements, write: (stanza: Element) => void) {
    this.full = full
    this.bare = bareOf(full)
    this.mail = mail
    this.write = write
  }

  static ofComponent(component: Component, name: string): Contact {
    return new Contact(`${name}@${component.domain}/doctor`, component.mail, stanza => component.send(stanza))
  }

  /** Its server sets the `from` of what it sends. */
  static ofClient(client: Client): Contact {
    return new Contact(client.jid, client.mail, stanza => client.send(stanza))
  }

  send(stanza: Element): void {
    this.write(stanza)
  }

  /** Sends a presence of that type; from the bare JID unless `from` says otherwise. */
  say(type: string, to: string, from = this.bare, children: readonly Node[] = []): void {
    this.count += 1
    this.send(presence({ type, to, from, id: `peer-${this.count}` }, children))
  }

  /** Types of the presences that have reached it from that account since the mark. */
  heard(mark: number, account: string, type: string): Element[] {
    return this.mail.since(mark).filter(each => this.isForMe(each) && isPresenceFrom(each, account, type))
  }

  /** Asks that address; resolves when an answer has come, whatever it says. Throws `Late` after `limit` milliseconds. */
  async reach(full: string, limit: number): Promise<void> {
    this.count += 1
    const id = `reach-${this.bare}-${this.count}`
    const { mark } = this.mail
    this.send(ping({ id, to: full, from: this.full }))
    await this.mail.find('answer to a ping', mark, heard => isAnswer(heard, id), limit)
  }

  private isForMe({ attrs }: Element): boolean {
    const to = attrs.get('to')
    return to === undefined || sameBare(to, this.bare)
  }
}
