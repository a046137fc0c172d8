// Honest clients on every wire, in pairs of different wires: what they say through the gate is what they would say without it.
import { type XmlElement, xml } from '@xmpp/client'
import t from 'tap'
import type { Element } from '../../src/xml/element.ts'
import { outline } from '../clients/raw.ts'
import { trust } from '../servers/certificate.ts'
import { Gate, libraryLogin, makeCertificate, makeProsody, presenceOf, rosterOf, type WireName, wires } from './gate.ts'

const certificate = await makeCertificate(t)
t.teardown(trust(certificate)) // the library has no option for it
const accounts = Object.fromEntries(
  wires.flatMap(wire => [`romeo-${wire}`, `juliet-${wire}`]).map(user => [user, 'secret']),
)
const prosody = await makeProsody(t, { accounts })
const gate = await Gate.start(t, certificate, prosody)

function serviceOf(wire: WireName): string {
  if (wire === 'ws' || wire === 'wss') return gate.url(wire)
  return `${wire === 'direct' ? 'xmpps' : 'xmpp'}://localhost:${gate.port(wire)}`
}

const nextWire = (wire: WireName): WireName => wires[(wires.indexOf(wire) + 1) % wires.length] ?? 'ws'

for (const wire of wires) {
  t.test(`a library's clients, ${wire} and ${nextWire(wire)}`, async t => {
    const romeo = await libraryLogin(t, serviceOf(wire), `romeo-${wire}`)
    const juliet = await libraryLogin(t, serviceOf(nextWire(wire)), `juliet-${wire}`)
    for (const one of [romeo, juliet]) {
      t.match(one.said.join(), 'mechanism="SCRAM-SHA-1"')
      t.strictSame(await rosterOf(one), [])
      await one.entity.send(xml('presence'))
      await one.inbox.find('the own presence', presenceOf(undefined, one.jid))
    }
    const his = `romeo-${wire}@localhost`
    const hers = `juliet-${wire}@localhost`
    const push = (jid: string, subscription: string, ask?: string) => (stanza: XmlElement) => {
      const item = stanza.getChild('query', 'jabber:iq:roster')?.getChild('item')
      return item?.attrs.jid === jid && item.attrs.subscription === subscription && item.attrs.ask === ask
    }
    const both = async (what: string, one: Promise<unknown>, other: Promise<unknown>) => {
      await Promise.all([one, other])
      t.pass(what)
    }

    await romeo.entity.send(
      xml('presence', { to: hers, type: 'subscribe', id: 'first' }, xml('status', {}, 'Bitte \u2665')),
    )
    const request = await juliet.inbox.find('the request', presenceOf('subscribe', his))
    t.equal(request.getChildText('status'), 'Bitte \u2665')
    await juliet.entity.send(xml('presence', { to: his, type: 'subscribed' }))
    await both(
      'one half stands',
      romeo.inbox.find('the approval', presenceOf('subscribed', hers)),
      juliet.inbox.find("juliet's push", push(his, 'from')),
    )
    await romeo.inbox.find("romeo's push", push(hers, 'to'))
    await romeo.inbox.find("juliet's presence", presenceOf(undefined, juliet.jid))
    await juliet.entity.send(xml('presence', { to: his, type: 'subscribe' }))
    await romeo.inbox.find('the other request', presenceOf('subscribe', hers))
    await romeo.entity.send(xml('presence', { to: hers, type: 'subscribed' }))
    await juliet.inbox.find('the other approval', presenceOf('subscribed', his))
    await juliet.inbox.find("juliet's push", push(his, 'both'))
    await romeo.inbox.find("romeo's push", push(hers, 'both'))
    t.equal((await rosterOf(romeo))[0]?.attrs.subscription, 'both')
    t.equal((await rosterOf(juliet))[0]?.attrs.subscription, 'both')

    // He takes back what she sees; she gives up nothing more than that, and then he gives up too.
    await romeo.entity.send(xml('presence', { to: hers, type: 'unsubscribed' }))
    await juliet.inbox.find('the cancellation', presenceOf('unsubscribed', his))
    await juliet.inbox.find("juliet's push", push(his, 'from'))
    await juliet.entity.send(xml('presence', { to: his, type: 'unsubscribed' }))
    await romeo.inbox.find('the cancellation', presenceOf('unsubscribed', hers))
    await romeo.inbox.find("romeo's push", push(hers, 'none'))
    t.equal((await rosterOf(juliet))[0]?.attrs.subscription, 'none')

    // Giving up what one sees: asked again, approved again, and unsubscribed.
    await romeo.entity.send(xml('presence', { to: hers, type: 'subscribe' }))
    await juliet.inbox.find('the second request', presenceOf('subscribe', his))
    await juliet.entity.send(xml('presence', { to: his, type: 'subscribed' }))
    await romeo.inbox.find('the second approval', presenceOf('subscribed', hers))
    await romeo.entity.send(xml('presence', { to: hers, type: 'unsubscribe' }))
    await juliet.inbox.find('the withdrawal', presenceOf('unsubscribe', his))
    await romeo.inbox.find("romeo's push", push(hers, 'none'))

    // Directed presence keeps its resource: a room is joined with a nick.
    const room = `balcony-${wire}@conference.localhost`
    for (const [one, nick] of [
      [romeo, 'Rom\u00e9o \u624b'],
      [juliet, 'J'],
    ] as const) {
      await one.entity.send(
        xml('presence', { to: `${room}/${nick}` }, xml('x', { xmlns: 'http://jabber.org/protocol/muc' })),
      )
      await one.inbox.find('the own occupant', presenceOf(undefined, `${room}/${nick}`))
    }
    await juliet.entity.send(xml('message', { to: room, type: 'groupchat' }, xml('body', {}, 'e\u0301 \ud83e\udde1')))
    const heard = await romeo.inbox.find('her words', stanza => stanza.getChild('body') !== undefined)
    t.equal(heard.getChildText('body'), 'e\u0301 \ud83e\udde1')
    t.equal(heard.attrs.from, `${room}/J`)
    await romeo.entity.send(xml('presence', { to: `${room}/Rom\u00e9o \u624b`, type: 'unavailable' }))
    await juliet.inbox.find('his leaving', presenceOf('unavailable', `${room}/Rom\u00e9o \u624b`))

    for (const { entity } of [romeo, juliet]) await entity.stop()
  })
}

const deep = 60
const long = '\u00e4\u6f22\ud83d\ude00'.repeat(20_000)

/** What stands in a message as it is sent, and the tree that has to arrive. Written by hand: a reader that erred could not tell. */
const messages: readonly (readonly [what: string, sent: string, arriving: string])[] = [
  [
    'emoji and combining marks',
    '<body>\ud83d\udc69\u200d\ud83d\udcbb e\u0301 \ud835\udd4f</body>',
    'body["\ud83d\udc69\u200d\ud83d\udcbb e\u0301 \ud835\udd4f"]',
  ],
  ['references', '<body>&#x1F600;&#233;&lt;&amp;&gt;&quot;&apos;</body>', `body["\ud83d\ude00\u00e9<&>\\"'"]`],
  ['CDATA', '<body>a<![CDATA[<b>&amp;]]>&gt;</body>', 'body["a<b>&amp;>"]'],
  [
    'xml:space and xml:lang',
    `<body xml:lang='de' xml:space='preserve'>  x </body>`,
    'body(xml:lang=de xml:space=preserve)["  x "]',
  ],
  ['significant white space', '<body>\n\ta\n  b \n</body>', 'body["\\n\\ta\\n  b \\n"]'],
  ['white space alone', '<body> </body><subject>\n</subject>', 'body[" "] subject["\\n"]'],
  ['empty elements', `<body/><x xmlns='urn:x'></x><y xmlns='urn:y'/>`, 'body {urn:x}x {urn:y}y'],
  [
    'prefixes',
    `<a:x xmlns:a='urn:a' a:k='1' k='2' xmlns:b='urn:b' b:k='3'><a:y/><b:z a:k='4'/><y xmlns=''/></a:x>`,
    '{urn:a}x(k=2 {urn:a}k=1 {urn:b}k=3)[{urn:a}y {urn:b}z({urn:a}k=4) {}y]',
  ],
  ['a prefix bound again', `<a:x xmlns:a='urn:a'><a:x xmlns:a='urn:b'/><a:x/></a:x>`, '{urn:a}x[{urn:b}x {urn:a}x]'],
  [
    'a message within a message',
    `<f xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='a@b/c'><body>in</body><e xmlns='urn:e'/></message></f>`,
    '{urn:xmpp:forward:0}f[message(from=a@b/c)[body["in"] {urn:e}e]]',
  ],
  [
    "the stream's namespace within",
    `<x xmlns='urn:x'><error xmlns='http://etherx.jabber.org/streams'><b xmlns='urn:b'/></error></x>`,
    '{urn:x}x[{http://etherx.jabber.org/streams}error[{urn:b}b]]',
  ],
  [
    'mixed content',
    `<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>a <b>c</b> <i/>d</body></html>`,
    '{http://jabber.org/protocol/xhtml-im}html[{http://www.w3.org/1999/xhtml}body["a " {http://www.w3.org/1999/xhtml}b["c"] " " {http://www.w3.org/1999/xhtml}i "d"]]',
  ],
  ['quotes in attributes', `<x xmlns='urn:x' a='"&lt;&amp;>' b="it's"/>`, `{urn:x}x(a="<&> b=it's)`],
  [
    'an attribute called xmlns-like',
    `<x xmlns='urn:x' xml:id='i' n0='1' _proto_='2' __proto__='3'/>`,
    '{urn:x}x(__proto__=3 _proto_=2 n0=1 xml:id=i)',
  ],
  [
    'depth',
    `${`<d xmlns='urn:d'>`.repeat(deep)}${'</d>'.repeat(deep)}`,
    `${'{urn:d}d['.repeat(deep - 1)}{urn:d}d${']'.repeat(deep - 1)}`,
  ],
  ['length', `<body>${long}</body>`, `body["${long}"]`],
]

for (const wire of wires) {
  t.test(`trees arrive equal, ${wire} to ${nextWire(wire)} and back`, async t => {
    const romeo = await gate.login(wire, `romeo-${wire}`, 'orchard')
    const juliet = await gate.login(nextWire(wire), `juliet-${wire}`, 'balcony')
    for (const [sender, receiver] of [
      [romeo, juliet],
      [juliet, romeo],
    ] as const) {
      for (const [number, [what, sent, arriving]] of messages.entries()) {
        const id = `m${number}`
        sender.send(`<message xmlns='jabber:client' id='${id}' type='chat' to='${receiver.jid}'>${sent}</message>`)
        const got = await receiver.withId(id)
        t.equal(got.attrs.get('from'), sender.jid)
        t.equal(withoutArchiveId(got).join(' '), arriving, what)
      }
      sender.send(
        `<iq xmlns='jabber:client' id='q' type='get' to='${receiver.jid}'><query xmlns='jabber:iq:version'/></iq>`,
      )
      const query = await receiver.withId('q')
      t.equal(outline(query), `iq(from=${sender.jid} id=q to=${receiver.jid} type=get)[{jabber:iq:version}query]`)
      receiver.send(
        `<iq xmlns='jabber:client' id='q' type='result' to='${sender.jid}'><query xmlns='jabber:iq:version'><name/></query></iq>`,
      )
      t.match(outline(await sender.withId('q')), 'type=result)[{jabber:iq:version}query[{jabber:iq:version}name]]')
    }
    for (const client of [romeo, juliet]) {
      client.send(client.endTag)
      const last = client.transport.wire === 'tcp' ? ['close', 'gone'] : ['close', 'gone 1000']
      t.strictSame(await client.toTheEnd(), last, 'an end tag answers an end tag, and nothing else comes')
    }
  })
}

/** Prosody's archive leaves a mark of its own. */
function withoutArchiveId(message: Element): string[] {
  return message.children.flatMap(node => {
    if (typeof node === 'string') return [JSON.stringify(node)]
    return node.ns === 'urn:xmpp:sid:0' ? [] : [outline(node)]
  })
}
