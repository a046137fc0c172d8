/** What the operator has set for the subscription requests of strangers. The sessions of all accounts share it. */
import { foldBare } from '../stanza/jid.ts'
import { InvitationTokens } from './invitation-tokens.ts'
import type { StrangerClass } from './labels.ts'
import { RequestAllowance } from './request-allowance.ts'

/** `accept`: shown always, and counted against nothing. `hold`: shown when there is room. `drop`: left out, and not kept. */
export type StrangerAction = 'accept' | 'hold' | 'drop'

export interface StrangerSettings {
  /** A class that is left out: `hold`. */
  readonly strangers?: Readonly<Partial<Record<StrangerClass, StrangerAction>>> | undefined
  /** Domains, each with all its accounts, and bare JIDs of the class `listed`. Left out: none. */
  readonly listed?: readonly string[] | undefined
  /** Requests within an hour, of classes that are held; one that is left out: as many as there are. */
  readonly perHour?: HourlyRequests | undefined
  /** Text of a message to users for whom requests are held; `{count}` stands for their number. Left out: there is none. */
  readonly headline?: string | undefined
  /** Requests that are dropped are denied at the server. Left out: they stay there. */
  readonly denyDropped?: boolean | undefined
}

export interface HourlyRequests {
  /** Of one bare JID, to all accounts of the gate. */
  readonly sender?: number
  /** Of one domain, to all accounts of the gate. */
  readonly domain?: number
  /** To one account. */
  readonly recipient?: number
}

/** Who asks whom, by their keys. */
export interface Asking {
  readonly sender: string
  /** The sender's. */
  readonly domain: string
  readonly recipient: string
}

const day = 86_400_000
const minute = 60_000
/** Denials in the name of one account. The server delivers the others again at a later login. */
const deniedPerMinute = 30
const parties = ['sender', 'domain', 'recipient'] as const

export class StrangerPolicy {
  private readonly actions: Readonly<Partial<Record<StrangerClass, StrangerAction>>>
  private readonly now: () => number
  private readonly allowances: [keyof Asking, RequestAllowance][] = []
  private readonly headline: string | undefined
  private readonly headlines = new RequestAllowance(1, undefined, day)
  private readonly denies: boolean
  private readonly denials = new RequestAllowance(deniedPerMinute, undefined, minute)
  readonly tokens: InvitationTokens
  /** Folded. */
  private readonly listed: ReadonlySet<string>

  /** `now`: milliseconds since 1970. */
  constructor(settings: StrangerSettings, now: () => number) {
    this.now = now
    this.headline = settings.headline
    this.denies = settings.denyDropped === true
    for (const party of parties) {
      const perHour = settings.perHour?.[party]
      if (perHour !== undefined) this.allowances.push([party, new RequestAllowance(perHour)])
    }
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

  /** Some number within an hour is limited. */
  get limitsRate(): boolean {
    return this.allowances.length > 0
  }

  /** So many are allowed within an hour that there is none left. It changes nothing. */
  isOverRate(asking: Asking): boolean {
    return this.allowances.some(([party, allowance]) => !allowance.has(asking[party], this.now()))
  }

  /** A request counts against all who take part in it. */
  count(asking: Asking): void {
    for (const [party, allowance] of this.allowances) allowance.take(asking[party], this.now())
  }

  /** The user of this account, which is given by its key, may be told that requests are held. It changes nothing. */
  mayTell(account: string): boolean {
    return this.headline !== undefined && this.headlines.has(account, this.now())
  }

  /** The text that tells it, once a day; `undefined`: it was told already, or is not to be. */
  headlineFor(account: string, count: number): string | undefined {
    if (this.headline === undefined || !this.headlines.take(account, this.now())) return undefined
    return this.headline.replaceAll('{count}', String(count))
  }

  /** Takes one denial from what may be said in the name of this account. */
  mayDeny(account: string): boolean {
    return this.denies && this.denials.take(account, this.now())
  }
}
