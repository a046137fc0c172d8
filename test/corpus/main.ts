/** The corpus by itself, with the options of `usage`. Built and run by scripts/corpus.mjs. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { writeCertificate } from '../servers/certificate.ts'
import { classes, servers } from './case.ts'
import type { Result } from './player.ts'
import { playAll, playAllHostile, rowsOf, shownResult, tableOf } from './run.ts'
import { Stage } from './stage.ts'

const usage = `npm run corpus -- [--all] [--json] [--class=NAME]... [--name=PART] [--server=prosody|ejabberd|hostile] [--slots=N]
    --all: every case on every wire that it knows, otherwise each on one; --slots: so many at a time
classes: ${classes.join(', ')}`

const { values } = parsed()
if (values.help) {
  console.log(usage)
  process.exit()
}

const teardowns: (() => unknown)[] = []
const later = { teardown: (action: () => unknown) => teardowns.unshift(action) }
const folder = mkdtempSync(join(tmpdir(), 'stanzagate-corpus-'))
later.teardown(() => rmSync(folder, { recursive: true, force: true }))
try {
  const certificate = await writeCertificate(folder, ['localhost'])
  const choice = { all: values.all, classes: values.class, name: values.name }
  const results: Result[] = []
  const late: string[] = []
  for (const server of servers.filter(name => values.server === undefined || name === values.server)) {
    const stage = await Stage.start(later, server, certificate, Number(values.slots))
    results.push(...(await playAll(stage, choice)))
    late.push(...stage.late)
  }
  if (values.server === undefined || values.server === 'hostile')
    results.push(...(await playAllHostile(later, certificate, choice)))
  const wrong = results.filter(({ ok, unsafe }) => !ok || unsafe)
  const rows = rowsOf(results)
  if (values.json) console.log(JSON.stringify({ rows, wrong: wrong.map(shownResult), late }, null, 1))
  else {
    for (const result of wrong) console.log(shownResult(result))
    for (const one of late) console.log(`UNSAFE, late: ${one}`)
    console.log(tableOf(rows))
  }
  process.exitCode = wrong.length + late.length > 0 ? 1 : 0
} finally {
  for (const action of teardowns) await action()
}

function parsed() {
  try {
    const options = parseArgs({
      options: {
        all: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        class: { type: 'string', multiple: true },
        name: { type: 'string' },
        server: { type: 'string' },
        slots: { type: 'string', default: '12' },
      },
    })
    const unknown = options.values.class?.find(name => !(classes as readonly string[]).includes(name))
    if (unknown !== undefined) throw new Error(`there is no class '${unknown}'`)
    return options
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`)
    process.exit(2)
  }
}
