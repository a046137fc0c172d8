/** A file that changes, is replaced, is written slowly, or is gone for a while. */
import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { FileWatch } from '../../src/config/file-watch.ts'

t.test('each change is told once, when the file is settled', t => {
  const folder = t.testdir({ 'gate.yaml': 'a', other: { 'gate.yaml': 'other' } })
  const file = join(folder, 'gate.yaml')
  let told = 0
  let look = () => {}
  const watch = new FileWatch(
    file,
    () => told++,
    (_milliseconds, callback) => {
      look = callback
      return () => {
        look = () => {}
      }
    },
  )
  /** What is told within these looks. */
  const looks = (count: number) => {
    told = 0
    for (let index = 0; index < count; index++) look()
    return told
  }
  t.equal(looks(3), 0, 'nothing has changed')
  writeFileSync(file, 'half of')
  t.equal(looks(1), 0)
  writeFileSync(file, 'half of it, and the rest')
  t.equal(looks(1), 0, 'it is still being written')
  t.equal(looks(3), 1)
  writeFileSync(join(folder, 'next'), 'replaced')
  renameSync(join(folder, 'next'), file)
  t.equal(looks(3), 1, 'replaced')
  rmSync(file)
  t.equal(looks(3), 0, 'gone')
  symlinkSync(join(folder, 'other/gate.yaml'), file)
  t.equal(looks(3), 1, 'and back, by a link')
  writeFileSync(join(folder, 'other/gate.yaml'), 'behind the link')
  t.equal(looks(3), 1)
  writeFileSync(file, 'read by a signal')
  watch.read()
  t.equal(looks(3), 0)
  writeFileSync(file, 'after the end')
  watch.stop()
  t.equal(looks(3), 0)
  t.end()
})
