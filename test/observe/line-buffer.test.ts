import { execFile } from 'node:child_process'
import { Writable } from 'node:stream'
import t from 'tap'
import { LineBuffer } from '../../src/observe/line-buffer.ts'

/** What has been written, and the next write. */
function output() {
  const written: string[] = []
  let heard = () => {}
  const out = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk))
      heard()
      done()
    },
  })
  const next = () =>
    new Promise<void>(resolve => {
      heard = resolve
    })
  return { out, written, next }
}

t.test('lines that come soon after each other leave in one write', async t => {
  const { out, written, next } = output()
  const buffer = new LineBuffer(out)
  const first = next()
  buffer.write('one\n')
  buffer.write('two\n')
  t.same(written, [], 'they wait')
  await first
  t.same(written, ['one\ntwo\n'])
  const second = next()
  buffer.write('three\n')
  await second
  t.same(written, ['one\ntwo\n', 'three\n'], 'later ones leave later')
})

t.test('more than 65,536 characters do not wait', async t => {
  const { out, written } = output()
  const buffer = new LineBuffer(out)
  buffer.write(`${'x'.repeat(65_535)}\n`)
  t.same(written, [])
  buffer.write('y\n')
  t.same(written, [`${'x'.repeat(65_535)}\ny\n`])
})

t.test('a warning does not wait, nor what came before it', async t => {
  const { out, written } = output()
  const buffer = new LineBuffer(out)
  buffer.write('{"level":30,"msg":"one"}\n')
  buffer.write('{"level":20,"msg":"two"}\n')
  t.same(written, [])
  buffer.write('{"level":40,"msg":"three"}\n')
  t.equal(written.join(''), '{"level":30,"msg":"one"}\n{"level":20,"msg":"two"}\n{"level":40,"msg":"three"}\n')
})

t.test('nothing waits once the process is told to end', async t => {
  const { out, written } = output()
  const buffer = new LineBuffer(out)
  buffer.write('one\n')
  buffer.end()
  t.same(written, ['one\n'])
  buffer.write('two\n')
  t.same(written, ['one\n', 'two\n'])
})

const module = new URL('../../src/observe/log.js', import.meta.url)
const ends: readonly (readonly [string, string])[] = [
  ['ends', ''],
  ['is told to end', 'process.exit(0)'],
  ['throws an exception that nobody catches', "throw new Error('uncaught')"],
]
for (const [name, last] of ends)
  t.test(`what waits is written when the process ${name}`, async t => {
    const script = `
      const { loggerOptions } = await import('${module}')
      loggerOptions('info').stream.write('{"msg":"last words"}\\n')
      ${last}`
    const said = await new Promise<string>(resolve => {
      execFile(process.execPath, ['--input-type=module', '--eval', script], (_error, stdout) => resolve(stdout))
    })
    t.equal(said, '{"msg":"last words"}\n')
  })
