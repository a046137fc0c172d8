/** The package as others get it: packed, installed elsewhere, and the README's program compiled and run. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { connectWebsocket } from './clients/raw.ts'
import { within } from './clients/within.ts'
import { startProsody } from './servers/prosody.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const run = promisify(execFile)

t.test('the README’s Fastify program, outside the repository, from the tarball', { timeout: 300_000 }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'stanzagate-packed-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const prosody = await startProsody({ plain: true, accounts: { romeo: 'secret' } })
  t.teardown(() => prosody.stop())

  // What is built is tested; it is not built again under the other tests.
  const packed = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: root,
  })
  const [{ filename, files, unpackedSize }] = JSON.parse(packed.stdout)
  const paths = (files as readonly { readonly path: string }[]).map(({ path }) => path)
  for (const wanted of ['dist/src/cli.js', 'dist/src/index.js', 'dist/src/index.d.ts', 'src/console/page/index.html'])
    t.ok(paths.includes(wanted), `${wanted} is in it`)
  t.same(
    paths.filter(path => /\.map$|\.png$|^dist\/(?!src\/)|^test\//.test(path)),
    [],
    'no maps without sources, no pictures, no tests',
  )
  t.ok(unpackedSize < 2_000_000, `${unpackedSize} bytes`)
  const { scripts, dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  t.equal(scripts.prepack, scripts.build, 'a fresh clone is built before it is packed')
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  // Its dependencies are those that are installed here, and no others: nothing is fetched.
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, 'stanzagate'), { recursive: true })
  await run('tar', ['-xzf', join(folder, filename), '--strip-components=1', '-C', join(modules, 'stanzagate')])
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
  }

  const example =
    /## In a program\n\n```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'))?.[1] ?? ''
  t.match(example, /app\.listen\(/)
  t.ok(
    readFileSync(join(root, 'docs/embedding.md'), 'utf8').includes(example),
    'docs/embedding.md has the same program',
  )
  const here = example
    .replace('port: 15222', `port: ${prosody.port}`)
    .replace('im.example', 'localhost')
    .replace('port: 5280', 'port: 0')
  const misspelt = here.replace("default: 'observe'", "default: 'observed'")
  writeFileSync(join(folder, 'example.ts'), here)
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    module: 'nodenext',
    target: 'es2022',
    skipLibCheck: true,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['example.ts'] }))
  const tsc = join(root, 'node_modules/typescript/lib/tsc.js')
  /** What the compiler has to say. */
  const compiles = () =>
    run(process.execPath, [tsc, '-p', folder]).then(
      () => '',
      ({ message, stdout }) => `${message}\n${stdout}`,
    )
  t.equal(await compiles(), '', 'it compiles')
  writeFileSync(join(folder, 'example.ts'), misspelt)
  t.match(await compiles(), /observed/, 'and would not, were a mode misspelt')
  writeFileSync(join(folder, 'example.ts'), here)
  t.equal(await compiles(), '')

  const child = spawn(process.execPath, ['example.js'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let url = ''
  for await (const line of createInterface({ input: child.stdout })) {
    url = /listening at (http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1] ?? ''
    if (url !== '') break
  }
  const client = await within('a client', connectWebsocket(`${url.replace('http', 'ws')}/xmpp-websocket`))
  await client.login('romeo', 'orchard')
  t.match(await (await fetch(`${url}/metrics`)).text(), /stanzagate_sessions_active\{[^}]*\} 1$/m)
  child.kill('SIGTERM')
  await once(child, 'close')
})
