/** A report for people: a table on a terminal, plain lines elsewhere. Pure. */
import type { Line, Report } from './run.ts'

/** Marks text on a terminal, by a name of `inspect.colors` of node:util. */
export type Style = (format: 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan', text: string) => string

/** What a server has said must not move the cursor. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
const controls = /[\u0000-\u001f\u007f-\u009f]/g

/** How to have run what needs a stranger. */
export const componentHint = [
  'Probes that need a stranger speak through an external component (XEP-0114). Give one:',
  '  stanzagate doctor … --component gateway.example --component-address 127.0.0.1:5347 --component-secret-env NAME',
  'Prosody:   Component "gateway.example"',
  '             component_secret = "…"          -- and component_ports = { 5347 }',
  'ejabberd:  listen: [{ port: 5347, ip: "127.0.0.1", module: ejabberd_service, hosts: { gateway.example: { password: "…" } } }]',
]

/** One line for each probe, and one for each line of what to change: what greps well. */
export function plainReport(report: Report): string {
  const out = [headline(report)]
  for (const line of shownLines(report)) {
    const rules = line.rules.length > 0 ? `; helps: ${rulesOf(line)}` : ''
    out.push(`${line.id} ${line.verdict}, ${line.clause}: ${line.title} → ${resultOf(line)}${rules}`)
    for (const change of line.change) out.push(`${line.id} change: ${change}`)
  }
  return `${[...out, ...ending(report)].join('\n')}\n`
}

const colours = {
  right: 'green',
  note: 'cyan',
  breaks: 'red',
  conflict: 'red',
  'not run': 'dim',
  failed: 'yellow',
} as const

/** A table of that many columns of characters, with what to change below it. */
export function tableReport(report: Report, width: number, style: Style): string {
  const fixed = [4, 8, 16]
  const rest = Math.max(40, width - fixed.reduce((sum, each) => sum + each + 2, 0) - 2)
  const widths = [...fixed, Math.ceil(rest * 0.7), Math.floor(rest * 0.3)]
  const out = [
    headline(report),
    '',
    ...row(['', 'VERDICT', 'CLAUSE', 'WHAT THE SERVER DOES', 'HELPS'], widths).map(each => style('bold', each)),
  ]
  for (const line of shownLines(report)) {
    const cells = [line.id, line.verdict, line.clause, `${line.title} → ${resultOf(line)}`, rulesOf(line) || '–']
    out.push(...row(cells, widths, (text, column) => (column === 1 ? style(colours[line.verdict], text) : text)))
  }
  const changes = report.probes.filter(line => line.change.length > 0)
  if (changes.length > 0)
    out.push('', style('bold', `What to change (${report.server?.name ?? 'the server'})`.replace(controls, '')))
  for (const { id, change } of changes) {
    for (const [index, text] of change.entries()) out.push(`  ${(index === 0 ? id : '').padEnd(5)}${text}`)
  }
  return `${[...out, ...ending(report)].join('\n')}\n`
}

function headline({ server, upstream, domain, probes }: Report): string {
  const name =
    server === undefined
      ? 'a server that is not known'
      : [server.name, server.version].filter(Boolean).join(' ').replace(controls, '')
  const counts = Object.keys(colours).flatMap(verdict => {
    const count = probes.filter(line => line.verdict === verdict).length
    return count > 0 ? [`${count} ${verdict}`] : []
  })
  return `${domain} at upstream '${upstream}': ${name}: ${counts.join(', ')}`
}

function ending({ probes, left, failure }: Report): string[] {
  const out: string[] = []
  if (failure === undefined && probes.some(line => line.verdict === 'not run')) out.push('', ...componentHint)
  if (left.length > 0) out.push('', ...left.map(each => `Not put back: ${each}`))
  else if (failure === undefined) out.push('', 'The accounts are as they were.')
  return out
}

/** Where it could not be run, and why is told elsewhere, only what was run. */
function shownLines({ probes, failure }: Report): readonly Line[] {
  return failure === undefined ? probes : probes.filter(line => line.verdict !== 'not run')
}

function resultOf({ result, detail }: Line): string {
  return (detail === undefined ? result : `${result} [${detail}]`).replace(controls, '')
}

function rulesOf({ rules }: Line): string {
  return rules.map(({ name, mode }) => (mode === 'enforce' ? name : `${name} (now ${mode})`)).join(', ')
}

/** The lines of one row; a cell that is too long goes on below itself. */
function row(
  cells: readonly string[],
  widths: readonly number[],
  paint: (text: string, column: number) => string = text => text,
): string[] {
  const columns = cells.map((cell, column) => wrapped(cell, widths[column] ?? 0))
  const height = Math.max(...columns.map(lines => lines.length))
  return Array.from({ length: height }, (_, line) =>
    columns
      .map((lines, column) => paint((lines[line] ?? '').padEnd(widths[column] ?? 0), column))
      .join('  ')
      .trimEnd(),
  )
}

function wrapped(cell: string, width: number): string[] {
  const lines = ['']
  for (const word of cell.split(' ')) {
    const last = lines.at(-1) ?? ''
    if (last !== '' && last.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return lines
}
