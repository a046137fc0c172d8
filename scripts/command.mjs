// What the scripts share: where the repository is, saying things, running programs, ending with a status.

import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/** The repository's root directory. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Something the operator has to put right: told in one line, with an exit status. */
export class SetupError extends Error {
  constructor(message, status = 1) {
    super(message)
    this.status = status
  }
}

/** Runs a script's `main`, which resolves to its exit status; a SetupError is told in its one line, without a stack. */
export async function runMain(main) {
  try {
    process.exitCode = await main()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    console.error(`stanzagate: ${error.message}`)
    process.exitCode = error.status
  }
}

/** The options of the command line, by `parseArgs`; a wrong one is the caller's error. */
export function readOptions(options) {
  try {
    return parseArgs({ options })
  } catch (error) {
    throw new SetupError(`${error.message}; --help lists them`, 2)
  }
}

/** Says one line of progress. */
export function say(line) {
  console.log(`stanzagate: ${line}`)
}

/** The path of a program that an npm package has put into node_modules/.bin. */
export function bin(name) {
  return join(root, 'node_modules', '.bin', name)
}

const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP']

/**
 * Runs a program on this terminal; resolves to its exit status, which is 128 + n if signal n ended it. Signals are the
 * program's to handle: it ends when it can, and its status tells the script to end too. With `onLine` its standard
 * output goes there, line by line, instead of to the terminal.
 */
export function run(command, args, { onLine, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const stdio = onLine === undefined ? 'inherit' : ['inherit', 'pipe', 'inherit']
    const child = spawn(command, args, { cwd: root, stdio, ...options })
    if (onLine !== undefined) createInterface(child.stdout).on('line', onLine)
    const pass = signal => child.kill(signal)
    for (const signal of passedOn) process.on(signal, pass)
    const settle = () => {
      for (const signal of passedOn) process.off(signal, pass)
    }
    child.on('error', error => {
      settle()
      reject(new SetupError(`cannot run ${command}: ${error.message}`))
    })
    child.on('close', (status, signal) => {
      settle()
      resolve(status ?? 128 + constants.signals[signal])
    })
  })
}

/** Does `work` to its end even if a signal comes meanwhile; then fails with that signal's status. */
export async function undisturbed(work) {
  let caught
  const note = signal => {
    caught = signal
  }
  for (const signal of passedOn) process.on(signal, note)
  try {
    await work()
  } finally {
    for (const signal of passedOn) process.off(signal, note)
  }
  if (caught !== undefined) throw new SetupError(`ended by ${caught}`, 128 + constants.signals[caught])
}
