// `npm run bench`: what a stanza costs, side by side with HAProxy, nginx and a bare pipe (test/bench/compare.ts). `npm run bench:core`: what
// reading, judging and writing cost in one process (core.ts). `npm run bench:scrape`: what a scrape costs a gate with many sessions (scrape.ts).
// `npm run bench:growth`: what it costs as sessions, rosters and stanzas grow (growth.ts). `npm run bench:hostile`: what those who do not read or
// do not finish cost the others (hostile.ts). `npm run bench:plot` draws what `bench` and `bench:growth` have written (plot.ts).
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { root, run, runMain, SetupError } from './command.mjs'
import { benchPackages, build, demonstrationPackages, ensureDebian, ensureNodeModules } from './setup.mjs'

/** What `--only` may name. */
const keys = {
  compare: [
    ...[
      'chat',
      'chat8',
      'presence',
      'subscription',
      'login',
      'rate',
      'idle',
      'tls-chat',
      'tls-chat8',
      'tls-login',
      'tls-idle',
    ],
    ...['server-chat', 'server-login', 'ws-chat'],
  ],
  growth: ['sessions', 'roster', 'size', 'resources'],
  hostile: ['stall', 'slow'],
}
const measuring = { numbers: ['rounds'], flags: ['quick', 'smoke'], files: ['json'] }
/** The options of each; `read`: files that must be there. */
const options = {
  compare: measuring,
  growth: measuring,
  hostile: measuring,
  core: { numbers: ['rounds', 'count'], flags: ['json', 'sizes'] },
  scrape: { numbers: ['sessions', 'scrapes'], flags: ['json'] },
  plot: { read: ['ratios', 'growth'], texts: ['to'] },
}

const help = {
  compare: `npm run bench -- [--quick] [--rounds N] [--only KEY]... [--json FILE]

  --quick       three rounds of a quarter of the stanzas, in two to five minutes; otherwise five rounds in some 25
  --only KEY    one of ${keys.compare.slice(0, 11).join(', ')},
                ${keys.compare.slice(11).join(', ')}; may be given more than once
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
  refuseBad(name, args)
  await ensureNodeModules()
  await ensureDebian(packages[name])
  await build()
  return run(process.execPath, [join(root, 'dist/test/bench', `${name}.js`), ...args])
})

/** Throws before anything is measured: a run of half an hour whose figures go nowhere is worse than none. */
function refuseBad(name, args) {
  const { numbers = [], flags = [], files = [], read = [], texts = [] } = options[name]
  const say = message =>
    new SetupError(`${message}; see npm run ${name === 'compare' ? 'bench' : `bench:${name}`} -- --help`, 2)
  const withText = [...numbers, ...files, ...read, ...texts].map(option => [option, { type: 'string' }])
  const known = Object.fromEntries([...withText, ...flags.map(option => [option, { type: 'boolean' }])])
  if (name in keys) known.only = { type: 'string', multiple: true }
  let values
  try {
    values = parseArgs({ args, options: known }).values
  } catch (error) {
    throw say(error.message.split(/\.?\n|\. /)[0])
  }
  for (const option of numbers)
    if (values[option] !== undefined && !/^[1-9]\d{0,6}$/.test(values[option]))
      throw say(`--${option}: '${values[option]}' is not a number of at least 1`)
  for (const key of values.only ?? [])
    if (!keys[name].includes(key)) throw say(`--only: '${key}' is not one of ${keys[name].join(', ')}`)
  for (const option of files)
    if (values[option] !== undefined && !existsSync(dirname(resolve(values[option]))))
      throw say(`--${option}: '${values[option]}' has no folder to be in`)
  for (const option of read)
    if (values[option] !== undefined && !existsSync(values[option]))
      throw say(`--${option}: '${values[option]}' is not there`)
  if (values.sizes && values.json) throw say('--sizes prints a table: it has no --json')
  if (name === 'plot' && values.ratios === undefined && values.growth === undefined)
    throw say('there is nothing to draw: --ratios FILE or --growth FILE is needed')
}
