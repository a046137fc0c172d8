/** The scripted conversation: two honest clients through the gate, then a server that lies and a client that errs. */
import { xml } from '@xmpp/client'
import { type Gate, type LibraryClient, libraryLogin, presenceOf, rosterOf } from '../e2e/gate.ts'
import type { Prosody } from '../servers/prosody.ts'
import { heading, type Speaker, tell } from './voice.ts'

interface Teardowns {
  teardown(action: () => unknown): unknown
}

interface Player extends LibraryClient {
  readonly name: Speaker
  readonly bare: string
}

/** Plays it, telling each step as it happens; throws as soon as a step does not come out as it must. */
export async function converse(teardowns: Teardowns, gate: Gate, prosody: Prosody): Promise<void> {
  heading('Honest clients')
  const romeo = await login(
    teardowns,
    'romeo',
    `xmpp://localhost:${gate.port('starttls')}`,
    'TCP, made secure by STARTTLS',
  )
  const juliet = await login(teardowns, 'juliet', gate.url('wss'), 'a secure WebSocket')
  await subscribe(romeo, juliet)
  await subscribe(juliet, romeo)
  await showRoster(romeo)
  await showRoster(juliet)
  await say(romeo, juliet, 'But soft! What light through yonder window breaks? \u2600 \u{1f319}')
  await say(juliet, romeo, 'Rom\u00e9o, wherefore art thou \u7f85\u5bc6\u6b50?')

  heading('A server that lies')
  await forge(prosody, juliet)
  heading('A client that errs')
  await err(romeo, juliet)

  await romeo.entity.stop()
  await juliet.entity.stop()
  heading('Both have logged out')
}

async function login(teardowns: Teardowns, name: 'romeo' | 'juliet', service: string, how: string): Promise<Player> {
  const player: Player = { ...(await libraryLogin(teardowns, service, name)), name, bare: `${name}@localhost` }
  tell(name, `logged in through the gate over ${how}, as ${player.jid}`)
  await showRoster(player)
  await player.entity.send(xml('presence'))
  await player.inbox.find('the own presence', presenceOf(undefined, player.jid))
  tell(name, 'is available')
  return player
}

async function showRoster(player: Player): Promise<void> {
  const items = (await rosterOf(player)).map(item => `${item.attrs.jid} (subscription: ${item.attrs.subscription})`)
  tell(player.name, `asks for the roster: ${items.join(', ') || 'nobody in it'}`)
}

async function subscribe(from: Player, to: Player): Promise<void> {
  await from.entity.send(xml('presence', { to: to.bare, type: 'subscribe' }))
  tell(from.name, `sends 'subscribe' to ${to.bare}: please let me see when you are there`)
  await to.inbox.find(`${from.name}'s request`, presenceOf('subscribe', from.bare))
  await to.entity.send(xml('presence', { to: from.bare, type: 'subscribed' }))
  tell(to.name, `receives the request, and answers 'subscribed'`)
  await from.inbox.find(`${to.name}'s approval`, presenceOf('subscribed', to.bare))
  tell('gate', `sees an approval that ${from.name}'s roster shows a request for, and delivers it`)
  await from.inbox.find(`${to.name}'s presence`, presenceOf(undefined, to.jid))
  tell(from.name, `receives 'subscribed', and sees that ${to.name} is available`)
}

async function say(from: Player, to: Player, words: string): Promise<void> {
  await from.entity.send(xml('message', { to: to.jid, type: 'chat' }, xml('body', {}, words)))
  tell(from.name, `writes: ${words}`)
  const heard = await to.inbox.find('the message', stanza => stanza.getChild('body') !== undefined)
  if (heard.getChildText('body') !== words) throw new Error(`what ${to.name} read is not what ${from.name} wrote`)
  tell(to.name, `reads the same, sign for sign`)
}

/** A marker that the server writes after the forgery shows that the forgery has had its time to come. */
async function forge(prosody: Prosody, victim: Player): Promise<void> {
  const stranger = 'tybalt@capulet.example'
  await prosody.inject(victim.jid, `<presence from='${stranger}' to='${victim.bare}' type='subscribed'/>`)
  tell('prosody', `writes to ${victim.name} a 'subscribed' from ${stranger}, whom she never asked`)
  await prosody.inject(victim.jid, `<message from='localhost' to='${victim.jid}'><body>after that</body></message>`)
  const came = await victim.inbox.until('the server message', stanza => stanza.getChildText('body') === 'after that')
  if (came.some(stanza => stanza.attrs.from === stranger)) throw new Error('the forged approval was delivered')
  tell('gate', `finds no request in her roster: dropped, as RFC 6121 section 3.1.6 has it`)
  tell(victim.name, `receives what the server wrote after it, and of the forgery nothing`)
}

async function err(from: Player, to: Player): Promise<void> {
  await from.entity.send(xml('presence', { to: to.bare, type: 'Subscribe', id: 'wrong' }))
  tell(from.name, `sends presence of a type that does not exist: 'Subscribe' with a capital letter`)
  const answer = await from.inbox.find('the error', stanza => stanza.attrs.id === 'wrong')
  const error = answer.getChild('error')
  const stanzas = 'urn:ietf:params:xml:ns:xmpp-stanzas'
  if (answer.attrs.type !== 'error' || error?.getChild('bad-request', stanzas) === undefined)
    throw new Error(`the gate answered ${answer}`)
  tell('gate', `answers bad-request: "${error.getChildText('text', stanzas)}" (RFC 6121 section 4.7.1)`)
  await say(from, to, 'Good night, good night!')
}
