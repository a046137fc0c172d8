/** What deploy/ tells an operator to copy is what the gate needs: the gate is started from exactly that. */
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { within } from './clients/within.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const text = (file: string) => readFileSync(join(root, file), 'utf8')

const byHand = /cp -r --parents (.*) \/opt\/stanzagate/.exec(text('deploy/README.md'))?.[1]?.split(' ') ?? []
const final =
  text('deploy/Containerfile')
    .split(/^FROM /m)
    .at(-1) ?? ''
const inImage = [...final.matchAll(/^COPY (?:--from=build \/build\/)?(\S+) /gm)].map(([, path = '']) => path)

for (const [name, paths] of [
  ['deploy/README.md', byHand],
  ['deploy/Containerfile', inImage],
] as const)
  t.test(name, async t => {
    t.ok(paths.includes('dist/src'), paths.join(' '))
    const folder = t.testdir({})
    for (const path of paths) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      if (path === 'node_modules') symlinkSync(join(root, path), join(folder, path))
      else cpSync(join(root, path), join(folder, path), { recursive: true })
    }
    const config = join(folder, 'stanzagate.yaml')
    const at = { address: '127.0.0.1', port: 0 }
    const listeners = [{ kind: 'tcp', tls: { mode: 'none' }, ...at }]
    const upstreams = { main: { address: '127.0.0.1', port: 5222, tls: { mode: 'none' } } }
    const routes = [{ domain: 'localhost', upstream: 'main' }]
    writeFileSync(config, JSON.stringify({ listeners, admin: at, upstreams, routes }))
    const gate = spawn(process.execPath, [join(folder, 'dist/src/cli.js'), 'serve', '--config', config])
    t.teardown(() => gate.kill('SIGKILL'))
    const ended = new Promise<number | null>(resolve => gate.on('exit', resolve))
    const said: string[] = []
    gate.stderr.on('data', data => said.push(String(data)))
    const serving = new Promise<number>((resolve, reject) => {
      createInterface(gate.stdout).on('line', line => {
        const { msg, admin } = JSON.parse(line)
        if (msg === 'serving') resolve(admin.port)
      })
      void ended.then(status => reject(new Error(`it ended with ${status}: ${said.join('')}`)))
    })
    const port = await within('the gate to serve', serving)
    for (const path of ['/console', '/metrics', '/healthz'])
      t.equal((await fetch(`http://127.0.0.1:${port}${path}`)).status, 200, path)
    gate.kill('SIGTERM')
    t.equal(await within('its end', ended), 0)
  })
