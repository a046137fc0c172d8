// Two people and a room: presence, subscriptions, messages, groupchat, the offer of a file.
import { ours } from './normalise.ts'
import { type Actor, type Case, type Stage, stanza } from './stage.ts'

const caps =
  "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:example:client' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>"

export const presence: Case = {
  name: 'presence',
  play: async ({ romeo, juliet }) => {
    const rich = `<show>chat</show><status>\u00e0 toi</status><status xml:lang='de'>f\u00fcr dich &amp; mich</status>`
    await romeo.send(`<presence><priority>5</priority>${rich}</presence>`)
    await romeo.waitFor(stanza('presence', { from: `${romeo.bare}/garden` }), 'his own presence')
    await juliet.send('<presence/>')
    await juliet.waitFor(stanza('presence', { from: `${juliet.bare}/chamber` }), 'her own presence')
  },
}

const push = (who: Actor, contact: Actor, subscription: string) =>
  who.waitFor(
    xml => stanzaOfRoster(xml) && xml.includes(contact.bare) && xml.includes(`subscription="${subscription}"`),
    `the push that ${contact.name} is ${subscription}`,
  )

const stanzaOfRoster = (xml: string) => /^<iq[^>]* type="set"/.test(xml) && xml.includes('jabber:iq:roster')

/** `by` asks, is approved, and both are told. `after` is what the two then are to each other, asker first. */
async function handshake(by: Actor, to: Actor, address: string, after: readonly [string, string]): Promise<void> {
  const status = '<status>Wilt \u00bb du \u00ab?</status>'
  await by.send(`<presence type='subscribe' id='${ours}ask-${by.name}' to='${address}'>${status}</presence>`)
  await to.waitFor(stanza('presence', { type: 'subscribe', from: by.bare }), 'the request')
  await to.send(`<presence type='subscribed' to='${by.bare}'/>`)
  await by.waitFor(stanza('presence', { type: 'subscribed', from: to.bare }), 'the approval')
  await push(by, to, after[0])
  await push(to, by, after[1])
  await by.waitFor(xml => /^<presence/.test(xml) && xml.includes(`from="${to.bare}/`), 'the presence that is now seen')
}

export const subscription: Case = {
  name: 'subscription, both ways',
  play: async ({ romeo, juliet }) => {
    await handshake(romeo, juliet, juliet.bare, ['to', 'from'])
    // To a full JID, as a user may have pasted it.
    await handshake(juliet, romeo, `${romeo.bare}/garden`, ['both', 'both'])
  },
}

export const cancellation: Case = {
  name: 'subscription, cancelled',
  play: async ({ romeo, juliet }) => {
    await romeo.send(`<presence type='unsubscribe' to='${juliet.bare}'/>`)
    await juliet.waitFor(stanza('presence', { type: 'unsubscribe', from: romeo.bare }), 'the withdrawal')
    await push(romeo, juliet, 'from')
    await push(juliet, romeo, 'to')
    await romeo.send(`<presence type='unsubscribed' to='${juliet.bare}'/>`)
    await juliet.waitFor(stanza('presence', { type: 'unsubscribed', from: romeo.bare }), 'the cancellation')
    await push(romeo, juliet, 'none')
    await push(juliet, romeo, 'none')
  },
}

const everything = `<subject/><body>e\u0301 &lt;&amp;&gt; ]]&gt; \u{1f9e1} \u05e9\u05dc\u05d5\u05dd</body><body xml:lang='ja'>\u65e5\u672c</body>
<x xmlns='urn:example' xmlns:p='urn:example:p' p:a='1' b='&quot;&apos;&#9;&#10;'><p:y>1<z xmlns=''/>2</p:y><y xmlns='urn:example:inner' xml:space='preserve'> </y></x>`

export const messages: Case = {
  name: 'messages, corrected',
  play: async ({ romeo, juliet }) => {
    const receipt = "<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>"
    const say = async (from: Actor, to: Actor, resource: string, id: string, rest: string) => {
      const head = `<message type='chat' id='${ours}${id}' to='${to.bare}/${resource}'`
      await from.send(`${head} xml:lang='fr'>${rest}</message>`)
      await to.waitFor(stanza('message', { id: `${ours}${id}` }), id)
    }
    await say(romeo, juliet, 'chamber', 'first', everything)
    const corrected = `<body>corrig\u00e9</body><replace xmlns='urn:xmpp:message-correct:0' id='${ours}first'/>`
    await say(romeo, juliet, 'chamber', 'corrected', `${corrected}${receipt}`)
    await say(juliet, romeo, 'garden', 'answer', everything)
    const received = `<received xmlns='urn:xmpp:receipts' id='${ours}corrected'/>`
    await say(juliet, romeo, 'garden', 'received', received)
    // Without a language of its own.
    const plain = `<message type='chat' id='${ours}plain' to='${juliet.bare}'><body>plain</body></message>`
    await romeo.send(plain)
    await juliet.waitFor(stanza('message', { id: `${ours}plain` }), 'a plain one')
  },
}

export const another: Case = {
  name: 'another client of the account',
  play: async ({ romeo, juliet, tablet }) => {
    await tablet.connect()
    await tablet.send(`<presence>${caps}</presence>`)
    for (const [to, from] of [
      [tablet, `${romeo.bare}/garden`],
      [tablet, `${juliet.bare}/chamber`],
      [romeo, `${romeo.bare}/tablet`],
      [juliet, `${romeo.bare}/tablet`],
    ] as const) {
      await to.waitFor(stanza('presence', { from }), `the presence of ${from}`)
    }
  },
}

export const carbons: Case = {
  name: 'carbons',
  play: async ({ romeo, juliet, tablet }) => {
    for (const actor of [romeo, tablet]) await actor.ask('carbons', 'set', "<enable xmlns='urn:xmpp:carbons:2'/>")
    const to = `${romeo.bare}/garden`
    await juliet.send(`<message type='chat' id='${ours}in' to='${to}'><body>dr\u00e1</body></message>`)
    await romeo.waitFor(stanza('message', { id: `${ours}in` }), 'the message itself')
    await tablet.waitFor(stanza('message', {}, `${ours}in`), 'its carbon')
    await romeo.send(`<message type='chat' id='${ours}out' to='${juliet.bare}'><body>d\u0155</body></message>`)
    await juliet.waitFor(stanza('message', { id: `${ours}out` }), 'the message itself')
    await tablet.waitFor(stanza('message', {}, `${ours}out`), 'its carbon')
  },
}

export const room: Case = {
  name: 'groupchat',
  play: async (stage: Stage) => {
    const { romeo, juliet } = stage
    const muc = "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>"
    const [his, hers] = [`${stage.room}/Rom\u00e9o \u624b`, `${stage.room}/J`]
    await romeo.send(`<presence to='${his}'>${muc}</presence>`)
    await romeo.waitFor(stanza('presence', { from: his }), 'his own join')
    await romeo.waitFor(stanza('message', { from: stage.room }, '<subject'), 'the subject')
    await juliet.send(`<presence to='${hers}'>${muc}</presence>`)
    await juliet.waitFor(stanza('presence', { from: hers }), 'her own join')
    await juliet.waitFor(stanza('message', { from: stage.room }, '<subject'), 'the subject')
    await romeo.waitFor(stanza('presence', { from: hers }), 'her join')
    const said = `<body>\u00ab${'\u{1f339}'}\u00bb</body>`
    await romeo.send(`<message type='groupchat' id='${ours}all' to='${stage.room}'>${said}</message>`)
    for (const actor of [romeo, juliet]) await actor.waitFor(stanza('message', { id: `${ours}all` }), 'what he says')
    await juliet.send(`<presence type='unavailable' to='${hers}'><status>ade</status></presence>`)
    for (const actor of [romeo, juliet]) {
      await actor.waitFor(stanza('presence', { type: 'unavailable', from: hers }), 'her leave')
    }
    await romeo.send(`<presence type='unavailable' to='${his}'/>`)
    await romeo.waitFor(stanza('presence', { type: 'unavailable', from: his }), 'his own leave')
  },
}

export const file: Case = {
  name: 'the offer of a file',
  play: async ({ lane, romeo, juliet }) => {
    const isRefused = lane.kind.name !== 'strophe.js' // which says nothing itself to what it does not know
    const [his, hers] = [`${romeo.bare}/garden`, `${juliet.bare}/chamber`]
    const jingle = (action: string, inner: string) =>
      `<jingle xmlns='urn:xmpp:jingle:1' action='${action}' sid='${ours}sid' initiator='${his}'>
<content creator='initiator' name='a'>${inner}</content></jingle>`
    const description = `<description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file><name>\u5149.txt</name><size>6144</size></file></description>`
    const transport = `<transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='${ours}ibb'/>`
    const iq = async (from: Actor, to: Actor, address: string, id: string, payload: string) => {
      // The library knows nothing of files and refuses; the case answers a second time, once that is said.
      await from.send(`<iq type='set' id='${ours}${id}' to='${address}'>${payload}</iq>`)
      await to.waitFor(stanza('iq', { id: ours + id, type: 'set' }), id)
      if (isRefused) {
        await from.waitFor(stanza('iq', { id: ours + id, type: 'error' }), `the library's answer to ${id}`)
      }
      await to.send(`<iq type='result' id='${ours}${id}' to='${address === his ? hers : his}'/>`)
      await from.waitFor(stanza('iq', { id: ours + id, type: 'result' }), `the answer to ${id}`)
    }
    await iq(romeo, juliet, hers, 'initiate', jingle('session-initiate', description + transport))
    await iq(juliet, romeo, his, 'accept', jingle('session-accept', description + transport))
    const open = `<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='${ours}ibb' stanza='iq'/>`
    await iq(romeo, juliet, hers, 'open', open)
    const data = Buffer.alloc(3_000, 'abc\u{1f4be}').toString('base64')
    await iq(
      romeo,
      juliet,
      hers,
      'data',
      `<data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='${ours}ibb'>${data}</data>`,
    )
    await iq(romeo, juliet, hers, 'close', `<close xmlns='http://jabber.org/protocol/ibb' sid='${ours}ibb'/>`)
  },
}
