/** An explanation for people: a table on a terminal, plain lines elsewhere. Pure. */
import { oneLine } from '../observe/log.ts'
import type { Explanation } from './explain.ts'
import type { ServerStep } from './states.ts'
import type { Step } from './step.ts'

const colours = { forward: 'green', reject: 'red', drop: 'red', close: 'red' } as const
const marks = { nothing: 'dim', rewrote: 'yellow', would: 'cyan', decided: 'red', unasked: 'dim', off: 'dim' } as const

/** Marks text on a terminal; as `styleText` of node:util. */
export type Style = (format: 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan', text: string) => string

export type Fact = readonly [name: string, text: string]

/** One fact on a line, its name in front; `more` come last. */
export function plainExplanation(explanation: Explanation, more: readonly Fact[]): string {
  const out = [`verdict: ${headline(explanation)}`]
  for (const step of explanation.path) {
    const mode = step.mode === null ? '' : `, ${step.mode}`
    out.push(`rule: ${step.rule} (${step.clause}${mode}): ${outcomeOf(step)}`)
  }
  for (const [name, text] of [...ending(explanation), ...more]) out.push(`${name}: ${text}`)
  return `${out.map(shown).join('\n')}\n`
}

export function tableExplanation(explanation: Explanation, more: readonly Fact[], style: Style): string {
  const { path, verdict } = explanation
  const rows = [['RULE', 'CLAUSE', 'MODE', 'OUTCOME'], ...path.map(cellsOf)]
  const widths = [0, 1, 2].map(column => Math.max(...rows.map(row => (row[column] ?? '').length)))
  const out = [style(colours[verdict], headline(explanation)), '']
  for (const [index, cells] of rows.entries()) {
    const line = cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')
    const step = path[index - 1]
    out.push(style(step === undefined ? 'bold' : marks[step.outcome], line))
  }
  out.push('')
  for (const [name, text] of [...ending(explanation), ...more])
    out.push(`${style('bold', name.padEnd(9))} ${shown(text)}`)
  return `${out.join('\n')}\n`
}

function cellsOf(step: Step): string[] {
  return [step.rule, step.clause, step.mode ?? '–', outcomeOf(step)]
}

const verbs = { forward: 'rewritten', reject: 'rejected', drop: 'dropped', close: 'closed the stream' } as const

function outcomeOf({ outcome, mode, verdict, error }: Step): string {
  const with_ = error === null ? '' : ` with ${error}`
  switch (outcome) {
    case 'nothing':
      // Of what is on record it is not known whether it was asked at all.
      return mode === null ? 'said nothing' : 'nothing against it'
    case 'rewrote':
      return 'rewrote it'
    case 'would':
      return verdict === null
        ? 'would have spoken'
        : `would have ${verbs[verdict]} it${with_}`.replace('stream it', 'stream')
    case 'decided':
      return `decided: ${verdict}${with_}`
    case 'unasked':
      return 'not asked any more'
    case 'off':
      return 'off'
  }
}

function headline({
  from,
  kind,
  type,
  account,
  contact,
  state,
  verdict,
  isRewritten,
  rule,
  mode,
}: Explanation): string {
  const way =
    from === 'client'
      ? `from ${account} to ${contact ?? 'its server'}`
      : `from ${contact ?? 'the server'} to ${account}`
  const known = state === null ? '' : `, state ${state}`
  const became = isRewritten ? 'forward, rewritten' : verdict
  const by = rule === null ? '' : mode === 'observe' && !isRewritten ? ` (${rule} only observes)` : ` by ${rule}`
  return shown(`${kind} ${type} ${way}${known}: ${became}${by}`)
}

function ending(explanation: Explanation): Fact[] {
  const { why, passesIn, server, forwarded, answer, from, verdict } = explanation
  const out: Fact[] = why.map(text => ['why', text])
  if (passesIn !== null) out.push(['passes in', passesIn.join(', ') || 'no state'])
  for (const step of server) out.push(['server', stepWords(step, from === 'client')])
  if (server.length > 0 && from === 'client' && verdict !== 'forward') out.push(['server', 'it does not get to see it'])
  if (forwarded !== null) out.push(['forwarded', forwarded])
  if (answer !== null) out.push(['answer', answer])
  return out
}

function stepWords(step: ServerStep, isOutbound: boolean): string {
  const { before, after, passes, autoReply, approved, clause, table3921 } = step
  const verb = isOutbound
    ? passes
      ? 'routes it'
      : 'does not route it'
    : passes
      ? 'delivers it'
      : 'does not deliver it'
  const moves = before === after ? 'and stays there' : `and goes to ${after}`
  const reply = autoReply === null ? '' : `, and answers ${autoReply} in the user's name`
  const later = approved && autoReply === null ? ', with the contact pre-approved (RFC 6121 section 3.4)' : ''
  const place = table3921 === null ? clause : `${clause} (RFC 3921 table ${table3921})`
  return `by ${place} a server in state ${before} ${verb} ${moves}${reply}${later}`
}

/** Text of a peer neither ends a line nor moves the cursor. */
function shown(text: string): string {
  return oneLine(text.replace(/[\n\r\t]/g, found => `&#x${found.charCodeAt(0).toString(16).toUpperCase()};`))
}
