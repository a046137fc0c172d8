// `npm run build`, and `npm pack`: compiles, without leaving outputs of sources that are gone. Installs nothing.
import { runMain } from './command.mjs'
import { build } from './setup.mjs'

await runMain(async () => {
  await build()
  return 0
})
