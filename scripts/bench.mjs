// `npm run bench`: what a stanza costs, side by side with HAProxy, nginx and a bare pipe (test/bench/compare.ts). `npm run bench:core`: what
// reading, judging and writing cost in one process (core.ts). `npm run bench:scrape`: what a scrape costs a gate with many sessions (scrape.ts).
// `npm run bench:growth`: what it costs as sessions, rosters and stanzas grow (growth.ts). `npm run bench:hostile`: what those who do not read or
// do not finish cost the others (hostile.ts). `npm run bench:plot` draws what `bench` and `bench:growth` have written (plot.ts).
import { join } from 'node:path'
import { root, run, runMain, SetupError } from './command.mjs'
import { benchPackages, build, demonstrationPackages, ensureDebian, ensureNodeModules } from './setup.mjs'

const help = {
  compare: `npm run bench -- [--quick] [--rounds N] [--only KEY]... [--json FILE]

  --quick       three rounds of a quarter of the stanzas, in some two minutes; otherwise five rounds
  --only KEY    one of chat, chat8, presence, subscription, login, rate, idle, tls-chat, tls-chat8, tls-login, tls-idle, server-chat,
                server-login, ws-chat; may be given more than once
  --json FILE   every figure of every round is written there
`,
  core: 'npm run bench:core -- [--rounds N] [--count N] [--json] [--sizes]',
  scrape: 'npm run bench:scrape -- [--sessions N] [--scrapes N] [--json]',
  growth: `npm run bench:growth -- [--quick] [--rounds N] [--only KEY]... [--json FILE]

  --quick       three rounds of a quarter of the stanzas, in some fifteen minutes; otherwise three rounds of all, in some forty
  --only KEY    one of sessions, roster, size, resources; may be given more than once
  --json FILE   every figure of every round is written there
`,
  hostile: `npm run bench:hostile -- [--quick] [--rounds N] [--only KEY]... [--json FILE]

  --quick       three rounds, in some five minutes, in which nobody waits until the gate ends the session that takes nothing, after a minute;
                otherwise five rounds, in some half an hour
  --only KEY    stall or slow
  --json FILE   every figure of every round is written there
`,
  plot: `npm run bench:plot -- [--ratios FILE] [--growth FILE] [--to FOLDER]

  --ratios FILE   what npm run bench -- --json FILE has written
  --growth FILE   what npm run bench:growth -- --json FILE has written
  --to FOLDER     where the SVG files go; otherwise docs/plots
`,
}
const packages = {
  compare: [...benchPackages, ...demonstrationPackages, 'prosody-modules'],
  core: [],
  scrape: demonstrationPackages,
  growth: benchPackages,
  hostile: benchPackages,
  plot: [],
}

await runMain(async () => {
  const [name = 'compare', ...args] = process.argv.slice(2)
  if (!Object.hasOwn(help, name)) throw new SetupError(`there is no benchmark '${name}'`, 2)
  if (args.includes('--help')) {
    console.log(help[name])
    return 0
  }
  await ensureNodeModules()
  await ensureDebian(packages[name])
  await build()
  return run(process.execPath, [join(root, 'dist/test/bench', `${name}.js`), ...args])
})
