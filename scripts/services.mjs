// Installing a Debian package without its service. Debian starts a daemon when its package is installed and enables it
// at boot; a test's set-up has no business doing either. While apt-get works, /usr/sbin/policy-rc.d (the hook which
// invoke-rc.d and deb-systemd-invoke ask) denies every start; afterwards what the new packages enabled is disabled.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { SetupError, say, undisturbed } from './command.mjs'

/**
 * The packages whose daemons are a test's business. What else comes along with them, systemd itself among it, keeps the units that the
 * system wants.
 */
const daemons = new Set([
  'prosody',
  'ejabberd',
  'erlang-base', // epmd
  'haproxy',
  'prometheus',
  'prometheus-node-exporter',
  'nginx',
  'nginx-common', // its unit
  'redis',
  'redis-server',
])

const policy = '/usr/sbin/policy-rc.d'
const denied = 101 // invoke-rc.d(8): "action forbidden by policy"
const ours = /^# stanzagate set-up, process (\d+)$/m

/** Does `install`, which installs `packages`, with no service started by it and none left enabled at boot. */
export async function withoutServices(packages, install) {
  const remove = await denyServices(packages)
  await undisturbed(async () => {
    const before = new Set(installedPackages())
    try {
      await install()
    } finally {
      try {
        disableServices(installedPackages().filter(name => !before.has(name) && daemons.has(name.replace(/:.*/, ''))))
      } finally {
        remove()
      }
    }
  })
}

/** Sees to it that policy-rc.d denies; the function returned removes what was made, and nothing else. */
async function denyServices(packages) {
  const text = `#!/bin/sh\n# stanzagate set-up, process ${process.pid}\nexit ${denied}\n`
  for (;;) {
    try {
      writeFileSync(policy, text, { flag: 'wx', mode: 0o755 })
      chmodSync(policy, 0o755) // whatever the umask
      return () => {
        if (readPolicy() === text) rmSync(policy)
      }
    } catch (error) {
      if (error.code !== 'EEXIST') throw new SetupError(`cannot write ${policy}: ${error.message}`)
    }
    const owner = ours.exec(readPolicy())?.[1]
    if (owner === undefined && existsSync(policy)) return trustPolicy(packages)
    if (owner !== undefined && existsSync(`/proc/${owner}`)) await another(owner)
    else if (owner !== undefined) rmSync(policy, { force: true }) // left by a set-up that was killed
  }
}

function readPolicy() {
  try {
    return readFileSync(policy, 'utf8')
  } catch {
    return '' // gone meanwhile, or a program nobody may read: asked below either way
  }
}

/** Somebody else's policy stays as it is; it has to deny as well. */
function trustPolicy(packages) {
  for (const name of packages) {
    if (spawnSync(policy, [name, 'start'], { stdio: 'ignore' }).status === denied) continue
    throw new SetupError(`${policy} is there and would let ${name} start on being installed: make it exit ${denied}`)
  }
  return () => {}
}

let told = false

/** Waits a little for another set-up, which is installing with a policy of its own. */
function another(owner) {
  if (!told) say(`waiting for another set-up (process ${owner}) to finish`)
  told = true
  return new Promise(resolve => setTimeout(resolve, 250))
}

function installedPackages() {
  const query = spawnSync('dpkg-query', ['-W', `-f=\${Status}\t\${binary:Package}\n`], { encoding: 'utf8' })
  return [...query.stdout.matchAll(/^install ok installed\t(\S+)$/gm)].map(match => match[1])
}

/** Disables at boot, with or without a running systemd, the daemons of these packages, which are new on this machine. */
function disableServices(packages) {
  if (packages.length === 0) return
  const files = spawnSync('dpkg-query', ['-L', ...packages], { encoding: 'utf8' }).stdout
  const scripts = [...files.matchAll(/^\/etc\/init\.d\/([^/\n]+)$/gm)].map(match => match[1])
  const units = [...files.matchAll(/^(?:\/usr)?\/lib\/systemd\/system\/([^/\n@]+\.(?:service|socket|timer|path))$/gm)]
  for (const script of scripts) spawnSync('update-rc.d', [script, 'disable'])
  // The helper believes itself called by a package's own script, and refuses otherwise.
  const env = { ...process.env, DPKG_MAINTSCRIPT_PACKAGE: 'stanzagate' }
  for (const [, unit] of units) spawnSync('deb-systemd-helper', ['disable', unit], { env })
  for (const script of scripts) assertQuiet(script)
  assertNotWanted(units.map(([, unit]) => unit))
  if (scripts.length > 0) say(`services not started and not enabled at boot: ${scripts.join(' ')}`)
}

function assertQuiet(script) {
  const enabled = runLevels.filter(level =>
    linksIn(level).some(link => /^S\d\d/.test(link) && link.slice(3) === script),
  )
  if (enabled.length > 0) throw new SetupError(`${script} is still enabled at boot: ${enabled.join(' ')}`)
}

/** A unit is enabled by a link to it in the folder of what wants it. */
function assertNotWanted(units) {
  const wanted = linksIn('/etc/systemd/system')
    .filter(folder => /\.(?:wants|requires)$/.test(folder))
    .flatMap(folder => linksIn(`/etc/systemd/system/${folder}`))
  const enabled = units.filter(unit => wanted.includes(unit))
  if (enabled.length > 0) throw new SetupError(`still enabled at boot: ${enabled.join(' ')}`)
}

const runLevels = ['/etc/rcS.d', '/etc/rc2.d', '/etc/rc3.d', '/etc/rc4.d', '/etc/rc5.d']

function linksIn(level) {
  return existsSync(level) ? readdirSync(level) : []
}
