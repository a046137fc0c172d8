/** One thing that is wrong with a configuration file. */
export interface Problem {
  /** As the caller named it; `options` where a program has given the configuration itself. */
  readonly file: string
  /** From 1; 1 where the file itself is the problem; 0 where there is no file. */
  readonly line: number
  /** From 1, in UTF-16 units; 0 where there is no file. */
  readonly column: number
  /** As `listeners[0].tls.cert`; empty where the file itself is the problem. */
  readonly key: string
  /** What is wrong. Never holds a secret. */
  readonly message: string
  /** What to do about it. */
  readonly remedy: string
}

/** The configuration cannot be used; `problems` holds all that is wrong with it, in the order of the file. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.problems = problems
  }
}

/** One line: `stanzagate.yaml:7: log.level: 'inof' is not one of ...; did you mean 'info'?`. */
export function formatProblem(problem: Problem): string {
  return format(problem, '')
}

/** The same of what is only a warning: `stanzagate.yaml:7: warning: listeners[0].tls.key: ...`. */
export function formatWarning(problem: Problem): string {
  return format(problem, 'warning: ')
}

function format({ file, line, key, message, remedy }: Problem, kind: string): string {
  const place = line === 0 ? file : `${file}:${line}`
  return `${place}: ${kind}${key === '' ? '' : `${key}: `}${message}; ${remedy}`
}

/** `did you mean 'x'?` with the nearest of the known words, or else the other remedy. */
export function didYouMean(written: string, known: readonly string[], otherwise: string): string {
  const word = written.toLowerCase()
  // A third of the letters: 'startls' is near 'starttls', 'port' is not near 'path'.
  const limit = Math.min(3, Math.max(1, Math.floor(word.length / 3)))
  const nearest = known
    .map(name => ({ name, distance: editDistance(word, name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0]
  return nearest !== undefined && nearest.distance <= limit ? `did you mean '${nearest.name}'?` : otherwise
}

/** How many letters must be put in, taken out, changed or swapped with their neighbour. */
function editDistance(a: string, b: string): number {
  // Words that differ so much in length are no misspellings; this bounds the work as well.
  if (Math.abs(a.length - b.length) > 3) return Number.POSITIVE_INFINITY
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) cost = Math.min(cost, (before[j - 2] ?? 0) + 1)
      row.push(cost)
    }
    before = last
    last = row
  }
  return last[b.length] ?? 0
}
