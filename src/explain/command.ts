/** `stanzagate explain`: argv to a question, and the answer to the terminal or the pipe. */
import { readFileSync } from 'node:fs'
import { parseArgs, styleText } from 'node:util'
import { ConfigError, didYouMean, formatProblem } from '../config/problem.ts'
import { readConfig } from '../config/read.ts'
import type { Config } from '../config/types.ts'
import { hashedJid } from '../observe/audit.ts'
import { rules } from '../rules/all-rules.ts'
import { bareOf, hasResource, parseJid } from '../stanza/jid.ts'
import { isAccountItself } from '../stanza/own-addresses.ts'
import type { Stanza } from '../stanza/stanza.ts'
import type { Side } from '../stream/item.ts'
import { findRecord } from './audit-record.ts'
import { CallError, fromEnvironment } from './call-error.ts'
import { type Explanation, explainRecord, explainStanza } from './explain.ts'
import { type Fact, plainExplanation, type Style, tableExplanation } from './print.ts'
import { readStanza } from './read-stanza.ts'
import { isPreApproval, isStateName, type PreApprovalName, preApprovals, type StateName, stateNames } from './states.ts'

export const explainHelp = `stanzagate explain: what the gate makes of a stanza, and why

  stanzagate explain STANZA [options]              STANZA is a file with one stanza, or - for standard input
  stanzagate explain --audit FILE --id ID          a decision that is on record
  stanzagate explain --jid JID --config FILE       the hash under which the audit has a JID

      --from client|server     who sent it; default: the server, if it names a sender that is not the account
      --account JID            whose session it is; default: whom the stanza names, or juliet@im.example/balcony
      --state STATE            what the roster shows of the contact: ${stateNames.join(', ')};
                               default: none
      --pre-approval WHAT      none: the server does not offer it (RFC 6121 section 3.4); offered: it does; approved: it does, and the
                               user has approved the contact before it has asked; default: none
      --asked JID              the client has asked this JID under the stanza's id (of an IQ result or error); may be repeated
      --roster-version VER     the gate knows this version of the roster; may be repeated
  -c, --config FILE            modes of the rules and trusted domains; default: every rule enforces, nobody is trusted; it is read as
                               serve reads it: the files it names must be there, and the variables it names be set
      --key-env NAME           with --jid: the variable that holds the audit's key, instead of --config
      --json                   the answer as JSON
  -h, --help

Exit status: 0 the answer is printed; 2 the call, the stanza or the configuration is wrong.
`

const options = {
  from: { type: 'string' },
  account: { type: 'string' },
  state: { type: 'string' },
  'pre-approval': { type: 'string' },
  asked: { type: 'string', multiple: true, default: [] as string[] },
  'roster-version': { type: 'string', multiple: true, default: [] as string[] },
  config: { type: 'string', short: 'c' },
  audit: { type: 'string' },
  id: { type: 'string' },
  jid: { type: 'string' },
  'key-env': { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

type Call = ReturnType<typeof parse>
type Values = Call['values']

/** Runs the command; gives the exit status. */
export async function explain(args: readonly string[]): Promise<number> {
  const { status, out, err } = await explained(args)
  process.stdout.write(out)
  process.stderr.write(err)
  return status
}

/** What it prints where, and the exit status. */
export async function explained(args: readonly string[]): Promise<{ status: number; out: string; err: string }> {
  try {
    const call = parse(args)
    return { status: 0, out: call.values.help ? explainHelp : await answer(call), err: '' }
  } catch (error) {
    return { status: 2, out: '', err: complaint(error) }
  }
}

/** Throws again what is no fault of the call's. */
function complaint(error: unknown): string {
  if (error instanceof ConfigError) return error.problems.map(problem => `${formatProblem(problem)}\n`).join('')
  if (!(error instanceof CallError)) throw error
  return `stanzagate explain: ${error.message}\nTry: stanzagate explain --help\n`
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (error) {
    const [first] = (error as Error).message.split('. ')
    throw new CallError(`${first}`)
  }
}

async function answer({ values, positionals: [file, ...more] }: Call): Promise<string> {
  const { audit, id, jid, json } = values
  if (more.length > 0) throw new CallError(`'${more.join(' ')}' is too much: give one stanza`)
  if ([file, audit, jid].filter(each => each !== undefined).length > 1)
    throw new CallError('give a stanza, or --audit, or --jid: one of them')
  refuseIdle(values)
  if (jid !== undefined) {
    const hash = hashOf(jid, values)
    return json ? asJson({ jid, hash }) : `${hash}\n`
  }
  if (audit !== undefined) {
    if (id === undefined) throw new CallError('--audit FILE needs --id ID')
    const { record, recorded } = await findRecord(audit, id)
    const explanation = explainRecord(recorded)
    if (json) return asJson({ record, explanation })
    const { time, route, listener, session } = record
    return printed(explanation, [
      'decision',
      `${record.id} at ${time}, route ${route}, listener ${listener}, session ${session}`,
    ])
  }
  if (file === undefined)
    throw new CallError('give a file with a stanza, - for standard input, or --audit FILE --id ID')
  const explanation = explainFile(file, values)
  if (json) return asJson(explanation)
  const isGuess = values.from === undefined && explanation.from === 'server'
  return printed(explanation, isGuess ? guess : undefined)
}

const ofStanza = ['from', 'account', 'state', 'pre-approval', 'asked', 'roster-version'] as const
/** Options that would be ignored are refused. */
const idle = {
  audit: [...ofStanza, 'config', 'key-env'],
  jid: [...ofStanza, 'id'],
  stanza: ['id', 'key-env'],
} as const satisfies Readonly<Record<string, readonly (keyof Values)[]>>

const owners: Readonly<Partial<Record<keyof Values, string>>> = {
  id: '--id ID needs --audit FILE',
  'key-env': '--key-env NAME needs --jid JID',
}

function refuseIdle(values: Values): void {
  const form = values.audit !== undefined ? 'audit' : values.jid !== undefined ? 'jid' : 'stanza'
  const given = idle[form].find(name =>
    Array.isArray(values[name]) ? values[name].length > 0 : values[name] !== undefined,
  )
  if (given === undefined) return
  throw new CallError(owners[given] ?? `--${given} says nothing with --${form}: it belongs to a stanza`)
}

const guess = ['note', 'it names a sender, so it is taken as sent by the server; --from client otherwise'] as const

function explainFile(file: string, values: Values): Explanation {
  const state = stateOf(values.state ?? 'none')
  const preApproval = preApprovalOf(values['pre-approval'] ?? 'none')
  const given = sideOf(values.from)
  for (const asked of values.asked)
    if (parseJid(asked) === undefined) throw new CallError(`--asked ${asked}: give a JID, as romeo@im.example/orchard`)
  const config = values.config === undefined ? undefined : configOf(values.config)
  const stanza = stanzaIn(file, given ?? 'client')
  const from = given ?? guessedSide(stanza, values.account)
  const jid = accountOf(values.account, stanza, from)
  return explainStanza({
    ...{ stanza, from, jid, state, preApproval, asked: values.asked, versions: values['roster-version'] },
    ...(config === undefined ? {} : { rules: config.rules, strangers: config.limits?.pendingRequests }),
  })
}

function stanzaIn(file: string, from: Side): Stanza {
  const name = file === '-' ? 'standard input' : file
  let bytes: Uint8Array
  try {
    bytes = readFileSync(file === '-' ? 0 : file)
  } catch (error) {
    throw new CallError(`${name} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
  const read = readStanza(bytes, from)
  if ('flaw' in read) throw new CallError(`${name}: ${read.flaw}`)
  return read
}

function sideOf(text: string | undefined): Side | undefined {
  if (text === undefined || text === 'client') return text
  if (text === 'server') return 'upstream'
  throw new CallError(`--from ${text}: ${didYouMean(text, ['client', 'server'], 'write client or server')}`)
}

function stateOf(text: string): StateName {
  if (isStateName(text)) return text
  throw new CallError(`--state ${text}: ${didYouMean(text, stateNames, `states are ${stateNames.join(', ')}`)}`)
}

function preApprovalOf(text: string): PreApprovalName {
  if (isPreApproval(text)) return text
  throw new CallError(`--pre-approval ${text}: ${didYouMean(text, preApprovals, `write ${preApprovals.join(', ')}`)}`)
}

/** Clients seldom send `from`, and a server always does. */
function guessedSide({ from }: Stanza, account: string | undefined): Side {
  if (from === undefined) return 'client'
  return account !== undefined && isAccountItself(bareOf(from), bareOf(account)) ? 'client' : 'upstream'
}

function accountOf(given: string | undefined, stanza: Stanza, from: Side): string {
  if (given !== undefined && parseJid(given)?.local === undefined)
    throw new CallError(`--account ${given}: give a JID, as juliet@im.example/balcony`)
  const named = from === 'client' ? stanza.from : stanza.to
  const jid = given ?? (named !== undefined && parseJid(named)?.local !== undefined ? named : 'juliet@im.example')
  return hasResource(jid) ? jid : `${jid}/balcony`
}

function hashOf(jid: string, values: Values): string {
  if (parseJid(jid) === undefined) throw new CallError(`--jid ${jid}: give a JID, as romeo@im.example`)
  if (values['key-env'] !== undefined) return hashedJid(fromEnvironment(values['key-env'], process.env), jid)
  if (values.config === undefined) throw new CallError('--jid JID needs --config FILE or --key-env NAME')
  const key = configOf(values.config).audit?.key
  if (key === undefined) throw new CallError(`${values.config} has no audit with hash: true and a key`)
  return hashedJid(key, jid)
}

function configOf(file: string): Config {
  return readConfig(
    file,
    rules.map(rule => rule.name),
  )
}

function printed(explanation: Explanation, more: Fact | undefined): string {
  const facts = more === undefined ? [] : [more]
  return process.stdout.isTTY ? tableExplanation(explanation, facts, style()) : plainExplanation(explanation, facts)
}

function style(): Style {
  const isPlain = (process.env.NO_COLOR ?? '') !== ''
  return (format, text) => (isPlain ? text : styleText(format, text))
}

function asJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}
