/** What every store must do, played on each of them. */
import type { Test } from 'tap'
import type { RecordChange, Store } from '../../src/store/store.ts'

/** A name that no key of a database takes as it is. */
const long = `${'ü'.repeat(1_500)}@example`

/** Steps, one after the other: what is done, and what is found then in the records that it names. */
const steps: readonly (readonly [string, readonly RecordChange[], Readonly<Record<string, Record<string, string>>>])[] =
  [
    ['nothing is kept', [], { a: {}, [long]: {} }],
    [
      'two records at once',
      [change('a', { roster: 'version 1', x: 'to' }, true, 10), change(long, { [long]: 'both 17' }, true, 20)],
      { a: { roster: 'version 1', x: 'to' }, [long]: { [long]: 'both 17' } },
    ],
    [
      'a field is added, one removed, the others stay',
      [change('a', { x: undefined, y: 'from' }, false, 11)],
      { a: { roster: 'version 1', y: 'from' } },
    ],
    [
      'a field that is not there is removed',
      [change('a', { x: undefined }, false, 11)],
      { a: { roster: 'version 1', y: 'from' } },
    ],
    [
      'a whole record takes the place of the one before',
      [change('a', { z: 'none+ask' }, true, 10)],
      { a: { z: 'none+ask' } },
    ],
    [
      'empty texts, and all of Unicode',
      [change('b', { '\u{1f600}': '', e: '\u{10ffff}' }, true, 9)],
      { b: { '\u{1f600}': '', e: '\u{10ffff}' } },
    ],
    ['a name that begins as another', [change('aa', { z: 'to' }, true, 20)], { a: { z: 'none+ask' }, aa: { z: 'to' } }],
    ['a whole record without fields is none', [change('b', {}, true, 9)], { b: {}, a: { z: 'none+ask' } }],
    ['only its last day', [change('aa', {}, false, 21)], { aa: { z: 'to' } }],
  ]

function change(
  record: string,
  fields: Readonly<Record<string, string | undefined>>,
  isWhole: boolean,
  until: number,
): RecordChange {
  return { record, fields: new Map(Object.entries(fields)), isWhole, until }
}

/** `today`: the first day that is not over; a store may forget by itself what was kept until before. */
export async function plays(t: Test, store: Store, today: number): Promise<void> {
  const shifted = (each: RecordChange): RecordChange => ({ ...each, until: today + each.until })
  for (const [what, changes, records] of steps) {
    await store.save(changes.map(shifted))
    for (const [record, fields] of Object.entries(records))
      t.same(Object.fromEntries(await store.load(record)), fields, `${what}: ${record.slice(0, 10)}`)
  }
  const many = Array.from({ length: 700 }, (_, index) =>
    change(`many${index}`, { x: 'to' }, true, index % 2 === 0 ? 5 : 50),
  )
  await store.save(many.map(shifted))
  const all = await Promise.all(many.map(async ({ record }) => [record, (await store.load(record)).get('x')]))
  t.same(
    all.filter(([, text]) => text !== 'to'),
    [],
    'many records at once',
  )
}
