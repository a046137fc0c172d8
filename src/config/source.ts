import type { LineCounter } from 'yaml'
import type { Problem } from './problem.ts'

/** A part of the file. */
export interface Place {
  /** As `listeners[0].port`. */
  readonly key: string
  /** UTF-16 units from the start of the text. */
  readonly offset: number
  /** The value, with variables put in; maps have no prototype. */
  readonly value: unknown
  /** A scalar as it stands in the file, which a message may show; `undefined` for a map and a list. */
  readonly written: unknown
}

/** The parts that hold secrets. */
const secrets = ['/admin/token', '/audit/key', '/store/hash', '/store/redis']

/**
 * The parts of a configuration file with their places, and what was found wrong so far: a later check can name the line. Parts
 * are named by their JSON pointer, as in ajv.
 */
export class Source {
  readonly file: string
  private readonly lines: LineCounter | undefined
  private readonly places = new Map<string, Place>()
  private readonly found: Problem[] = []
  private readonly faults = new Set<string>()

  /** `lines`: where they begin; `undefined`: it is no file, but what a program has given. */
  constructor(file: string, lines: LineCounter | undefined) {
    this.file = file
    this.lines = lines
  }

  get isFile(): boolean {
    return this.lines !== undefined
  }

  /** All that was reported, in the order of the file. */
  get problems(): readonly Problem[] {
    return this.found.toSorted((a, b) => a.line - b.line || a.column - b.column)
  }

  put(pointer: string, place: Place): void {
    this.places.set(pointer, place)
  }

  /** `undefined` where the file has no such part. */
  place(pointer: string): Place | undefined {
    return this.places.get(pointer)
  }

  /** The text there; `undefined` where there is none, or something else. */
  text(pointer: string): string | undefined {
    const value = this.places.get(pointer)?.value
    return typeof value === 'string' ? value : undefined
  }

  /** The scalar there as the file spells it, for a message; a secret is not shown, wherever it stands. */
  shown(pointer: string): string {
    const written = this.places.get(pointer)?.written
    if (written === undefined) return Array.isArray(this.places.get(pointer)?.value) ? 'a list' : 'a map'
    const isSecret = secrets.some(
      secret => pointer === secret || (written !== null && written === this.places.get(secret)?.written),
    )
    if (isSecret) return 'what is written'
    if (typeof written !== 'string') return String(written)
    const text = written.length > 60 ? `${written.slice(0, 60)}...` : written
    // One line, whatever it holds.
    return `'${JSON.stringify(text).slice(1, -1)}'`
  }

  /** The pointers of the entries of the map or list there. */
  entries(pointer: string): string[] {
    const value = this.places.get(pointer)?.value
    return typeof value === 'object' && value !== null ? Object.keys(value).map(name => join(pointer, name)) : []
  }

  /** Whether this part was reported already: other reports about it would be consequences. */
  isFaulty(pointer: string): boolean {
    return this.faults.has(pointer)
  }

  /** Reports a part, which need not be in the file: then its line is that of the nearest part around it. */
  report(pointer: string, message: string, remedy: string): void {
    this.faults.add(pointer)
    this.found.push(this.problem(pointer, message, remedy))
  }

  /** Reports a position; no part becomes faulty by it. */
  reportAt(offset: number, key: string, message: string, remedy: string): void {
    this.found.push(this.problemAt(offset, key, message, remedy))
  }

  /** What could be reported of a part, and is left to the caller. */
  problem(pointer: string, message: string, remedy: string): Problem {
    const missing: string[] = []
    let around = pointer
    while (around !== '' && !this.places.has(around)) {
      missing.unshift(lastOf(around))
      around = around.slice(0, around.lastIndexOf('/'))
    }
    const place = this.places.get(around)
    return this.problemAt(place?.offset ?? 0, missing.reduce(dotted, place?.key ?? ''), message, remedy)
  }

  private problemAt(offset: number, key: string, message: string, remedy: string): Problem {
    if (this.lines === undefined) return { file: this.file, line: 0, column: 0, key, message, remedy }
    const { line, col } = this.lines.linePos(offset)
    // Without lines the file could not be read: the problem is at its first line.
    const [shown, column] = line === 0 ? [1, 1] : [line, col]
    return { file: this.file, line: shown, column, key, message, remedy }
  }

  lineOf(offset: number): number {
    return this.lines?.linePos(offset).line ?? 0
  }
}

/** The pointer of an entry. */
export function join(pointer: string, name: string): string {
  return `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/** The name that a pointer ends in. */
export function lastOf(pointer: string): string {
  return pointer
    .slice(pointer.lastIndexOf('/') + 1)
    .replaceAll('~1', '/')
    .replaceAll('~0', '~')
}

/** The key of a map's entry, cut at its first unusual character: `token:s3cret` without a space is a key too. */
export function dotted(key: string, name: string): string {
  const word = /^[A-Za-z0-9_.<*-]{0,64}/.exec(name)?.[0] ?? ''
  const shown = word === name ? word : `${word}...`
  return key === '' ? shown : `${key}.${shown}`
}
