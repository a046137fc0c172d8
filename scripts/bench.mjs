// `npm run bench`: what a scrape costs a gate with many sessions. See test/bench/scrape.ts; --sessions N, --scrapes N, --json.
import { join } from 'node:path'
import { readOptions, root, run, runMain } from './command.mjs'
import { build, demonstrationPackages, ensureDebian, ensureNodeModules } from './setup.mjs'

await runMain(async () => {
  const { values } = readOptions({
    sessions: { type: 'string' },
    scrapes: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  })
  if (values.help) {
    console.log('npm run bench -- [--sessions N] [--scrapes N] [--json]')
    return 0
  }
  await ensureNodeModules()
  await ensureDebian(demonstrationPackages)
  await build()
  return run(process.execPath, [join(root, 'dist/test/bench/scrape.js'), ...process.argv.slice(2)])
})
