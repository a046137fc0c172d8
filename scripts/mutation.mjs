// `npm run mutation`: what the tests of src/rules, src/subscription and src/account would not notice. Stryker changes one spot of the source at a
// time and runs the tests of those folders; a change that they let pass is a survivor. The survivors that test/mutation/accepted.json
// names with a reason are known; any other is marked NEW. Exit status 1 below 90 %. Arguments name source files of those folders
// or of src/xml (canonical.ts has tests for it); all of those folders without.
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bin, root, run, runMain, SetupError, say } from './command.mjs'
import { ensureNodeModules } from './setup.mjs'

const atLeast = 90
const config = join('test', 'mutation', 'stryker.config.json')
const report = join(root, '.cache', 'mutation.json')

await runMain(async () => {
  await ensureNodeModules()
  const files = process.argv.slice(2)
  for (const file of files)
    if (!/^src\/(rules|subscription|account|xml)\/[\w-]+\.ts$/.test(file) || !existsSync(join(root, file)))
      throw new SetupError(`${file} is no source file of src/rules, src/subscription, src/account or src/xml`, 2)
  rmSync(report, { force: true })
  const options = ['--reporters', process.stdout.isTTY ? 'json,progress' : 'json', '--logLevel', 'error']
  if (files.length > 0) options.push('--mutate', files.join(','))
  else say('mutants of src/rules, src/subscription and src/account: this takes some ten minutes')
  // One failure is enough. tap gives a test file 30 s: on a busy machine a mutant would be killed by that.
  const env = { ...process.env, TAP_BAIL: '1', TAP_TIMEOUT: '300' }
  const status = await run(bin('stryker'), ['run', config, ...options], { env })
  if (status !== 0) throw new SetupError(`stryker failed (exit status ${status})`, status)
  return tell(JSON.parse(readFileSync(report, 'utf8')).files)
})

function tell(files) {
  const rows = Object.entries(files).map(([file, { source, mutants }]) => rowOf(file, source, mutants))
  const count = key => rows.reduce((sum, row) => sum + row[key], 0)
  const survivors = rows.flatMap(row => row.survivors)
  // A file of types or constants alone.
  if (count('mutants') === 0) throw new SetupError('there is nothing to change in what was named')
  const total = { file: 'all', mutants: count('mutants'), killed: count('killed'), slow: count('slow'), survivors }
  console.log('| File | Mutants | Killed | Survived | Score |\n|---|--:|--:|--:|--:|')
  for (const { file, mutants, killed, survivors } of [...rows, total])
    console.log(`| ${file} | ${mutants} | ${killed} | ${survivors.length} | ${percent(killed, mutants)} |`)
  const fresh = tellSurvivors(survivors, Object.keys(files))
  const slow = total.slow > 0 ? `; ${total.slow} did not end, and count as killed` : ''
  console.log(`${total.mutants} mutants, ${survivors.length} survived, ${fresh} of them new${slow}`)
  if (total.killed * 100 >= atLeast * total.mutants) return 0
  say(`the score is below ${atLeast} %`)
  return 1
}

/** A mutant that never ends is noticed too. One that ends the process before any test has spoken is left out of all counts. */
function rowOf(file, source, mutants) {
  const run = mutants.filter(({ status }) => ['Killed', 'Timeout', 'Survived', 'NoCoverage'].includes(status))
  const survived = run.filter(({ status }) => status === 'Survived' || status === 'NoCoverage')
  return {
    file,
    mutants: run.length,
    killed: run.length - survived.length,
    slow: run.filter(({ status }) => status === 'Timeout').length,
    survivors: survived.map(mutant => survivorOf(file, source.split('\n'), mutant)),
  }
}

/** Named by what stands in the source, so that it is known again when lines have moved. */
function survivorOf(file, lines, { location: { start, end }, replacement }) {
  const text = lines.slice(start.line - 1, end.line)
  // Columns count from one; the end is cut first, since it may be on the line of the start.
  text.push(text.pop().slice(0, end.column - 1))
  text.unshift(text.shift().slice(start.column - 1))
  return {
    at: `${file}:${start.line}:${start.column}`,
    file,
    line: oneLine(lines[start.line - 1]),
    was: oneLine(text.join(' ')),
    becomes: oneLine(replacement),
  }
}

/** Every survivor in two lines; then the accepted ones of these files that were killed. Gives the number of those that are new. */
function tellSurvivors(survivors, files) {
  const accepted = JSON.parse(readFileSync(join(root, 'test', 'mutation', 'accepted.json'), 'utf8'))
  const reasons = new Map(accepted.map(each => [keyOf(each), each.why]))
  for (const survivor of survivors) {
    const why = reasons.get(keyOf(survivor))
    console.log(
      `${why === undefined ? 'NEW ' : ''}${survivor.at}: ${short(survivor.was)} -> ${short(survivor.becomes)}`,
    )
    console.log(`    ${why ?? `in: ${survivor.line}`}`)
  }
  const alive = new Set(survivors.map(keyOf))
  for (const each of accepted)
    if (files.includes(each.file) && !alive.has(keyOf(each)))
      say(`accepted, but killed or gone: ${each.file}: ${each.was} -> ${each.becomes}`)
  return survivors.filter(survivor => !reasons.has(keyOf(survivor))).length
}

function keyOf({ file, line, was, becomes }) {
  return JSON.stringify([file, line, was, becomes])
}

function oneLine(text) {
  return text.trim().replace(/\s+/g, ' ')
}

function short(text) {
  return text.length <= 90 ? text : `${text.slice(0, 89)}…`
}

function percent(part, whole) {
  return whole === 0 ? '–' : `${((part / whole) * 100).toFixed(1)} %`
}
