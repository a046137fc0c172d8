/** What `npm start` and `npm test` stand on, tried in a copy of the scripts with stand-ins for npm, apt-get, dpkg-query and tsc. */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const scripts = fileURLToPath(new URL('../../../scripts', import.meta.url))
const { plainReport, totalsOf } = await import(join(scripts, 'report.mjs'))

t.test('a benchmark refuses bad options before it measures, in one line', t => {
  for (const [call, message] of [
    ['compare --only nope', "--only: 'nope' is not one of chat, chat8, presence, "],
    [
      'growth --only chat',
      "--only: 'chat' is not one of sessions, roster, size, resources; see npm run bench:growth -- --help",
    ],
    ['hostile --rounds 0', "--rounds: '0' is not a number of at least 1; see npm run bench:hostile -- --help"],
    ['compare --rounds', "Option '--rounds <value>' argument missing"],
    ['compare --bogus', "Unknown option '--bogus'; see npm run bench -- --help"],
    ['compare extra', "Unexpected argument 'extra'"],
    ['compare --json /none/x.json', "--json: '/none/x.json' has no folder to be in"],
    ['core --count x', "--count: 'x' is not a number of at least 1"],
    ['core --sizes --json', '--sizes prints a table'],
    ['scrape --sessions -1', "Option '--sessions' argument is ambiguous"],
    ['plot', 'there is nothing to draw'],
    ['plot --ratios /none', "--ratios: '/none' is not there"],
    ['nothing', "there is no benchmark 'nothing'"],
  ] as const) {
    const outcome = spawnSync(process.execPath, [join(scripts, 'bench.mjs'), ...call.split(' ')], { encoding: 'utf8' })
    t.equal(outcome.status, 2, call)
    t.ok(outcome.stderr.startsWith(`stanzagate: ${message}`), outcome.stderr)
    t.equal(outcome.stderr.trimEnd().split('\n').length, 1, 'one line')
  }
  t.end()
})

t.test('a log has one line for a file that passed, and all about one that failed', async t => {
  const said: string[] = []
  const report = plainReport((line: string) => said.push(line))
  for (const line of [
    'TAP version 14',
    '# Subtest: dist/test/good.test.js',
    '    # Subtest: inner',
    '        ok 1 - fine',
    '        1..1',
    '    ok 1 - inner # time=1ms',
    '',
    '    1..1',
    'ok 1 - dist/test/good.test.js # time=2ms',
    '# Subtest: dist/test/bad.test.js',
    '    ok 1 - fine',
    '    not ok 2 - wrong',
    '      ---',
    '      diff: "-1 +2"',
    '      ...',
    '    1..2',
    'not ok 2 - dist/test/bad.test.js # time=3ms',
    '  ---',
    '  exitCode: 1',
    '  ...',
    '1..2',
    '# { total: 3, pass: 2, fail: 1 }',
  ])
    report(line)
  t.strictSame(said, [
    'ok dist/test/good.test.js # time=2ms',
    '    not ok 2 - wrong',
    '      ---',
    '      diff: "-1 +2"',
    '      ...',
    'not ok dist/test/bad.test.js # time=3ms',
    '  ---',
    '  exitCode: 1',
    '  ...',
    '# { total: 3, pass: 2, fail: 1 }',
  ])
})

t.test('totals', async t => {
  for (const [lines, totals] of [
    [['# { total: 5, pass: 5 }'], { pass: 5, fail: 0, skip: 0, todo: 0 }],
    [
      ['# { total: 1, pass: 1 }', '# { total: 9, pass: 5, fail: 2, todo: 1, skip: 1 }', '# time=1ms'],
      { pass: 5, fail: 2, skip: 1, todo: 1 },
    ],
    [['# no tests found', '# time=0.1ms'], { pass: 0, fail: 0, skip: 0, todo: 0 }],
    [[], { pass: 0, fail: 0, skip: 0, todo: 0 }],
  ] as const)
    t.strictSame(totalsOf(lines), totals, lines.join())
})

interface Copy {
  readonly folder: string
  write(path: string, text: string, mode?: number): void
  /** Runs code that has everything of setup.mjs and command.mjs at hand, with only the stand-ins in PATH. */
  run(code: string): { status: number | null; said: string }
  /** What stand-ins were called with, a line each. */
  calls(): string[]
}

/** Stand-ins by name: the rest of a shell script; each of them notes its call first. */
function copy(folder: string, programs: Readonly<Record<string, string>> = {}): Copy {
  cpSync(scripts, join(folder, 'scripts'), { recursive: true })
  const path = join(folder, 'bin')
  const log = join(folder, 'calls')
  const write = (name: string, text: string, mode = 0o644) => {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
    chmodSync(join(folder, name), mode)
  }
  mkdirSync(path)
  for (const [name, script] of Object.entries(programs))
    write(`bin/${name}`, `#!/bin/sh\necho "${name} $*" >> '${log}'\n${script}\n`, 0o755)
  const run = (code: string) => {
    const module = `import * as setup from '${folder}/scripts/setup.mjs'
      import * as command from '${folder}/scripts/command.mjs'
      await command.runMain(async () => { ${code} })`
    const options = { encoding: 'utf8', env: { PATH: path } } as const
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', module], options)
    return { status, said: stdout + stderr }
  }
  return { folder, write, run, calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []) }
}

t.test('programs: their status, their signal, their lines, and that there is none', async t => {
  const { run } = copy(t.testdir())
  const node = `process.execPath, ['-e', `
  for (const [code, status, said] of [
    [`return command.run(${node}'process.exit(7)'])`, 7, ''],
    [`return command.run('/bin/sh', ['-c', 'kill -TERM $$'])`, 143, ''],
    [
      `return command.run('no-such-program', [])`,
      1,
      'stanzagate: cannot run no-such-program: spawn no-such-program ENOENT\n',
    ],
    [
      `return command.run(${node}'console.log("a\\\\nb")'], { onLine: line => console.log('<' + line + '>') })`,
      0,
      '<a>\n<b>\n',
    ],
    [`throw new command.SetupError('put it right', 3)`, 3, 'stanzagate: put it right\n'],
    [
      `await command.undisturbed(async () => { const hold = setInterval(() => {}, 1000); process.kill(process.pid, 'SIGINT'); await new Promise(resolve => process.once('SIGINT', resolve)); clearInterval(hold); command.say('done') }); return 0`,
      130,
      'stanzagate: done\nstanzagate: ended by SIGINT\n',
    ],
  ] as const)
    t.strictSame(run(code), { status, said }, code)
})

t.test('npm start: a misspelt option is refused before anything is installed', async t => {
  const { folder, calls } = copy(t.testdir(), { npm: 'exit 5', 'apt-get': 'exit 5' })
  const { status, stderr } = spawnSync(process.execPath, [join(folder, 'scripts/start.mjs'), '--onse'], {
    encoding: 'utf8',
    env: { PATH: join(folder, 'bin') },
  })
  t.equal(status, 2)
  t.equal(stderr, "stanzagate: npm start knows --once and --no-install, not '--onse'\n")
  t.strictSame(calls(), [])
})

t.test('npm packages: installed when they are not what the lock file asks for', async t => {
  const lock = (packages: object) => JSON.stringify({ packages })
  const wanted = {
    '': { dependencies: { saxes: '6.0.0' }, devDependencies: { tap: '21' } },
    'node_modules/saxes': { version: '6.0.0', integrity: 'sha512-a' },
    'node_modules/elsewhere': { version: '1.0.0', optional: true },
  }
  const there = { 'node_modules/saxes': { version: '6.0.0', integrity: 'sha512-a' } }
  const other = (change: object) => ({ 'node_modules/saxes': { ...there['node_modules/saxes'], ...change } })
  for (const [what, installed, reason] of [
    ['the same', there, undefined],
    ['nothing', undefined, 'node_modules is missing'],
    ['less', {}, 'node_modules differs from package-lock.json (saxes)'],
    ['another version', other({ version: '5.0.1' }), 'node_modules differs from package-lock.json (saxes)'],
    ['another content', other({ integrity: 'sha512-b' }), 'node_modules differs from package-lock.json (saxes)'],
  ] as const) {
    const one = copy(t.testdir(), { npm: 'exit 5' })
    one.write('package-lock.json', lock(wanted))
    if (installed !== undefined) one.write('node_modules/.package-lock.json', lock(installed))
    const asked = one.run('await setup.ensureNodeModules({ install: false }); return 0')
    const [status, said] = reason === undefined ? [0, ''] : [3, `stanzagate: ${reason}; run: npm ci\n`]
    t.strictSame(asked, { status, said }, what)
    t.strictSame(one.calls(), [], 'nothing was run')
    if (reason === undefined) continue
    const failed = one.run('await setup.ensureNodeModules(); return 0')
    t.equal(failed.status, 5, "npm's own status")
    t.match(
      failed.said,
      /about to install with npm ci: saxes, tap \(2 packages\)\nstanzagate: npm's warning EBADENGINE, .* is harmless: .*\nstanzagate: npm ci failed \(exit status 5\)/,
    )
    t.strictSame(one.calls(), ['npm ci --include=dev --no-audit --no-fund'])
  }
})

t.test('Debian packages: asked for, and what cannot be had is said', async t => {
  const dpkg = `case "$*" in *prosody) printf 'install ok installed';; *removed) printf 'deinstall ok config-files';; *) exit 1;; esac`
  for (const [what, programs, code, status, said] of [
    ['there', { 'dpkg-query': dpkg }, `['prosody']`, 0, ''],
    [
      'not there',
      { 'dpkg-query': dpkg, 'apt-get': 'exit 0' },
      `['prosody', 'ejabberd', 'removed'], { install: false }`,
      3,
      'stanzagate: Debian package missing: ejabberd removed; run: apt-get install -y --no-install-recommends ejabberd removed\n',
    ],
    [
      'another Linux',
      { 'dpkg-query': dpkg },
      `['ejabberd']`,
      3,
      'stanzagate: ejabberd is missing, and this is no Debian (no apt-get): install it by hand\n',
    ],
  ] as const) {
    const one = copy(t.testdir(), programs)
    t.strictSame(one.run(`await setup.ensureDebian(${code}); return 0`), { status, said }, what)
    t.notMatch(one.calls().join(), 'install -y')
  }
})

t.test('the build leaves nothing of a source that is gone, and writes again what is missing', async t => {
  const one = copy(t.testdir())
  one.write('node_modules/.bin/tsc', `#!/bin/sh\nexit $(/bin/cat ${one.folder}/status)\n`, 0o755)
  const has = (path: string) => existsSync(join(one.folder, path))
  const outputs = (stem: string) => ['.js', '.js.map', '.d.ts'].map(extension => `dist/${stem}${extension}`)
  one.write('status', '0')
  one.write('src/here.ts', '')
  for (const path of [...outputs('src/here'), ...outputs('test/rules/gone.test'), 'dist/tsconfig.tsbuildinfo'])
    one.write(path, '')
  t.equal(one.run('await setup.build(); return 0').status, 0)
  t.strictSame(outputs('src/here').map(has), [true, true, true])
  t.strictSame(outputs('test/rules/gone.test').map(has), [false, false, false])
  t.ok(has('dist/tsconfig.tsbuildinfo'), 'nothing was missing')

  one.write('src/new.ts', '')
  one.write('status', '2')
  t.strictSame(one.run('await setup.build(); return 0'), {
    status: 2,
    said: 'stanzagate: the build failed (tsc: exit status 2)\n',
  })
  t.notOk(has('dist/tsconfig.tsbuildinfo'), 'tsc has to forget what it has written')
})
