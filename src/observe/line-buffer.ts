/**
 * Lines of the log that leave together, since a write for each line costs a login more than making it. Warnings and errors do not wait, and
 * nothing does once the process is told to end. What waits when the process is killed is lost.
 */

/** Milliseconds that a line may wait. */
const waitsAtMost = 50
/** Characters that may wait. */
const sizeAtMost = 65_536

export class LineBuffer {
  private readonly out: NodeJS.WritableStream
  private lines = ''
  private timer: NodeJS.Timeout | undefined
  private isEnding = false
  private readonly flush = () => {
    clearTimeout(this.timer)
    this.timer = undefined
    if (this.lines === '') return
    this.out.write(this.lines)
    this.lines = ''
  }

  /** What waits when the process ends is written then, also after an exception that nobody caught. */
  constructor(out: NodeJS.WritableStream) {
    this.out = out
    process.on('exit', this.flush)
  }

  write(line: string): void {
    this.lines += line
    if (this.isEnding || isUrgent(line) || this.lines.length > sizeAtMost) this.flush()
    else this.timer ??= setTimeout(this.flush, waitsAtMost)
  }

  /** From now on no line waits: the process is about to end. */
  end(): void {
    this.isEnding = true
    this.flush()
  }
}

/** pino begins a line with its level: 40 is a warning. */
function isUrgent(line: string): boolean {
  return line.startsWith('{"level":') && line.charCodeAt('{"level":'.length) >= '4'.charCodeAt(0)
}
