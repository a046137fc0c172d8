// `npm run fuzz`: more than the tests have time for, and any document of theirs again. `npm run fuzz -- --help` says how.
import { parseArgs } from 'node:util'
import { root, runMain, SetupError } from './command.mjs'
import { build, ensureNodeModules } from './setup.mjs'

const usage = `npm run fuzz -- [--documents N] [--seed S] [--workers W] [--json]
    damaged documents through the gate, against libexpat
npm run fuzz -- --seed S --document N
    one of them: its bytes, what the gate reads, and the shortest document of the same class
npm run fuzz -- --coverage reader|session [--seconds N] [--inputs N] [--seed S] [--json]
    inputs that are kept and changed further where they reach code that none before them has reached
--no-build takes the build as it is. Exit status 1: something was found.`

await runMain(async () => {
  const options = optionsOf(process.argv.slice(2))
  if (options.help) {
    console.log(usage)
    return 0
  }
  if (!options['no-build']) {
    await ensureNodeModules()
    await build()
  }
  if (options.coverage !== undefined) return guided(options)
  const { oracleVersion } = await load('oracle')
  if (oracleVersion() === undefined)
    throw new SetupError('libexpat is reached through python3, which is missing: apt-get install python3', 3)
  return options.document === undefined ? many(options) : single(options)
})

function optionsOf(args) {
  const text = { type: 'string' }
  const flag = { type: 'boolean', default: false }
  const names = {
    documents: text,
    seed: text,
    workers: text,
    document: text,
    coverage: text,
    seconds: text,
    inputs: text,
  }
  let values
  try {
    values = parseArgs({ args, options: { ...names, json: flag, help: flag, 'no-build': flag } }).values
  } catch (error) {
    throw new SetupError(`${error.message}\n${usage}`, 2)
  }
  const number = (name, otherwise, least) => {
    if (values[name] === undefined) return otherwise
    const value = Number(values[name])
    if (!/^\d+$/.test(values[name]) || value < least || !Number.isSafeInteger(value))
      throw new SetupError(`--${name} is a whole number of ${least} or more, not '${values[name]}'`, 2)
    return value
  }
  return {
    ...values,
    // Chosen by nobody, and printed.
    seed: number('seed', Math.floor(Math.random() * 2 ** 31), 0),
    documents: number('documents', 1_000_000, 1),
    workers: number('workers', undefined, 1),
    document: number('document', undefined, 0),
    seconds: number('seconds', 60, 1),
    inputs: number('inputs', undefined, 1),
  }
}

function load(name) {
  return import(`${root}/dist/test/fuzz/${name}.js`)
}

async function many({ seed, documents, workers, json }) {
  const { campaign, findingsOf, report } = await load('campaign')
  const progress = progressOf(`seed ${seed}`, documents)
  const result = await campaign({ seed, documents, workers, progress: progress.at })
  progress.end()
  console.log(json ? JSON.stringify(shown(result), null, 2) : report(result).join('\n'))
  return findingsOf(result) > 0 ? 1 : 0
}

/** A line on a terminal, drawn again a few times a second. */
function progressOf(title, whole) {
  if (!process.stderr.isTTY) return { at: () => {}, end: () => {} }
  const begun = Date.now()
  let drawn = 0
  return {
    at(done) {
      const now = Date.now()
      if (now - drawn < 200) return
      drawn = now
      const rate = Math.round((done * 1000) / Math.max(now - begun, 1))
      process.stderr.write(
        `\r\x1b[K${title}: ${done} of ${whole} (${Math.floor((done * 100) / whole)} %), ${rate} a second`,
      )
    },
    end: () => process.stderr.write('\r\x1b[K'),
  }
}

function shown({ findings, ...result }) {
  return { ...result, findings: findings.map(({ bytes, ...found }) => ({ ...found, bytes: bytes.toString('latin1') })) }
}

async function single({ seed, document, json }) {
  const { bytesOf, Differential, isFinding, saidOf, wayOf } = await load('differential')
  const { Oracle } = await load('oracle')
  const oracle = new Oracle()
  const differential = new Differential(seed, oracle)
  const [judged] = await differential.judge([document])
  const found = isFinding(judged.class)
  const told = {
    document: `--seed ${seed} --document ${document}`,
    way: wayOf(document).name,
    class: judged.class,
    bytes: bytesOf(seed, document).toString('latin1'),
    ...saidOf(seed, document),
    ...(found ? { shortest: (await differential.minimal(judged)).toString('latin1') } : {}),
  }
  oracle.close()
  if (json) console.log(JSON.stringify(told, null, 2))
  else for (const [name, value] of Object.entries(told)) console.log(`${name.padEnd(10)}${JSON.stringify(value)}`)
  return found ? 1 : 0
}

async function guided({ coverage, seconds, inputs, seed, json }) {
  const { explore, targets } = await load('guided')
  if (!Object.hasOwn(targets, coverage))
    throw new SetupError(`--coverage is one of ${Object.keys(targets).join(', ')}, not '${coverage}'`, 2)
  const progress = progressOf(`${coverage}, seed ${seed}`, seconds)
  const result = { target: coverage, ...explore(targets[coverage], { seconds, seed, inputs, progress: progress.at }) }
  progress.end()
  if (json) console.log(JSON.stringify(result, null, 2))
  else for (const [name, value] of Object.entries(result)) console.log(`${name.padEnd(14)}${JSON.stringify(value)}`)
  return result.findings.length > 0 ? 1 : 0
}
