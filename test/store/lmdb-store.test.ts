// The embedded store: what every store does, files that are damaged or foreign, processes that are killed, several processes, a full disk.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { open } from 'lmdb'
import t from 'tap'
import { openLmdbStore } from '../../src/store/lmdb-store.ts'
import type { RecordChange } from '../../src/store/store.ts'
import { plays } from './contract.ts'

const writer = fileURLToPath(new URL('./writer.js', import.meta.url))

t.test('what every store does', async t => {
  const folder = join(t.testdir(), 'a store.d')
  const store = await openLmdbStore(folder)
  await plays(t, store, 0)
  for (const file of ['data.mdb', 'lock.mdb', 'STANZAGATE-STORE'])
    t.equal(statSync(join(folder, file)).mode & 0o777, 0o600, file)
  t.equal(statSync(folder).mode & 0o777, 0o700)
  t.equal(await store.forgetBefore(10), 350, 'half of the many')
  t.same([...(await store.load('b'))], [])
  t.same([...(await store.load('many0'))], [])
  t.same([...(await store.load('many1'))], [['x', 'to']])
  t.same([...(await store.load('a'))], [['z', 'none+ask']], 'of its last day nothing is forgotten')
  t.equal(await store.forgetBefore(10), 0)
  await store.close()
  await t.rejects(store.load('a'), { message: 'the store is closed' })
  const again = await openLmdbStore(folder)
  t.same([...(await again.load('aa'))], [['z', 'to']], 'it is there when it is opened again')
  await again.close()
})

t.test('a folder that must not be used', async t => {
  const root = t.testdir({
    ...{ pipe: {}, lock: { 'lock.mdb': {} } },
    file: 'text',
    'no-store': { 'data.mdb': 'what is this?'.repeat(2_000) },
  })
  spawnSync('mkfifo', [join(root, 'pipe', 'data.mdb')])
  const good = join(root, 'good')
  const store = await openLmdbStore(good)
  const many = Array.from({ length: 2_000 }, (_, index) => record(`account:user${index}@localhost`, 'x'.repeat(100)))
  await store.save(many)
  await store.close()
  const whole = readFileSync(join(good, 'data.mdb'))
  const damaged = (name: string, bytes: Buffer) => {
    const folder = join(root, name)
    cpSync(good, folder, { recursive: true })
    writeFileSync(join(folder, 'data.mdb'), bytes)
    return folder
  }
  const middle = Buffer.from(whole)
  middle.fill(0x55, 16_384, 200_000)
  const fewer = withoutLastEntries(whole)
  const newer = damaged('newer', whole)
  await edit(newer, 'set', '3')
  const unreadable = damaged('unreadable', whole)
  await edit(unreadable, 'set', 'new')
  const foreign = damaged('foreign', whole)
  await edit(foreign, 'remove')
  const lost = damaged('lost', whole)
  rmSync(join(lost, 'data.mdb'))
  const bad: readonly (readonly [string, RegExp, RegExp])[] = [
    [damaged('half', whole.subarray(0, whole.length / 2)), /half\/data\.mdb is damaged \(/, /move .*half away/],
    [damaged('most', whole.subarray(0, whole.length * 0.9)), /most\/data\.mdb is damaged \(/, /move .*most away/],
    [damaged('fewer', fewer), /fewer\/data\.mdb is damaged \(\d+ of 4001 entries can be read\)/, /move .*fewer away/],
    [damaged('middle', middle), /middle\/data\.mdb is damaged \(/, /move .*middle away/],
    [damaged('zeros', Buffer.alloc(whole.length)), /zeros\/data\.mdb is damaged \(/, /move .*zeros away/],
    [damaged('empty', Buffer.alloc(0)), /empty\/data\.mdb is lost/, /put back a copy, or move .*empty away/],
    [lost, /lost\/data\.mdb is lost/, /put back a copy/],
    [join(root, 'no-store'), /no-store\/data\.mdb is damaged/, /move/],
    [
      newer,
      /newer\/data\.mdb is of a newer version of Stanzagate \(format 3; this one knows 2\)/,
      /start that version/,
    ],
    [unreadable, /unreadable\/data\.mdb is damaged \(its version cannot be read\)/, /move/],
    [foreign, /foreign\/data\.mdb is not a store of Stanzagate/, /name another folder/],
    [join(root, 'file'), /file cannot be used as the store: /, /store: none/],
    ['/dev/null', /\/dev\/null cannot be used as the store: it is no folder/, /name a folder/],
    [join(root, 'pipe'), /pipe cannot be used as the store: data\.mdb is no file/, /name a folder/],
    [join(root, 'lock'), /lock cannot be used as the store: lock\.mdb is no file/, /name a folder/],
    [join(root, 'none', 'below'), /below cannot be used as the store: ENOENT/, /name a folder/],
  ]
  for (const [folder, message, remedy] of bad) await t.rejects(openLmdbStore(folder), { message, remedy }, folder)
  const sound = await openLmdbStore(good)
  t.equal((await sound.load('account:user1999@localhost')).size, 1)
  await sound.close()
})

/** Each page of entries says that it has one less, but for the page with the store's version. */
function withoutLastEntries(whole: Buffer): Buffer {
  const pageSize = 4_096
  // Of LMDB's page header: what kind of page it is, and where its list of entries ends.
  const [flags, lower] = [18, 20]
  const leaf = 2
  const copy = Buffer.from(whole)
  for (let page = 2 * pageSize; page < copy.length; page += pageSize) {
    const isOfEntries = copy.readUInt16LE(page + flags) === leaf
    const hasVersion = copy.subarray(page, page + pageSize).includes('format')
    const end = copy.readUInt16LE(page + lower)
    if (isOfEntries && !hasVersion && end > 40) copy.writeUInt16LE(end - 2, page + lower)
  }
  return copy
}

/** Changes the entry that says the version. */
async function edit(folder: string, what: 'set' | 'remove', version = ''): Promise<void> {
  const db = open<string, string[]>({ path: folder, encoding: 'string', noSubdir: false })
  await (what === 'set' ? db.put(['format', 'version'], version) : db.remove(['format', 'version']))
  await db.flushed
  await db.close()
}

t.test('a process that is killed loses nothing that it was told is kept; two write at once', async t => {
  const folder = join(t.testdir(), 'store')
  const writers = ['a', 'b'].map(name => new Writer(folder, name))
  await Promise.all(writers.map(each => each.written(60)))
  for (const { child } of writers) child.kill('SIGKILL')
  await Promise.all(writers.map(({ child }) => once(child, 'close')))
  const store = await openLmdbStore(folder)
  for (const { name, last } of writers) {
    const kept = Number((await store.load(`record of ${name}`)).get('number'))
    t.ok(kept >= last, `${name}: ${kept} is kept, ${last} was told`)
    t.ok(last >= 60)
  }
  await store.close()
})

t.test('a disk that is full, and then is not', async t => {
  const folder = join(t.testdir(), 'store')
  const child = new Writer(folder, 'a', { fileBlocks: 512, text: 5_000 })
  t.match(await child.line('failed'), /^failed \d+ /)
  // It goes on, and can still be asked for what it has.
  t.match(await child.line('still there'), /^still there \d+$/)
  child.child.kill()
  await once(child.child, 'close')
  const store = await openLmdbStore(folder)
  const kept = Number((await store.load('record of a')).get('number'))
  t.ok(kept >= child.last, 'what was told is kept')
  await store.save([record('another', 'x')])
  t.equal((await store.load('another')).size, 1, 'with room it is written again')
  await store.close()
})

t.test('a folder that is removed while it is in use', async t => {
  const folder = join(t.testdir(), 'store')
  const store = await openLmdbStore(folder)
  await store.save([record('a', 'x')])
  rmSync(folder, { recursive: true })
  await t.rejects(store.save([record('b', 'x')]), { message: 'the folder of the store was removed' })
  await store.save([record('b', 'x')])
  await store.close()
  const again = await openLmdbStore(folder)
  t.equal((await again.load('b')).size, 1, 'it is made anew')
  await again.close()
})

t.test('an empty folder, and a folder that is half made', async t => {
  const root = t.testdir({ empty: {}, begun: { 'data.mdb': '' } })
  mkdirSync(join(root, 'unmarked'))
  await (await openLmdbStore(join(root, 'unmarked'))).close()
  rmSync(join(root, 'unmarked', 'STANZAGATE-STORE'))
  for (const name of ['empty', 'begun', 'unmarked']) {
    const store = await openLmdbStore(join(root, name))
    await store.save([record('a', 'x')])
    t.equal((await store.load('a')).size, 1, name)
    await store.close()
    t.match(readFileSync(join(root, name, 'STANZAGATE-STORE'), 'utf8'), /format 1\./)
  }
})

function record(name: string, text: string): RecordChange {
  return { record: name, fields: new Map([['text', text]]), isWhole: true, until: 100 }
}

/** A process that writes numbers that grow, and tells each when it is kept. */
class Writer {
  readonly name: string
  readonly child: ChildProcess
  /** The number that was told last. */
  last = -1
  private complaints = ''
  private readonly closed: Promise<unknown>
  private readonly lines: AsyncIterator<string>

  /** `fileBlocks`: files may have so many blocks of 1,024 bytes; `text`: bytes of what it writes beside each number. */
  constructor(folder: string, name: string, { fileBlocks, text = 10 }: { fileBlocks?: number; text?: number } = {}) {
    this.name = name
    const call = [process.execPath, writer, folder, name, String(text)]
    this.child =
      fileBlocks === undefined
        ? spawn(call[0] as string, call.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
        : spawn('bash', ['-c', `ulimit -f ${fileBlocks}; exec "$@"`, 'bash', ...call], {
            stdio: ['ignore', 'pipe', 'pipe'],
          })
    this.closed = once(this.child, 'close')
    // LMDB writes there when it cannot write.
    this.child.stderr?.on('data', text => {
      this.complaints += text
    })
    this.lines = createInterface({ input: this.child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  }

  async written(number: number): Promise<void> {
    while (this.last < number) await this.next()
  }

  /** The next line that begins so. */
  async line(beginning: string): Promise<string> {
    for (;;) {
      const line = await this.next()
      if (line.startsWith(beginning)) return line
    }
  }

  private async next(): Promise<string> {
    const { value, done } = await this.lines.next()
    if (done === true) {
      await this.closed
      const { exitCode, signalCode } = this.child
      throw new Error(`the writer ${this.name} has ended (${exitCode ?? signalCode}):\n${this.complaints}`)
    }
    if (/^\d+$/.test(value)) this.last = Number(value)
    return value
  }
}
