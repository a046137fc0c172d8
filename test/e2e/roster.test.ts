// What the gate knows of a roster over several logins and several resources, whatever wires they use.
import t from 'tap'
import { child } from '../../src/xml/element.ts'
import { connectTcp, type RawClient } from '../clients/raw.ts'
import { Gate, makeCertificate, makeProsody, type WireName, writeRoster } from './gate.ts'

const certificate = await makeCertificate(t)
const users = [
  'versed',
  'changed',
  'romeo',
  'juliet',
  'nurse',
  'hermit',
  'benvolio',
  'capulet',
  'j\u00fcrgen',
  'strasse',
]
const prosody = await makeProsody(t, { accounts: Object.fromEntries(users.map(user => [user, 'secret'])) })
const gate = await Gate.start(t, certificate, prosody)

const from = (jid: string, type: string) => `<presence from='${jid}' type='${type}'/>`

async function leave(client: RawClient): Promise<void> {
  client.send(client.endTag)
  await client.toTheEnd()
}

/** The subscription types that reach a client out of forged ones, each as `type from`. */
async function forged(client: RawClient, ...stanzas: readonly string[]): Promise<string[]> {
  for (const stanza of stanzas) await prosody.inject(client.jid, stanza)
  return (await client.settled()).map(line => line.replace(/^presence\(from=(\S+) type=(\w+)\)$/, '$2 $1'))
}

const pairs: readonly (readonly [WireName, WireName])[] = [
  ['starttls', 'wss'],
  ['ws', 'direct'],
]

for (const [first, second] of pairs) {
  t.test(`a version outlives its session, ${first} then ${second}`, async t => {
    await writeRoster(prosody, 'versed', { 'romeo@localhost': 'both', 'tybalt@localhost': 'none' })
    const before = await gate.login(first, 'versed', 'one')
    const whole = child(await before.roster(''), 'query', 'jabber:iq:roster')
    const ver = whole?.attrs.get('ver') ?? ''
    t.equal(whole?.children.length, 2)
    await leave(before)

    let counts = await gate.metrics()
    const after = await gate.login(second, 'versed', 'two')
    t.equal(child(await after.roster(ver), 'query', 'jabber:iq:roster'), undefined, 'nothing has changed')
    t.strictSame((await gate.metrics()).rulesSince(counts), {}, 'the version went through as it was')
    t.strictSame(
      await forged(
        after,
        from('tybalt@localhost', 'subscribed'),
        from('romeo@localhost', 'subscribed'),
        from('stranger@evil.example', 'subscribed'),
        from('tybalt@localhost', 'unsubscribed'),
        from('romeo@localhost', 'unsubscribed'),
      ),
      ['unsubscribed romeo@localhost'],
    )

    counts = await gate.metrics()
    const query = child(await after.roster('never-heard-of'), 'query', 'jabber:iq:roster')
    t.equal(query?.children.length, 2, 'an unknown version is answered with everything')
    t.equal(query?.attrs.get('ver'), ver)
    t.strictSame((await gate.metrics()).rulesSince(counts), {}, 'and no decision')
    await leave(after)
  })
}

t.test('a roster that has changed behind the gate', async t => {
  await writeRoster(prosody, 'changed', { 'romeo@localhost': 'both' })
  const before = await gate.login('direct', 'changed', 'one')
  const old = child(await before.roster(''), 'query', 'jabber:iq:roster')?.attrs.get('ver') ?? ''
  await leave(before)

  const outside = await (await connectTcp(prosody.port)).login('changed', 'outside')
  await outside.roster()
  outside.send(
    `<iq type='set' id='set'><query xmlns='jabber:iq:roster'><item jid='romeo@localhost' subscription='remove'/></query></iq>`,
  )
  await outside.withId('set')
  const fresh = child(await outside.roster(), 'query', 'jabber:iq:roster')?.attrs.get('ver') ?? ''
  t.not(fresh, old)
  await leave(outside)

  // A client that has seen the change elsewhere names a version that the gate has not seen.
  const after = await gate.login('ws', 'changed', 'two')
  const query = child(await after.roster(fresh), 'query', 'jabber:iq:roster')
  t.equal(query?.attrs.get('ver'), fresh)
  t.equal(query?.children.length, 0)
  t.strictSame(await forged(after, from('romeo@localhost', 'unsubscribed')), [], 'he is no contact any longer')
  await leave(after)
})

t.test('one account on three wires', async t => {
  const balcony = await gate.login('direct', 'juliet', 'balcony')
  const chamber = await gate.login('wss', 'juliet', 'chamber')
  const tomb = await gate.login('starttls', 'juliet', 'tomb')
  await balcony.appear()
  await chamber.appear()
  tomb.send('<presence/>') // it never asks for the roster
  const romeo = await gate.login('ws', 'romeo', 'orchard')
  await romeo.appear()
  for (const client of [balcony, chamber, tomb]) await client.settled()

  balcony.send(`<presence to='${romeo.jid}' type='subscribe' id='s'><status>\u2665</status></presence>`)
  const request = await romeo.element('the request', element => element.attrs.get('type') === 'subscribe')
  t.equal(request.attrs.get('from'), 'juliet@localhost')
  t.equal(request.attrs.get('to'), 'romeo@localhost', 'who asks a resource asks the account')
  t.equal(request.attrs.get('id'), 's')
  romeo.send(`<presence xmlns='jabber:client' to='${balcony.jid}' type='subscribed'/>`)
  for (const client of [balcony, chamber]) {
    const approval = await client.element('the approval', element => element.attrs.get('type') === 'subscribed')
    t.equal(approval.attrs.get('from'), 'romeo@localhost')
    await client.element('the push', element => child(element, 'query', 'jabber:iq:roster') !== undefined)
  }

  // Prosody gives an approval to those alone who have asked for the roster. Each stream's request pays for one, whoever sends it.
  const forgeries = ['romeo@localhost', 'nurse@localhost', 'stranger@evil.example'].map(jid => from(jid, 'subscribed'))
  for (const [client, left] of [
    [balcony, []],
    [chamber, []],
    [tomb, ['subscribed romeo@localhost']],
  ] as const) {
    const got = await forged(client, ...forgeries, ...forgeries)
    t.strictSame(
      got.filter(line => line.startsWith('subscribed')),
      left,
      client.jid,
    )
  }

  // The session that the account's view was built on is gone: the others know as much.
  balcony.transport.destroy()
  await gate.counted('balcony is gone', counts => counts.sum('sessions_active', { listener: 'direct' }) === 0)
  for (const client of [chamber, tomb]) {
    const got = await forged(client, from('nurse@localhost', 'subscribed'), from('romeo@localhost', 'unsubscribed'))
    t.strictSame(
      got.filter(line => line.includes('subscribed')),
      ['unsubscribed romeo@localhost'],
    )
  }

  // Asked on one wire by a session that has no roster; the answer reaches the one that has.
  const nurse = await gate.login('plain', 'nurse', 'market')
  await nurse.appear()
  tomb.send(`<presence to='nurse@localhost' type='subscribe'/>`)
  await nurse.element('the request', element => element.attrs.get('type') === 'subscribe')
  nurse.send(`<presence to='juliet@localhost' type='subscribed'/>`)
  await chamber.element('the approval', element => element.attrs.get('type') === 'subscribed')
  for (const client of [chamber, tomb, romeo, nurse]) await leave(client)
})

t.test('every turn that a subscription takes', async t => {
  const one = await gate.login('direct', 'capulet', 'house')
  const other = await gate.login('ws', 'j\u00fcrgen', 'haus')
  for (const client of [one, other]) await client.appear()
  const jid = (client: RawClient) => client.jid.replace(/\/.*/, '')
  const says = (client: RawClient, type: string, to: string) =>
    client.send(`<presence xmlns='jabber:client' to='${to}' type='${type}'/>`)
  const hears = async (client: RawClient, type: string, from: string) => {
    const found = await client.element(
      `${type} from ${from}`,
      element => element.name === 'presence' && element.attrs.get('type') === type,
    )
    t.equal(found.attrs.get('from'), from)
  }
  const [capulet, juergen] = [jid(one), jid(other)]

  // A denial; then asked again in another spelling, and approved.
  says(one, 'subscribe', juergen)
  await hears(other, 'subscribe', capulet)
  says(other, 'unsubscribed', capulet)
  await hears(one, 'unsubscribed', juergen)
  says(one, 'subscribe', 'J\u00dcRGEN@LocalHost')
  await hears(other, 'subscribe', capulet)
  says(other, 'subscribed', capulet.toUpperCase())
  await hears(one, 'subscribed', juergen)

  // Approved before it was asked.
  says(one, 'subscribed', juergen)
  await one.settled()
  says(other, 'subscribe', capulet)
  await hears(other, 'subscribed', capulet)

  // Removed from one roster, both ends fall; and a request that is withdrawn.
  one.send(
    `<iq type='set' id='rm'><query xmlns='jabber:iq:roster'><item jid='${juergen}' subscription='remove'/></query></iq>`,
  )
  await hears(other, 'unsubscribed', capulet)
  await hears(other, 'unsubscribe', capulet)
  await one.settled()
  says(other, 'subscribe', capulet)
  await hears(one, 'subscribe', juergen)
  says(other, 'unsubscribe', capulet)
  await hears(one, 'unsubscribe', juergen)
  // What was lost may still be answered, once.
  for (const [client, contact] of [
    [one, juergen],
    [other, capulet],
  ] as const) {
    const types = ['subscribed', 'unsubscribed', 'subscribed', 'unsubscribed']
    const got = await forged(client, ...types.map(type => from(contact, type)))
    t.strictSame(
      got.filter(line => /^(un)?subscribed /.test(line)),
      [`unsubscribed ${contact}`],
    )
  }

  // To the server this is another spelling of strasse@localhost.
  const third = await gate.login('plain', 'strasse', 'haus')
  await third.appear()
  says(one, 'subscribe', 'stra\u00dfe@localhost')
  await hears(third, 'subscribe', capulet)
  says(third, 'subscribed', capulet)
  await hears(one, 'subscribed', 'strasse@localhost')
  for (const client of [one, other, third]) await leave(client)
})

t.test('who never shows a roster is not judged by it', async t => {
  const hermit = await gate.login('starttls', 'hermit', 'cell')
  const before = await gate.metrics()
  t.strictSame(await forged(hermit, from('a@evil.example', 'subscribed'), from('a@evil.example', 'unsubscribed')), [
    'subscribed a@evil.example',
    'unsubscribed a@evil.example',
  ])
  const after = await gate.metrics()
  for (const type of ['subscribed', 'unsubscribed'])
    t.equal(
      after.sum('subscription_undecided_total', { type }) - before.sum('subscription_undecided_total', { type }),
      1,
      'and it is counted',
    )
  await leave(hermit)
})

t.test('a request that fails is told and counted', async t => {
  const benvolio = await gate.login('ws', 'benvolio', 'street')
  await benvolio.appear()
  benvolio.send(`<presence xmlns='jabber:client' to='nobody@elsewhere.example' type='subscribe' id='lost'/>`)
  const error = await benvolio.withId('lost')
  t.equal(error.attrs.get('type'), 'error')
  const counts = await gate.metrics()
  t.equal(counts.sum('subscription_requests_failed_total'), 1)
  await leave(benvolio)
})
