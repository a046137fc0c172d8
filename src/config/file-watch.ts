/**
 * Notices that a file has changed. It is looked at every few seconds with `stat`, which follows every symbolic link on the way: fs.watch would
 * notice neither a folder that is exchanged by its link, as Kubernetes does, nor changes on a network file system.
 */
import { type BigIntStats, statSync } from 'node:fs'

/** Milliseconds between two looks. */
const lookEvery = 5_000

export class FileWatch {
  private readonly file: string
  private readonly changed: () => void
  private readonly end: () => void
  /** The likeness of the file when it was last told, and at the last look. */
  private told: string
  private seen: string

  /** `changed` is called when two looks in a row have found the file alike, so that nobody is still writing it. `every`: default: a timer. */
  constructor(
    file: string,
    changed: () => void,
    every: (milliseconds: number, look: () => void) => () => void = timer,
  ) {
    this.file = file
    this.changed = changed
    this.told = likenessOf(file)
    this.seen = this.told
    this.end = every(lookEvery, () => this.look())
  }

  /** The file was read for another reason. */
  read(): void {
    this.told = likenessOf(this.file)
    this.seen = this.told
  }

  stop(): void {
    this.end()
  }

  private look(): void {
    const now = likenessOf(this.file)
    const isSettled = now === this.seen
    this.seen = now
    // A file that is gone is on its way back.
    if (!isSettled || now === this.told || now === gone) return
    this.told = now
    this.changed()
  }
}

const gone = 'gone'

/** Differs when the file was written, replaced, linked elsewhere, or given other permissions. */
function likenessOf(file: string): string {
  let stats: BigIntStats | undefined
  try {
    stats = statSync(file, { bigint: true, throwIfNoEntry: false })
  } catch {
    return gone
  }
  if (stats === undefined) return gone
  const { dev, ino, size, mtimeNs, ctimeNs } = stats
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
}

function timer(milliseconds: number, look: () => void): () => void {
  const interval = setInterval(look, milliseconds)
  interval.unref()
  return () => clearInterval(interval)
}
