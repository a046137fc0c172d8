/** What `limits.pendingRequests` makes of a stranger's request, as far as one stanza shows it. */
import type { StrangerClass } from '../account/labels.ts'
import { StrangerPolicy, type StrangerSettings } from '../account/stranger-policy.ts'
import { Strangers } from '../session/strangers.ts'

/** `account`, `contact`: bare JIDs. */
export function strangerReason(settings: StrangerSettings, account: string, contact: string): string {
  const policy = new StrangerPolicy(settings, () => 0)
  const nobody = { isNoStranger: () => false, hasContactAt: () => false }
  const strangerClass = new Strangers(policy, account, nobody).classOf(contact, false)
  const action = policy.actionOf(strangerClass)
  const may = others[strangerClass] ?? ''
  // Which invitations the account has made is not known here.
  return `A stranger with this address is of the class ${strangerClass}, for which limits.pendingRequests.strangers says ${action}${may}.`
}

/** What a roster can make of the class. */
const others: Readonly<Partial<Record<StrangerClass, string>>> = {
  other: '; with contacts of this domain in the roster it is of the class contactDomain or gateway',
}
