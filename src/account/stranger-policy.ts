/** What the operator has set for the subscription requests of strangers. The sessions of all accounts share it. */
import { foldBare } from '../stanza/jid.ts'
import { InvitationTokens } from './invitation-tokens.ts'
import type { StrangerClass } from './labels.ts'

/** `accept`: shown always, and counted against nothing. `hold`: shown when there is room. `drop`: left out, and not kept. */
export type StrangerAction = 'accept' | 'hold' | 'drop'

export interface StrangerSettings {
  /** A class that is left out: `hold`. */
  readonly strangers?: Readonly<Partial<Record<StrangerClass, StrangerAction>>> | undefined
  /** Domains, each with all its accounts, and bare JIDs of the class `listed`. Left out: none. */
  readonly listed?: readonly string[] | undefined
}

export class StrangerPolicy {
  private readonly actions: Readonly<Partial<Record<StrangerClass, StrangerAction>>>
  readonly tokens: InvitationTokens
  /** Folded. */
  private readonly listed: ReadonlySet<string>

  /** `now`: milliseconds since 1970. */
  constructor(settings: StrangerSettings, now: () => number) {
    this.tokens = new InvitationTokens(now)
    this.actions = settings.strangers ?? {}
    this.listed = new Set((settings.listed ?? []).map(entry => foldBare(entry) ?? entry))
  }

  /** Every class is held. */
  get holdsAll(): boolean {
    return Object.values(this.actions).every(action => action === 'hold')
  }

  actionOf(strangerClass: StrangerClass): StrangerAction {
    return this.actions[strangerClass] ?? 'hold'
  }

  /** `key`: a bare JID by `keyOf`; `domain`: its domain. */
  isListed(key: string, domain: string): boolean {
    return this.listed.size > 0 && (this.listed.has(domain) || this.listed.has(key))
  }
}
