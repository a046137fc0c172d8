/** A process of the tests: writes numbers that grow into a record of its own, and prints each when the store says that it is kept. */
import { openLmdbStore } from '../../src/store/lmdb-store.ts'

// Where files may not grow, the kernel says it with a signal too.
process.on('SIGXFSZ', () => {})
const [folder = '', name = '', text = '10'] = process.argv.slice(2)
const store = await openLmdbStore(folder)
const record = `record of ${name}`
for (let number = 0; ; number++) {
  const fields = new Map([
    ['number', String(number)],
    [`text ${number % 1_000}`, 'x'.repeat(Number(text))],
  ])
  try {
    await store.save([{ record, fields, isWhole: false, until: 100 }])
    process.stdout.write(`${number}\n`)
  } catch (error) {
    process.stdout.write(`failed ${number} ${error}\n`)
    process.stdout.write(`still there ${(await store.load(record)).get('number')}\n`)
    break
  }
}
// Until it is told to end.
setInterval(() => {}, 1_000)
