// Both commands of the README in a root with nothing but Debian's minbase and Node, as on a fresh machine; and how long each took. The root is
// made by debootstrap and removed again; what is mounted in it is gone with the process that mounted it. Needs root, and asks the
// machine's own apt and npm where packages come from.
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { root, run, runMain, SetupError, say } from './command.mjs'
import { ensureDebian } from './setup.mjs'

const help = `node scripts/bare.mjs [--only start|test] [--keep]

  --only NAME   one of the two commands: start (npm start -- --once) or test (npm test)
  --keep        the root is kept, and named
`

const commands = { start: ['npm', 'start', '--', '--once'], test: ['npm', 'test'] }
/** What the machine's programs need to reach their archives, and the root's too. */
const passedOn = /^(?:https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|npm_config_registry)$/i
const certificates = '/etc/ssl/certs/ca-certificates.crt'

await runMain(async () => {
  const { only, keep, help: wantsHelp } = options()
  if (wantsHelp) {
    process.stdout.write(help)
    return 0
  }
  if (process.getuid?.() !== 0)
    throw new SetupError('a root for chroot is made as root: run it as root, or with sudo', 3)
  if (gitState() !== '') say('what is not committed is not tried: the root gets a clone of HEAD')
  await ensureDebian(['debootstrap', 'git'])
  const folder = mkdtempSync(join(tmpdir(), 'stanzagate-bare-'))
  try {
    await makeRoot(folder)
    const times = []
    for (const [name, command] of Object.entries(commands)) {
      if (only !== undefined && only !== name) continue
      const began = performance.now()
      const status = await inRoot(folder, command)
      const seconds = Math.round((performance.now() - began) / 1_000)
      times.push(`${command.join(' ')}: exit status ${status} after ${seconds} s`)
      say(times.at(-1))
      if (status !== 0) return status
    }
    for (const line of times) say(line)
    return 0
  } finally {
    if (keep) say(`kept: ${folder}`)
    else rmSync(folder, { recursive: true, force: true })
  }
})

function options() {
  let values
  try {
    const strings = { only: { type: 'string' } }
    values = parseArgs({ options: { ...strings, keep: { type: 'boolean' }, help: { type: 'boolean' } } }).values
  } catch (error) {
    throw new SetupError(`${error.message}; --help lists them`, 2)
  }
  if (values.only !== undefined && !Object.hasOwn(commands, values.only))
    throw new SetupError(`--only ${values.only}: it is start or test`, 2)
  return values
}

function gitState() {
  return output('git', ['status', '--porcelain'])
}

function output(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new SetupError(`${command} ${args.join(' ')}: ${stderr.trim()}`)
  return stdout.trim()
}

/** Debian's minbase, the machine's own Node and npm, and a clone of HEAD. */
async function makeRoot(folder) {
  const { uri, release } = archive()
  say(`making a root of Debian ${release} (minbase)`)
  const status = await run('debootstrap', ['--variant=minbase', release, folder, uri], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) throw new SetupError(`debootstrap failed (exit status ${status})`)
  for (const path of ['/etc/resolv.conf', '/etc/hosts', certificates]) copy(folder, path)
  const node = realpathSync(process.execPath)
  copy(folder, node, '/usr/local/bin/node')
  // npm stands two folders above its program.
  const npm = dirname(dirname(realpathSync(output('sh', ['-c', 'command -v npm']))))
  copy(folder, npm, '/usr/local/lib/node_modules/npm')
  for (const name of ['npm', 'npx']) {
    const path = join(folder, 'usr/local/bin', name)
    writeFileSync(path, `#!/bin/sh\nexec node /usr/local/lib/node_modules/npm/bin/${name}-cli.js "$@"\n`)
    chmodSync(path, 0o755)
  }
  output('git', ['clone', '--quiet', '--no-hardlinks', root, join(folder, 'work')])
}

function copy(folder, path, to = path) {
  if (!existsSync(path)) return
  mkdirSync(dirname(join(folder, to)), { recursive: true })
  cpSync(path, join(folder, to), { recursive: true, dereference: true })
}

/** Where this machine's own packages come from: the main part of its release, no updates. */
function archive() {
  const lines = output('apt-get', [
    'indextargets',
    '--format',
    '$(REPO_URI) $(CODENAME) $(COMPONENT)',
    'Created-By: Packages',
  ])
  for (const line of lines.split('\n')) {
    const [uri, release, component] = line.split(' ')
    if (component === 'main' && /^[a-z]+$/.test(release ?? '')) return { uri, release }
  }
  throw new SetupError('apt knows no main archive of a Debian release: see apt-get indextargets')
}

/** Runs a command in the clone; mounts and processes are its own, and end with it. */
function inRoot(folder, command) {
  const kept = Object.entries(process.env).filter(([name]) => passedOn.test(name))
  const env = {
    ...Object.fromEntries(kept),
    npm_config_registry: output('npm', ['config', 'get', 'registry']),
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LANG: 'C.UTF-8',
  }
  const mounts = `mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --bind /sys "$1/sys"`
  const script = `${mounts} && exec chroot "$1" sh -c 'cd /work && exec "$@"' sh ${command.join(' ')}`
  const own = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child']
  say(`in the root: ${command.join(' ')}`)
  return run('unshare', [...own, 'sh', '-c', script, 'sh', folder], { env })
}
