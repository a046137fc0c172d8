// One person and the server: roster, archive, PEP, blocking, and the stream itself.
import { ours } from './normalise.ts'
import { type Actor, type Case, stanza } from './stage.ts'

const roster = 'jabber:iq:roster'
const nurse = `<query xmlns='${roster}'><item jid='nurse@localhost' name='Amme \u2665 &lt;3'><group>Haus \u5bb6</group></item></query>`

export const login: Case = {
  name: 'login',
  play: async ({ romeo, juliet }) => {
    for (const actor of [romeo, juliet]) {
      const { resumed } = await actor.connect()
      if (resumed) throw new Error(`${actor.name} has resumed a session that never was`)
    }
  },
}

export const rosterCase: Case = {
  name: 'roster, with versions',
  play: async ({ romeo, juliet }) => {
    const versioned = (version: string) => `<query xmlns='${roster}' ver='${version}'/>`
    await romeo.ask('empty-roster', 'get', `<query xmlns='${roster}'/>`)
    await juliet.ask('empty-roster', 'get', `<query xmlns='${roster}'/>`)
    await romeo.ask('nurse', 'set', nurse)
    await romeo.waitFor(stanza('iq', { type: 'set' }, 'nurse@localhost'), 'the roster push')
    const whole = await romeo.ask('whole-roster', 'get', versioned(''))
    const [, version] = / ver="([^"]+)"/.exec(whole) ?? []
    if (version === undefined) throw new Error(`a roster without a version: ${whole}`)
    await romeo.ask('version-at-once', 'get', versioned(version))
    for (const where of ['elsewhere', 'here'] as const) {
      await romeo.again(where)
      await romeo.ask(`version-${where}`, 'get', versioned(version))
    }
  },
}

export const disco: Case = {
  name: 'service discovery and errors',
  play: async ({ romeo }) => {
    await romeo.ask('disco', 'get', "<query xmlns='http://jabber.org/protocol/disco#info'/>", 'localhost')
    await romeo.ask('disco-account', 'get', "<query xmlns='http://jabber.org/protocol/disco#info'/>", romeo.bare)
    await romeo.ask('unknown', 'get', "<query xmlns='urn:example:\u2665'/>", 'localhost')
    await romeo.ask('vcard', 'set', "<vCard xmlns='vcard-temp'><FN>Rom\u00e9o &amp; co</FN></vCard>")
    await romeo.ask('vcard-back', 'get', "<vCard xmlns='vcard-temp'/>")
  },
}

export const archive: Case = {
  name: 'message archive',
  play: async ({ romeo, juliet }) => {
    const page = (max: number) => `<query xmlns='urn:xmpp:mam:2' queryid='${ours}query'>
<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>
<field var='with'><value>${juliet.bare}</value></field></x>
<set xmlns='http://jabber.org/protocol/rsm'><max>${max}</max></set></query>`
    await romeo.ask('archive-2', 'set', page(2))
    await romeo.ask('archive', 'set', page(50))
  },
}

const pubsub = 'http://jabber.org/protocol/pubsub'

/**
 * ejabberd 23.01 loses the first notification of a PEP node when it makes another account's node at the same moment, also without a
 * gate. So one lane after the other makes its node.
 */
class OneAtATime {
  #last: Promise<unknown> = Promise.resolve()

  run<Value>(work: () => Promise<Value>): Promise<Value> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {}) // told to the lane that failed
    return done
  }
}

const nodeCreation = new OneAtATime()

export const pep: Case = {
  name: 'PEP',
  play: async ({ lane, romeo, juliet, tablet }) => {
    // Prosody tells the account's own clients only if their capabilities ask for it (XEP-0163 section 4.3.4).
    const own = lane.server === 'ejabberd' ? [romeo, tablet] : []
    const tune = (title: string) =>
      `<pubsub xmlns='${pubsub}'><publish node='${ours}tune'><item id='${ours}${title}'>
<tune xmlns='http://jabber.org/protocol/tune'><title>${title} \u266b</title><track/></tune></item></publish></pubsub>`
    const told = async (actors: readonly Actor[], title: string) => {
      const isNews = stanza('message', { from: romeo.bare, type: 'headline' }, ours + title)
      for (const actor of actors) await actor.waitFor(isNews, `that ${title} is published`)
    }
    await nodeCreation.run(async () => {
      await romeo.ask('publish', 'set', tune('nightingale'))
      await told(own, 'nightingale')
    })
    const subscribe = `<pubsub xmlns='${pubsub}'><subscribe node='${ours}tune' jid='${juliet.bare}'/></pubsub>`
    await juliet.ask('follow', 'set', subscribe, romeo.bare)
    await juliet.settle()
    await romeo.ask('publish-again', 'set', tune('lark'))
    await told([juliet, ...own], 'lark')
    await juliet.ask('items', 'get', `<pubsub xmlns='${pubsub}'><items node='${ours}tune'/></pubsub>`, romeo.bare)
  },
}

export const blocking: Case = {
  name: 'blocking',
  play: async ({ lane, romeo, juliet, tablet }) => {
    // XEP-0191 section 3.3 and 3.4: she shall be told that he is gone, and back. ejabberd 23.01 does not tell her.
    const seen = lane.server === 'ejabberd' ? [] : ['garden', 'tablet']
    const list = "<blocklist xmlns='urn:xmpp:blocking'/>"
    const change = (what: string, jid: string) => `<${what} xmlns='urn:xmpp:blocking'><item jid='${jid}'/></${what}>`
    await romeo.ask('blocklist', 'get', list)
    await tablet.ask('blocklist', 'get', list)
    for (const [what, jid] of [
      ['block', 'paris@localhost'],
      ['block', juliet.bare],
    ] as const) {
      await romeo.ask(`${what}-${jid.slice(0, 5)}`, 'set', change(what, jid))
      for (const actor of [romeo, tablet]) await actor.waitFor(stanza('iq', { type: 'set' }, jid), 'the push')
    }
    for (const resource of seen) {
      const gone = stanza('presence', { type: 'unavailable', from: `${romeo.bare}/${resource}` })
      await juliet.waitFor(gone, `that ${resource} is gone`)
    }
    await juliet.send(`<message type='chat' id='${ours}blocked' to='${romeo.bare}'><body>hist!</body></message>`)
    await juliet.waitFor(stanza('message', { type: 'error', from: romeo.bare }), 'her message coming back')
    await romeo.ask('unblock', 'set', change('unblock', juliet.bare))
    for (const actor of [romeo, tablet]) await actor.waitFor(stanza('iq', { type: 'set' }, juliet.bare), 'the push')
    for (const resource of seen) {
      await juliet.waitFor(stanza('presence', { from: `${romeo.bare}/${resource}` }), `that ${resource} is back`)
    }
    await romeo.ask('blocklist-after', 'get', list)
  },
}

export const inactive: Case = {
  name: 'client state',
  play: async ({ romeo, juliet }) => {
    await romeo.send("<inactive xmlns='urn:xmpp:csi:0'/>")
    await romeo.settle()
    await juliet.send(`<presence><show>away</show><status>${ours}away</status></presence>`)
    await juliet.settle()
    const awake = `<body>art thou awake?</body>`
    await juliet.send(`<message type='chat' id='${ours}awake' to='${romeo.bare}/garden'>${awake}</message>`)
    await romeo.waitFor(stanza('message', { id: `${ours}awake` }), 'what is important')
    await romeo.send("<active xmlns='urn:xmpp:csi:0'/>")
    await romeo.waitFor(stanza('presence', { from: `${juliet.bare}/chamber` }, `${ours}away`), 'what is not')
    await romeo.settle()
  },
}

/** Seen by test/clients/clients.test.ts, which tells why. */
const cannotLoseWebsocket = 'ejabberd 23.01 now and then takes 15 s to see that its own WebSocket is gone'

/** The connection is cut; what was sent meanwhile is there, once, when the session has been resumed. */
export const resumption: Case = {
  name: 'resumption',
  notDirect: ({ server, wire }) =>
    server === 'ejabberd' && (wire === 'ws' || wire === 'wss') ? cannotLoseWebsocket : undefined,
  play: async ({ romeo, juliet }) => {
    await romeo.settle()
    await romeo.client.cut()
    const meanwhile = `<body>you are g\u00f6ne</body>`
    await juliet.send(`<message type='chat' id='${ours}meanwhile' to='${romeo.bare}/garden'>${meanwhile}</message>`)
    await juliet.settle()
    const { jid, resumed } = await romeo.connect()
    if (!resumed || jid !== `${romeo.bare}/garden`) throw new Error(`not resumed: ${jid}`)
    await romeo.waitFor(stanza('message', { id: `${ours}meanwhile` }), 'what came meanwhile')
    const back = '<body>I am back</body>'
    await romeo.send(`<message type='chat' id='${ours}back' to='${juliet.bare}/chamber'>${back}</message>`)
    await juliet.waitFor(stanza('message', { id: `${ours}back` }), 'that he is back')
    await romeo.settle()
  },
}
