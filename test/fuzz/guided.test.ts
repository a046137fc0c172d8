/** The reader and whole sessions explored for a while, each in a process of its own, for tap measures with the same profiler. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { type Explored, explore } from './guided.ts'
import { Broken } from './targets/target.ts'

t.setTimeout(600_000)

const script = fileURLToPath(new URL('../../../scripts/fuzz.mjs', import.meta.url))
const seed = 20_261_125

function run(...args: readonly string[]) {
  const env = { ...process.env, NODE_V8_COVERAGE: '' }
  return spawnSync(process.execPath, [script, '--no-build', ...args], { encoding: 'utf8', env })
}

t.test('what leads further is kept and followed', async t => {
  const word = 'presence'
  const follow = (says: (input: Buffer) => string[]) =>
    explore(
      {
        seeds: [Buffer.from('x')],
        tokens: [...word].map(letter => Buffer.from(letter)),
        run(input) {
          if (input.toString('latin1').startsWith(word)) throw new Broken('the word is said')
          return says(input)
        },
      },
      { seconds: 60, seed, inputs: 15_000 },
    )
  const common = (input: Buffer) => {
    let length = 0
    while (length < word.length && input[length] === word.charCodeAt(length)) length++
    return [`${length}`]
  }
  const { findings, features } = follow(common)
  t.match(findings, [{ input: Buffer.from(word).toString('hex'), error: /the word is said/ }], 'found, and made short')
  t.equal(features, word.length)
  t.strictSame(follow(() => []).findings, [], 'and not found where nothing leads to it')
})

for (const [target, inputs, blocks] of [
  ['reader', 4_000, 600],
  ['session', 1_000, 1_200],
] as const) {
  t.test(`${target}: no promise is broken (seed ${seed})`, async t => {
    const { status, stdout, stderr } = run(
      '--coverage',
      target,
      '--inputs',
      `${inputs}`,
      '--seconds',
      '600',
      '--seed',
      `${seed}`,
      '--json',
    )
    t.equal(status, 0, stderr + stdout.slice(0, 4_000))
    const explored = JSON.parse(stdout) as Explored
    t.match(explored, { target, seed, findings: [] })
    t.ok(explored.executions >= inputs)
    t.ok(explored.kept > explored.seeds && explored.blocks > blocks, 'and more is reached than the seeds reach')
    t.comment(`${target}: ${explored.executions} inputs, ${explored.blocks} blocks, ${explored.features} outcomes`)
  })
}

t.test('the command says what is wrong with a call', async t => {
  const wrong: readonly (readonly [args: readonly string[], said: RegExp])[] = [
    [['--documents', 'many'], /--documents is a whole number of 1 or more, not 'many'/],
    [['--coverage', 'writer'], /--coverage is one of reader, session, not 'writer'/],
    [['--sed', '1'], /--sed/],
  ]
  for (const [args, said] of wrong) {
    const { status, stderr } = run(...args)
    t.equal(status, 2)
    t.match(stderr, said)
  }
  const { status, stdout } = run('--seed', '1', '--document', '3')
  t.equal(status, 0)
  t.match(stdout, /way +"server, to WebSocket"\nclass +"\w+"/)
})
