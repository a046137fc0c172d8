// `npm run faults`: what may go wrong round the gate, and what its clients see then. See test/load/faults.ts; --json.
import { join } from 'node:path'
import { readOptions, root, run, runMain } from './command.mjs'
import { build, demonstrationPackages, ensureDebian, ensureNodeModules } from './setup.mjs'

await runMain(async () => {
  const { values } = readOptions({ json: { type: 'boolean' }, help: { type: 'boolean' } })
  if (values.help) {
    console.log('npm run faults -- [--json]')
    return 0
  }
  await ensureNodeModules()
  await ensureDebian(demonstrationPackages)
  await build()
  return run(process.execPath, [join(root, 'dist/test/load/faults.js'), ...process.argv.slice(2)])
})
