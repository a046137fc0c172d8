// `npm start`: what is missing is installed, everything is built, and the demonstration runs. `npm start -- --once` ends
// after its conversation.
import { join } from 'node:path'
import { root, run, runMain } from './command.mjs'
import { build, demonstrationPackages, ensureDebian, ensureNodeModules } from './setup.mjs'

await runMain(async () => {
  await ensureNodeModules()
  await ensureDebian(demonstrationPackages)
  await build()
  return run(process.execPath, [join(root, 'dist', 'test', 'demo', 'demo.js'), ...process.argv.slice(2)])
})
