/** A map by contact, step by step: who is found by which spelling, and who stays a contact of his own. */
import { createHash } from 'node:crypto'
import t from 'tap'
import { ContactMap, keyOf } from '../../src/account/contact-map.ts'
import { hashedContact } from '../../src/account/hashed-contact.ts'

/** `name=1`: the client has named the contact; `name=1!`: the server has. */
function mapOf(contacts: readonly string[]): ContactMap<{ name: string; isShown: boolean }> {
  const map = new ContactMap<{ name: string; isShown: boolean }>()
  for (const contact of contacts) {
    const [jid = '', value = ''] = contact.split('=')
    map.add(jid, { name: value.replace('!', ''), isShown: value.endsWith('!') })
  }
  return map
}

const street = 'stra\u00dfe@im.example'
const folded = 'strasse@im.example'
const capitals = 'STRASSE@im.example'
const romans = '\u2163@im.example'
const letters = 'iv@im.example'

/** The contacts, who is looked up, what `get` finds, what `getShown` finds, and the keys afterwards. */
const rows: readonly [string, readonly string[], string, string, string, readonly string[]][] = [
  ['an empty map', [], 'a@im.example', '-', '-', []],
  ['the same spelling', ['a@im.example=1'], 'a@im.example', '1', '1', ['a@im.example']],
  ['a resource does not count', ['a@im.example=1'], 'a@im.example/x', '1', '1', ['a@im.example']],
  ['capitals do not count', ['A@IM.example=1'], 'a@im.EXAMPLE', '1', '1', ['a@im.example']],
  ['somebody else', ['a@im.example=1'], 'b@im.example', '-', '-', ['a@im.example']],
  ['no JID at all', ['a@im.example=1'], 'a b@', '-', '-', ['a@im.example']],
  ['the same text that is no JID', ['a b@=1'], 'a b@', '1', '1', ['a b@']],
  ['the client wrote another spelling', [`${street}=1`], folded, '1', '1', [folded]],
  ['the server prepared it, the client wrote another', [`${folded}=1`], street, '1', '1', [keyOf(street)]],
  ['the server has named both', [`${street}=1!`], folded, '1', '-', [keyOf(street)]],
  ['the server has named the folded one', [`${folded}=1!`], street, '1', '-', [folded]],
  ['each has its own', [`${street}=1`, `${folded}=2`], street, '1', '1', [keyOf(street), folded]],
  ['each has its own: the folded one', [`${street}=1`, `${folded}=2`], folded, '2', '2', [keyOf(street), folded]],
  [
    'a third spelling: the folded one first',
    [`${street}=1`, `${folded}=2`],
    capitals,
    '2',
    '2',
    [keyOf(street), folded],
  ],
  [
    'two spellings of one skeleton',
    [`${romans}=1`, '\u2173\u00ad@im.example=2'],
    letters,
    '1',
    '1',
    ['\u2173\u00ad@im.example', letters].map(keyOf),
  ],
]

for (const [what, contacts, jid, found, shown, keys] of rows)
  t.test(what, async t => {
    const map = mapOf(contacts)
    t.equal(map.size, contacts.length, 'the size')
    t.equal(map.get(jid)?.name ?? '-', found, 'get')
    t.equal(map.getShown(jid)?.name ?? '-', shown, 'getShown')
    t.strictSame(
      [...map.entries()].map(([key]) => key),
      keys,
      'the keys afterwards',
    )
    t.equal(map.size, contacts.length, 'nobody comes, nobody goes')
    if (shown !== '-') t.equal(map.get(jid)?.name, shown, 'it is found again by the spelling of the server')
  })

const hash = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 32)

for (const [what, contacts, jid, found] of rows)
  t.test(`kept as hashes: ${what}`, async t => {
    const map = new ContactMap<{ name: string; isShown: boolean }>()
    map.hash = hash
    const names = new Map<string, string>()
    for (const contact of contacts) {
      const [key = '', name = ''] = contact.split('=')
      names.set(hashedContact(keyOf(key), hash), keyOf(key))
      map.add(hashedContact(keyOf(key), hash), { name: name.replace('!', ''), isShown: true })
    }
    t.equal(map.hasHashed, contacts.length > 0)
    t.equal(map.get(jid)?.name ?? '-', found, 'get')
    const isExact = [...names.values()].includes(keyOf(jid))
    const revealed = map.reveal([jid, jid])
    t.equal(revealed.length, isExact ? 1 : 0, 'revealed by its own spelling, once')
    for (const [hashed, contact] of revealed) t.equal(names.get(hashed), contact)
    t.equal(map.get(jid)?.name ?? '-', found, 'get afterwards')
    t.equal(map.size, contacts.length)
    t.same(map.reveal(names.values()).length, names.size - revealed.length)
    t.equal(map.hasHashed, false)
    t.same([...map.entries()].map(([key]) => key).toSorted(), [...names.values()].toSorted())
    t.equal(map.get(jid)?.name ?? '-', found, 'get when all are known')
    t.same([...map.namesOf([...names.keys(), 'x@y'])].toSorted(), [...names].toSorted())
  })

t.test('renamed by the server, a contact is still found by what the client wrote', async t => {
  const map = mapOf([`${street}=1`])
  t.equal(map.getShown(folded)?.name, '1')
  t.equal(map.get(street)?.name, '1')
  t.equal(map.get(folded)?.name, '1')
})

t.test('of two that the client wrote, the server names one and the other stays findable', async t => {
  const other = '\u2163@im.example'
  const third = '\u2173@im.example'
  const map = mapOf([`${other}=1`, `${third}=2`])
  t.equal(map.getShown(letters)?.name, '1')
  t.equal(map.get(letters)?.name, '1')
  t.equal(map.get(third)?.name, '2', 'by its own spelling')
  t.strictSame([...map.entries()].map(([, { name }]) => name).sort(), ['1', '2'])
})

/** Four spellings that some profile takes for one address; only the last is the folded one. */
const [both, first, second, none] = [
  'wei\u00dfstra\u00dfe',
  'wei\u00dfstrasse',
  'weissstra\u00dfe',
  'weissstrasse',
].map(local => `${local}@im.example`) as [string, string, string, string]

t.test('renamed from one spelling to another, a contact is found by the third and by the folded one', async t => {
  const map = mapOf([`${both}=1`])
  t.equal(map.getShown(first)?.name, '1')
  for (const jid of [both, first, second, none]) t.equal(map.get(jid)?.name, '1', jid)
})

t.test('renamed from the folded spelling, a contact is found by all', async t => {
  const map = mapOf([`${none}=1`])
  t.equal(map.getShown(first)?.name, '1')
  for (const jid of [both, first, second, none]) t.equal(map.get(jid)?.name, '1', jid)
})

t.test('of two, the renamed one goes behind the other', async t => {
  const map = mapOf([`${both}=1`, `${first}=2`])
  t.equal(map.get(none)?.name, '1', 'the first that was named')
  t.equal(map.getShown(second)?.name, '1')
  t.equal(map.get(none)?.name, '2')
  t.equal(map.get(second)?.name, '1')
  t.equal(map.getShown(none)?.name, '2', 'only the client has named it')
  t.equal(map.get(both)?.name, '2', 'the folded one is found first')
  t.equal(map.size, 2)
})

t.test('what is no JID is found by its own text alone', async t => {
  const map = mapOf(['a b@=1', '=2'])
  t.equal(map.get('c d@'), undefined)
  t.equal(map.getShown('c d@'), undefined)
  t.equal(map.get('zz@im.example'), undefined)
})

t.test('what is renamed leaves no spelling behind', async t => {
  const map = mapOf([`${street}=1`])
  map.getShown(folded)
  t.equal(map.getShown(folded)?.name, '1')
  const shown = map.get(folded)
  if (shown !== undefined) shown.isShown = true
  t.equal(map.getShown(street), undefined, 'the server names another')
  map.add(street, { name: '2', isShown: true })
  t.strictSame([map.get(street)?.name, map.get(folded)?.name], ['2', '1'])
})

t.test('keyOf', async t => {
  t.equal(keyOf('Romeo@IM.example/orchard'), 'romeo@im.example')
  t.equal(keyOf('a b@'), 'a b@', 'as spelled when it cannot be folded')
})

t.test('another value for a contact', async t => {
  const map = mapOf([`${street}=1`, 'a@im.example=2'])
  map.set('A@im.example/x', { name: '3', isShown: true })
  map.set(folded, { name: '4', isShown: true })
  map.set('nobody@im.example', { name: '5', isShown: true })
  t.strictSame(
    [...map.entries()].map(([key, { name }]) => [key, name]),
    [
      [keyOf(street), '4'],
      ['a@im.example', '3'],
    ],
    'by every spelling that finds it, and nobody comes',
  )
})
