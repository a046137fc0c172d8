// `npm run faults`: what may go wrong round the gate, and what its clients see then. See test/load/faults.ts; --json.
import { join } from 'node:path'
import { root, run, runMain } from './command.mjs'
import { build, demonstrationPackages, ensureDebian, ensureNodeModules } from './setup.mjs'

await runMain(async () => {
  await ensureNodeModules()
  await ensureDebian(demonstrationPackages)
  await build()
  return run(process.execPath, [join(root, 'dist/test/load/faults.js'), ...process.argv.slice(2)])
})
