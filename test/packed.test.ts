/** The package as others get it: packed, checked, installed elsewhere, and the documents' programs compiled and run. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import t from 'tap'
import { connectWebsocket } from './clients/raw.ts'
import { within } from './clients/within.ts'
import { compile, install, pack, programsIn, root, run } from './package.ts'
import { startProsody } from './servers/prosody.ts'

const folder = mkdtempSync(join(tmpdir(), 'stanzagate-packed-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const packed = await pack(folder)
writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
await install(packed.tarball, folder)

t.test('what is in it', async t => {
  const { paths, unpackedSize } = packed
  for (const wanted of ['dist/src/cli.js', 'dist/src/index.js', 'dist/src/index.d.ts', 'src/console/page/index.html'])
    t.ok(paths.includes(wanted), `${wanted} is in it`)
  for (const wanted of ['README.md', 'ARCHITECTURE.md', 'SECURITY.md', 'stanzagate.doap', 'docs/configuration.md'])
    t.ok(paths.includes(wanted), `${wanted} is in it`)
  t.same(
    paths.filter(path => /\.map$|\.png$|^dist\/(?!src\/)|^test\//.test(path)),
    [],
    'no maps without sources, no pictures, no tests',
  )
  // It grows with the program: far more than this would be something that does not belong there.
  t.ok(unpackedSize < 2_500_000, `${unpackedSize} bytes`)
  const { scripts, publishConfig } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  t.equal(scripts.prepack, scripts.build, 'a fresh clone is built before it is packed')
  t.same(publishConfig, { provenance: true })
})

t.test('publint has nothing to say', async t => {
  const { messages, pkg } = await publint({
    pkgDir: join(folder, 'node_modules/stanzagate'),
    strict: true,
    pack: false,
  })
  t.same(
    messages.map(message => formatMessage(message, pkg)),
    [],
  )
})

t.test('its types are found as its code is', async t => {
  const checked = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(packed.tarball))))
  t.ok(checked.types !== false, 'it has types')
  // A package of ES modules only: `require` of Node 16, and resolution from before `exports`, do not find it.
  const isOfOthers = (problem: object) =>
    'resolutionKind' in problem && /^node10$|^node16-cjs$/.test(String(problem.resolutionKind))
  t.same(checked.types === false ? [] : checked.problems.filter(problem => !isOfOthers(problem)), [])
})

t.test('the lockfile names no registry: each machine takes the packages from its own', async t => {
  t.notMatch(readFileSync(join(root, 'package-lock.json'), 'utf8'), /"resolved"/)
})

t.test('a CycloneDX list of what it depends on', async t => {
  const { stdout } = await run('npm', ['run', '--silent', 'sbom'], { cwd: root, maxBuffer: 64 * 1024 * 1024 })
  const sbom = JSON.parse(stdout) as {
    bomFormat: string
    components: readonly { name: string; group?: string; version: string }[]
  }
  t.equal(sbom.bomFormat, 'CycloneDX')
  const listed = new Set(
    sbom.components.map(({ name, group, version }) => `${group === undefined ? '' : `${group}/`}${name}@${version}`),
  )
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string; dev?: boolean; optional?: boolean; peer?: boolean }>
  }
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  for (const name of Object.keys(dependencies))
    t.ok(listed.has(`${name}@${lock.packages[`node_modules/${name}`]?.version}`), name)
  const needed = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && dev !== true)
  const names = new Set(needed.map(([path, { version }]) => `${path.replace(/^.*node_modules\//, '')}@${version}`))
  t.same([...listed].toSorted(), [...names].toSorted(), 'all that the lockfile does not call dev, and nothing else')
})

t.test('the README’s Fastify program, outside the repository, from the tarball', { timeout: 300_000 }, async t => {
  const prosody = await startProsody({ plain: true, accounts: { romeo: 'secret' } })
  t.teardown(() => prosody.stop())
  const [example = ''] = programsIn('README.md')
  t.match(example, /app\.listen\(/)
  t.ok(programsIn('docs/embedding.md').includes(example), 'docs/embedding.md has the same program')
  const here = example
    .replace('port: 15222', `port: ${prosody.port}`)
    .replace('im.example', 'localhost')
    .replace('port: 5280', 'port: 0')
  const misspelt = here.replace("default: 'observe'", "default: 'observed'")
  writeFileSync(join(folder, 'example.ts'), here)
  t.equal(await compile(folder, ['example.ts']), '', 'it compiles')
  writeFileSync(join(folder, 'example.ts'), misspelt)
  t.match(await compile(folder, ['example.ts']), /observed/, 'and would not, were a mode misspelt')
  writeFileSync(join(folder, 'example.ts'), here)
  t.equal(await compile(folder, ['example.ts']), '')

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

t.test('every other program in the documents compiles against the package', async t => {
  const programs = ['README.md', 'docs/embedding.md'].flatMap(programsIn)
  t.ok(programs.length >= 3)
  for (const [index, program] of programs.entries()) {
    writeFileSync(join(folder, `program-${index}.ts`), program)
    t.equal(await compile(folder, [`program-${index}.ts`]), '', `program ${index}`)
  }
})
