// go-sendxmpp, a client of the command line, as people use it: it listens, or it sends one message and goes.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { Inbox } from './inbox.ts'
import type { Target } from './test-client.ts'
import { within } from './within.ts'

export interface ConsoleTarget extends Omit<Target, 'resource'> {
  /** It cannot speak WebSocket. */
  readonly wire: 'starttls' | 'direct'
  /** The path of the PEM file that it shall trust. */
  readonly certificate: string
}

/** Logs in, sends its presence and one message, and ends. Throws, with what it said, if it does not end well. */
export async function sendFromConsole(target: ConsoleTarget, to: string, body: string): Promise<void> {
  const child = run(target, [to])
  let said = ''
  child.stdout.on('data', data => {
    said += String(data)
  })
  child.stderr.on('data', data => {
    said += String(data)
  })
  child.stdin.end(body)
  const status = await within('the end of go-sendxmpp', ended(child)).catch(error => {
    child.kill('SIGKILL')
    throw error
  })
  if (status !== 0) throw new Error(`go-sendxmpp ended with ${status}: ${said}`)
}

export interface ConsoleListener {
  /** The full JID, as the server has bound it. */
  readonly jid: string
  /** The next printed text that matches; those before it are gone. */
  printed(wanted: RegExp): Promise<string>
  stop(): Promise<void>
}

/** Logs in and listens; resolves when its own presence has come back, so that messages to the bare JID reach it. */
export async function listenOnConsole(target: ConsoleTarget): Promise<ConsoleListener> {
  const child = run(target, ['--debug', '--listen'])
  const output = new Inbox<string>(String)
  const errors = new Inbox<string>(String)
  let traffic = '' // in pieces of any size
  child.stdout.setEncoding('utf8').on('data', (data: string) => output.push(data))
  child.stderr.setEncoding('utf8').on('data', (data: string) => {
    traffic += data
    errors.push(traffic)
  })
  const end = ended(child)
  end.then(
    status => errors.push(`go-sendxmpp ended with ${status}: ${traffic}`),
    error => errors.push(String(error)),
  )
  const stop = async () => {
    child.kill('SIGINT')
    await end.catch(() => {}) // it never ran
  }
  try {
    const seen = await errors.find(
      'its presence',
      text => /<presence [^>]*from=["'][^"']/.test(text) || /^go-sendxmpp ended|^Error: /.test(text),
    )
    const [, jid] = /<jid>([^<]*)<\/jid>/.exec(seen) ?? []
    if (jid === undefined || /^(go-sendxmpp ended|Error: )/.test(seen)) throw new Error(seen)
    return { jid, stop, printed: wanted => output.find(`'${wanted.source}' on the console`, text => wanted.test(text)) }
  } catch (error) {
    await stop()
    throw error
  }
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>

function run({ wire, port, domain, user, password, certificate }: ConsoleTarget, more: readonly string[]): Child {
  const server = ['--jserver', `localhost:${port}`, ...(wire === 'direct' ? ['--tls'] : [])]
  const account = ['--username', `${user}@${domain}`, '--password', password]
  return spawn('go-sendxmpp', [...server, ...account, ...more], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // Nobody's home: the configuration of whoever runs the tests is not read.
    env: { PATH: process.env.PATH, HOME: '/nonexistent', SSL_CERT_FILE: certificate },
  })
}

function ended(child: Child): Promise<number | string> {
  child.stdin.on('error', () => {}) // it ended: told by 'close'
  return new Promise((resolve, reject) => {
    child.on('close', (status, signal) => resolve(status ?? signal ?? 'nothing'))
    child.on('error', error =>
      reject(
        new Error(`cannot run go-sendxmpp (${error.message}); the Debian package go-sendxmpp has to be installed`),
      ),
    )
  })
}
