// `npm test`: what is missing is installed, everything is built and linted, and tap runs what was built. The last line
// is always `N passed, N failed`, alone, once tests have run. Arguments choose tests by a part of their path
// (`npm test -- rules servers/prosody`); those that begin with `-` go to tap as they are. `--no-fast-path`: the gates of these tests, and their
// child processes, do without the fast path of src/xml/canonical.ts.
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { bin, root, run, runMain, SetupError, say } from './command.mjs'
import { plainReport, totalsOf } from './report.mjs'
import { build, ensureDebian, ensureNodeModules, testPackages } from './setup.mjs'

const tests = join(root, 'dist', 'test')
const sources = join(root, 'dist', 'src')
const coverage = join(root, '.tap', 'coverage')

await runMain(async () => {
  const install = !process.argv.includes('--no-install')
  const own = ['--no-install', '--no-fast-path']
  const options = process.argv.slice(2).filter(argument => argument.startsWith('-') && !own.includes(argument))
  const filters = process.argv.slice(2).filter(argument => !argument.startsWith('-'))
  await ensureNodeModules({ install })
  await ensureDebian(testPackages, { install })
  await build()
  if ((await run(bin('biome'), ['check', '.'])) !== 0) throw new SetupError('the linter objects: npm run format')
  const files = chosen(filters)
  await ensureTapBuild()
  // A part of the tests covers a part of the sources: a table of that says nothing.
  const partly = filters.length > 0 ? ['--disable-coverage', '--allow-empty-coverage'] : []
  if (process.argv.includes('--no-fast-path')) {
    const preload = pathToFileURL(join(tests, 'no-fast-path.js'))
    process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --import=${preload}`
  }
  const { status, lines } = await runTap([...partly, ...options, ...files])
  const unloaded = filters.length > 0 || options.length > 0 ? [] : unloadedSources()
  for (const source of unloaded) say(`no test loads ${source}`)
  const { pass, fail } = totalsOf(lines)
  console.log(`${pass} passed, ${fail} failed`)
  if (status !== 0) return status
  return unloaded.length > 0 || fail > 0 || pass === 0 ? 1 : 0
})

/** The compiled test files that a filter names; none for all of them, which .taprc then names. */
function chosen(filters) {
  if (filters.length === 0) return []
  const wanted = filters.map(filter => filter.replace(/\.ts$/, '.js').replace(/^\.\//, ''))
  const files = filesUnder(tests, '.test.js')
    .map(file => relative(root, file))
    .filter(file => wanted.some(filter => file.includes(filter)))
  if (files.length === 0) throw new SetupError(`no test file has ${filters.join(' or ')} in its path`)
  return files
}

/** The very first run would still have the default plugins, so tap puts its test class together before. */
async function ensureTapBuild() {
  const plugins = join(root, '.tap', 'plugins')
  const config = join(root, '.taprc')
  if (existsSync(plugins) && statSync(plugins).mtimeMs > statSync(config).mtimeMs) return
  const status = await run(bin('tap'), ['build'])
  if (status !== 0) throw new SetupError(`tap build failed (exit status ${status})`, status)
}

/** On a terminal tap shows its own progress; on a pipe it gives TAP, of which what went wrong is worth reading. */
async function runTap(args) {
  const lines = []
  if (!process.stdout.isTTY) {
    const report = plainReport(line => console.log(line))
    const onLine = line => {
      if (line.startsWith('#')) lines.push(line)
      report(line)
    }
    return { status: await run(bin('tap'), ['--reporter=tap', ...args], { onLine }), lines }
  }
  const record = join(root, '.tap', 'last-run.tap')
  rmSync(record, { force: true })
  const status = await run(bin('tap'), [`--output-file=${record}`, ...args])
  if (existsSync(record)) lines.push(...readFileSync(record, 'utf8').split('\n'))
  return { status, lines }
}

/**
 * tap measures the files that tests have loaded; one that none has would be missing from its report without a word.
 * What .taprc leaves out of the measure, tap does not record either.
 */
function unloadedSources() {
  const loaded = new Set()
  for (const report of filesUnder(coverage, '.json')) {
    for (const { url } of JSON.parse(readFileSync(report, 'utf8')).result) {
      if (url.startsWith('file:')) loaded.add(fileURLToPath(url))
    }
  }
  return filesUnder(sources, '.js')
    .filter(file => !loaded.has(file) && !file.includes('/generated/') && !onlyTypes(file))
    .map(file => relative(join(root, 'dist'), file).replace(/\.js$/, '.ts'))
}

function onlyTypes(file) {
  return /^export \{\};$/m.test(readFileSync(file, 'utf8')) && readFileSync(file, 'utf8').split('\n').length <= 3
}

function filesUnder(folder, extension) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true })
    .filter(path => path.endsWith(extension))
    .map(path => join(folder, path))
}
