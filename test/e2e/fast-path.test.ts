// The same conversation with the fast path and without it: the clients hear the same, and the whole page of metrics is the same.
import t from 'tap'
import { fastPath } from '../../src/xml/reader.ts'
import { Gate, makeCertificate, makeProsody, type WireName } from './gate.ts'

const certificate = await makeCertificate(t)
const wires: readonly (WireName | 'plain')[] = ['plain', 'direct', 'ws']
const ways = ['fast', 'slow'] as const
const accounts = wires.flatMap(wire => ways.flatMap(way => [`romeo-${wire}-${way}`, `juliet-${wire}-${way}`]))
const prosody = await makeProsody(t, { accounts: Object.fromEntries(accounts.map(user => [user, 'secret'])) })

/** What differs from run to run: times, bytes (a server's ids), and what the process itself measures. */
const differs =
  /^(?:process_|nodejs_|stanzagate_(?:client_streams\{|session_receive_seconds|subscription_decision_seconds|transport_bytes_total|build_info|process|nodejs|event_loop))/

async function play(
  wire: WireName | 'plain',
  way: (typeof ways)[number],
): Promise<{ heard: string[]; page: string[] }> {
  const gate = await Gate.start(t, certificate, prosody)
  const [romeoJid, julietJid] = ['romeo', 'juliet'].map(name => `${name}-${wire}-${way}@localhost`)
  const romeo = await gate.login(wire, `romeo-${wire}-${way}`, 'orchard')
  const juliet = await gate.login(wire, `juliet-${wire}-${way}`, 'balcony')
  const heard: string[] = []
  const quiet = async () => {
    for (const client of [romeo, juliet, romeo, juliet]) heard.push(...(await client.settled()))
  }
  for (const client of [romeo, juliet]) {
    await client.roster()
    await client.appear()
  }
  await quiet()
  const says: readonly (readonly [typeof romeo, string])[] = [
    [romeo, `<presence to='${julietJid}' type='subscribe'/>`],
    [juliet, `<presence to='${romeoJid}/orchard' type='subscribed'/>`],
    [juliet, `<message to='${romeoJid}' type='chat' id='m1'><body>plain &amp; é</body></message>`],
    [juliet, `<message to='${romeoJid}' type='chat' id='m2'><body>not &#112;lain</body></message>`],
    [juliet, `<message to='${romeoJid}' type='groupchat' id='m3'><body><![CDATA[x]]></body></message>`],
    [juliet, `<presence from='nurse@localhost/x'><show>away</show></presence>`],
    [juliet, '<presence><show>a</show><show>b</show></presence>'],
    [juliet, `<presence type='online'/>`],
    [romeo, `<iq type='get' id='i1'/>`],
    [romeo, `<iq type='get' id='i2' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>`],
    [romeo, `<presence to='${julietJid}' type='unsubscribe'/>`],
  ]
  for (const [client, text] of says) {
    client.send(wire === 'ws' ? text.replace(/^<(\w+)/, `<$1 xmlns='jabber:client'`) : text)
    await quiet()
  }
  for (const client of [romeo, juliet]) {
    client.send(client.endTag)
    heard.push(...(await client.toTheEnd()))
  }
  const { text } = await gate.counted(
    'all sessions to end',
    counts => !/_sessions_active\{[^}]*\} [1-9]/.test(counts.text),
  )
  await gate.proxy.stop()
  return {
    // Ids and times of the server's, and what it sends at the same time, in any order.
    heard: heard.map(line => line.replaceAll(`-${way}`, '').replaceAll(/\bid=[\w-]{12,}|stamp=\S+/g, '…')).sort(),
    page: text.split('\n').filter(line => !differs.test(line)),
  }
}

for (const wire of wires) {
  t.test(wire, async t => {
    const fast = await play(wire, 'fast')
    fastPath.isOn = false
    t.teardown(() => {
      fastPath.isOn = true
    })
    const slow = await play(wire, 'slow')
    t.strictSame(fast.heard, slow.heard, 'the clients hear the same')
    t.strictSame(fast.page, slow.page, 'and the metrics are the same')
    t.ok(fast.page.some(line => /^stanzagate_stanzas_total\{.*\} [1-9]/.test(line)))
    t.ok(fast.page.some(line => /^stanzagate_rule_decisions_total\{.*\} [1-9]/.test(line)))
  })
}
