/** Lines of the log that leave together, since a write for each line costs a login more than making it. */

/** Milliseconds that a line may wait. */
const waitsAtMost = 50
/** Characters that may wait. */
const sizeAtMost = 65_536

export class LineBuffer {
  private readonly out: NodeJS.WritableStream
  private lines = ''
  private timer: NodeJS.Timeout | undefined
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
    if (this.lines.length > sizeAtMost) this.flush()
    else this.timer ??= setTimeout(this.flush, waitsAtMost)
  }
}
