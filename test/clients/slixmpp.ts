import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { type Session, type Target, type TestClient, Transcript, type Wanted } from './test-client.ts'
import { within } from './within.ts'

// The compiled file is in dist/test/clients, but tsc leaves Python where it is: in the repository's test/clients.
const repository = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))
const script = join(repository, 'test', 'clients', 'slixmpp.py')

/** Debian's slixmpp, in a child process. TCP only. */
export class SlixmppClient implements TestClient {
  readonly #transcript = new Transcript()
  readonly #certificate: string
  #child: Child | undefined

  /** `certificate` is the path of the PEM file that it shall trust. */
  constructor(certificate: string) {
    this.#certificate = certificate
  }

  async connect({ wire, port, domain, user, password, resource }: Target): Promise<Session> {
    if (wire !== 'starttls' && wire !== 'direct') throw new Error(`slixmpp cannot speak ${wire}`)
    this.#child ??= new Child(this.#transcript)
    const jid = `${user}@${domain}${resource === undefined ? '' : `/${resource}`}`
    const login = { jid, password, port, direct: wire === 'direct', certificate: this.#certificate }
    const answer = await within(
      `the login of ${user} over ${wire} with slixmpp`,
      this.#child.command({ do: 'connect', ...login }),
    )
    return answer as Session
  }

  async send(xml: string): Promise<void> {
    await this.#running.command({ do: 'send', xml })
  }

  received(): string[] {
    return this.#transcript.all()
  }

  waitFor(wanted: Wanted, what: string): Promise<string> {
    return this.#transcript.find(wanted, what)
  }

  async cut(): Promise<void> {
    await this.#running.command({ do: 'cut' })
  }

  async stop(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    await child?.stop()
  }

  get #running(): Child {
    if (this.#child === undefined) throw new Error('connect() comes first')
    return this.#child
  }
}

type Answer = { readonly done: unknown } | { readonly failed: string }

class Child {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #gone: Promise<void>
  readonly #waiting: ((answer: Answer) => void)[] = []
  #errors = ''
  #failure: string | undefined

  constructor(transcript: Transcript) {
    // Debian's own Python: another one, earlier in PATH, would not see Debian's slixmpp. Isolated (-I), so that the
    // script, being slixmpp.py, does not import itself.
    this.#process = spawn('/usr/bin/python3', ['-I', script], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#process.stdin.on('error', () => {}) // it ended: told by 'close'
    this.#process.stderr.on('data', data => {
      this.#errors += String(data)
    })
    createInterface(this.#process.stdout).on('line', line => {
      const said = JSON.parse(line) as { readonly stanza: string } | Answer
      if ('stanza' in said) transcript.push(said.stanza)
      else this.#waiting.shift()?.(said)
    })
    this.#gone = new Promise(resolve => {
      const end = (why: string) => {
        this.#failure ??= `${why} ${this.#errors}`
        for (const settle of this.#waiting.splice(0)) settle({ failed: this.#failure })
        resolve()
      }
      this.#process.on('error', error => end(`cannot run slixmpp (Debian package python3-slixmpp): ${error.message}`))
      this.#process.on('close', status => end(`slixmpp (Debian package python3-slixmpp) ended with ${status}`))
    })
  }

  /** Commands are answered one after the other; an answer may wait for the server. */
  async command(command: { readonly do: string; readonly [name: string]: unknown }): Promise<unknown> {
    const answer = await new Promise<Answer>(resolve => {
      if (this.#failure !== undefined) return resolve({ failed: this.#failure })
      this.#waiting.push(resolve)
      this.#process.stdin.write(`${JSON.stringify(command)}\n`)
    })
    if ('failed' in answer) throw new Error(`slixmpp: ${answer.failed} ${this.#errors}`)
    return answer.done
  }

  async stop(): Promise<void> {
    await within('the logout of slixmpp', this.command({ do: 'stop' })).catch(() => {}) // then it goes without one
    this.#process.stdin.end()
    await within('the end of slixmpp', this.#gone).catch(() => this.#process.kill('SIGKILL'))
    await this.#gone
  }
}
