// TAP made short for a log: a line for each test file, and all that is said about what failed.

/**
 * Takes TAP line by line and says, by `say`, what is worth reading: of a file that passed its one line and its comments, of a file that
 * failed everything but the assertions that passed, and whatever stands outside of files, such as the coverage table.
 */
export function plainReport(say) {
  let inside = []
  return line => {
    if (/^ {4}/.test(line)) {
      inside.push(line)
      return
    }
    const [, not, file] = /^(not )?ok \d+ - (.*)$/.exec(line) ?? []
    if (file !== undefined) {
      if (not !== undefined) for (const told of inside) if (!idle.test(told)) say(told)
      if (not === undefined) for (const told of inside) if (comment.test(told)) say(told.trim().slice(2))
      inside = []
      say(`${not ?? ''}ok ${file}`)
    } else if (!frame.test(line)) say(line)
  }
}

/** What a test itself wants read, a table for example. */
const comment = /^ {8,}# (?!Subtest|time=|\{)/
const idle = /^ +(ok \d+|\d+\.\.\d+|# time=|# Subtest)|^ *$/
const frame = /^(TAP version|\d+\.\.\d+$|# Subtest|$)/

/** Sums what tap writes at the end of a run: `# { total: 36, pass: 35, fail: 1 }`; all 0 if it wrote nothing. */
export function totalsOf(lines) {
  const summary = lines.findLast(line => /^# \{ total: .*\}$/.test(line)) ?? ''
  const count = name => Number(new RegExp(`\\b${name}: (\\d+)`).exec(summary)?.[1] ?? 0)
  return { pass: count('pass'), fail: count('fail'), skip: count('skip'), todo: count('todo') }
}
