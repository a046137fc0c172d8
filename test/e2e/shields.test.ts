/** Carbon copies and IQ answers on real servers: those of strangers do not reach the client, everybody else's do. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { child, type Element } from '../../src/xml/element.ts'
import type { RawClient } from '../clients/raw.ts'
import { within } from '../clients/within.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { startProsody } from '../servers/prosody.ts'
import { Gate, makeCertificate, type WireName, wires } from './gate.ts'

const certificate = await makeCertificate(t)
const options = {
  plain: true,
  componentSecret: 'mellon',
  accounts: Object.fromEntries(
    [...wires.map(wire => `romeo${wire}`), 'juliet', 'mallory'].map(user => [user, 'secret']),
  ),
}
for (const [name, start] of Object.entries({ Prosody: startProsody, ejabberd: startEjabberd })) {
  t.test(name, async t => {
    const server = await start(options)
    t.teardown(() => server.stop())
    await component(t, server.ports.component ?? 0)
    const gate = await Gate.start(t, certificate, server)
    for (const wire of wires) await t.test(wire, t => shield(t, gate, server, wire))
  })
}

const carbons = 'urn:xmpp:carbons:2'
const words = (id: string) => `<body>${id}</body>`
const copied = (name: string, id: string) =>
  `<${name} xmlns='${carbons}'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='juliet@localhost/balcony' to='romeo@localhost' type='chat' id='${id}'>${words(id)}</message></forwarded></${name}>`
const isCopy = (name: string, id: string) => (found: Element) => {
  const forwarded = child(found, name, carbons)?.children.find(node => typeof node !== 'string')
  const message = forwarded && child(forwarded, 'message', 'jabber:client')
  return message?.attrs.get('id') === id
}

async function shield(
  t: Test,
  gate: Gate,
  server: { inject(jid: string, xml: string): Promise<void> },
  wire: WireName,
): Promise<void> {
  const bare = `romeo${wire}@localhost`
  const romeo = await gate.login(wire, `romeo${wire}`, 'Orchard')
  const tablet = await gate.login('plain', `romeo${wire}`, 'tablet')
  const juliet = await gate.login('plain', 'juliet', 'balcony')
  const mallory = await gate.login('plain', 'mallory', 'pda')
  const everyone = [romeo, tablet, juliet, mallory]
  for (const client of everyone) await client.appear()
  const before = await gate.metrics()

  const ask = async (
    id: string,
    to: string | undefined,
    payload = `<query xmlns='http://jabber.org/protocol/disco#info'/>`,
  ) =>
    romeo.send(
      `<iq xmlns='jabber:client' type='get' id='${id}' ${to === undefined ? '' : `to='${to}'`}>${payload}</iq>`,
    )
  const answer = async (client: RawClient, id: string, type = 'result') => {
    const from = (await client.withId(id)).attrs.get('from')
    client.send(`<iq xmlns='jabber:client' type='${type}' id='${id}' to='${from}'/>`)
  }

  // Carbons: what the account's other resource says and hears.
  romeo.send(`<iq xmlns='jabber:client' type='set' id='carbons'><enable xmlns='${carbons}'/></iq>`)
  t.equal((await romeo.withId('carbons')).attrs.get('type'), 'result')
  tablet.send(`<message xmlns='jabber:client' to='${juliet.jid}' type='chat' id='said'>${words('said')}</message>`)
  t.equal((await romeo.element('the copy of what was said', isCopy('sent', 'said'))).attrs.get('from'), bare)
  juliet.send(`<message xmlns='jabber:client' to='${tablet.jid}' type='chat' id='heard'>${words('heard')}</message>`)
  t.equal((await romeo.element('the copy of what was heard', isCopy('received', 'heard'))).attrs.get('from'), bare)

  // ... and what strangers make up, past the server's own checks.
  const strangers = [mallory.jid, 'mallory@localhost', 'localhost', tablet.jid, romeo.jid, 'stranger.localhost']
  for (const from of strangers)
    for (const name of ['sent', 'received'])
      await server.inject(
        romeo.jid,
        `<message xmlns='jabber:client' from='${from}' to='${romeo.jid}' type='chat' id='forged'>${copied(name, 'never')}</message>`,
      )
  t.same(withoutPresence(await romeo.settled()), [])
  const more = async () => (await gate.metrics()).rulesSince(before)
  t.same(await more(), { 'carbons-from-account enforce drop': 2 * strangers.length })

  // Answers of everyone who can be asked.
  const asked: [id: string, to: string | undefined, from: string, by?: RawClient][] = [
    ['nobody', undefined, ''],
    ['server', 'localhost', 'localhost'],
    ['server-spelled', 'LOCALHOST', 'localhost'],
    ['account', bare, bare],
    ['tablet', tablet.jid, tablet.jid, tablet],
    ['juliet', juliet.jid, juliet.jid, juliet],
    ['juliet-spelled', 'JULIET@LocalHost/balcony', juliet.jid, juliet],
    ['juliet-bare', 'juliet@localhost', 'juliet@localhost'],
    ['gone', 'juliet@localhost/gone', 'juliet@localhost/gone'],
    ['unknown', 'unknown@localhost', 'unknown@localhost'],
    ['rooms', 'conference.localhost', 'conference.localhost'],
    ['no-room', 'no-room@conference.localhost/nobody', 'no-room@conference.localhost/nobody'],
    ['component', 'stranger.localhost', 'stranger.localhost'],
    ['component-user', 'bot@stranger.localhost', 'bot@stranger.localhost'],
    ['component-resource', 'bot@Stranger.localhost/x \u00e9', 'bot@stranger.localhost/x \u00e9'],
    ['itself', romeo.jid, romeo.jid, romeo],
    ['foreign', 'juliet@no-such.invalid', 'juliet@no-such.invalid'],
  ]
  for (const [id, to, from, by] of asked) {
    await ask(id, to)
    if (by !== undefined) await answer(by, id)
    const isOwn = to === undefined || to === bare
    const came = (await romeo.element(`the answer to ${id}`, found => isAnswer(found, id))).attrs.get('from')
    // In the spelling of the request, or in the server's own.
    t.equal((isOwn ? (came ?? bare) : came)?.toLowerCase(), (from || bare).toLowerCase(), id)
  }
  const room = `verona-${wire}@conference.localhost`
  const join = `<x xmlns='http://jabber.org/protocol/muc'/>`
  for (const [client, nick] of [
    [romeo, 'romeo'],
    [juliet, 'juliet'],
    [mallory, 'mallory'],
  ] as const) {
    client.send(`<presence xmlns='jabber:client' to='${room}/${nick}'>${join}</presence>`)
    await client.element(
      'the own presence',
      found => found.name === 'presence' && found.attrs.get('from') === `${room}/${nick}`,
    )
  }
  await ask('occupant', `${room}/juliet`, `<query xmlns='jabber:iq:version'/>`)
  const request = await juliet.element(
    'the question',
    found => found.name === 'iq' && child(found, 'query', 'jabber:iq:version') !== undefined,
  )
  juliet.send(
    `<iq xmlns='jabber:client' type='result' id='${request.attrs.get('id')}' to='${request.attrs.get('from')}'/>`,
  )
  t.equal((await romeo.withId('occupant')).attrs.get('from'), `${room}/juliet`)
  await romeo.settled()

  // What strangers answer: before they are asked, and before the one who is; over the server too, which lets it pass.
  let forged = 0
  const lie = async (id: string, from: string, type: string) => {
    forged++
    await server.inject(
      romeo.jid,
      `<iq xmlns='jabber:client' type='${type}' id='${id}' from='${from}' to='${romeo.jid}'/>`,
    )
  }
  await ask('awaited', juliet.jid)
  for (const type of ['result', 'error'])
    for (const from of [
      mallory.jid,
      'mallory@localhost',
      tablet.jid,
      'juliet@localhost/tomb',
      'stranger.localhost',
      `${room}/mallory`,
      `${room}/juliet`,
    ]) {
      await lie('awaited', from, type)
      await lie('unasked', from, type)
    }
  mallory.send(`<iq xmlns='jabber:client' type='result' id='awaited' to='${romeo.jid}'/>`)
  forged++
  await mallory.settled()
  await gate.counted('the lies', counts => counts.rulesSince(before)['iq-answer-needs-request enforce drop'] === forged)
  await answer(juliet, 'awaited')
  t.equal((await romeo.withId('awaited')).attrs.get('from'), juliet.jid, 'the first that came is whose it should be')
  await lie('unasked', juliet.jid, 'result')
  t.same(withoutPresence(await romeo.settled()), [])
  t.same(await more(), {
    'carbons-from-account enforce drop': 2 * strangers.length,
    'iq-answer-needs-request enforce drop': forged,
  })
  for (const client of everyone) {
    client.send(client.endTag)
    await client.toTheEnd()
  }
}

function isAnswer(found: Element, id: string): boolean {
  return (
    found.name === 'iq' && found.attrs.get('id') === id && ['result', 'error'].includes(found.attrs.get('type') ?? '')
  )
}

/** Others come and go, and rooms have subjects. */
function withoutPresence(lines: readonly string[]): string[] {
  return lines.filter(line => !line.startsWith('presence') && !line.includes('subject'))
}

/** A component (XEP-0114) that answers every request from the address that was asked. */
async function component(t: Test, port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  let text = ''
  socket.setEncoding('utf8').on('data', data => {
    text += data
    for (let whole = request.exec(text); whole !== null; whole = request.exec(text)) {
      text = text.slice(whole.index + whole[0].length)
      const [id, to, from] = ['id', 'to', 'from'].map(
        name => new RegExp(`\\s${name}=(['"].*?['"])`).exec(whole?.[0] ?? '')?.[1],
      )
      socket.write(`<iq type='result' id=${id} from=${to} to=${from}/>`)
    }
  })
  socket.write(
    `<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='stranger.localhost'>`,
  )
  const until = async (what: string, wanted: RegExp): Promise<string> => {
    for (;;) {
      const found = wanted.exec(text)
      if (found !== null) return found[1] ?? ''
      await within(what, once(socket, 'data'))
    }
  }
  const id = await until("the component's stream", /<stream:stream[^>]*\sid=['"]([^'"]*)/)
  socket.write(`<handshake>${createHash('sha1').update(`${id}mellon`).digest('hex')}</handshake>`)
  await until('the handshake', /<handshake\s*\/>|<handshake>/)
}

const request = /<iq\s[^>]*\btype=['"]get['"][^>]*>/
