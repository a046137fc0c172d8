// `node scripts/screenshots.mjs`: the console with something going on, as docs/console-{light,dark}-{390,1440}.png. With
// `--all FOLDER` every view of it, into that folder.
import { join } from 'node:path'
import { root, run, runMain } from './command.mjs'
import { build, ensureDebian, ensureNodeModules, testPackages } from './setup.mjs'

await runMain(async () => {
  await ensureNodeModules()
  await ensureDebian(testPackages)
  await build()
  return run(process.execPath, [join(root, 'dist', 'test', 'console', 'screenshots.js'), ...process.argv.slice(2)])
})
