/**
 * A burst whose last tag is cut where Prosody's read ends (8,192 bytes). With libexpat's reparse deferral the tag would lie there until
 * more is sent; behind the gate it is answered, whatever the size of the burst. The test shows something only where libexpat has the
 * deferral: Debian's 2.5.0 since its security fixes of 2024, and 2.6.
 */
import t from 'tap'
import { defaultLimits } from '../../src/config/limits.ts'
import { Gate, makeCertificate, makeProsody } from './gate.ts'

t.test('no stanza of a burst lies unread', async t => {
  const certificate = await makeCertificate(t)
  const prosody = await makeProsody(t, { accounts: { romeo: 'secret' } })
  const limits = { client: { ...defaultLimits.client, startTag: 100_000 } }
  const gate = await Gate.start(t, certificate, prosody, { limits })
  const client = await gate.login('plain', 'romeo', 'orchard')
  // libexpat parses early while its buffer is too small for the next read: a large stanza makes it large.
  client.send(
    `<iq type='get' id='large' to='localhost'><x xmlns='urn:stanzagate:test' a='${'z'.repeat(60_000)}'/></iq>`,
  )
  await client.withId('large')
  const filler = "<iq type='result' id='x' to='localhost'/>"
  for (const reads of [1, 2, 3]) {
    for (const part of [1, 3, 5, 7, 9, 11, 13, 15]) {
      const id = `${reads}-${part}`
      const ping = `<iq type='get' id='${id}' to='localhost'><ping xmlns='urn:xmpp:ping' a='${'z'.repeat(7_000)}'/></iq>`
      const before = reads * 8_192 + Math.round((7_000 * part) / 16) - ping.length
      client.send(filler.repeat(Math.floor(before / filler.length)) + ping)
      t.equal((await client.withId(id)).attrs.get('type'), 'result', `cut after ${reads} reads, ${part}/16 of the tag`)
    }
  }
  client.send(client.endTag)
})
