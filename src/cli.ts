#!/usr/bin/env node
/** The command line: argv, signals, exit status. 0: done; 1: it could not be started; 2: the call or the configuration is wrong. */
import { parseArgs } from 'node:util'
import type { Config } from './config.ts'
import { ConfigError, formatProblem, readConfig } from './config.ts'
import { startProxy } from './proxy.ts'
import { rules } from './rules/table.ts'
import { version } from './version.ts'

const help = `stanzagate ${version}: a stanza-validating proxy in front of an XMPP server

  stanzagate serve --config FILE   serve clients until SIGTERM or SIGINT
  stanzagate check --config FILE   read the configuration, say what is wrong with it, start nothing
  stanzagate --version
  stanzagate --help

FILE is YAML or JSON; see stanzagate.example.yaml and the README.
Exit status: 0 done, 1 the gate could not be started, 2 the call or the configuration is wrong.
`

class UsageError extends Error {}

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parse(args)
  if (values.help) return say(help)
  if (values.version) return say(`${version}\n`)
  const [command, ...rest] = positionals
  if (command === undefined) throw new UsageError('a command is missing: serve or check')
  if (command !== 'serve' && command !== 'check')
    throw new UsageError(`there is no command '${command}': serve or check`)
  if (rest.length > 0) throw new UsageError(`'${rest.join(' ')}' is too much`)
  if (values.config === undefined) throw new UsageError(`${command} needs --config FILE`)
  const config = readConfig(
    values.config,
    rules.map(rule => rule.name),
  )
  return command === 'check' ? say(`${values.config}: good\n`) : serve(config)
}

function parse(args: readonly string[]) {
  const options = {
    config: { type: 'string', short: 'c' },
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean', short: 'V' },
  } as const
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (error) {
    // Node goes on about arguments that begin with a dash.
    const [first] = (error instanceof Error ? error.message : String(error)).split('. ')
    throw new UsageError(`${first}`)
  }
}

function say(text: string): number {
  process.stdout.write(text)
  return 0
}

/** Serves until a signal comes. A second signal ends the process at once. */
async function serve(config: Config): Promise<number> {
  const stopped = new Promise<void>(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
  const proxy = await startProxy(config)
  await stopped
  await proxy.stop()
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
