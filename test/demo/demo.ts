/**
 * `npm start`: a throwaway Prosody, the gate in front of it, and the scripted conversation. Then it stays up to be tried by hand until
 * SIGINT or SIGTERM; with `--once` it ends.
 */
import { Gate, makeCertificate, makeProsody } from '../e2e/gate.ts'
import { type Certificate, trust } from '../servers/certificate.ts'
import type { Prosody } from '../servers/prosody.ts'
import { converse } from './conversation.ts'
import { Verdicts } from './verdicts.ts'
import { heading, tell } from './voice.ts'

/** What has been started ends in the opposite order. */
class Teardowns {
  private readonly actions: (() => unknown)[] = []

  teardown(action: () => unknown): void {
    this.actions.unshift(action)
  }

  async all(): Promise<void> {
    for (const action of this.actions.splice(0)) await action()
  }
}

async function main(once: boolean): Promise<void> {
  const teardowns = new Teardowns()
  const signal = new Promise<'signal'>(resolve => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => resolve('signal'))
  })
  try {
    const outcome = await Promise.race([signal, perform(teardowns)])
    // @xmpp/client does not survive being stopped in the middle of its login. Prosody ends with this process.
    if (outcome === 'signal') process.exit(0)
    if (once) return
    outcome.invite()
    await signal
  } finally {
    await teardowns.all()
  }
}

/** Gives what remains to be said if it stays up. */
async function perform(teardowns: Teardowns): Promise<{ invite(): void }> {
  heading('Stanzagate, in front of a real XMPP server')
  const certificate = await makeCertificate({ teardown: action => process.once('exit', () => action()) })
  teardowns.teardown(trust(certificate))
  const prosody = await makeProsody(teardowns, { accounts: { romeo: 'secret', juliet: 'secret' } })
  tell('prosody', `listens at ${prosody.address}:${prosody.port}, loopback only, as a child of this process`)
  const verdicts = new Verdicts()
  const gate = await Gate.start(teardowns, certificate, prosody, { watchers: [verdicts] })
  const ports = gate.proxy.listeners.map(({ name, port }) => `${name} ${port}`)
  tell('gate', `listens at 127.0.0.1: ${ports.join(', ')}`)
  tell('gate', `shows all that follows as it happens at ${consoleOf(gate)}`)
  const before = await gate.metrics()
  await converse(teardowns, gate, prosody)
  const closed = await gate.counted('the end of both sessions', counts => counts.sum('sessions_active') === 0)
  heading('What became of every presence stanza')
  for (const row of verdicts.table()) console.log(`  ${row}`)
  heading('What the metrics say about it')
  for (const line of changed(before.text, closed.text)) tell('metrics', line)
  return { invite: () => invite(gate, prosody, certificate) }
}

const telling = /^stanzagate_(rule_decisions|subscription|sessions_opened|stream_errors)/

/** The series of the decisions and subscriptions that are not what they were; of histograms the sum and the count. */
function changed(before: string, after: string): string[] {
  const old = new Set(before.split('\n'))
  return after
    .split('\n')
    .filter(line => telling.test(line) && !line.includes('_bucket{') && !old.has(line) && !line.endsWith(' 0'))
    .map(line => line.replace(/\d+\.\d+$/, value => String(Number(Number(value).toPrecision(3)))))
}

function consoleOf({ proxy }: Gate): string {
  return `http://127.0.0.1:${proxy.admin?.port}/console`
}

function invite(gate: Gate, prosody: Prosody, certificate: Certificate): void {
  const admin = gate.proxy.admin?.port
  heading(`To try it: accounts romeo@localhost and juliet@localhost, password 'secret'`)
  const rows = [
    ['TCP with STARTTLS', `127.0.0.1:${gate.port('starttls')}`],
    ['TCP with direct TLS', `127.0.0.1:${gate.port('direct')}`],
    ['TCP without TLS', `127.0.0.1:${gate.port('plain')}`],
    ['WebSocket', `${gate.url('ws')} and ${gate.url('wss')}`],
    ['its certificate', certificate.cert],
    ['Prosody without the gate', `${prosody.address}:${prosody.port}`],
    ['metrics', `curl http://127.0.0.1:${admin}/metrics`],
    ['health', `curl http://127.0.0.1:${admin}/healthz`],
    ['console, in a browser', consoleOf(gate)],
  ]
  for (const [what, where] of rows) console.log(`  ${what?.padEnd(26)}${where}`)
  console.log(`\nIt stays up; Ctrl-C ends it. The console: ${consoleOf(gate)}`)
}

const wrong = process.argv.slice(2).find(argument => argument !== '--once')
if (wrong !== undefined) {
  console.error(`stanzagate: ${wrong} is no argument of the demonstration; there is only --once`)
  process.exitCode = 2
} else {
  try {
    await main(process.argv.includes('--once'))
  } catch (error) {
    console.error(`stanzagate: the demonstration failed: ${error instanceof Error ? error.message : error}`)
    process.exitCode = 1
  }
}
