#!/usr/bin/env node
/** The command line: argv, signals, exit status. 0: done; 1: it could not be started; 2: the call or the configuration is wrong. */
import { parseArgs } from 'node:util'
import { reloadedSections } from './config/configuration-document.ts'
import { FileWatch } from './config/file-watch.ts'
import { ConfigError, formatProblem, formatWarning, type Problem } from './config/problem.ts'
import { type Reading, readWith } from './config/read.ts'
import { differences } from './config/reload.ts'
import type { Config } from './config/types.ts'
import { doctor } from './doctor/command.ts'
import { explain as explainStanza } from './explain/command.ts'
import { endLineBuffer } from './observe/log.ts'
import { probesOf, startProxy } from './proxy.ts'
import { rules } from './rules/all-rules.ts'
import { StoreError, StoreKeyError } from './store/store.ts'
import { probeWords } from './upstream/probe.ts'
import { version } from './version.ts'
import { fastPath } from './xml/reader.ts'

const help = `stanzagate ${version}: a stanza-validating proxy in front of an XMPP server

  stanzagate serve --config FILE   serve clients until SIGTERM or SIGINT; SIGHUP has FILE read again (rules, trusted domains, routes, upstreams
                                   and log levels are taken, if all of FILE is good; the rest is named and needs a restart), certificates
                                   read and the audit's file opened again; no session ends
  stanzagate check --config FILE   read the configuration, name each error and each risk, start nothing
  stanzagate doctor --help         test how your server follows RFC 6121, and whether its settings suit the gate
  stanzagate explain --help        what the gate makes of a stanza, and why; what became of one that is on record
  stanzagate COMMAND --help        what a command does, and its options
  stanzagate --version
  stanzagate --help

FILE is YAML or JSON; see stanzagate.example.yaml and docs/configuration.md.
Exit status: 0 done, 1 the gate could not be started, 2 the call or the configuration is wrong.
`

const helps: Readonly<Record<string, string>> = {
  serve: `stanzagate serve: serve clients until SIGTERM or SIGINT

  stanzagate serve --config FILE

  -c, --config FILE   the configuration, YAML or JSON
      --no-fast-path  parse and write every stanza anew, also those in the plainest spelling; slower, and the same for client and server

Warnings of the configuration, and upstreams that are not reached, are logged; the gate starts all the same.
SIGTERM, SIGINT: streams end with system-shutdown (limits.drain), exit status 0; a second one ends the process at once.
SIGHUP: FILE is read again (rules, trusted domains, routes, upstreams and log levels are put to use, all or nothing; the log names what
needs a restart), and so are certificates; the audit's file is opened again.
Exit status: 0 done, 1 the gate could not be started, 2 the call or the configuration is wrong.
`,
  check: `stanzagate check: read the configuration, name each error and each risk; start nothing

  stanzagate check --config FILE
  stanzagate check --config FILE --diff RUNNING

  -c, --config FILE   the configuration, YAML or JSON
      --diff RUNNING  the configuration that a gate runs with: says which keys of FILE differ, which of them a reload takes, and which need a
                      restart; connects to nothing

Errors and warnings name file, line, key and remedy. The files that it names are read, and each upstream is connected to once: one that is
not reached is a warning.
Exit status: 0 good, with or without warnings, 2 the call or the configuration is wrong.
`,
}

class UsageError extends Error {}

async function main(args: readonly string[]): Promise<number> {
  // These commands read their own options.
  if (args[0] === 'doctor') return doctor(args.slice(1))
  if (args[0] === 'explain') return explainStanza(args.slice(1))
  const { values, positionals } = parse(args)
  const [command, ...rest] = positionals
  if (values.help) return say((Object.hasOwn(helps, command ?? '') ? helps[command ?? ''] : undefined) ?? help)
  if (values.version) return say(`${version}\n`)
  if (command === undefined) throw new UsageError('a command is missing: serve, check, doctor or explain')
  if (command !== 'serve' && command !== 'check')
    throw new UsageError(`there is no command '${command}': serve, check, doctor or explain`)
  if (rest.length > 0) throw new UsageError(`'${rest.join(' ')}' is too much`)
  if (values.diff !== undefined && command !== 'check') throw new UsageError('--diff belongs to check')
  if (values['no-fast-path'] && command !== 'serve') throw new UsageError('--no-fast-path belongs to serve')
  if (values.config === undefined) throw new UsageError(`${command} needs --config FILE`)
  const { config: file } = values
  const names = rules.map(rule => rule.name)
  const read = () => readWith(file, names)
  const { config, warnings } = read()
  if (values.diff !== undefined) return tellDifferences(readWith(values.diff, names).config, config)
  if (values['no-fast-path']) fastPath.isOn = false
  return command === 'check' ? tell(file, config, warnings) : serve(file, config, warnings, read)
}

function parse(args: readonly string[]) {
  const options = {
    config: { type: 'string', short: 'c' },
    'no-fast-path': { type: 'boolean', default: false },
    diff: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean', short: 'V' },
  } as const
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (error) {
    // Node's own message explains arguments that begin with a dash, which is of no use here.
    const [first] = (error instanceof Error ? error.message : String(error)).split('. ')
    throw new UsageError(`${first}`)
  }
}

function say(text: string): number {
  process.stdout.write(text)
  return 0
}

/** What a reload would make of this configuration, at a gate that runs with the other one. */
function tellDifferences(running: Config, next: Config): number {
  const keys = differences(running, next)
  const isTaken = (key: string) => reloadedSections.includes(key.replace(/[.[].*$/s, ''))
  for (const key of keys) say(`${key}: ${isTaken(key) ? 'taken by a reload' : 'needs a restart'}\n`)
  return keys.length === 0 ? say('nothing differs\n') : 0
}

async function tell(file: string, config: Config, warnings: readonly Problem[]): Promise<number> {
  for (const warning of warnings) process.stderr.write(`${formatWarning(warning)}\n`)
  let count = warnings.length
  for (const each of await Promise.all(probesOf(config).map(ask => ask()))) {
    if (each.failure === undefined) say(`upstreams.${each.upstream}: ${probeWords(each)}\n`)
    else {
      count++
      process.stderr.write(`${file}: warning: upstreams.${each.upstream}: ${probeWords(each)}; ${unreachedRemedy}\n`)
    }
  }
  return say(count === 0 ? `${file}: good\n` : `${file}: good, with warnings (${count})\n`)
}

const unreachedRemedy = 'start the server, or correct address, port and tls; the gate starts without it'

/** What `store: none` costs. */
const keptNowhere =
  'store: none: after a restart, approvals pass unverified until the account has fetched its roster, and times of changes are lost'

const ends = ['SIGTERM', 'SIGINT'] as const

/** Serves until a signal comes. A second one, the same or the other, ends the process at once. SIGHUP has files read again. */
async function serve(file: string, config: Config, warnings: readonly Problem[], read: () => Reading): Promise<number> {
  const stopped = new Promise<NodeJS.Signals>(resolve => {
    const stop = (signal: NodeJS.Signals) => {
      endLineBuffer()
      for (const each of ends) process.off(each, stop)
      resolve(signal)
    }
    for (const signal of ends) process.on(signal, stop)
  })
  // Installed before anything else: a SIGHUP without a handler ends the process.
  let reload = () => {}
  process.on('SIGHUP', () => reload())
  const proxy = await startProxy(config, [], {}, read)
  if (config.store === undefined) proxy.log.info(keptNowhere)
  for (const { file, line, key, message, remedy } of warnings)
    proxy.log.warn({ file, line, key, remedy }, `${key} ${message}`)
  for (const ask of probesOf(config))
    void ask().then(each => {
      if (each.failure === undefined) return
      const fields = { upstream: each.upstream, remedy: unreachedRemedy }
      proxy.log.warn(fields, `upstream ${each.upstream}: ${probeWords(each)}`)
    })
  const watch = config.watch === true ? new FileWatch(file, () => void changed()) : undefined
  const changed = () => {
    proxy.log.info({ file }, 'the configuration file has changed: it is read again, with certificates')
    return proxy.reload()
  }
  reload = () => {
    watch?.read()
    proxy.log.info("SIGHUP: the configuration and certificates are read, and the audit's file is opened again")
    void proxy.reload()
  }
  proxy.log.info({ signal: await stopped }, 'stopping: streams end with system-shutdown')
  watch?.stop()
  await proxy.stop()
  proxy.log.info('stopped')
  return 0
}

function explain(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`stanzagate: ${error.message}\nTry: stanzagate --help\n`)
    return 2
  }
  if (error instanceof ConfigError) {
    for (const problem of error.problems) process.stderr.write(`${formatProblem(problem)}\n`)
    return 2
  }
  if (error instanceof StoreError) {
    process.stderr.write(`stanzagate: ${error.message}; ${error.remedy}\n`)
    return error instanceof StoreKeyError ? 2 : 1
  }
  if (isListenError(error)) {
    process.stderr.write(
      `stanzagate: cannot listen on ${error.address}:${error.port}: ${listenRemedies[error.code] ?? error.code}\n`,
    )
    return 1
  }
  throw error
}

const listenRemedies: Readonly<Record<string, string>> = {
  EADDRINUSE: 'something else listens there; stop it, or choose another port',
  EACCES: 'ports below 1024 need a privilege (CAP_NET_BIND_SERVICE); choose another port, or grant it',
  EADDRNOTAVAIL: 'this machine does not have that address',
}

function isListenError(error: unknown): error is { code: string; address: string; port: number } {
  return error instanceof Error && 'syscall' in error && error.syscall === 'listen'
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.exitCode = explain(error)
}
