/** What becomes of strangers' requests by class, on real servers. */
import t, { type Test } from 'tap'
import type { PendingRequestLimits } from '../../src/config/pending-requests.ts'
import { type Element, elements, text } from '../../src/xml/element.ts'
import type { RawClient } from '../clients/raw.ts'
import { type Component, startComponent } from '../servers/component.ts'
import { type Ejabberd, startEjabberd } from '../servers/ejabberd.ts'
import { type Prosody, startProsody } from '../servers/prosody.ts'
import { Gate, makeCertificate } from './gate.ts'

const certificate = await makeCertificate(t)
const users = ['romeo', 'juliet', 'nurse', 'friar', 'paris', 'tybalt', 'mercutio', 'benvolio']
const options = {
  plain: true,
  modules: ['invites', 'invites_adhoc'],
  componentSecret: 'mellon',
  accounts: Object.fromEntries(users.map(user => [user, 'secret'])),
}

const servers: Readonly<Record<string, (given: typeof options) => Promise<Prosody | Ejabberd>>> = {
  Prosody: startProsody,
  ejabberd: ({ modules: _, ...rest }) => startEjabberd(rest),
}

for (const [name, start] of Object.entries(servers))
  t.test(name, async (t: Test) => {
    const server = await start(options)
    t.teardown(() => server.stop())
    const component = await startComponent(server.ports.component ?? 0, 'mellon')
    t.teardown(() => component.stop())
    const clock = { now: Date.UTC(2026, 10, 28) }
    const gateWith = (pendingRequests: Partial<PendingRequestLimits>) => {
      const limits = { pendingRequests: { perLogin: 10, perDay: 50, ...pendingRequests } }
      return Gate.start(t, certificate, server, { limits, senses: { time: () => clock.now } })
    }

    t.test('classes are accepted, held and dropped', async t => {
      const gate = await gateWith({
        perLogin: 1,
        strangers: { listed: 'drop', ownDomain: 'accept', gateway: 'accept', other: 'hold' },
        listed: ['mallory@stranger.localhost', 'paris@localhost'],
      })
      const juliet = await available(gate, 'juliet')
      const paris = await available(gate, 'paris')
      const nurse = await available(gate, 'nurse')
      const ask = asker(component, 'juliet')
      await ask('mallory@stranger.localhost', 'a@stranger.localhost', 'b@stranger.localhost', 'stranger.localhost')
      for (const client of [paris, nurse]) {
        client.send(`<presence xmlns='jabber:client' to='juliet@localhost' type='subscribe'/>`)
        await client.settled()
      }
      await ask('c@stranger.localhost')
      t.same(askedOf(await juliet.settled()), ['a@stranger.localhost', 'stranger.localhost', 'nurse@localhost'])
      t.same(await heldOf(gate, 'juliet'), ['b@stranger.localhost per-login', 'c@stranger.localhost per-login'])
      juliet.send(`<presence xmlns='jabber:client' to='a@stranger.localhost' type='unsubscribed'/>`)
      t.same(askedOf(await juliet.settled()), ['b@stranger.localhost'])
      const counts = await gate.metrics()
      for (const [label, outcome, count] of [
        ['listed', 'dropped', 2],
        ['other', 'shown', 1],
        ['other', 'held', 2],
        ['gateway', 'shown', 1],
        ['ownDomain', 'shown', 1],
      ] as const)
        t.equal(counts.sum('stranger_requests_total', { class: label, outcome }), count, `${label} ${outcome}`)
      for (const client of [juliet, paris, nurse]) client.transport.destroy()
    })

    t.test('who shows the token of an invitation comes first', async t => {
      const gate = await gateWith({ perLogin: 1, perDay: 400 })
      const romeo = await available(gate, 'romeo')
      const invite = `<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#invite' action='execute'/>`
      romeo.send(`<iq xmlns='jabber:client' type='set' id='invite' to='localhost'>${invite}</iq>`)
      const answer = await romeo.withId('invite')
      // Debian's ejabberd has no invitations: it answers with an error, and what newer ones answer is put into its stream.
      if (name === 'ejabberd') {
        await server.inject('romeo@localhost/balcony', invitation('romeo@localhost'))
        await romeo.element('the invitation', each => each.attrs.get('type') === 'result')
      }
      const token =
        name === 'ejabberd' ? 'verona' : (/preauth=([^;&<"']+)/.exec(JSON.stringify(textsOf(answer)))?.[1] ?? '')
      t.match(token, /^[\w-]+$/)

      const showing = (contact: string, shown: string) =>
        `<presence from='${contact}' to='romeo@localhost' type='subscribe'><preauth xmlns='urn:xmpp:pars:0' token='${shown}'/></presence>`
      const ask = asker(component, 'romeo')
      const strangers = Array.from({ length: 300 }, (_, i) => `bot${i}@stranger.localhost`)
      await ask(...strangers.slice(0, 150))
      component.send(showing('guesser@stranger.localhost', 'guess') + showing('invited@stranger.localhost', token))
      await ask(...strangers.slice(150))
      t.same(askedOf(await romeo.settled()), ['bot0@stranger.localhost'])
      t.equal((await heldOf(gate, 'romeo'))[0], 'invited@stranger.localhost per-login')
      romeo.send(`<presence xmlns='jabber:client' to='bot0@stranger.localhost' type='unsubscribed'/>`)
      const [first, ...others] = (await romeo.settled()).filter(line => line.includes('type=subscribe'))
      t.same(askedOf([first ?? '']), ['invited@stranger.localhost'])
      t.same(others, [])
      t.same((await heldOf(gate, 'romeo'))[0], 'bot1@stranger.localhost per-login', 'a wrong token is none')
      t.equal((await gate.metrics()).sum('stranger_requests_total', { class: 'token', outcome: 'held' }), 1)
      romeo.transport.destroy()
    })

    t.test('a flood from one domain is held, and an honest stranger of another one is shown', async t => {
      const gate = await gateWith({ perHour: { domain: 3, recipient: 50 } })
      const mercutio = await available(gate, 'mercutio')
      const tybalt = await available(gate, 'tybalt')
      clock.now += 60_000
      const strangers = Array.from({ length: 300 }, (_, i) => `bot${i}@stranger.localhost`)
      await asker(component, 'mercutio')(...strangers)
      tybalt.send(`<presence xmlns='jabber:client' to='mercutio@localhost' type='subscribe'/>`)
      await mercutio.element('the honest request', each => each.attrs.get('from') === 'tybalt@localhost')
      t.same(askedOf(await mercutio.settled()), [])
      const held = await heldOf(gate, 'mercutio')
      t.same(
        held,
        strangers.slice(3).map(each => `${each} rate`),
      )
      // An hour later there is room for three more; an answer brings them.
      clock.now += 3_600_000
      mercutio.send(`<presence xmlns='jabber:client' to='tybalt@localhost' type='subscribed'/>`)
      t.same(askedOf(await mercutio.settled()), strangers.slice(3, 6))
      for (const client of [mercutio, tybalt]) client.transport.destroy()
    })

    t.test('the user is told once a day', async t => {
      const gate = await gateWith({ perLogin: 1, headline: '{count} contact requests wait' })
      const bodies: string[] = []
      const begun = async () => {
        const client = await gate.login('plain', 'friar', 'balcony')
        const push = client.inbox.push.bind(client.inbox)
        client.inbox.push = item => {
          if (item.item === 'element' && item.element.attrs.get('type') === 'headline') {
            t.same([item.element.attrs.get('from'), item.element.attrs.get('to')], ['localhost', client.jid])
            bodies.push(...textsOf(item.element).filter(each => each !== ''))
          }
          push(item)
        }
        await client.appear()
        return client
      }
      const end = async (client: RawClient) => {
        await client.settled()
        await client.settled()
        client.send(client.endTag)
        await client.toTheEnd()
      }
      const ask = asker(component, 'friar')
      const friar = await begun()
      await ask('a@stranger.localhost', 'b@stranger.localhost', 'c@stranger.localhost')
      await friar.settled()
      await ask('d@stranger.localhost')
      await end(friar)
      t.same(bodies, ['2 contact requests wait'])
      await end(await begun())
      t.same(bodies, ['2 contact requests wait'], 'not at the next login')
      clock.now += 86_400_000
      await end(await begun())
      t.equal(bodies.length, 2, 'on another day')
    })

    t.test('what is dropped is denied at the server, and the stranger learns nothing else', async t => {
      const gate = await gateWith({ strangers: { listed: 'drop' }, listed: ['stranger.localhost'], denyDropped: true })
      let benvolio = await gate.login('plain', 'benvolio', 'balcony')
      benvolio.send(`<enable xmlns='urn:xmpp:sm:3'/>`)
      await benvolio.named('enabled')
      await benvolio.appear()
      await taken(component)
      const strangers = Array.from({ length: 40 }, (_, i) => `spam${i}@stranger.localhost`)
      component.send(strangers.map(each => subscribe(each, 'benvolio')).join(''))
      await gate.counted('all requests', counts => counts.sum('stranger_requests_total', { outcome: 'dropped' }) === 40)
      const dropped = async () => (await gate.metrics()).sum('stranger_requests_total', { outcome: 'dropped' })
      const denied = async () => (await gate.metrics()).sum('stranger_requests_denied_total')
      t.same(await benvolio.settled(), [], 'the client sees nothing of it')
      t.same([await dropped(), await denied()], [40, 30])
      // A roster get, a presence and a ping: the server has got thirty more.
      benvolio.send(`<r xmlns='urn:xmpp:sm:3'/>`)
      t.equal((await benvolio.named('a')).attrs.get('h'), '3')
      const heard = await taken(component)
      t.equal(heard.match(/<presence [^>]*type=['"]unsubscribed['"]/g)?.length, 30)
      // Prosody acknowledges each request with an unavailable presence, whether there is a gate or not.
      const others = heard
        .match(/<presence [^>]*>/g)
        ?.filter(each => !/type=['"](unsubscribed|unavailable)['"]/.test(each))
      t.same(others, [], 'no presence of the user')
      // The server has forgotten those that were denied: it delivers the others at the next login.
      clock.now += 60_000
      benvolio = await relogin(benvolio, gate)
      t.same(await benvolio.settled(), [])
      t.same([await dropped(), await denied()], [50, 40])
      clock.now += 60_000
      benvolio = await relogin(benvolio, gate)
      t.same(await benvolio.settled(), [])
      t.same([await dropped(), await denied()], [50, 40])
      benvolio.transport.destroy()
    })
  })

/** The result of the command as XEP-0401 has it. */
function invitation(account: string): string {
  const field = (name: string, value: string) => `<field var='${name}'><value>${value}</value></field>`
  const fields = field('uri', `xmpp:${account}?roster;preauth=verona`) + field('expire', '2036-01-01T00:00:00Z')
  const form = `<x xmlns='jabber:x:data' type='result'>${fields}</x>`
  const command = `<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#invite' sessionid='1' status='completed'>${form}</command>`
  return `<iq xmlns='jabber:client' type='result' id='invite' from='localhost' to='${account}/balcony'>${command}</iq>`
}

function textsOf(whole: Element): string[] {
  return [text(whole), ...elements(whole).flatMap(textsOf)]
}

async function available(gate: Gate, user: string): Promise<RawClient> {
  const client = await gate.login('plain', user, 'balcony')
  await client.roster()
  await client.appear()
  return client
}

/** The stream ends in good order, and another one begins with the resource. */
async function relogin(client: RawClient, gate: Gate): Promise<RawClient> {
  client.send(client.endTag)
  await client.toTheEnd()
  return available(gate, client.jid.slice(0, client.jid.indexOf('@')))
}

/** Has strangers of the component ask for this account; resolves when the server has taken it. */
function asker(component: Component, user: string): (...from: string[]) => Promise<void> {
  return async (...from) => {
    component.send(from.map(each => subscribe(each, user)).join(''))
    await taken(component)
  }
}

function subscribe(from: string, user: string): string {
  return `<presence from='${from}' to='${user}@localhost' type='subscribe'/>`
}

let pings = 0

/** The server has read all that the component has sent. Gives what the component has got until then. */
async function taken(component: Component): Promise<string> {
  const id = `ping-${++pings}`
  const ping = `<ping xmlns='urn:xmpp:ping'/>`
  component.send(`<iq type='get' id='${id}' from='bot@stranger.localhost' to='localhost'>${ping}</iq>`)
  return component.until(`the answer to ${id}`, new RegExp(`^([^]*?)<iq [^>]*id=['"]${id}['"]`))
}

/** Who has asked, of lines that a client has got. */
function askedOf(lines: readonly string[]): string[] {
  return lines.flatMap(line => /^presence\(from=([^ ]+) .*\btype=subscribe\b/.exec(line)?.[1] ?? [])
}

async function heldOf(gate: Gate, user: string): Promise<string[]> {
  const response = await fetch(`http://127.0.0.1:${gate.proxy.admin?.port}/api/accounts/${user}@localhost`)
  const { quarantine } = (await response.json()) as { quarantine: { contact: string; why: string }[] }
  return quarantine.map(({ contact, why }) => `${contact} ${why}`)
}
