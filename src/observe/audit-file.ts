/**
 * Appends lines to a file that others may move away or cut short, on a disk that may be full. Adding a line never waits and never
 * fails: what cannot be written is counted as lost, and the file is tried again with the next line.
 */
import { type FileHandle, open, stat } from 'node:fs/promises'

/** What became of lines; also the metrics' label. */
export const auditOutcomes = ['written', 'lost'] as const
export type AuditOutcome = (typeof auditOutcomes)[number]

export interface AuditFileOptions {
  readonly path: string
  /** Milliseconds, from any beginning. */
  now(): number
  /** So many lines came to this; `why`: the error's code, or `slow` when the disk did not take them in time. */
  told(outcome: AuditOutcome, lines: number, why?: string): void
  /** Bytes that may wait, those included that are being written. */
  readonly atMost?: number
}

/** Some ten thousand lines. */
const waitAtMost = 4 * 1024 * 1024
/** Milliseconds between two looks at whether the path still leads to the file. */
const lookEvery = 1_000
const newline = 0x0a

export class AuditFile {
  private readonly options: AuditFileOptions
  private waiting: Buffer[] = []
  /** Bytes that wait or are being written. */
  private size = 0
  private writing: Promise<void> | undefined
  private handle: FileHandle | undefined
  private looked = Number.NEGATIVE_INFINITY
  private isStale = false
  /** The file ends within a line. */
  private isTorn = false

  constructor(options: AuditFileOptions) {
    this.options = options
  }

  /** `line`: without its end. */
  add(line: string): void {
    const bytes = Buffer.from(`${line}\n`)
    if (this.size + bytes.length > (this.options.atMost ?? waitAtMost)) return this.options.told('lost', 1, 'slow')
    this.size += bytes.length
    this.waiting.push(bytes)
    this.writing ??= this.write()
  }

  /** The path may lead elsewhere now. */
  reopen(): void {
    this.isStale = true
  }

  /** Resolves when nothing waits any more. */
  async settled(): Promise<void> {
    await this.writing
  }

  /** The same, and the file is closed. A line that is added later opens it again. */
  async close(): Promise<void> {
    await this.writing
    await this.discard()
  }

  /** Never rejects. */
  private async write(): Promise<void> {
    while (this.waiting.length > 0) {
      const lines = this.waiting
      this.waiting = []
      await this.append(lines)
      for (const line of lines) this.size -= line.length
    }
    this.writing = undefined
  }

  private async append(lines: readonly Buffer[]): Promise<void> {
    let at = 0
    let why: string | undefined
    try {
      const file = await this.opened()
      if (this.isTorn) await file.write('\n')
      this.isTorn = false
      const bytes = Buffer.concat(lines)
      while (at < bytes.length) {
        at += (await file.write(bytes, at)).bytesWritten
        this.isTorn = bytes[at - 1] !== newline
      }
    } catch (error) {
      why = codeOf(error)
    }
    const written = wholeWithin(lines, at)
    if (written > 0) this.options.told('written', written)
    if (written < lines.length) this.options.told('lost', lines.length - written, why)
  }

  private async opened(): Promise<FileHandle> {
    const now = this.options.now()
    if (this.handle !== undefined && (this.isStale || now - this.looked >= lookEvery)) {
      this.looked = now
      if (this.isStale || (await this.isElsewhere(this.handle))) await this.discard()
    }
    this.isStale = false
    if (this.handle !== undefined) return this.handle
    this.looked = now
    this.handle = await open(this.options.path, 'a+', 0o600)
    this.isTorn = await endsWithinLine(this.handle)
    return this.handle
  }

  /** Somebody has moved the file away (logrotate, as it does by default), or removed it. */
  private async isElsewhere(handle: FileHandle): Promise<boolean> {
    try {
      const [at, held] = await Promise.all([stat(this.options.path), handle.stat()])
      return at.ino !== held.ino || at.dev !== held.dev
    } catch {
      return true
    }
  }

  private async discard(): Promise<void> {
    const { handle } = this
    this.handle = undefined
    // An error of close (a quota, on some file systems) cannot be helped any more.
    await handle?.close().catch(() => {})
  }
}

/** A process that was killed, or a full disk, may leave an incomplete last line. */
async function endsWithinLine(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat()
  if (size === 0) return false
  const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
  return bytesRead === 1 && buffer[0] !== newline
}

function wholeWithin(lines: readonly Buffer[], bytes: number): number {
  let end = 0
  let whole = 0
  for (const line of lines) {
    end += line.length
    if (end > bytes) break
    whole++
  }
  return whole
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
