// `npm start`: what is missing is installed, everything is built, and the demonstration runs. `npm start -- --once` ends
// after its conversation; `--no-install` says what is missing instead of installing it.
import { join } from 'node:path'
import { root, run, runMain, SetupError } from './command.mjs'
import { build, demonstrationPackages, ensureDebian, ensureNodeModules } from './setup.mjs'

await runMain(async () => {
  const args = process.argv.slice(2)
  // Before anything is installed for it.
  const wrong = args.find(argument => argument !== '--once' && argument !== '--no-install')
  if (wrong !== undefined) throw new SetupError(`npm start knows --once and --no-install, not '${wrong}'`, 2)
  const install = !args.includes('--no-install')
  await ensureNodeModules({ install })
  await ensureDebian(demonstrationPackages, { install })
  await build()
  const told = args.filter(argument => argument !== '--no-install')
  return run(process.execPath, [join(root, 'dist', 'test', 'demo', 'demo.js'), ...told])
})
