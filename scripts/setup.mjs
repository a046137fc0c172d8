// What `npm start` and `npm test` need before anything of this project can run: the npm packages of package-lock.json,
// Debian packages for the real servers, and a build. Node built-ins only, since it runs before `npm ci` on a fresh clone.
//
// Nothing is installed without being announced, what is there already is left alone, and no system service is started,
// enabled or altered: servers for tests are started by the tests, as throwaway children.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { bin, root, run, runMain, SetupError, say } from './command.mjs'
import { withoutServices } from './services.mjs'

/** The Debian packages that the demonstration needs. */
export const demonstrationPackages = ['prosody']

/** Those that the benchmark needs: a compiler, and the proxies beside the gate. */
export const benchPackages = ['gcc', 'libc6-dev', 'haproxy', 'nginx-light', 'libnginx-mod-stream']

/** Those that the tests need: servers, clients, a browser, promtool, which comes with Prometheus, and a compiler for the benchmark. */
export const testPackages = [
  ...demonstrationPackages,
  'ejabberd',
  'haproxy',
  'prosody-modules',
  'python3-slixmpp',
  'go-sendxmpp',
  'prometheus',
  'redis-server',
  'chromium',
  'gcc',
  'libc6-dev',
]

/** Installs node_modules with `npm ci` unless it holds what package-lock.json asks for. */
export async function ensureNodeModules({ install = true } = {}) {
  const reason = staleNodeModules()
  if (reason === undefined) return
  const command = 'npm ci'
  if (!install) throw new SetupError(`${reason}; run: ${command}`, 3)
  const { packages } = readJson('package-lock.json')
  const direct = { ...packages[''].dependencies, ...packages[''].devDependencies }
  say(`${reason}`)
  say(
    `about to install with ${command}: ${Object.keys(direct).join(', ')} (${Object.keys(packages).length - 1} packages)`,
  )
  say(
    "npm's warning EBADENGINE, of a package that wants a newer Node than this one, is harmless: the tests run on this one",
  )
  // The tests need the development packages whatever NODE_ENV says.
  const status = await run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund'])
  if (status !== 0) throw new SetupError(`${command} failed (exit status ${status})`, status)
}

/**
 * Why node_modules has to be installed, or undefined. npm itself records what it has installed in
 * node_modules/.package-lock.json: that also holds for an `npm ci` or `npm install` that was run by hand.
 */
function staleNodeModules() {
  if (!existsSync(join(root, 'node_modules', '.package-lock.json'))) return 'node_modules is missing'
  const installed = readJson('node_modules/.package-lock.json').packages
  for (const [path, wanted] of Object.entries(readJson('package-lock.json').packages)) {
    if (path === '') continue
    const found = installed[path]
    // An optional package that is absent is one for another platform.
    if (
      found === undefined ? !wanted.optional : found.version !== wanted.version || found.integrity !== wanted.integrity
    ) {
      return `node_modules differs from package-lock.json (${path.slice('node_modules/'.length)})`
    }
  }
  return undefined
}

function readJson(path) {
  return JSON.parse(readFileSync(join(root, path), 'utf8'))
}

/** Installs those Debian packages that are missing, with apt-get, without any of their services. */
export async function ensureDebian(packages, { install = true } = {}) {
  const missing = missingPackages(packages)
  if (missing.length === 0) return
  const names = missing.join(' ')
  const command = `apt-get install -y --no-install-recommends ${names}`
  if (spawnSync('apt-get', ['--version']).error) {
    throw new SetupError(`${names} is missing, and this is no Debian (no apt-get): install it by hand`, 3)
  }
  if (!install) throw new SetupError(`Debian package missing: ${names}; run: ${command}`, 3)
  if (process.getuid?.() !== 0) throw new SetupError(`Debian package missing: ${names}; run: sudo ${command}`, 3)
  await withoutServices(missing, async () => {
    // Another set-up may have installed them while this one waited for its turn.
    const still = missingPackages(missing)
    if (still.length > 0) await aptInstall(still)
  })
}

function missingPackages(packages) {
  return packages.filter(name => {
    const query = spawnSync('dpkg-query', ['-W', `-f=\${Status}`, name], { encoding: 'utf8' })
    // Without dpkg there are no packages; a program of that name will do.
    if (query.error) return spawnSync('sh', ['-c', 'command -v -- "$1"', 'sh', name]).status !== 0
    return query.stdout !== 'install ok installed'
  })
}

async function aptInstall(names) {
  let plan = simulate(names)
  if (plan === undefined) {
    await aptUpdate()
    plan = simulate(names)
  }
  if (plan === undefined) throw new SetupError(`apt-get cannot install ${names.join(' ')}: see apt-get install -s`)
  const others = plan.filter(name => !names.includes(name))
  const withOthers = others.length > 0 ? ` (which needs ${others.join(' ')})` : ''
  say(`about to install with apt-get: ${names.join(' ')}${withOthers}`)
  const install = ['install', '-y', '--no-install-recommends', ...names]
  let status = await apt(install)
  if (status !== 0 && status < 128) {
    // Old lists name files that the archive no longer has.
    await aptUpdate()
    status = await apt(install)
  }
  if (status !== 0) throw new SetupError(`apt-get install failed (exit status ${status})`, status)
}

/** The packages that apt-get would install; undefined if it knows no such package (yet). */
function simulate(names) {
  const simulation = spawnSync('apt-get', ['install', '-s', '--no-install-recommends', ...names], { encoding: 'utf8' })
  if (simulation.status !== 0) return undefined
  return [...simulation.stdout.matchAll(/^Inst (\S+)/gm)].map(match => match[1])
}

async function aptUpdate() {
  say('about to fetch the package lists: apt-get update')
  const status = await apt(['update'])
  if (status !== 0) throw new SetupError(`apt-get update failed (exit status ${status})`, status)
}

/** On a terminal apt-get shows its own progress; on a pipe it gets plain lines. */
function apt(args) {
  const quiet = process.stdout.isTTY ? [] : ['-qq', '-o', 'Dpkg::Use-Pty=0']
  return run('apt-get', [...quiet, '-o', 'DPkg::Lock::Timeout=300', ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
}

/** Compiles src, test, schemas and dashboards into dist, and removes from dist what has lost its source. */
export async function build() {
  pruneBuild()
  const status = await run(bin('tsc'), ['-p', '.'])
  if (status !== 0) throw new SetupError(`the build failed (tsc: exit status ${status})`, status)
}

/**
 * tsc never deletes: a test whose source is gone would go on being run. And with `incremental` it does not write again
 * what it believes it has written: if any output is missing, its memory is removed too.
 */
function pruneBuild() {
  for (const folder of ['src', 'test', 'schemas', 'dashboards']) {
    for (const output of filesUnder(join(root, 'dist', folder), '.js.map')) {
      const stem = output.slice(0, -'.js.map'.length)
      if (existsSync(`${join(root, relative(join(root, 'dist'), stem))}.ts`)) continue
      for (const extension of ['.js', '.js.map', '.d.ts']) rmSync(stem + extension, { force: true })
    }
    for (const source of filesUnder(join(root, folder), '.ts')) {
      if (source.endsWith('.d.ts')) continue
      const output = join(root, 'dist', relative(root, source)).replace(/\.ts$/, '.js')
      if (!existsSync(output)) rmSync(join(root, 'dist', 'tsconfig.tsbuildinfo'), { force: true })
    }
  }
}

function filesUnder(folder, extension) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true })
    .filter(path => path.endsWith(extension))
    .map(path => join(folder, path))
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await runMain(async () => {
    const install = !process.argv.includes('--no-install')
    await ensureNodeModules({ install })
    await ensureDebian(testPackages, { install })
    await build()
    return 0
  })
}
