import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { within } from '../clients/within.ts'
import { isListening, silence } from '../servers/listening.ts'

const script = fileURLToPath(new URL('demo.js', import.meta.url))

interface Run {
  readonly child: ChildProcessByStdio<null, Readable, Readable>
  readonly status: Promise<number | null>
  said(): string
  /** Resolves when these words have been said. */
  until(words: string): Promise<void>
}

function run(...args: string[]): Run {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', text => (said += text))
  const until = async (words: string) => {
    while (!said.includes(words)) await once(child.stdout, 'data')
  }
  return {
    child,
    status: once(child, 'close').then(([status]) => status as number | null),
    said: () => said,
    until: words => within(words, until(words), 30_000),
  }
}

t.test('--once plays the conversation and ends', async t => {
  const demo = run('--once')
  t.equal(await demo.status, 0, demo.said())
  const lines = demo.said().split('\n')
  for (const words of [
    'logged in through the gate over TCP, made secure by STARTTLS',
    'logged in through the gate over a secure WebSocket',
    'asks for the roster: juliet@localhost (subscription: both)',
    'of the forgery nothing',
    'answers bad-request',
    'rule="subscribed-needs-request",verdict="drop"',
    'rule="presence-type",verdict="reject"',
  ])
    t.ok(
      lines.some(line => line.includes(words)),
      words,
    )
  t.notMatch(demo.said(), '\u001b', 'no colour on a pipe')
  t.notMatch(demo.said(), 'To try it')
  t.notMatch(demo.said(), '_bucket{')
  t.match(demo.said(), /decision_seconds_sum\{.*\} [\d.]{1,7}\n/, 'milliseconds are enough')
  t.match(demo.said(), /shows all that follows as it happens at http:\/\/127\.0\.0\.1:\d+\/console\n/)
})

t.test('without it, it stays up until a signal, and leaves nothing behind', async t => {
  const demo = run()
  await demo.until('Ctrl-C ends it')
  const ports = ['plain (\\d+)', 'listens at 127.0.0.1:(\\d+)'].map(found =>
    Number(new RegExp(found).exec(demo.said())?.[1]),
  )
  for (const port of ports) t.ok(await isListening(port))
  const page = /The console: (\S+)\n$/.exec(demo.said())?.[1] ?? ''
  t.match(await (await fetch(page)).text(), '<title>Stanzagate console</title>')
  demo.child.kill('SIGTERM')
  t.equal(await demo.status, 0, demo.said())
  for (const port of ports) t.notOk(await isListening(port))
})

t.test('a signal in the middle of it, and a wrong argument', async t => {
  const demo = run()
  await demo.until('Honest clients')
  demo.child.kill('SIGINT')
  t.equal(await demo.status, 0, demo.said())
  const port = Number(/listens at 127.0.0.1:(\d+)/.exec(demo.said())?.[1])
  t.ok(port > 0)
  await silence(port)

  const wrong = run('--twice')
  t.equal(await wrong.status, 2)
  t.match(wrong.said(), '--twice is no argument')
})
