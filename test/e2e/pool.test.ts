/** Several servers behind one gate: two Prosodys and an ejabberd with the same accounts. One is lost under load, and comes back. */
import t from 'tap'
import { connectTcp, type RawClient } from '../clients/raw.ts'
import { patience } from '../clients/within.ts'
import { startEjabberd } from '../servers/ejabberd.ts'
import { makeLine } from '../servers/line.ts'
import { startProsody } from '../servers/prosody.ts'
import { Gate, makeCertificate } from './gate.ts'

const users = Array.from({ length: 12 }, (_, index) => `user${index}`)
const options = { plain: true, accounts: Object.fromEntries(users.map(user => [user, 'secret'])) }
const servers = await Promise.all([startProsody(options), startProsody(options), startEjabberd(options)])
t.teardown(() => Promise.all(servers.map(server => server.stop())))
const lines = await Promise.all(servers.map(server => makeLine(t, server.port)))
const members = lines.map(({ port }) => ({ address: '127.0.0.1', port, weight: 1 }))
const certificate = await makeCertificate(t)
const gate = await Gate.start(
  t,
  certificate,
  { address: '127.0.0.1', port: lines[0]?.port ?? 0 },
  { upstream: { members } },
)
const sm = `xmlns='urn:xmpp:sm:3'`

/** Of each member. */
const counts = async (name: string) => {
  const all = await gate.metrics()
  return members.map(({ port }) => all.sum(name, { member: `127.0.0.1:${port}` }))
}

async function connected(user: string): Promise<RawClient> {
  const client = await connectTcp(gate.port('plain'))
  client.account = `${user}@localhost`
  return client
}

/** Logs in, and says who it is by a resource of its own. */
async function login(user: string): Promise<RawClient> {
  return (await connected(user)).login(user, `of-${user}`)
}

/** Messages to itself, one after the other, until it is stopped or its connection is gone. Each must come back, in order. Gives their number. */
function chatting(client: RawClient): { readonly end: Promise<number>; stop(): Promise<number> } {
  let isStopped = false
  const chat = async () => {
    for (let count = 0; ; count++) {
      if (isStopped) return count
      client.send(`<message xmlns='jabber:client' to='${client.jid}' id='m${count}'><body>${count}</body></message>`)
      const next = await client.inbox.until('the next message', item => {
        return item.item === 'gone' || (item.item === 'element' && item.element.name === 'message')
      })
      const last = next.at(-1)
      if (last?.item === 'gone') return count
      if (last?.item !== 'element' || last.element.attrs.get('id') !== `m${count}`) throw new Error(`m${count} is lost`)
    }
  }
  const all = chat()
  all.catch(() => {})
  return {
    end: all,
    stop: () => {
      isStopped = true
      return all
    },
  }
}

t.test('streams are spread, one server is lost under load, and comes back', async t => {
  const clients: RawClient[] = []
  for (const user of users.slice(0, 6)) clients.push(await login(user))
  t.same(await counts('upstream_member_connections'), [2, 2, 2])
  const chats = clients.map(client => chatting(client))
  // Clients 0 and 3 are at the first server.
  lines[0]?.cut()
  for (const index of [0, 3]) {
    await chats[index]?.end
  }
  const more = await Promise.all(users.slice(6).map(user => login(user)))
  t.same(await counts('upstream_member_connections'), [0, 5, 5], 'all others go to those that are there')
  t.same(await counts('upstream_member_up'), [0, 1, 1])
  t.equal((await counts('upstream_member_ejections_total'))[0], 1, 'who was there first has found out')
  t.ok((await gate.metrics()).sum('upstream_failovers_total') >= 1)
  t.equal((await gate.metrics()).sum('upstream_connect_errors_total'), 0, 'no client has noticed')
  for (const index of [1, 2, 4, 5]) t.ok(((await chats[index]?.stop()) ?? 0) > 0, 'the others chat on')

  lines[0]?.mend()
  await gate.counted('the member is back', all => {
    return all.sum('upstream_member_up', { member: `127.0.0.1:${members[0]?.port}` }) === 1
  })
  const again = await login('user0')
  const after = await counts('upstream_member_connections')
  t.equal(
    after.reduce((sum, each) => sum + each),
    11,
    'whoever gets it: the share of the one that is back grows slowly',
  )
  for (const client of [...clients, ...more, again]) client.transport.destroy()
})

t.test('who resumes is sent to the server that has the session', async t => {
  const ids: string[] = []
  const clients: RawClient[] = []
  await gate.counted('all are gone', all => all.sum('upstream_member_connections') === 0)
  for (const user of users.slice(0, 3)) {
    const client = await login(user)
    client.send(`<enable ${sm} resume='true'/>`)
    ids.push((await client.named('enabled')).attrs.get('id') ?? '')
    clients.push(client)
  }
  const where = await counts('upstream_member_connections')
  t.equal(
    where.reduce((sum, each) => sum + each),
    3,
  )
  const lost = { side: 'client', cause: 'client-lost' }
  // A session that was resumed may be lost again.
  for (const round of [0, 1]) {
    const before = (await gate.metrics()).sum('streams_closed_total', lost)
    for (const client of clients) client.transport.destroy()
    await gate.counted('the losses', all => all.sum('streams_closed_total', lost) >= before + 3)
    for (const index of [2, 0, 1]) clients[index] = await resumed(index, round)
  }
  for (const client of clients) client.transport.destroy()

  async function resumed(index: number, round: number): Promise<RawClient> {
    const user = users[index] as string
    const client = await connected(user)
    await client.opened()
    client.send(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${plain(user)}</auth>`)
    await client.named('success')
    await client.opened()
    client.send(`<resume ${sm} previd='${ids[index]}' h='0'/>`)
    const answer = await client.element('the answer', ({ ns }) => ns === 'urn:xmpp:sm:3')
    t.equal(answer.name, 'resumed', `${user}, ${round}`)
    return client
  }
})

t.test('no server is left: the client is told so, and the next one that is there serves', async t => {
  for (const line of lines) line.cut()
  const until = performance.now() + patience
  const client = await connected('user0')
  client.send(client.header())
  t.match((await client.toTheEnd()).join('\n'), /internal-server-error/, 'after three that hang up')
  t.ok(performance.now() < until)
  lines[1]?.mend()
  const next = await login('user1')
  t.match(next.jid, /^user1@localhost/, 'tried, although it is ejected')
  next.transport.destroy()
})

function plain(user: string): string {
  return Buffer.from(`\0${user}\0secret`).toString('base64')
}
