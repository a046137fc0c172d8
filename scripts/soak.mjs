// `npm run soak`: the gate before a real Prosody, with honest clients beside those who are a burden. See test/load/soak.ts;
// --minutes N, --pairs N, --slowloris N, --churn N (logins a second), --deaf N (slow readers), --json.
import { join } from 'node:path'
import { readOptions, root, run, runMain } from './command.mjs'
import { build, demonstrationPackages, ensureDebian, ensureNodeModules } from './setup.mjs'

await runMain(async () => {
  const { values } = readOptions({
    minutes: { type: 'string' },
    pairs: { type: 'string' },
    slowloris: { type: 'string' },
    churn: { type: 'string' },
    deaf: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  })
  if (values.help) {
    console.log('npm run soak -- [--minutes N] [--pairs N] [--slowloris N] [--churn N] [--deaf N] [--json]')
    return 0
  }
  await ensureNodeModules()
  await ensureDebian(demonstrationPackages)
  await build()
  return run(process.execPath, [join(root, 'dist/test/load/soak.js'), ...process.argv.slice(2)])
})
