/** What the user's client sends: T6 to T9, T11, T14 of the list in all-probes.ts. */
import { hasResource } from '../stanza/jid.ts'
import { type Finding, probe, type Remedy } from './probe.ts'
import { conditionOf, isPresenceFrom, presence, rosterQueryOf } from './stanzas.ts'
import type { TestAccounts } from './test-accounts.ts'

const none: Remedy = {
  prosody: ['no setting is known'],
  ejabberd: ['no setting is known'],
  other: ['no setting is known'],
}

export const t6 = probe<'bare' | 'full' | 'lost'>({
  id: 'T6',
  title: "the client's `subscribe` to a full JID",
  clause: 'RFC 6121 3.1.2',
  needs: 'stranger',
  outcomes: {
    bare: { verdict: 'right', text: 'routes it to the bare JID' },
    full: { verdict: 'breaks', text: 'routes it to the full JID', helps: ['subscription-bare-jids'] },
    lost: { verdict: 'note', text: 'does not route it', helps: ['subscription-bare-jids'], isFine: true },
  },
  remedy: {
    prosody: ['no setting is known: the rule cuts the resource off'],
    ejabberd: ['no setting changes it: the rule cuts the resource off'],
    other: ['the rule cuts the resource off'],
  },
  async run(accounts) {
    const peer = accounts.stranger()
    const { mark } = peer.mail
    accounts.user.send(presence({ type: 'subscribe', to: peer.full, id: accounts.user.id() }))
    await accounts.settle(peer)
    const [request] = peer.heard(mark, accounts.user.bare, 'subscribe')
    if (request === undefined) return { found: 'lost' }
    return { found: hasResource(request.attrs.get('to') ?? '') ? 'full' : 'bare' }
  },
})

const wrongTypes = ['bogus', 'Subscribe', '', ' subscribe ']

export const t7 = probe<'refused' | 'routed' | 'silent'>({
  id: 'T7',
  title: "the client's presence of a type that there is none (bogus, Subscribe, empty, padded)",
  clause: 'RFC 6121 4.7.1',
  needs: 'contact',
  outcomes: {
    refused: { verdict: 'right', text: 'answers each with an error' },
    routed: { verdict: 'breaks', text: 'passes some on', helps: ['presence-type'] },
    silent: { verdict: 'note', text: 'ignores some without a word', helps: ['presence-type'], isFine: true },
  },
  remedy: {
    prosody: ['no setting is known: the rule answers bad-request'],
    ejabberd: ['no setting is known: the rule answers bad-request'],
    other: ['the rule answers bad-request'],
  },
  async run(accounts) {
    const { user } = accounts
    const peer = accounts.contact()
    const [mark, markOfPeer] = [user.mail.mark, peer.mail.mark]
    const sent = wrongTypes.map(type => ({ type, id: user.id() }))
    for (const { type, id } of sent) user.send(presence({ type, to: peer.bare, id }))
    await accounts.settle(peer)
    const fates = sent.map(({ type, id }) => {
      const isOf = (heard: { attrs: ReadonlyMap<string, string> }) => heard.attrs.get('id') === id
      const answer = user.mail.since(mark).find(isOf)
      const isRouted = peer.mail.since(markOfPeer).some(isOf)
      return { type, fate: isRouted ? 'routed' : ((answer && conditionOf(answer)) ?? 'silent') }
    })
    const detail = fates.map(({ type, fate }) => `'${type}': ${fate}`).join(', ')
    const has = (fate: string) => fates.some(each => each.fate === fate)
    return { found: has('routed') ? 'routed' : has('silent') ? 'silent' : 'refused', detail }
  },
})

export const t7b = probe<'refused' | 'broadcast' | 'silent'>({
  id: 'T7b',
  title: "the client's presence of type `available`",
  clause: 'RFC 6121 4.7.1',
  needs: 'account',
  outcomes: {
    refused: { verdict: 'right', text: 'answers with an error' },
    broadcast: {
      verdict: 'breaks',
      text: 'takes it, and tells it to all who may see the presence',
      helps: ['presence-type'],
    },
    silent: { verdict: 'note', text: 'ignores it without a word', helps: ['presence-type'], isFine: true },
  },
  remedy: {
    prosody: ['no setting is known: the rule answers bad-request'],
    ejabberd: ['no setting changes it: the rule answers bad-request'],
    other: ['the rule answers bad-request'],
  },
  async run({ user }) {
    const { mark } = user.mail
    const id = user.id()
    user.send(presence({ type: 'available', id }))
    await user.settled()
    const heard = user.mail.since(mark).filter(each => each.name === 'presence' && each.attrs.get('id') === id)
    // Only an error matters; what was changed must be put back.
    user.send(presence())
    await user.settled()
    const error = heard.map(conditionOf).find(condition => condition !== undefined)
    if (error !== undefined) return { found: 'refused', detail: error }
    return { found: heard.length > 0 ? 'broadcast' : 'silent' }
  },
})

/** Whether a subscription presence that the user sends to somebody unknown reaches them. */
async function isRouted(accounts: TestAccounts, type: string): Promise<Finding<'kept' | 'routed'>> {
  const { user } = accounts
  const peer = accounts.stranger()
  const [mark, markOfPeer] = [user.mail.mark, peer.mail.mark]
  user.send(presence({ type, to: peer.bare, id: user.id() }))
  await accounts.settle(peer)
  const approved = user.mail.since(mark).some(heard => {
    const item = rosterQueryOf(heard)?.children[0]
    return typeof item === 'object' && item.attrs.get('approved') === 'true'
  })
  const found = peer.heard(markOfPeer, user.bare, type).length > 0 ? 'routed' : 'kept'
  return { found, detail: approved ? 'kept as a pre-approval' : undefined }
}

export const t8 = probe<'kept' | 'routed'>({
  id: 'T8',
  title: "the client's `subscribed` that nobody has asked for",
  clause: 'RFC 6121 3.1.5',
  needs: 'stranger',
  outcomes: {
    kept: { verdict: 'right', text: 'does not route it' },
    routed: { verdict: 'breaks', text: 'routes it: your users can send it to anybody' },
  },
  remedy: none,
  run: accounts => isRouted(accounts, 'subscribed'),
})

export const t9 = probe<'kept' | 'routed'>({
  id: 'T9',
  title: "the client's `unsubscribed`, nothing between them",
  clause: 'RFC 6121 3.2.2',
  needs: 'stranger',
  outcomes: {
    kept: { verdict: 'right', text: 'does not route it' },
    routed: { verdict: 'breaks', text: 'routes it (SHOULD NOT); harmless to a server that checks', isFine: true },
  },
  remedy: none,
  run: accounts => isRouted(accounts, 'unsubscribed'),
})

export const t9b = probe<'kept' | 'routed'>({
  id: 'T9b',
  title: "the client's `unsubscribe`, nothing between them",
  clause: 'RFC 6121 A.2.2',
  needs: 'stranger',
  outcomes: {
    routed: { verdict: 'right', text: 'routes it, as it must' },
    kept: {
      verdict: 'breaks',
      text: 'does not route it (unless a limit has held it back): two servers that disagree stay so',
    },
  },
  remedy: none,
  run: accounts => isRouted(accounts, 'unsubscribe'),
})

export const t11 = probe<'refused' | 'ignored' | 'delivered'>({
  id: 'T11',
  title: "the client's `subscribe` to its own account",
  clause: 'RFC 6121 4.2.2',
  needs: 'account',
  outcomes: {
    refused: { verdict: 'right', text: 'answers with an error' },
    ignored: { verdict: 'right', text: 'ignores it' },
    delivered: { verdict: 'note', text: 'takes it: the account becomes its own contact', isFine: true },
  },
  remedy: none,
  async run(accounts) {
    const { user } = accounts
    const { mark } = user.mail
    const id = user.id()
    user.send(presence({ type: 'subscribe', to: user.bare, id }))
    await user.settled()
    await accounts.ground.deadline.pause(50)
    const heard = user.mail.since(mark)
    const error = heard.find(each => each.name === 'presence' && each.attrs.get('id') === id && conditionOf(each))
    if (error !== undefined) return { found: 'refused', detail: conditionOf(error) }
    const isDelivered = heard.some(each => isPresenceFrom(each, user.bare, 'subscribe'))
    const isItem = (await user.roster()).some(({ jid }) => jid === user.bare)
    return { found: isDelivered || isItem ? 'delivered' : 'ignored' }
  },
})

export const t14 = probe<'bare' | 'full' | 'silent'>({
  id: 'T14',
  title: "the client removes a contact (state Both): what the contact's server gets",
  clause: 'RFC 6121 2.5.2',
  needs: 'stranger',
  outcomes: {
    bare: { verdict: 'right', text: 'tells the contact from the bare JID' },
    full: { verdict: 'breaks', text: 'tells the contact from the full JID: a strict server may not take it' },
    silent: { verdict: 'breaks', text: 'does not tell the contact' },
  },
  remedy: none,
  async run(accounts) {
    const { user } = accounts
    const peer = accounts.stranger()
    user.send(presence({ type: 'subscribe', to: peer.bare, id: user.id() }))
    await accounts.settle(peer)
    peer.say('subscribed', user.bare)
    peer.say('subscribe', user.bare)
    await accounts.settle(peer)
    user.send(presence({ type: 'subscribed', to: peer.bare, id: user.id() }))
    await accounts.settle(peer)
    await accounts.mustBe(peer, 'both')
    const { mark } = peer.mail
    await user.remove(peer.bare)
    await accounts.settle(peer)
    const told = ['unsubscribe', 'unsubscribed'].flatMap(type => peer.heard(mark, user.bare, type))
    if (told.length === 0) return { found: 'silent' }
    const detail = told.map(each => each.attrs.get('type')).join(', ')
    return { found: told.some(each => hasResource(each.attrs.get('from') ?? '')) ? 'full' : 'bare', detail }
  },
})
