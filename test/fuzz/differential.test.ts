/**
 * The servers behind the gate read with libexpat. Damaged documents go through the gate's reading and writing; what it
 * forwards, libexpat must have read the same way from the bytes as they came, and must read the same way from ours.
 */
import t from 'tap'
import { campaign, findingsOf, report, total } from './campaign.ts'
import { Oracle } from './oracle.ts'

/** In CI a million (some 80 s on two idle cores); at a desk enough to see what was just broken. `npm run fuzz` takes any number. */
const documents = process.env.CI === undefined ? 100_000 : 1_000_000
const seed = 20_261_125

t.setTimeout(1_200_000)

const stream = '\u0001urn:s\fs\u0003'
const a = '\u0001urn:c\fa\u0002b\u00021\u0003'
const document = "<s:s xmlns:s='urn:s' xmlns='urn:c'> <a b='1'>x</a> "

t.test('the oracle tells readings apart', async t => {
  const oracle = new Oracle()
  t.teardown(() => oracle.close())
  const cases: readonly (readonly [text: string, events: string, relation: string, outcome: string, items: number])[] =
    [
      [`${document}</s:s>`, `${stream}${a}x\u0004\u0004`, 'same', 'whole', 3],
      [document, `${stream}${a}x\u0004`, 'same', 'waiting', 2],
      [`${document}</t>`, `${stream}${a}x\u0004`, 'same', 'refused', 2],
      [document, stream, 'less', 'waiting', 2],
      [document, '', 'less', 'waiting', 2],
      [document, `${stream}${a}x\u0004${a}\u0004`, 'more', 'waiting', 2],
      [document, `${stream}${a}y\u0004`, 'other', 'waiting', 2],
      [document, `${stream}${a.replace('urn:c', 'urn:d')}x\u0004`, 'other', 'waiting', 2],
      ["<s xmlns='urn:c'><a></s>", stream.replace('urn:s', 'urn:c'), 'same', 'refused', 1],
    ]
  const answers = await oracle.ask(cases.map(([text, events]) => ({ bytes: Buffer.from(text), events, alone: false })))
  for (const [i, [text, events, relation, outcome, items]] of cases.entries())
    t.strictSame(answers[i], { relation, outcome, items }, JSON.stringify([text, events]))
  const [alone, cut] = await oracle.ask(
    ["<a xmlns='urn:c' b='1'>x</a>", "<a xmlns='urn:c' b='1'>x"].map(text => ({
      bytes: Buffer.from(text),
      events: `${a}x\u0004`,
      alone: true,
    })),
  )
  t.strictSame(alone, { relation: 'same', outcome: 'whole', items: 1 })
  t.strictSame(cut, { relation: 'more', outcome: 'waiting', items: 0 })
})

t.test(`nothing that is forwarded is read otherwise (seed ${seed})`, async t => {
  t.setTimeout(1_200_000)
  const result = await campaign({ seed, documents })
  for (const line of report(result)) t.comment(line)
  t.equal(result.documents, documents)
  t.equal(findingsOf(result), 0, 'no finding')
  t.ok(result.elements > documents / 4, 'many documents are more than a refusal')
  t.ok(result.plain > result.elements / 4, 'many elements take the fast path')
  t.ok(total(result, 'refused') > documents / 50, 'saxes and libexpat are told apart')
})
