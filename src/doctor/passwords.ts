/** Where passwords come from: variables of the environment, a file, a terminal. Never the command line, and no message holds one. */
import { readFileSync } from 'node:fs'

/** The call is wrong; the message says how. */
export class CallError extends Error {}

export type Environment = Readonly<Record<string, string | undefined>>

/** Where the command is called from; `process` is one. */
export interface Terminal {
  readonly env: Environment
  readonly stdin: Keyboard
  readonly stdout: Printing
  readonly stderr: Printing
}

type Keyboard = Pick<NodeJS.ReadStream, 'isTTY' | 'setRawMode' | 'setEncoding' | 'resume' | 'pause' | 'on' | 'off'>

interface Printing {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

/** The value of a variable. Throws `CallError` when it is not set. */
export function fromEnvironment(name: string, environment: Environment): string {
  const value = Object.hasOwn(environment, name) ? environment[name] : undefined
  if (value === undefined || value === '') throw new CallError(`the variable ${name} is not set`)
  return value
}

/** `JID PASSWORD`, one a line; a password that is `${NAME}` as a whole is that variable. Throws `CallError`. */
export function fromFile(path: string, environment: Environment): ReadonlyMap<string, string> {
  let written: string
  try {
    written = readFileSync(path, 'utf8')
  } catch (error) {
    throw new CallError(`the password file ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
  const secrets = new Map<string, string>()
  for (const [index, line] of written.split(/\r?\n/).entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue
    const [, jid, secret] = /^\s*(\S+)\s+(.+)$/.exec(line) ?? []
    if (jid === undefined || secret === undefined)
      throw new CallError(`${path}:${index + 1}: write a JID, a space and its password`)
    const [, name] = /^\$\{([A-Za-z_]\w*)\}$/.exec(secret) ?? []
    secrets.set(jid, name === undefined ? secret : fromEnvironment(name, environment))
  }
  return secrets
}

/** Asks on the terminal, without showing what is typed. Throws `CallError` when there is none, or at Ctrl-C. */
export async function fromTerminal({ stdin, stderr }: Terminal, what: string, instead: string): Promise<string> {
  if (!stdin.isTTY) throw new CallError(`no password for ${what}: ${instead}`)
  stderr.write(`Password for ${what}: `)
  stdin.setEncoding('utf8')
  stdin.setRawMode(true)
  let typed = ''
  let hear = (_chunk: string) => {}
  try {
    return await new Promise<string>((resolve, reject) => {
      hear = chunk => {
        for (const character of chunk) {
          if (character === '\r' || character === '\n') return resolve(typed)
          if (character === '\u0003' || character === '\u0004') return reject(new CallError('no password was typed'))
          typed = character === '\u007f' ? typed.slice(0, -1) : typed + character
        }
      }
      stdin.on('data', hear)
      stdin.resume()
    })
  } finally {
    stdin.off('data', hear)
    stdin.setRawMode(false)
    stdin.pause()
    stderr.write('\n')
  }
}
