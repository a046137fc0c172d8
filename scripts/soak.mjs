// `npm run soak`: the gate before a real Prosody, with honest clients beside those who are a burden. See test/load/soak.ts;
// --minutes N, --pairs N, --slowloris N, --churn N (logins a second), --deaf N (slow readers), --json.
import { join } from 'node:path'
import { root, run, runMain } from './command.mjs'
import { build, demonstrationPackages, ensureDebian, ensureNodeModules } from './setup.mjs'

await runMain(async () => {
  await ensureNodeModules()
  await ensureDebian(demonstrationPackages)
  await build()
  return run(process.execPath, [join(root, 'dist/test/load/soak.js'), ...process.argv.slice(2)])
})
