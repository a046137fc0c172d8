/**
 * A line of the log for people at a terminal: the time of day, the level, the area, the words, and what else there is as `key=value`.
 * It has the same guarantee as the JSON that it is made of: no peer ends its line, or steers the terminal.
 */
import { inspect } from 'node:util'
import { oneLine } from './one-line.ts'

type Format = 'dim' | 'cyan' | 'green' | 'yellow' | 'red' | 'bold'
export type Paint = (format: Format, text: string) => string

/** Colours, unless whoever looks wants none (https://no-color.org). */
export function styleFor(out: { readonly isTTY?: boolean }, environment = process.env): Paint {
  const isPlain = out.isTTY !== true || (environment.NO_COLOR ?? '') !== '' || environment.TERM === 'dumb'
  if (isPlain) return (_format, text) => text
  return (format, text) => {
    const [on, off] = inspect.colors[format] ?? [0, 0]
    return `\u001b[${on}m${text}\u001b[${off}m`
  }
}

/** By pino's numbers. */
const levels: readonly (readonly [from: number, name: string, format: Format])[] = [
  [60, 'FATAL', 'red'],
  [50, 'ERROR', 'red'],
  [40, 'WARN ', 'yellow'],
  [30, 'INFO ', 'green'],
  [20, 'DEBUG', 'cyan'],
  [0, 'TRACE', 'dim'],
]

/** Not shown: known to the reader, or shown elsewhere in the line. */
const left = new Set(['level', 'time', 'pid', 'hostname', 'msg', 'area', 'err'])

/** `json`: a line as pino writes it. Something else stays as it is. */
export function prettyLine(json: string, paint: Paint): string {
  let line: Readonly<Record<string, unknown>>
  try {
    line = JSON.parse(json)
  } catch {
    // It is no line of the logger.
    return oneLine(json)
  }
  const [, level, format] = levels.find(([from]) => Number(line.level) >= from) ?? (['', '?', 'dim'] as const)
  const fields = Object.entries(line).filter(([key]) => !left.has(key))
  const parts = [
    paint('dim', clockOf(Number(line.time))),
    paint(format as Format, level as string),
    paint('dim', shown(line.area ?? '').padEnd(11)),
    paint('bold', shown(line.msg ?? '')),
    ...fields.map(([key, value]) => `${paint('dim', `${shown(key)}=`)}${written(value)}`),
  ]
  return `${parts.join(' ')}\n${stackOf(line.err)}`
}

function clockOf(time: number): string {
  const at = new Date(time)
  const two = (number: number) => String(number).padStart(2, '0')
  const seconds = `${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, '0')}`
  return `${two(at.getHours())}:${two(at.getMinutes())}:${seconds}`
}

/** Words as they are; what is no word as JSON. */
function written(value: unknown): string {
  if (typeof value !== 'string') return oneLine(JSON.stringify(value))
  return /^[^\s"=]+$/.test(value) ? shown(value) : oneLine(JSON.stringify(value))
}

/** What would end the line, or be no sign, is spelled as in JSON. */
function shown(value: unknown): string {
  return oneLine(JSON.stringify(String(value)).slice(1, -1))
}

/** An error's words and where it happened; each line begins with spaces, as no message does. */
function stackOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return ''
  const { stack, message } = error as { readonly stack?: unknown; readonly message?: unknown }
  const lines = String(stack || message).split('\n')
  return lines.map(line => `    ${shown(line.trim())}\n`).join('')
}
