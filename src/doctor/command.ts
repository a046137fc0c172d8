/** `stanzagate doctor`: its arguments, its output, its exit status. */
import { readFileSync } from 'node:fs'
import { inspect, parseArgs } from 'node:util'
import { defaultLimits } from '../config/limits.ts'
import { ConfigError, formatProblem } from '../config/problem.ts'
import { readConfig } from '../config/read.ts'
import type { Config, Upstream } from '../config/types.ts'
import { makeRoutes } from '../routing/routes.ts'
import { rules } from '../rules/all-rules.ts'
import { foldBare, foldDomain, parseJid } from '../stanza/jid.ts'
import type { Target } from '../upstream/dial.ts'
import type { Account } from './client.ts'
import type { ComponentOptions } from './component.ts'
import { CallError, fromEnvironment, fromFile, fromTerminal, type Terminal } from './passwords.ts'
import { plainReport, type Style, tableReport } from './print.ts'
import type { Probe } from './probe.ts'
import { examine } from './run.ts'

export const doctorHelp = `stanzagate doctor: what your server makes of the rules, and whether its settings suit the gate

  stanzagate doctor --config FILE --account A --account B [--component DOMAIN] [options]

  -c, --config FILE              the gate's configuration
      --account JID              a test account with an empty roster; two of them, or one and a component
      --password-env NAME        the variable that holds its password; one for each account in their order, or one for all
      --password-file FILE       lines of 'JID PASSWORD', the component's too; a password may be \${NAME}
      --upstream NAME            default: where the domain is routed to
      --domain DOMAIN            default: the first account's
      --component DOMAIN         an external component (XEP-0114) for strangers to speak through
      --component-address H:P    default 127.0.0.1:5347
      --component-secret-env N   the variable that holds its secret
      --strangers NUMBER         how many ask at once in T15: 1 to 300, default 20
      --patience SECONDS         for one probe, its logins included: 1 to 600, default 20
      --force                    also with accounts that have contacts
      --json                     the report as JSON
  -h, --help

Passwords that are not given so are asked for on the terminal. The accounts are left as they were found. Run one at a time on the same
accounts: two at once take each other's stanzas for the server's.
Exit status: 0 the report is printed; 1 it could not run, or was interrupted; 2 the call or the configuration is wrong.
`

const options = {
  config: { type: 'string', short: 'c' },
  account: { type: 'string', multiple: true, default: [] as string[] },
  'password-env': { type: 'string', multiple: true, default: [] as string[] },
  'password-file': { type: 'string' },
  upstream: { type: 'string' },
  domain: { type: 'string' },
  component: { type: 'string' },
  'component-address': { type: 'string', default: '127.0.0.1:5347' },
  'component-secret-env': { type: 'string' },
  strangers: { type: 'string', default: '20' },
  patience: { type: 'string', default: '20' },
  force: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

type Values = ReturnType<typeof parse>

/** Runs the command; gives the exit status. */
export async function doctor(args: readonly string[], terminal: Terminal = process): Promise<number> {
  const { stdout, stderr } = terminal
  try {
    const values = parse(args)
    if (values.help) {
      stdout.write(doctorHelp)
      return 0
    }
    return await run(values, terminal)
  } catch (error) {
    if (error instanceof ConfigError) {
      for (const problem of error.problems) stderr.write(`${formatProblem(problem)}\n`)
      return 2
    }
    if (!(error instanceof CallError)) throw error
    stderr.write(`stanzagate doctor: ${error.message}\nTry: stanzagate doctor --help\n`)
    return 2
  }
}

function parse(args: readonly string[]) {
  if (args.some(arg => /^--(?:password|secret|component-secret)(?:=|$)/.test(arg)))
    throw new CallError('a password is never given on the command line: use --password-env or --password-file')
  try {
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    const [first] = (error as Error).message.split('. ')
    throw new CallError(`${first}`)
  }
}

async function run(values: Values, terminal: Terminal): Promise<number> {
  const jids = values.account
  for (const jid of jids) {
    const parsed = parseJid(jid)
    if (parsed?.local === undefined || parsed.resource !== undefined)
      throw new CallError(`--account ${jid}: give a bare JID, as a@im.example`)
  }
  if (jids.length === 0 || jids.length > 2 || (jids.length === 1 && values.component === undefined))
    throw new CallError('give --account twice, or once with --component')
  const domain = values.domain ?? parseJid(jids[0] ?? '')?.domain ?? ''
  for (const jid of jids) {
    if (foldDomain(parseJid(jid)?.domain ?? '') !== foldDomain(domain))
      throw new CallError(`${jid} is not an account of ${domain}`)
  }
  if (new Set(jids.map(foldBare)).size < jids.length)
    throw new CallError(`${jids.join(' and ')}: the two accounts are the same`)
  const strangers = numberOf('strangers', values.strangers, 300)
  const patience = 1_000 * numberOf('patience', values.patience, 600)
  const config = configOf(values)
  const upstream = upstreamOf(config, values.upstream, domain)
  const secrets = values['password-file'] === undefined ? new Map() : fromFile(values['password-file'], terminal.env)
  const accounts = await accountsOf(jids, values['password-env'], secrets, terminal)
  const component = await componentOf(values, secrets, terminal)
  return examineAndPrint(values.json, terminal, {
    ...{ accounts, component, strangers, patience, domain, force: values.force, rules: config.rules },
    ...{ upstream: upstream.name, target: targetOf(upstream) },
    clientBytes: (config.limits ?? defaultLimits).client.bytes,
  })
}

function numberOf(option: string, written: string, most: number): number {
  const number = Number(written)
  if (Number.isInteger(number) && number >= 1 && number <= most) return number
  throw new CallError(`--${option} ${written}: give a whole number from 1 to ${most}`)
}

type Prepared = Omit<Parameters<typeof examine>[0], 'signal' | 'progress'>

async function examineAndPrint(json: boolean, terminal: Terminal, prepared: Prepared): Promise<number> {
  const { stdout, stderr } = terminal
  const interrupt = new AbortController()
  const stop = () => interrupt.abort()
  process.once('SIGINT', stop).once('SIGTERM', stop)
  const report = await examine({ ...prepared, signal: interrupt.signal, progress: progressOn(stderr) })
  process.off('SIGINT', stop).off('SIGTERM', stop)
  if (stderr.isTTY) stderr.write('\r\u001b[K')
  const isAny = report.probes.some(({ verdict }) => verdict !== 'not run')
  if (json) stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  else if (isAny && stdout.isTTY) stdout.write(tableReport(report, stdout.columns ?? 80, styleBy(terminal.env)))
  else if (isAny) stdout.write(plainReport(report))
  for (const left of report.left) stderr.write(`stanzagate doctor: not put back: ${left}\n`)
  if (report.failure !== undefined) stderr.write(`stanzagate doctor: ${report.failure}\n`)
  return report.failure === undefined && !interrupt.signal.aborted ? 0 : 1
}

function progressOn(stderr: Terminal['stderr']) {
  return (done: number, all: number, { id, title }: Probe) => {
    if (stderr.isTTY !== true) return
    const text = `[${done + 1}/${all}] ${id} ${title}`.slice(0, (stderr.columns ?? 80) - 1)
    stderr.write(`\r\u001b[K${text}`)
  }
}

function styleBy(env: Terminal['env']): Style {
  const isPlain = (env.NO_COLOR ?? '') !== ''
  return (format, text) => {
    const [on, off] = inspect.colors[format] ?? []
    return isPlain ? text : `\u001b[${on}m${text}\u001b[${off}m`
  }
}

function configOf({ config }: Values): Config {
  if (config === undefined) throw new CallError('doctor needs --config FILE')
  return readConfig(
    config,
    rules.map(rule => rule.name),
  )
}

function upstreamOf({ upstreams, routes }: Config, named: string | undefined, domain: string): Upstream {
  const name = named ?? makeRoutes(routes)(domain)?.upstream
  if (name === undefined) throw new CallError(`the configuration routes ${domain} nowhere; give --upstream or --domain`)
  const upstream = upstreams.get(name)
  const known = [...upstreams.keys()].join(', ')
  if (upstream === undefined) throw new CallError(`there is no upstream '${name}' in the configuration (${known})`)
  return upstream
}

function targetOf({ address, port, tls, proxyProtocol }: Upstream): Target {
  const ca = tls.ca === undefined ? undefined : readFileSync(tls.ca, 'utf8')
  return { address, port, mode: tls.mode, ca, servername: tls.servername, proxyProtocol }
}

async function accountsOf(
  jids: readonly string[],
  variables: readonly string[],
  secrets: ReadonlyMap<string, string>,
  terminal: Terminal,
): Promise<Account[]> {
  if (variables.length > 1 && variables.length !== jids.length)
    throw new CallError('give --password-env once, or once for each account')
  const accounts: Account[] = []
  for (const [index, jid] of jids.entries()) {
    const variable = variables[index] ?? variables[0]
    const given = secrets.get(jid) ?? (variable && fromEnvironment(variable, terminal.env))
    const password = given ?? (await fromTerminal(terminal, jid, 'give --password-env or --password-file'))
    accounts.push({ jid, password })
  }
  return accounts
}

async function componentOf(
  values: Values,
  secrets: ReadonlyMap<string, string>,
  terminal: Terminal,
): Promise<ComponentOptions | undefined> {
  const { component: domain, 'component-secret-env': variable } = values
  if (domain === undefined) {
    if (variable !== undefined) throw new CallError('--component-secret-env belongs to --component DOMAIN')
    return undefined
  }
  const [, address, port] =
    /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(values['component-address'])?.filter(Boolean) ?? []
  if (address === undefined || port === undefined || Number(port) > 65_535)
    throw new CallError(`--component-address ${values['component-address']}: write HOST:PORT`)
  const given = secrets.get(domain) ?? (variable && fromEnvironment(variable, terminal.env))
  const secret = given ?? (await fromTerminal(terminal, domain, 'give --component-secret-env or --password-file'))
  return { domain, address, port: Number(port), secret }
}
