import { carbonsFromAccount } from './carbons-from-account.ts'
import { fromIsBoundJid } from './from-is-bound-jid.ts'
import { iqAnswerNeedsRequest } from './iq-answer-needs-request.ts'
import { iqRequestOnePayload } from './iq-request-one-payload.ts'
import type { ActiveRule } from './judge.ts'
import { type Mode, modes } from './mode.ts'
import { outboundRequests } from './outbound-requests.ts'
import { pendingRequests } from './pending-requests.ts'
import { presenceChildren } from './presence-children.ts'
import { presenceType } from './presence-type.ts'
import { redeliverRequests } from './redeliver-requests.ts'
import { rosterPushFromAccount } from './roster-push-from-account.ts'
import { rosterSetOneItem } from './roster-set-one-item.ts'
import { rosterVersionHeld } from './roster-version-held.ts'
import type { Rule } from './rule.ts'
import { subscribedNeedsRequest } from './subscribed-needs-request.ts'
import { subscriptionBareJids } from './subscription-bare-jids.ts'
import { subscriptionNeedsRequest } from './subscription-needs-request.ts'
import { unsubscribedNeedsSubscription } from './unsubscribed-needs-subscription.ts'

/** Every rule in the order in which they are asked: first who sends, then what it is, how it is addressed, and whether it is believed. */
export const rules: readonly Rule[] = [
  fromIsBoundJid,
  presenceType,
  presenceChildren,
  subscriptionBareJids,
  outboundRequests,
  iqRequestOnePayload,
  rosterSetOneItem,
  rosterVersionHeld,
  rosterPushFromAccount,
  carbonsFromAccount,
  iqAnswerNeedsRequest,
  subscriptionNeedsRequest,
  subscribedNeedsRequest,
  unsubscribedNeedsSubscription,
  redeliverRequests,
  pendingRequests,
]

/** Modes by rule, as the operator has set them. */
export interface ModeSettings {
  readonly default: Mode
  readonly modes: ReadonlyMap<string, Mode>
  /** Rules that a program has added. They are asked after the built-in ones. Left out: none. */
  readonly own?: readonly Rule[] | undefined
}

/** All rules, the built-in ones and those of the program, in the order of asking. */
export function rulesOf({ own = [] }: Pick<ModeSettings, 'own'>): readonly Rule[] {
  return own.length === 0 ? rules : [...rules, ...own]
}

/** The modes that a rule has. */
export function modesOf(rule: Rule): readonly Mode[] {
  return rule.repair === undefined ? modes.filter(mode => mode !== 'repair') : modes
}

/** The mode of one rule. Where the default is `repair`, a rule that cannot repair observes. Some rules are off unless they are named. */
export function modeIn(settings: ModeSettings, rule: Rule): Mode {
  const own = settings.modes.get(rule.name)
  if (own !== undefined) return own
  if (rule.isOffByDefault === true) return 'off'
  return settings.default === 'repair' && rule.repair === undefined ? 'observe' : settings.default
}

/** The rules that the operator has not switched off, with their modes. */
export function activeRules(settings: ModeSettings): ActiveRule[] {
  return rulesOf(settings).flatMap(rule => {
    const mode = modeIn(settings, rule)
    return mode === 'off' ? [] : [{ rule, mode }]
  })
}
