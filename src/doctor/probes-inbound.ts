/** What others send to the user: T4b, T5, T7f, T10, T12, T13, T15 of the list in all-probes.ts. */
import { hasResource } from '../stanza/jid.ts'
import { ns } from '../stream/namespaces.ts'
import { type Element, element } from '../xml/element.ts'
import { probe } from './probe.ts'
import { CannotProbe } from './probe-target.ts'
import { iq, isPresenceFrom, presence, rosterQueryOf, rosterSet, sameBare } from './stanzas.ts'

export const t4b = probe<'bare' | 'full' | 'lost'>({
  id: 'T4b',
  title: 'a `subscribe` from a full JID to a full JID',
  clause: 'RFC 6121 3.1.2',
  needs: 'stranger',
  outcomes: {
    bare: { verdict: 'right', text: 'delivers it from the bare JID' },
    full: {
      verdict: 'note',
      text: 'delivers it from the full JID, as the other server sent it: a client may take it for another contact',
      helps: ['subscription-bare-jids'],
    },
    lost: { verdict: 'note', text: 'does not deliver it: something holds requests back', isFine: true },
  },
  remedy: {
    prosody: ['no setting is known'],
    ejabberd: ['no setting changes it: the rule cuts the resource off'],
    other: ['the rule cuts the resource off'],
  },
  async run(accounts) {
    const peer = accounts.stranger()
    const { mark } = accounts.user.mail
    peer.say('subscribe', accounts.user.jid, peer.full)
    await accounts.settle(peer)
    const request = accounts.user.mail.since(mark).find(heard => isPresenceFrom(heard, peer.bare, 'subscribe'))
    const from = request?.attrs.get('from')
    if (from === undefined) return { found: 'lost' }
    return { found: hasResource(from) ? 'full' : 'bare' }
  },
})

export const t5 = probe<'presenceFirst' | 'pushFirst' | 'lost'>({
  id: 'T5',
  title: 'an approval that was asked for: presence and roster push',
  clause: 'RFC 6121 3.1.6',
  needs: 'contact',
  outcomes: {
    presenceFirst: { verdict: 'right', text: 'delivers the presence, then pushes the roster item' },
    pushFirst: {
      verdict: 'breaks',
      text: 'pushes the roster item, then delivers the presence; clients and the gate take either order',
      isFine: true,
    },
    lost: { verdict: 'breaks', text: 'does not give the client both the presence and the push' },
  },
  remedy: {
    prosody: ['see what its log says of the two accounts'],
    ejabberd: ['see what its log says of the two accounts'],
    other: ['see what its log says of the two accounts'],
  },
  async run(accounts) {
    const { user } = accounts
    const peer = accounts.contact()
    user.send(presence({ type: 'subscribe', to: peer.bare, id: user.id() }))
    await accounts.asked(peer)
    const { mark } = user.mail
    peer.say('subscribed', user.bare, peer.full)
    await accounts.settle(peer)
    const order = user.mail.since(mark).flatMap(heard => {
      if (isPresenceFrom(heard, peer.bare, 'subscribed')) return ['presence' as const]
      const item = rosterQueryOf(heard)?.children.find(node => typeof node !== 'string')
      const isPush = typeof item === 'object' && item.attrs.get('subscription') === 'to'
      return isPush && sameBare(item.attrs.get('jid') ?? '', peer.bare) ? ['push' as const] : []
    })
    const from = user.mail
      .since(mark)
      .find(heard => isPresenceFrom(heard, peer.bare, 'subscribed'))
      ?.attrs.get('from')
    const detail = from && `the presence from the ${hasResource(from) ? 'full' : 'bare'} JID`
    if (!order.includes('presence') || !order.includes('push')) return { found: 'lost', detail }
    return { found: order[0] === 'presence' ? 'presenceFirst' : 'pushFirst', detail }
  },
})

export const t7f = probe<'delivered' | 'refused' | 'dropped'>({
  id: 'T7f',
  title: "a stranger's presence of type `bogus`",
  clause: 'RFC 6121 4.7.1',
  needs: 'stranger',
  outcomes: {
    delivered: { verdict: 'note', text: 'delivers it; clients ignore it', isFine: true },
    refused: { verdict: 'right', text: 'answers the stranger with an error' },
    dropped: { verdict: 'right', text: 'drops it' },
  },
  remedy: { prosody: [], ejabberd: [], other: [] },
  async run(accounts) {
    const peer = accounts.stranger()
    const { user } = accounts
    const [mark, markOfPeer] = [user.mail.mark, peer.mail.mark]
    peer.say('bogus', user.jid)
    await accounts.settle(peer)
    if (user.mail.since(mark).some(heard => isPresenceFrom(heard, peer.bare, 'bogus'))) return { found: 'delivered' }
    return { found: peer.heard(markOfPeer, user.bare, 'error').length > 0 ? 'refused' : 'dropped' }
  },
})

export const t10 = probe<'once' | 'again' | 'never'>({
  id: 'T10',
  title: 'three equal `subscribe`',
  clause: 'RFC 6121 3.1.3',
  needs: 'contact',
  outcomes: {
    once: { verdict: 'right', text: 'delivers one' },
    again: { verdict: 'breaks', text: 'delivers more than one' },
    never: { verdict: 'note', text: 'delivers none: something holds requests back', isFine: true },
  },
  remedy: {
    prosody: ['no setting is known'],
    ejabberd: ['no setting is known'],
    other: ['no setting is known'],
  },
  async run(accounts) {
    const peer = accounts.contact()
    const [mark, markOfPeer] = [accounts.user.mail.mark, peer.mail.mark]
    for (let times = 0; times < 3; times++) peer.say('subscribe', accounts.user.bare)
    await accounts.settle(peer)
    const came = accounts.seen(peer, mark).presences.filter(type => type === 'subscribe').length
    const receipts = peer.heard(markOfPeer, accounts.user.bare, 'unavailable').length
    const detail = `${came} of 3${receipts > 0 ? `; ${receipts} acknowledged to the sender with 'unavailable'` : ''}`
    return { found: came === 1 ? 'once' : came === 0 ? 'never' : 'again', detail }
  },
})

export const t12 = probe<'kept' | 'changed'>({
  id: 'T12',
  title: 'an approval with a nickname, of a contact whom the user has named',
  clause: 'RFC 6121 2.1.2.4',
  needs: 'contact',
  outcomes: {
    kept: { verdict: 'right', text: "keeps the user's name for the contact" },
    changed: { verdict: 'breaks', text: "puts the contact's nickname in the place of the user's name" },
  },
  remedy: {
    prosody: ['no setting is known'],
    ejabberd: ['no setting is known'],
    other: ['no setting is known'],
  },
  async run(accounts) {
    const { user } = accounts
    const peer = accounts.contact()
    user.send(rosterSet(user.id(), { jid: peer.bare, name: 'Named by the user' }))
    user.send(presence({ type: 'subscribe', to: peer.bare, id: user.id() }))
    await accounts.asked(peer)
    peer.say('subscribed', user.bare, peer.bare, [
      element('nick', 'http://jabber.org/protocol/nick', {}, ['Named by the contact']),
    ])
    await accounts.settle(peer)
    const name = (await accounts.item(peer))?.name
    return { found: name === 'Named by the user' ? 'kept' : 'changed', detail: name && `'${name}'` }
  },
})

export const t13 = probe<'delivered' | 'kept'>({
  id: 'T13',
  title: "a stranger's roster push to the client's full JID",
  clause: 'RFC 6121 2.1.6',
  needs: 'contact',
  outcomes: {
    delivered: {
      verdict: 'note',
      text: 'delivers it, as servers may: a client that does not look at its sender takes it for its own roster',
      helps: ['roster-push-from-account'],
    },
    kept: { verdict: 'right', text: 'keeps it from the client' },
  },
  remedy: {
    prosody: ['modules_enabled = { "block_strangers" }  -- add it; keeps messages of strangers away too'],
    ejabberd: ['no setting changes it: the rule keeps it from the client'],
    other: ['the rule keeps it from the client'],
  },
  async run(accounts) {
    const peer = accounts.contact()
    const { mark } = accounts.user.mail
    const query = element('query', ns.roster, {}, [
      element('item', ns.roster, { jid: 'forged@doctor.invalid', subscription: 'both' }),
    ])
    peer.send(iq({ type: 'set', id: 'forged', from: peer.full, to: accounts.user.jid }, [query]))
    await accounts.settle(peer)
    const came = accounts.user.mail.since(mark).some(heard => {
      return rosterQueryOf(heard) !== undefined && sameBare(heard.attrs.get('from') ?? '', peer.bare)
    })
    return { found: came ? 'delivered' : 'kept' }
  },
})

export const t15 = probe<'all' | 'some' | 'none'>({
  id: 'T15',
  title: 'many strangers ask at once',
  clause: 'RFC 6120 13.12',
  needs: 'stranger',
  outcomes: {
    all: { verdict: 'note', text: 'delivers all of them' },
    some: {
      verdict: 'note',
      text: 'delivers some of them: real requests may be among those it holds back',
      isFine: true,
    },
    none: { verdict: 'note', text: 'delivers none of them: nobody else can ask either', isFine: true },
  },
  remedy: {
    prosody: [
      'modules_enabled = { "firewall" }  -- of prosody-modules; add it',
      'firewall_scripts = { "/etc/prosody/asked.pfw" }  -- which holds, for 5 at once and then one in 10 s for each user:',
      '%RATE asked: 0.1 (burst 50)',
      '::deliver',
      'KIND: presence',
      'TYPE: subscribe',
      'LIMIT: asked on $<@to|bare>',
      'DROP.',
    ],
    ejabberd: [
      'modules: { mod_pres_counter: { count: 5, interval: 60 } }  # holds back real requests too, by the same count',
    ],
    other: ['see whether it can limit requests by sender'],
  },
  async run(accounts) {
    const { mark } = accounts.user.mail
    const peers = Array.from({ length: accounts.strangers }, () => accounts.stranger())
    const last = peers.at(-1)
    if (last === undefined) throw new CannotProbe('no stranger is to ask')
    for (const peer of peers) peer.say('subscribe', accounts.user.bare)
    await accounts.settle(last)
    const count = (heard: readonly Element[]) =>
      peers.filter(({ bare }) => heard.some(each => isPresenceFrom(each, bare, 'subscribe'))).length
    const came = count(accounts.user.mail.since(mark))
    const session = await accounts.session()
    await session.roster()
    await session.appear()
    await accounts.settle(last)
    const again = count(session.mail.since(0))
    await session.close()
    const detail = `${came} of ${peers.length}; ${again} at the next login`
    return { found: came === peers.length ? 'all' : came > 0 ? 'some' : 'none', detail }
  },
})
