// `npm run corpus`: the hostile corpus against real servers behind the gate, as a table by class. `--all`: every case on every wire
// that it knows, otherwise each on one; `--json`; `--class=NAME`, `--name=PART`, `--server=prosody|ejabberd|hostile`: only these.
import { join } from 'node:path'
import { root, run, runMain } from './command.mjs'
import { build, ensureDebian, ensureNodeModules, testPackages } from './setup.mjs'

await runMain(async () => {
  const install = !process.argv.includes('--no-install')
  await ensureNodeModules({ install })
  await ensureDebian(testPackages, { install })
  await build()
  const options = process.argv.slice(2).filter(argument => argument !== '--no-install')
  return run(process.execPath, [join(root, 'dist', 'test', 'corpus', 'main.js'), ...options])
})
