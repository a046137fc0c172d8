/** Approvals that nobody has asked for: T1 to T4 of the list in all-probes.ts. */
import type { Contact } from './contact.ts'
import { type Finding, type Outcome, probe, type Remedy } from './probe.ts'
import { presence } from './stanzas.ts'
import type { TestAccounts } from './test-accounts.ts'

type Unasked = 'ignored' | 'delivered' | 'accepted'

const unasked: Readonly<Record<Unasked, Outcome>> = {
  ignored: { verdict: 'right', text: 'ignores it' },
  delivered: {
    verdict: 'breaks',
    text: 'delivers it, and leaves the roster as it was',
    helps: ['subscribed-needs-request'],
  },
  accepted: {
    verdict: 'breaks',
    text: 'believes it: the roster changes',
    helps: ['subscribed-needs-request'],
  },
}

const believed: Remedy = {
  prosody: ['no setting is known: report it to its makers; the rule keeps the presence from the client and counts it'],
  ejabberd: [
    'no setting changes it: the rule keeps the presence from the client and counts it; the roster push still comes, unless limits.compensationsPerHour has it taken back',
  ],
  other: ['the rule keeps the presence from the client and counts it; report it to its makers'],
}

/** What becomes of an unasked `subscribed` that the peer now sends. */
async function unaskedApproval(accounts: TestAccounts, peer: Contact, to: string): Promise<Finding<Unasked>> {
  const { mark } = accounts.user.mail
  peer.say('subscribed', to)
  await accounts.settle(peer)
  const { presences, items, order } = accounts.seen(peer, mark)
  const item = await accounts.item(peer)
  const isBelieved = item?.subscription === 'to' || item?.subscription === 'both'
  if (isBelieved)
    return {
      found: 'accepted',
      detail: `roster '${item.subscription}', seen by the client: ${order.join(', ') || 'nothing'}`,
    }
  if (items.length > 0) return { found: 'accepted', detail: `a push of '${items.at(-1)?.subscription}'` }
  return { found: presences.includes('subscribed') ? 'delivered' : 'ignored' }
}

/** The peer becomes a subscriber of the user's. */
async function subscribes(accounts: TestAccounts, peer: Contact): Promise<void> {
  peer.say('subscribe', accounts.user.bare)
  await accounts.settle(peer)
  accounts.user.send(presence({ type: 'subscribed', to: peer.bare, id: accounts.user.id() }))
  await accounts.settle(peer)
}

export const t1 = probe<Unasked>({
  id: 'T1',
  title: "a stranger's `subscribed`, nothing between them",
  clause: 'RFC 6121 3.1.6',
  needs: 'stranger',
  outcomes: unasked,
  remedy: believed,
  run: async accounts => unaskedApproval(accounts, accounts.stranger(), accounts.user.bare),
})

export const t2 = probe<Unasked>({
  id: 'T2',
  title: "a subscriber's `subscribed` that was not asked for (state From)",
  clause: 'RFC 6121 3.1.6',
  needs: 'stranger',
  outcomes: unasked,
  remedy: believed,
  async run(accounts) {
    const peer = accounts.stranger()
    await subscribes(accounts, peer)
    await accounts.mustBe(peer, 'from')
    return unaskedApproval(accounts, peer, accounts.user.bare)
  },
})

export const t3 = probe<Unasked>({
  id: 'T3',
  title: "a stranger's `subscribe`, then `subscribed`",
  clause: 'RFC 6121 3.1.6',
  needs: 'stranger',
  outcomes: unasked,
  remedy: believed,
  async run(accounts) {
    const peer = accounts.stranger()
    peer.say('subscribe', accounts.user.bare)
    await accounts.settle(peer)
    return unaskedApproval(accounts, peer, accounts.user.bare)
  },
})

export const t4 = probe<Unasked>({
  id: 'T4',
  title: "a stranger's `subscribed` to the client's full JID",
  clause: 'RFC 6121 3.1.6',
  needs: 'stranger',
  outcomes: unasked,
  remedy: believed,
  run: async accounts => unaskedApproval(accounts, accounts.stranger(), accounts.user.jid),
})
